"""The notation of scenarios: one table of step kinds, a parser and a printer that are inverse to each other.

A *scenario* is a sequence of *steps* on named sockets that share one port, written as words separated by white space:

    a=tcp4 a.reuseaddr=1 a.bind=0.0.0.0 a.listen b=tcp4 b.bind=127.0.0.1

The text is the identity of the scenario, the input of every command and what reports print.  The canonical form is
what :func:`Scenario.text` gives: one space between steps, addresses in their shortest form.

Rules:

* a socket is made before it is used, and a name is not made again while it is open (``a.close`` frees it);
* a step on a socket that the scenario closed is legal: the kernel answers ``EBADF``;
* every ``bind``, ``connect`` and ``deliver`` means the scenario's own port, except ``a.bind=ADDRESS,0``;
* a Unix socket has a name for an address: ``/x`` is a file in a folder that only the scenario has, ``@x`` an abstract
  name.  Two names are two places, and what stays of a name when its socket is closed is part of the answer;
* a vsock has the scenario's port and one of the CIDs ``cid:any`` (VMADDR_CID_ANY), ``cid:local`` (VMADDR_CID_LOCAL) and
  ``cid:own``, that of the machine;
* ``remote4`` and ``remote6`` are TCP sockets of another host.  They only connect (to ``192.0.2.1`` or ``2001:db8::1``,
  the address of this host there), read and close;
* an address is of the kind of its socket: IP, a name, or a CID.  (IPv4 and IPv6 may be mixed: systems differ there.)

More kinds of socket and more options are new rows of ``SOCKET_KINDS`` and ``OPTIONS``, nothing else.  The executor
(``execute/executor.py``) must stay a single file without imports and carries the same rows; a test compares the two.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple

from bindmatrix.errors import Place, Problem, nearest, whole_number
from bindmatrix.not_modelled import why_not


class SocketKind(NamedTuple):
    """A row of the table of sockets: what ``socket()`` is asked for."""

    protocol: str
    #: ipv4 ipv6 unix vsock
    family: str
    #: stream datagram
    type: str

    @property
    def addresses(self) -> str:
        """What its addresses are: ``ip``, ``unix`` or ``vsock``."""
        return "ip" if self.family.startswith("ip") else self.family


SOCKET_KINDS: dict[str, SocketKind] = {
    "tcp4": SocketKind("tcp", "ipv4", "stream"),
    "tcp6": SocketKind("tcp", "ipv6", "stream"),
    "udp4": SocketKind("udp", "ipv4", "datagram"),
    "udp6": SocketKind("udp", "ipv6", "datagram"),
    "mptcp4": SocketKind("mptcp", "ipv4", "stream"),
    "mptcp6": SocketKind("mptcp", "ipv6", "stream"),
    "udplite4": SocketKind("udplite", "ipv4", "datagram"),
    "udplite6": SocketKind("udplite", "ipv6", "datagram"),
    "unix": SocketKind("unix", "unix", "stream"),
    "unixgram": SocketKind("unixgram", "unix", "datagram"),
    "vsock": SocketKind("vsock", "vsock", "stream"),
    "remote4": SocketKind("remote", "ipv4", "stream"),
    "remote6": SocketKind("remote", "ipv6", "stream"),
}

#: the protocols of SOCKET_KINDS, and those of stream sockets
PROTOCOLS: tuple[str, ...] = tuple(dict.fromkeys(kind.protocol for kind in SOCKET_KINDS.values()))
STREAMS: frozenset[str] = frozenset(kind.protocol for kind in SOCKET_KINDS.values() if kind.type == "stream")

#: the protocol of the sockets of another host, and the addresses by which that knows this one (RFC 5737, RFC 3849)
REMOTE = "remote"
HERE: tuple[str, str] = ("192.0.2.1", "2001:db8::1")

#: what may follow ``cid:``
CIDS: tuple[str, ...] = ("any", "local", "own")

#: option of the notation -> the option's name in the headers of the systems that have it
OPTIONS: dict[str, str] = {
    "reuseaddr": "SO_REUSEADDR",
    "reuseport": "SO_REUSEPORT",
    "reuseport_lb": "SO_REUSEPORT_LB",
    "exclusive": "SO_EXCLUSIVEADDRUSE",
    "exclbind": "SO_EXCLBIND",
    "v6only": "IPV6_V6ONLY",
    "broadcast": "SO_BROADCAST",
}

#: verb after the dot -> what must follow the ``=`` ("" = nothing may)
VERBS: dict[str, str] = {
    "bind": "an address, or an address and ',0'",
    "listen": "",
    "connect": "an address",
    "read": "",
    "close": "",
    "join": "a multicast address",
}

#: word before the ``=`` of a step that is on no socket -> what must follow
GLOBALS: dict[str, str] = {
    "user": "a user number",
    "wait": "a time in milliseconds",
    "deliver": "an address",
    "deliver_flow": "an address",
}

#: the calls that ask who receives
DELIVERS = ("deliver", "deliver_flow")

MAX_USER = 2**32 - 2
MAX_WAIT = 600_000

_NAME = re.compile(r"[a-z][a-z0-9_]*\Z")
_WITH_PORT = re.compile(r"(\d+(\.\d+){3}|\[.*\]):\d+")
_UNIX_NAME = re.compile(r"[/@][a-z0-9_]{1,32}\Z")

#: what addresses are -> how they are called, and an example
ADDRESSES = {
    "ip": ("an IPv4 or IPv6 address", "127.0.0.1"),
    "unix": ("the name of a Unix socket ('/x' a file, '@x' abstract)", "/x"),
    "vsock": ("a CID (any, local, own)", "cid:any"),
}


class Step(NamedTuple):
    """One step.  ``kind`` is the call; the other fields are empty where the call has no such argument.

    ``kind`` is one of ``socket set bind listen connect accept read close join user wait deliver deliver_flow``.
    """

    text: str
    kind: str
    socket: str = ""
    #: ``socket``: a row of SOCKET_KINDS; ``set``: a row of OPTIONS; ``accept``: the listening socket
    what: str = ""
    #: canonical text of the address of ``bind connect join deliver deliver_flow``
    address: str = ""
    #: ``set``: 0 or 1; ``bind``: 1 when the kernel chooses the port; ``user``: the user; ``wait``: milliseconds
    value: int = 0

    @property
    def delivers(self) -> bool:
        """Whether the step asks who receives, so that its outcome is counts."""
        return self.kind in DELIVERS


@dataclass(frozen=True, slots=True)
class Scenario:
    """A parsed scenario.  Equal scenarios have equal text."""

    steps: tuple[Step, ...]

    @property
    def text(self) -> str:
        """The canonical form."""
        return " ".join([step.text for step in self.steps])

    def __str__(self) -> str:
        return self.text


def delivers(word: str) -> bool:
    """Whether the step written as ``word``, which may be none, asks who receives."""
    return word.partition("=")[0] in DELIVERS


def parse(text: str, *, name: str = "scenario", line: int = 0) -> Scenario:
    """The scenario written in ``text``; raises :class:`Problem` that points at the first wrong step.

    ``name`` and ``line`` say where the text comes from.
    """
    words = text.split()
    try:
        steps = [step(word) for word in words]
        fault = _structure_fault(steps)
    except ValueError:
        return _explain(text, name, line)
    if fault is not None or not steps:
        return _explain(text, name, line)
    return Scenario(tuple(steps))


@lru_cache(maxsize=65536)
def step(word: str) -> Step:
    """The step written as ``word``; raises ValueError with what was expected there."""
    head, equals, value = word.partition("=")
    socket, dot, verb = head.partition(".")
    if dot:
        return _socket_step(socket, verb, equals, value)
    if head in GLOBALS:
        return _global_step(head, equals, value)
    if not equals:
        raise ValueError(_unknown_word(word))
    _check_name(head)
    source, dot, verb = value.partition(".")
    if dot:
        _check_name(source)
        if verb != "accept":
            raise ValueError(f"expected '{head}={source}.accept', got {word!r}{nearest(verb, ['accept'])}")
        return Step(f"{head}={source}.accept", "accept", head, source)
    if value not in SOCKET_KINDS:
        raise ValueError(
            f"unknown kind of socket {value!r}; expected one of {_words(SOCKET_KINDS)} or 'SOCKET.accept'"
            + nearest(value, SOCKET_KINDS)
        )
    return Step(f"{head}={value}", "socket", head, value)


def _socket_step(socket: str, verb: str, equals: str, value: str) -> Step:
    _check_name(socket)
    if socket in GLOBALS:
        raise ValueError(f"{socket!r} is not a socket; write '{socket}={GLOBALS[socket].replace(' ', '-')}'")
    if verb in OPTIONS:
        if value not in ("0", "1") or not equals:
            raise ValueError(f"expected '{socket}.{verb}=0' or '{socket}.{verb}=1'")
        return Step(f"{socket}.{verb}={value}", "set", socket, verb, "", int(value))
    if verb not in VERBS:
        valid = [*VERBS, *OPTIONS]
        if why_not(verb):
            raise ValueError(why_not(verb))
        raise ValueError(f"unknown call or option {verb!r}; expected one of {_words(valid)}{nearest(verb, valid)}")
    expected = VERBS[verb]
    if not expected:
        if equals:
            raise ValueError(f"{verb!r} takes no value; write '{socket}.{verb}'")
        return Step(f"{socket}.{verb}", verb, socket)
    if not equals:
        raise ValueError(f"{verb!r} needs {expected}: '{socket}.{verb}=127.0.0.1'")
    chosen = 0
    if verb == "bind":
        value, comma, port = value.partition(",")
        if comma and port != "0":
            raise ValueError(
                f"expected ',0' (the kernel chooses the port), got ',{port}'; every other bind is to the "
                "scenario's own port"
            )
        chosen = int(bool(comma))
        if chosen and addresses_of(value) == "unix":
            raise ValueError(f"the kernel chooses ports, not names; write '{socket}.bind={value}'")
    address = _address(value, multicast=verb == "join")
    return Step(f"{socket}.{verb}={address}{',0' if chosen else ''}", verb, socket, "", address, chosen)


def _global_step(word: str, equals: str, value: str) -> Step:
    if not equals:
        raise ValueError(f"{word!r} needs {GLOBALS[word]}: '{word}=...'")
    if word.startswith("deliver"):
        address = _address(value)
        return Step(f"{word}={address}", word, "", "", address)
    limit = MAX_USER if word == "user" else MAX_WAIT
    number = whole_number(value, limit)
    if number is None:
        raise ValueError(f"{word!r} needs {GLOBALS[word]} from 0 to {limit}, got {value[:80]!r}")
    return Step(f"{word}={number}", word, "", "", "", number)


def addresses_of(address: str) -> str:
    """What the text of an address is: ``ip``, ``unix`` or ``vsock``."""
    return "unix" if address[:1] in ("/", "@") else "vsock" if address.startswith("cid:") else "ip"


def _address(text: str, *, multicast: bool = False) -> str:
    if multicast and addresses_of(text) != "ip":
        raise ValueError(f"expected a multicast address, got {text!r}")
    if addresses_of(text) == "unix":
        if not _UNIX_NAME.match(text):
            raise ValueError(f"expected a name such as '/x' or '@x' (small letters, digits, _), got {text!r}")
        return text
    if addresses_of(text) == "vsock":
        if text[4:] not in CIDS:
            raise ValueError(f"expected one of {_words(f'cid:{one}' for one in CIDS)}, got {text!r}")
        return text
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        hint = "; leave out the port: all sockets share one" if _WITH_PORT.fullmatch(text) else ""
        raise ValueError(f"expected an IPv4 or IPv6 address, got {text!r}{hint}") from None
    if isinstance(address, ipaddress.IPv6Address) and address.scope_id is not None:
        raise ValueError("an address with a scope (%) is not part of the notation")
    if multicast and not address.is_multicast:
        raise ValueError(f"expected a multicast address, got {text!r}")
    return address_text(address)


def address_text(address: ipaddress.IPv4Address | ipaddress.IPv6Address) -> str:
    """The canonical text: IPv4-mapped addresses keep their dotted part (``::ffff:127.0.0.1``)."""
    if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped is not None:
        return f"::ffff:{address.ipv4_mapped}"
    return str(address)


def _check_name(name: str) -> None:
    if not _NAME.match(name):
        raise ValueError(f"expected the name of a socket (a small letter, then letters, digits, _), got {name!r}")


def _unknown_word(word: str) -> str:
    valid = [*GLOBALS, *VERBS, *OPTIONS]
    return f"expected a step such as 'a=tcp4', 'a.bind=127.0.0.1' or 'user=1001', got {word!r}{nearest(word, valid)}"


def _words(words: Iterable[str]) -> str:
    return ", ".join(repr(word) for word in words)


def _structure_fault(steps: list[Step]) -> tuple[int, str] | None:
    """The index of the first step that has no socket to work on, makes one that is open, or has a wrong address."""
    made: dict[str, bool] = {}
    addresses: dict[str, str] = {}
    for index, one in enumerate(steps):
        if one.kind == "accept" and one.what not in made:
            return index, f"{one.what!r} is not a socket yet; make it first with '{one.what}=tcp4'"
        if one.kind in ("socket", "accept"):
            if made.get(one.socket):
                return index, f"{one.socket!r} is still open; close it first or use another name"
            made[one.socket] = True
            addresses[one.socket] = addresses[one.what] if one.kind == "accept" else SOCKET_KINDS[one.what].addresses
        elif one.socket:
            if one.socket not in made:
                return index, f"{one.socket!r} is not a socket yet; make it first with '{one.socket}=tcp4'" + (
                    nearest(one.socket, made)
                )
            if one.address and addresses_of(one.address) != addresses[one.socket]:
                return index, _expected_address(one.socket, one.kind, addresses[one.socket])
            if one.kind == "close":
                made[one.socket] = False
    return None


def _expected_address(socket: str, call: str, addresses: str) -> str:
    expected, example = ADDRESSES[addresses]
    return f"expected {expected} for {socket!r}, as in '{socket}.{call}={example}'"


def _other_address(word: str, steps: Iterable[Step]) -> str:
    """What a word that is no step should be, where its socket has other addresses than IP; "" for any other."""
    socket, _, rest = word.partition(".")
    call, _, address = rest.partition("=")
    kinds = {one.socket: SOCKET_KINDS[one.what].addresses for one in steps if one.kind == "socket"}
    addresses = kinds.get(socket, "ip")
    wrong = call in ("bind", "connect") and addresses != "ip" and addresses_of(address) != addresses
    return _expected_address(socket, call, addresses) if wrong else ""


def _explain(text: str, name: str, line: int) -> Scenario:
    """Raise the Problem that says what is wrong with ``text``."""
    shown = " ".join(text.split()) if "\n" in text or "\t" in text else text.rstrip()
    steps: list[Step] = []
    for column, word in words_with_columns(shown):
        place = Place(name, line or 1, column)
        try:
            steps.append(step(word))
        except ValueError as error:
            message = _other_address(word, steps) or str(error)
            raise Problem(place, message, source=shown, width=len(word)) from None
        fault = _structure_fault(steps)
        if fault is not None:
            raise Problem(place, fault[1], source=shown, width=len(word))
    raise Problem(Place(name, line or 1, 1), "expected a scenario such as 'a=tcp4 a.bind=127.0.0.1', got nothing")


def words_with_columns(text: str) -> Iterator[tuple[int, str]]:
    """Each word of ``text`` with its column, counted from 1."""
    for match in re.finditer(r"\S+", text):
        yield match.start() + 1, match.group()
