"""Asks ``calls.py`` what a call does, and knows afterwards what the rules were asked: for ``walker.py``.

Rules may stand ``beside`` those that decide, of the same kernel with its known divergences.  They are asked the same
questions; where what they say makes a difference, the two kernels part ways.
"""

from __future__ import annotations

from collections.abc import Hashable

from conformance.notation import Step
from conformance.oracle.branches import Branch, Evaluator
from conformance.oracle.calls import Calls
from conformance.oracle.expectation import Rule
from conformance.oracle.ports import Call, Sock, State
from conformance.oracle.recorder import Decision, Recorder


class _Recorder(Recorder):
    """Says nothing of groups of sockets that share deliveries: only those who deliver ask for them."""

    def decide(self, section: str, call: Call, new: Sock, state: State) -> tuple[Rule, ...]:
        """As the one below."""
        return () if section == "groups" else super().decide(section, call, new, state)


class Asker:
    """Applies calls by the rules of ``evaluator``."""

    def __init__(self, evaluator: Evaluator, beside: Evaluator | None = None) -> None:
        self._beside = beside
        self._recorder = _Recorder(evaluator)
        self._calls = Calls(self._recorder)

    def apply(self, before: State, one: Step) -> list[Branch]:
        """The ways in which ``one`` can go in ``before``."""
        self._recorder.log.clear()
        return self._calls.apply(before, one)

    @property
    def log(self) -> list[Decision]:
        """What the last call asked, and the answers."""
        return self._recorder.log

    @property
    def sections(self) -> set[str]:
        """The sections that the last call asked."""
        return {one.section for one in self.log}

    def decided(self, section: str, call: Call, new: Sock, state: State) -> Hashable:
        """The rules that decide, with those beside."""
        rules = self._recorder.below.decide(section, call, new, state)
        return rules if self._beside is None else (rules, self._beside.decide(section, call, new, state))

    def forks(self) -> bool:
        """Whether the rules beside decide otherwise what the last call asked."""
        if self._beside is None:
            return False
        others = [self._beside.decide(*one[:4]) for one in self.log]
        return any(_effects(one.rules) != _effects(rules) for one, rules in zip(self.log, others, strict=True))


def _effects(rules: tuple[Rule, ...]) -> list[tuple[object, ...]]:
    """What comes of it when these rules decide."""
    return [(rule.action, rule.errors, dict(rule.effect)) for rule in rules]
