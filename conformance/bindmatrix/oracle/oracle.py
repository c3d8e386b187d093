"""The oracle: what each step of a scenario returns, by the rules of one release of one system.

Theory of operation.  A scenario is a word, its steps are letters, and a :class:`State` is everything that can matter
later.  So the rules are a finite automaton, and most scenarios of a matrix share most of their way through it.  The
automaton is built while it is walked: ``transitions.py`` works out an edge the first time, afterwards the edge is one
look-up in a dictionary.  This is the only memo of the engine.  Where a step can go several ways (an unknown outcome, a
connection that one of two listeners gets) a node stands for a set of states, as in the usual construction of a
deterministic automaton.  Following an observed run keeps the states that agree with it.

The set holds every state that the step may have led to, so a later step predicts only what all of them agree on. If the
states cannot be listed, one of them is a state in which nothing is known (``unknown.py``).

This module names no system, no rule and no fact.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from bindmatrix.notation import Scenario, Step, parse
from bindmatrix.oracle.branches import ANYTHING, Branch
from bindmatrix.oracle.evaluator import CompiledEvaluator, Evaluator
from bindmatrix.oracle.transitions import Transitions
from bindmatrix.outcomes import ANY_ERROR, Expected, accepts
from bindmatrix.rules.model import Model, Rule
from bindmatrix.rules.sockets import State

#: the most edges that are kept, about: each takes 700 bytes with its states; a full run of a matrix has 300,000
MOST_EDGES = 400_000


class Answer:
    """What one step returns, and the rules that decide it."""

    __slots__ = ("delivers", "expected", "number", "rules")

    def __init__(self, expected: Expected, rules: tuple[Rule, ...], number: int, *, delivers: bool = False) -> None:
        self.expected = expected
        #: its index in ``Oracle.answers``: answers with one number have the same ``expected`` and the same ``rules``
        self.number = number
        #: a step that asks who receives: its outcomes are classes, and ``refused`` is one of them
        self.delivers = delivers
        self.rules = rules

    def accepts(self, outcome: str) -> bool:
        """Whether ``outcome`` is as expected; every outcome is if nothing is known."""
        return accepts(self.expected, outcome, delivers=self.delivers)


class Edge(Answer):
    """One step from one node."""

    __slots__ = ("branches", "node")

    def __init__(
        self,
        expected: Expected,
        rules: tuple[Rule, ...],
        number: int,
        node: Node,
        branches: dict[str, Node],
        *,
        delivers: bool,
    ) -> None:
        super().__init__(expected, rules, number, delivers=delivers)
        #: the next node when nothing was observed
        self.node = node
        #: outcome -> the next node when it was observed; empty where ``node`` is the only one
        self.branches = branches

    def after(self, outcome: str) -> Node:
        """The next node once ``outcome`` was observed."""
        branches = self.branches
        if not branches:
            return self.node
        if outcome in branches:
            return branches[outcome]
        return self.node if outcome == "ok" else branches.get(ANY_ERROR, self.node)


class Node:
    """A set of states, and the edges that were walked from it."""

    __slots__ = ("edges", "states")

    def __init__(self, states: tuple[State, ...]) -> None:
        self.states = states
        self.edges: dict[str, Edge] = {}


class Prediction(NamedTuple):
    """For each step: what it returns, and the rules that decide it."""

    outcomes: tuple[Expected, ...]
    rules: tuple[tuple[Rule, ...], ...]


def said(branches: Sequence[Branch]) -> tuple[Expected, tuple[Rule, ...]]:
    """What a step with these branches is expected to return, and the rules that decide it or that say ``unknown``."""
    if len(branches) == 1 and not branches[0].unknown:
        return branches[0].outcome, branches[0].rules
    unknown = [branch for branch in branches if branch.unknown]
    rules = tuple(dict.fromkeys(rule for branch in unknown or branches for rule in branch.rules))
    if unknown:
        return None, rules
    outcomes = sorted({branch.outcome for branch in branches})
    return (outcomes[0] if len(outcomes) == 1 else tuple(outcomes)), rules


class Oracle:
    """Predicts by the rules of ``model``, or with ``evaluator`` if one is given.

    Raises ``TypeError`` for anything but a :class:`~bindmatrix.rules.model.Model`: an expectation file has the rules of
    all releases, and no kernel follows all of them.
    """

    def __init__(self, model: Model, evaluator: Evaluator | None = None) -> None:
        if not isinstance(model, Model):
            raise TypeError(f"expected a Model, such as expectations.at('1.0'); got {type(model).__name__}")
        self.model = model
        self.evaluator = evaluator or CompiledEvaluator(model)
        self._transitions = Transitions(self.evaluator)
        self._nodes: dict[tuple[State, ...], Node] = {}
        self._edge_count = 0
        #: one answer for each number; they outlive the memo
        self.answers: list[Answer] = []
        self._numbers: dict[tuple[Expected, tuple[Rule, ...]], int] = {}
        self.start = self._node((State(user=0),))

    def predict(self, scenario: Scenario | str) -> Prediction:
        """What every step returns; raises :class:`~bindmatrix.errors.Problem` for a text that is no scenario."""
        steps = (parse(scenario) if isinstance(scenario, str) else scenario).steps
        self._bound()
        edges = []
        node = self.start
        for step in steps:
            edge = self.edge(node, step)
            edges.append(edge)
            node = edge.node
        return Prediction(tuple([edge.expected for edge in edges]), tuple([edge.rules for edge in edges]))

    def follow(self, steps: Sequence[Step], outcomes: Sequence[str | None]) -> list[Edge]:
        """The edges of a recorded run, up to and with the first that does not accept its outcome.

        An outcome of None was not asserted.
        """
        self._bound()
        edges = []
        node = self.start
        for step, outcome in zip(steps, outcomes, strict=True):
            edge = self.edge(node, step)
            edges.append(edge)
            if outcome is None:
                node = edge.node
            elif not edge.accepts(outcome):
                break
            else:
                node = edge.after(outcome)
        return edges

    def edge(self, node: Node, step: Step) -> Edge:
        """The edge of ``step`` from ``node``, computed the first time."""
        edge = node.edges.get(step.text)
        if edge is None:
            edge = node.edges[step.text] = self._edge(node, step)
            self._edge_count += 1
        return edge

    def _bound(self) -> None:
        """Clear the memo if it has grown too large. Called only between two scenarios, when no node is in use."""
        if self._edge_count > MOST_EDGES:
            self.forget()

    def forget(self) -> None:
        """Clear the memo; it is cyclic, so reference counting cannot free it."""
        self._edge_count = 0
        for node in self._nodes.values():
            node.edges.clear()
        self._nodes = {self.start.states: self.start}

    def _edge(self, node: Node, step: Step) -> Edge:
        if len(node.states) == 1:
            branches = self._transitions.apply(node.states[0], step)
        else:
            branches = [branch for state in node.states for branch in self._transitions.apply(state, step)]
        expected, rules = said(branches)
        number = self._numbers.setdefault((expected, rules), len(self._numbers))
        after: dict[str, Node] = {}
        if len(branches) == 1:
            reached = self._node((branches[0].state,))
        else:
            reached = self._node_of(branches)
            after = {
                one: self._node_of([branch for branch in branches if branch.may_follow(one, delivers=step.delivers)])
                for one in dict.fromkeys(branch.outcome for branch in branches if branch.outcome != ANYTHING)
            }
            if all(one is reached for one in after.values()):
                after = {}
        edge = Edge(expected, rules, number, reached, after, delivers=step.delivers)
        if number == len(self.answers):
            self.answers.append(Answer(expected, rules, number, delivers=step.delivers))
        return edge

    def _node_of(self, branches: list[Branch]) -> Node:
        return self._node(tuple(dict.fromkeys(branch.state for branch in branches)))

    def _node(self, states: tuple[State, ...]) -> Node:
        node = self._nodes.get(states)
        if node is None:
            node = self._nodes[states] = Node(states)
        return node
