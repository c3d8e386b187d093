"""A kernel in memory with pluggable rules: the harness is tested without a kernel, and with one that is wrong.

It answers by a set of expectations, which the test may change first (``mutated``), through the same lines of bytes
that the real executor writes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace
from typing import Any

from bindmatrix.observe.recordings import Observation, line
from bindmatrix.oracle.oracle import Oracle
from bindmatrix.rules import catalog
from bindmatrix.rules.model import Expectations, Rule

from tests.oracle.reference import ReferenceEvaluator

FACTS = {
    "os": "linux",
    "release": "6.18.44",
    "users": True,
    "privileged": True,
    "ipv6": True,
    "addresses": ["127.0.0.1", "127.0.0.2", "::1"],
    "options": ["reuseaddr", "reuseport", "v6only"],
}


def mutated(expectations: Expectations, change: Callable[[Rule], Rule | None]) -> Expectations:
    """``expectations`` with each rule replaced by ``change`` of it, or dropped where that is None."""
    rules = {
        section: tuple(new for rule in listed if (new := change(rule)) is not None)
        for section, listed in expectations.rules.items()
    }
    return replace(expectations, rules=rules)


class FakeKernel:
    """Stands where ``LocalHost`` stands.

    ``fault`` may replace the outcomes of a scenario: it gets the text, the outcomes and how often the scenario was run
    before, and returns outcomes, or None to say nothing at all.
    """

    def __init__(
        self,
        change: Callable[[Rule], Rule | None] | None = None,
        facts: Mapping[str, Any] | None = None,
        fault: Callable[[str, list[str], int], list[str] | None] | None = None,
        interrupt_after: int | None = None,
    ) -> None:
        self.facts: dict[str, Any] = {**FACTS, **(facts or {})}
        expectations, release = catalog.of_host(self.facts)
        expectations = expectations.at(release)
        if change is not None:
            expectations = mutated(expectations, change)
        # the naive evaluator, so that the judge's compiled one is compared with something else
        self._oracle = Oracle(expectations, ReferenceEvaluator(expectations))
        self._fault = fault
        self._runs: dict[str, int] = {}
        self._interrupt_after = interrupt_after
        self.ran: list[str] = []

    def run(self, scenarios: Iterable[str]) -> Iterator[list[bytes]]:
        batch = []
        for text in scenarios:
            if self._interrupt_after is not None and len(self.ran) >= self._interrupt_after:
                yield batch
                self._interrupt_after = None
                raise KeyboardInterrupt
            self.ran.append(text)
            outcomes = self.outcomes(text)
            if outcomes is not None:
                batch.append(line(Observation(text, tuple(outcomes))))
            if len(batch) == 100:
                yield batch
                batch = []
        yield batch

    def outcomes(self, text: str) -> list[str] | None:
        """What the kernel returns for each step; where the rules leave a choice, the first one."""
        found = []
        for outcome in self._oracle.predict(text).outcomes:
            if outcome is None:
                outcome = "ok"
            found.append(outcome if isinstance(outcome, str) else outcome[0])
        runs = self._runs[text] = self._runs.get(text, 0) + 1
        return found if self._fault is None else self._fault(text, found, runs - 1)
