"""The reason for what a step returns, in plain language, with the kernel's detail beside it.

A refusal is explained by its rule. A bind() or listen() that succeeds is explained by the terms that keep the rules
from refusing it (:mod:`bindmatrix.oracle.sharing`): no socket overlaps, or the overlapping ones share.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from bindmatrix.answers.fact_words import in_words
from bindmatrix.notation import OPTIONS, Scenario, Step
from bindmatrix.oracle.oracle import Node, Oracle
from bindmatrix.oracle.sharing import sharing
from bindmatrix.oracle.trace import Decision, Recorder
from bindmatrix.oracle.transitions import Transitions
from bindmatrix.outcomes import Expected
from bindmatrix.rules.model import ALLOW, Model, Rule
from bindmatrix.rules.sockets import SCENARIO_PORT, Sock

#: id of the rule of the socket interface that stands for an option that a platform lacks (``oracle/branches.py``)
ABSENT = "api.absent-option"


class Reason(NamedTuple):
    """Why a step returns what it does.  ``step`` counts from 0; ``rule`` is the id of the first rule that decided.

    ``text`` is for everybody, ``why`` for people who read the kernel's source.
    """

    step: int
    rule: str
    text: str
    why: str


def reasons(oracle: Oracle, scenario: Scenario) -> list[Reason]:
    """The reason for each step of ``scenario``, by the rules of ``oracle``."""
    found = []
    node = oracle.start
    explainer = Explainer(oracle)
    for index, step in enumerate(scenario.steps):
        edge = oracle.edge(node, step)
        text, why = explainer.explained(node, step, edge.rules)
        found.append(Reason(index, edge.rules[0].id if edge.rules else "", text, why))
        node = edge.node
    return found


def steps_to_explain(scenario: Scenario, outcomes: Sequence[Expected]) -> list[int]:
    """The steps whose reasons matter: those that are not ok, the last bind, and a listen() after a bind() that failed.

    A delivery is never ok: it says who receives.
    """
    steps = scenario.steps
    found = {index for index, outcome in enumerate(outcomes) if outcome != "ok"}
    binds = [index for index, step in enumerate(steps) if step.kind == "bind"]
    found |= set(binds[-1:] or [len(steps) - 1])
    unbound = {steps[index].socket for index in found if steps[index].kind == "bind" and outcomes[index] != "ok"}
    found |= {index for index, step in enumerate(steps) if step.kind == "listen" and step.socket in unbound}
    return sorted(found)


class Explainer:
    """Explains the steps of one oracle."""

    def __init__(self, oracle: Oracle) -> None:
        self._model = oracle.model
        self._recorder = Recorder(oracle.evaluator)
        self._transitions = Transitions(self._recorder)

    def explained(self, node: Node, step: Step, rules: Sequence[Rule]) -> tuple[str, str]:
        """The reason of a step in plain language, and the kernel's detail; ``rules`` decided it in ``node``."""
        if step.kind in ("bind", "listen") and len(rules) == 1 and _says_nothing(rules[0]):
            for state in node.states:
                self._recorder.log.clear()
                self._transitions.apply(state, step)
                for decision in self._recorder.log:
                    if decision.section == step.kind and decision.rules == tuple(rules):
                        return success(self._model, decision)
        return of_rules(step, rules), _joined([rule.why for rule in rules])


def of_rules(step: Step, rules: Sequence[Rule]) -> str:
    """What the rules that decided ``step`` say in plain language, whatever the sockets beside it."""
    if rules and rules[0].id == ABSENT:
        return f"has no {OPTIONS[step.what]}"
    return _joined([rule.reason for rule in rules])


def _says_nothing(rule: Rule) -> bool:
    """Whether a rule allows a call for no reason of its own."""
    remembers = any(name.startswith("memory.") for name in rule.facts)
    return rule.section in ("bind", "listen") and rule.action == ALLOW and not rule.ask and not remembers


def success(model: Model, decision: Decision) -> tuple[str, str]:
    """Why the bind() or listen() of ``decision`` succeeds, and the kernel's detail."""
    new, (rule,) = decision.new, decision.rules
    why = _joined([rule.why])
    if decision.section == "listen":
        if new.port != SCENARIO_PORT:
            return f"{new.name} is not bound to the port, so it listens on another one, which the system chose", why
        if rule.when or not any(one.ask for one in model.rules["listen"]):
            return _joined([rule.reason]), why
    found = sharing(model, decision)
    if not found.overlapping:
        return "no other socket overlaps", why
    if found.existing is None:
        names = _listed([_name(sock) for sock in found.overlapping])
        verb = "overlaps" if len(found.overlapping) == 1 else "overlap"
        return f"{names} {verb}, but no rule of this system refuses that", why
    old = _name(found.existing)
    terms = sorted(found.terms, key=lambda term: not term[0].startswith("both."))
    again = found.existing.name or ("the file" if found.existing.state == "file" else "the connection")
    said = _listed([in_words(name, value, new.name, again) for name, value in terms])
    if found.alone and len(found.overlapping) > 1:
        said += f" (of the sockets that overlap, only {again} is compared)"
    why = "; ".join(f"not refused by {one.id}: {_joined([one.why])}" for one in found.rules)
    if any(name.startswith("both.") and value == "yes" for name, value in terms):
        return f"{old} and {new.name} overlap and share: {said}", why
    return f"{old} overlaps but does not conflict: {said}", why


def _name(sock: Sock) -> str:
    if sock.name:
        return sock.name
    if sock.queued:
        return "a connection that waits for accept()"
    if sock.state == "time-wait":
        return "a connection in TIME_WAIT"
    return "the file of a closed socket" if sock.state == "file" else "a closed connection"


def _listed(words: Sequence[str]) -> str:
    *first, last = words
    return f"{', '.join(first)} and {last}" if first else last


def _joined(texts: Sequence[str]) -> str:
    """Different reasons of several rules, each in one line."""
    return "; or ".join(dict.fromkeys(" ".join(text.split()) for text in texts))
