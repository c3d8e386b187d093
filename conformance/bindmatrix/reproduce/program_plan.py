"""What the program of a case has to do, whichever language it is written in.

A program chooses a port, sees that it is free wherever the scenario goes, makes the calls one after the other, and
compares what each returned.  :class:`ProgramPlan` says what of this a scenario needs; the languages only write it down.
More kinds of socket are new rows of ``SOCKETS``.

The calls are plain ones that block, where the executor's have a time limit.  One difference is known: after a connect()
that was refused, a read on Linux fails with ENOTCONN in the programs and finds the end of file in the executor.  No
rule speaks of such a read.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

from bindmatrix.errors import Place, Problem
from bindmatrix.notation import OPTIONS, Step, addresses_of
from bindmatrix.outcomes import ANY_ERROR, DELIVERIES, EVERY, Receivers, counts
from bindmatrix.reproduce.cases import Case, CaseStep


class SocketCall(NamedTuple):
    """The arguments of ``socket()``, which C and Python name alike."""

    family: str
    type: str
    protocol: str = "0"


SOCKETS: dict[str, SocketCall] = {
    "tcp4": SocketCall("AF_INET", "SOCK_STREAM"),
    "tcp6": SocketCall("AF_INET6", "SOCK_STREAM"),
    "udp4": SocketCall("AF_INET", "SOCK_DGRAM"),
    "udp6": SocketCall("AF_INET6", "SOCK_DGRAM"),
    "mptcp4": SocketCall("AF_INET", "SOCK_STREAM", "IPPROTO_MPTCP"),
    "mptcp6": SocketCall("AF_INET6", "SOCK_STREAM", "IPPROTO_MPTCP"),
    "udplite4": SocketCall("AF_INET", "SOCK_DGRAM", "IPPROTO_UDPLITE"),
    "udplite6": SocketCall("AF_INET6", "SOCK_DGRAM", "IPPROTO_UDPLITE"),
}

#: protocols that headers and Python may lack; the numbers are those of Linux and of IANA
PROTOCOLS = {"IPPROTO_MPTCP": 262, "IPPROTO_UDPLITE": 136}

#: the step kinds that programs are written for
_WRITTEN = frozenset(
    {"socket", "set", "bind", "listen", "connect", "accept", "read", "close", "join", "user", "wait"}
    | {"deliver", "deliver_flow"}
)

#: options at another level than SOL_SOCKET
LEVELS = {"v6only": "IPPROTO_IPV6"}
#: options that every system with sockets has
_EVERYWHERE = ("reuseaddr", "v6only")
#: systems whose programs are for Winsock
WINSOCK = ("windows", "wine")
#: what interface of loopback the systems have; others call it lo0, and it has no other IPv4 address than 127.0.0.1
LOOPBACK = {"linux": "lo", "gvisor": "lo"}
#: addresses that a host may have to be given first
_OPTIONAL = ("127.0.0.2", "::1")


class Probe(NamedTuple):
    """An address where the port has to be free."""

    type: str
    address: str


@dataclass(frozen=True)
class ProgramPlan:
    """``case``, and what its program needs.  Raises :class:`Problem` where no program can be written."""

    case: Case

    def __post_init__(self) -> None:
        for step in self.steps:
            written = step.kind in _WRITTEN and (step.kind != "socket" or step.what in SOCKETS)
            if not written or (step.address and addresses_of(step.address) != "ip"):
                raise Problem(
                    Place("reproduce"),
                    f"no program can be written for {step.text!r}; sockets may be {', '.join(SOCKETS)}",
                )

    @property
    def steps(self) -> tuple[Step, ...]:
        """The steps of the scenario."""
        return self.case.scenario.steps

    @cached_property
    def kinds(self) -> frozenset[str]:
        """The kinds of steps."""
        return frozenset(step.kind for step in self.steps)

    @cached_property
    def protocols(self) -> list[str]:
        """The protocols that are named, by their constants."""
        used = {SOCKETS[step.what].protocol for step in self.steps if step.kind == "socket"}
        return [name for name in PROTOCOLS if name in used]

    @cached_property
    def connects(self) -> bool:
        """Whether connections come about, whose packets have to arrive before the next step."""
        types = {SOCKETS[step.what].type for step in self.steps if step.kind == "socket"}
        return "connect" in self.kinds and "SOCK_STREAM" in types

    @cached_property
    def blocks(self) -> bool:
        """Whether a step may block."""
        return self.connects or bool(self.kinds & {"accept", "read"})

    @property
    def patience(self) -> int:
        """Seconds after which a call that blocks is interrupted; a wait must not be."""
        return 2 + max((step.value for step in self.steps if step.kind == "wait"), default=0) // 1000

    @cached_property
    def plain(self) -> bool:
        """Whether each call has exactly one outcome that is expected."""
        calls = [line for line in self.case.lines if not line.step.delivers]
        return all(len(line.accepted) == 1 and line.accepted != (ANY_ERROR,) for line in calls)

    @cached_property
    def lacking(self) -> list[str]:
        """The options that the system may not have, so that the program has to do without the constant."""
        used = {
            line.step.what
            for line in self.case.lines
            if line.step.kind == "set"
            and line.step.what not in _EVERYWHERE
            and not (line.step.what == "reuseport" and line.accepted == ("ok",))
        }
        return [option for option in OPTIONS if option in used]

    @property
    def loopback(self) -> str:
        """The name of the loopback interface."""
        return LOOPBACK.get(self.case.os, "lo0")

    @cached_property
    def probes(self) -> list[Probe]:
        """Where the port has to be free: a wildcard stands for what it covers, but optional addresses are asked for."""
        found = dict.fromkeys(self._reached())
        covered = {"0.0.0.0": "127.0.0.1", "::": ""}
        return [
            one
            for one in found
            if not any(one == Probe(wild.type, covered.get(wild.address, "")) for wild in found if wild != one)
        ]

    @cached_property
    def needs(self) -> list[str]:
        """What the host has to be given first, in words."""
        alias = [] if self.case.os in LOOPBACK or self.case.os in WINSOCK else ["127.0.0.2"]
        found = [f"{one} (ifconfig lo0 alias {one})" for one in alias if any(one == where for _, where in self.probes)]
        return ["root"] * ("user" in self.kinds) + found

    def _reached(self) -> Iterator[Probe]:
        types: dict[str, str] = {}
        for index, step in enumerate(self.steps):
            if step.kind in ("socket", "accept"):
                types[step.socket] = SOCKETS[step.what].type if step.kind == "socket" else "SOCK_STREAM"
            plain = step.address.rpartition("ffff:")[2] if "." in step.address else step.address
            if step.address and multicast(step.address):
                plain = "::" if ":" in step.address else "0.0.0.0"
            if plain in ("0.0.0.0", "::", "127.0.0.1", *_OPTIONAL):
                if step.kind in ("bind", "connect"):
                    yield Probe(types[step.socket], plain)
                elif index in self.deliveries:
                    yield Probe("SOCK_STREAM" if self.sender(index) == "deliver_tcp" else "SOCK_DGRAM", plain)

    @cached_property
    def deliveries(self) -> dict[int, list[str]]:
        """Index of each delivery -> the open sockets that may receive, sorted."""
        return {index: names for index, (_, names) in self._deliveries.items()}

    @cached_property
    def senders(self) -> dict[str, list[str]]:
        """``deliver_tcp deliver_udp deliver_flow`` as far as needed -> every socket that may receive from there."""
        found: dict[str, set[str]] = {}
        for sender, names in self._deliveries.values():
            found.setdefault(sender, set()).update(names)
        return {sender: sorted(names) for sender, names in sorted(found.items())}

    def sender(self, index: int) -> str:
        """Which of the senders the delivery wants."""
        return self._deliveries[index][0]

    def sent_to(self, sender: str) -> list[str]:
        """The addresses that a sender sends to."""
        return [self.steps[index].address for index in self.deliveries if self.sender(index) == sender]

    @cached_property
    def unmade(self) -> list[str]:
        """The receivers that are not made yet when something is delivered."""
        first = min(self.deliveries, default=0)
        made = {step.socket for step in self.steps[:first]}
        return [name for name in self.receivers if name not in made]

    @cached_property
    def receivers(self) -> list[str]:
        """The sockets that may receive from anywhere."""
        return sorted({name for names in self.senders.values() for name in names})

    @cached_property
    def _deliveries(self) -> dict[int, tuple[str, list[str]]]:
        found = {}
        open_now: dict[str, str] = {}
        for index, step in enumerate(self.steps):
            if step.kind in ("socket", "accept"):
                open_now[step.socket] = SOCKETS[step.what].type if step.kind == "socket" else "SOCK_STREAM"
            elif step.kind == "close":
                open_now.pop(step.socket, None)
            elif step.delivers:
                if "IPPROTO_UDPLITE" in self.protocols:
                    raise Problem(Place("reproduce"), f"no program is written for {step.text!r} to UDP-Lite")
                stream = "SOCK_STREAM" in open_now.values() and step.kind == "deliver" and not multicast(step.address)
                kind = "SOCK_STREAM" if stream else "SOCK_DGRAM"
                sender = "deliver_tcp" if stream else "deliver_udp" if step.kind == "deliver" else "deliver_flow"
                found[index] = (sender, sorted(name for name, type_ in open_now.items() if type_ == kind))
        return found

    def used_later(self, index: int) -> bool:
        """Whether a later step is on the socket that this step makes or closes, before the name is made again."""
        name = self.steps[index].socket
        for later in range(index + 1, len(self.steps)):
            step = self.steps[later]
            if step.kind == "accept" and step.what == name:
                return True
            if step.kind in ("socket", "accept") and step.socket == name:
                return False
            if step.socket == name:
                return True
        return name in self.receivers

    def unchecked(self, index: int) -> bool:
        """Whether the step is left to the next call on the socket, which tells, too."""
        line = self.case.lines[index]
        if line.accepted not in ((), ("ok",)):
            return False
        return line.step.kind == "wait" or (line.step.kind == "socket" and self.used_later(index))

    def family(self, index: int) -> str:
        """``AF_INET`` or ``AF_INET6``: that of the socket of a step; an accepted one has that of its listener."""
        name = self.steps[index].socket
        for before in range(index - 1, -1, -1):
            step = self.steps[before]
            if step.socket == name and step.kind == "socket":
                return SOCKETS[step.what].family
            if step.socket == name and step.kind == "accept":
                name = step.what
        return ""


def filled(text: str, fills: Mapping[str, str]) -> str:
    """``text`` with what is between @ filled in."""
    for key, value in fills.items():
        text = text.replace(key, value)
    return text


def variable(name: str) -> str:
    """A socket's name as a variable: as it is where no word of C, Python or the programs can be meant."""
    return name if re.fullmatch(r"[a-z]\d*", name) else f"s_{name}"


