"""The state of a scenario's sockets: plain immutable records, without the semantics of any kernel.

A :class:`Sock` is a socket, with a name or without (a connection that was not accepted yet, a TIME_WAIT, the file of a
closed Unix socket). A :class:`State` is everything that may matter for the next step. Equal states behave equally, so
the automaton (``oracle.py``) merges the histories that lead to them.

Addresses are compared in two *spaces*, ``ipv4`` and ``ipv6``. The expectation file says which of them a bound socket
occupies (``stack: occupies``). In each space it holds :data:`ANY`, :data:`ALL` (wider than ANY: a dual ``::`` with
``stack: dual: wider``) or the text of one address. A Unix socket's name or a vsock's CID is kept in the first space; it
never meets an IP address, because these families have ports of their own.
"""

from __future__ import annotations

import ipaddress
from functools import lru_cache
from typing import NamedTuple

from bindmatrix.notation import OPTIONS, STREAMS, addresses_of

ANY = "any"
ALL = "all"

#: option -> its bit in ``Sock.now``, ``Sock.at_bind`` and ``Sock.ever``
BITS: dict[str, int] = {option: 1 << index for index, option in enumerate(OPTIONS)}

#: values of ``Sock.port``
NO_PORT, SCENARIO_PORT, OTHER_PORT = 0, 1, 2


class Sock(NamedTuple):
    """One socket.  The address fields are None or empty while it has no address."""

    name: str
    protocol: str
    family: str
    user: int
    now: int = 0
    at_bind: int = 0
    ever: int = 0
    port: int = NO_PORT
    #: ipv4 mapped dual ipv6, path abstract, cid: the shape of the address it is bound to
    form: str = ""
    #: wildcard specific multicast broadcast not-local
    kind: str = ""
    v4: str | None = None
    v6: str | None = None
    #: reset: the peer refused or reset the connection; dead: a failed listen() left the socket unusable
    #: file: the name of a Unix socket that is closed
    #: open bound listening connected close-wait fin-wait time-wait reset file dead
    state: str = "open"
    #: number of the connection it is an end of, 0 when none
    connection: int = 0
    #: the addresses of that connection (``127.0.0.1>127.0.0.2``, ours first) where both ends are on the scenario's port
    ends: str = ""
    #: made by accept(), or still waiting for it
    accepted: bool = False
    #: of an accepted socket: the name of its listener while that is open, then "closed"
    listener: str = ""
    #: waits in its listener's accept queue
    queued: bool = False
    #: multicast groups that it joined
    joined: tuple[str, ...] = ()
    #: ipv4 ipv6: the space of the address that a failed bind() or a connect() has left in it, "" for none
    tried: str = ""
    #: milliseconds until a TIME_WAIT ends
    left: int = 0
    #: place in the order of socket(), counted only where a rule of ``deliver`` asks for that order
    made: int = 0
    #: number of the group that it joined or made, where the file has ``groups``; a later group has a higher one
    group: int = 0
    #: place in the lookup order if a lookup moves the socket that it finds to the front; 0 if nothing was moved
    front: int = 0
    #: the protocol as the notation has it, where ``protocol`` is another one to the rules (``stack: sockets``)
    socket: str = ""
    #: the protocol whose ports it uses; "" for those of ``protocol``
    ports: str = ""
    #: of a connection: its other end is on another host
    remote: bool = False

    @property
    def made_as(self) -> str:
        """The protocol as the notation has it."""
        return self.socket or self.protocol

    @property
    def is_stream(self) -> bool:
        """Whether it listens and accepts."""
        return self.made_as in STREAMS

    def with_options(self, now: int, at_bind: int, ever: int) -> Sock:
        """The same with other options; setsockopt() is half of all steps, and ``_replace`` is slow."""
        return Sock._make((*self[:4], now, at_bind, ever, *self[7:]))


class Memory(NamedTuple):
    """The memory of a port about earlier binds, as the section ``remember`` of the expectation file writes it."""

    reuseaddr: str = "nothing"
    reuseport: str = "nothing"
    user: int = 0
    form: str = ""
    v4: str | None = None
    v6: str | None = None


NOTHING = Memory()


class State(NamedTuple):
    """Everything that may matter for the next step.  ``socks`` is in chain order, the newest bind first."""

    user: int
    socks: tuple[Sock, ...] = ()
    memory: Memory = NOTHING


class Address(NamedTuple):
    """An address of the notation as the rules see it."""

    text: str
    #: ipv4 mapped dual ipv6 path abstract cid; ``dual`` stands for ``::`` until V6ONLY is known
    form: str
    kind: str
    #: its value in the space of its form
    value: str
    #: a link-local address that would need a scope id
    needs_scope: bool
    #: it lies in one of the host's own networks
    own: bool


