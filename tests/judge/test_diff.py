"""What counts as a difference, how differences are grouped, and what each side is said to have done."""

from __future__ import annotations

from dataclasses import replace

import pytest
from bindmatrix.judge import diff
from bindmatrix.judge.diff import Comparison, RecordedSide, Side
from bindmatrix.observe.recordings import Observation, Outcomes
from bindmatrix.oracle.oracle import Oracle
from bindmatrix.rules import catalog, divergences

ALONE = "a=udp4 a.bind=127.0.0.1"
PAIR = "a=tcp4 a.bind=0.0.0.0 b=tcp4 b.bind=0.0.0.0"
LISTENS = f"{PAIR} b.listen"
DELIVERED = "a=udp4 a.reuseport=1 a.bind=127.0.0.1 b=udp4 b.reuseport=1 b.bind=127.0.0.1 deliver=127.0.0.1"
MAPPED = "a=tcp6 a.v6only=0 a.bind=::ffff:0.0.0.0 b=tcp6 b.v6only=0 b.bind=::ffff:127.0.0.1"

Runs = dict[str, Observation]


def expected(texts: list[str], *systems: tuple[str, str]) -> Comparison:
    return diff.of_expectations([Side(os, catalog.expectations(os).at(release)) for os, release in systems], texts)


def ran(text: str, *last: str | None, repeats: tuple[Outcomes | None, ...] = ()) -> Runs:
    """Every step of ``text`` was ok but the last ones."""
    outcomes = ["ok"] * (len(text.split()) - len(last))
    return {text: Observation(text, (*outcomes, *last), repeats=repeats)}


def recorded(*sides: Runs) -> Comparison:
    """Compare hosts of which no rules are known."""
    return diff.of_recordings([RecordedSide(f"host {number}", runs, None) for number, runs in enumerate(sides)])


def explained(release: str, text: str, *last: str) -> diff.SideOutcome:
    """What is said of a run on Linux ``release`` beside another that differs in the last step."""
    linux = catalog.expectations("linux")
    known = divergences.of(linux, release)
    side = RecordedSide(release, ran(text, *last), linux.at(release), known)
    other = RecordedSide("other", ran(text, *last[:-1], "EIO"), None)
    (group,) = diff.of_recordings([side, other]).groups
    return group.sides[0]


# -- expectations


def test_what_two_of_three_systems_expect_differently_is_a_difference() -> None:
    """The first is Windows XP, of which this is not known."""
    text = "a=udp6 a.v6only=1 a.v6only=0"
    xp, linux, dragonfly = ("windows", "xp"), ("linux", "7.3.4"), ("dragonfly", "4.8.1")
    assert [Oracle(catalog.expectations(os).at(release)).predict(text).outcomes[2] for os, release in (xp, linux)] == [
        None,
        "ok",
    ]
    assert expected([text], xp, linux).differ == 0
    assert expected([text], xp, linux, dragonfly).differ == 1


def test_every_scenario_with_something_unknown_is_counted_and_no_other() -> None:
    xp, linux = ("windows", "xp"), ("linux", "7.3.4")
    texts = ["a=tcp6 a.v6only=0", "a=udp6 a.v6only=0", "a=udp6 a.v6only=0 a.bind=::1", ALONE]
    result = expected(texts, xp, linux)
    assert (result.compared, result.differ, result.unknown) == (4, 0, 3)
    assert expected(texts, xp, xp).unknown == 3
    assert expected(texts, linux, linux).unknown == 0


def test_the_first_step_may_be_the_difference() -> None:
    """Linux 7.1 removed UDP-Lite."""
    (group,) = expected(["a=udplite4"], ("linux", "6.18.44"), ("linux", "7.3.4")).groups
    assert (group.scenario, group.step) == ("a=udplite4", 0)
    assert [side.outcome for side in group.sides] == ["ok", "EPROTONOSUPPORT"]


def test_expectations_are_grouped_by_the_rules_of_all_sides() -> None:
    dual = "a=udp6 a.v6only=0 a.bind=::ffff:0.0.0.0 b=udp6 b.v6only=0 b.bind=::"
    mapped = "a=udp6 a.v6only=0 a.reuseaddr=1 a.bind=:: b=udp6 b.v6only=0 b.bind=::ffff:0.0.0.0"
    result = expected([mapped, dual, f"{dual} b.close", ALONE], ("macos", "10.8"), ("netbsd", "9.0"))
    assert [(group.count, group.scenario, [side.rules for side in group.sides]) for group in result.groups] == [
        (2, dual, [("macos.overlap-dual",), ("netbsd.ipv6-free",)]),
        (1, mapped, [("macos.free",), ("netbsd.ipv4-overlap",)]),
    ]


