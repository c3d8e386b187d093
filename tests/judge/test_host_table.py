"""Rows and results of one host: what is kept, what it takes, and how results are counted."""

from __future__ import annotations

import io
from collections.abc import Iterable
from itertools import pairwise

import pytest
from bindmatrix.errors import Problem
from bindmatrix.judge import host_table
from bindmatrix.judge.host_table import HostTableBuilder, of_recordings
from bindmatrix.judge.prefix_cache import Prefix, PrefixCache, Segment
from bindmatrix.judge.verdicts import Judge, VerdictKind
from bindmatrix.observe.recordings import MOST_REPEATS, Observation, Recording, header, line
from bindmatrix.rules import catalog, divergences

from tests.report.pages import ALIKE, BOUND, CLASSIC, DUAL, host, predicted, recording

LINUX = catalog.expectations("linux").at("6.18.44")
#: two first parts that lead to one state
ONE, OTHER = (
    "a=tcp4 a.reuseaddr=1 a.reuseport=1 a.bind=127.0.0.1",
    "a=tcp4 a.reuseport=1 a.reuseaddr=1 a.bind=127.0.0.1",
)
NAMELESS = (
    "file: does not say which system it is from; name it in a facts.json beside it, "
    '{"os": "linux"}, or (a single host) with --os'
)


def builder(observations: Iterable[Observation] = ()) -> HostTableBuilder:
    made = HostTableBuilder(Judge(LINUX))
    made.add(observations)
    return made


def expected(*texts: str) -> list[Observation]:
    return predicted("linux", "6.18.44", texts)


# -- rows


def test_a_scenario_that_comes_again_ends_nothing() -> None:
    bound, alone, classic = expected(BOUND, ONE, CLASSIC)
    columns = host("linux", "6.18.44", [bound, bound, alone, classic])
    assert [columns.text(row) for row in range(len(columns.result))] == [BOUND, ONE, CLASSIC]


def test_what_was_followed_before_is_looked_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """Both first parts lead to one state, where every second part is followed once."""
    followed = []
    original = PrefixCache.followed

    def watched(cache: PrefixCache, observation: Observation) -> tuple[Prefix, Segment] | None:
        followed.append(observation.scenario)
        return original(cache, observation)

    monkeypatch.setattr(PrefixCache, "followed", watched)
    alone, beside, listening = "", " b=tcp4 b.bind=127.0.0.2", " b=tcp4 b.bind=127.0.0.2 b.listen"
    texts = [ONE + beside, OTHER + listening, OTHER + beside, ONE + listening, ONE + alone, OTHER + alone]
    made = builder(expected(*texts))
    assert followed == [texts[0], texts[1], texts[4]]
    assert made.result[2] == made.result[0]
    assert made.result[3] == made.result[1]


def test_rows_of_what_is_unknown_share_a_result() -> None:
    text = "a=tcp4 a.bind=127.0.0.1 b=udp4 b.broadcast=1 b.connect=255.255.255.255"
    other = text.replace("127.0.0.1", "127.0.0.2")
    made = builder([Observation(one, ("ok",) * 5) for one in (text, other)])
    assert made.result[0] == made.result[1]
    columns = made.columns("one")
    assert columns.summary.verdicts["unknown"] == 2
    assert columns.results.kinds() == [VerdictKind.UNKNOWN]


def test_of_equally_long_scenarios_the_first_is_the_example() -> None:
    texts = [BOUND, BOUND.replace("127.0.0.1", "127.0.0.2")]
    wrong = [Observation(text, ("ok",) * 5) for text in texts]
    for order in (wrong, wrong[::-1]):
        (group,) = host("linux", "6.18.44", order).summary.groups
        assert (group.count, group.scenario) == (2, order[0].scenario)
    longer = Observation(f"{BOUND} b.close", ("ok",) * 6)
    (group,) = host("linux", "6.18.44", [longer, wrong[0]]).summary.groups
    assert (group.count, group.scenario) == (2, BOUND)


