"""A run from end to end: generate, execute, observe, judge, and the repeats that a divergence needs.

The host is anything with ``facts`` and ``run(scenarios)``: this machine (``execute/local.py``) or the fake kernel of
the tests.  What the host says is written as it comes; judging never waits for it and can be done again later.
"""

from __future__ import annotations

import io
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any, Protocol

from bindmatrix.generate.any_calls import random_calls
from bindmatrix.generate.axes import DEFAULT_OPTIONS, FEATURES
from bindmatrix.generate.deliveries import OTHER_TEAMS, random_deliveries
from bindmatrix.generate.many_sockets import random_crowds
from bindmatrix.generate.matrix import matrix
from bindmatrix.generate.sequences import other_sequences, random_sequences
from bindmatrix.judge.shrink import shrink
from bindmatrix.judge.summary import Collector, Group, Summary
from bindmatrix.judge.verdicts import DIVERGES, Judge, Verdict
from bindmatrix.notation import PROTOCOLS, SOCKET_KINDS
from bindmatrix.observe.recordings import Observation, Recording, line
from bindmatrix.observe.run_folder import Results
from bindmatrix.rules import catalog, divergences

#: a divergence is believed after this many more runs
REPEATS = 3
#: divergences that are repeated, and groups that are shrunk, at most: a kernel that differs everywhere is known by then
MOST_REPEATED, _MOST_SHRUNK = 20_000, 12
_FLUSH_SECONDS = 2.0


class Host(Protocol):
    """Runs scenarios."""

    @property
    def facts(self) -> Mapping[str, Any]:
        """The host as its executor describes it."""

    def run(self, scenarios: Iterable[str]) -> Iterator[list[bytes]]:
        """Raw observation lines, in batches, in any order."""


