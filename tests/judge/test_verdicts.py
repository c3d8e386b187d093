"""Verdicts: each of them, the fast path against the slow one, and what a divergence is blamed on."""

from __future__ import annotations

from collections import Counter

import pytest
from bindmatrix.judge.verdicts import Judge, VerdictKind
from bindmatrix.observe.recordings import Observation, read
from bindmatrix.rules import catalog, divergences

CLASSIC = "a=tcp4 a.reuseaddr=1 a.bind=0.0.0.0 a.listen b=tcp4 b.reuseaddr=1 b.bind=127.0.0.1"
MAPPED = "a=tcp6 a.v6only=0 a.bind=::ffff:0.0.0.0 b=tcp6 b.v6only=0 b.bind=::ffff:127.0.0.1"


def judge(release: str = "6.18.44", **host: object) -> Judge:
    expectations = catalog.expectations("linux")
    return Judge(expectations.at(release), divergences.of(expectations, release), host)


def observed(text: str, last: str = "ok", *, step: int = -1, repeats: tuple[str, ...] = ()) -> Observation:
    """``text`` with every outcome ok but that of ``step``."""
    outcomes: list[str | None] = ["ok"] * len(text.split())
    outcomes[step] = last
    again = []
    for one in repeats:
        outcomes_again = list(outcomes)
        outcomes_again[step] = one
        again.append(tuple(outcomes_again))
    return Observation(text, tuple(outcomes), repeats=tuple(again))


def test_conforms() -> None:
    assert judge().verdict(observed(CLASSIC, "EADDRINUSE")).kind == VerdictKind.CONFORMS


def test_diverges_names_the_rule_and_the_step() -> None:
    verdict = judge().verdict(observed(CLASSIC, "ok"))
    assert (verdict.kind, verdict.step, verdict.rule) == (VerdictKind.DIVERGES, 6, "linux.tcp-conflict")
    assert (verdict.expected, verdict.actual) == ("EADDRINUSE", "ok")


def test_a_recorded_divergence_is_known_where_it_is_in_force() -> None:
    verdict = judge("6.1.192").verdict(observed(MAPPED, "ok"))
    assert (verdict.kind, verdict.divergence) == (VerdictKind.KNOWN, "linux.mapped-wildcard-overlooked")
    assert judge("6.1.160").verdict(observed(MAPPED, "ok")).kind == VerdictKind.DIVERGES
    assert judge("6.12.43").verdict(observed(MAPPED, "ok")).kind == VerdictKind.DIVERGES


def test_a_divergence_that_is_gone_is_resolved() -> None:
    verdict = judge("6.1.192").verdict(observed(MAPPED, "EADDRINUSE"))
    assert verdict.kind == VerdictKind.RESOLVED
    assert "delete the entry linux.mapped-wildcard-overlooked" in verdict.reason


def test_repeats_that_disagree_are_flaky() -> None:
    verdict = judge().verdict(observed(CLASSIC, "ok", repeats=("EADDRINUSE", "ok")))
    assert verdict.kind == VerdictKind.FLAKY
    assert verdict.reason == "of 3 runs 2 gave ok and 1 gave EADDRINUSE"


def test_a_flaky_verdict_says_what_was_expected_whichever_run_did_otherwise() -> None:
    """Failed first: nothing was said to be expected where the first run was as expected."""
    first = judge().verdict(observed(CLASSIC, "ok", repeats=("EADDRINUSE",)))
    second = judge().verdict(observed(CLASSIC, "EADDRINUSE", repeats=("ok",)))
    assert (first.expected, first.rule, first.step) == ("EADDRINUSE", "linux.tcp-conflict", 6)
    assert (second.expected, second.rule, second.step) == (first.expected, first.rule, first.step)
    assert (first.actual, second.actual) == ("ok", "EADDRINUSE")


def test_repeats_that_agree_are_not() -> None:
    assert judge().verdict(observed(CLASSIC, "ok", repeats=("ok", "ok", "ok"))).kind == VerdictKind.DIVERGES


def test_a_first_bind_that_fails_is_no_verdict() -> None:
    for error in ("EADDRINUSE", "EACCES"):
        verdict = judge().verdict(observed("a=tcp4 a.bind=127.0.0.1", error))
        assert verdict.kind == VerdictKind.NO_VERDICT
        assert "somebody else has the port" in verdict.reason


def test_an_address_that_the_host_lacks_is_unsupported() -> None:
    lacking = judge(addresses=["127.0.0.1", "::1"])
    text = "a=tcp4 a.bind=127.0.0.1 b=tcp4 b.bind=127.0.0.2"
    assert lacking.verdict(observed(text, "EADDRNOTAVAIL")).kind == VerdictKind.UNSUPPORTED
    assert judge().verdict(observed(text, "EADDRNOTAVAIL")).kind == VerdictKind.DIVERGES


