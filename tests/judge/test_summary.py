"""The summary: which verdicts are of one group, which example a group shows, in which order groups come."""

from __future__ import annotations

import json
from dataclasses import replace
from types import MappingProxyType

import pytest
from bindmatrix.judge import summary
from bindmatrix.judge.summary import OTHERS, Collector, VerdictGroup
from bindmatrix.judge.verdicts import Judge, VerdictKind
from bindmatrix.observe.recordings import Observation
from bindmatrix.rules import catalog, divergences

SHORT = "a=tcp4 a.bind=127.0.0.1 b=tcp4 b.bind=127.0.0.1"
MIDDLE = "a=tcp4 a.bind=127.0.0.1 a.listen b=tcp4 b.bind=127.0.0.1"
LONG = "user=1001 a=tcp4 a.bind=127.0.0.1 a.listen b=tcp4 b.bind=127.0.0.1"
UDP = "a=udp4 a.bind=127.0.0.1 b=udp4 b.bind=127.0.0.1"


def observed(text: str, last: str = "ok") -> Observation:
    """``text`` with every outcome ok but the last."""
    return Observation(text, (*["ok"] * (len(text.split()) - 1), last))


def collector(*observations: Observation, **host: object) -> Collector:
    made = Collector(Judge(catalog.expectations("linux").at("6.18.44"), (), host))
    made.add(made.judge.judge(observations))
    return made


def groups(*observations: Observation, **host: object) -> list[VerdictGroup]:
    return collector(*observations, **host).settled()


@pytest.mark.parametrize("order", [(SHORT, MIDDLE, LONG), (LONG, MIDDLE, SHORT), (MIDDLE, LONG, SHORT)])
def test_a_group_keeps_its_shortest_example_whatever_came_first(order: tuple[str, ...]) -> None:
    (group,) = groups(*[observed(text) for text in order])
    assert (group.count, group.scenario, group.shortest) == (3, SHORT, SHORT)
    assert (group.step, group.outcomes) == (3, ("ok", "ok", "ok", "ok"))


def test_of_examples_of_one_length_the_first_in_the_alphabet_is_kept() -> None:
    other = SHORT.replace("b", "z").replace("zind", "bind")
    assert [groups(*map(observed, pair))[0].scenario for pair in ((SHORT, other), (other, SHORT))] == [SHORT, SHORT]


def test_the_shrunk_scenario_is_shown_where_there_is_one() -> None:
    (group,) = groups(observed(MIDDLE))
    assert group.shortest == MIDDLE
    group.shrunk = SHORT
    assert group.shortest == SHORT


def test_a_group_says_what_it_is_about() -> None:
    (group,) = groups(observed(SHORT))
    assert (group.kind, group.rule, group.call) == (VerdictKind.DIVERGES, "linux.tcp-conflict", "bind")
    assert (group.expected, group.actual) == ("EADDRINUSE", "ok")
    (rule,) = [one for one in catalog.expectations("linux").rules["bind"] if one.id == group.rule]
    assert (group.gloss, group.why) == (rule.reason, rule.why)
    assert group.gloss
    assert group.why
    assert any(one.startswith("source: net/ipv4/inet_connection_sock.c") for one in group.evidence)
    assert group.as_dict()["scenario"] == SHORT


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (observed(SHORT), observed(UDP)),  # rules
        (observed(SHORT), observed(MIDDLE, "EACCES")),  # outcomes
        (observed("a=tcp4 a.bind=::1", "ok"), observed("a=udp4 a.connect=::1", "ok")),  # calls
        # options of setsockopt()
        (observed("a=tcp4 a.reuseaddr=1", "EINVAL"), observed("a=tcp4 a.reuseport=1", "EINVAL")),
    ],
)
def test_verdicts_that_differ_are_of_two_groups(one: Observation, other: Observation) -> None:
    found = groups(one, other)
    assert [group.count for group in found] == [1, 1]
    assert {group.scenario for group in found} == {one.scenario, other.scenario}


def test_an_option_is_the_call_of_a_setsockopt() -> None:
    (group,) = groups(observed("a=tcp4 a.reuseaddr=1", "EINVAL"))
    assert group.call == "reuseaddr"


#: a connection that only the server closed: whether it counts as anybody's depends on an acknowledgement
UNKNOWN = (
    "user=1001 a=tcp4 a.reuseport=1 a.bind=127.0.0.1 a.listen c=tcp4 c.connect=127.0.0.1 x=a.accept x.close a.close "
    "user=0 b=tcp4 b.reuseport=1 b.bind=127.0.0.1"
)


def test_the_worst_verdict_comes_first_and_then_the_largest_group() -> None:
    texts = [observed(UNKNOWN), observed(UDP), observed(SHORT), observed(MIDDLE)]
    found = groups(*texts)
    assert [(group.kind, group.count) for group in found] == [("diverges", 2), ("diverges", 1), ("unknown", 1)]


def test_an_unknown_group_names_the_rule_that_says_unknown() -> None:
    (group,) = groups(observed(UNKNOWN))
    assert (group.kind, group.call, group.step) == ("unknown", "", -1)
    rules = {rule.id: rule for rule in catalog.expectations("linux").rules["bind"]}
    assert rules[group.rule].action == "unknown"


def test_the_first_step_can_be_to_blame() -> None:
    (group,) = groups(observed("a=tcp4", "EINVAL"))
    assert (group.step, group.call, group.actual) == (0, "socket", "EINVAL")


def test_a_group_says_what_its_example_says() -> None:
    made = collector()
    observation = observed(SHORT)._replace(repeats=(("ok", "ok", "ok", "EADDRINUSE"),))
    group = made.group(made.judge.verdict(observation))
    assert (group.kind, group.reason) == ("flaky", "of 2 runs 1 gave EADDRINUSE and 1 gave ok")


