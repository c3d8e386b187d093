"""The sockets of a program as scenarios: one for each port, what the notation cannot say listed beside it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any

from bindmatrix.notation import SOCKET_KINDS, Scenario, parse
from bindmatrix.programs.descriptors import Socket, TracedCall
from bindmatrix.programs.socket_calls import folds

#: sockets of one scenario; workers beyond these do what the others do
MOST_IN_A_SCENARIO = 12
_NAMES = "abcdefghijklmnopqrstuvwxyz"
#: protocol -> whose ports it has
_SPACES = {"mptcp": "tcp", "unixgram": "unix"}


@dataclass(frozen=True)
class PortScenario:
    """What a program does with a port, and with others in the same way."""

    #: ``8080/tcp``, ``/run/x/unix``; ``chosen/udp`` where the kernel chooses it; a network namespace but the first
    ports: tuple[str, ...]
    scenario: Scenario
    #: what each step returned in the trace
    outcomes: tuple[str, ...]
    #: (what, how often): not part of the scenario
    not_modelled: tuple[tuple[str, int], ...]

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {
            "ports": self.ports,
            "scenario": self.scenario.text,
            "outcomes": self.outcomes,
            "not_modelled": [{"what": what, "times": times} for what, times in self.not_modelled],
        }


@dataclass(frozen=True)
class Found:
    """Everything that was made of a program's sockets."""

    scenarios: tuple[PortScenario, ...]
    #: why -> sockets that are only counted
    folded: dict[str, int]
    #: sockets that are bound or listen and that the notation has no kind for, and why
    left_out: tuple[tuple[str, int], ...]


_Key = tuple[int, str, int | str]


def scenarios_of(sockets: Iterable[Socket], folded: Counter[str]) -> Found:
    """The scenarios of ``sockets``; ``folded`` are those that were counted before."""
    folded, left_out = Counter(folded), Counter[str]()
    by_port: dict[_Key, list[Socket]] = {}
    kept = []
    for socket in sockets:
        why = folds(socket)
        if why:
            folded[why] += 1
        elif not _kind(socket):
            left_out[socket.otherwise] += 1
        else:
            kept.append(socket)
    explicit = {key for socket in kept for key in _keys(socket, ())}
    for socket in kept:
        for key in dict.fromkeys(_keys(socket, explicit)):
            by_port.setdefault(key, []).append(socket)
    alike: dict[tuple[str, tuple[str, ...]], PortScenario] = {}
    for made in (_scenario(key, group) for key, group in by_port.items()):
        first = alike.get((made.scenario.text, made.outcomes))
        merged = replace(first, ports=first.ports + made.ports) if first else made
        alike[made.scenario.text, made.outcomes] = merged
    return Found(tuple(alike.values()), dict(folded), tuple(left_out.items()))


def _kind(socket: Socket) -> str:
    """Its kind; that of a socket which was made elsewhere is known by its address and listen()."""
    listens = any(event.kind == "listen" for event in socket.events)
    address = next((event.word for event in socket.events if event.kind == "bind"), "")
    if socket.kind or not listens or not address:
        return socket.kind
    if address.startswith(("bind=/", "bind=@")):
        return "unix"
    return "" if address.startswith("bind=cid") else "tcp6" if ":" in address else "tcp4"


def _keys(socket: Socket, explicit: Iterable[_Key]) -> list[_Key]:
    """The ports that a socket is bound to or was refused, in order; its own where the kernel chooses.

    A chosen port is a port like others where another socket of the program asks for it (it is in ``explicit``).
    """
    protocol = SOCKET_KINDS[_kind(socket)].protocol
    space = _SPACES.get(protocol, protocol)
    found: list[_Key] = []
    for event in socket.events:
        if event.kind == "bind" and event.port is not None:
            netns, port = event.port
            if port != 0:
                found.append((netns, space, port))
            elif (netns, space, socket.chosen) in explicit:
                found.append((netns, space, socket.chosen))
            else:
                found.append((netns, space, f"chosen {socket.line}"))
    return found or [(0, space, f"chosen {socket.line}")]


def _scenario(key: _Key, sockets: list[Socket]) -> PortScenario:
    netns, space, port = key
    marks: Counter[str] = Counter()
    if len(sockets) > MOST_IN_A_SCENARIO:
        marks[f"sockets beyond the first {MOST_IN_A_SCENARIO}"] = len(sockets) - MOST_IN_A_SCENARIO
    chosen = str(port).startswith("chosen")
    names = dict(zip(sockets[:MOST_IN_A_SCENARIO], _NAMES, strict=False))
    events = sorted(((event, socket) for socket in names for event in socket.events), key=lambda one: one[0].line)
    words: list[tuple[str, str]] = []
    user = ""
    made: set[Socket] = set()
    for event, socket in events:
        name = names[socket]
        if event.kind == "bind" and event.port is not None and event.port[1] not in (port, 0):
            marks[f"{name} is bound to port {event.port[1]} too"] += 1
            continue
        if event.kind == "listen" and not _listens_here(socket, event, key):
            continue
        if event.user != user and event.kind in ("socket", "bind") and event.user:
            user = event.user
            words.append((f"user={user}", "ok"))
        if socket not in made:
            made.add(socket)
            words.append((f"{name}={_kind(socket)}", "ok"))
        if event.kind != "socket":
            own = event.kind == "bind" and event.port is not None and event.port[1] == 0
            words.append((f"{name}.{event.word}{',0' if own and chosen else ''}", event.error or "ok"))
    while words and words[-1][0].endswith(".close"):
        words.pop()  # what the program does at its end
    if sum(word.startswith("user=") for word, _ in words) == 1 and words[0][0].startswith("user="):
        del words[0]  # one user from the start to the end
    for socket, name in names.items():
        marks.update({f"{name}: {what}": times for what, times in socket.marks.items()})
        if socket.connected:
            marks[f"{name}: connects to {socket.connected}"] += 1
    title = f"{'chosen' if chosen else port}/{space}" + (f" in network namespace {netns + 1}" if netns else "")
    outcomes = tuple(outcome for _, outcome in words)
    return PortScenario((title,), parse(" ".join(word for word, _ in words)), outcomes, tuple(marks.items()))


def _listens_here(socket: Socket, listen: TracedCall, key: _Key) -> bool:
    """Whether a listen() is on this port: that of the last bind() before it that was not refused."""
    port: int | str | None = None
    for event in socket.events:
        if event is listen:
            break
        if event.kind == "bind" and event.port is not None and not event.error:
            port = event.port[1]
    return port in (None, 0, key[2])
