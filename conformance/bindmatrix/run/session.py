"""One run on one host: execute, observe, judge, and the repeats that a divergence needs.

The host is anything with ``facts`` and ``run(scenarios)``: this machine (``execute/local.py``) or the fake kernel of
the tests. Outcomes are written as they arrive, and can be judged again later.
"""

from __future__ import annotations

import io
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import chain
from typing import Any, Protocol

from bindmatrix.judge.evidence_sample import to_repeat
from bindmatrix.judge.shrink import shrink
from bindmatrix.judge.summary import Collector, Summary, VerdictGroup
from bindmatrix.judge.verdicts import Judge, VerdictKind
from bindmatrix.observe.recordings import Observation, Outcomes, Recording, line
from bindmatrix.observe.run_folder import RunFolder
from bindmatrix.rules import catalog, divergences

#: a divergence is believed after this many more runs
REPEATS = 3
#: scenarios that are repeated together and then written, so that a run that is killed loses few of them
_REPEATED_AT_ONCE = 60
#: groups that are shrunk, at most
_MOST_SHRUNK = 12


class Host(Protocol):
    """Runs scenarios."""

    @property
    def facts(self) -> Mapping[str, Any]:
        """The host as its executor describes it."""

    def run(self, scenarios: Iterable[str]) -> Iterator[list[bytes]]:
        """Raw observation lines, in batches, in any order."""


class Session:
    """One run on one host.  ``progress`` is called with the number of scenarios done."""

    def __init__(
        self, host: Host, results: RunFolder | None = None, progress: Callable[[int], None] | None = None
    ) -> None:
        self.host = host
        self.results = results
        self.progress = progress or _silent
        facts = host.facts
        expectations, release = catalog.of_host(facts)
        in_force = divergences.of(expectations, release)
        self.judge = Judge(catalog.model_of_host(expectations, release, facts), in_force, facts)
        self.notes = catalog.notes_of_host(self.judge.model, facts)
        self.collector = Collector(self.judge)
        self.interrupted = False

    def run(self, scenarios: Sequence[str], notes: Iterable[str] = ()) -> Summary:
        """Run and judge; on Ctrl-C what was observed until then is summed up and ``interrupted`` is set."""
        started = time.perf_counter()
        try:
            self._observe(scenarios)
            self._repeat()
        except KeyboardInterrupt:
            self.interrupted = True
        summary = self.collector.summary(notes=[*self.notes, *notes], seconds=time.perf_counter() - started)
        if not self.interrupted:
            try:
                self._shrink(summary.of(VerdictKind.DIVERGES))
            except KeyboardInterrupt:
                self.interrupted = True
            summary.seconds = time.perf_counter() - started
        return summary

    def _observe(self, scenarios: Sequence[str]) -> None:
        done = 0
        if self.results is not None and self.results.before:
            # what is not of this run would be repeated too: a file of somebody else may ask for days of waiting
            planned = set(scenarios)
            before = [observation for observation in self.results.before if observation.scenario in planned]
            if left_out := len(self.results.before) - len(before):
                why = "this run's options do not ask for them"
                self.notes = [*self.notes, f"left out {left_out:,} of the earlier run's scenarios: {why}"]
            self.collector.add(self.judge.judge(before))
            have = {observation.scenario for observation in before}
            scenarios = [text for text in scenarios if text not in have]
            done = len(have)
            self.progress(done)
        for lines in self.host.run(scenarios):
            if self.results is not None:
                self.results.write(lines)
            self.collector.add(self.judge.judge(_parsed(lines)))
            done += len(lines)
            self.progress(done)

    def _repeat(self) -> None:
        """Run what diverges, and what may become evidence, again on fresh ports: repeats that disagree are flaky."""
        texts = to_repeat(self.judge)
        for start in range(0, len(texts), _REPEATED_AT_ONCE):
            self._repeat_each(texts[start : start + _REPEATED_AT_ONCE])

    def _repeat_each(self, texts: Sequence[str]) -> None:
        repeats: dict[str, list[Outcomes | None]] = {text: [] for text in texts}
        for observation in chain.from_iterable(_parsed(lines) for lines in self.host.run([*texts] * REPEATS)):
            if observation.scenario in repeats:
                repeats[observation.scenario].append(observation.outcomes)
        observations = []
        for text, outcomes in repeats.items():
            # a repeat without an answer counts as one without outcomes
            missing = [None] * (REPEATS - len(outcomes))
            first = self.judge.waiting[text].observation
            observations.append(first._replace(repeats=(*outcomes, *missing)))
        if self.results is not None:
            self.results.write([line(observation) for observation in observations])
        self.collector.add(self.judge.judge(observations))

    def _shrink(self, groups: list[VerdictGroup]) -> None:
        for group in groups[:_MOST_SHRUNK]:
            observation = Observation(group.scenario, group.outcomes)
            group.shrunk = shrink(self.judge.verdict(observation), self.judge, self.observe)

    def check(self, scenarios: Sequence[str]) -> Collector:
        """Run, judge, repeat and shrink ``scenarios`` apart from all others.

        The oracle keeps what it worked out for earlier ones, so this is for many small pieces.
        """
        self.collector = Collector(self.judge)
        self._observe(scenarios)
        self._repeat()
        self._shrink([group for group in self.collector.settled() if group.kind == VerdictKind.DIVERGES])
        return self.collector

    def observe(self, texts: Sequence[str]) -> list[Observation]:
        """Run ``texts`` now."""
        return observed(self.host.run(texts))


def _silent(_done: int) -> None:
    """No progress is shown."""


def observed(batches: Iterable[Sequence[bytes]]) -> list[Observation]:
    """The observations in what :meth:`Host.run` gives."""
    return list(chain.from_iterable(_parsed(lines) for lines in batches))


def _parsed(lines: Sequence[bytes]) -> list[Observation]:
    return list(Recording(io.BytesIO(b"".join(lines)), "host"))
