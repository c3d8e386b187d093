"""The questions that authors have about a program, each asked of one system.

A question makes scenarios of the program's own steps, has the rules of the system predict them, and says the outcome
in words.  Two systems differ where the words do.  An answer keeps the scenario that it was read from.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import cached_property, lru_cache
from typing import NamedTuple

from bindmatrix.advice.parts import (
    UNKNOWN,
    WILDCARDS,
    BoundSocket,
    Instance,
    failure,
    free_names,
    joined,
    receivers,
)
from bindmatrix.notation import OPTIONS, SOCKET_KINDS, STREAMS, Scenario, Step
from bindmatrix.oracle.variants import Variant
from bindmatrix.outcomes import NOBODY, Expected, Receivers, alternatives
from bindmatrix.rules import ephemeral

#: the owner of the program and another user; neither is root
OWNER, OTHER = "user=1001", "user=0 user=1002"
#: what a newcomer may set: nothing, each option alone, and the usual pair
NEWCOMERS: tuple[tuple[str, ...], ...] = (
    (),
    *((option,) for option in OPTIONS if option != "v6only"),
    ("reuseaddr", "reuseport"),
)
#: kind of socket of another host -> the address by which it knows this one (RFC 5737, RFC 3849)
REMOTE = {"remote4": "192.0.2.1", "remote6": "2001:db8::1"}
FIRST, SECOND = "the first", "the second"


class AuditAnswer(NamedTuple):
    """What happens, and the scenario that says so (None where it is a table that does)."""

    words: str
    scenario: Scenario | None = None
    #: by which means, where that makes no difference to the answer
    means: str = ""

    @property
    def known(self) -> bool:
        """Whether the rules say it."""
        return UNKNOWN not in self.words


class Tenant:
    """A program on one system: its steps there, and the rules that predict.  The newest release that is described."""

    def __init__(self, does: Scenario, variant: Variant, ignored: Iterable[str] = ()) -> None:
        self.first = Instance(does.steps)
        self.second = self.first.again(self.first.names)
        self.ignored = frozenset(ignored)
        self.variant = variant
        self.who = dict.fromkeys(self.first.names, FIRST) | dict.fromkeys(self.second.names, SECOND)

    @property
    def os(self) -> str:
        """The system."""
        return self.variant.model.expectations.os

    @property
    def streams(self) -> bool:
        """Whether it accepts connections."""
        return any(one.listens and one.protocol in STREAMS for one in self.first.endpoints)

    def outcomes(self, scenario: Scenario) -> tuple[Expected, ...]:
        """What the system returns."""
        return self.variant.actual.predict(scenario).outcomes

    def failed(self, scenario: Scenario, start: int = 0) -> tuple[Step, Expected] | None:
        """The first step from ``start`` that may fail, and how."""
        return failure(scenario.steps, self.outcomes(scenario), self.ignored, start)

    @cached_property
    def starts(self) -> bool:
        """Whether the program alone gets as far as its last step; also where that is not known."""
        failed = self.failed(joined(self.first.text))
        return failed is None or failed[1] is None

    @cached_property
    def destinations(self) -> tuple[str, ...]:
        """The addresses of this machine that lead to the program alone, or may."""
        found = []
        for address in self.first.destinations:
            outcome = self.outcomes(joined(self.first.text, f"deliver={address}"))[-1]
            if outcome is None or any(Receivers.of(one).names[0] not in NOBODY for one in alternatives(outcome)):
                found.append(address)
        return tuple(found)

    def received(self, text: str, who: dict[str, str], destinations: Iterable[str] | None = None) -> AuditAnswer:
        """Who receives after the steps of ``text`` at ``destinations``, which are those that lead to the program."""
        found = []
        for address in self.destinations if destinations is None else destinations:
            asked = joined(text, f"deliver={address}")
            found.append((f"at {address}", AuditAnswer(receivers(self.outcomes(asked)[-1], who), asked)))
        return merged(found) or AuditAnswer(UNKNOWN, joined(text))


def merged(found: Sequence[tuple[str, AuditAnswer]]) -> AuditAnswer | None:
    """``at 127.0.0.1: clients are refused; at ::1: it receives everything`` of (where, answer); None of nothing.

    Where all are alike, that alone.  The scenario is that of the first answer, or of the first that differs from it.
    """
    places: dict[str, list[str]] = {}
    for where, answer in found:
        places.setdefault(answer.words, []).append(where)
    if len(places) < 2:
        return found[0][1] if found else None
    other = next(answer for _, answer in found if answer.words != found[0][1].words)
    return other._replace(words="; ".join(f"{' and '.join(where)}: {words}" for words, where in places.items()))


def refusal(failed: tuple[Step, Expected]) -> str:
    """``refused (EADDRINUSE)``, and by which call where it is not bind()."""
    step, outcome = failed
    if outcome is None:
        return UNKNOWN
    errors = " or ".join(one for one in alternatives(outcome))
    where = {"bind": "", "set": f" at {OPTIONS.get(step.what, '')}"}.get(step.kind, f" at {step.kind}()")
    if "ok" in alternatives(outcome):
        return f"it depends{where} ({errors})"
    return f"refused{where} ({errors})"


# -- the questions


def _alone(tenant: Tenant) -> AuditAnswer | None:
    if tenant.first.chosen_ports:
        return None
    scenario = joined(tenant.first.text)
    failed = tenant.failed(scenario)
    if failed is not None:
        return AuditAnswer(f"it does not start: {refusal(failed)}" if failed[1] is not None else UNKNOWN, scenario)
    return tenant.received(tenant.first.text, dict.fromkeys(tenant.first.names, "it"), tenant.first.destinations)


def _twice(tenant: Tenant) -> AuditAnswer | None:
    text = f"{tenant.first.text} {tenant.second.text}"
    failed = tenant.failed(joined(text), len(tenant.first.steps))
    if failed is not None:
        return AuditAnswer(_second_is(refusal(failed)), joined(text))
    answer = tenant.received(text, tenant.who)
    return answer._replace(words=f"both run: {answer.words}")


def _second_is(words: str) -> str:
    return f"the second is {words}" if words.startswith("refused") else words


def _workers(tenant: Tenant) -> AuditAnswer | None:
    second = tenant.second
    third = tenant.first.again([*tenant.first.names, *second.names])
    text = f"{tenant.first.text} {second.text} {third.text}"
    if tenant.failed(joined(text), len(tenant.first.steps)) is not None:
        return None  # the question before said so
    who: dict[str, str] = {}
    for words, one in zip(("the first", "the second", "the third"), (tenant.first, second, third), strict=True):
        who |= dict.fromkeys(one.names, words)
    return tenant.received(text, who)


def _restart(tenant: Tenant, connection: str) -> AuditAnswer | None:
    """``connection``: what happens between accept() and the restart; ``{x}`` and ``{c}`` are its two ends."""
    found = []
    x, c = [name for name in reversed(free_names([*tenant.first.names, *tenant.second.names])) if len(name) == 1][:2]
    for one in tenant.first.endpoints:
        for where, client, address in _clients(one) if one.listens else ():
            middle = f"{c}={client} {c}.connect={address} {x}={one.socket}.accept {connection.format(c=c, x=x)}"
            served = joined(tenant.first.text, middle, tenant.first.close())
            if tenant.failed(served, len(tenant.first.steps)) is not None:
                continue  # no connection of that kind
            scenario = joined(served.text, tenant.second.text)
            failed = tenant.failed(scenario, len(served.steps))
            found.append((where, AuditAnswer("it starts again" if failed is None else refusal(failed), scenario)))
    return merged(found)


def _clients(endpoint: BoundSocket) -> Iterator[tuple[str, str, str]]:
    """(where the client is, its kind, the address that it connects to)."""
    family = SOCKET_KINDS[endpoint.kind].family
    for address in endpoint.destinations:
        kind = endpoint.protocol + ("6" if ":" in address else "4") if family.startswith("ip") else endpoint.kind
        yield f"client at {address}", kind, address
        remote = f"remote{kind[-1]}"
        if endpoint.protocol == "tcp" and endpoint.address in WILDCARDS and remote in SOCKET_KINDS:
            yield "client on another host", remote, REMOTE[remote]


def _time_wait(tenant: Tenant) -> AuditAnswer | None:
    return _restart(tenant, "{x}.close {c}.read {c}.close")


def _live_child(tenant: Tenant) -> AuditAnswer | None:
    return _restart(tenant, "")


def _other_family(tenant: Tenant) -> tuple[str, str] | None:
    """(steps, name) of a plain program on the wildcard of the other family, where the program has a wildcard."""
    wild = {one.address: one for one in tenant.first.endpoints if one.address in WILDCARDS}
    if not wild:
        return None
    address = "0.0.0.0" if "::" in wild else "::"
    protocol = next(iter(wild.values())).protocol
    if f"{protocol}4" not in SOCKET_KINDS:
        return None
    name = next(name for name in reversed(free_names(tenant.first.names)) if len(name) == 1)
    words = [f"{name}={protocol}{'6' if address == '::' else '4'}"]
    words += [f"{name}.v6only=0"] if address == "::" else []
    words += [f"{name}.bind={address}"]
    words += [f"{name}.listen"] if protocol in STREAMS else []
    return " ".join(words), name


def _beside(tenant: Tenant, *, first: bool) -> AuditAnswer | None:
    other = _other_family(tenant)
    if other is None:
        return None
    text, name = other
    whole = f"{text} {tenant.first.text}" if first else f"{tenant.first.text} {text}"
    scenario = joined(whole)
    newcomer = "it" if first else "the other"
    failed = tenant.failed(scenario)
    if failed is not None:
        words = refusal(failed)
        if failed[0].socket == name and failed[0].kind == "set":
            return None  # the system has no dual-stack socket
        return AuditAnswer(f"{newcomer} is {words}" if words.startswith("refused") else words, scenario)
    answer = tenant.received(whole, dict.fromkeys(tenant.first.names, "it") | {name: "the other"})
    return answer._replace(words=f"both run: {answer.words}")


def _before(tenant: Tenant) -> AuditAnswer | None:
    return _beside(tenant, first=True)


def _after(tenant: Tenant) -> AuditAnswer | None:
    return _beside(tenant, first=False)


# -- what a newcomer takes

_TAKES = {4: "takes everything", 3: "takes a part", 2: "gets a copy", 1: "may do so, with what result is not known"}


def _takeover(tenant: Tenant, addresses: Iterable[str], *, other: bool) -> AuditAnswer | None:
    """The worst that a newcomer gets with any of the usual options at any of ``addresses``."""
    worst: tuple[int, AuditAnswer] | None = None
    unknown: Scenario | None = None
    addresses = list(addresses)
    if not addresses or not tenant.destinations:
        return None
    b = free_names(tenant.first.names)[0]
    protocol = tenant.first.endpoints[0].protocol
    for options in NEWCOMERS:
        for address in addresses:
            words = [f"{b}={_kind(protocol, address)}", *(f"{b}.{option}=1" for option in options)]
            words += [f"{b}.v6only=0"] if address == "::" else []
            words += [f"{b}.bind={address}", *([f"{b}.listen"] if protocol in STREAMS else [])]
            text = " ".join([tenant.first.text, *words])
            if other:
                text = " ".join([OWNER, tenant.first.text, OTHER, *words, "user=0"])
            failed = tenant.failed(joined(text))
            if failed is not None:
                if failed[1] is None:
                    unknown = joined(text)
                continue
            for destination in tenant.destinations:
                asked = joined(text, f"deliver={destination}")
                level = _share(tenant.outcomes(asked)[-1], b)
                if level and (worst is None or level > worst[0]):
                    using = " and ".join(OPTIONS[one] for one in options)
                    means = f"binds {address}" + (f" with {using}" if using else "")
                    worst = level, AuditAnswer(f"{_TAKES[level]} at {destination}", asked, means)
    if worst is not None and worst[0] > 1:
        return worst[1]
    if worst is not None or unknown is not None:
        return AuditAnswer(UNKNOWN, worst[1].scenario if worst else unknown)
    return AuditAnswer("gets nothing")


def _kind(protocol: str, address: str) -> str:
    return f"{protocol}{'6' if ':' in address else '4'}" if f"{protocol}4" in SOCKET_KINDS else protocol


def _share(outcome: Expected, newcomer: str) -> int:
    """How much the newcomer gets, a key of _TAKES; 0 for nothing."""
    if outcome is None:
        return 1
    most = 0
    for one in alternatives(outcome):
        kind, names = Receivers.of(one)
        if newcomer in names:
            most = max(most, 2 if kind == "every" else 3 if len(names) > 1 else 4)
    return most


def _another_user(tenant: Tenant) -> AuditAnswer | None:
    addresses = dict.fromkeys(tenant.destinations)
    if any(SOCKET_KINDS[one.kind].addresses == "ip" for one in tenant.first.endpoints):
        addresses |= dict.fromkeys(WILDCARDS)
    return _takeover(tenant, addresses, other=True)


def _more_specific(tenant: Tenant) -> AuditAnswer | None:
    bound = {one.address for one in tenant.first.endpoints}
    return _takeover(tenant, [one for one in tenant.destinations if one not in bound], other=False)


@lru_cache(maxsize=1)
def _chosen_ports() -> ephemeral.Table:
    return ephemeral.read()


def _port_zero(tenant: Tenant) -> AuditAnswer | None:
    """From the table of chosen ports: the rules say what calls return, not which number a kernel picks."""
    protocols = {SOCKET_KINDS[step.what].protocol for step in tenant.first.steps if step.kind == "socket"}
    protocol = next((one for one in ("tcp", "udp") if one in protocols), "")
    if not protocol:
        return None
    options = {step.what for step in tenant.first.steps if step.kind == "set" and step.value}
    used = [one for one in ("reuseaddr", "reuseport") if one in options]
    answers = _chosen_ports().answers(tenant.os)
    row = f"same-address-{protocol}" + (f"-{used[-1]}" if used and protocol == "udp" else "")
    if row not in answers:
        return AuditAnswer(UNKNOWN)
    words = ephemeral.WORDS.get(str(answers[row]), str(answers[row]))
    return AuditAnswer(words)


#: question -> how it is asked; the order is that of the report
QUESTIONS: dict[str, Callable[[Tenant], AuditAnswer | None]] = {
    "alone": _alone,
    "started twice": _twice,
    "three workers": _workers,
    "restart, port in TIME_WAIT": _time_wait,
    "restart, a connection is still open": _live_child,
    "another program has the other family's wildcard": _before,
    "another program wants the other family's wildcard": _after,
    "another user": _another_user,
    "a more specific address, same user": _more_specific,
    "port 0": _port_zero,
}


def ask_all(tenant: Tenant) -> dict[str, AuditAnswer]:
    """Question -> answer, without those that do not arise."""
    found = {}
    for question, ask in QUESTIONS.items():
        if question in ("alone", "port 0") or (tenant.starts and not tenant.first.chosen_ports):
            answer = ask(tenant)
            if answer is not None:
                found[question] = answer
    return found
