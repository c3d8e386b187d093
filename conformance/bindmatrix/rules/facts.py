"""The facts that rules may use. This is the only place where a fact is defined.

A *fact* is a named property with a few values.  Conditions (``when``, ``unless``, ``among``...) are mappings of facts
to a value or a list of values; there are no other expressions.  To add a fact, add one row here: the documentation is
printed from this table, ``lint`` enumerates it, and the evaluator asks it.

A fact is a function of a :class:`Question`: a call, the socket that makes it (*new*), the port, and for facts of the
scope :data:`EXISTING` one socket that is on the port already.  Facts of the scope :data:`CALL` must not look at the
existing socket; there may be none.

The tests define every fact a second time, from its documentation alone, and compare.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import NamedTuple

from bindmatrix.notation import OPTIONS, PROTOCOLS
from bindmatrix.rules.sockets import BITS, Call, Memory, Sock, relation_in

#: scopes: facts of the call, the new socket and the port; facts about one existing socket
CALL, EXISTING = "call", "existing"


class Question:
    """What a fact may look at.

    ``new_options`` and ``existing_options`` are the options (bits, see ``sockets.BITS``) that count as set, at the time
    at which the system looks at each of them.  ``relation`` is how the address of ``existing`` relates to that of
    ``new``, in the space that the rule looks ``in``.
    """

    __slots__ = (
        "call",
        "existing",
        "existing_options",
        "memory",
        "new",
        "new_options",
        "on_port",
        "port_number",
        "relation",
        "socks",
    )

    def __init__(
        self,
        call: Call,
        new: Sock,
        new_options: int,
        memory: Memory,
        on_port: list[Sock],
        socks: tuple[Sock, ...],
        port_number: int,
    ) -> None:
        self.call = call
        self.new = new
        self.new_options = new_options
        self.memory = memory
        #: the sockets that share ports with ``new`` and are on the scenario's port, ``new`` among them when it is
        self.on_port = on_port
        #: all sockets
        self.socks = socks
        self.port_number = port_number
        #: the existing socket in question; set for each in turn
        self.existing: Sock
        self.existing_options: int
        self.relation: str


class Fact(NamedTuple):
    """``read`` returns the value; ``values`` maps each value as files write it to what ``read`` returns for it."""

    name: str
    scope: str
    doc: str
    values: Mapping[str, object]
    read: Callable[[Question], object]


def _yes_no(name: str, scope: str, doc: str, read: Callable[[Question], bool]) -> Fact:
    return Fact(name, scope, doc, {"yes": True, "no": False}, read)


def _one_of(name: str, scope: str, doc: str, words: str, read: Callable[[Question], str]) -> Fact:
    return Fact(name, scope, doc, {word: word for word in words.split()}, read)


def _option_facts(option: str, constant: str) -> list[Fact]:
    bit = BITS[option]
    new = _yes_no(f"new.{option}", CALL, f"the new socket has {constant}", lambda q: bool(q.new_options & bit))
    if option == "v6only":
        return [new]
    return [
        new,
        _yes_no(
            f"existing.{option}",
            EXISTING,
            f"the existing socket has {constant}",
            lambda q: bool(q.existing_options & bit),
        ),
        _yes_no(
            f"both.{option}",
            EXISTING,
            f"both have {constant}",
            lambda q: bool(q.new_options & q.existing_options & bit),
        ),
        _yes_no(
            f"either.{option}",
            EXISTING,
            f"one or both have {constant}",
            lambda q: bool((q.new_options | q.existing_options) & bit),
        ),
        _yes_no(
            f"existing.{option}-at-bind",
            EXISTING,
            f"the existing socket had {constant} when it was bound, whenever the option counts elsewhere",
            lambda q: bool(q.existing.at_bind & bit),
        ),
    ]


def _group(new: Sock) -> str | None:
    """The multicast group that a socket's address is, where it is one."""
    return new.v4 or new.v6


