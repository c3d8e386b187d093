"""All observations of one host as columns: which scenario gave which result, and the summary of them.

Theory of operation.  A full run has some hundred thousand scenarios and a few hundred different results, so a row is
three small numbers: the first part of the scenario, its second part (from the second socket on, where the matrix is
cut), and the result.  First parts that leave the rules in the same state share what follows from there, so most rows
cost a look-up or two.  What is as expected (and what nothing is expected of) is followed here; whatever is not gets
its verdict from :class:`~conformance.judge.verdicts.Judge`.

A scenario that comes again with other outcomes is judged with both as repeats: it is flaky, not overwritten.
"""

from __future__ import annotations

from array import array
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

from conformance.errors import Problem
from conformance.judge.summary import Collector, Summary
from conformance.judge.verdicts import CONFORMS, NO_VERDICT, UNKNOWN, UNSUPPORTED, VERDICTS, Judge, Verdict
from conformance.notation import parse, step
from conformance.observe.observations import Observation, Outcomes, Recording
from conformance.oracle import catalog, confidence
from conformance.oracle.automaton import Edge, Expected, Node
from conformance.oracle.expectation import Rule

#: stands between the first part of a scenario and the second
CUT = " b="


class Result(NamedTuple):
    """What a scenario gave and what that means.  ``outcomes`` is None where nothing came out, for a ``reason``.

    ``expected`` and ``rules`` (ids) align with the steps, as far as they were as expected; ``step`` is the one to
    blame, -1 for none.
    """

    kind: str
    outcomes: Outcomes | None
    expected: tuple[Expected, ...] = ()
    rules: tuple[tuple[str, ...], ...] = ()
    step: int = -1
    confidence: str = ""
    divergence: str = ""
    reason: str = ""
    repeats: tuple[Outcomes, ...] = ()


@dataclass
class Columns:
    """One host.  Row i is the scenario ``heads[head[i]] + CUT + tails[tail[i]]`` with ``results[result[i]]``.

    A scenario without a second part has the tail "" and no CUT.
    """

    name: str
    os: str
    heads: list[str]
    tails: list[str]
    head: array[int]
    tail: array[int]
    result: array[int]
    results: list[Result]
    #: id -> why and evidence of the rules and divergences that the results name
    rules: dict[str, tuple[str, tuple[str, ...]]]
    summary: Summary
    #: what could not be read, one line each
    problems: list[str] = field(default_factory=list)

    def text(self, row: int) -> str:
        """The scenario of a row."""
        tail = self.tails[self.tail[row]]
        return self.heads[self.head[row]] + (CUT + tail if tail else "")


class _Place:
    """Where the rules are after a first part, without and with the known divergences.

    ``rests`` are the second parts that were followed from here: the edges, None for the judge to look at.
    """

    __slots__ = ("diverged", "node", "rests")

    def __init__(self, node: Node, diverged: Node | None) -> None:
        self.node = node
        self.diverged = diverged
        self.rests: dict[tuple[str, Outcomes], _Rest | None] = {}


class _Rest(NamedTuple):
    """What a second part brought, all of it accepted."""

    edges: list[Edge]
    number: int


class _Way:
    """A first part with its outcomes, as far as that matters later: ways that are alike share their results."""

    __slots__ = ("edges", "known", "number", "place")

    def __init__(self, number: int, edges: list[Edge], place: _Place) -> None:
        self.number = number
        self.edges = edges
        self.place = place
        #: second part and all outcomes -> number of the result
        self.known: dict[tuple[str, Outcomes], int] = {}


class _Head:
    """A first part: the rows of its second parts, and the way that each list of outcomes goes."""

    __slots__ = ("length", "number", "rows", "text", "ways")

    def __init__(self, number: int, text: str) -> None:
        self.number = number
        self.text = text
        self.length = text.count(" ") + 1
        self.rows: dict[str, int] = {}
        #: None where the first part is not as expected
        self.ways: dict[Outcomes, _Way | None] = {}


