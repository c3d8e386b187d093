"""An oracle that remembers which rules each of its edges rests on.

A step may rest on several: a bind() asks the rules of ``bind``, then those of ``chain`` and ``remember``.  Only the
first are on the edge as the rules that decided the outcome; the replay counts the others too, and the mutation score
asks every decision again with a changed rule.
"""

from __future__ import annotations

from bindmatrix.notation import Step
from bindmatrix.oracle.evaluator import CompiledEvaluator
from bindmatrix.oracle.oracle import Edge, Node, Oracle
from bindmatrix.oracle.trace import Decision, Received, Recorder
from bindmatrix.rules.model import ALLOW, CALL_SECTIONS, Model, Rule


class TracingOracle(Oracle):
    """``keep``: ``decisions`` and ``received`` map every edge that was walked to what was asked on it."""

    def __init__(self, model: Model, *, keep: bool = False) -> None:
        self._recorder = Recorder(CompiledEvaluator(model))
        self._keep = keep
        self.decisions: dict[Edge, tuple[Decision, ...]] = {}
        self.received: dict[Edge, tuple[Received, ...]] = {}
        #: with ``keep`` the edges that were asked for since somebody cleared it
        self.met: list[Edge] = []
        #: edge -> ids of the rules of its effects, and of those that let it succeed, where there are any
        self._effects: dict[Edge, tuple[str, ...]] = {}
        self._applied: dict[tuple[Edge, bool], set[str]] = {}
        super().__init__(model, self._recorder)

    def edge(self, node: Node, step: Step) -> Edge:
        """As any oracle."""
        edge = super().edge(node, step)
        if self._keep:
            self.met.append(edge)
        return edge

    def _edge(self, node: Node, step: Step) -> Edge:
        log = self._recorder.log = []
        received = self._recorder.received = []
        edge = super()._edge(node, step)
        effects = tuple(rule.id for one in log for rule in one.rules if _lets(one.section, rule))
        if effects:
            self._effects[edge] = effects
        if self._keep:
            self.decisions[edge] = tuple(log)
            self.received[edge] = tuple(received)
        return edge

    def applied(self, edge: Edge, *, succeeded: bool) -> set[str]:
        """The ids of the rules behind a step: those of its outcome, and of all that let it be where it succeeded."""
        ids = self._applied.get((edge, succeeded))
        if ids is None:
            ids = self._applied[edge, succeeded] = {rule.id for rule in edge.rules}
            if succeeded:
                ids.update(self._effects.get(edge, ()))
        return ids


def _lets(section: str, rule: Rule) -> bool:
    """Whether the rule had a say in a step that succeeded: a connect() that is allowed still has to find a listener."""
    return section not in CALL_SECTIONS or rule.action == ALLOW