def test_a_step_that_several_rules_may_decide_has_the_reasons_of_all() -> None:
    text = "a=tcp4 a.reuseaddr=1 a.bind=127.0.0.1 b=tcp6 b.v6only=0 b.bind=:: a.listen b.listen"
    (group,) = expected([text], ("windows", "10.0.26100"), ("wine", "9.0")).groups
    assert group.step == 7
    rules = catalog.expectations("windows").by_id
    why = "; or ".join(" ".join(rules[name].reason.split()) for name in ("windows.listen", "windows.listen-unbound"))
    assert group.sides[0] == (("EINVAL", "ok"), ("windows.listen", "windows.listen-unbound"), why, "")


def test_a_rule_of_some_releases_says_which() -> None:
    text = "a=tcp4 a.reuseaddr=1 a.bind=0.0.0.0 a.reuseaddr=0 b=tcp4 b.reuseaddr=1 b.bind=127.0.0.1 b.listen"
    (group,) = expected([text], ("linux", "5.10.218"), ("linux", "7.3.4")).groups
    assert [side.note for side in group.sides] == ["until 6.8", "since 6.6, 6.5.4 on 6.5, 6.1.54 on 6.1"]


def test_the_comparison_as_json_has_every_field() -> None:
    result = recorded(ran(PAIR, "ok"), ran(PAIR, "EADDRINUSE"))
    no_rules = {"rules": (), "why": "", "note": "no expectations for this host"}
    assert result.as_dict() == {
        "sides": ("host 0", "host 1"),
        "compared": 1,
        "differ": 1,
        "unknown": 0,
        "groups": [
            {
                "count": 1,
                "scenario": PAIR,
                "step": 3,
                "sides": [{"outcome": "ok", **no_rules}, {"outcome": "EADDRINUSE", **no_rules}],
            }
        ],
        "only": {"host 0": 0, "host 1": 0},
        "notes": [],
    }


# -- recordings


def test_every_scenario_without_an_outcome_is_counted() -> None:
    lacking = {f"{ALONE} user=1": Observation(f"{ALONE} user=1", None, "unsupported", "needs root")}
    first = {**ran(ALONE), **ran(PAIR), **ran(f"{ALONE} user=1")}
    second = {**ran(ALONE, None), **ran(PAIR, None), **lacking}
    for one, other in ((first, second), (second, first)):
        result = recorded(one, other)
        assert (result.compared, result.differ, result.unknown) == (3, 0, 3)
    assert recorded(first, first).unknown == 0


def test_a_difference_after_a_step_that_was_not_asserted_is_found() -> None:
    result = recorded(ran(LISTENS, None, "EADDRINUSE"), ran(LISTENS, "ok", "ok"))
    assert [(group.scenario, group.step) for group in result.groups] == [(LISTENS, 4)]


def test_the_first_difference_counts_and_the_rest_of_a_longer_run_is_not_compared() -> None:
    result = recorded(ran(LISTENS, "EADDRINUSE", "EINVAL"), ran(LISTENS, "ok", "ok"))
    assert [group.step for group in result.groups] == [3]
    short = {LISTENS: Observation(LISTENS, ("ok", "ok"))}
    assert recorded(ran(LISTENS, "EADDRINUSE", "EINVAL"), short).differ == 0


@pytest.mark.parametrize("order", [(0, 1, 2), (0, 2, 1), (1, 0, 2), (1, 2, 0)])
def test_any_two_of_three_recordings_may_differ(order: tuple[int, ...]) -> None:
    """The first repeats both outcomes, so it differs from neither of the others."""
    flaky = ran(PAIR, "ok", repeats=(("ok", "ok", "ok", "EADDRINUSE"), None))
    sides = [flaky, ran(PAIR, "ok"), ran(PAIR, "EADDRINUSE")]
    assert recorded(flaky, sides[1]).differ == recorded(flaky, sides[2]).differ == 0
    assert recorded(*[sides[number] for number in order]).differ == 1