# -- a scenario that comes again


@pytest.mark.parametrize("first", [0, 1])
def test_other_outcomes_of_a_scenario_make_it_flaky_whichever_came_first(first: int) -> None:
    (right,) = expected(BOUND)
    wrong = right._replace(outcomes=("ok",) * 5)
    both = [right, wrong]
    columns = host("linux", "6.18.44", [both[first], both[1 - first]])
    (result,) = [columns.results[number] for number in columns.result]
    assert result.kind == VerdictKind.FLAKY
    assert (result.outcomes, result.repeats) == (both[first].outcomes, (both[1 - first].outcomes,))


def test_repeats_add_up_to_the_limit() -> None:
    (right,) = expected(BOUND)
    for times in (3, MOST_REPEATS + 1, MOST_REPEATS + 5):
        columns = host("linux", "6.18.44", [right] * times)
        (result,) = [columns.results[number] for number in columns.result]
        assert result.repeats == (right.outcomes,) * min(times - 1, MOST_REPEATS)


# -- what a table takes


def test_a_table_counts_rows_parts_results_and_repeats() -> None:
    row, part, result, outcome = 180, 180, 1500, 100
    assert builder().size == 0
    first = "a=tcp4 a.bind=127.0.0.1"
    observations = [
        Observation(f"{first} b=tcp4", ("ok",) * 3),
        # the same result of other second parts
        Observation(f"{first} b=udp4", ("ok",) * 3),
        # another result
        Observation(f"{first} b=udp4 b.close", ("ok",) * 4),
        # other outcomes, with repeats
        Observation(f"{first} b=tcp6", ("ok", "ok", "EIO"), repeats=(("ok", "ok", "EIO"),) * 2),
        # the first result with another first part
        Observation("a=tcp4 a.bind=127.0.0.2 b=tcp4", ("ok",) * 3),
    ]
    sizes = [builder(observations[:count]).size for count in range(6)]
    assert [after - before for before, after in pairwise(sizes)] == [
        row + 2 * part + len(first) + len("tcp4") + result + 3 * outcome,
        row + part + len("udp4"),
        row + part + len("udp4 b.close") + result + 4 * outcome,
        row + part + len("tcp6") + result + 3 * 3 * outcome,
        row + part + len(first),
    ]


def test_a_table_is_full_when_it_takes_more_than_the_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    made = builder([Observation("a=tcp4", ("ok",))])
    for limit, full in ((made.size, False), (made.size - 1, True)):
        monkeypatch.setattr(host_table, "MOST_BYTES", limit)
        assert made.full is full


# -- the summary


def test_reasons_are_counted_over_results_the_most_frequent_first() -> None:
    """Each length of outcomes is another result for the same reason."""
    texts = ["a=tcp4", "a=udp4", "a=tcp6", "a=udp6"]
    lacking = [
        Observation(texts[0], None, "unsupported", "needs root"),
        *[Observation(text, None, "unsupported", "no IPv6") for text in texts[2:]],
    ]
    taken = [Observation(f"{kind} a.bind=127.0.0.1", ("ok", "EADDRINUSE")) for kind in ("a=tcp4", "a=udp4")]
    taken.append(Observation("a=tcp4 a.reuseaddr=1 a.bind=127.0.0.1", ("ok", "ok", "EADDRINUSE")))
    died = Observation(texts[1], None, "no-verdict", "died")
    summary = host("linux", "6.18.44", [died, *lacking, *taken]).summary
    assert [(kind, list(counts.items())) for kind, counts in summary.reasons.items()] == [
        ("unsupported", [("no IPv6", 2), ("needs root", 1)]),
        ("no-verdict", [("the first bind failed with EADDRINUSE: somebody else has the port", 3), ("died", 1)]),
    ]
    assert (summary.total, summary.verdicts["unsupported"], summary.verdicts["no-verdict"]) == (7, 3, 4)


