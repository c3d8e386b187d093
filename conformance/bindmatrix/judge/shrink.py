"""Finds the shortest scenario that still shows a divergence.

Delta debugging over the steps of a scenario: whole sockets are left out first, then pairs of steps, then single ones,
then addresses and kinds of socket are replaced by plainer ones.  A smaller scenario counts when the host, asked again,
still differs from the expectation in the same kind of call with the same actual outcome and the same rule.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from bindmatrix.errors import Problem
from bindmatrix.judge.verdicts import Judge, Verdict, VerdictKind
from bindmatrix.notation import Scenario, Step, parse, step
from bindmatrix.observe.recordings import Observation

#: runs scenarios and gives their observations, in any order
Observe = Callable[[Sequence[str]], Sequence[Observation]]

#: a word and the plainer ones that may stand for it
_PLAINER = {
    "127.0.0.2": ("127.0.0.1",),
    "0.0.0.0": ("127.0.0.1",),
    "::": ("::1",),
    "::ffff:127.0.0.1": ("127.0.0.1", "::1"),
    "::ffff:0.0.0.0": ("0.0.0.0", "::"),
    "224.0.0.251": ("127.0.0.1",),
    "ff02::fb": ("::1",),
}
_KINDS = {
    "mptcp6": "mptcp4",
    "mptcp4": "tcp4",
    "udplite6": "udplite4",
    "udplite4": "udp4",
    "tcp6": "tcp4",
    "udp6": "udp4",
    "udp4": "tcp4",
}
_ROUNDS = 50


def shrink(verdict: Verdict, judge: Judge, observe: Observe) -> str:
    """The shortest scenario found that diverges as ``verdict`` does; its own scenario when none is shorter."""
    best = verdict
    for _ in range(_ROUNDS):
        found = _smaller(best, judge, observe)
        if found is None:
            break
        best = found
    return best.observation.scenario


def _smaller(verdict: Verdict, judge: Judge, observe: Observe) -> Verdict | None:
    steps = parse(verdict.observation.scenario).steps
    seen = {verdict.observation.scenario}
    candidates = []
    for candidate in _candidates(list(steps[: verdict.step + 1]), len(steps)):
        text = " ".join(one.text for one in candidate)
        if text not in seen and _parses(text) and not _waits(text, judge):
            seen.add(text)
            candidates.append(text)
    by_text = {observation.scenario: observation for observation in observe(candidates)}
    for text in candidates:
        if text in by_text:
            found = judge.verdict(by_text[text])
            if _alike(found, verdict):
                return found
    return None


def _alike(found: Verdict, wanted: Verdict) -> bool:
    if found.kind != VerdictKind.DIVERGES or found.rule != wanted.rule or found.actual != wanted.actual:
        return False
    return _call(found) == _call(wanted)


def _call(verdict: Verdict) -> str:
    return step(verdict.observation.scenario.split()[verdict.step]).kind


def _parses(text: str) -> bool:
    try:
        parse(text)
    except Problem:
        return False
    return True


def _waits(text: str, judge: Judge) -> bool:
    """Whether a step would wait in vain: an accept() whose connection was removed takes a second."""
    return "timeout" in judge.oracle.predict(text).outcomes


def _candidates(steps: list[Step], length: int) -> Iterator[list[Step]]:
    """Smaller scenarios, the boldest first; ``steps`` ends with the step to blame."""
    if len(steps) < length:
        yield steps
    names = list(dict.fromkeys(one.socket for one in steps if one.socket))
    for name in names:
        yield [one for one in steps if name not in (one.socket, one.what if one.kind == "accept" else "")]
    for size in (4, 3, 2, 1):
        for start in range(len(steps) - size):
            yield steps[:start] + steps[start + size :]
    yield from _plainer(steps)


def _plainer(steps: list[Step]) -> Iterator[list[Step]]:
    for index, one in enumerate(steps):
        # a group to join has no plainer one: it is a multicast address
        for address in _PLAINER.get(one.address, ()) if one.kind != "join" else ():
            port = ",0" if one.kind == "bind" and one.value else ""
            if one.socket:
                yield [*steps[:index], step(f"{one.socket}.{one.kind}={address}{port}"), *steps[index + 1 :]]
        if one.kind == "user" and one.value not in (0, 1001):
            yield [*steps[:index], step("user=1001"), *steps[index + 1 :]]
    for kind, plain in _KINDS.items():
        if any(one.what == kind for one in steps):
            yield _as_ipv4([step(f"{one.socket}={plain}") if one.what == kind else one for one in steps])
    yield _as_ipv4(steps)
    yield _renamed(steps)


def _as_ipv4(steps: list[Step]) -> list[Step]:
    """AF_INET sockets with IPv4 addresses only; V6ONLY goes with IPv6."""
    families = {one.socket: one.what[-1] for one in steps if one.kind == "socket"}
    plain = {"::1": "127.0.0.1", "::": "0.0.0.0", "::ffff:127.0.0.1": "127.0.0.1", "::ffff:0.0.0.0": "0.0.0.0"}
    result = []
    for one in steps:
        if families.get(one.socket) == "4" and one.what == "v6only":
            continue
        if families.get(one.socket) == "4" and one.address in plain:
            port = ",0" if one.kind == "bind" and one.value else ""
            result.append(step(f"{one.socket}.{one.kind}={plain[one.address]}{port}"))
        else:
            result.append(one)
    return result


def _renamed(steps: list[Step]) -> list[Step]:
    """Sockets called a, b, c... in the order in which they are made."""
    names: dict[str, str] = {}
    for one in steps:
        if one.socket and one.socket not in names:
            names[one.socket] = chr(ord("a") + len(names)) if len(names) < 26 else one.socket
    words = []
    for one in steps:
        if one.kind == "accept":
            words.append(f"{names[one.socket]}={names[one.what]}.accept")
        elif one.socket:
            words.append(names[one.socket] + one.text[len(one.socket) :])
        else:
            words.append(one.text)
    return list(Scenario(tuple(step(word) for word in words)).steps)
