"""Claims and where they hold: the view-model of ``claims``, by the expectation files and on a kernel."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from itertools import chain
from typing import Any

from bindmatrix.judge import claim_check
from bindmatrix.judge.claim_check import Claim, ClaimVerdict
from bindmatrix.notation import Scenario
from bindmatrix.observe.recordings import Observation
from bindmatrix.oracle.variants import Variant, variant_of, variant_of_host, variants
from bindmatrix.outcomes import Expected
from bindmatrix.rules import catalog, confidence
from bindmatrix.rules.boundaries import Stretch, ranges, stretches
from bindmatrix.rules.confidence import Confidence
from bindmatrix.rules.model import Expectations


@dataclass(frozen=True)
class Row:
    """The verdict on a claim for some releases of a system."""

    os: str
    releases: tuple[str, ...]
    finding: ClaimVerdict
    #: how the outcomes that decide are known
    confidence: Confidence
    #: the release that the confidence is of
    release: str

    @property
    def confidence_text(self) -> str:
        """How it is known; where the row stands for several releases, that the others follow by the rules."""
        return self.confidence.text_for(several=self.releases != (self.release,))

    @property
    def label(self) -> str:
        """``linux 5.10 - 7.3.4``."""
        return f"{self.os} {', '.join(self.releases)}"

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {
            "os": self.os,
            "releases": self.releases,
            **_as_dict(self.finding),
            "release": self.release,
            "confidence": self.confidence.as_dict(),
        }


@dataclass
class ClaimResult:
    """A claim with a row for each group of releases that it comes to the same on."""

    claim: Claim
    rows: list[Row] = field(default_factory=list)
    #: what the kernel here made of it, and what its expectations say
    here: ClaimVerdict | None = None
    expected_here: ClaimVerdict | None = None

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


def _as_dict(finding: ClaimVerdict) -> dict[str, Any]:
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
) -> list[ClaimResult]:
    """Every claim on every system; ``observed`` are the scenarios as the kernel of ``host`` ran them."""
    found = [ClaimResult(claim) for claim in asked]
    for os in systems:
        for result in found:
            result.rows += _rows(result.claim, os)
    if host:
        _judge_here(found, observed, host)
    return found


def _rows(claim: Claim, os: str) -> list[Row]:
    expectations = catalog.expectations(os)
    every = _stretches(expectations)
    groups: dict[ClaimVerdict, list[tuple[Variant, Stretch]]] = {}
    for variant in _variants(expectations):
        finding = claim_check.find(claim, _predicts(variant), _like)
        groups.setdefault(finding, []).extend([(variant, stretch) for stretch in variant.stretches])
    place = {stretch: index for index, stretch in enumerate(every)}
    rows = []
    for finding, group in sorted(groups.items(), key=lambda one: min(place[stretch] for _, stretch in one[1])):
        newest_first = sorted(group, key=lambda one: place[one[1]], reverse=True)
        known = [_confidence_of(claim, finding, variant, stretch) for variant, stretch in newest_first]
        chosen = confidence.first_exact(known)
        named = tuple(ranges(expectations, [stretch for _, stretch in group], every))
        rows.append(Row(os, named, finding, known[chosen], newest_first[chosen][1].probe))
    return rows


def _confidence_of(claim: Claim, finding: ClaimVerdict, variant: Variant, stretch: Stretch) -> Confidence:
    """The weakest confidence behind the verdict: of the scenario that decided, up to its step, or of all scenarios."""
    if finding.verdict == claim_check.UNKNOWN:
        return confidence.UNKNOWN_CONFIDENCE
    alone = finding.verdict != claim_check.HOLDS and finding.case is not None
    cases = [finding.case] if alone and finding.case is not None else claim.cases
    steps = slice(finding.step + 1 if alone else None)
    model = variant.model.expectations.at(stretch.probe)
    return confidence.weakest(
        confidence.of_rules(chain.from_iterable(variant.actual.predict(case.scenario).rules[steps]), model)
        for case in cases
    )


@lru_cache(maxsize=32)
def _variants(expectations: Expectations) -> tuple[Variant, ...]:
    return tuple(variants(expectations))


@lru_cache(maxsize=32)
def _stretches(expectations: Expectations) -> tuple[Stretch, ...]:
    return tuple(stretches(expectations))


@lru_cache(maxsize=32)
def _newest(expectations: Expectations) -> Variant:
    return variant_of(expectations, expectations.covers[1])


def _predicts(variant: Variant) -> claim_check.OutcomesOf:
    return lambda scenario: variant.actual.predict(scenario).outcomes


def _like(os: str, scenario: Scenario) -> Sequence[Expected]:
    return _newest(catalog.expectations(os)).actual.predict(scenario).outcomes


def _judge_here(found: Sequence[ClaimResult], observed: Sequence[Observation], host: Mapping[str, Any]) -> None:
    ran = {one.scenario: one.outcomes for one in observed}
    variant = variant_of_host(host)
    for result in found:
        result.here = claim_check.find(result.claim, lambda scenario: ran.get(scenario.text), _like)
        result.expected_here = claim_check.find(result.claim, _predicts(variant), _like)


def tally(found: Sequence[ClaimResult]) -> dict[str, Counter[str]]:
    """System -> how many claims come to which verdict on its newest release."""
    counts: dict[str, Counter[str]] = {}
    for result in found:
        for os, row in {row.os: row for row in result.rows}.items():
            counts.setdefault(os, Counter())[row.finding.verdict] += 1
    return counts
