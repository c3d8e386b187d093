"""The summary of a run: the view-model that every report renders."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from bindmatrix.judge.verdicts import Judge, Verdict, VerdictKind
from bindmatrix.notation import DELIVERS, step
from bindmatrix.outcomes import Expected, in_words
from bindmatrix.rules import catalog, provenance
from bindmatrix.rules.model import UNKNOWN

#: the most groups, and reasons of one kind, that are kept separate; a hostile recording may invent more
MOST_DIFFERENT = 10_000
#: replaces further reasons and outcomes
OTHERS = "another one"
#: version of the JSON form of a summary (``verdicts.json``)
FORMAT = "bindmatrix-verdicts/1"


@dataclass
class VerdictGroup:
    """Verdicts that are alike: one kind, one rule, one expectation, one actual outcome, one call."""

    kind: VerdictKind
    rule: str
    call: str
    expected: Expected
    actual: str
    count: int = 0
    #: the shortest scenario that was met, and what it gave
    scenario: str = ""
    step: int = -1
    outcomes: tuple[str | None, ...] = ()
    #: why the rule holds: in plain language, and the kernel's detail
    gloss: str = ""
    why: str = ""
    evidence: list[str] = field(default_factory=list)
    divergence: str = ""
    reason: str = ""
    #: the scenario after shrinking, "" when it was not shrunk
    shrunk: str = ""

    def add(self, verdict: Verdict) -> None:
        """Count ``verdict``; keep its scenario when it is the shortest."""
        self.count += 1
        text = verdict.observation.scenario
        if not self.scenario or (len(text), text) < (len(self.scenario), self.scenario):
            self.scenario = text
            self.step = verdict.step
            self.outcomes = verdict.observation.outcomes or ()
            self.reason = verdict.reason

    @property
    def wanted(self) -> str:
        """What is expected, in words."""
        return in_words(self.expected, delivers=self.call in DELIVERS)

    @property
    def shortest(self) -> str:
        """The scenario to show and to reproduce."""
        return self.shrunk or self.scenario

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return dict(vars(self))


@dataclass
class Summary:
    """The result of a run, or of judged observations."""

    host: Mapping[str, Any]
    system: str
    release: str
    #: how the outcomes were obtained: ``run on 6.18.44``
    method: str
    total: int
    verdicts: Mapping[str, int]
    rules: Mapping[str, int]
    groups: list[VerdictGroup]
    #: reason -> how many scenarios, for unsupported and no-verdict
    reasons: Mapping[str, Mapping[str, int]]
    #: what the reader has to know: a release that was not tested, a file that broke off, an axis that was skipped
    notes: list[str] = field(default_factory=list)
    seconds: float = 0.0
    #: the folder or file that was judged, "" for this machine, None for standard input
    recording: str | None = ""

    #: ``bytes`` and ``sha256`` of the file of observations, as the run wrote it; empty for what was only judged
    observations: Mapping[str, Any] = field(default_factory=dict)

    def of(self, kind: VerdictKind) -> list[VerdictGroup]:
        """The groups of a verdict, the largest first."""
        return [group for group in self.groups if group.kind == kind]

    @property
    def counted(self) -> dict[VerdictKind, int]:
        """How many scenarios got each verdict: those that there are; conforms and diverges always."""
        always = (VerdictKind.CONFORMS, VerdictKind.DIVERGES)
        counts = {kind: self.verdicts.get(kind, 0) for kind in VerdictKind}
        return {kind: count for kind, count in counts.items() if count or kind in always}

    @property
    def headline(self) -> str:
        """``linux 6.18.44: 237,242 scenarios, all as expected``."""
        scenarios = f"{self.total:,} scenario{'' if self.total == 1 else 's'}"
        return f"{self.system} {self.release}: {scenarios}, {self._came_to()}"

    def _came_to(self) -> str:
        """The verdicts in words; divergences come first."""
        diverging = self.verdicts.get(VerdictKind.DIVERGES, 0)
        others = {kind: count for kind, count in self.verdicts.items() if kind != VerdictKind.CONFORMS and count}
        if not self.total:
            return "nothing to judge"
        if not others:
            return "all as expected"
        if diverging:
            return f"{diverging:,} diverge{'s' if diverging == 1 else ''} from what is expected"
        listed = ", ".join(f"{count:,} {kind}" for kind, count in others.items())
        return f"nothing diverges ({self.verdicts.get(VerdictKind.CONFORMS, 0):,} as expected, {listed})"

    @property
    def system_rules(self) -> dict[str, int]:
        """How many steps each rule of the system decided, without those of the socket interface (``api.``)."""
        return {rule: count for rule, count in self.rules.items() if not rule.startswith("api.")}

    @property
    def conforms(self) -> bool:
        """Whether nothing diverges: the exit status of the command."""
        return not self.verdicts.get(VerdictKind.DIVERGES)

    def as_dict(self) -> dict[str, Any]:
        """For ``verdicts.json``; its form is named by ``format``."""
        data = {"format": FORMAT, **vars(self)}
        data["groups"] = [group.as_dict() for group in self.groups]
        data["host"] = dict(self.host)
        return data


class Collector:
    """Collects verdicts and makes the summary."""

    def __init__(self, judge: Judge) -> None:
        self.judge = judge
        self._groups: dict[tuple[object, ...], VerdictGroup] = {}
        self._reasons: dict[VerdictKind, Counter[str]] = {
            VerdictKind.UNSUPPORTED: Counter(),
            VerdictKind.NO_VERDICT: Counter(),
        }

    def add(self, verdicts: Iterable[Verdict]) -> None:
        """Take the verdicts that :meth:`Judge.judge` returned; those that wait for repeats are taken when settled."""
        waiting = self.judge.waiting
        for verdict in verdicts:
            if waiting.get(verdict.observation.scenario) is not verdict:
                self._take(verdict)

    def _take(self, verdict: Verdict) -> None:
        if verdict.kind in self._reasons:
            reasons = self._reasons[verdict.kind]
            known = verdict.reason in reasons or len(reasons) < MOST_DIFFERENT
            reasons[verdict.reason if known else OTHERS] += 1
        else:
            self.group(verdict)

    def group(self, verdict: Verdict) -> VerdictGroup:
        """Put a verdict into its group."""
        rule = verdict.rules[0] if verdict.rules else None
        if verdict.kind == VerdictKind.UNKNOWN:
            rule = _unknown_rule(self.judge, verdict)
        call = _call(verdict.observation.scenario.split()[verdict.step]) if verdict.step >= 0 else ""
        about = (verdict.kind, rule.id if rule else "", call, verdict.expected, verdict.divergence)
        actual = verdict.actual
        if (*about, actual) not in self._groups and len(self._groups) >= MOST_DIFFERENT:
            actual = OTHERS
        key = (*about, actual)
        group = self._groups.get(key)
        if group is None:
            group = self._groups[key] = VerdictGroup(
                verdict.kind,
                rule.id if rule else "",
                call,
                verdict.expected,
                actual,
                gloss=rule.reason if rule else "",
                why=rule.why if rule else "",
                evidence=[provenance.cited(one) for one in rule.evidence] if rule else [],
                divergence=verdict.divergence,
            )
        group.add(verdict)
        return group

    def settled(self) -> list[VerdictGroup]:
        """The groups so far, the worst verdict and the largest group first."""
        for verdict in self.judge.settle():
            self._take(verdict)
        order = list(VerdictKind)
        return sorted(self._groups.values(), key=lambda group: (order.index(group.kind), -group.count, group.scenario))

    def reasons(self) -> dict[str, dict[str, int]]:
        """Verdict -> reason -> how many, for unsupported and no-verdict."""
        return {kind: dict(reasons.most_common()) for kind, reasons in self._reasons.items()}

    def summary(self, *, notes: Iterable[str] = (), seconds: float = 0.0) -> Summary:
        """The summary so far; a scenario that still waits for repeats counts with its first verdict."""
        groups = self.settled()
        counts = self.judge.verdict_counts()
        model = self.judge.model
        return Summary(
            host=self.judge.host,
            system=model.expectations.title,
            release=model.expectations.named(model.release),
            method=catalog.method_of_host(self.judge.host),
            total=sum(counts.values()),
            verdicts=counts,
            rules=self.judge.rule_counts(),
            groups=groups,
            reasons=self.reasons(),
            notes=list(notes),
            seconds=seconds,
        )


def _call(word: str) -> str:
    """What a step calls: the option of a setsockopt(), else the kind of the step."""
    one = step(word)
    return one.what if one.kind == "set" else one.kind


def _unknown_rule(judge: Judge, verdict: Verdict) -> Any:
    """The rule that says unknown in a run."""
    for answer in judge.answers(verdict.observation):
        for rule in answer.rules:
            if rule.action == UNKNOWN:
                return rule
    return None
