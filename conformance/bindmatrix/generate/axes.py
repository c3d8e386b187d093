"""The axes: every value that a generated scenario can take, in literal tables.

The exhaustive matrix (``matrix.py``), the Hypothesis strategies (``strategies.py``) and the random sequences
(``sequences.py``) read these tables; a new endpoint, state or user relation is one new row here. Each table is ordered
from the plainest value to the most exotic one; failures shrink in that order.

The labels are part of the ids of groups, hence stable: letters, digits and hyphens, never a dot.
"""

from __future__ import annotations

from typing import NamedTuple

from bindmatrix.notation import HERE, REMOTE

#: the protocols that every system has
PROTOCOLS: tuple[str, ...] = ("tcp", "udp")


class Meeting(NamedTuple):
    """The protocols of the sockets of a scenario, plainest first.

    ``like`` is the word by which endpoints and states say that they are for these protocols.
    """

    first: str
    second: str
    like: str
    #: what the host must support, in addition to what the endpoints need
    needs: frozenset[str] = frozenset()


def _meetings(like: str, *rows: tuple[str, str]) -> dict[str, Meeting]:
    """One protocol, or two that share ports or might: ``mptcp``, ``mptcp-tcp``."""
    return {
        first if first == second else f"{first}-{second}": Meeting(
            first, second, like, frozenset({first, second} - set(PROTOCOLS))
        )
        for first, second in rows
    }


MEETINGS: dict[str, Meeting] = {
    **_meetings("tcp", ("tcp", "tcp"), ("mptcp", "mptcp"), ("mptcp", "tcp"), ("tcp", "mptcp")),
    **_meetings("udp", ("udp", "udp"), ("udplite", "udplite"), ("udplite", "udp"), ("udp", "udplite")),
    **_meetings("unix", ("unix", "unix"), ("unixgram", "unixgram"), ("unix", "unixgram"), ("unixgram", "unix")),
    **_meetings("vsock", ("vsock", "vsock")),
    "remote": Meeting("tcp", "tcp", REMOTE, frozenset({REMOTE})),
}

#: what a host may lack -> the reason that a skip prints
FEATURES: dict[str, str] = {
    "ipv6": "needs IPv6 with ::1 on the loopback interface",
    "127.0.0.2": "needs 127.0.0.2 on the loopback interface (BSDs and macOS: add it to lo0 first)",
    "multicast": "needs a kernel that lets UDP sockets bind to multicast addresses",
    "users": "needs the privilege to change the effective user",
    "mptcp": "needs MPTCP (Linux with CONFIG_MPTCP)",
    "udplite": "needs UDP-Lite (Linux before 7.1, FreeBSD)",
    "unix": "needs Unix stream sockets",
    "unixgram": "needs Unix datagram sockets",
    "abstract": "needs abstract names of Unix sockets (Linux)",
    "vsock": "needs vsock (Linux)",
    REMOTE: "needs another host (Linux: a second network namespace)",
    "cid:own": "needs a CID of its own (a vsock device; not inside another network namespace from Linux 7.0 on)",
}

#: options of the default matrix; hosts that have them add reuseport_lb, exclusive, exclbind
DEFAULT_OPTIONS: tuple[str, ...] = ("reuseaddr", "reuseport")


#: protocol -> the word by which endpoints and states say that they are for it
LIKE: dict[str, str] = {label: one.like for label, one in MEETINGS.items() if label == one.first == one.second}


class Endpoint(NamedTuple):
    """What a socket is bound to.

    ``peer`` is an address of the same family that reaches this endpoint and nothing beyond this host; ``client_family``
    and ``client`` are the plainest way there for a client of its own.  They are empty where nothing connects: multicast
    and vsock.  ``family`` is "" where the notation's kind of socket has no number.
    """

    label: str
    family: str
    #: value of IPV6_V6ONLY that is set before everything else; "" leaves the default of the host
    v6only: str
    address: str
    peer: str
    client_family: str
    client: str
    protocols: tuple[str, ...]
    needs: frozenset[str]


_BOTH = PROTOCOLS
_UDP = ("udp",)
_NONE: frozenset[str] = frozenset()
_V6 = frozenset({"ipv6"})
_MAPPED = "::ffff:127.0.0.1"