def test_rules_are_counted_for_every_row_of_a_result() -> None:
    # a rule that expects several outcomes, and one that decides alone and beside another one
    group = "a=udp4 a.bind=127.0.0.1 b=udp4 b.bind=127.0.0.2"
    accept = "a=tcp4 a.reuseport=1 a.bind=127.0.0.1 a.listen c=tcp4 c.connect=127.0.0.1 x=a.accept"
    either = accept.replace(" c=tcp4", " b=tcp4 b.reuseport=1 b.bind=127.0.0.1 b.listen c=tcp4")
    deliveries = [f"{group} deliver=127.0.0.1", f"{group} deliver=127.0.0.2"]
    observations = [
        *expected(ALIKE, CLASSIC, DUAL, BOUND, accept, either),
        *[
            Observation(text, (*one.outcomes[:-1], f"{one.outcomes[-1]}:32"))
            for text, one in zip(deliveries, expected(*deliveries), strict=True)
            if one.outcomes
        ],
    ]
    summary = host("linux", "6.18.44", observations).summary
    judge = Judge(LINUX)
    counts: dict[str, int] = {}
    for observation in observations:
        for answer in judge.answers(observation):
            for rule in answer.rules:
                counts[rule.id] = counts.get(rule.id, 0) + 1
    assert summary.rules == counts
    assert list(summary.rules.values()) == sorted(counts.values(), reverse=True)


def test_a_run_whose_set_up_failed_keeps_what_was_expected_until_then() -> None:
    (lacking,) = host("linux", "6.18.44", [Observation("a=tcp4", None, "unsupported", "needs root")]).results
    assert (lacking.outcomes, lacking.expected, lacking.step) == (None, (), -1)
    failed = Observation("a=tcp4 a.bind=127.0.0.1 b=tcp4", ("ok", "EADDRINUSE", "ok"))
    columns = host("linux", "6.18.44", [failed])
    (result,) = columns.results
    assert (result.kind, result.step) == (VerdictKind.NO_VERDICT, 1)
    assert result.expected == ("ok", "ok")
    assert columns.summary.rules == {"api.plain": 1, "linux.free": 1}


def test_rules_are_counted_as_the_judge_counts_them_where_repeats_broke_off() -> None:
    """Failed first: they were not counted."""
    broken = Observation(BOUND, ("ok",) * 5, repeats=(None,))
    columns = host("linux", "6.18.44", [broken])
    judge = Judge(LINUX)
    judge.judge([broken])
    assert columns.summary.verdicts["no-verdict"] == 1
    assert columns.summary.rules == judge.rule_counts() == {"api.plain": 2, "linux.free": 1, "linux.tcp-conflict": 1}


def test_an_address_that_the_host_lacks_is_unsupported() -> None:
    observation = Observation("a=tcp4 a.bind=127.0.0.2", ("ok", "EADDRNOTAVAIL"))
    summary = host("linux", "6.18.44", [observation], addresses=["127.0.0.1"]).summary
    assert summary.verdicts["unsupported"] == 1
    assert summary.host["addresses"] == ["127.0.0.1"]


def test_what_is_no_scenario_has_no_rules() -> None:
    columns = host("linux", "6.18.44", [Observation("a=tcp5", ("ok",)), Observation("a=tcp4", ("ok", "ok"))])
    assert [(result.kind, result.step, result.rules) for result in columns.results] == [
        (VerdictKind.NO_VERDICT, -1, ()),
        (VerdictKind.NO_VERDICT, -1, ()),
    ]
    assert columns.summary.rules == {}


