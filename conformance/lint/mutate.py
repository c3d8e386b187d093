"""The mutation score: how many small changes of the rules the recorded outcomes notice.

Theory of operation.  The recorded runs are replayed once, and every edge of the automaton remembers what was asked on
it (``tracing.py``).  A mutant can only matter on edges where the changed rules decide otherwise.  So it is asked the
same questions again, which costs a few microseconds each; the recorded runs that pass an edge with another answer are
replayed on the mutant until one of them comes out otherwise, or is left unknown: then the mutant is *killed*.

Releases with the same rules are one; a run is taken once, whatever hosts recorded it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

from conformance.lint.mutants import Mutant, of_section, rests_on_recordings
from conformance.lint.replay import lines, same_rules
from conformance.lint.subject import Subject
from conformance.lint.tracing import Decision, TracingOracle
from conformance.notation import step
from conformance.oracle import divergences
from conformance.oracle.automaton import Edge, Oracle
from conformance.oracle.branches import Evaluator
from conformance.oracle.compiled import CompiledEvaluator
from conformance.oracle.expectation import Condition, Expectations, Rule
from conformance.oracle.ports import Call, Sock, State

#: a recorded run: words of the scenario and their outcomes
Run = tuple[tuple[str, ...], tuple[str | None, ...]]


class Survivor(NamedTuple):
    """A mutant that no recorded outcome notices."""

    mutant: Mutant
    #: recorded outcomes should have noticed: the rule claims to be observed
    weak: bool


@dataclass
class Score:
    """The result for one file."""

    os: str
    mutants: int = 0
    survivors: list[Survivor] = field(default_factory=list)

    @property
    def killed(self) -> int:
        """How many mutants were noticed."""
        return self.mutants - len(self.survivors)

    @property
    def weak(self) -> list[Survivor]:
        """Survivors of rules that claim to be observed."""
        return [one for one in self.survivors if one.weak]

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {
            "mutants": self.mutants,
            "killed": self.killed,
            "survivors": [
                {
                    "rule": one.mutant.original.id,
                    "section": one.mutant.section,
                    "change": one.mutant.change,
                    "observed": one.weak,
                    "file": one.mutant.original.place.name,
                    "line": one.mutant.original.place.line,
                }
                for one in self.survivors
            ],
        }


class _Mutated:
    """Decides with changed rules in one section, as before in the others."""

    def __init__(self, base: Evaluator, section: str, rules: tuple[Rule, ...]) -> None:
        self.expectations = replace(base.expectations, rules={**base.expectations.rules, section: rules})
        self.section = section
        self.base = base
        alone = replace(self.expectations, rules={section: rules})
        self._own = CompiledEvaluator(alone)

    def decide(self, section: str, call: Call, new: Sock, state: State) -> tuple[Rule, ...]:
        """The rules that decide."""
        return (self._own if section == self.section else self.base).decide(section, call, new, state)

    def holds(
        self, conditions: tuple[Condition, ...], call: Call, new: Sock, sock: Sock | None, space: str, state: State
    ) -> bool:
        """Whether one of ``conditions`` holds."""
        return self.base.holds(conditions, call, new, sock, space, state)


class _Recordings:
    """The recorded runs of releases with the same rules, and where each of them passes."""

    def __init__(self, expectations: Expectations) -> None:
        self.expectations = expectations
        self.evaluator = CompiledEvaluator(expectations)
        self.oracle = TracingOracle(expectations, keep=True)
        self.runs: dict[Run, None] = {}
        #: edge -> runs that pass it; in the order in which they were read, which is from short to long
        self.through: dict[Edge, list[Run]] = {}
        self._asked: dict[str, list[tuple[Edge, Decision]]] = {}

    def add(self, scenario: str, outcomes: tuple[str | None, ...]) -> None:
        words = tuple(scenario.split(" "))
        if len(words) == len(outcomes):
            self.runs[words, outcomes] = None

    def walk(self) -> None:
        """Find out where the runs pass; what is not as expected without any change is left out."""
        for run in self.runs:
            node = self.oracle.start
            edges = []
            for word, outcome in zip(*run, strict=True):
                edge = self.oracle.edge(node, step(word))
                if outcome is not None and not edge.accepts(outcome):
                    break
                edges.append(edge)
                node = edge.node if outcome is None else edge.after(outcome)
            else:
                for edge in dict.fromkeys(edges):
                    self.through.setdefault(edge, []).append(run)
        for edge in self.through:
            for decision in self.oracle.decisions[edge]:
                self._asked.setdefault(decision.section, []).append((edge, decision))

    def killed(self, mutant: Mutant) -> bool:
        """Whether a run notices ``mutant``."""
        rules = self.expectations.rules[mutant.section]
        index = rules.index(mutant.original)
        changed = (*rules[:index], *([mutant.rule] if mutant.rule else []), *rules[index + 1 :])
        evaluator = _Mutated(self.evaluator, mutant.section, changed)
        oracle = Oracle(evaluator.expectations, evaluator)
        tried: set[Run] = set()
        for edge in self._changed_edges(mutant, rules, index, evaluator):
            for run in self.through[edge]:
                if run not in tried:
                    tried.add(run)
                    if not _as_before(self.oracle, oracle, run):
                        return True
        return False

    def _changed_edges(
        self, mutant: Mutant, rules: tuple[Rule, ...], index: int, evaluator: Evaluator
    ) -> Iterator[Edge]:
        """Edges on which the mutant decides otherwise."""
        if mutant.section == "deliver":
            later = set(rules[index:])
            yield from (edge for edge in self.through if any(rule in later for rule in edge.rules))
            return
        affected = self._affected(mutant, rules, index)
        for edge, decision in self._asked.get(mutant.section, ()):
            if affected(decision.rules):
                now = evaluator.decide(mutant.section, decision.call, decision.new, decision.state)
                if now != decision.rules:
                    yield edge

    @staticmethod
    def _affected(mutant: Mutant, rules: tuple[Rule, ...], index: int) -> Callable[[tuple[Rule, ...]], bool]:
        """Which earlier decisions a mutant can change: those of its rule, else those of its rule and later ones."""
        original = mutant.original
        if mutant.rule is None or (mutant.rule.unless == original.unless and mutant.rule.among == original.among):
            return lambda decided: original in decided
        earlier = set(rules[:index])
        # where several rules can decide together an earlier one does not shut out this one
        return lambda decided: len(decided) != 1 or decided[0] not in earlier or bool(decided[0].effect.get("memory"))


def _as_before(before: Oracle, now: Oracle, run: Run) -> bool:
    """Whether ``now`` claims every outcome of a recorded run that ``before`` does."""
    old, new = before.start, now.start
    for word, outcome in zip(*run, strict=True):
        was = old.edges[word]
        edge = new.edges.get(word) or now.edge(new, step(word))
        if outcome is None:
            old, new = was.node, edge.node
        elif not edge.accepts(outcome) or (edge.expected is None and was.expected is not None):
            return False
        else:
            old, new = was.after(outcome), edge.after(outcome)
    return True


def score(subject: Subject, progress: Callable[[str, int, int], None] | None = None) -> Score:
    """The mutation score of one file; ``progress`` is told (system, mutants done, of how many)."""
    expectations = subject.loaded
    groups = _recordings(subject)
    mutants = [mutant for section, rules in expectations.rules.items() for mutant in of_section(section, rules)]
    result = Score(expectations.os, len(mutants))
    for done, mutant in enumerate(mutants):
        if progress is not None:
            progress(result.os, done, len(mutants))
        if not any(
            mutant.original in group.expectations.rules.get(mutant.section, ()) and group.killed(mutant)
            for group in groups
        ):
            result.survivors.append(Survivor(mutant, rests_on_recordings(mutant.original)))
    return result


def _recordings(subject: Subject) -> list[_Recordings]:
    groups: dict[object, _Recordings] = {}
    of_release: dict[str, _Recordings] = {}
    for recorded in subject.sets:
        for line in lines(recorded, subject.loaded, []):
            group = of_release.get(line.release)
            if group is None:
                at = subject.loaded.at(line.release)
                in_force = divergences.in_force(subject.divergences, at, line.release)
                at = divergences.apply(at, in_force)
                group = groups.setdefault(same_rules(at), _Recordings(at))
                of_release[line.release] = group
            if line.observation.outcomes is not None:
                group.add(line.observation.scenario, line.observation.outcomes)
    for group in groups.values():
        group.walk()
    return list(groups.values())
