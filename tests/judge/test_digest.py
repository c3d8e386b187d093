"""What of a recording is kept: little, and everything that it shows."""

from __future__ import annotations

import random

from bindmatrix.judge.evidence_sample import EACH, _facts, digest
from bindmatrix.judge.host_table import HostTable
from bindmatrix.observe import recordings
from bindmatrix.observe.recordings import Observation
from bindmatrix.rules import catalog

from tests.report.pages import host

EVIDENCE = catalog.folder() / "evidence" / "gvisor-20221219"


def columns(found: list[Observation]) -> HostTable:
    return host("gvisor", "20221219", found)


def recorded(*names: str) -> list[Observation]:
    return [one for name in names for one in recordings.read(EVIDENCE / f"{name}.jsonl.gz")]


def facts(whole: HostTable) -> set[object]:
    return {fact for row, number in enumerate(whole.result) for fact in _facts(whole.text(row), whole.results[number])}


def test_a_digest_is_small_and_shows_all_that_the_whole_shows() -> None:
    found = recorded("pairs", "states", "users", "deliver")
    whole = columns(found)
    kept = digest(whole)
    assert len(kept) < len(found) / 20
    assert set(kept) <= set(found)
    assert facts(columns(kept)) == facts(whole)


def test_a_digest_of_a_digest_is_the_digest() -> None:
    kept = digest(columns(recorded("pairs", "deliver")))
    assert digest(columns(kept)) == kept


def test_neither_order_nor_chance_changes_it() -> None:
    """A group of sockets gets other numbers of datagrams in each run."""
    found = recorded("deliver", "users")
    texts = [one.scenario for one in digest(columns(found))]
    other = [one._replace(outcomes=one.repeats[0], repeats=()) if one.repeats else one for one in found]
    assert other != found
    random.Random(1).shuffle(other)
    assert [one.scenario for one in digest(columns(other))] == texts


def test_what_diverges_or_wavers_is_no_evidence() -> None:
    text = "a=udp4 a.bind=127.0.0.1 b=udp4 b.bind=127.0.0.1"
    right, wrong = ("ok", "ok", "ok", "EADDRINUSE"), ("ok", "ok", "ok", "ok")
    assert len(digest(columns([Observation(text, right)]))) == 1
    assert digest(columns([Observation(text, wrong)])) == []
    assert digest(columns([Observation(text, right), Observation(text, wrong)])) == []
    assert digest(columns([Observation(text, None, "no-verdict", "died")])) == []


def test_so_many_of_each() -> None:
    found = [Observation(f"a=udp4 a.bind=127.0.0.1 user={number}", ("ok", "ok", "ok")) for number in range(1001, 1050)]
    assert len(digest(columns(found))) == EACH
    assert len(digest(columns(found), each=1)) == 1