def test_an_observed_divergence_is_described_beside_the_rules() -> None:
    known = "a=tcp6 a.v6only=0 a.bind=::ffff:0.0.0.0 b=tcp6 b.v6only=0 b.bind=::ffff:127.0.0.1"
    columns = host("linux", "6.1.192", [Observation(known, ("ok",) * 6)])
    assert columns.summary.verdicts["known"] == 1
    (result,) = columns.results
    assert (result.kind, result.step, result.divergence) == (VerdictKind.KNOWN, 5, "linux.mapped-wildcard-overlooked")
    (entry,) = divergences.of(LINUX.expectations, "6.1.192")
    reason, why, evidence = columns.rules["linux.mapped-wildcard-overlooked"]
    # it has no gloss, so its reason is what the kernel does
    assert (reason, why, len(evidence)) == (entry.rule.why, "", len(entry.rule.evidence))


def test_a_rule_is_described_with_its_reason_the_detail_of_the_kernel_and_evidence() -> None:
    columns = host("linux", "6.18.44", expected(BOUND))
    rule = LINUX.expectations.by_id["linux.tcp-conflict"]
    reason, why, evidence = columns.rules[rule.id]
    assert (reason, why) == (rule.gloss, rule.why)
    assert len(evidence) == len(rule.evidence) > 0


# -- recordings


def test_recordings_of_one_host_are_one_table() -> None:
    bound, classic = expected(BOUND, CLASSIC)
    columns = of_recordings([recording("linux", "6.18.44", [bound]), recording("linux", "6.18.44", [classic])])
    assert (columns.summary.total, columns.name, columns.os) == (2, "linux 6.18.44", "linux")
    assert of_recordings([recording("linux", "6.18.44", [bound])], "mine").name == "mine"


def test_a_long_recording_is_read_to_its_end() -> None:
    texts = [f"a=tcp4 user={number}" for number in range(3000)]
    columns = host("linux", "6.18.44", [Observation(text, ("ok", "ok")) for text in texts])
    assert columns.summary.total == len(texts)


def test_facts_of_the_caller_win_over_the_recording_unless_they_are_empty() -> None:
    bound = expected(BOUND)
    columns = of_recordings([recording("linux", "6.18.44", bound)], facts={"release": "6.1.192", "os": ""})
    assert columns.name == "linux 6.1.192"


def test_lines_that_cannot_be_read_are_counted_over_all_files_and_said() -> None:
    bound, classic = expected(BOUND, CLASSIC)

    def broken(one: Observation, lines: int) -> Recording:
        data = header({"os": "linux", "release": "6.18.44"}) + line(one) + b"no observation\n" * lines
        return Recording(io.BytesIO(data), f"{lines} lines")

    columns = of_recordings([broken(bound, 1), broken(classic, 2)])
    assert "3 lines could not be read" in columns.summary.notes
    assert [problem.partition(":")[0] for problem in columns.problems] == ["1 lines", "2 lines"]
    whole = of_recordings([recording("linux", "6.18.44", [bound])])
    assert not any("could not be read" in note for note in whole.summary.notes)


def test_a_recording_without_observations_has_no_rows() -> None:
    columns = of_recordings([recording("linux", "6.18.44", [])])
    assert (len(columns.result), columns.summary.total) == (0, 0)


GOOD_LINE, BROKEN_LINE = b'{"scenario": "a=tcp4", "outcomes": ["ok"]}\n', b"no observation\n"


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (header({}), "file: holds no observations"),
        (GOOD_LINE, NAMELESS),
        # a line that cannot be read is the reason only where it comes first, or nothing else is there
        (GOOD_LINE + BROKEN_LINE, NAMELESS),
        (GOOD_LINE + GOOD_LINE + BROKEN_LINE, NAMELESS),
        (BROKEN_LINE + GOOD_LINE, "file:1: not JSON"),
        (header({}) + BROKEN_LINE, "file:2: not JSON"),
    ],
)
def test_a_recording_of_no_system_is_refused(data: bytes, message: str) -> None:
    with pytest.raises(Problem) as raised:
        of_recordings([Recording(io.BytesIO(data), "file")])
    assert str(raised.value).startswith(message)


def test_no_recording_at_all_is_an_error_of_the_caller() -> None:
    with pytest.raises(ValueError, match=r"^no recordings$"):
        of_recordings([])