ENDPOINTS: tuple[Endpoint, ...] = (
    Endpoint("any4", "4", "", "0.0.0.0", "127.0.0.1", "4", "127.0.0.1", _BOTH, _NONE),
    Endpoint("lo4", "4", "", "127.0.0.1", "127.0.0.1", "4", "127.0.0.1", _BOTH, _NONE),
    Endpoint("lo4b", "4", "", "127.0.0.2", "127.0.0.2", "4", "127.0.0.2", _BOTH, frozenset({"127.0.0.2"})),
    Endpoint("dual", "6", "0", "::", "::1", "6", "::1", _BOTH, _V6),
    Endpoint("any6", "6", "1", "::", "::1", "6", "::1", _BOTH, _V6),
    Endpoint("lo6", "6", "", "::1", "::1", "6", "::1", _BOTH, _V6),
    Endpoint("mapped-any", "6", "0", "::ffff:0.0.0.0", _MAPPED, "4", "127.0.0.1", _BOTH, _V6),
    Endpoint("mapped-lo", "6", "0", _MAPPED, _MAPPED, "4", "127.0.0.1", _BOTH, _V6),
    # dual or not, by a sysctl: not in the pairs, only in the states that connections leave (as in the recordings)
    Endpoint("default6", "6", "", "::", "::1", "6", "::1", _BOTH, _V6),
    Endpoint("mcast4", "4", "", "224.0.0.251", "", "", "", _UDP, frozenset({"multicast"})),
    Endpoint("mcast6", "6", "", "ff02::fb", "", "", "", _UDP, frozenset({"ipv6", "multicast"})),
)

#: those that not every host has
OTHER_ENDPOINTS: tuple[Endpoint, ...] = (
    Endpoint("path", "", "", "/x", "/x", "", "/x", ("unix",), _NONE),
    Endpoint("path2", "", "", "/y", "/y", "", "/y", ("unix",), _NONE),
    Endpoint("name", "", "", "@x", "@x", "", "@x", ("unix",), frozenset({"abstract"})),
    Endpoint("name2", "", "", "@y", "@y", "", "@y", ("unix",), frozenset({"abstract"})),
    Endpoint("cid-any", "", "", "cid:any", "", "", "", ("vsock",), _NONE),
    Endpoint("cid-own", "", "", "cid:own", "", "", "", ("vsock",), frozenset({"cid:own"})),
)

#: V6ONLY on addresses where it should change nothing or where bind() should fail: only in sequences
ODD_ENDPOINTS: tuple[Endpoint, ...] = (
    Endpoint("lo6-dual", "6", "0", "::1", "::1", "6", "::1", _BOTH, _V6),
    Endpoint("lo6-only", "6", "1", "::1", "::1", "6", "::1", _BOTH, _V6),
    Endpoint("mapped-only", "6", "1", _MAPPED, "", "", "", _BOTH, _V6),
)

ENDPOINT: dict[str, Endpoint] = {endpoint.label: endpoint for endpoint in (*ENDPOINTS, *OTHER_ENDPOINTS)}


class Track(NamedTuple):
    """When one option of the first socket is set and cleared.

    ``text`` is the programme: values set before bind, after bind, and after the state is reached, separated by bars;
    ``1|0`` sets the option before bind and clears it after.  ``alone`` tracks are not combined with a second option:
    they differ from a track that is only by a call that should change nothing.
    """

    text: str
    gloss: str
    alone: bool = False

    @property
    def moments(self) -> tuple[str, ...]:
        """The values of each moment: three strings of 0s and 1s."""
        parts = self.text.split("|")
        return tuple(parts + [""] * (3 - len(parts)))


TRACKS: tuple[Track, ...] = (
    Track("1", "set before bind"),
    Track("|1", "set after bind"),
    Track("||1", "set after listen or connect"),
    Track("10", "set and cleared before bind"),
    Track("|10", "set and cleared after bind"),
    Track("||10", "set and cleared after listen or connect"),
    Track("1|0", "set before bind, cleared after it"),
    Track("1||0", "set before bind, cleared after listen or connect"),
    Track("|1|0", "set after bind, cleared after listen or connect"),
    Track("0", "cleared before bind, never set", alone=True),
    Track("0|0", "cleared before and after bind", alone=True),
    Track("0|1", "cleared before bind, set after it", alone=True),
    Track("1|1", "set before bind and again after it", alone=True),
    Track("0||0", "cleared before bind and after listen or connect", alone=True),
    Track("0||1", "cleared before bind, set after listen or connect", alone=True),
    Track("1||1", "set before bind and again after listen or connect", alone=True),
)


#: how a connection begins.  ``{a}`` is a listener, ``{c}`` its client, ``{x}`` the accepted child; ``{kind}`` and
#: ``{client}`` are the client's kind of socket and where it connects
CONNECTION = "{c}={kind} {c}.connect={client} {x}={a}.accept"

