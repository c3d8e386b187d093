"""Verdicts: what an observation says about an expectation.

Judging is a pure function of expectations, known divergences, the facts of a host and observations; it can be done
again at any time on any machine.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any, NamedTuple

from bindmatrix.errors import Problem
from bindmatrix.judge.prefix_cache import CUT, Ways
from bindmatrix.notation import Step, parse
from bindmatrix.observe.recordings import Observation, Outcomes
from bindmatrix.oracle.oracle import Answer, Oracle
from bindmatrix.outcomes import Expected
from bindmatrix.rules.divergences import Divergence
from bindmatrix.rules.divergences import apply as with_divergences
from bindmatrix.rules.divergences import possible as on_this_port
from bindmatrix.rules.model import Expectations, Rule

CONFORMS = "conforms"
DIVERGES = "diverges"
KNOWN = "known"
RESOLVED = "resolved"
UNKNOWN = "unknown"
UNSUPPORTED = "unsupported"
FLAKY = "flaky"
NO_VERDICT = "no-verdict"

#: verdict -> what it means, in the order of reports
VERDICTS: dict[str, str] = {
    DIVERGES: "the host does otherwise than expected",
    FLAKY: "repeats disagree with each other",
    RESOLVED: "a recorded divergence that is gone: delete its entry",
    KNOWN: "a recorded divergence",
    CONFORMS: "every outcome is as expected",
    UNKNOWN: "nothing is expected of at least one step",
    UNSUPPORTED: "the host lacks something that the scenario needs",
    NO_VERDICT: "the set-up failed",
}

#: outcomes of a first bind that say that the port was not free
_TAKEN = ("EADDRINUSE", "EACCES")


#: outcomes of a socket() that the system, as it was built and set up, has not; ENOPROTOOPT: net.mptcp.enabled=0
_NO_SUCH_SOCKETS = ("EAFNOSUPPORT", "EPROTONOSUPPORT", "ESOCKTNOSUPPORT", "ENOPROTOOPT")


class Verdict(NamedTuple):
    """The verdict on one observation.  ``step`` counts from 0 and is -1 where no step is to blame."""

    kind: str
    observation: Observation
    step: int = -1
    expected: Expected = None
    rules: tuple[Rule, ...] = ()
    #: the id of the divergence, for known and resolved
    divergence: str = ""
    reason: str = ""

    @property
    def actual(self) -> str:
        """The outcome of the step to blame."""
        outcomes = self.observation.outcomes
        return str(outcomes[self.step]) if outcomes and self.step >= 0 else ""

    @property
    def rule(self) -> str:
        """The id of the rule to blame, "" where there is none."""
        return self.rules[0].id if self.rules else ""


class Judge:
    """Judges the observations of one host.

    ``divergences`` are those in force for its release.  Theory of operation: nearly every observation conforms, so
    the judge first looks whether its two parts are as expected (``ways.py``), which was mostly worked out before.
    Whatever is not takes the slow path, which knows all verdicts.
    """

    def __init__(
        self, expectations: Expectations, divergences: Sequence[Divergence] = (), host: Mapping[str, Any] | None = None
    ) -> None:
        self.expectations = expectations
        self.divergences = tuple(divergences)
        self.host = dict(host or {})
        self.oracle = Oracle(expectations)
        #: the same kernel with its known divergences
        possible = on_this_port(divergences, expectations.stack)
        self.diverged = Oracle(with_divergences(expectations, possible)) if possible else None
        self.counts: Counter[str] = Counter()
        #: how many steps each rules decided of what took the slow path
        self._rules: Counter[tuple[Rule, ...]] = Counter()

    @cached_property
    def ways(self) -> Ways:
        """What observations go through as expected."""
        return Ways(self.oracle, self.diverged)

    def judge(self, observations: Sequence[Observation]) -> list[Verdict]:
        """Count ``observations`` and return the verdicts of those that do not simply conform."""
        heads = self.ways.heads
        others = []
        for observation in observations:
            text, outcomes, _, _, repeats = observation
            first, _, second = text.partition(CUT)
            head = heads.get(first)
            if head is not None and outcomes is not None and not repeats:
                length = head.length
                way = head.ways.get(outcomes[:length])
                if way is not None:
                    rest = way.rests.get((second, outcomes[length:]))
                    if rest is not None and rest.certain and way.certain:
                        way.count += 1
                        rest.count += 1
                        continue
            others.append(observation)
        return [verdict for observation in others if (verdict := self._other(observation)) is not None]

    def rule_counts(self) -> dict[str, int]:
        """How many steps each rule decided so far, by id, the most first."""
        counts = Counter(self._rules)
        for part in self.ways.parts():
            if part.count:
                for number in part.said:
                    counts[self.ways.answers[number].rules] += part.count
        total: Counter[str] = Counter()
        for rules, count in counts.items():
            for one in rules:
                total[one.id] += count
        return dict(total.most_common())

    def verdict_counts(self) -> dict[str, int]:
        """How many observations got each verdict so far."""
        total = Counter(self.counts)
        # each has gone one way; what was not certain is in the counts
        total[CONFORMS] += sum(way.count for way in self.ways.all_ways())
        return {kind: total[kind] for kind in VERDICTS}

    def _other(self, observation: Observation) -> Verdict | None:
        """The verdict when the fast path had no answer; None when it conforms."""
        parts = self.ways.followed(observation)
        if parts is None:
            verdict, answers = self._judged(observation)
        else:
            way, rest = parts
            if way.certain and rest.certain:
                way.count += 1
                rest.count += 1
                return None
            verdict = Verdict(UNKNOWN, observation)
            answers = [self.ways.answers[number] for number in (*way.said, *rest.said)]
        self._rules.update([answer.rules for answer in answers])
        self.counts[verdict.kind] += 1
        return None if verdict.kind == CONFORMS else verdict

    def verdict(self, observation: Observation) -> Verdict:
        """The verdict on one observation, with everything a report needs; counts nothing."""
        return self._judged(observation)[0]

    def answers(self, observation: Observation) -> list[Answer]:
        """What is expected of an observed run, as far as it was as expected; nothing of one that is none."""
        outcomes = observation.outcomes
        if outcomes is None:
            return []
        try:
            steps = parse(observation.scenario).steps
        except Problem:
            return []
        return [*self.oracle.follow(steps, outcomes)] if len(steps) == len(outcomes) else []

    def _judged(self, observation: Observation) -> tuple[Verdict, list[Answer]]:
        """The verdict, and the answers as far as the run was followed."""
        outcomes = observation.outcomes
        if outcomes is None:
            return Verdict(observation.lack or NO_VERDICT, observation, reason=observation.reason), []
        try:
            steps = parse(observation.scenario).steps
        except Problem as problem:
            return Verdict(NO_VERDICT, observation, reason=f"not a scenario: {problem.message}"), []
        if len(steps) != len(outcomes):
            reason = f"{len(outcomes)} outcomes for {len(steps)} steps"
            return Verdict(NO_VERDICT, observation, reason=reason), []
        answers = self.answers(observation)
        verdict = self._of_run(observation, steps, outcomes, answers)
        for repeat in observation.repeats:
            if len(repeat) != len(steps):
                continue
            again = self._of_run(observation, steps, repeat, self.oracle.follow(steps, repeat))
            if (again.kind, again.step) != (verdict.kind, verdict.step):
                step = max(verdict.step, again.step)
                reason = _seen([run[step] for run in (outcomes, *observation.repeats) if len(run) > step])
                return verdict._replace(kind=FLAKY, step=step, reason=reason), answers
        return verdict, answers

    def _of_run(
        self, observation: Observation, steps: tuple[Step, ...], outcomes: Outcomes, edges: Sequence[Answer]
    ) -> Verdict:
        blamed = _blamed(edges, outcomes)
        if blamed < 0:
            if any(edge.expected is None for edge in edges):
                return Verdict(UNKNOWN, observation)
            if self.diverged is not None:
                return self._resolved(observation, steps, outcomes)
            return Verdict(CONFORMS, observation)
        lack, reason = self._setup_failure(steps, outcomes, blamed)
        edge = edges[blamed]
        verdict = Verdict(lack or DIVERGES, observation, blamed, edge.expected, edge.rules, reason=reason)
        if not lack and self.diverged is not None:
            follows = self.diverged.follow(steps, outcomes)
            if _blamed(follows, outcomes) < 0:
                return verdict._replace(kind=KNOWN, divergence=self._responsible(steps, outcomes, blamed))
        return verdict

    def _resolved(self, observation: Observation, steps: tuple[Step, ...], outcomes: Outcomes) -> Verdict:
        """Conforms, or resolved when a recorded divergence would have had it otherwise."""
        assert self.diverged is not None
        edges = self.diverged.follow(steps, outcomes)
        blamed = _blamed(edges, outcomes)
        if blamed < 0:
            return Verdict(CONFORMS, observation)
        entry = self._responsible(steps, outcomes, blamed)
        reason = f"recorded was {edges[blamed].expected}; delete the entry {entry}"
        return Verdict(RESOLVED, observation, blamed, edges[blamed].expected, divergence=entry, reason=reason)

    def _responsible(self, steps: tuple[Step, ...], outcomes: Outcomes, blamed: int) -> str:
        """The first recorded divergence that makes a difference at step ``blamed``."""
        ours = self.oracle.follow(steps[: blamed + 1], outcomes[: blamed + 1])[-1].expected
        for one in self.divergences:
            alone = Oracle(with_divergences(self.expectations, [one]))
            edges = alone.follow(steps[: blamed + 1], outcomes[: blamed + 1])
            if len(edges) == blamed + 1 and edges[-1].expected != ours:
                return one.id
        return self.divergences[0].id

    def _setup_failure(self, steps: tuple[Step, ...], outcomes: Outcomes, blamed: int) -> tuple[str, str]:
        """``(verdict, reason)`` when step ``blamed`` failed for want of a set-up, else two empty words."""
        one, outcome = steps[blamed], outcomes[blamed]
        if one.kind == "socket" and outcome in _NO_SUCH_SOCKETS:
            return UNSUPPORTED, f"the host has no {one.what} sockets"
        if one.kind != "bind":
            return "", ""
        addresses = self.host.get("addresses")
        if outcome == "EADDRNOTAVAIL" and isinstance(addresses, list) and one.address not in addresses:
            return UNSUPPORTED, f"the host has no address {one.address}"
        bound = any(s.kind == "bind" and outcomes[index] == "ok" for index, s in enumerate(steps[:blamed]))
        if not bound and outcome in _TAKEN:
            return NO_VERDICT, f"the first bind failed with {outcome}: somebody else has the port"
        return "", ""


def _blamed(edges: Sequence[Answer], outcomes: Outcomes) -> int:
    """The index of the step that is not as expected, -1 when all are (``follow`` stops at the first)."""
    last = len(edges) - 1
    outcome = outcomes[last]
    return last if outcome is not None and not edges[last].accepts(outcome) else -1


def _seen(outcomes: Sequence[str | None]) -> str:
    """How often a step was run, and what it returned how often."""
    counts = sorted(Counter(map(str, outcomes)).items(), key=lambda one: (-one[1], one[0]))
    return f"of {len(outcomes)} runs {' and '.join(f'{count} gave {outcome}' for outcome, count in counts)}"
