"""Observations that are as expected, cached by prefix and suffix.

A scenario is cut where its second socket is made, into a prefix and a suffix.  In a matrix most scenarios share their
prefix, their suffix, or the node of the automaton that the prefix leads to; prefixes that lead to one node share the
suffixes that were followed from there.  So most verdicts cost two look-ups instead of one for each step.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from bindmatrix.errors import Problem
from bindmatrix.notation import parse, step
from bindmatrix.observe.recordings import Observation, Outcomes
from bindmatrix.oracle.oracle import Answer, Edge, Node, Oracle

#: separates the prefix of a scenario from its suffix
CUT = " b="

#: bytes that a cache may hold, about; a full run would fill 230 MB, and clearing it twice costs it half a second
MOST_BYTES = 100_000_000

#: a node of the rules, and one of the rules with the known divergences where there are any
Nodes = tuple[Node, Node | None]


class Segment:
    """A prefix or a suffix, all steps of which returned what is expected."""

    __slots__ = ("certain", "count", "number", "said")

    def __init__(self, number: int, said: tuple[int, ...], *, certain: bool) -> None:
        #: segments with the same number have the same outcomes and the same answers
        self.number = number
        #: for each step an index of ``Oracle.answers``
        self.said = said
        #: whether something is expected of every step
        self.certain = certain
        #: how many observations went through it; counted by the judge
        self.count = 0


class Prefix(Segment):
    """A prefix and where it leads; prefixes that are alike share one."""

    __slots__ = ("known", "nodes", "suffixes")

    def __init__(
        self,
        number: int,
        said: tuple[int, ...],
        nodes: Nodes,
        suffixes: dict[tuple[str, Outcomes], Segment | None],
        known: dict[int, int],
        *,
        certain: bool,
    ) -> None:
        super().__init__(number, said, certain=certain)
        self.nodes = nodes
        #: the suffixes that were followed from here, None where one is not as expected; shared by all prefixes that
        #: lead here
        self.suffixes = suffixes
        #: number of a suffix -> number of the result of both (``host_table.py``); shared by all prefixes of a number
        self.known = known


class PrefixText:
    """The text of a prefix, its number of steps, and the prefix for each list of outcomes (None: not as expected)."""

    __slots__ = ("length", "prefixes", "text")

    def __init__(self, text: str) -> None:
        self.text = text
        self.length = text.count(" ") + 1
        self.prefixes: dict[Outcomes, Prefix | None] = {}


class PrefixCache:
    """Follows what is as expected by the rules of ``oracle`` and, where there is one, of ``diverged``."""

    def __init__(self, oracle: Oracle, diverged: Oracle | None) -> None:
        self.oracle = oracle
        self.diverged = diverged
        #: the prefixes that were met, by text
        self.texts: dict[str, PrefixText] = {}
        self._prefixes: dict[tuple[object, ...], Prefix] = {}
        self._suffixes: dict[Nodes, dict[tuple[str, Outcomes], Segment | None]] = {}
        self._known: dict[int, dict[int, int]] = {}
        #: outcomes and what is said -> number
        self._numbers: dict[tuple[Outcomes, tuple[int, ...]], int] = {}
        #: what the prefixes, the suffixes and the edges of the oracles take, about
        self._bytes = 0

    @property
    def full(self) -> bool:
        """Whether the cache has reached its limit and should :meth:`forget`."""
        return self._bytes > MOST_BYTES

    def forget(self) -> None:
        """Clear the cache and the memos of the oracles.  Prefixes that were returned before must not be used again.

        The numbers of segments stay what they are.
        """
        self.texts.clear()
        self._prefixes.clear()
        self._suffixes.clear()
        self._bytes = 0
        for oracle in (self.oracle, self.diverged):
            if oracle is not None:
                oracle.forget()

    def text(self, text: str) -> PrefixText:
        """The prefix that is written ``text``."""
        of_text = self.texts.get(text)
        if of_text is None:
            of_text = self.texts[text] = PrefixText(text)
        return of_text

    def followed(self, observation: Observation) -> tuple[Prefix, Segment] | None:
        """The prefix and the suffix of an observation that is as expected, else None."""
        outcomes = observation.outcomes
        if outcomes is None or observation.repeats:
            return None
        first, _, second = observation.scenario.partition(CUT)
        of_text = self.text(first)
        before, after = outcomes[: of_text.length], outcomes[of_text.length :]
        prefix = of_text.prefixes[before] if before in of_text.prefixes else self.prefix(of_text, before)
        if prefix is None:
            return None
        suffixes = prefix.suffixes
        suffix = (
            suffixes[second, after] if (second, after) in suffixes else self.suffix(prefix, second, after, observation)
        )
        return None if suffix is None else (prefix, suffix)

    def all_prefixes(self) -> Iterable[Prefix]:
        """The prefixes that were followed."""
        return self._prefixes.values()

    def segments(self) -> Iterator[Segment]:
        """All prefixes and suffixes that were as expected."""
        yield from self._prefixes.values()
        for suffixes in self._suffixes.values():
            yield from filter(None, suffixes.values())

    def prefix(self, of_text: PrefixText, outcomes: Outcomes) -> Prefix | None:
        """The prefix with this text and these outcomes; it is kept in ``of_text.prefixes``."""
        self._grow(of_text.text, outcomes)
        start = self.oracle.start, None if self.diverged is None else self.diverged.start
        followed = self._follow(start, of_text.text, outcomes) if is_scenario(of_text.text) else None
        prefix = None
        if followed is not None:
            edges, nodes = followed
            said = numbers(edges)
            number = self._numbers.setdefault((outcomes, said), len(self._numbers))
            prefix = self._prefixes.get((number, nodes))
            if prefix is None:
                suffixes = self._suffixes.setdefault(nodes, {})
                known = self._known.setdefault(number, {})
                certain = _certain(edges)
                prefix = self._prefixes[number, nodes] = Prefix(number, said, nodes, suffixes, known, certain=certain)
        of_text.prefixes[outcomes] = prefix
        return prefix

    def suffix(self, prefix: Prefix, second: str, outcomes: Outcomes, observation: Observation) -> Segment | None:
        """The suffix that is written ``second`` with these outcomes after ``prefix``; kept in ``prefix.suffixes``."""
        self._grow(second, outcomes)
        segment: Segment | None = None
        if second:
            followed = None
            if is_scenario(observation.scenario):
                followed = self._follow(prefix.nodes, CUT[1:] + second, outcomes)
            if followed is not None:
                said = numbers(followed[0])
                number = self._numbers.setdefault((outcomes, said), len(self._numbers))
                segment = Segment(number, said, certain=_certain(followed[0]))
        elif not outcomes:
            segment = Segment(self._numbers.setdefault(((), ()), len(self._numbers)), (), certain=True)
        prefix.suffixes[second, outcomes] = segment
        return segment

    def _grow(self, text: str, outcomes: Outcomes) -> None:
        """Count one more segment: what was measured, with an edge for each of its steps."""
        self._bytes += 500 + 2 * len(text) + 300 * len(outcomes)

    def _follow(self, nodes: Nodes, text: str, outcomes: Outcomes) -> tuple[list[Edge], Nodes] | None:
        """The edges of the steps of ``text``, and the nodes after; None for an unexpected outcome."""
        words = text.split(" ")
        if len(words) != len(outcomes):
            return None
        node, diverged = nodes
        edges: list[Edge] = []
        for word, outcome in zip(words, outcomes, strict=True):
            edge = node.edges.get(word) or self.oracle.edge(node, step(word))
            if outcome != edge.expected and outcome is not None and not edge.accepts(outcome):
                return None
            edges.append(edge)
            node = edge.node if outcome is None else edge.after(outcome)
            if diverged is not None:
                assert self.diverged is not None
                other = diverged.edges.get(word) or self.diverged.edge(diverged, step(word))
                if outcome != other.expected and outcome is not None and not other.accepts(outcome):
                    return None
                diverged = other.node if outcome is None else other.after(outcome)
        return edges, (node, diverged)


def numbers(answers: Iterable[Answer]) -> tuple[int, ...]:
    """The indices of ``Oracle.answers`` that say what ``answers`` say."""
    return tuple([answer.number for answer in answers])


def _certain(edges: Sequence[Edge]) -> bool:
    """Whether something is expected of every step."""
    return None not in [edge.expected for edge in edges]


def is_scenario(text: str) -> bool:
    """Whether ``text`` is a scenario in its canonical form."""
    try:
        return parse(text).text == text
    except Problem:
        return False
