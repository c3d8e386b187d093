"""One oracle for several models: a step is computed once for all models whose rules decide it in the same way.

The releases of a system differ in few rules. A :class:`JointEvaluator` evaluates each distinct list of rules, returns
the decision of the first model, and keeps in ``agreeing`` the models that decide the same. :meth:`JointOracle.edges`
repeats the step for the others.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from dataclasses import replace
from typing import TypeVar

from bindmatrix.notation import Step
from bindmatrix.oracle.delivery import Delivery
from bindmatrix.oracle.evaluator import CompiledEvaluator
from bindmatrix.oracle.layout import Layout
from bindmatrix.oracle.oracle import Edge, Node, Oracle
from bindmatrix.rules.model import Model, Rule
from bindmatrix.rules.sockets import Call, Sock, State

#: numbers of models
Members = frozenset[int]
_T = TypeVar("_T")


def alike(models: Sequence[Model]) -> list[list[int]]:
    """Groups of indices of ``models`` that can share one joint oracle: they differ in rules alone."""
    found: list[tuple[object, list[int]]] = []
    for number, model in enumerate(models):
        # states keep the options that any of the rules uses, which is enough for each model
        _, _, *layout = Layout.of(model)
        traits = (model.stack, model.port, set(model.rules), layout)
        same = next((those for known, those in found if known == traits), None)
        if same is None:
            found.append((traits, [number]))
        else:
            same.append(number)
    return [those for _, those in found]


class JointEvaluator:
    """Decides as the first model of ``agreeing``, and drops from ``agreeing`` those that decide otherwise.

    ``model`` has the rules of all ``models``; nothing decides by it.
    """

    def __init__(self, models: Sequence[Model]) -> None:
        union = {
            section: tuple(dict.fromkeys(rule for model in models for rule in model.rules[section]))
            for section in models[0].rules
        }
        self.model = replace(models[0], rules=union)
        self.agreeing: Members = frozenset(range(len(models)))
        self._evaluators = [CompiledEvaluator(model) for model in models]
        #: section, protocol and members -> groups of members with the same rules there, the first member's first
        self._groups: dict[tuple[str, str, Members], list[list[int]]] = {}

    def decide(self, section: str, call: Call, new: Sock, state: State) -> tuple[Rule, ...]:
        """The rules that decide."""
        return self._first(section, new, lambda one: one.decide(section, call, new, state))

    def matching(self, rule: Rule, call: Call, new: Sock, state: State) -> list[Sock]:
        """The existing sockets that match, the same for all that have ``rule``."""
        return self._evaluators[min(self.agreeing)].matching(rule, call, new, state)

    def receivers(self, call: Call, destination: Sock, state: State) -> Delivery:
        """Who receives."""
        return self._first("deliver", destination, lambda one: one.receivers(call, destination, state))

    def _first(self, section: str, new: Sock, asked: Callable[[CompiledEvaluator], _T]) -> _T:
        key = (section, new.protocol, self.agreeing)
        groups = self._groups.get(key)
        if groups is None:
            groups = self._groups[key] = self._grouped(*key)
        answer = asked(self._evaluators[groups[0][0]])
        for members in groups[1:]:
            if asked(self._evaluators[members[0]]) != answer:
                self.agreeing = self.agreeing.difference(members)
        return answer

    def _grouped(self, section: str, protocol: str, members: Members) -> list[list[int]]:
        found: dict[Hashable, list[int]] = {}
        for number in sorted(members):
            rules = [
                rule
                for rule in self._evaluators[number].model.rules.get(section, ())
                if all(protocol in values for name, values in rule.when if name == "new.protocol")
            ]
            found.setdefault(tuple(rules), []).append(number)
        return list(found.values())


class JointOracle(Oracle):
    """Answers by the rules of several models, which must be :func:`alike`."""

    def __init__(self, models: Sequence[Model]) -> None:
        self._joint = JointEvaluator(models)
        super().__init__(self._joint.model, self._joint)
        self.members = self._joint.agreeing
        self._edges: dict[tuple[int, str, Members], list[tuple[Members, Edge]]] = {}

    def edges(self, node: Node, step: Step, members: Members) -> list[tuple[Members, Edge]]:
        """The edges of ``step`` from ``node``: which of ``members`` take which."""
        key = (id(node), step.text, members)
        found = self._edges.get(key)
        if found is None:
            found = self._edges[key] = []
            rest = members
            while rest:
                self._joint.agreeing = rest
                edge = self._edge(node, step)
                found.append((self._joint.agreeing, edge))
                rest -= self._joint.agreeing
        return found

    def forget(self) -> None:
        """Clear the memo."""
        super().forget()
        self._edges.clear()
