"""Verdicts: what an observation says about an expectation.

Judging is a pure function of a model, known divergences, the facts of a host and observations; it can be done
again at any time on any machine.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from enum import StrEnum
from functools import cached_property
from typing import Any, NamedTuple

from bindmatrix.errors import Problem
from bindmatrix.judge.prefix_cache import CUT, PrefixCache
from bindmatrix.notation import Step, parse
from bindmatrix.observe.recordings import MOST_REPEATS, Observation, Outcomes
from bindmatrix.oracle.oracle import Answer
from bindmatrix.oracle.variants import Variant
from bindmatrix.outcomes import Expected, alike
from bindmatrix.rules.divergences import Divergence
from bindmatrix.rules.model import Model, Rule


class VerdictKind(StrEnum):
    """The verdicts in the order of reports, each with its ``meaning``."""

    meaning: str

    DIVERGES = "diverges", "the host contradicts the rules"
    FLAKY = "flaky", "repeats disagree with each other"
    RESOLVED = "resolved", "a recorded divergence that is gone: delete its entry"
    KNOWN = "known", "a recorded divergence"
    CONFORMS = "conforms", "every outcome is as expected"
    UNKNOWN = "unknown", "the rules do not know the outcome of at least one step"
    UNSUPPORTED = "unsupported", "the host lacks something that the scenario needs"
    NO_VERDICT = "no-verdict", "the set-up failed"

    def __new__(cls, word: str, meaning: str = "") -> VerdictKind:
        """The verdict that reports call ``word``."""
        member = str.__new__(cls, word)
        member._value_ = word
        member.meaning = meaning
        return member


#: verdicts of a kind that wait for repeats, at most, and the characters of their scenarios: a kernel that differs
#: everywhere is known by then
MOST_WAITING, MOST_WAITING_TEXT = 20_000, 5_000_000

#: outcomes of a first bind that say that the port was not free
_TAKEN = ("EADDRINUSE", "EACCES")


#: outcomes of a socket() that the system, as it was built and set up, has not; ENOPROTOOPT: net.mptcp.enabled=0
_NO_SUCH_SOCKETS = ("EAFNOSUPPORT", "EPROTONOSUPPORT", "ESOCKTNOSUPPORT", "ENOPROTOOPT")


class Verdict(NamedTuple):
    """The verdict on one observation. ``step`` (from 0) is the step to blame, -1 for none."""

    kind: VerdictKind
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
    the judge first looks up its prefix and its suffix (``prefix_cache.py``).  Only what is not as expected takes the
    slow path, which knows all verdicts.
    """

    def __init__(
        self, model: Model, divergences: Sequence[Divergence] = (), host: Mapping[str, Any] | None = None
    ) -> None:
        self.model = model
        self.divergences = tuple(divergences)
        self.host = dict(host or {})
        self.variant = Variant(model, divergences)
        self.oracle = self.variant.oracle
        #: the same kernel with its known divergences
        self.diverged = self.variant.diverged
        self.counts: Counter[str] = Counter()
        #: scenario -> the verdict on what may come again with repeats, the first ``MOST_WAITING`` of each kind; repeats
        #: complete it, they are no observation of their own
        self.waiting: dict[str, Verdict] = {}
        self._waiting_kinds: Counter[VerdictKind] = Counter()
        self._waiting_text = 0
        #: how many steps each rules decided of what took the slow path
        self._rules: Counter[tuple[Rule, ...]] = Counter()

    @cached_property
    def prefixes(self) -> PrefixCache:
        """The prefixes and suffixes that are as expected."""
        return PrefixCache(self.oracle, self.diverged)

    def judge(self, observations: Sequence[Observation]) -> list[Verdict]:
        """Count ``observations`` and return the verdicts of those that do not simply conform."""
        texts = self.prefixes.texts
        waiting = self.waiting
        others = []
        for observation in observations:
            text, outcomes, _, _, repeats = observation
            first, _, second = text.partition(CUT)
            of_text = texts.get(first)
            if of_text is not None and outcomes is not None and not repeats and text not in waiting:
                length = of_text.length
                prefix = of_text.prefixes.get(outcomes[:length])
                if prefix is not None:
                    suffix = prefix.suffixes.get((second, outcomes[length:]))
                    if suffix is not None and suffix.certain and prefix.certain:
                        prefix.count += 1
                        suffix.count += 1
                        continue
            others.append(observation)
        return [verdict for observation in others if (verdict := self._other(observation)) is not None]

    def rule_counts(self) -> dict[str, int]:
        """How many steps each rule decided so far, by id, the most first."""
        total: Counter[str] = Counter()
        for rules, count in self._decided().items():
            for one in rules:
                total[one.id] += count
        return dict(total.most_common())

    def _decided(self) -> Counter[tuple[Rule, ...]]:
        counts = Counter(self._rules)
        for part in self.prefixes.segments():
            if part.count:
                for number in part.said:
                    counts[self.oracle.answers[number].rules] += part.count
        return counts

    def _conforming(self) -> int:
        """Each conforming observation was counted at one prefix, or in ``counts`` if it was not certain."""
        return self.counts[VerdictKind.CONFORMS] + sum(prefix.count for prefix in self.prefixes.all_prefixes())

    def verdict_counts(self) -> dict[str, int]:
        """How many observations got each verdict so far."""
        total = Counter(self.counts)
        total[VerdictKind.CONFORMS] = self._conforming()
        return {kind: total[kind] for kind in VerdictKind}

    def _other(self, observation: Observation) -> Verdict | None:
        """The verdict if the fast path had no answer; None if the observation conforms."""
        before = self.waiting.pop(observation.scenario, None)
        if before is not None:
            self.counts[before.kind] -= 1
            if len(before.observation.repeats) < MOST_REPEATS:
                before = self._judged(before.observation.again(observation))[0]
            self.counts[before.kind] += 1
            self.waiting[observation.scenario] = before
            return before
        if self.prefixes.full:
            self._forget()
        parts = self.prefixes.followed(observation)
        if parts is None:
            verdict, answers = self._judged(observation)
        else:
            prefix, suffix = parts
            if prefix.certain and suffix.certain:
                prefix.count += 1
                suffix.count += 1
                return None
            verdict = Verdict(VerdictKind.UNKNOWN, observation)
            answers = [self.oracle.answers[number] for number in (*prefix.said, *suffix.said)]
        self._rules.update([answer.rules for answer in answers])
        kind = verdict.kind
        self.counts[kind] += 1
        if kind in (VerdictKind.DIVERGES, VerdictKind.UNKNOWN) and self._may_wait(kind):
            self._waiting_kinds[kind] += 1
            self._waiting_text += len(verdict.observation.scenario)
            self.waiting[verdict.observation.scenario] = verdict
        return None if kind == VerdictKind.CONFORMS else verdict

    def _may_wait(self, kind: VerdictKind) -> bool:
        return self._waiting_kinds[kind] < MOST_WAITING and self._waiting_text < MOST_WAITING_TEXT

    def _forget(self) -> None:
        """Start with an empty cache, and keep what it has counted."""
        self._rules, self.counts[VerdictKind.CONFORMS] = self._decided(), self._conforming()
        self.prefixes.forget()
        del self.prefixes

    def settle(self) -> list[Verdict]:
        """The verdicts that waited for repeats, which are final now."""
        found = list(self.waiting.values())
        self.waiting.clear()
        self._waiting_kinds.clear()
        self._waiting_text = 0
        return found

    def verdict(self, observation: Observation) -> Verdict:
        """The verdict on one observation, with everything a report needs; counts nothing."""
        return self._judged(observation)[0]

    def answers(self, observation: Observation) -> list[Answer]:
        """The answers to the steps of an observed run, up to the first unexpected outcome; none for an invalid
        scenario."""
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
            return Verdict(
                VerdictKind(observation.lack or VerdictKind.NO_VERDICT), observation, reason=observation.reason
            ), []
        try:
            steps = parse(observation.scenario).steps
        except Problem as problem:
            return Verdict(VerdictKind.NO_VERDICT, observation, reason=f"not a scenario: {problem.message}"), []
        if len(steps) != len(outcomes):
            reason = f"{len(outcomes)} outcomes for {len(steps)} steps"
            return Verdict(VerdictKind.NO_VERDICT, observation, reason=reason), []
        answers: list[Answer] = [*self.oracle.follow(steps, outcomes)]
        verdict = self._of_run(observation, steps, outcomes, answers)
        complete = [repeat for repeat in observation.repeats if repeat is not None and len(repeat) == len(steps)]
        for repeat in complete:
            again = self._of_run(observation, steps, repeat, self.oracle.follow(steps, repeat))
            if again.kind == verdict.kind == VerdictKind.UNKNOWN:
                # no rule predicts an outcome here, so the repeats are compared with each other
                again = again._replace(step=_first_difference(outcomes, repeat))
            if (again.kind, again.step) != (verdict.kind, verdict.step):
                blames = max(verdict, again, key=lambda one: one.step)
                seen = [run[blames.step] for run in (outcomes, *complete)]
                return blames._replace(kind=VerdictKind.FLAKY, reason=_seen(seen)), answers
        missing = len(observation.repeats) - len(complete)
        if missing and verdict.kind == VerdictKind.DIVERGES:
            reason = f"{missing} of {len(observation.repeats)} repeats of what diverged gave no outcomes"
            return Verdict(VerdictKind.NO_VERDICT, observation, reason=reason), answers
        return verdict, answers

    def _of_run(
        self, observation: Observation, steps: tuple[Step, ...], outcomes: Outcomes, edges: Sequence[Answer]
    ) -> Verdict:
        blamed = _blamed(edges, outcomes)
        if blamed < 0:
            if any(edge.expected is None for edge in edges):
                return Verdict(VerdictKind.UNKNOWN, observation)
            if self.diverged is not None:
                return self._resolved(observation, steps, outcomes)
            return Verdict(VerdictKind.CONFORMS, observation)
        lack, reason = self._setup_failure(steps, outcomes, blamed)
        edge = edges[blamed]
        verdict = Verdict(lack or VerdictKind.DIVERGES, observation, blamed, edge.expected, edge.rules, reason=reason)
        if not lack and self.diverged is not None:
            follows = self.diverged.follow(steps, outcomes)
            if _blamed(follows, outcomes) < 0:
                return verdict._replace(kind=VerdictKind.KNOWN, divergence=self._responsible(steps, outcomes, blamed))
        return verdict

    def _resolved(self, observation: Observation, steps: tuple[Step, ...], outcomes: Outcomes) -> Verdict:
        """``conforms``, or ``resolved`` if a known divergence would have changed an outcome."""
        assert self.diverged is not None
        edges = self.diverged.follow(steps, outcomes)
        blamed = _blamed(edges, outcomes)
        if blamed < 0:
            return Verdict(VerdictKind.CONFORMS, observation)
        entry = self._responsible(steps, outcomes, blamed)
        reason = f"recorded was {edges[blamed].expected}; delete the entry {entry}"
        return Verdict(
            VerdictKind.RESOLVED, observation, blamed, edges[blamed].expected, divergence=entry, reason=reason
        )

    def _responsible(self, steps: tuple[Step, ...], outcomes: Outcomes, blamed: int) -> str:
        """The first recorded divergence that makes a difference at step ``blamed``."""
        ours = self.oracle.follow(steps[: blamed + 1], outcomes[: blamed + 1])[-1].expected
        for one in self.divergences:
            edges = self.variant.alone(one).follow(steps[: blamed + 1], outcomes[: blamed + 1])
            if len(edges) == blamed + 1 and edges[-1].expected != ours:
                return one.id
        return self.divergences[0].id

    def _setup_failure(
        self, steps: tuple[Step, ...], outcomes: Outcomes, blamed: int
    ) -> tuple[VerdictKind | None, str]:
        """The verdict and the reason when the set-up failed at step ``blamed``, else None."""
        one, outcome = steps[blamed], outcomes[blamed]
        if one.kind == "socket" and outcome in _NO_SUCH_SOCKETS:
            return VerdictKind.UNSUPPORTED, f"the host has no {one.what} sockets"
        if one.kind != "bind":
            return None, ""
        addresses = self.host.get("addresses")
        if outcome == "EADDRNOTAVAIL" and isinstance(addresses, list) and one.address not in addresses:
            return VerdictKind.UNSUPPORTED, f"the host has no address {one.address}"
        bound = any(s.kind == "bind" and outcomes[index] == "ok" for index, s in enumerate(steps[:blamed]))
        if not bound and outcome in _TAKEN:
            return VerdictKind.NO_VERDICT, f"the first bind failed with {outcome}: somebody else has the port"
        return None, ""


def _blamed(edges: Sequence[Answer], outcomes: Outcomes) -> int:
    """The index of the step that is not as expected, -1 when all are (``follow`` stops at the first)."""
    last = len(edges) - 1
    outcome = outcomes[last]
    return last if outcome is not None and not edges[last].accepts(outcome) else -1


def _first_difference(one: Outcomes, other: Outcomes) -> int:
    """The first step that went otherwise, -1 for none."""
    differs = (index for index, both in enumerate(zip(one, other, strict=True)) if not alike(*both))
    return next(differs, -1)


def _seen(outcomes: Sequence[str | None]) -> str:
    """How often a step was run, and what it returned how often."""
    counts = sorted(Counter(map(str, outcomes)).items(), key=lambda one: (-one[1], one[0]))
    return f"of {len(outcomes)} runs {' and '.join(f'{count} gave {outcome}' for outcome, count in counts)}"
