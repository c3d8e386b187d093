"""The pieces that runs are made of, as ``walker.py`` keeps them: sockets, and what a call on one leads to.

Plain records; how they come about and what they are good for is written there.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from typing import NamedTuple

from conformance.oracle.automaton import Answer, Node
from conformance.oracle.classes import Question
from conformance.oracle.expectation import ANY_ERROR
from conformance.oracle.ports import SCENARIO_PORT, Sock

Outcomes = Sequence[str | None]

#: where a call leaves its socket in the chain of the port
KEEP, HEAD, TAIL, OUT = range(4)


class Core:
    """A socket without its name.  There is one of each, so that it is compared and looked up by identity."""

    __slots__ = ("_held", "on_port", "pieces", "port", "sock")

    def __init__(self, sock: Sock) -> None:
        self.sock = sock
        #: equal for sockets that share ports
        self.port = f"{sock.protocol} {sock.ports}"
        self.on_port = sock.port == SCENARIO_PORT
        #: text of a call (without the name of the socket) -> what it leads to
        self.pieces: dict[str, Piece] = {}
        self._held: dict[str, Held] = {}

    def held(self, name: str) -> Held:
        """The socket under a name."""
        held = self._held.get(name)
        if held is None:
            held = self._held[name] = Held(self, name)
        return held

    def forget(self) -> None:
        """Let go of what calls lead to."""
        self.pieces.clear()
        for held in self._held.values():
            held.steps.clear()
        self._held.clear()


class Held:
    """A socket under its name."""

    __slots__ = ("core", "named", "steps")

    def __init__(self, core: Core, name: str) -> None:
        self.core = core
        self.named = core.sock._replace(name=name)
        #: word -> what it leads to
        self.steps: dict[str, Stride] = {}


class Stride(NamedTuple):
    """A step on the socket ``name``, which is ``core`` and is ``after`` afterwards.

    Where that depends on more, ``answer`` is None and ``piece`` knows.
    """

    name: str
    answer: Answer | None
    after: Held
    piece: Piece | None = None


class Way(NamedTuple):
    """What a call does: its socket afterwards (None: gone), that one's place, the memory's number (-1: as before)."""

    core: Core | None
    place: int = KEEP
    memory: int = -1
    #: nothing at all
    stays: bool = False


class Effect:
    """What a call returns and does: ``only``, or what :meth:`way` says."""

    __slots__ = ("answer", "only", "ways")

    def __init__(self, answer: Answer, ways: dict[str, Way | None]) -> None:
        self.answer = answer
        #: outcome -> way; None where it leads to several states
        self.ways = ways
        self.only = next(iter(ways.values())) if len(set(ways.values())) == 1 else None

    def way(self, outcome: str | None) -> Way | None:
        """The way once ``outcome`` was observed, None where that does not say which it is."""
        if outcome in self.ways:
            return self.ways[outcome]
        return None if outcome is None or outcome == "ok" else self.ways.get(ANY_ERROR)


class Piece:
    """A call on one core.  ``effect`` is what it does where it sees nothing else."""

    __slots__ = ("by_rules", "classes", "effect", "effects", "questions", "walked")

    def __init__(self, *, walked: bool) -> None:
        #: whether the walker does it at all
        self.walked = walked
        self.effect: Effect | None = None
        #: what it asks the rules; None until it was tried
        self.questions: tuple[Question, ...] | None = None
        #: core of another socket on the port -> its class for those questions
        self.classes: dict[Core, Hashable] = {}
        #: what it sees -> what it does
        self.effects: dict[tuple[Hashable, ...], Effect] = {}
        #: what the rules answer -> what it does; None where it asks about more than the sockets as they are before
        self.by_rules: dict[tuple[Hashable, ...], Effect] | None = {}


class Position:
    """Where a run is: the sockets by name, or a node of the automaton once the walker has handed over."""

    __slots__ = ("chains", "closed", "memory", "node", "past", "socks", "user")

    def __init__(self) -> None:
        self.user = 0
        #: number of the memory of the port
        self.memory = 0
        #: name -> open socket, in the order of socket(); "" is none
        self.socks: dict[str, Held] = {}
        #: names of sockets that were closed, some of them open again
        self.closed: dict[str, None] = {}
        #: ``Core.port`` -> names of the sockets on the scenario's port, in chain order
        self.chains: dict[str, tuple[str, ...]] = {}
        self.node: Node | None = None
        #: words and outcomes that led here
        self.past: tuple[tuple[list[str], Outcomes], ...] = ()

    def copy(self) -> Position:
        """Another one, to go on from here twice."""
        other = Position.__new__(Position)
        other.user, other.memory, other.node, other.past = self.user, self.memory, self.node, self.past
        other.socks, other.closed, other.chains = self.socks.copy(), self.closed.copy(), self.chains.copy()
        return other

    def key(self) -> tuple[Hashable, ...]:
        """Equal for positions from which everything goes the same way."""
        if self.node is not None:
            return self.node, *self.closed, None, *self.socks
        return self.user, self.memory, *self.closed, *self.socks.items(), *self.chains.items()
