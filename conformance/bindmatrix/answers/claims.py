"""Claims and where they hold: the view-model of ``claims``, by the expectation files and on a kernel."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

from bindmatrix.judge import claim_check
from bindmatrix.judge.claim_check import Claim, Finding
from bindmatrix.notation import Scenario
from bindmatrix.observe.recordings import Observation
from bindmatrix.outcomes import NOBODY, Expected, in_words
from bindmatrix.rules import catalog
from bindmatrix.rules.boundaries import Stretch, Variant, known_divergences, ranges, stretches, variant_of, variants


@dataclass(frozen=True)
class Row:
    """What a claim comes to on some releases of a system."""

    os: str
    releases: tuple[str, ...]
    finding: Finding

    @property
    def label(self) -> str:
        """``linux 5.10 - 7.3.4``."""
        return f"{self.os} {', '.join(self.releases)}"

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {"os": self.os, "releases": self.releases, **_as_dict(self.finding)}


@dataclass
class Result:
    """A claim with a row for each group of releases that it comes to the same on."""

    claim: Claim
    rows: list[Row] = field(default_factory=list)
    #: what the kernel here made of it, and what its expectations say
    here: Finding | None = None
    expected_here: Finding | None = None

    @property
    def surprising(self) -> bool:
        """Whether the kernel here contradicts what its expectation file says."""
        sure = (claim_check.HOLDS, claim_check.REFUTED)
        return (
            self.here is not None
            and self.expected_here is not None
            and self.here.verdict in sure
            and self.expected_here.verdict in sure
            and self.here.verdict != self.expected_here.verdict
        )

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        data: dict[str, Any] = {
            "id": self.claim.id,
            "says": self.claim.says,
            "sources": self.claim.sources,
            "about": self.claim.about,
            "scenarios": [{"run": case.scenario.text, "then": case.then} for case in self.claim.cases],
            "systems": [row.as_dict() for row in self.rows],
        }
        if self.here is not None:
            data["here"] = _as_dict(self.here)
        return data


def _as_dict(finding: Finding) -> dict[str, Any]:
    data: dict[str, Any] = {"verdict": finding.verdict}
    if finding.case is not None and finding.verdict != claim_check.HOLDS:
        data["scenario"] = finding.case.scenario.text
        if finding.step >= 0:
            data |= {"step": finding.step, "outcome": finding.outcome}
    return data


def results(
    asked: Sequence[Claim],
    systems: Iterable[str],
    observed: Sequence[Observation] = (),
    host: Mapping[str, Any] | None = None,
) -> list[Result]:
    """Every claim on every system; ``observed`` are the scenarios as the kernel of ``host`` ran them."""
    found = [Result(claim) for claim in asked]
    for os in systems:
        for result in found:
            result.rows += _rows(result.claim, os)
    if host:
        _judge_here(found, observed, host)
    return found


def _rows(claim: Claim, os: str) -> list[Row]:
    expectations = catalog.expectations(os)
    every = _stretches(os)
    groups: dict[Finding, list[Stretch]] = {}
    for variant in _variants(os):
        finding = claim_check.find(claim, _predicts(variant), _like)
        groups.setdefault(finding, []).extend(variant.stretches)
    place = {stretch: index for index, stretch in enumerate(every)}
    return [
        Row(os, tuple(ranges(expectations, chosen, every)), finding)
        for finding, chosen in sorted(groups.items(), key=lambda one: min(place[stretch] for stretch in one[1]))
    ]


@lru_cache(maxsize=32)
def _variants(os: str) -> tuple[Variant, ...]:
    return tuple(variants(catalog.expectations(os)))


@lru_cache(maxsize=32)
def _stretches(os: str) -> tuple[Stretch, ...]:
    expectations = catalog.expectations(os)
    return tuple(stretches(expectations, known_divergences(expectations)))


@lru_cache(maxsize=32)
def _newest(os: str) -> Variant:
    expectations = catalog.expectations(os)
    return variant_of(expectations, expectations.covers[1])


def _predicts(variant: Variant) -> claim_check.Outcomes:
    oracle = variant.diverged or variant.oracle
    return lambda scenario: oracle.predict(scenario).outcomes


def _like(os: str, scenario: Scenario) -> Sequence[Expected]:
    variant = _newest(os)
    return (variant.diverged or variant.oracle).predict(scenario).outcomes


def _judge_here(found: Sequence[Result], observed: Sequence[Observation], host: Mapping[str, Any]) -> None:
    ran = {one.scenario: one.outcomes for one in observed}
    expectations, release = catalog.of_host(host)
    variant = variant_of(expectations, release)
    for result in found:
        result.here = claim_check.find(result.claim, lambda scenario: ran.get(scenario.text), _like)
        result.expected_here = claim_check.find(result.claim, _predicts(variant), _like)


# --- text ---------------------------------------------------------------------------------------------------------


def finding_text(finding: Finding) -> str:
    """What decided, in a line: ``b.bind=127.0.0.1 is ok: a=tcp4 ...``; "" where nothing stands out."""
    case = finding.case
    if case is None or finding.verdict == claim_check.HOLDS:
        return ""
    if finding.step < 0:
        return f"not run: {case.scenario.text}"
    step = case.scenario.steps[finding.step]
    outcome = in_words(finding.outcome, delivers=step.delivers)
    received = step.delivers and finding.outcome is not None and outcome not in NOBODY
    return f"{step.text} {'goes to' if received else 'is'} {outcome}: {case.scenario.text}"