def test_a_divergence_that_is_gone_is_of_no_rule_but_of_its_entry() -> None:
    expectations = catalog.expectations("linux")
    judge = Judge(expectations.at("6.1.192"), divergences.of(expectations, "6.1.192"))
    text = "a=tcp6 a.v6only=0 a.bind=::ffff:0.0.0.0 b=tcp6 b.v6only=0 b.bind=::ffff:127.0.0.1"
    group = Collector(judge).group(judge.verdict(observed(text, "EADDRINUSE")))
    assert (group.kind, group.divergence) == ("resolved", "linux.mapped-wildcard-overlooked")
    assert (group.rule, group.gloss, group.why, group.evidence) == ("", "", "", [])


def test_reasons_are_counted_the_most_frequent_first() -> None:
    made = collector(
        observed("a=tcp4 a.bind=127.0.0.1", "EACCES"),
        observed("a=udp4 a.bind=127.0.0.1", "EADDRINUSE"),
        observed("a=udp6 a.bind=::1", "EADDRINUSE"),
        Observation("user=1001", None, "unsupported", "needs root"),
    )
    assert made.settled() == []
    reasons = made.reasons()
    assert list(reasons["no-verdict"].values()) == [2, 1]
    assert reasons["unsupported"] == {"needs root": 1}


def test_the_summary_adds_up() -> None:
    made = collector(observed(SHORT), observed(MIDDLE, "EADDRINUSE"), observed(UNKNOWN), os="linux", release="6.18.44")
    summary = made.summary(notes=["a note"], seconds=2.5)
    assert (summary.total, summary.system, summary.release) == (3, "Linux", "6.18.44")
    assert {kind: count for kind, count in summary.verdicts.items() if count} == {
        "diverges": 1,
        "unknown": 1,
        "conforms": 1,
    }
    assert not summary.conforms
    assert [group.kind for group in summary.of(VerdictKind.UNKNOWN)] == ["unknown"]
    assert [group.kind for group in summary.groups] == ["diverges", "unknown"]
    assert summary.counted == {"diverges": 1, "conforms": 1, "unknown": 1}
    assert list(summary.counted) == ["diverges", "conforms", "unknown"]
    assert summary.system_rules == {rule: n for rule, n in summary.rules.items() if rule.startswith("linux.")}
    assert summary.rules["linux.tcp-conflict"] == 2
    data = summary.as_dict()
    assert data["format"] == "bindmatrix-verdicts/1"
    assert (data["notes"], data["seconds"], data["host"]) == (["a note"], 2.5, {"os": "linux", "release": "6.18.44"})
    assert [group["scenario"] for group in data["groups"]] == [SHORT, UNKNOWN]
    assert data["reasons"] == {"unsupported": {}, "no-verdict": {}}
    assert made.summary().seconds == 0.0


def test_the_summary_is_json_whatever_mapping_the_host_is() -> None:
    summary = replace(collector().summary(), host=MappingProxyType({"os": "linux"}))
    assert json.loads(json.dumps(summary.as_dict()))["host"] == {"os": "linux"}


def test_a_run_without_divergence_conforms() -> None:
    assert collector(observed(SHORT, "EADDRINUSE"), observed(UNKNOWN)).summary().conforms


def test_divergences_wait_to_be_repeated_until_the_groups_are_settled() -> None:
    made = collector(observed(SHORT))
    assert list(made.judge.waiting) == [SHORT]
    assert [group.count for group in made.settled()] == [1]
    assert not made.judge.waiting
    assert [group.count for group in made.settled()] == [1]


@pytest.mark.parametrize(
    ("verdicts", "words"),
    [
        ({}, "0 scenarios, nothing to judge"),
        ({"conforms": 1, "diverges": 0}, "1 scenario, all as expected"),
        ({"conforms": 1234}, "1,234 scenarios, all as expected"),
        ({"conforms": 1, "diverges": 1}, "2 scenarios, 1 diverges from what is expected"),
        ({"diverges": 1200, "unknown": 1}, "1,201 scenarios, 1,200 diverge from what is expected"),
        (
            {"conforms": 3, "known": 2, "unknown": 1, "flaky": 0},
            "6 scenarios, nothing diverges (3 as expected, 2 known, 1 unknown)",
        ),
        ({"no-verdict": 1}, "1 scenario, nothing diverges (0 as expected, 1 no-verdict)"),
    ],
)
def test_the_headline_says_what_the_verdicts_come_to(verdicts: dict[str, int], words: str) -> None:
    made = replace(collector(os="linux").summary(), release="6.18", total=sum(verdicts.values()), verdicts=verdicts)
    assert made.headline == f"Linux 6.18: {words}"


def test_reasons_beyond_the_limit_are_counted_together(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(summary, "MOST_DIFFERENT", 2)
    lacks = ["one", "two", "three", "one", "four"]
    made = collector(*[Observation("user=1001", None, "unsupported", lack) for lack in lacks])
    assert made.reasons()["unsupported"] == {"one": 2, OTHERS: 2, "two": 1}


def test_outcomes_beyond_the_limit_are_one_group_and_earlier_groups_go_on(monkeypatch: pytest.MonkeyPatch) -> None:
    """Failed first: what belonged to an earlier group was counted in the last one, too."""
    monkeypatch.setattr(summary, "MOST_DIFFERENT", 2)
    errors = ["E1", "E2", "E3", "E4", "E1"]
    texts = [SHORT.replace("b", name).replace(f"{name}ind", "bind") for name in "vwxyz"]
    found = groups(*[observed(text, error) for text, error in zip(texts, errors, strict=True)])
    assert {group.actual: group.count for group in found} == {"E1": 2, "E2": 1, OTHERS: 2}