def _to_itself(ends: str) -> bool:
    here, _, there = ends.partition(">")
    return bool(ends) and here == there


def _wildcards(on_port: Iterable[Sock]) -> str:
    """The value of ``port.wildcards``; a dual ``::`` and a V6ONLY one are one address."""
    found = {"ipv6" if sock.form == "dual" else sock.form for sock in on_port if sock.kind == "wildcard"}
    return "several" if len(found) > 1 else "one"


def port_class(number: int) -> str:
    """The value of ``port.number`` for a port."""
    return "other" if number % 128 else "multiple-of-128"


def _next_user(q: Question) -> str:
    if q.call.next_user == q.call.user:
        return "same"
    return "ordinary" if q.call.next_user else "root"


def _share_a_space(one: Sock, other: Sock) -> bool:
    return bool((one.v4 and other.v4) or (one.v6 and other.v6))


def _existing_joined(q: Question) -> str:
    if not q.existing.joined:
        return "none"
    return "group" if _group(q.new) in q.existing.joined else "other"


def _existing_listener(q: Question) -> str:
    listener = q.existing.listener
    return "open" if listener not in ("", "closed") else listener or "none"


def _existing_group(q: Question) -> str:
    if not q.existing.group:
        return "none"
    return "same" if q.existing.group == q.new.group else "other"


def _peer(sock: Sock) -> str:
    if not sock.connection:
        return "none"
    return "remote" if sock.remote else "local"


def _new_peer(q: Question) -> str:
    return _peer(q.new)


def _same(equal: bool) -> str:
    return "same" if equal else "other"


_FORMS = "ipv4 mapped dual ipv6"
_OTHER_FORMS = f"{_FORMS} path abstract cid"
_FAMILIES = "ipv4 ipv6 unix vsock"
_PEERS = "local remote none"
_RELATIONS = "same wider narrower apart"

