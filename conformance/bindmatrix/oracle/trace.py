"""An evaluator that writes down what it is asked: for whoever wants to know what a step rests on."""

from __future__ import annotations

from typing import NamedTuple

from bindmatrix.oracle.branches import Evaluator
from bindmatrix.rules.model import Condition, Rule
from bindmatrix.rules.sockets import Call, Sock, State


class Decision(NamedTuple):
    """The rules that decided one question of ``transitions.py``."""

    section: str
    call: Call
    new: Sock
    state: State
    rules: tuple[Rule, ...]


class Recorder:
    """Writes down what the evaluator below it is asked and answers."""

    def __init__(self, below: Evaluator) -> None:
        self.expectations = below.expectations
        self.below = below
        self.log: list[Decision] = []

    def decide(self, section: str, call: Call, new: Sock, state: State) -> tuple[Rule, ...]:
        """As the one below."""
        rules = self.below.decide(section, call, new, state)
        self.log.append(Decision(section, call, new, state, rules))
        return rules

    def holds(
        self, conditions: tuple[Condition, ...], call: Call, new: Sock, sock: Sock | None, space: str, state: State
    ) -> bool:
        """As the one below."""
        return self.below.holds(conditions, call, new, sock, space, state)