class Builder:
    """Takes the recordings of one host, one after the other."""

    def __init__(self, judge: Judge) -> None:
        self.judge = judge
        self._heads: dict[str, _Head] = {}
        self._tails: dict[str, int] = {}
        self._ways: dict[tuple[object, ...], _Way] = {}
        self._places: dict[tuple[Node, Node | None], _Place] = {}
        #: outcomes and rules of a piece -> its number, for :attr:`_joined`
        self._pieces: dict[tuple[object, ...], int] = {}
        #: numbers of two pieces -> number of the result of both
        self._joined: dict[tuple[int, int], int] = {}
        self._results: list[Result] = []
        self._numbers: dict[Result, int] = {}
        #: per result: the rules of all steps, and the verdict on the shortest scenario
        self._rules: list[tuple[Rule, ...]] = []
        self._verdicts: list[Verdict] = []
        self._confidence: dict[tuple[Rule, ...], str] = {}
        self.head, self.tail, self.result = array("I"), array("I"), array("I")

    def add(self, observations: Iterable[Observation]) -> None:
        """Append a row for each observation, or settle the row that its scenario has already."""
        heads, tails = self._heads, self._tails
        add_head, add_tail, add_result = self.head.append, self.tail.append, self.result.append
        for observation in observations:
            text, outcomes, _, _, repeats = observation
            first, _, second = text.partition(CUT)
            head = heads.get(first)
            if head is None:
                head = heads[first] = _Head(len(heads), first)
            row = head.rows.get(second)
            if row is not None:
                self.result[row] = self._again(self._results[self.result[row]], observation)
                continue
            if outcomes is None or repeats:
                number = self._judged(observation)
            else:
                try:
                    way = head.ways[outcomes[: head.length]]
                except KeyError:
                    way = self._way(head, outcomes[: head.length])
                known = way.known.get((second, outcomes)) if way is not None else None
                number = self._number(head, way, second, observation) if known is None else known
            head.rows[second] = len(self.result)
            add_head(head.number)
            tail = tails.get(second)
            if tail is None:
                tail = tails[second] = len(tails)
            add_tail(tail)
            add_result(number)

    def _way(self, head: _Head, outcomes: Outcomes) -> _Way | None:
        """The way of a first part with these outcomes."""
        start = _Place(self.judge.oracle.start, self.judge.diverged.start if self.judge.diverged else None)
        followed = self._follow(start, head.text, outcomes, head.text)
        way = None
        if followed is not None:
            edges, node, diverged = followed
            number = self._piece(edges, outcomes)
            place = self._places.get((node, diverged))
            if place is None:
                place = self._places[node, diverged] = _Place(node, diverged)
            way = self._ways.setdefault((number, node, diverged), _Way(number, edges, place))
        head.ways[outcomes] = way
        return way

    def _follow(
        self, place: _Place, text: str, outcomes: Outcomes, scenario: str
    ) -> tuple[list[Edge], Node, Node | None] | None:
        """The edges of the words of ``text`` and where they end; None where one does not accept its outcome."""
        words = text.split(" ")
        if len(words) != len(outcomes):
            return None
        judge = self.judge
        node, diverged = place.node, place.diverged
        edges = []
        checked = False
        for word, outcome in zip(words, outcomes, strict=True):
            edge = node.edges.get(word)
            if edge is None or (diverged is not None and word not in diverged.edges):
                # a new way: make sure, once, that this is a scenario at all
                if not checked and not _is_scenario(scenario):
                    return None
                checked = True
                edge = judge.oracle.edge(node, step(word))
            if outcome != edge.expected and outcome is not None and not edge.accepts(outcome):
                return None
            edges.append(edge)
            node = edge.node if outcome is None else edge.after(outcome)
            if diverged is not None and judge.diverged is not None:
                other = judge.diverged.edge(diverged, step(word))
                if outcome is not None and not other.accepts(outcome):
                    return None
                diverged = other.node if outcome is None else other.after(outcome)
        return edges, node, diverged

    def _piece(self, edges: list[Edge], outcomes: Outcomes) -> int:
        key = (outcomes, tuple([(edge.expected, edge.rules) for edge in edges]))
        return self._pieces.setdefault(key, len(self._pieces))

    def _number(self, head: _Head, way: _Way | None, second: str, observation: Observation) -> int:
        """The number of the result of an observation, which further rows of the same kind find in ``way.known``."""
        outcomes = observation.outcomes
        assert outcomes is not None
        if way is None:
            return self._judged(observation)
        rest_outcomes = outcomes[head.length :]
        rests = way.place.rests
        key = (second, rest_outcomes)
        if key in rests:
            rest = rests[key]
        else:
            rest = rests[key] = self._rest(way.place, second, rest_outcomes, observation.scenario)
        if rest is None:
            return self._judged(observation)
        both = (way.number, rest.number)
        number = self._joined.get(both)
        if number is None:
            edges = way.edges + rest.edges
            unknown = any(edge.expected is None for edge in edges)
            verdict = Verdict(UNKNOWN if unknown else CONFORMS, observation)
            number = self._joined[both] = self._made(verdict, edges)
        elif len(observation.scenario) < len(self._verdicts[number].observation.scenario):
            self._verdicts[number] = self._verdicts[number]._replace(observation=observation)
        way.known[second, outcomes] = number
        return number

    def _rest(self, place: _Place, second: str, outcomes: Outcomes, scenario: str) -> _Rest | None:
        if not second:
            return None if outcomes else _Rest([], self._piece([], ()))
        followed = self._follow(place, "b=" + second, outcomes, scenario)
        return None if followed is None else _Rest(followed[0], self._piece(followed[0], outcomes))

    def _judged(self, observation: Observation) -> int:
        verdict = self.judge.verdict(observation)
        edges: list[Edge] = []
        if observation.outcomes is not None and (verdict.kind != NO_VERDICT or verdict.step >= 0):
            edges = self.judge.oracle.follow(parse(observation.scenario).steps, observation.outcomes)
        return self._made(verdict, edges)

    def _made(self, verdict: Verdict, edges: list[Edge]) -> int:
        rules = tuple(dict.fromkeys(rule for edge in edges for rule in edge.rules))
        word = self._confidence.get(rules)
        if word is None:
            word = self._confidence[rules] = confidence.of_rules(rules, self.judge.expectations) if rules else ""
        observation = verdict.observation
        result = Result(
            verdict.kind,
            observation.outcomes,
            tuple([edge.expected for edge in edges]),
            tuple([tuple([rule.id for rule in edge.rules]) for edge in edges]),
            verdict.step,
            word,
            verdict.divergence,
            verdict.reason,
            observation.repeats,
        )
        number = self._numbers.get(result)
        if number is None:
            number = self._numbers[result] = len(self._results)
            self._results.append(result)
            self._rules.append(tuple([rule for edge in edges for rule in edge.rules]))
            self._verdicts.append(verdict)
        elif len(observation.scenario) < len(self._verdicts[number].observation.scenario):
            self._verdicts[number] = verdict
        return number

    def _again(self, before: Result, observation: Observation) -> int:
        """The result of a scenario that was met before: a line with repeats completes it, other outcomes repeat it."""
        if before.outcomes is None:
            return self._judged(observation)
        if observation.outcomes is None:
            return self._numbers[before]
        seen = [before.outcomes, *before.repeats]
        repeats = observation.repeats
        if not repeats or observation.outcomes != before.outcomes:
            repeats = (*seen[1:], observation.outcomes, *repeats)
        return self._judged(Observation(observation.scenario, before.outcomes, repeats=repeats))

    def columns(self, name: str, problems: Iterable[str] = (), notes: Iterable[str] = ()) -> Columns:
        """Everything so far."""
        used = Counter(self.result)
        rules: dict[str, tuple[str, tuple[str, ...]]] = {}
        for number in used:
            for rule in self._rules[number]:
                if rule.id not in rules:
                    rules[rule.id] = _described(rule)
        for one in self.judge.divergences:
            rules.setdefault(one.id, _described(one.rule))
        limit = catalog.limit_of_host(self.judge.expectations, self.judge.host)
        return Columns(
            name=name,
            os=self.judge.expectations.os,
            heads=list(self._heads),
            tails=list(self._tails),
            head=self.head,
            tail=self.tail,
            result=self.result,
            results=self._results,
            rules=rules,
            summary=self._summary(used, [*([limit] if limit else []), *notes]),
            problems=list(problems),
        )

    def _summary(self, used: Mapping[int, int], notes: list[str]) -> Summary:
        """The view-model of all reports, from how often each result came."""
        collector = Collector(self.judge)
        kinds: Counter[str] = Counter()
        decided: Counter[str] = Counter()
        reasons: dict[str, Counter[str]] = {UNSUPPORTED: Counter(), NO_VERDICT: Counter()}
        for number, count in used.items():
            verdict = self._verdicts[number]
            kinds[verdict.kind] += count
            for rule in self._rules[number]:
                decided[rule.id] += count
            if verdict.kind in reasons:
                reasons[verdict.kind][verdict.reason] += count
            elif verdict.kind != CONFORMS:
                # the group counts this one scenario; the others that gave the same are added here
                collector.group(verdict).count += count - 1
        summary = collector.summary(notes=notes)
        return replace(
            summary,
            total=sum(kinds.values()),
            verdicts={kind: kinds[kind] for kind in VERDICTS},
            rules=dict(decided.most_common()),
            reasons={kind: dict(counts.most_common()) for kind, counts in reasons.items()},
        )


