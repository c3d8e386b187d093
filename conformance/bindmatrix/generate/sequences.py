"""Free sequences: sockets that are made one after another, and changes to the open ones in between.

Theory of operation.  A sequence is first drawn as a list of events, :class:`Arrival` and :class:`Move`, which know
neither names nor open sockets.  :func:`render` knows both; it writes the scenario and leaves out moves that match no
socket.  So every list becomes a scenario that parses, whether ``random_sequences`` drew it with plain random numbers
or Hypothesis did in ``strategies.py``, which can shrink the list without knowing what is legal.  Moves count the open
sockets from the newest; a number beyond the oldest means the oldest.  So removing an event changes little of what the
other events mean, and shrinking depends on that.

No step blocks.  A connection is made, and accepted in the same breath, only on a socket that certainly listens on the
scenario's port: it was bound while no other stream socket and no leftover of a connection was on the port, it listened
while it was alone, and it is alone again (BSDs hand a connection to the closest socket even if that does not listen).
A read follows the close of the other end.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from bindmatrix.generate.axes import (
    CONNECTION,
    DEFAULT_OPTIONS,
    ENDINGS,
    ENDPOINTS,
    LIKE,
    ODD_ENDPOINTS,
    OTHER_ENDPOINTS,
    PROTOCOLS,
    USER_IDS,
    Endpoint,
)
from bindmatrix.notation import STREAMS


class Move(NamedTuple):
    """A step between two arrivals, on the open socket that ``target`` newer sockets follow."""

    #: a row of MOVES
    kind: str
    target: int = 0
    #: of ``set``: ``option=value``; of ``bind``: an address; of ``connect``: a row of ENDINGS; of ``user``: its number
    detail: str = ""


class Arrival(NamedTuple):
    """A socket that is made and bound."""

    protocol: str
    endpoint: Endpoint
    #: ``option=value``, set before bind in this order
    options: tuple[str, ...] = ()
    #: it takes the name of the socket that was closed first, if one was
    again: bool = False


Event = Arrival | Move


@dataclass(slots=True)
class _Socket:
    name: str
    protocol: str
    endpoint: Endpoint
    #: bound by a step of its own; clients and children are not
    binds: bool
    #: certainly bound to the scenario's port
    sure: bool = False
    #: certainly listening there
    serves: bool = False
    #: a datagram socket connects once; what a second connect() does is no question of sharing ports
    connected: bool = False


class _Writer:
    """The open sockets while a scenario is written."""

    def __init__(self) -> None:
        self.steps: list[str] = []
        self.open: list[_Socket] = []
        self.closed: list[str] = []
        self.named = 0
        self.user = "0"
        self.connections = False
        #: names that were tried: a file stays when its socket is closed
        self.files: set[str] = set()

    def arrive(self, arrival: Arrival) -> None:
        endpoint = arrival.endpoint
        name = self.closed.pop(0) if arrival.again and self.closed else self.new_name()
        steps = self.steps
        steps.append(f"{name}={arrival.protocol}{endpoint.family}")
        if endpoint.v6only:
            steps.append(f"{name}.v6only={endpoint.v6only}")
        for call in arrival.options:
            steps.append(f"{name}.{call}")
        steps.append(f"{name}.bind={endpoint.address}")
        socket = _Socket(name, arrival.protocol, endpoint, binds=True)
        socket.sure = bool(endpoint.client) and not self.connections and self.alone(socket)
        if endpoint.address.startswith("/"):
            socket.sure = socket.sure and endpoint.address not in self.files
            self.files.add(endpoint.address)
        self.open.append(socket)

    def alone(self, socket: _Socket) -> bool:
        """No other stream socket is bound, and no bind of one was tried."""
        return not any(one.binds and one.protocol in STREAMS and one is not socket for one in self.open)

    def new_name(self) -> str:
        # 26 letters are enough: at most 6 arrivals with a few connections each; beyond that a1, b1...
        rounds, letter = divmod(self.named, 26)
        self.named += 1
        return "abcdefghijklmnopqrstuvwxyz"[letter] + (str(rounds) if rounds else "")

    def target(self, move: Move) -> _Socket:
        return self.open[max(-1 - move.target, -len(self.open))]

    def set(self, move: Move) -> None:
        socket = self.target(move)
        if not move.detail.startswith("v6only") or (socket.binds and socket.endpoint.family == "6"):
            self.steps.append(f"{socket.name}.{move.detail}")

    def listen(self, move: Move) -> None:
        socket = self.target(move)
        if socket.protocol in STREAMS and socket.binds:
            self.steps.append(f"{socket.name}.listen")
            socket.serves = socket.serves or (socket.sure and self.alone(socket))

    def close(self, move: Move) -> None:
        socket = self.target(move)
        self.steps.append(f"{socket.name}.close")
        self.open.remove(socket)
        self.closed.append(socket.name)

    def bind(self, move: Move) -> None:
        socket = self.target(move)
        if socket.binds and (":" in move.detail) == (":" in socket.endpoint.address):
            self.files.add(move.detail)
            self.steps.append(f"{socket.name}.bind={move.detail}")

    def connect(self, move: Move) -> None:
        socket = self.target(move)
        if not socket.binds or not socket.endpoint.peer:
            return
        if socket.endpoint.address.startswith("/") and self.user != "0":
            return  # the file's permissions decide, hence the umask; and what they refuse would never be accepted
        if socket.protocol not in STREAMS:
            if not socket.connected:
                self.steps.append(f"{socket.name}.connect={socket.endpoint.peer}")
                socket.connected = True
        elif socket.serves and self.alone(socket):
            client, child = self.new_name(), self.new_name()
            endpoint = socket.endpoint
            text = (CONNECTION + ENDINGS[move.detail]).format(
                a=socket.name,
                c=client,
                x=child,
                kind=f"{socket.protocol}{endpoint.client_family}",
                client=endpoint.client,
            )
            self.steps.append(text)
            self.connections = True
            for name in (client, child):
                if f"{name}.close" in text:
                    self.closed.append(name)
                else:
                    self.open.append(_Socket(name, socket.protocol, endpoint, binds=False))

    def change_user(self, move: Move) -> None:
        if move.detail != self.user:
            if "0" not in (move.detail, self.user):
                # an ordinary user may not become another one
                self.steps.append("user=0")
            self.steps.append(f"user={move.detail}")
            self.user = move.detail


#: kind of move -> how it is written; the plainest first
MOVES: dict[str, Callable[[_Writer, Move], None]] = {
    "close": _Writer.close,
    "listen": _Writer.listen,
    "set": _Writer.set,
    "bind": _Writer.bind,
    "connect": _Writer.connect,
    "user": _Writer.change_user,
}


def render(events: Iterable[Event]) -> str:
    """The scenario: sockets are named a, b, c... as they are made, and moves that match no socket are left out."""
    writer = _Writer()
    for event in events:
        if isinstance(event, Arrival):
            writer.arrive(event)
        elif writer.open or event.kind == "user":
            MOVES[event.kind](writer, event)
    return " ".join(writer.steps)


class Vocabulary:
    """The values that sequences for one kind of host draw from, each field in order from plain to exotic."""

    def __init__(
        self,
        options: Sequence[str] = DEFAULT_OPTIONS,
        *,
        users: bool = False,
        connections: bool = True,
        ipv6: bool = True,
        lacking: Collection[str] = (),
        protocols: Sequence[str] = PROTOCOLS,
    ) -> None:
        without = {*lacking, *(() if ipv6 else ("ipv6",))}
        endpoints = [one for one in (*ENDPOINTS, *ODD_ENDPOINTS, *OTHER_ENDPOINTS) if not one.needs & without]
        # those of both protocols first: a failure then keeps its endpoint while udp shrinks to tcp
        endpoints.sort(key=lambda one: -len(one.protocols))
        self.endpoints = {
            protocol: tuple(one for one in endpoints if LIKE[protocol] in one.protocols) for protocol in protocols
        }
        self.calls = tuple(f"{option}={value}" for value in "10" for option in options)
        late_calls = self.calls + (("v6only=1", "v6only=0") if "ipv6" not in without else ())
        #: kind of move -> what its detail may be; kinds that have nothing to choose from are left out
        self.details: dict[str, tuple[str, ...]] = {
            kind: details
            for kind, details in {
                "close": ("",),
                "listen": ("",),
                "set": late_calls,
                "bind": tuple(dict.fromkeys(one.address for one in self.endpoints[protocols[0]])),
                "connect": tuple(ENDINGS) if connections else (),
                "user": tuple(str(user) for user in USER_IDS) if users and "users" not in without else (),
            }.items()
            if details
        }


#: how often each kind of move is drawn by ``random_sequences``, relative to each other.  Few stream sockets may be
#: connected to, hence many tries
WEIGHTS: dict[str, dict[str, int]] = {
    "tcp": {"close": 3, "listen": 5, "set": 4, "bind": 1, "connect": 6, "user": 2},
    "udp": {"close": 3, "set": 4, "bind": 1, "connect": 2, "user": 2},
}
#: chance that a socket of a sequence is of the other protocol, whose port is another one
OTHER_PROTOCOL = 0.06


def random_sequences(
    seed: int,
    count: int,
    *,
    min_sockets: int = 2,
    max_sockets: int = 6,
    options: Sequence[str] = DEFAULT_OPTIONS,
    users: bool = False,
    connections: bool = True,
    ipv6: bool = True,
    lacking: Collection[str] = (),
    protocols: tuple[str, str] = ("tcp", "udp"),
    mixing: float = OTHER_PROTOCOL,
) -> list[str]:
    """``count`` distinct sequences, the same for the same arguments on every machine.

    A longer list starts with the shorter one.  ``lacking``: further features (rows of ``axes.FEATURES``) to do without.
    ``protocols``: a sequence is of one of them; ``mixing`` is the chance that a socket is of the other one.
    Fewer than ``count`` only where the vocabulary is so small that twenty draws a sequence do not find as many.
    """
    draw = _Drawer(
        random.Random(seed),  # noqa: S311 - not for secrets
        Vocabulary(options, users=users, connections=connections, ipv6=ipv6, lacking=lacking, protocols=protocols),
        protocols,
        mixing,
    )
    found: dict[str, None] = {}
    for _ in range(20 * count):
        if len(found) == count:
            break
        found[render(draw.events(min_sockets, max_sockets))] = None
    return list(found)


#: protocols beside TCP and UDP, with those that they meet -> whether sockets connect.  Not where connections are of
#: MPTCP: what its close() leaves is decided by a worker of the kernel, later
OTHERS: dict[tuple[str, str], bool] = {
    ("mptcp", "tcp"): False,
    ("udplite", "udp"): True,
    ("unix", "unixgram"): True,
    ("vsock", "vsock"): False,
}
_MIXING = 0.35


def other_sequences(
    seed: int, count: int, *, users: bool = False, ipv6: bool = True, lacking: Collection[str] = ()
) -> list[str]:
    """``count`` sequences for each row of OTHERS that a host without ``lacking`` has; fewer of vsock."""
    return [
        text
        for protocols, connections in OTHERS.items()
        if not {*protocols} & {*lacking}
        for text in random_sequences(
            seed,
            count,
            users=users,
            connections=connections,
            ipv6=ipv6,
            lacking=lacking,
            protocols=protocols,
            mixing=_MIXING,
        )
    ]


class _Drawer:
    """Draws arrivals with plain random numbers: one ``random()`` a choice, which is the fastest there is."""

    def __init__(
        self, source: random.Random, vocabulary: Vocabulary, protocols: tuple[str, str], mixing: float
    ) -> None:
        self.random = source.random
        self.vocabulary = vocabulary
        self.protocols = protocols
        self.mixing = mixing
        self.moves = {
            protocol: tuple(
                (kind, details)
                for kind, details in vocabulary.details.items()
                for _ in range(WEIGHTS["tcp" if protocol in STREAMS else "udp"].get(kind, 0))
            )
            for protocol in protocols
        }

    def events(self, least: int, most: int) -> list[Event]:
        number = self.random
        protocol, other = self.protocols if number() < 0.5 else self.protocols[::-1]
        choices = self.moves[protocol]
        events: list[Event] = []
        for _ in range(least + int(number() * (most - least + 1))):
            events.append(self.arrival(other if number() < self.mixing else protocol))
            while number() < 0.5:
                kind, details = choices[int(number() * len(choices))]
                # squared: the newest sockets most often
                events.append(Move(kind, int(number() ** 2 * 6), details[int(number() * len(details))]))
        return events

    def arrival(self, protocol: str) -> Arrival:
        number = self.random
        endpoints = self.vocabulary.endpoints[protocol]
        calls = self.vocabulary.calls
        # the first half of the calls set an option, the others clear it: 0.7 spreads over all that set and few others
        options = tuple([calls[int(number() * len(calls) * 0.7)] for _ in range(int(number() * 3)) if calls])
        # squared: half of the sockets stand on the plainest quarter of the endpoints, where most of them meet
        return Arrival(protocol, endpoints[int(number() ** 2 * len(endpoints))], options, number() < 0.4)