def multicast(address: str) -> bool:
    """Whether the address is a group."""
    return address.startswith("ff") or (":" not in address and 224 <= int(address.partition(".")[0]) < 240)


def condition(
    line: CaseStep, names: list[str], got: Callable[[str], str], both: str, either: str, constant: Callable[[str], str]
) -> str:
    """When a delivery is as expected, "" for always; ``both`` and ``either`` are the operators of the language.

    ``got`` is the text for the number that a socket got, ``constant`` that for an error, ``refused`` and ``timeout``;
    ``failed`` is how many clients got an error, ``error`` which one.  Raises :class:`Problem` for a receiver that is
    not there.
    """
    alternatives = [f" {both} ".join(_conditions(one, line.step, names, got, constant)) for one in line.accepted]
    return alternatives[0] if len(alternatives) == 1 else f" {either} ".join(f"({one})" for one in alternatives)


def _conditions(
    outcome: str, step: Step, names: list[str], got: Callable[[str], str], constant: Callable[[str], str]
) -> list[str]:
    exact = counts(outcome)
    kind, listed = ("", tuple(exact)) if exact else Receivers.of(outcome)
    shares = {name: exact.get(name, DELIVERIES) for name in listed}
    word = next((name for name in shares if name not in names), "")
    if word not in ("", "refused", "timeout", "none") and not word.startswith("E"):
        raise Problem(Place("--expect"), f"{word!r} is no open socket of that kind when {step.text!r} sends")
    others = [f"{got(name)} == 0" for name in names if name not in shares]
    receivers = [name for name in names if name in shares]
    refusal = [f"error == {constant(word)}"] if word not in ("", "none") else []
    if not kind:
        found = [f"{got(name)} == {shares[name]}" for name in receivers] + others
        if word == "timeout":  # the first one ends the attempt
            return found + refusal
        return [*found, f"failed == {shares[word]}", *refusal] if refusal else [*found, "failed == 0"]
    if kind == EVERY:
        return [f"{got(name)} == {DELIVERIES}" for name in receivers] + others
    terms = [got(name) for name in receivers] + ["failed"] * len(refusal)
    some = [f"{term} > 0" for term in terms]
    if len(terms) > 2:  # a spread is met by any two of them
        some = [" + ".join(f"({one})" for one in some) + " >= 2"]
    total = " + ".join(terms) + (f" < {DELIVERIES}" if word == "none" else f" == {DELIVERIES}")
    return [*some, total, *others, *refusal]