#: how it goes on -> the steps, those of the recorded ``states``.  None can block: accept follows its own connect, read
#: follows the close of the other end
ENDINGS: dict[str, str] = {
    "child": "",
    "close-wait": " {c}.close {x}.read",
    "time-wait": " {x}.close {c}.read {c}.close",
    "client-time-wait": " {c}.close {x}.read {x}.close",
}


class FirstState(NamedTuple):
    """The state of the first socket, ``a``, when the second one is made.

    ``steps`` follow its bind, in the words of CONNECTION; ``{peer}`` is the address that a datagram socket connects to.
    """

    label: str
    protocols: tuple[str, ...]
    steps: str
    gloss: str
    #: how many moments its tracks have: 1 = before bind, 2 = and after it, 3 = and after the last of ``steps``
    moments: int
    #: steps between the binding and the listening of the second socket
    late: str = ""
    #: cost of a scenario relative to two plain sockets: a connection is several calls more, a TIME_WAIT uses up a port
    weight: int = 1


_TCP = ("tcp",)
_STREAMS = ("tcp", "unix", "vsock")


def _leftover(label: str, gloss: str, weight: int) -> FirstState:
    return FirstState(label, _TCP, f"{{a}}.listen {CONNECTION}{ENDINGS[label]} {{a}}.close", gloss, 1, weight=weight)


def _remote(family: str, here: str) -> list[FirstState]:
    """The states that connections of remote clients leave; ``family`` is that of the clients."""
    head = f"{{a}}.listen c=remote{family} c.connect={here} x={{a}}.accept"
    rows = {
        "child": ("", "an accepted connection of a remote client, its listener closed"),
        "close-wait": (" c.close x.read", "the same, closed by the client"),
        "time-wait": (" x.close c.read c.close", "TIME_WAIT on this host, the client is remote"),
        "client-first": (" c.close x.read x.close", "the remote client closed first: TIME_WAIT is on the other host"),
    }
    return [
        FirstState(f"remote{family}-{label}", (REMOTE,), f"{head}{steps} {{a}}.close", gloss, 1, weight=6)
        for label, (steps, gloss) in rows.items()
    ]


STATES: tuple[FirstState, ...] = (
    FirstState("bound", (*_BOTH, "unix", "vsock"), "", "bound", 2),
    FirstState("listening", _STREAMS, "{a}.listen", "listening", 3),
    FirstState(
        "late-listening", _TCP, "", "bound; listens once the second is bound, before that one does", 2, "a.listen"
    ),
    FirstState("connected", _UDP, "{a}.connect={peer}", "a datagram socket connected to its own host", 3),
    FirstState("closed", ("unix",), "{a}.close", "bound and closed: what stays of a name", 1),
    FirstState(
        "child-of-name",
        ("unix",),
        f"{{a}}.listen {CONNECTION} {{a}}.close",
        "an accepted connection, its listener closed",
        1,
    ),
    _leftover("child", "an accepted connection, its listener closed", 3),
    _leftover("close-wait", "the same, closed by the client", 3),
    _leftover("time-wait", "TIME_WAIT on the server's side", 4),
    _leftover("client-time-wait", "TIME_WAIT on the client's side", 4),
    *_remote("4", HERE[0]),
    *_remote("6", HERE[1]),
)

STATE: dict[str, FirstState] = {state.label: state for state in STATES}


class Users(NamedTuple):
    """The users that make the first and the second socket.

    The way from one user to the other leads through root, as the recorded ``users`` have it: a direct change between
    two ordinary users is refused with EPERM.
    """

    label: str
    first: str
    second: str
    gloss: str
    needs: frozenset[str]


_USERS = frozenset({"users"})

USERS: tuple[Users, ...] = (
    Users("one-user", "", "", "the user of the run makes both", _NONE),
    Users("same-user", "user=1001", "user=0 user=1001", "an ordinary user makes both", _USERS),
    Users("other-user", "user=1001", "user=0 user=1002", "two ordinary users", _USERS),
    Users("user-after-root", "user=0", "user=0 user=1001", "root's socket, then an ordinary user's", _USERS),
    Users("root-after-user", "user=1001", "user=0 user=0", "an ordinary user's socket, then root's", _USERS),
)

USER: dict[str, Users] = {users.label: users for users in USERS}

#: user numbers that sequences change between; 0 is root
USER_IDS: tuple[int, ...] = (0, 1001, 1002)
