"""What observations go through as expected, worked out once for all that go the same way.

A scenario is cut where its second socket is made.  Most scenarios of a matrix share their first part, their second
part, or what the first leads to: the first parts that leave the rules in the same :class:`Place` share what every
second part brings from there.  So a verdict costs a look-up or two, even where the oracle has met few such scenarios.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Iterator

from conformance.observe.observations import Observation, Outcomes
from conformance.oracle.automaton import Answer, Oracle
from conformance.oracle.pieces import Position
from conformance.oracle.walker import Walker

#: stands between the first part of a scenario and the second
CUT = " b="


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


class Place:
    """Where the rules are after a first part, without and with the known divergences.

    ``diverged`` is None where these have made no difference so far.  ``rests`` are the second parts that were followed
    from here, None where one is not as expected.
    """

    __slots__ = ("diverged", "position", "rests")

    def __init__(self, position: Position, diverged: Position | None) -> None:
        self.position = position
        self.diverged = diverged
        self.rests: dict[tuple[str, Outcomes], Part | None] = {}


class Way(Part):
    """A first part and the place that it leads to; first parts that are alike share one."""

    __slots__ = ("known", "place")

    def __init__(
        self, number: int, said: tuple[int, ...], place: Place, known: dict[int, int], *, certain: bool
    ) -> None:
        super().__init__(number, said, certain=certain)
        self.place = place
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
        #: says where the divergences make a difference
        self.walker = Walker(oracle, diverged)
        self.diverged = Walker(diverged) if diverged is not None else None
        #: first parts that were met
        self.heads: dict[str, Head] = {}
        self._ways: dict[tuple[Hashable, ...], Way] = {}
        self._places: dict[tuple[Hashable, ...], Place] = {}
        self._known: dict[int, dict[int, int]] = {}
        #: by number: an answer that says it
        self.answers: list[Answer] = []
        #: answer -> number of what it says
        self._said: dict[Answer, int] = {}
        self._contents: dict[tuple[object, ...], int] = {}
        #: numbers of the answers to which the divergences make a difference
        self._forks: set[int] = set()
        #: numbers of the answers that expect nothing
        self._uncertain: set[int] = set()
        #: outcomes and what is said -> number
        self._numbers: dict[tuple[Outcomes, tuple[int, ...]], int] = {}

    def forget(self) -> None:
        """Let go of what the walkers have worked out; nothing can be followed any more from a place."""
        self.heads.clear()
        self._ways.clear()
        self._places.clear()
        for walker in (self.walker, self.diverged):
            if walker is not None:
                walker.forget()

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
        rests = way.place.rests
        rest = rests[second, after] if (second, after) in rests else self.rest(way.place, second, after, observation)
        return None if rest is None else (way, rest)

    def all_ways(self) -> Iterable[Way]:
        """The ways that were gone."""
        return self._ways.values()

    def parts(self) -> Iterator[Part]:
        """Both parts of whatever was as expected."""
        yield from self._ways.values()
        for place in self._places.values():
            yield from filter(None, place.rests.values())

    def way(self, head: Head, outcomes: Outcomes) -> Way | None:
        """The way of a first part with these outcomes; it is kept in ``head.ways``."""
        followed = self._follow(Place(Position(), None), head.text, outcomes, head.text)
        way = None
        if followed is not None:
            said, place = followed
            number = self._numbers.setdefault((outcomes, said), len(self._numbers))
            key = (number, *place.position.key(), *(place.diverged.key() if place.diverged is not None else ()))
            way = self._ways.get(key)
            if way is None:
                place = self._places.setdefault(key[1:], place)
                known = self._known.setdefault(number, {})
                way = self._ways[key] = Way(number, said, place, known, certain=self._uncertain.isdisjoint(said))
        head.ways[outcomes] = way
        return way

    def rest(self, place: Place, second: str, outcomes: Outcomes, observation: Observation) -> Part | None:
        """What the second part of an observation brings from a place; it is kept in ``place.rests``."""
        part: Part | None = None
        if second:
            followed = self._follow(place, CUT[1:] + second, outcomes, observation.scenario)
            if followed is not None:
                said = followed[0]
                number = self._numbers.setdefault((outcomes, said), len(self._numbers))
                part = Part(number, said, certain=self._uncertain.isdisjoint(said))
        elif not outcomes:
            part = Part(self._numbers.setdefault(((), ()), len(self._numbers)), (), certain=True)
        place.rests[second, outcomes] = part
        return part

    def _follow(
        self, place: Place, text: str, outcomes: Outcomes, scenario: str
    ) -> tuple[tuple[int, ...], Place] | None:
        """What is said to the steps of ``text`` and where they lead; None where one does not accept its outcome."""
        at = place.position.copy()
        answers = self.walker.follow(at, text, outcomes, scenario)
        if answers is None or not accepted(answers, outcomes):
            return None
        said = self.said(answers)
        diverged = None
        # what the automaton asks the rules, it does not say
        if self.diverged is not None and (
            place.diverged is not None or at.node is not None or not self._forks.isdisjoint(said)
        ):
            diverged = self._diverged(place, scenario)
            others = self.diverged.follow(diverged, text, outcomes, scenario)
            if others is None or not accepted(others, outcomes):
                return None
        return said, Place(at, diverged)

    def _diverged(self, place: Place, scenario: str) -> Position:
        """Where the rules with the divergences are at ``place``, to go on from there."""
        if place.diverged is not None:
            return place.diverged.copy()
        assert self.diverged is not None
        position = Position()
        for words, outcomes in place.position.past:
            self.diverged.follow(position, " ".join(words), outcomes, scenario)
        return position

    def said(self, answers: list[Answer]) -> tuple[int, ...]:
        """The numbers of what the answers say; ``self.answers`` has an answer for each."""
        try:
            return tuple([self._said[answer] for answer in answers])
        except KeyError:
            return tuple(map(self._content, answers))

    def _content(self, answer: Answer) -> int:
        fork = answer in self.walker.forks
        number = self._contents.setdefault((answer.expected, answer.rules, fork), len(self._contents))
        if number == len(self.answers):
            self.answers.append(answer)
            if answer.expected is None:
                self._uncertain.add(number)
            if fork:
                self._forks.add(number)
        self._said[answer] = number
        return number


def accepted(answers: list[Answer], outcomes: Outcomes) -> bool:
    """Whether a run, followed as far as it is as expected, is so to its end."""
    if not answers:
        return not outcomes
    outcome = outcomes[len(answers) - 1]
    answer = answers[-1]
    return outcome is None or outcome == answer.expected or answer.accepts(outcome)
