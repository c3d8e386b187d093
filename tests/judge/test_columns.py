"""Columns come to the same verdicts as the judge, whatever shortcut they take."""

from __future__ import annotations

import gc
import random
from collections.abc import Sequence

import pytest
from bindmatrix.generate.sequences import random_sequences
from bindmatrix.judge import host_table, prefix_cache
from bindmatrix.judge.host_table import _PART, _ROW, MOST_BYTES, HostTableBuilder, of_recordings
from bindmatrix.judge.prefix_cache import CUT
from bindmatrix.judge.side_by_side import NOT_RUN, side_by_side
from bindmatrix.judge.summary import Collector
from bindmatrix.judge.verdicts import Judge
from bindmatrix.notation import SOCKET_KINDS
from bindmatrix.observe.recordings import Observation, read
from bindmatrix.oracle.oracle import Node
from bindmatrix.rules import catalog, divergences
from bindmatrix.run.plan import Plan

from tests.fake_kernel import FACTS
from tests.report.pages import ALIKE, BOUND, CLASSIC, DUAL, host, predicted, recording


def judge_of(os: str, release: str) -> Judge:
    expectations = catalog.expectations(os)
    return Judge(expectations.at(release), divergences.of(expectations, release), {"os": os, "release": release})


#: where the recorded divergences of macOS make a difference
GROUPS = [
    "a=tcp4 a.bind=255.255.255.255",
    "a=tcp4 a.bind=127.0.0.1 b=tcp4 b.bind=255.255.255.255 b.listen",
    "a=tcp6 a.v6only=0 a.bind=::ffff:224.0.0.251 a.listen b=tcp4 b.bind=0.0.0.0",
    "a=tcp4 a.bind=0.0.0.0 a.listen b=tcp6 b.v6only=0 b.reuseaddr=1 b.bind=::ffff:224.0.0.251 b.listen",
]


@pytest.mark.parametrize(
    ("os", "release"), [("linux", "6.18.44"), ("linux", "6.1.192"), ("macos", "15.5"), ("gvisor", "20221219")]
)
def test_the_same_verdicts_as_the_judge_on_outcomes_that_are_often_wrong(os: str, release: str) -> None:
    draw = random.Random(5)
    observations = []
    for one in predicted(os, release, dict.fromkeys([*random_sequences(7, 300), BOUND, CLASSIC, DUAL, ALIKE, *GROUPS])):
        outcomes = list(one.outcomes or ())
        for step in range(len(outcomes)):
            if draw.random() < 0.05:
                outcomes[step] = draw.choice(["ok", "EADDRINUSE", "EINVAL", "EADDRNOTAVAIL"])
        if draw.random() < 0.05:
            outcomes.pop()
        observations.append(Observation(one.scenario, tuple(outcomes)))
    columns = of_recordings([recording(os, release, observations)])
    judge = judge_of(os, release)
    for row, observation in enumerate(observations):
        assert columns.text(row) == observation.scenario
        result = columns.results[columns.result[row]]
        verdict = judge.verdict(observation)
        mine = (result.kind, result.outcomes, result.step, result.divergence, result.reason)
        assert mine == (verdict.kind, observation.outcomes, verdict.step, verdict.divergence, verdict.reason)
    assert len(columns.summary.verdicts) == 8
    assert columns.summary.verdicts["diverges"] > 10


def test_the_same_summary_as_the_collector() -> None:
    file = catalog.folder() / "evidence" / "linux-6.1.192" / "pairs.jsonl.gz"
    columns = of_recordings([read(file)])
    collector = Collector(judge_of("linux", "6.1.192"))
    for batch in read(file).batches():
        collector.add(collector.judge.judge(batch))
    expected = collector.summary()
    assert columns.summary.verdicts == expected.verdicts
    assert columns.summary.rules == expected.rules
    assert columns.summary.groups == expected.groups


