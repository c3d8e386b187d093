"""What the tests of live kernels share: a run of the quick matrix on a host, and what may come of it."""

from __future__ import annotations

from dataclasses import replace
from itertools import islice
from typing import Any

from bindmatrix.execute.hosts import HostSpec, open_host
from bindmatrix.execute.local import LocalHost
from bindmatrix.execute.remote import RemoteHost
from bindmatrix.judge.summary import Summary
from bindmatrix.judge.verdicts import VerdictKind
from bindmatrix.run.plan import Plan
from bindmatrix.run.session import Session


def run(spec: HostSpec, *, examples: int, deliveries: int, part: int = 1) -> tuple[dict[str, Any], Summary]:
    """Every ``part``-th scenario of the quick matrix and random ones on a host: its facts, what came of it."""
    with open_host(replace(spec, patience=200.0)) as host:
        return on(host, examples=examples, deliveries=deliveries, part=part)


def on(
    host: LocalHost | RemoteHost, *, examples: int, deliveries: int, part: int = 1
) -> tuple[dict[str, Any], Summary]:
    """The same on a host that is open."""
    plan = Plan("quick", examples, shard=(1, 1), deliveries=deliveries)
    scenarios = list(islice(plan.scenarios(host.facts), None, None, part))
    return dict(host.facts), Session(host).run(scenarios)


def as_expected(summary: Summary) -> bool:
    """Whether nothing differs from the expectation file; whom the permissions of a file let in is left open by it."""
    counts = summary.verdicts
    unknown = counts[VerdictKind.UNKNOWN]
    return (
        counts[VerdictKind.CONFORMS] + counts[VerdictKind.KNOWN] + unknown == summary.total
        and unknown <= summary.total // 500
    )


def told(summary: Summary) -> str:
    """What a failing test shows."""
    rows = [f"{group.kind} {group.scenario} -> {group.outcomes}" for group in summary.groups]
    return "\n".join([str(summary.verdicts), *rows])
