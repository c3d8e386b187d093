"""Every recorded observation is replayed: the expectation files agree with all of them, or list the divergence."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from functools import cache, lru_cache

import pytest
from bindmatrix.lint import rule_coverage
from bindmatrix.lint.replay import Recorded, Replay, SetReplay, recorded_sets
from bindmatrix.rules import catalog, divergences

pytestmark = pytest.mark.slow

EVIDENCE = catalog.folder() / "evidence"
SYSTEMS = catalog.names()
SETS = [recorded for os in SYSTEMS for recorded in recorded_sets(EVIDENCE, os)]


@pytest.fixture(scope="module", autouse=True)
def _no_collector() -> Iterator[None]:
    """Hundreds of thousands of small lasting objects: looking through them for garbage takes a third of the time."""
    gc.disable()
    yield
    gc.enable()
    replayer.cache_clear()


@lru_cache(maxsize=1)
def replayer(os: str) -> Replay:
    expectations = catalog.expectations(os)
    return Replay(expectations, divergences.load(catalog.folder() / "divergences" / f"{os}.yaml", expectations))


@cache
def replayed(recorded: Recorded) -> SetReplay:
    return replayer(recorded.os).replay(recorded)


@pytest.mark.parametrize("recorded", SETS, ids=lambda recorded: recorded.reference)
def test_a_recorded_set_is_reproduced(recorded: Recorded) -> None:
    result = replayed(recorded)
    assert result.problem is None
    assert result.observations > 0
    shown = [
        f"{release} {verdict.kind} {verdict.observation.scenario}: step {verdict.step} was {verdict.actual}, "
        f"expected {verdict.expected} by {verdict.rule}"
        for release, verdict in result.differences[:5]
    ]
    assert not result.differences, f"{len(result.differences)} differences in {recorded.reference}:\n" + "\n".join(
        shown
    )


def test_every_folder_of_evidence_has_its_system() -> None:
    folders = {path.name for path in EVIDENCE.iterdir() if path.is_dir()}
    assert folders == {recorded.host for recorded in SETS}


@pytest.mark.parametrize("os", SYSTEMS)
def test_what_the_rules_decide_is_written_down(os: str) -> None:
    found = rule_coverage.of_replays(replayed(recorded) for recorded in SETS if recorded.os == os)
    written = rule_coverage.read(EVIDENCE / "decided.json").get(os)
    assert written == found, "out of date: run 'bindmatrix regenerate decided'"