_FACTS: list[Fact] = [
    _one_of(
        "new.protocol",
        CALL,
        "the protocol; of a socket that is listed in `stack: sockets`, what it is listed `as`",
        "tcp udp unix vsock",
        lambda q: q.new.protocol,
    ),
    _one_of("new.socket", CALL, "the protocol as the notation has it", " ".join(PROTOCOLS), lambda q: q.new.made_as),
    _one_of(
        "new.family", CALL, "the address family of the socket, whatever its address", _FAMILIES, lambda q: q.new.family
    ),
    _one_of(
        "new.form",
        CALL,
        "the form of the address: of an AF_INET socket; IPv4-mapped; `::` without V6ONLY; any other IPv6; "
        "a Unix socket's file or abstract name; a CID",
        _OTHER_FORMS,
        lambda q: q.new.form,
    ),
    _one_of(
        "new.address",
        CALL,
        "the kind of the address; a mapped address is what its IPv4 part is; not-local: none of this host's",
        "wildcard specific multicast broadcast not-local",
        lambda q: q.new.kind,
    ),
    _yes_no(
        "new.needs-scope-id",
        CALL,
        "a link-local address, which the notation gives no scope id",
        lambda q: q.call.needs_scope,
    ),
    _yes_no("new.fits-family", CALL, "the address of the call has the family of the socket", lambda q: q.call.fits),
    _one_of(
        "destination",
        CALL,
        "the form of the address of a connect()",
        "ipv4 mapped ipv6 path abstract cid",
        lambda q: q.call.destination,
    ),
    _one_of(
        "destination.address",
        CALL,
        "the kind of the address of a connect(); broadcast: of every network, or of one of the host's own",
        "wildcard specific multicast broadcast not-local",
        lambda q: q.call.destination_kind,
    ),
    _yes_no(
        "new.to-itself",
        CALL,
        "a connect() to the address and port that the socket itself has; of other calls: it has such a connection",
        lambda q: _to_itself(q.call.ends),
    ),
    _yes_no("new.bound", CALL, "the socket is already bound", lambda q: q.new.port != 0),
    _yes_no(
        "new.again",
        CALL,
        "a bind() to the address that it has already; a connect() to it, of an IPv4 or Unix socket",
        lambda q: q.call.again,
    ),
    _one_of(
        "new.state",
        CALL,
        "its state before the call; dead: a failed call left it unusable",
        "open bound listening connected close-wait fin-wait time-wait reset dead",
        lambda q: q.new.state,
    ),
    Fact(
        "new.tried",
        CALL,
        "what a bind() that failed, or a connect(), has left in it: the space of its address; a dual `::` that failed",
        {"nothing": "", "ipv4": "ipv4", "ipv6": "ipv6", "dual": "dual"},
        lambda q: q.new.tried,
    ),
    _yes_no("new.accepted", CALL, "made by accept()", lambda q: q.new.accepted),
    _one_of(
        "new.peer", CALL, "where the other end of its connection is; none: it has no connection", _PEERS, _new_peer
    ),
    _yes_no("new.privileged", CALL, "made by root (effective user at socket())", lambda q: q.new.user == 0),
    _one_of("user.now", CALL, "who makes the step", "root ordinary", lambda q: "ordinary" if q.call.user else "root"),
    _one_of("user.next", CALL, "the user that a `user=` step asks for", "same root ordinary", _next_user),
    _one_of("option", CALL, "the option of a setsockopt()", " ".join(OPTIONS), lambda q: q.call.option),
    Fact("value", CALL, "the value of a setsockopt()", {"0": 0, "1": 1}, lambda q: q.call.value),
    _one_of(
        "call",
        CALL,
        "the call",
        "socket set bind listen connect accept read close user deliver deliver_flow",
        lambda q: q.call.kind,
    ),
    _yes_no("port.empty", CALL, "no socket has the port, the new one included", lambda q: not q.on_port),
    _yes_no("port.crowded", CALL, "more than ten sockets of the protocol have the port", lambda q: len(q.on_port) > 10),
    _one_of(
        "port.wildcards",
        CALL,
        "its sockets of the protocol are on one wildcard at most, or on several of 0.0.0.0, ::ffff:0.0.0.0 and ::",
        "one several",
        lambda q: _wildcards(q.on_port),
    ),
    _one_of(
        "port.unconnected",
        CALL,
        "how many sockets of the protocol have the port and no connection",
        "none one several",
        lambda q: ("none", "one", "several")[min(sum(not sock.connection for sock in q.on_port), 2)],
    ),
    _one_of(
        "port.number",
        CALL,
        "the number of the scenario's port; runs avoid multiples of 128",
        "multiple-of-128 other",
        lambda q: port_class(q.port_number),
    ),
    _yes_no(
        "group.joined",
        CALL,
        "some socket of the host has joined the multicast group of the address",
        lambda q: any(_group(q.new) in sock.joined for sock in q.socks),
    ),
    _one_of(
        "memory.reuseport",
        CALL,
        "what the port remembers of an earlier bind with SO_REUSEPORT: its address, or that any address will do",
        "nothing address anywhere",
        lambda q: q.memory.reuseport,
    ),
    _yes_no(
        "memory.reuseaddr",
        CALL,
        "the port remembers that all its binds had SO_REUSEADDR",
        lambda q: q.memory.reuseaddr == "yes",
    ),
    _one_of(
        "memory.user", CALL, "whose bind the port remembers", "same other", lambda q: _same(q.memory.user == q.new.user)
    ),
    _one_of(
        "memory.address",
        CALL,
        "how the remembered address relates to the new one",
        _RELATIONS,
        lambda q: relation_in("any", q.memory.v4, q.memory.v6, q.new.v4, q.new.v6),
    ),
    _one_of("memory.form", CALL, "the form of the remembered address", _FORMS, lambda q: q.memory.form),
    _one_of(
        "existing.address",
        EXISTING,
        "how the existing address relates to the new one, in the space the rule looks `in`: "
        "wider is a wildcard over it",
        _RELATIONS,
        lambda q: q.relation,
    ),
    _yes_no(
        "existing.overlaps",
        EXISTING,
        "their addresses are the same or one covers the other",
        lambda q: q.relation != "apart",
    ),
    _one_of(
        "existing.space",
        EXISTING,
        "whether it takes one of the spaces (IPv4, IPv6) that the new one takes",
        "same other",
        lambda q: _same(_share_a_space(q.existing, q.new)),
    ),
    _one_of(
        "existing.socket",
        EXISTING,
        "whether the notation has the same protocol for both",
        "same other",
        lambda q: _same(q.existing.made_as == q.new.made_as),
    ),
    _one_of("existing.form", EXISTING, "the form of its address", _OTHER_FORMS, lambda q: q.existing.form),
    _yes_no(
        "existing.same-form",
        EXISTING,
        "its address has the form of the new one's",
        lambda q: q.existing.form == q.new.form,
    ),
    _one_of(
        "existing.joined",
        EXISTING,
        "which multicast groups it joined: that of the address in question, only others, none",
        "group other none",
        _existing_joined,
    ),
    _one_of("existing.family", EXISTING, "its address family", _FAMILIES, lambda q: q.existing.family),
    _one_of(
        "existing.kind",
        EXISTING,
        "the kind of its address",
        "wildcard specific multicast broadcast",
        lambda q: q.existing.kind,
    ),
    _yes_no(
        "either.wildcard",
        EXISTING,
        "one or both are on a wildcard",
        lambda q: q.new.kind == "wildcard" or q.existing.kind == "wildcard",
    ),
    _one_of(
        "existing.state",
        EXISTING,
        "its state: fin-wait: closed here, not yet by the other side; file: closed, the name of a Unix socket stays",
        "bound listening connected close-wait fin-wait time-wait reset file",
        lambda q: q.existing.state,
    ),
    _yes_no("existing.listening", EXISTING, "it listens", lambda q: q.existing.state == "listening"),
    _yes_no(
        "existing.connected",
        EXISTING,
        "it has, or had, another end: connected, TIME_WAIT...",
        lambda q: q.existing.connection != 0,
    ),
    _one_of(
        "existing.peer",
        EXISTING,
        "where the other end of its connection, TIME_WAIT too, is; none: it has no connection",
        _PEERS,
        lambda q: _peer(q.existing),
    ),
    _yes_no(
        "existing.same-connection",
        EXISTING,
        "its connection, TIME_WAIT too, has the addresses and ports of the one that a connect() asks for",
        lambda q: q.call.ends != "" and q.existing.ends == q.call.ends,
    ),
    _yes_no(
        "existing.accepted",
        EXISTING,
        "it came to a listener: accepted, or waiting for accept()",
        lambda q: q.existing.accepted,
    ),
    _yes_no("existing.queued", EXISTING, "it waits for accept()", lambda q: q.existing.queued),
    _one_of(
        "existing.listener",
        EXISTING,
        "of an accepted socket: whether its listener is still open; none: it was not accepted",
        "open closed none",
        _existing_listener,
    ),
    _one_of(
        "existing.user",
        EXISTING,
        "which user it belongs to",
        "same other",
        lambda q: _same(q.existing.user == q.new.user),
    ),
    _yes_no("existing.privileged", EXISTING, "made by root", lambda q: q.existing.user == 0),
    _one_of(
        "existing.group",
        EXISTING,
        "of a deliver rule: whether it is in the group (`groups`) of the socket that was picked, in another, in none",
        "same other none",
        _existing_group,
    ),
    *[fact for option, constant in OPTIONS.items() for fact in _option_facts(option, constant)],
]

FACTS: dict[str, Fact] = {fact.name: fact for fact in _FACTS}

#: facts that depend on the space that the rule looks ``in``
SPACED = ("existing.address", "existing.overlaps")
