"""Where runs pass the automaton, and which of them notice a change of the rules.

Theory of operation.  The runs are replayed once, and every edge of the automaton remembers what was asked on it
(``tracing.py``).  A mutant can only matter on edges where the changed rules decide otherwise.  So it is asked the same
questions again, which costs a few microseconds each; the runs that pass an edge with another answer are replayed on the
mutant until one of them comes out otherwise, or is left unknown: that run *notices* it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace

from bindmatrix.lint.mutants import Mutant
from bindmatrix.lint.tracing import TracingOracle
from bindmatrix.notation import step
from bindmatrix.oracle.delivery import Delivery
from bindmatrix.oracle.evaluator import CompiledEvaluator, Evaluator
from bindmatrix.oracle.oracle import Edge, Oracle
from bindmatrix.oracle.trace import Decision
from bindmatrix.rules.model import Model, Rule
from bindmatrix.rules.sockets import Call, Sock, State

#: words of a scenario and their outcomes
Run = tuple[tuple[str, ...], tuple[str | None, ...]]


class _Mutated:
    """Decides with changed rules in one section, as before in the others."""

    def __init__(self, base: Evaluator, section: str, rules: tuple[Rule, ...]) -> None:
        self.model = base.model.with_rules(section, rules)
        self.base = base
        self._changed = CompiledEvaluator(replace(base.model, rules={section: rules}))
        self.section = section

    def _of(self, section: str) -> Evaluator:
        return self._changed if section == self.section else self.base

    def decide(self, section: str, call: Call, new: Sock, state: State) -> tuple[Rule, ...]:
        """The rules that decide."""
        return self._of(section).decide(section, call, new, state)

    def matching(self, rule: Rule, call: Call, new: Sock, state: State) -> list[Sock]:
        """The existing sockets that match a rule of ``groups``."""
        return self._of("groups").matching(rule, call, new, state)

    def receivers(self, call: Call, destination: Sock, state: State) -> Delivery:
        """Who receives."""
        return self._of("deliver").receivers(call, destination, state)


class Passes:
    """Runs of releases with the same rules, and where each of them passes."""

    def __init__(self, model: Model) -> None:
        self.model = model
        self.evaluator = CompiledEvaluator(model)
        self.oracle = TracingOracle(model, keep=True)
        self.runs: dict[Run, None] = {}
        #: edge -> runs that pass it; in the order in which they were read, which is from short to long
        self.through: dict[Edge, list[Run]] = {}
        self._asked: dict[str, list[tuple[Edge, Decision]]] = {}

    def add(self, scenario: str, outcomes: tuple[str | None, ...]) -> None:
        """Take a run; its outcomes are those recorded, None where nothing is asserted."""
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

    def noticing(self, mutant: Mutant) -> Iterator[Run]:
        """The runs that notice ``mutant``."""
        rules = self.model.rules[mutant.section]
        index = rules.index(mutant.original)
        changed = (*rules[:index], *([mutant.rule] if mutant.rule else []), *rules[index + 1 :])
        evaluator = _Mutated(self.evaluator, mutant.section, changed)
        oracle = Oracle(evaluator.model, evaluator)
        tried: set[Run] = set()
        for edge in self._changed_edges(mutant, rules, index, evaluator):
            for run in self.through[edge]:
                if run not in tried:
                    tried.add(run)
                    if not _as_before(self.oracle, oracle, run):
                        yield run

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
        return lambda decided: len(decided) != 1 or decided[0] not in earlier or bool(decided[0].memory)


def _as_before(before: Oracle, now: Oracle, run: Run) -> bool:
    """Whether ``now`` claims every outcome of a run that ``before`` does."""
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
