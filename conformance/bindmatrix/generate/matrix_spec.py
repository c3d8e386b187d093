"""Which values of the axes are multiplied with which: one row per family, and why a combination is left out.

* Endpoints: every pair of the eight stream endpoints, or of the ten datagram endpoints.  ``default6`` is ``dual`` or
  ``any6`` by a sysctl, so it is only met by what connections leave, as recorded.
* Pairs of plain sockets carry the whole axis of option plans, since they are cheap.  Late listening and changes of
  users come with plain option sets: the second look at the options is what the tracks of the other families show.
* A connected datagram socket is not bound to a multicast address (what connect() makes of that is another question).
* Leftovers of connections cost three to four times as much and a TIME_WAIT uses up a port for a minute: six first
  endpoints, plain option sets; with users only 0.0.0.0 and 127.0.0.1.
* Streams and datagrams do not meet: their ports are apart on every host; the sequences of ``sequences.py`` mix them.
* Kinds of socket beside TCP and UDP get plain option sets, and the endpoints that tell their ports apart from others'.
* The second socket is not looked at closely (options after its bind, states): that is what the sequences are for.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from bindmatrix.generate.axes import ENDPOINT, ENDPOINTS, OTHER_ENDPOINTS, USERS
from bindmatrix.generate.group_id import GroupId


class Family(NamedTuple):
    """A full product.  The fields are labels of ``axes.py``; all states of a family have the same moments.

    ``protocol`` is a row of MEETINGS.
    """

    protocol: str
    states: tuple[str, ...]
    users: tuple[str, ...]
    first: tuple[str, ...]
    second: tuple[str, ...]
    #: every track of the options of the first socket, or plain sets before bind only
    tracked: bool
    #: the second socket listens after its bind
    listens: bool

    def group_ids(self) -> Iterator[GroupId]:
        """The groups; those that share a first part stand together."""
        for state in self.states:
            for users in self.users:
                for first in self.first:
                    for second in self.second:
                        yield GroupId(self.protocol, state, first, second, users)

    def without(self, feature: str) -> Family:
        """The family without the endpoints that need ``feature``."""
        first, second = (
            tuple(label for label in labels if feature not in ENDPOINT[label].needs)
            for labels in (self.first, self.second)
        )
        return self._replace(first=first, second=second)


def _bindable(protocol: str) -> tuple[str, ...]:
    return tuple(one.label for one in ENDPOINTS if protocol in one.protocols and one.label != "default6")


_STREAM = _bindable("tcp")
_DATAGRAM = _bindable("udp")
_CONNECTABLE = tuple(one.label for one in ENDPOINTS if one.peer and one.label != "default6")
_LEFT = ("any4", "lo4", "dual", "lo6", "mapped-lo", "default6")
_AFTER = ("any4", "lo4", "lo4b", "dual", "any6", "lo6", "mapped-lo", "default6")
_RESTARTED = ("any4", "lo4", "dual", "any6", "lo6", "mapped-any", "mapped-lo")
_LEFTOVERS = ("child", "close-wait", "time-wait", "client-time-wait")
_ONE = ("one-user",)
_TWO = tuple(one.label for one in USERS if one.label != "one-user")

FAMILIES: tuple[Family, ...] = (
    Family("tcp", ("bound",), _ONE, _STREAM, _STREAM, tracked=True, listens=True),
    Family("tcp", ("listening",), _ONE, _STREAM, _STREAM, tracked=True, listens=True),
    Family("tcp", ("late-listening",), _ONE, _STREAM, _STREAM, tracked=False, listens=True),
    Family("udp", ("bound",), _ONE, _DATAGRAM, _DATAGRAM, tracked=True, listens=False),
    Family("udp", ("connected",), _ONE, _CONNECTABLE, _DATAGRAM, tracked=True, listens=False),
    Family("tcp", _LEFTOVERS, _ONE, _LEFT, _AFTER, tracked=False, listens=True),
    # bound: without listen, as recorded
    Family("tcp", ("bound",), _TWO, _STREAM, _STREAM, tracked=False, listens=False),
    Family("tcp", ("listening",), _TWO, _STREAM, _STREAM, tracked=False, listens=True),
    Family("udp", ("bound",), _TWO, _DATAGRAM, _DATAGRAM, tracked=False, listens=False),
    Family("tcp", _LEFTOVERS, _TWO, ("any4", "lo4"), ("any4", "lo4"), tracked=False, listens=True),
)

_CORE = ("any4", "lo4", "dual", "lo6", "mapped-lo")
_REMOTE = ("child", "close-wait", "time-wait", "client-first")
_UNIX = tuple(one.label for one in OTHER_ENDPOINTS if "unix" in one.protocols)
_VSOCK = tuple(one.label for one in OTHER_ENDPOINTS if "vsock" in one.protocols)


def _other_families() -> Iterator[Family]:
    for label in ("mptcp", "mptcp-tcp", "tcp-mptcp"):
        yield Family(label, ("bound",), _ONE, _CORE, _CORE, tracked=False, listens=True)
        yield Family(label, ("listening",), _ONE, _CORE, _CORE, tracked=False, listens=True)
        yield Family(label, ("child",), _ONE, ("any4", "lo4"), ("any4", "lo4"), tracked=False, listens=True)
        yield Family(label, ("bound",), _TWO, ("any4", "lo4"), ("any4", "lo4"), tracked=False, listens=False)
    for label in ("udplite", "udplite-udp", "udp-udplite"):
        yield Family(label, ("bound",), _ONE, _CORE, _CORE, tracked=False, listens=False)
    yield Family("udplite", ("bound",), _TWO, ("any4", "lo4"), ("any4", "lo4"), tracked=False, listens=False)
    for state in ("bound", "listening"):
        yield Family("unix", (state,), _ONE, _UNIX, _UNIX, tracked=False, listens=True)
        yield Family("vsock", (state,), _ONE, _VSOCK, _VSOCK, tracked=False, listens=True)
    yield Family("unix", ("closed", "child-of-name"), _ONE, _UNIX, _UNIX, tracked=False, listens=True)
    for label in ("unixgram", "unix-unixgram", "unixgram-unix"):
        yield Family(label, ("bound",), _ONE, _UNIX, _UNIX, tracked=False, listens=False)
        yield Family(label, ("closed",), _ONE, _UNIX, _UNIX, tracked=False, listens=False)
    yield Family("unix", ("bound",), _TWO, ("path", "name"), ("path", "name"), tracked=False, listens=False)
    # a server that remote clients reach is on a wildcard
    for family, servers in (("4", ("any4", "dual", "mapped-any")), ("6", ("dual", "any6"))):
        states = tuple(f"remote{family}-{label}" for label in _REMOTE)
        yield Family("remote", states, _ONE, servers, _RESTARTED, tracked=False, listens=True)


#: for hosts that have what ``Meeting.needs`` names
OTHER_FAMILIES: tuple[Family, ...] = tuple(_other_families())

#: the endpoints that people ask about most; ``quick`` holds their plain pairs in full
CLASSIC: frozenset[str] = frozenset({"any4", "lo4", "dual", "lo6"})