@lru_cache(maxsize=4096)
def address(text: str, local: tuple[str, ...]) -> Address:
    """The address written ``text`` on a host whose own addresses lie in the networks ``local``."""
    if addresses_of(text) == "unix":
        return Address(text, "abstract" if text[0] == "@" else "path", "specific", text, False, True)
    if addresses_of(text) == "vsock":
        everywhere = text == "cid:any"
        return Address(text, "cid", "wildcard" if everywhere else "specific", ANY if everywhere else text, False, True)
    ip = ipaddress.ip_address(text)
    form = "ipv4"
    needs_scope = False
    if isinstance(ip, ipaddress.IPv6Address):
        mapped = ip.ipv4_mapped
        if mapped is not None:
            form, ip = "mapped", mapped
        else:
            form = "dual" if ip.is_unspecified else "ipv6"
            needs_scope = ip.is_link_local or (ip.is_multicast and ip.packed[1] & 0x0F in (1, 2))
    own = [network for network in _networks(local) if network.version == ip.version and ip in network]
    if ip.is_unspecified:
        kind = "wildcard"
    elif ip.is_multicast:
        kind = "multicast"
    elif str(ip) == "255.255.255.255" or (
        ip.version == 4 and any(ip == network.broadcast_address for network in own if network.prefixlen < 31)
    ):
        kind = "broadcast"
    else:
        kind = "specific" if own else "not-local"
    return Address(text, form, kind, ANY if kind == "wildcard" else str(ip), needs_scope, bool(own))


@lru_cache(maxsize=64)
def _networks(local: tuple[str, ...]) -> tuple[ipaddress.IPv4Network | ipaddress.IPv6Network, ...]:
    return tuple(ipaddress.ip_network(one) for one in local)


#: relations, from the closest to none
RELATIONS = ("same", "wider", "narrower", "apart")


def relation(theirs: str | None, ours: str | None) -> str:
    """How ``theirs`` relates to ``ours`` in one space: ``same wider narrower apart``; ``apart`` when one is not in
    it."""
    if theirs is None or ours is None:
        return "apart"
    if theirs == ours:
        return "same"
    if theirs == ALL or (theirs == ANY and ours != ALL):
        return "wider"
    if ours in (ALL, ANY):
        return "narrower"
    return "apart"


def plain(value: str | None) -> str | None:
    """The IPv4 address of a mapped one that lives in the IPv6 space; anything else is returned as it is."""
    return value.removeprefix("::ffff:") if value else value


def relation_in(space: str, their_v4: str | None, their_v6: str | None, v4: str | None, v6: str | None) -> str:
    """:func:`relation` in ``ipv4``, ``ipv6``, the closest of both with ``any``, in both as one space with ``one``."""
    if space == "ipv4":
        return relation(their_v4, v4)
    if space == "ipv6":
        return relation(their_v6, v6)
    if space == "one":
        mine, theirs = [plain(one) for one in (v4, v6) if one], [plain(one) for one in (their_v4, their_v6) if one]
        found = [relation(one, other) for one in theirs for other in mine]
        return min(found, key=RELATIONS.index, default="apart") if len(found) != 1 else found[0]
    if their_v6 is None or v6 is None:
        return relation(their_v4, v4)
    if their_v4 is None or v4 is None:
        return relation(their_v6, v6)
    first, second = relation(their_v4, v4), relation(their_v6, v6)
    return min(first, second, key=RELATIONS.index)


class Call(NamedTuple):
    """The arguments of the call that a section decides about, except those that are in the new socket."""

    kind: str
    user: int = 0
    option: str = ""
    value: int = 0
    next_user: int = 0
    needs_scope: bool = False
    #: the address has the family of the socket
    fits: bool = True
    #: a bind() to the address that the socket has already
    again: bool = False
    #: ipv4 mapped ipv6 path abstract cid: the form of the address of a connect()
    destination: str = ""
    #: as ``Sock.ends``, of the connection that a connect() asks for
    ends: str = ""
    #: as ``Sock.kind``, of the address of a connect()
    destination_kind: str = ""


def on_port(state: State, new: Sock) -> list[Sock]:
    """The sockets on the scenario's port that share ports with ``new``, in chain order."""
    return [
        sock
        for sock in state.socks
        if sock.port == SCENARIO_PORT and sock.protocol == new.protocol and sock.ports == new.ports
    ]


def with_socks(state: State, socks: tuple[Sock, ...]) -> State:
    """``state`` with other sockets; three times as fast as ``_replace``, and called for most steps."""
    return State(state.user, socks, state.memory)


def find(state: State, name: str) -> Sock | None:
    """The open socket called ``name``."""
    for sock in state.socks:
        if sock.name == name:
            return sock
    return None


def get(state: State, name: str) -> Sock:
    """The open socket called ``name``, which the caller knows to be there."""
    sock = find(state, name)
    if sock is None:
        raise LookupError(name)
    return sock


def put(state: State, old: Sock, new: Sock) -> State:
    """``state`` with ``new`` in place of ``old``."""
    return with_socks(state, tuple([new if sock is old else sock for sock in state.socks]))