def test_a_cache_that_forgets_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Failed first: a table had no limit, and a recording of 1 MB took 490 MB."""
    file = catalog.folder() / "evidence" / "linux-6.18.44" / "users.jsonl.gz"
    whole = of_recordings([read(file)])
    forgotten = []
    forget = prefix_cache.PrefixCache.forget
    monkeypatch.setattr(prefix_cache, "MOST_BYTES", 50_000)
    monkeypatch.setattr(prefix_cache.PrefixCache, "forget", lambda cache: (forgotten.append(cache), forget(cache))[0])
    again = of_recordings([read(file)])
    assert len(forgotten) > 1  # the last one is at the end
    assert again.summary == whole.summary
    assert [again.text(row) for row in range(len(again.result))] == [
        whole.text(row) for row in range(len(whole.result))
    ]
    assert [again.results[one] for one in again.result] == [whole.results[one] for one in whole.result]
    judge = judge_of("linux", "6.18.44")
    collector = Collector(judge)
    for batch in read(file).batches():
        collector.add(judge.judge(batch))
    assert collector.summary().verdicts == whole.summary.verdicts


def test_a_cache_that_forgets_frees_the_nodes() -> None:
    """Failed first: the answers that the cache knew by number kept every node, 70 MB after a full run."""

    def nodes() -> int:
        gc.collect()
        return sum(isinstance(one, Node) for one in gc.get_objects())

    judge = judge_of("linux", "6.18.44")
    observations = predicted("linux", "6.18.44", dict.fromkeys(random_sequences(3, 500)))
    before = nodes()
    judge.judge(observations)
    made = nodes() - before
    judge.prefixes.forget()
    assert made > 1000
    assert nodes() - before < made / 5


def test_a_table_has_a_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    observations = predicted("linux", "6.18.44", dict.fromkeys(random_sequences(3, 3000)))
    monkeypatch.setattr(host_table, "MOST_BYTES", 400_000)
    columns = of_recordings([recording("linux", "6.18.44", observations)])
    kept = len(columns.result)
    assert 100 < kept < len(observations)
    assert columns.summary.total == kept
    assert [columns.text(row) for row in range(kept)] == [one.scenario for one in observations[:kept]]
    (problem,) = columns.problems
    assert f"after {kept:,} scenarios; what comes after this line is not read" in problem


def test_a_full_run_fits() -> None:
    """Found from a sample, because judging all of them takes ten seconds; it says 3 % more than the whole does.

    The scenarios of the matrix share parts and results: their parts and rows are counted, and a sample has nearly all
    results.  Random ones share next to nothing.
    """

    def size(scenarios: Sequence[str]) -> int:
        builder = HostTableBuilder(judge_of("linux", "6.18.44"))
        builder.add(predicted("linux", "6.18.44", scenarios))
        return builder.size

    facts = {**FACTS, "kinds": list(SOCKET_KINDS), "abstract": True, "cids": ["own", "local"]}
    listed = Plan(examples=0).scenarios(facts)
    drawn = Plan(examples=20_000, deliveries=600).scenarios(facts)[len(listed) :]
    assert len(listed) + len(drawn) > 230_000
    parts = {part for text in listed for part in enumerate(text.split(CUT, 1))}
    taken = _ROW * len(listed) + sum(_PART + len(part) for _, part in parts)
    taken += size(listed[::40]) + 40 * size(drawn[::40])
    assert 100_000_000 < taken < MOST_BYTES


def test_a_line_with_repeats_settles_the_line_before() -> None:
    (once,) = predicted("linux", "6.18.44", [BOUND])
    wrong = once._replace(outcomes=("ok",) * 5)
    columns = host("linux", "6.18.44", [wrong, wrong._replace(repeats=(wrong.outcomes or (),) * 3)])
    assert (columns.summary.total, columns.summary.verdicts["diverges"]) == (1, 1)
    assert len(columns.results[columns.result[0]].repeats) == 3


def test_side_by_side_keeps_every_result_and_knows_what_was_not_run() -> None:
    linux = host("linux", "6.18.44", predicted("linux", "6.18.44", [CLASSIC, BOUND, DUAL]))
    freebsd = host("freebsd", "13.0", predicted("freebsd", "13.0", [DUAL, ALIKE]))
    both = side_by_side([linux, freebsd])
    found = {}
    for row in range(len(both.vector)):
        tail = both.tails[both.tail[row]]
        text = both.heads[both.head[row]] + (f" b={tail}" if tail else "")
        found[text] = [result and result.outcomes for result in both.results(both.vector[row])]
    assert found.keys() == {CLASSIC, BOUND, DUAL, ALIKE}
    assert found[ALIKE][0] is None
    assert found[BOUND][1] is None
    assert found[DUAL] == [("ok",) * 4 + ("EADDRINUSE", "ok"), ("ok",) * 6]
    assert any(NOT_RUN in vector for vector in both.vectors)


def test_what_judged_a_host_goes_with_it() -> None:
    """It refers to itself; whoever reads several hosts does not look for cycles."""
    recordings = [recording("linux", "6.1.192", predicted("linux", "6.1.192", random_sequences(11, 300)))]
    gc.collect()
    gc.disable()
    try:
        columns = of_recordings(recordings)
        found = gc.collect()
    finally:
        gc.enable()
    assert len(columns.result) > 200
    assert found < 1000