@dataclass(frozen=True)
class Plan:
    """What to run.

    ``examples``: random sequences; with them come a quarter as many programs of any calls, and a fiftieth of crowds.
    ``deliveries``: random scenarios of who receives.  ``shard`` is (k, n).
    """

    profile: str = "full"
    examples: int = 20_000
    seed: int = 0
    shard: tuple[int, int] = (1, 1)
    deliveries: int = 0

    def scenarios(self, facts: Mapping[str, Any]) -> list[str]:
        """The scenarios for a host with these facts, without what it lacks (:func:`lacking`)."""
        have_not = lacking(facts)
        users = "users" not in have_not
        texts: list[str] = []
        kinds = [protocol for protocol in PROTOCOLS if protocol not in have_not]
        for group in matrix(self.profile, users=users, kinds=kinds, shard=self.shard):
            if not have_not.keys() & group.needs:
                texts += group.scenarios
        texts += self._further_options(facts, have_not, users, set(texts))
        part, parts = self.shard
        # each shard takes its part of what an undivided run draws
        drawn = (
            random_sequences(self.seed, self.examples, users=users, ipv6="ipv6" not in have_not, lacking=have_not),
            random_calls(self.seed, self.examples // 4, users=users, lacking=have_not),
            random_crowds(self.seed, self.examples // 50, users=users, lacking=have_not),
            random_deliveries(self.seed, self.deliveries, options=_options(facts), lacking=have_not),
            other_sequences(self.seed, self.examples // 20, users=users, ipv6="ipv6" not in have_not, lacking=have_not),
            random_deliveries(self.seed, self.deliveries // 4, lacking=have_not, teams=OTHER_TEAMS),
        )
        for random_ones in drawn:
            texts += random_ones[part - 1 :: parts]
        # a short sequence may be a pair of the matrix
        return list(dict.fromkeys(texts))

    def _further_options(
        self, facts: Mapping[str, Any], have_not: Mapping[str, str], users: bool, seen: set[str]
    ) -> list[str]:
        """The pairs in which an option beyond the two is set: every combination of three would be 640,000."""
        options = _options(facts)
        if options == DEFAULT_OPTIONS:
            return []
        profile = "quick" if self.profile == "quick" else "pairs"
        groups = matrix(profile, options=options, users=users, shard=self.shard)
        return [
            text
            for group in groups
            if not have_not.keys() & group.needs
            for text in group.scenarios
            if text not in seen and any(f".{option}=" in text for option in options[len(DEFAULT_OPTIONS) :])
        ]


def lacking(facts: Mapping[str, Any]) -> dict[str, str]:
    """The features of ``generate.axes.FEATURES`` that a host with these facts has not, with what they need."""
    addresses = facts.get("addresses")
    protocols = {SOCKET_KINDS[kind].protocol for kind in SOCKET_KINDS if kind in _listed(facts, "kinds")}
    missing = {
        "ipv6": not facts.get("ipv6", True),
        "users": not facts.get("users", facts.get("privileged", False)),
        "127.0.0.2": isinstance(addresses, Sequence) and "127.0.0.2" not in addresses,
        **{protocol: protocol not in protocols for protocol in PROTOCOLS[2:]},
        "abstract": "unix" in protocols and not facts.get("abstract", False),
        "cid:own": "vsock" in protocols and "own" not in _listed(facts, "cids"),
    }
    return {feature: FEATURES[feature] for feature, lacks in missing.items() if lacks}


def _listed(facts: Mapping[str, Any], name: str) -> list[Any]:
    """The fact ``name``, where it is a list as our executor writes it."""
    found = facts.get(name)
    return list(found) if isinstance(found, list | tuple) else []


def _options(facts: Mapping[str, Any]) -> tuple[str, ...]:
    """The options to combine: the two that everybody asks about, and what else the host has."""
    have = _listed(facts, "options")
    extra = [option for option in ("reuseport_lb", "exclusive", "exclbind") if option in have]
    return (*DEFAULT_OPTIONS, *extra)


class Session:
    """One run on one host.  ``progress`` is called with the number of scenarios done."""

    def __init__(
        self, host: Host, results: Results | None = None, progress: Callable[[int], None] | None = None
    ) -> None:
        self.host = host
        self.results = results
        self.progress = progress or _silent
        facts = host.facts
        expectations, release = catalog.of_host(facts)
        in_force = divergences.of(expectations, release)
        self.judge = Judge(expectations.at(release), in_force, facts)
        self.limit = catalog.limit_of_host(self.judge.model, facts)
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
        summary = self.collector.summary(
            notes=[*([self.limit] if self.limit else []), *notes], seconds=time.perf_counter() - started
        )
        if not self.interrupted:
            try:
                self._shrink(summary.of(DIVERGES))
            except KeyboardInterrupt:
                self.interrupted = True
            summary.seconds = time.perf_counter() - started
        return summary

    def _observe(self, scenarios: Sequence[str]) -> None:
        done = 0
        if self.results is not None and self.results.before:
            before = self.results.before
            self.collector.add(self.judge.judge(before))
            have = {observation.scenario for observation in before}
            scenarios = [text for text in scenarios if text not in have]
            done = len(have)
            self.progress(done)
        flushed = time.monotonic()
        for lines in self.host.run(scenarios):
            if self.results is not None:
                self.results.write(lines)
                if time.monotonic() - flushed > _FLUSH_SECONDS:
                    self.results.flush()
                    flushed = time.monotonic()
            self.collector.add(self.judge.judge(_parsed(lines)))
            done += len(lines)
            self.progress(done)

    def _repeat(self) -> None:
        """Run what diverges again on fresh ports: repeats that disagree make it flaky."""
        diverging, self.collector.diverging = self.collector.diverging, []
        first, rest = diverging[:MOST_REPEATED], diverging[MOST_REPEATED:]
        repeats: dict[str, list[tuple[str | None, ...]]] = {}
        if first:
            texts = [verdict.observation.scenario for verdict in first]
            for observation in chain.from_iterable(_parsed(lines) for lines in self.host.run(texts * REPEATS)):
                if observation.outcomes is not None:
                    repeats.setdefault(observation.scenario, []).append(observation.outcomes)
        for verdict in first:
            self._settle(verdict, tuple(repeats.get(verdict.observation.scenario, ())))
        for verdict in rest:
            self.collector.group(verdict)

    def _settle(self, verdict: Verdict, repeats: tuple[tuple[str | None, ...], ...]) -> None:
        observation = verdict.observation._replace(repeats=repeats)
        again = self.judge.verdict(observation)
        self.judge.counts[verdict.kind] -= 1
        self.judge.counts[again.kind] += 1
        if self.results is not None:
            self.results.write([line(observation)])
        self.collector.group(again)

    def _shrink(self, groups: list[Group]) -> None:
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
        self._shrink([group for group in self.collector.settled() if group.kind == DIVERGES])
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