def _is_scenario(text: str) -> bool:
    try:
        return parse(text).text == text
    except Problem:
        return False


def _described(rule: Rule) -> tuple[str, tuple[str, ...]]:
    return rule.why, tuple(f"{one.kind}: {one.reference}" for one in rule.evidence)


def of_recordings(recordings: Iterable[Recording], name: str = "", facts: Mapping[str, Any] | None = None) -> Columns:
    """The columns of one host; ``facts`` win over what the recordings say.  Raises :class:`Problem`."""
    from conformance.oracle import divergences

    builder: Builder | None = None
    problems: list[str] = []
    bad_lines = 0
    for recording in recordings:
        batches = recording.batches()
        first = next(batches, [])
        if builder is None:
            host = {**recording.host, **{key: value for key, value in (facts or {}).items() if value}}
            expectations, release = catalog.of_host(host)
            known = divergences.of(expectations, release)
            builder = Builder(Judge(expectations.at(release), known, host))
        builder.add(first)
        for batch in batches:
            builder.add(batch)
        bad_lines += recording.bad_lines
        if recording.problem is not None:
            problems.append(str(recording.problem))
    if builder is None:
        raise ValueError("no recordings")
    notes = [f"{bad_lines} lines could not be read"] if bad_lines else []
    summary_name = name or f"{builder.judge.expectations.os} {builder.judge.expectations.release}"
    return builder.columns(summary_name, problems, notes)
