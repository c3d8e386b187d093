"""An evaluator that records every decision, to find out which rules a step depends on."""

from __future__ import annotations

from typing import NamedTuple

from bindmatrix.oracle.delivery import Delivery
from bindmatrix.oracle.evaluator import Evaluator
from bindmatrix.rules.model import Rule
from bindmatrix.rules.sockets import Call, Sock, State


class Decision(NamedTuple):
    """The rules that decided one question of ``transitions.py``."""

    section: str
    call: Call
    new: Sock
    state: State
    rules: tuple[Rule, ...]


class Received(NamedTuple):
    """Which sockets receive what is sent to ``destination``."""

    call: Call
    destination: Sock
    state: State
    delivery: Delivery


class Recorder:
    """Records the questions to another evaluator and its answers."""

    def __init__(self, below: Evaluator) -> None:
        self.model = below.model
        self.below = below
        self.log: list[Decision] = []
        self.received: list[Received] = []

    def decide(self, section: str, call: Call, new: Sock, state: State) -> tuple[Rule, ...]:
        """As the one below."""
        rules = self.below.decide(section, call, new, state)
        self.log.append(Decision(section, call, new, state, rules))
        return rules

    def matching(self, rule: Rule, call: Call, new: Sock, state: State) -> list[Sock]:
        """As the one below."""
        return self.below.matching(rule, call, new, state)

    def receivers(self, call: Call, destination: Sock, state: State) -> Delivery:
        """As the one below."""
        delivery = self.below.receivers(call, destination, state)
        self.received.append(Received(call, destination, state, delivery))
        return delivery
