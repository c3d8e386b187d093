"""Random scenarios of who receives: two or three sockets that share a port, and clients that send to it.

Theory of operation.  A draw chooses a protocol, a *team* (the endpoints that sockets of one scenario stand on), two or
three sockets, their options, and what happens between the deliveries: the newest or the oldest closes, a stream socket
listens late or never, a datagram socket joins a group or is connected to another socket.  After each such change every
destination of the team is sent to again.  Whether the sockets may share at all is left to the kernel: a bind that is
refused is as good a question as one that is not.

Nothing blocks: no connection is made before a delivery, and the executor waits half a second for a delivery.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Collection, Sequence
from typing import NamedTuple

from bindmatrix.generate.axes import ENDPOINT, Endpoint
from bindmatrix.notation import STREAMS


class Team(NamedTuple):
    """Endpoints that can share a port, and the destinations of clients."""

    endpoints: tuple[str, ...]
    destinations: tuple[str, ...]
    protocols: tuple[str, ...] = ("tcp", "udp")


GROUP = "224.0.0.251"

#: the plainest first; a team is drawn in proportion to how many endpoints it has
TEAMS: tuple[Team, ...] = (
    Team(("lo4",), ("127.0.0.1",)),
    Team(("any4",), ("127.0.0.1", "127.0.0.2")),
    Team(("any4", "lo4"), ("127.0.0.1", "127.0.0.2")),
    Team(("any4", "lo4", "lo4b"), ("127.0.0.1", "127.0.0.2")),
    Team(("lo6",), ("::1",)),
    Team(("any6", "lo6"), ("::1",)),
    Team(("dual", "any6", "lo6"), ("::1", "127.0.0.1")),
    Team(("any4", "dual"), ("127.0.0.1", "::1")),
    Team(("any4", "lo4", "dual", "mapped-lo"), ("127.0.0.1", "::1")),
    Team(("any4", "dual", "any6", "mapped-any"), ("127.0.0.1", "::1")),
    Team(("any4", "mcast4"), (GROUP,), ("udp",)),
    Team(("any4", "lo4", "mcast4"), (GROUP, "127.0.0.1"), ("udp",)),
)

#: for hosts that have the protocols
OTHER_TEAMS: tuple[Team, ...] = (
    Team(("lo4",), ("127.0.0.1",), ("mptcp", "udplite")),
    Team(("any4", "lo4"), ("127.0.0.1", "127.0.0.2"), ("mptcp", "udplite")),
    Team(("any4", "lo4", "dual", "mapped-lo"), ("127.0.0.1", "::1"), ("mptcp", "udplite")),
    Team(("path",), ("/x",), ("unix", "unixgram")),
    Team(("path", "path2"), ("/x", "/y"), ("unix", "unixgram")),
    Team(("name", "name2"), ("@x", "@y"), ("unix", "unixgram")),
    Team(("path", "name"), ("/x", "@x"), ("unix", "unixgram")),
)

#: option sets of the sharing sockets, the most informative ones more often; with () nearly every system refuses
OPTION_SETS: tuple[tuple[str, ...], ...] = (
    ("reuseaddr",),
    ("reuseport",),
    ("reuseport",),
    ("reuseaddr", "reuseport"),
    ("reuseaddr", "reuseport"),
    (),
)

_NAMES = "abc"
#: chance that a socket has options of its own instead of those of the team
_ODD_OPTIONS = 0.12
_CLOSES = ("newest", "oldest", "")


def random_deliveries(
    seed: int,
    count: int,
    *,
    options: Collection[str] = (),
    lacking: Collection[str] = (),
    teams: Sequence[Team] = TEAMS,
) -> list[str]:
    """``count`` distinct scenarios, the same for the same arguments on every machine.

    ``options``: those that the host has beside SO_REUSEADDR and SO_REUSEPORT; ``reuseport_lb`` is drawn where it is
    among them.  ``lacking``: features (rows of ``axes.FEATURES``) to do without.  A longer list starts with the
    shorter one.  Without a team that the host has there are none.
    """
    source = random.Random(f"deliveries {seed}")  # noqa: S311 - not for secrets
    teams = [
        team._replace(protocols=tuple(one for one in team.protocols if one not in lacking))
        for team in teams
        if not any(ENDPOINT[label].needs & set(lacking) for label in team.endpoints)
        and not ("127.0.0.2" in lacking and "127.0.0.2" in team.destinations)
        and not set(team.protocols) <= set(lacking)
    ]
    if not teams:
        return []
    sets = OPTION_SETS + ((("reuseport_lb",),) * 2 if "reuseport_lb" in options else ())
    found: dict[str, None] = {}
    for _ in range(20 * count):
        if len(found) == count:
            break
        found[_scenario(source, teams, sets)] = None
    return list(found)


def _scenario(source: random.Random, teams: Sequence[Team], sets: tuple[tuple[str, ...], ...]) -> str:
    team = source.choices(teams, weights=[1 + len(one.endpoints) for one in teams])[0]
    protocol = source.choice(team.protocols)
    shared = source.choice(sets)
    names = _NAMES[: 2 + (source.random() < 0.45)]
    flow = protocol not in STREAMS and source.random() < 0.15 and GROUP not in team.destinations
    sends = [f"deliver{'_flow' if flow else ''}={address}" for address in team.destinations]
    steps: list[str] = []
    late: list[str] = []
    connects: list[str] = []
    for name in names:
        endpoint = ENDPOINT[source.choice(team.endpoints)]
        chosen = source.choice(sets) if source.random() < _ODD_OPTIONS else shared
        steps += _socket(name, protocol, endpoint, chosen)
        after = _finish(source.random, name, protocol, endpoint, late, GROUP in team.destinations)
        # A socket that is bound with SO_REUSEPORT beside a connected one takes everything from the older ones of its
        # group on Linux 6.18 (IPv4, specific address), which no rule says: here everybody is bound before one connects
        (connects if endpoint.peer and f"{name}.connect={endpoint.peer}" in after else steps).extend(after)
    steps += [*connects, *sends]
    if late:
        steps += [*late, *sends]
    change = source.choice(_CLOSES)
    if GROUP in team.destinations and f"{names[-1]}.join={GROUP}" not in steps:
        # a host takes what is sent to a group while one of its sockets is a member: the first one is, and stays
        change = "newest" if change else ""
    if change:
        steps += [f"{names[-1] if change == 'newest' else names[0]}.close", *sends]
    return " ".join(steps)


def _socket(name: str, protocol: str, endpoint: Endpoint, options: tuple[str, ...]) -> list[str]:
    v6only = [f"{name}.v6only={endpoint.v6only}"] if endpoint.v6only else []
    return [
        f"{name}={protocol}{endpoint.family}",
        *v6only,
        *(f"{name}.{option}=1" for option in options),
        f"{name}.bind={endpoint.address}",
    ]


def _finish(
    number: Callable[[], float], name: str, protocol: str, endpoint: Endpoint, late: list[str], group: bool
) -> list[str]:
    """The steps of a socket after its bind; steps after the first deliveries go to ``late``."""
    draw = number()
    if protocol in STREAMS:
        if draw < 0.08:
            return []
        if draw < 0.2:
            late.append(f"{name}.listen")
            return []
        return [f"{name}.listen"]
    if group:
        return [f"{name}.join={GROUP}"] if draw < 0.6 or name == _NAMES[0] else []
    if draw < 0.06 and endpoint.peer:
        return [f"{name}.connect={endpoint.peer}"]
    return []
