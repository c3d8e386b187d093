"""What observations go through as expected, worked out once for all that go the same way.

A scenario is cut where its second socket is made.  Most scenarios of a matrix share their first part, their second
part, or what the first leads to: first parts that lead to one node of the automaton share what every second part brings
from there.  So a verdict costs a look-up or two, even where the oracle has met few such scenarios.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from bindmatrix.errors import Problem
from bindmatrix.notation import parse, step
from bindmatrix.observe.recordings import Observation, Outcomes
from bindmatrix.oracle.oracle import Answer, Edge, Node, Oracle

#: stands between the first part of a scenario and the second
CUT = " b="

#: a node of the rules, and one of the rules with the known divergences where there are any
NodePair = tuple[Node, Node | None]


class Part:
    """What is said to the steps of one part, all of them as expected."""

    __slots__ = ("certain", "count", "number", "said")

    def __init__(self, number: int, said: tuple[int, ...], *, certain: bool) -> None:
        #: parts with the same number have the same outcomes, and the same is said to them
        self.number = number
        #: for each step a number for ``Ways.answers``
        self.said = said
        #: whether something is expected of every step
        self.certain = certain
        #: for whoever counts
        self.count = 0


class Way(Part):
    """A first part and where it leads; first parts that are alike share one."""

    __slots__ = ("known", "place", "rests")

    def __init__(
        self,
        number: int,
        said: tuple[int, ...],
        place: NodePair,
        rests: dict[tuple[str, Outcomes], Part | None],
        known: dict[int, int],
        *,
        certain: bool,
    ) -> None:
        super().__init__(number, said, certain=certain)
        self.place = place
        #: the second parts that were followed from here, None where one is not as expected; one for all ways to a place
        self.rests = rests
        #: number of a second part -> the result of both, for whoever numbers results; one for all ways of a number
        self.known = known


class Head:
    """A first part: how many steps it has, and the way that each list of outcomes goes (None: not as expected)."""

    __slots__ = ("length", "text", "ways")

    def __init__(self, text: str) -> None:
        self.text = text
        self.length = text.count(" ") + 1
        self.ways: dict[Outcomes, Way | None] = {}


class Ways:
    """Follows what is as expected by the rules of ``oracle`` and, where there is one, of ``diverged``."""

    def __init__(self, oracle: Oracle, diverged: Oracle | None) -> None:
        self.oracle = oracle
        self.diverged = diverged
        #: first parts that were met
        self.heads: dict[str, Head] = {}
        self._ways: dict[tuple[object, ...], Way] = {}
        self._rests: dict[NodePair, dict[tuple[str, Outcomes], Part | None]] = {}
        self._known: dict[int, dict[int, int]] = {}
        #: by number: an answer that says it
        self.answers: list[Answer] = []
        self._said: dict[Answer, int] = {}
        self._contents: dict[tuple[object, ...], int] = {}
        #: numbers of the answers that expect nothing
        self._uncertain: set[int] = set()
        #: outcomes and what is said -> number
        self._numbers: dict[tuple[Outcomes, tuple[int, ...]], int] = {}

    def forget(self) -> None:
        """Let go of what was worked out; nothing can be followed any more from a place."""
        self.heads.clear()
        self._ways.clear()
        self._rests.clear()
        for oracle in (self.oracle, self.diverged):
            if oracle is not None:
                oracle.forget()

    def head(self, text: str) -> Head:
        """The first part ``text``."""
        head = self.heads.get(text)
        if head is None:
            head = self.heads[text] = Head(text)
        return head

    def followed(self, observation: Observation) -> tuple[Way, Part] | None:
        """The two parts of a scenario that is as expected."""
        outcomes = observation.outcomes
        if outcomes is None or observation.repeats:
            return None
        first, _, second = observation.scenario.partition(CUT)
        head = self.head(first)
        before, after = outcomes[: head.length], outcomes[head.length :]
        way = head.ways[before] if before in head.ways else self.way(head, before)
        if way is None:
            return None
        rests = way.rests
        rest = rests[second, after] if (second, after) in rests else self.rest(way, second, after, observation)
        return None if rest is None else (way, rest)

    def all_ways(self) -> Iterable[Way]:
        """The ways that were gone."""
        return self._ways.values()

    def parts(self) -> Iterator[Part]:
        """Both parts of whatever was as expected."""
        yield from self._ways.values()
        for rests in self._rests.values():
            yield from filter(None, rests.values())

    def way(self, head: Head, outcomes: Outcomes) -> Way | None:
        """The way of a first part with these outcomes; it is kept in ``head.ways``."""
        start = self.oracle.start, None if self.diverged is None else self.diverged.start
        followed = self._follow(start, head.text, outcomes) if is_scenario(head.text) else None
        way = None
        if followed is not None:
            said, place = followed
            number = self._numbers.setdefault((outcomes, said), len(self._numbers))
            way = self._ways.get((number, place))
            if way is None:
                rests = self._rests.setdefault(place, {})
                known = self._known.setdefault(number, {})
                certain = self._uncertain.isdisjoint(said)
                way = self._ways[number, place] = Way(number, said, place, rests, known, certain=certain)
        head.ways[outcomes] = way
        return way

    def rest(self, way: Way, second: str, outcomes: Outcomes, observation: Observation) -> Part | None:
        """What the second part of an observation brings from a place; it is kept in ``way.rests``."""
        part: Part | None = None
        if second:
            followed = None
            if is_scenario(observation.scenario):
                followed = self._follow(way.place, CUT[1:] + second, outcomes)
            if followed is not None:
                said = followed[0]
                number = self._numbers.setdefault((outcomes, said), len(self._numbers))
                part = Part(number, said, certain=self._uncertain.isdisjoint(said))
        elif not outcomes:
            part = Part(self._numbers.setdefault(((), ()), len(self._numbers)), (), certain=True)
        way.rests[second, outcomes] = part
        return part

    def _follow(self, place: NodePair, text: str, outcomes: Outcomes) -> tuple[tuple[int, ...], NodePair] | None:
        """What is said to the steps of ``text`` and where they lead; None where one does not accept its outcome."""
        words = text.split(" ")
        if len(words) != len(outcomes):
            return None
        node, diverged = place
        answers: list[Edge] = []
        for word, outcome in zip(words, outcomes, strict=True):
            edge = node.edges.get(word) or self.oracle.edge(node, step(word))
            if outcome != edge.expected and outcome is not None and not edge.accepts(outcome):
                return None
            answers.append(edge)
            node = edge.node if outcome is None else edge.after(outcome)
            if diverged is not None:
                assert self.diverged is not None
                other = diverged.edges.get(word) or self.diverged.edge(diverged, step(word))
                if outcome != other.expected and outcome is not None and not other.accepts(outcome):
                    return None
                diverged = other.node if outcome is None else other.after(outcome)
        return self.said(answers), (node, diverged)

    def said(self, answers: Iterable[Answer]) -> tuple[int, ...]:
        """The numbers of what the answers say; ``self.answers`` has an answer for each."""
        try:
            return tuple([self._said[answer] for answer in answers])
        except KeyError:
            return tuple(map(self._content, answers))

    def _content(self, answer: Answer) -> int:
        number = self._contents.setdefault((answer.expected, answer.rules), len(self._contents))
        if number == len(self.answers):
            self.answers.append(answer)
            if answer.expected is None:
                self._uncertain.add(number)
        self._said[answer] = number
        return number


def is_scenario(text: str) -> bool:
    """Whether ``text`` is a scenario in its canonical form."""
    try:
        return parse(text).text == text
    except Problem:
        return False