def test_differences_are_grouped_by_what_was_returned_and_deliveries_by_who_received() -> None:
    other_pair = "a=tcp4 a.bind=127.0.0.1 b=tcp4 b.bind=0.0.0.0"
    third_pair = "a=tcp4 a.bind=127.0.0.1 b=tcp4 b.bind=127.0.0.1"
    second_delivery = DELIVERED.replace("127.0.0.1", "0.0.0.0", 1)
    first = {**ran(PAIR), **ran(other_pair), **ran(third_pair), **ran(DELIVERED, "a:15,b:17")}
    second = {**ran(PAIR, "EADDRINUSE"), **ran(other_pair, "EACCES"), **ran(third_pair, "EACCES")}
    result = recorded(
        {**first, **ran(second_delivery, "a:3,b:29")},
        {**second, **ran(DELIVERED, "b:32"), **ran(second_delivery, "b:32")},
    )
    assert [(group.count, [side.outcome for side in group.sides]) for group in result.groups] == [
        (2, ["ok", "EACCES"]),
        (2, ["a:3,b:29", "b:32"]),
        (1, ["ok", "EADDRINUSE"]),
    ]


def test_an_example_has_the_fewest_steps_then_the_fewest_characters() -> None:
    fewest_steps = "a=tcp4 a.bind=255.255.255.255"
    texts = ["a=tcp4 a.listen a.close", fewest_steps, "a=tcp4 a.bind=::", "a=tcp4 a.bind=1::"]
    for order in (texts, texts[::-1]):
        runs = [{text: Observation(text, (outcome,)) for text in order} for outcome in ("ok", "EMFILE")]
        (group,) = recorded(*runs).groups
        assert (group.count, group.scenario, group.step) == (4, "a=tcp4 a.bind=::", 0)


def test_it_is_said_how_many_scenarios_a_side_has_alone() -> None:
    result = recorded({**ran(ALONE), **ran(PAIR), **ran(LISTENS)}, {**ran(PAIR), **ran(DELIVERED)})
    assert (result.compared, result.only) == (1, {"host 0": 2, "host 1": 1})


# -- what each side did


def test_a_side_that_is_as_expected_has_its_rule_with_reason_and_releases() -> None:
    side = explained("7.3.4", PAIR, "EADDRINUSE")
    rule = catalog.expectations("linux").by_id["linux.tcp-conflict"]
    assert (side.outcome, side.rules) == ("EADDRINUSE", ("linux.tcp-conflict",))
    assert side.why == " ".join(rule.reason.split())
    assert side.note == "since 6.6, 6.5.4 on 6.5, 6.1.54 on 6.1"


def test_a_side_that_is_not_as_expected_names_the_rule_and_what_it_says() -> None:
    side = explained("7.3.4", PAIR, "ok")
    assert (side.outcome, side.rules) == ("ok", ("linux.tcp-conflict",))
    assert side.note == "not as expected: the rules say EADDRINUSE"
    assert side.why


def test_a_delivery_that_is_not_as_expected_is_refused_and_does_not_fail_in_any_way() -> None:
    side = explained("7.3.4", f"{ALONE} deliver=127.0.0.2", "timeout")
    assert side.note == "not as expected: the rules say refused"


def test_a_side_that_was_unexpected_earlier_names_that_step() -> None:
    side = explained("7.3.4", LISTENS, "EACCES", "EINVAL")
    assert (side.outcome, side.rules) == ("EINVAL", ("linux.tcp-conflict",))
    assert side.note == "an earlier step, b.bind=0.0.0.0, is not as expected"


def test_a_side_of_which_the_rules_say_nothing_is_unknown_to_them() -> None:
    side = explained("7.3.4", "a=udp4 a.broadcast=1 a.connect=255.255.255.255", "ENETUNREACH")
    assert (side.outcome, side.rules) == ("ENETUNREACH", ("api.not-described",))
    assert side.note == "unknown to the rules"


