"""Which needs are met on which systems: the view-model of ``check``.

A :class:`NeedsTable` has a row a need and a column a system.  A column is judged by the rules of a system or by what a
host was observed to do.  By the rules a need is met when everything that the kernel may return is among what is needed,
known divergences included; it is unknown when the rules do not know, and then it is not met either.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Protocol

from bindmatrix.answers.needs_file import ALL, Need, NeedsFile, SystemName
from bindmatrix.answers.reason import of_rules, reasons
from bindmatrix.judge.verdicts import Judge, Verdict, VerdictKind
from bindmatrix.observe.recordings import Observation
from bindmatrix.oracle.variants import Variant, variant_of
from bindmatrix.outcomes import ANY_ERROR, Expected, Receivers, accepts, alternatives, in_words
from bindmatrix.rules import catalog, confidence, divergences
from bindmatrix.rules.boundaries import stretches


class NeedStatus(StrEnum):
    """The statuses, the worst last."""

    NOT_ASKED = "not asked"
    MET = "met"
    UNKNOWN = "unknown"
    NOT_MET = "not met"

    @property
    def badness(self) -> int:
        """0 for the best."""
        return list(NeedStatus).index(self)


@dataclass(frozen=True)
class NeedResult:
    """One cell: a need on one system.  ``step`` (from 0) is the one that decides; the last where the need is met."""

    status: NeedStatus
    #: the release that it is about; of several the one where it is worst
    release: str = ""
    step: int = -1
    #: what the step returns there
    outcome: Expected = None
    needed: Expected = None
    reason: str = ""
    #: id of the rule that decides, "" where none is known
    rule: str = ""
    #: how it was obtained, and on which release
    method: str = ""

    def says(self, need: Need) -> str:
        """``b.bind=0.0.0.0 returns EADDRINUSE, needed ok``; "" where no step is to blame."""
        if self.status in (NeedStatus.MET, NeedStatus.NOT_ASKED) or self.step < 0:
            return ""
        step = need.scenario.steps[self.step]
        verb = "gives" if step.delivers else "returns"
        returned = "what nobody knows" if self.outcome is None else in_words(self.outcome, delivers=step.delivers)
        return f"{step.text} {verb} {returned}, needed {in_words(self.needed, delivers=step.delivers)}"

    def as_dict(self, need: Need) -> dict[str, Any]:
        """For JSON; the keys are documented in the help of ``check``."""
        data: dict[str, Any] = {"status": str(self.status)}
        if self.status != NeedStatus.NOT_ASKED:
            data |= {"release": self.release, "method": self.method, "reason": self.reason, "rule": self.rule}
            if self.step >= 0:
                step = need.scenario.steps[self.step].text
                data |= {"step": self.step, "call": step, "outcome": self.outcome, "needed": self.needed}
        return data


_NOT_ASKED = NeedResult(NeedStatus.NOT_ASKED)


class NeedsColumn(Protocol):
    """A system that needs are judged on."""

    label: str

    def judge(self, need: Need) -> NeedResult:
        """The cell of ``need``."""


@dataclass
class NeedsTable:
    """The needs (rows) on systems (columns)."""

    name: str
    needs: list[Need]
    columns: list[str]
    #: as the needs, each as the columns
    cells: list[list[NeedResult]]

    def count(self, status: NeedStatus) -> int:
        """How many cells have a status."""
        return sum(cell.status == status for row in self.cells for cell in row)

    @property
    def idle(self) -> list[Need]:
        """The needs that no system of the table was asked about."""
        return [
            need
            for need, row in zip(self.needs, self.cells, strict=True)
            if all(cell.status == NeedStatus.NOT_ASKED for cell in row)
        ]

    def fails(self, *, strict: bool = False) -> bool:
        """Whether a need is not met; with ``strict``, or unknown."""
        return self.count(NeedStatus.NOT_MET) > 0 or (strict and self.count(NeedStatus.UNKNOWN) > 0)

    def as_dict(self) -> dict[str, Any]:
        """For JSON; the keys are documented in the help of ``check``."""
        return {
            "needs": [
                {
                    "line": need.place.line,
                    "title": need.title,
                    "scenario": need.scenario.text,
                    "needed": need.written,
                    "systems": {label: cell.as_dict(need) for label, cell in zip(self.columns, row, strict=True)},
                }
                for need, row in zip(self.needs, self.cells, strict=True)
            ],
            "counts": {str(status): self.count(status) for status in NeedStatus},
        }


def table(needs: NeedsFile, columns: Sequence[NeedsColumn]) -> NeedsTable:
    """Every need judged on every column."""
    cells = [[column.judge(need) for column in columns] for need in needs.needs]
    return NeedsTable(needs.name, needs.needs, [column.label for column in columns], cells)


class ByRules:
    """A column judged by the rules: of the newest release, of a named one, or (``@all``) of each that is described."""

    def __init__(self, system: SystemName) -> None:
        self.label = str(system)
        self._expectations = catalog.expectations(system.os)
        self._all = system.release == ALL
        self._releases = (
            [one.probe for one in stretches(self._expectations)]
            if self._all
            else [catalog.release_of(self._expectations, system.release)]
        )
        self._variants: dict[object, Variant] = {}
        self._by_release: dict[str, Variant] = {}

    def judge(self, need: Need) -> NeedResult:
        """The cell of ``need``: of several releases the worst."""
        os = self._expectations.os
        named = need.releases_named(os) if self._all else []
        asked = [one for one in dict.fromkeys([*self._releases, *named]) if need.applies(os, one)]
        found = [self._on(need, release) for release in asked]
        # of equals the newest: it is the last
        return max(reversed(found), key=lambda one: one.status.badness, default=_NOT_ASKED)

    def _on(self, need: Need, release: str) -> NeedResult:
        variant = self._variant(release)
        actual = variant.actual.predict(need.scenario)
        needed = need.of_steps(self._expectations.os, release)
        steps = need.scenario.steps
        found = [
            _status(outcome, wanted, delivers=step.delivers)
            for outcome, wanted, step in zip(actual.outcomes, needed, steps, strict=True)
        ]
        worst = max(found, key=lambda one: one.badness)
        step = len(steps) - 1 if worst == NeedStatus.MET else found.index(worst)
        explained = reasons(variant.actual, need.scenario)[step]
        reason, rule = explained.text, explained.rule
        if actual.outcomes[step] != variant.oracle.predict(need.scenario).outcomes[step]:
            entry = variant.responsible(need.scenario.text)[0]
            reason, rule = entry.rule.reason, entry.id
        decided = [one for rules in actual.rules[: step + 1] for one in rules]
        known = confidence.of_rules(decided, self._expectations.at(release))
        limit = catalog.limit(self._expectations, release)
        return NeedResult(
            worst,
            release,
            step,
            actual.outcomes[step],
            needed[step],
            f"{reason}; {limit}" if limit else reason,
            "" if rule.startswith("api.") else rule,
            known.text,
        )

    def _variant(self, release: str) -> Variant:
        """That of ``release``; releases of the same rules share one."""
        found = self._by_release.get(release)
        if found is None:
            made = variant_of(self._expectations, release)
            key = (made.model.content, tuple(one.id for one in made.divergences))
            found = self._by_release[release] = self._variants.setdefault(key, made)
        return found


class ByObservation:
    """A column that is judged by what a host did; ``method`` says how its outcomes were obtained.

    Raises :class:`~bindmatrix.errors.Problem` where the facts of the host name no system that is described.
    """

    def __init__(self, host: Mapping[str, Any], observations: Iterable[Observation], method: str, label: str) -> None:
        expectations, release = catalog.of_host(host)
        self.label = label
        self._os, self._release = expectations.os, release
        self._method = method
        self._judge = Judge(expectations.at(release), divergences.of(expectations, release), host)
        self._observed: dict[str, Observation] = {}
        for one in observations:
            first = self._observed.setdefault(one.scenario, one)
            if first is not one and one.outcomes is not None:
                # run again: repeats that disagree are flaky
                self._observed[one.scenario] = first._replace(repeats=(*first.repeats, one.outcomes))

    def judge(self, need: Need) -> NeedResult:
        """The cell of ``need``; unknown where the host did not run its scenario."""
        if not need.applies(self._os, self._release):
            return _NOT_ASKED
        observation = self._observed.get(need.scenario.text)
        if observation is None:
            return NeedResult(NeedStatus.UNKNOWN, self._release, reason="the recording does not hold this scenario")
        verdict = self._judge.verdict(observation)
        if verdict.kind in (VerdictKind.NO_VERDICT, VerdictKind.UNSUPPORTED, VerdictKind.FLAKY):
            reason = f"{verdict.kind}: {verdict.reason}"
            return NeedResult(NeedStatus.UNKNOWN, self._release, reason=reason, method=self._method)
        return self._of_outcomes(need, observation, verdict)

    def _of_outcomes(self, need: Need, observation: Observation, verdict: Verdict) -> NeedResult:
        assert observation.outcomes is not None
        steps, needed = need.scenario.steps, need.of_steps(self._os, self._release)
        found = [
            _observed_status(outcome, wanted, delivers=step.delivers)
            for outcome, wanted, step in zip(observation.outcomes, needed, steps, strict=True)
        ]
        worst = max(found, key=lambda one: one.badness)
        step = len(steps) - 1 if worst == NeedStatus.MET else found.index(worst)
        answers = self._judge.answers(observation)
        outcome = observation.outcomes[step]
        reason = rule = ""
        if step < len(answers) and outcome is not None and answers[step].accepts(outcome):
            reason, rule = of_rules(steps[step], answers[step].rules), answers[step].rules[0].id
        elif verdict.step == step and verdict.expected is not None:
            reason = f"by the rules it is {in_words(verdict.expected, delivers=steps[step].delivers)} ({verdict.kind})"
        return NeedResult(
            worst,
            self._release,
            step,
            outcome,
            needed[step],
            reason,
            "" if rule.startswith("api.") else rule,
            self._method,
        )


def _status(returned: Expected, needed: Expected, *, delivers: bool) -> NeedStatus:
    """Whether everything that may be returned is needed."""
    if needed is None:
        return NeedStatus.MET
    if returned is None:
        return NeedStatus.UNKNOWN
    found = [_of_one(one, alternatives(needed), delivers=delivers) for one in alternatives(returned)]
    return max(found, key=lambda one: one.badness)


def _of_one(returned: str, needed: Sequence[str], *, delivers: bool) -> NeedStatus:
    if delivers:
        got = Receivers.of(returned)
        same = any(got.kind == one.kind and {*got.names} == {*one.names} for one in map(Receivers.of, needed))
        return NeedStatus.MET if same else NeedStatus.NOT_MET
    if returned in needed or (returned != "ok" and ANY_ERROR in needed):
        return NeedStatus.MET
    if returned == ANY_ERROR and any(one != "ok" for one in needed):
        return NeedStatus.UNKNOWN  # it fails, and nobody knows with which error
    return NeedStatus.NOT_MET


def _observed_status(outcome: str | None, needed: Expected, *, delivers: bool) -> NeedStatus:
    if needed is None:
        return NeedStatus.MET
    if outcome is None:
        return NeedStatus.UNKNOWN
    if outcome == ANY_ERROR and not delivers:
        return _of_one(outcome, alternatives(needed), delivers=False)
    return NeedStatus.MET if accepts(needed, outcome, delivers=delivers) else NeedStatus.NOT_MET
