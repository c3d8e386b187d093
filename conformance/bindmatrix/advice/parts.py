"""Scenarios made from a program's own steps: a second instance, a client, somebody else beside it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from typing import NamedTuple

from bindmatrix.notation import SOCKET_KINDS, STREAMS, Scenario, Step, parse
from bindmatrix.oracle.variants import Variant, variant_of
from bindmatrix.outcomes import NOBODY, Expected, Receivers, alternatives
from bindmatrix.rules.model import Expectations

#: a wildcard, and the loopback addresses that it stands for
WILDCARDS: dict[str, tuple[str, ...]] = {"0.0.0.0": ("127.0.0.1",), "::": ("::1", "127.0.0.1")}
_MAPPED = "::ffff:"
_LETTERS = "abcdefghijklmnopqrstuvwxyz"
_NOBODY = {"none": "nobody receives", "refused": "clients are refused", "timeout": "clients time out"}
UNKNOWN = "not known"


@lru_cache(maxsize=16)
def newest(expectations: Expectations) -> Variant:
    """The newest release that is described; kept, so that all questions share what its oracle worked out."""
    return variant_of(expectations, expectations.covers[1])


class BoundSocket(NamedTuple):
    """A socket of a program that is bound at the end."""

    socket: str
    kind: str
    address: str
    listens: bool
    #: it was told to take IPv6 alone
    v6only: bool

    @property
    def protocol(self) -> str:
        """``tcp``."""
        return SOCKET_KINDS[self.kind].protocol

    @property
    def destinations(self) -> tuple[str, ...]:
        """Addresses of this machine that may lead to it."""
        if self.address == "::" and self.v6only:
            return ("::1",)
        return WILDCARDS.get(self.address, (self.address.removeprefix(_MAPPED),))


class Instance:
    """A program started once: its steps, and what is bound at the end.

    ``user``, ``wait`` and ``deliver`` steps are left out: who runs it, and who sends, is up to the question.
    """

    def __init__(self, steps: Iterable[Step]) -> None:
        self.steps = tuple(step for step in steps if step.socket)
        self.names = tuple(dict.fromkeys(step.socket for step in self.steps))
        self.endpoints = _endpoints(self.steps)

    @property
    def text(self) -> str:
        """Its steps."""
        return " ".join(step.text for step in self.steps)

    @property
    def destinations(self) -> tuple[str, ...]:
        """Addresses of this machine that may lead to it, IPv4 first."""
        found = dict.fromkeys(one for endpoint in self.endpoints for one in endpoint.destinations)
        return tuple(sorted(found, key=lambda one: ":" in one))

    @property
    def chosen_ports(self) -> bool:
        """Whether the kernel chooses all its ports."""
        binds = [step for step in self.steps if step.kind == "bind"]
        return bool(binds) and all(step.value for step in binds)

    def again(self, taken: Iterable[str]) -> Instance:
        """The same with names of sockets that are not in ``taken``."""
        names = dict(zip(self.names, free_names(taken), strict=False))
        return Instance(parse(" ".join(_renamed(step, names) for step in self.steps)).steps)

    def close(self) -> str:
        """Steps that close what is open."""
        closed = {step.socket for step in self.steps if step.kind == "close"}
        return " ".join(f"{name}.close" for name in self.names if name not in closed)


def free_names(taken: Iterable[str]) -> list[str]:
    """Names of sockets that are not taken: the letters, then letters with a number."""
    taken = set(taken)
    return [name for number in range(100) for letter in _LETTERS if (name := f"{letter}{number or ''}") not in taken]


def _renamed(step: Step, names: Mapping[str, str]) -> str:
    if step.kind == "accept":
        return f"{names[step.socket]}={names[step.what]}.accept"
    return names[step.socket] + step.text[len(step.socket) :]


def _endpoints(steps: Iterable[Step]) -> tuple[BoundSocket, ...]:
    kinds: dict[str, str] = {}
    v6only: dict[str, bool] = {}
    found: dict[str, BoundSocket] = {}
    for step in steps:
        name = step.socket
        if step.kind == "socket":
            kinds[name] = step.what
        elif step.kind == "set" and step.what == "v6only":
            v6only[name] = bool(step.value)
        elif step.kind == "bind" and name in kinds and not step.value:
            found[name] = BoundSocket(name, kinds[name], step.address, False, v6only.get(name, False))
        elif step.kind == "listen" and name in found:
            found[name] = found[name]._replace(listens=True)
        elif step.kind == "close":
            found.pop(name, None)
    # a stream socket that does not listen receives nothing
    return tuple(one for one in found.values() if one.listens or one.protocol not in STREAMS)


def joined(*parts: str) -> Scenario:
    """A scenario of several parts, which may be empty."""
    return parse(" ".join(part for part in parts if part))


def failure(
    steps: Sequence[Step], outcomes: Sequence[Expected], ignored: Iterable[str] = (), start: int = 0
) -> tuple[Step, Expected] | None:
    """The first step from ``start`` that is not sure to succeed; options in ``ignored`` may fail."""
    for step, outcome in zip(steps[start:], outcomes[start:], strict=True):
        if step.delivers or outcome == "ok" or (step.kind == "set" and step.what in ignored):
            continue
        return step, outcome
    return None


def receivers(expected: Expected, who: Mapping[str, str]) -> str:
    """Who receives, in words; ``who`` names the owner of each socket: ``the first``."""
    if expected is None:
        return UNKNOWN
    return " or ".join(dict.fromkeys(_receivers(one, who) for one in alternatives(expected)))


def _receivers(outcome: str, who: Mapping[str, str]) -> str:
    kind, names = Receivers.of(outcome)
    if names[0] in NOBODY and len(names) == 1:
        return _NOBODY[names[0]]
    owners = list(dict.fromkeys(who.get(name, name) for name in names if name not in NOBODY))
    if kind == "every" and len(owners) > 1:
        return f"{_listed(owners)} receive a copy each"
    lost = "; the rest is lost" if NOBODY.intersection(names) else ""
    if len(owners) == 1:
        return f"{owners[0]} receives {'a part' if lost else 'everything'}{lost}"
    return f"{_listed(owners)} share the load{lost}"


def _listed(words: Sequence[str]) -> str:
    return f"{', '.join(words[:-1])} and {words[-1]}" if len(words) > 1 else words[0]