def test_a_known_divergence_explains_a_side_only_while_all_steps_agree_with_it() -> None:
    name = "linux.mapped-wildcard-overlooked"
    side = explained("6.1.192", MAPPED, "ok")
    (entry,) = divergences.of(catalog.expectations("linux"), "6.1.192")
    assert (side.rules, side.note) == ((name,), "a known divergence")
    assert side.why == " ".join(entry.rule.reason.split())
    assert explained("6.1.192", f"{MAPPED} b.listen", "ok", "ok").rules == (name,)
    longer = f"{MAPPED} b.close"
    linux = catalog.expectations("linux")
    known = RecordedSide("6.1.192", ran(longer, "ok", "EIO"), linux.at("6.1.192"), (entry,))
    fixed = RecordedSide("7.3.4", ran(longer, "EADDRINUSE", "EIO"), linux.at("7.3.4"))
    (group,) = diff.of_recordings([known, fixed]).groups  # what comes after the difference does not matter
    assert [side.rules for side in group.sides] == [(name,), ("linux.tcp-conflict",)]
    assert "not as expected" in explained("6.1.192", f"{MAPPED} b.listen", "ok", "EINVAL").note
    assert "earlier step" in explained("6.1.192", f"{MAPPED} c=tcp4 c.bind=127.0.0.2", "EACCES", "ok", "ok").note


@pytest.mark.parametrize("number", [0, 1])
def test_of_several_divergences_the_one_that_explains_is_named_with_its_reason(number: int) -> None:
    """Failed first: an entry whose name begins with the name of another one got the reason of that one.

    On NetBSD an accepted socket is found on ports that are multiples of 128; there is an entry for each family.
    """
    netbsd = catalog.expectations("netbsd")
    first, second = divergences.of(netbsd, "9.0")
    second = replace(second, rule=replace(second.rule, id=f"{first.id}-too", why="the second", gloss=""))
    kind, address = (("tcp6", "::1"), ("tcp4", "127.0.0.1"))[number]
    text = (
        f"a={kind} a.bind={address} a.listen c={kind} c.connect={address} x=a.accept a.close b={kind} b.bind={address}"
    )
    side = RecordedSide("netbsd", ran(text, "EADDRINUSE"), netbsd.at("9.0").on_port(20480), (first, second))
    (group,) = diff.of_recordings([side, RecordedSide("other", ran(text, "EIO"), None)]).groups
    entry = (first, second)[number]
    assert group.sides[0] == ("EADDRINUSE", (entry.id,), " ".join(entry.rule.reason.split()), "a known divergence")


def test_divergences_that_explain_only_together_are_all_named() -> None:
    netbsd = catalog.expectations("netbsd")
    both = divergences.of(netbsd, "9.0")
    text = ""
    for kind, address, (a, c, x, b) in (("tcp4", "127.0.0.1", "acxb"), ("tcp6", "::1", "deyf")):
        text += (
            f" {a}={kind} {a}.bind={address} {a}.listen {c}={kind} {c}.connect={address} {x}={a}.accept {a}.close"
            f" {b}={kind} {b}.bind={address}"
        )
    outcomes: Outcomes = ("ok",) * 8 + ("EADDRINUSE",) + ("ok",) * 8 + ("EADDRINUSE",)
    side = RecordedSide("netbsd", {text[1:]: Observation(text[1:], outcomes)}, netbsd.at("9.0").on_port(20480), both)
    other = RecordedSide("other", {text[1:]: Observation(text[1:], (*outcomes[:-1], "EIO"))}, None)
    (group,) = diff.of_recordings([side, other]).groups
    assert group.sides[0].rules == (f"{both[0].id}, {both[1].id}",)


@pytest.mark.parametrize(
    ("text", "outcomes", "note"),
    [
        ("a=tcp4 a.fly", ("ok", "ok"), "not a scenario: "),
        ("a=tcp4", ("ok", "ok", "ok"), "3 outcomes do not fit the steps"),
    ],
)
def test_what_is_no_run_of_a_scenario_is_said_to_be_none(text: str, outcomes: Outcomes, note: str) -> None:
    linux = catalog.expectations("linux").at("7.3.4")
    side = RecordedSide("one", {text: Observation(text, outcomes)}, linux)
    other = RecordedSide("two", {text: Observation(text, ("ok", "EIO", "ok"))}, linux)
    (group,) = diff.of_recordings([side, other]).groups
    assert group.sides[0][:3] == ("ok", (), "")
    assert group.sides[0].note.startswith(note)


def test_a_host_without_rules_is_said_to_have_none() -> None:
    (group,) = recorded(ran(PAIR, "ok"), ran(PAIR, "EADDRINUSE")).groups
    assert group.sides[1] == ("EADDRINUSE", (), "", "no expectations for this host")
