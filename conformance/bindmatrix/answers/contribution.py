"""What a recording of a machine settles: the view-model of ``contribute``.

A recording is compared with the rules of the system that it names. It may answer what they leave unknown, confirm rules
that no recording of that release confirmed before, and contradict them. If its outcomes fit another described system
far better, the name in the recording is doubted (Wine says that it is Windows).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bindmatrix.answers import claims
from bindmatrix.judge import claim_check, evidence_folder
from bindmatrix.judge.evidence_sample import digest
from bindmatrix.judge.host_table import HostTable
from bindmatrix.judge.summary import Summary, VerdictGroup
from bindmatrix.judge.verdicts import Judge, VerdictKind
from bindmatrix.notation import step
from bindmatrix.observe.recordings import Observation
from bindmatrix.oracle.variants import variant_of_host
from bindmatrix.outcomes import delivery_class
from bindmatrix.rules import catalog, confidence, divergences

#: name of the set that a contribution becomes
SET = "kit.jsonl.gz"
#: scenarios by which the recording is compared with other systems
_SAMPLE = 1_000
#: share of the sample that has to contradict the system that the recording names before others are looked at, and how
#: many times as many contradictions that system must have as the one that fits
_SUSPICIOUS, _TIMES = 0.02, 5


@dataclass
class Answered:
    """Something that the rules leave unknown, and its recorded outcomes."""

    #: the rule that says unknown; "" for a call that no rule describes
    rule: str
    call: str
    reason: str
    #: the shortest scenario that asks
    scenario: str = ""
    #: outcome -> scenarios; who received stands without the numbers
    outcomes: Counter[str] = field(default_factory=Counter)


@dataclass
class Contribution:
    """``folder`` is that of the host under ``expectations/evidence``, ``new`` are the observations to be added."""

    summary: Summary
    folder: str
    #: whether nothing is recorded of this host yet
    first: bool
    new: list[Observation]
    answered: list[Answered] = field(default_factory=list)
    #: rules that something recorded on this release confirmed before
    known: list[str] = field(default_factory=list)
    #: rules that this recording is the first to confirm on this release -> how they were known until now
    confirmed: dict[str, str] = field(default_factory=dict)
    #: claims of the literature -> what the recording makes of them
    claims: dict[str, str] = field(default_factory=dict)
    #: of those, what the rules would not have said
    surprising: list[str] = field(default_factory=list)
    #: the system that the outcomes fit far better than the one that the recording names, "" for none
    behaves_like: str = ""
    #: scenarios of the kit that the recording lacks, 0 for any other recording
    missing: int = 0

    @property
    def contradictions(self) -> list[VerdictGroup]:
        """The outcomes that contradict the rules."""
        return self.summary.of(VerdictKind.DIVERGES)

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {
            **{key: value for key, value in vars(self).items() if key not in ("summary", "new", "answered")},
            "new": [one.scenario for one in self.new],
            "answered": [dict(vars(one)) for one in self.answered],
            "contradictions": [group.as_dict() for group in self.contradictions],
            "summary": self.summary.as_dict(),
        }


def of_host(host: HostTable, kit: Mapping[str, Any], evidence: Path) -> Contribution:
    """What a recording settles; ``kit`` is that of its first line, ``evidence`` the folder of what is recorded."""
    folder = evidence_folder.name_of(host, evidence)
    recorded = evidence_folder.scenarios(evidence / folder)
    found = Contribution(
        host.summary,
        folder,
        first=not recorded,
        new=[one for one in digest(host) if one.scenario not in recorded],
        answered=_answered(host),
        behaves_like=_closest(host),
    )
    listed = kit.get("scenarios")
    if isinstance(listed, int):
        found.missing = max(0, listed - len(host.result))
    _confirm(found, host)
    _judge_claims(found, host)
    return found


def _answered(host: HostTable) -> list[Answered]:
    """The recorded outcomes where the rules say ``unknown``, those of the most scenarios first."""
    found: dict[tuple[str, str], Answered] = {}
    for row, number in enumerate(host.result):
        one = host.results[number]
        if one.kind != VerdictKind.UNKNOWN or one.outcomes is None:
            continue
        index = one.expected.index(None)  # later outcomes depend on it
        rule = next(iter(one.rules[index]), "")
        text = host.text(row)
        call = step(text.split(" ")[index]).kind
        described = "" if rule.startswith("api.") else rule
        answer = found.setdefault((described, call), Answered(described, call, host.rules[rule][0]))
        answer.outcomes[delivery_class(one.outcomes[index] or "")] += 1
        if not answer.scenario or len(text) < len(answer.scenario):
            answer.scenario = text
    return sorted(found.values(), key=lambda one: (-one.outcomes.total(), one.rule, one.call))


def _confirm(found: Contribution, host: HostTable) -> None:
    model = variant_of_host(host.summary.host).model
    rules = {rule.id: rule for rule in model.all_rules()}
    conforming = (host.results[number] for number in set(host.result))
    ids = {name for one in conforming if one.kind == VerdictKind.CONFORMS for step in one.rules for name in step}
    for name in sorted(ids & rules.keys()):
        known = confidence.of_rule(rules[name], model)
        if known.exact:
            found.known.append(name)
        else:
            found.confirmed[name] = known.text


def _judge_claims(found: Contribution, host: HostTable) -> None:
    asked = claim_check.read()
    wanted = {case.scenario.text for claim in asked for case in claim.cases}
    observed = [one for one in _observations(host, 1) if one.scenario in wanted]
    for result in claims.results(asked, (), observed, host.summary.host):
        if result.here is not None and result.here.verdict in (claim_check.HOLDS, claim_check.REFUTED):
            found.claims[result.claim.id] = result.here.verdict
            if result.surprising:
                found.surprising.append(result.claim.id)


def _observations(host: HostTable, every: int) -> Iterator[Observation]:
    """Each ``every``-th scenario that has outcomes."""
    outcomes = host.results.outcomes()
    for row in range(0, len(host.result), every):
        one = outcomes[host.result[row]]
        if one is not None:
            yield Observation(host.text(row), one)


def _closest(host: HostTable) -> str:
    """The system that fits far better than the one that the recording names, by a sample; "" where none does."""
    diverging = host.summary.verdicts[VerdictKind.DIVERGES]
    if diverging < _SUSPICIOUS * host.summary.total:
        return ""
    sample = list(_observations(host, max(1, len(host.result) // _SAMPLE)))
    wrong = {os: _contradictions(os, sample) for os in catalog.names()}
    best = min(wrong, key=lambda os: (wrong[os], os))
    return best if best != host.os and wrong[best] * _TIMES < wrong[host.os] else ""


def _contradictions(os: str, sample: list[Observation]) -> int:
    """How many of ``sample`` contradict a system: its oldest or newest release, whichever fits better."""
    expectations = catalog.expectations(os)
    judges = (
        Judge(expectations.at(release), divergences.of(expectations, release), {"os": os, "release": release})
        for release in expectations.covers
    )
    return min(sum(judge.verdict(one).kind == VerdictKind.DIVERGES for one in sample) for judge in judges)
