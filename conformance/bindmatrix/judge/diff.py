"""Differences between expectation files or between recordings, and the rules that cause them.

Two or three sides are compared scenario by scenario. Only the first step at which they differ counts, because later
differences are consequences. Differences are grouped by the rules that decide that step on each side; a group keeps its
shortest scenario as the example. Expectations differ if no outcome would satisfy both; an unknown outcome is counted,
but is no difference. Recordings differ if their outcomes do; deliveries differ only in which sockets received.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import combinations, product
from typing import Any, NamedTuple

from bindmatrix.errors import Problem
from bindmatrix.notation import parse, step
from bindmatrix.observe.recordings import Observation, Outcomes
from bindmatrix.oracle.oracle import Edge, Oracle
from bindmatrix.outcomes import Expected, Receivers, alike, compatible, in_words
from bindmatrix.rules.divergences import Divergence
from bindmatrix.rules.divergences import apply as with_divergences
from bindmatrix.rules.model import Model, Rule
from bindmatrix.rules.releases import EVER


class SideOutcome(NamedTuple):
    """The expected or observed outcome of one side at the step that differs."""

    outcome: Expected
    #: ids of the rules that decide there; of the known divergence instead, where that explains what was observed
    rules: tuple[str, ...]
    why: str
    #: further explanation: the releases in which the rule holds, a known divergence, or that the rules differ
    note: str = ""


@dataclass
class DifferenceGroup:
    """Scenarios that differ because of the same rules; the fields from ``scenario`` on are those of the shortest."""

    count: int = 0
    scenario: str = ""
    #: the step that differs, from 0
    step: int = 0
    sides: tuple[SideOutcome, ...] = ()


@dataclass
class Comparison:
    """The result.  ``compared`` = ``differ`` + ``unknown`` + those alike."""

    sides: tuple[str, ...]
    compared: int = 0
    differ: int = 0
    #: scenarios without a difference of which a side does not know, or did not record, an outcome
    unknown: int = 0
    groups: list[DifferenceGroup] = field(default_factory=list)
    #: side -> scenarios that only some sides have, this one among them
    only: dict[str, int] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)

    def as_dict(self) -> dict[str, Any]:
        """For JSON; the keys are documented in the help of ``diff``."""
        groups = [{**vars(group), "sides": [one._asdict() for one in group.sides]} for group in self.groups]
        return {**vars(self), "groups": groups}


class Side(NamedTuple):
    """A model under the name that reports call it."""

    name: str
    model: Model


class RecordedSide(NamedTuple):
    """A recording: its observations by scenario, and what is expected of its host (None where that is not known)."""

    name: str
    observations: Mapping[str, Observation]
    model: Model | None
    divergences: tuple[Divergence, ...] = ()


class _Groups:
    """Collects differences by their rules."""

    def __init__(self) -> None:
        self.found: dict[object, DifferenceGroup] = {}

    def add(self, key: object, text: str, place: int, sides: Callable[[], tuple[SideOutcome, ...]]) -> None:
        group = self.found.get(key)
        if group is None:
            group = self.found[key] = DifferenceGroup()
        group.count += 1
        if not group.scenario or _length(text) < _length(group.scenario):
            group.scenario, group.step, group.sides = text, place, sides()

    def sorted(self) -> list[DifferenceGroup]:
        return sorted(self.found.values(), key=lambda group: (-group.count, _length(group.scenario)))


def _length(text: str) -> tuple[int, int, str]:
    return text.count(" "), len(text), text


# -- expectation files


def of_expectations(sides: Sequence[Side], scenarios: Iterable[str]) -> Comparison:
    """Compare what ``sides`` expect of ``scenarios``, which must be in canonical form."""
    oracles = [Oracle(side.model) for side in sides]
    result = Comparison(tuple(side.name for side in sides))
    groups = _Groups()
    for text in scenarios:
        result.compared += 1
        place, edges = _first_difference(oracles, text)
        if place is not None:
            key = tuple(edge.rules for edge in edges)
            groups.add(key, text, place, lambda edges=edges: tuple(_expected_by(edge) for edge in edges))  # type: ignore[misc]
        elif edges:
            result.unknown += 1
    result.groups = groups.sorted()
    result.differ = sum(group.count for group in result.groups)
    return result


def _first_difference(oracles: Sequence[Oracle], text: str) -> tuple[int | None, list[Edge]]:
    """The first step that differs and the edges there; None where none does, with edges when one is unknown."""
    nodes = [oracle.start for oracle in oracles]
    unknown: list[Edge] = []
    for place, word in enumerate(text.split(" ")):
        edges = []
        for oracle, node in zip(oracles, nodes, strict=True):
            edges.append(node.edges.get(word) or oracle.edge(node, step(word)))
        for one, other in combinations(edges, 2):
            mine, theirs = one.expected, other.expected
            if mine != theirs and not compatible(mine, theirs, delivers=one.delivers):
                return place, edges
        if None in [edge.expected for edge in edges]:
            unknown = edges
        nodes = [edge.node for edge in edges]
    return None, unknown


def _expected_by(edge: Edge) -> SideOutcome:
    return SideOutcome(edge.expected, tuple(rule.id for rule in edge.rules), _why(edge.rules), _releases(edge.rules))


def _why(rules: Sequence[Rule]) -> str:
    return "; or ".join(dict.fromkeys(" ".join(rule.reason.split()) for rule in rules))


def _releases(rules: Sequence[Rule]) -> str:
    """The releases in which the rules hold, "" for all."""
    return "; ".join(dict.fromkeys(str(rule.span) for rule in rules if rule.span != EVER))


# -- recordings


def of_recordings(sides: Sequence[RecordedSide]) -> Comparison:
    """Compare what was recorded of the scenarios that all ``sides`` have."""
    result = Comparison(tuple(side.name for side in sides))
    common = set(sides[0].observations).intersection(*(side.observations for side in sides[1:]))
    result.only = {side.name: len(side.observations) - len(common) for side in sides}
    explainers = [_Explainer(side) for side in sides]
    groups = _Groups()
    for text in common:
        result.compared += 1
        seen = [side.observations[text] for side in sides]
        place = _first_observed_difference(seen)
        if place is None:
            result.unknown += any(one.outcomes is None or None in one.outcomes for one in seen)
            continue
        sides_there = tuple(
            explainer.outcome(text, place, one.outcomes or ()) for explainer, one in zip(explainers, seen, strict=True)
        )
        key = tuple((one.rules, one.note, Receivers.of(str(one.outcome))) for one in sides_there)
        groups.add(key, text, place, lambda sides_there=sides_there: sides_there)  # type: ignore[misc]
    result.groups = groups.sorted()
    result.differ = sum(group.count for group in result.groups)
    return result


def _first_observed_difference(seen: Sequence[Observation]) -> int | None:
    if any(one.outcomes is None for one in seen):
        return None
    runs = [(one.outcomes or (), *filter(None, one.repeats)) for one in seen]
    for place in range(min(len(run) for sides in runs for run in sides)):
        outcomes = [{run[place] for run in sides} for sides in runs]
        if any(None in some for some in outcomes):
            continue
        if not all(any(alike(*both) for both in product(*sides)) for sides in combinations(outcomes, 2)):
            return place
    return None


class _Explainer:
    """Says which rule decides a step of a recorded run."""

    def __init__(self, side: RecordedSide) -> None:
        self.oracle = Oracle(side.model) if side.model else None
        #: the kernel with each of its known divergences, and with all of them
        self.diverged: list[tuple[tuple[Divergence, ...], Oracle]] = []
        if side.model and side.divergences:
            every = dict.fromkeys([*[(one,) for one in side.divergences], side.divergences])
            self.diverged = [(some, Oracle(with_divergences(side.model, some))) for some in every]

    def outcome(self, text: str, place: int, outcomes: Outcomes) -> SideOutcome:
        """What happened at step ``place``, and why."""
        outcome = outcomes[place]
        assert outcome is not None  # a step that was not asserted is no difference
        if self.oracle is None:
            return SideOutcome(outcome, (), "", "no expectations for this host")
        try:
            steps = parse(text).steps[: place + 1]
        except Problem as problem:
            return SideOutcome(outcome, (), "", f"not a scenario: {problem.message}")
        if len(steps) <= place:
            return SideOutcome(outcome, (), "", f"{len(outcomes)} outcomes do not fit the steps")
        before = outcomes[: place + 1]
        edges = self.oracle.follow(steps, before)
        last = edges[-1]
        if len(edges) == len(steps) and last.accepts(outcome):
            note = "unknown to the rules" if last.expected is None else _releases(last.rules)
            return SideOutcome(outcome, tuple(rule.id for rule in last.rules), _why(last.rules), note)
        for some, oracle in self.diverged:
            follows = oracle.follow(steps, before)
            if len(follows) == len(steps) and follows[-1].accepts(outcome):
                names = ", ".join(one.id for one in some)
                return SideOutcome(outcome, (names,), _why([one.rule for one in some]), "a known divergence")
        ids = tuple(rule.id for rule in last.rules)
        if len(edges) < len(steps):
            return SideOutcome(
                outcome, ids, _why(last.rules), f"an earlier step, {steps[len(edges) - 1].text}, is not as expected"
            )
        said = in_words(last.expected, delivers=last.delivers)
        return SideOutcome(outcome, ids, _why(last.rules), f"not as expected: the rules say {said}")
