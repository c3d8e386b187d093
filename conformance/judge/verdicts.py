"""Verdicts: what an observation says about an expectation.

Judging is a pure function of expectations, known divergences, the facts of a host and observations; it can be done
again at any time on any machine.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from conformance.errors import Problem
from conformance.notation import Step, parse, step
from conformance.observe.observations import Observation, Outcomes
from conformance.oracle.automaton import Edge, Expected, Oracle
from conformance.oracle.divergences import Divergence
from conformance.oracle.divergences import apply as with_divergences
from conformance.oracle.expectation import Expectations, Rule

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


class _Entry:
    """A scenario whose outcomes are all certain, for the fast path of :meth:`Judge.judge`."""

    __slots__ = ("count", "expected", "rules")

    def __init__(self, expected: Outcomes, rules: tuple[str, ...]) -> None:
        self.expected = expected
        self.rules = rules
        self.count = 0


class Judge:
    """Judges the observations of one host.

    ``divergences`` are those in force for its release.  Theory of operation: nearly every observation conforms, so
    the judge first compares whole tuples of outcomes.  A scenario of the matrix is split where its second socket is
    made; what the first part leads to, and what the second part returns from there, is worked out once.  Whatever is
    not exactly as expected takes the slow path, which knows all verdicts.
    """

    def __init__(
        self, expectations: Expectations, divergences: Sequence[Divergence] = (), host: Mapping[str, Any] | None = None
    ) -> None:
        self.expectations = expectations
        self.divergences = tuple(divergences)
        self.host = dict(host or {})
        self.oracle = Oracle(expectations)
        #: the same kernel with its known divergences
        self.diverged = Oracle(with_divergences(expectations, divergences)) if divergences else None
        self.counts: Counter[str] = Counter()
        self._edges: Counter[Edge] = Counter()
        self._heads: dict[str, dict[str, _Entry]] = {}

    def judge(self, observations: Sequence[Observation]) -> list[Verdict]:
        """Count ``observations`` and return the verdicts of those that do not simply conform."""
        heads = self._heads
        others = []
        for observation in observations:
            head, _, tail = observation.scenario.partition(" b=")
            tails = heads.get(head)
            if tails is None:
                tails = heads[head] = {}
            entry = tails.get(tail)
            if entry is not None and entry.expected == observation.outcomes and not observation.repeats:
                entry.count += 1
            else:
                others.append(observation)
        return [verdict for observation in others if (verdict := self._other(observation)) is not None]

    def rule_counts(self) -> dict[str, int]:
        """How many steps each rule decided so far, by id, the most first."""
        total: Counter[str] = Counter()
        for tails in self._heads.values():
            for entry in tails.values():
                if entry.count:
                    for rule in entry.rules:
                        total[rule] += entry.count
        for edge, count in self._edges.items():
            for one in edge.rules:
                total[one.id] += count
        return dict(total.most_common())

    def verdict_counts(self) -> dict[str, int]:
        """How many observations got each verdict so far."""
        total = Counter(self.counts)
        for tails in self._heads.values():
            for entry in tails.values():
                total[CONFORMS] += entry.count
        return {kind: total[kind] for kind in VERDICTS}

    def _other(self, observation: Observation) -> Verdict | None:
        """The verdict when the fast path had no answer; None when it conforms."""
        edges = self._walk(observation)
        if edges is not None:
            self._edges.update(edges)
            self.counts[CONFORMS] += 1
            self._learn(observation, edges)
            return None
        verdict, edges = self._judged(observation)
        self._edges.update(edges)
        self.counts[verdict.kind] += 1
        return None if verdict.kind == CONFORMS else verdict

    def _walk(self, observation: Observation) -> list[Edge] | None:
        """The edges of a scenario whose outcomes are all certain and as expected; None for the slow path."""
        outcomes = observation.outcomes
        if outcomes is None or observation.repeats or self.diverged is not None:
            return None
        words = observation.scenario.split(" ")
        if len(words) != len(outcomes):
            return None
        oracle = self.oracle
        node = oracle.start
        edges = []
        checked = False
        for word, outcome in zip(words, outcomes, strict=True):
            edge = node.edges.get(word)
            if edge is None:
                # a new way: make sure, once, that this is a scenario at all
                if not checked and not self._is_scenario(observation.scenario):
                    return None
                checked = True
                edge = oracle.edge(node, step(word))
            if edge.expected != outcome or edge.branches:
                return None
            edges.append(edge)
            node = edge.node
        return edges

    @staticmethod
    def _is_scenario(text: str) -> bool:
        try:
            return parse(text).text == text
        except Problem:
            return False

    def _learn(self, observation: Observation, edges: list[Edge]) -> None:
        """Let the fast path know a scenario of two sockets."""
        head, found, tail = observation.scenario.partition(" b=")
        if found and observation.outcomes is not None and len(tail) < 200:
            rules = tuple(rule.id for edge in edges for rule in edge.rules)
            self._heads[head][tail] = _Entry(observation.outcomes, rules)

    def verdict(self, observation: Observation) -> Verdict:
        """The verdict on one observation, with everything a report needs; counts nothing."""
        return self._judged(observation)[0]

    def _judged(self, observation: Observation) -> tuple[Verdict, list[Edge]]:
        """The verdict, and the edges of the run as far as it was followed."""
        if observation.outcomes is None:
            return Verdict(observation.lack or NO_VERDICT, observation, reason=observation.reason), []
        try:
            steps = parse(observation.scenario).steps
        except Problem as problem:
            return Verdict(NO_VERDICT, observation, reason=f"not a scenario: {problem.message}"), []
        if len(steps) != len(observation.outcomes):
            reason = f"{len(observation.outcomes)} outcomes for {len(steps)} steps"
            return Verdict(NO_VERDICT, observation, reason=reason), []
        edges = self.oracle.follow(steps, observation.outcomes)
        verdict = self._of_run(observation, steps, observation.outcomes, edges)
        for outcomes in observation.repeats:
            if len(outcomes) != len(steps):
                continue
            again = self._of_run(observation, steps, outcomes, self.oracle.follow(steps, outcomes))
            if (again.kind, again.step) != (verdict.kind, verdict.step):
                step = max(verdict.step, again.step)
                reason = _seen([run[step] for run in (observation.outcomes, *observation.repeats) if len(run) > step])
                return verdict._replace(kind=FLAKY, step=step, reason=reason), edges
        return verdict, edges

    def _of_run(
        self, observation: Observation, steps: tuple[Step, ...], outcomes: Outcomes, edges: list[Edge]
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


def _blamed(edges: list[Edge], outcomes: Outcomes) -> int:
    """The index of the step that is not as expected, -1 when all are (``follow`` stops at the first)."""
    last = len(edges) - 1
    outcome = outcomes[last]
    return last if outcome is not None and not edges[last].accepts(outcome) else -1


def _seen(outcomes: Sequence[str | None]) -> str:
    """How often a step was run, and what it returned how often."""
    counts = sorted(Counter(map(str, outcomes)).items(), key=lambda one: (-one[1], one[0]))
    return f"of {len(outcomes)} runs {' and '.join(f'{count} gave {outcome}' for outcome, count in counts)}"
