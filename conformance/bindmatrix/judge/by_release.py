"""One scenario on several kernels of one system: the outcomes of each, the expected ones, and between which releases
they change.

Outcomes come from a kernel that was run, or from recordings. Deliveries are compared by which sockets received, because
the counts are random.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby, pairwise
from typing import Any

from bindmatrix.judge.verdicts import Judge, VerdictKind
from bindmatrix.notation import Scenario
from bindmatrix.observe.recordings import Observation, Outcomes
from bindmatrix.oracle.oracle import Prediction
from bindmatrix.outcomes import Expected, alike
from bindmatrix.rules import catalog, divergences, releases
from bindmatrix.rules.model import Rule

_NOTHING = Prediction((), ())


@dataclass(frozen=True)
class KernelAnswer:
    """The outcomes of one kernel. ``outcomes`` is None if there are none, for a ``reason``."""

    release: str
    #: how it was asked: ``booted``, ``this kernel``, ``recorded``
    how: str
    #: the image, or the recording as evidence names it
    source: str
    outcomes: Outcomes | None
    verdict: str = VerdictKind.NO_VERDICT
    reason: str = ""
    #: with the known divergences of that release
    prediction: Prediction = _NOTHING

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {
            "release": self.release,
            "how": self.how,
            "source": self.source,
            "outcomes": self.outcomes,
            "verdict": self.verdict,
            "reason": self.reason,
            "expected": self.prediction.outcomes,
            "rules": [[rule.id for rule in rules] for rules in self.prediction.rules],
        }


@dataclass(frozen=True)
class Change:
    """The outcomes of two releases next to each other differ, first at ``step`` (from 0)."""

    before: KernelAnswer
    after: KernelAnswer
    step: int

    @property
    def explained(self) -> list[Rule]:
        """The rules that decide the step in one of the two releases alone."""
        theirs, ours = (_rules(one.prediction, self.step) for one in (self.before, self.after))
        alone = {name: rule for name, rule in (theirs | ours).items() if (name in theirs) != (name in ours)}
        return list(alone.values())

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {
            "before": self.before.release,
            "after": self.after.release,
            "step": self.step,
            "outcomes": [_outcome(one, self.step) for one in (self.before, self.after)],
            "rules": [{"id": rule.id, "releases": str(rule.span)} for rule in self.explained],
        }


class Judges:
    """Answers for the kernels of one system; what the oracle works out is kept for each release."""

    def __init__(self, os: str) -> None:
        self._expectations = catalog.expectations(os)
        self._judges: dict[tuple[str, int], Judge] = {}

    def answer(self, how: str, source: str, host: Mapping[str, Any], observation: Observation) -> KernelAnswer:
        """The answer that an observation on ``host`` is."""
        release = catalog.of_host({**host, "os": self._expectations.os})[1]
        model = catalog.model_of_host(self._expectations, release, host)
        key = release, model.stack.v6only_default
        judge = self._judges.get(key)
        if judge is None:
            in_force = divergences.of(self._expectations, release)
            judge = self._judges[key] = Judge(model, in_force, host)
        verdict = judge.verdict(observation)
        prediction = judge.variant.actual.predict(observation.scenario)
        return KernelAnswer(release, how, source, observation.outcomes, verdict.kind, verdict.reason, prediction)


def ordered(answers: Iterable[KernelAnswer]) -> list[KernelAnswer]:
    """By release, the oldest first."""
    return sorted(answers, key=lambda one: releases.sort_key(one.release))


def changes(answers: Sequence[KernelAnswer]) -> list[Change]:
    """Between which releases, next to each other among those asked, the outcomes differ.

    ``answers`` are in order of release; of several answers of one release the first stands for it.
    """
    asked = [one for one in answers if one.outcomes is not None]
    first = [next(group) for _, group in groupby(asked, key=lambda one: releases.sort_key(one.release))]
    return [Change(one, other, step) for one, other in pairwise(first) if (step := _difference(one, other)) >= 0]


def telling_steps(scenario: Scenario, answers: Sequence[KernelAnswer]) -> list[int]:
    """The steps to show: those that are not ok, or not expected to be, somewhere, and the last bind."""
    shown = {
        index
        for one in answers
        for outcomes in (one.outcomes or (), one.prediction.outcomes)
        for index, outcome in enumerate(outcomes)
        if outcome != "ok"
    }
    binds = [index for index, step in enumerate(scenario.steps) if step.kind == "bind"]
    return sorted(shown | set(binds[-1:] or [len(scenario.steps) - 1]))


def _difference(one: KernelAnswer, other: KernelAnswer) -> int:
    """The first step at which two answers differ, -1 for none."""
    both = zip(one.outcomes or (), other.outcomes or (), strict=True)
    return next((step for step, (mine, theirs) in enumerate(both) if not alike(mine, theirs)), -1)


def _outcome(answer: KernelAnswer, step: int) -> Expected:
    return answer.outcomes[step] if answer.outcomes else None


def _rules(prediction: Prediction, step: int) -> dict[str, Rule]:
    return {rule.id: rule for rule in prediction.rules[step]} if step < len(prediction.rules) else {}