def test_no_ipv6_is_unsupported() -> None:
    verdict = judge().verdict(observed("a=tcp4 b=tcp6", "EAFNOSUPPORT"))
    assert (verdict.kind, verdict.reason) == (VerdictKind.UNSUPPORTED, "the host has no tcp6 sockets")


#: a connection that only the server closed: whether it counts as anybody's depends on an acknowledgement
HALF_CLOSED = (
    "user=1001 a=tcp4 a.reuseport=1 a.bind=127.0.0.1 a.listen c=tcp4 c.connect=127.0.0.1 x=a.accept x.close a.close "
    "user=0 b=tcp4 b.reuseport=1 b.bind=127.0.0.1"
)


def test_what_nobody_knows_is_unknown() -> None:
    for outcome in ("ok", "EADDRINUSE"):
        assert judge().verdict(observed(HALF_CLOSED, outcome)).kind == VerdictKind.UNKNOWN


def test_what_follows_an_unknown_step_follows_what_was_observed() -> None:
    text = HALF_CLOSED + " b.bind=127.0.0.2"
    for first, then, kind in (
        ("ok", "EINVAL", VerdictKind.UNKNOWN),
        ("ok", "ok", VerdictKind.DIVERGES),
        ("EADDRINUSE", "ok", VerdictKind.UNKNOWN),
        ("EADDRINUSE", "EINVAL", VerdictKind.DIVERGES),
    ):
        outcomes = (*["ok"] * (len(text.split()) - 2), first, then)
        assert judge().verdict(Observation(text, outcomes)).kind == kind


@pytest.mark.parametrize(
    ("text", "outcomes", "words"),
    [("a=tcp4 a.bindd=1", ("ok", "ok"), "not a scenario"), ("a=tcp4", ("ok", "ok"), "2 outcomes for 1 steps")],
)
def test_what_is_no_scenario_is_no_verdict(text: str, outcomes: tuple[str, ...], words: str) -> None:
    verdict = judge().verdict(Observation(text, outcomes))
    assert verdict.kind == VerdictKind.NO_VERDICT
    assert words in verdict.reason


def test_a_host_that_could_not_run_it_says_so() -> None:
    verdict = judge().verdict(Observation("user=1001", None, VerdictKind.UNSUPPORTED, "needs root"))
    assert (verdict.kind, verdict.reason) == (VerdictKind.UNSUPPORTED, "needs root")


def test_outcomes_that_are_not_asserted_are_passed_over() -> None:
    assert (
        judge().verdict(Observation("a=tcp4 a.bind=127.0.0.1 b=tcp4", (None, None, "ok"))).kind == VerdictKind.CONFORMS
    )


@pytest.mark.parametrize("name", ["pairs", "sequences", "users", "states"])
def test_the_fast_path_agrees_with_the_slow_one(name: str) -> None:
    """Every third recorded outcome is turned round: both paths find the same ones."""
    recorded = list(read(catalog.folder() / "evidence" / "linux-6.18.44" / f"{name}.jsonl.gz"))[::5]
    turned = []
    for index, observation in enumerate(recorded):
        assert observation.outcomes is not None
        if index % 3 == 0:
            last = "ok" if observation.outcomes[-1] != "ok" else "EADDRINUSE"
            observation = observation._replace(outcomes=(*observation.outcomes[:-1], last))
        turned.append(observation)
    fast, slow = judge(), judge()
    expected = [verdict for one in turned if (verdict := slow.verdict(one)).kind != VerdictKind.CONFORMS]
    for _ in range(2):  # the second time everything is known
        found = fast.judge(turned)
        assert {one.observation for one in found} == {one.observation for one in expected}
    counts = fast.verdict_counts()
    assert counts[VerdictKind.DIVERGES] == 2 * len([one for one in expected if one.kind == VerdictKind.DIVERGES])
    assert sum(counts.values()) == 2 * len(turned)


def test_rules_are_counted_on_both_paths() -> None:
    recorded = list(read(catalog.folder() / "evidence" / "linux-6.18.44" / "users.jsonl.gz"))
    fast = judge()
    fast.judge(recorded)
    fast.judge(recorded)
    expected: Counter[str] = Counter()
    for observation in recorded:
        for rules in fast.oracle.predict(observation.scenario).rules:
            expected.update({rule.id: 2 for rule in rules})
    assert fast.rule_counts() == dict(expected)
