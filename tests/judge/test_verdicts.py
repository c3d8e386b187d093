"""Verdicts: each of them, the fast path against the slow one, and what a divergence is blamed on."""

from __future__ import annotations

from collections import Counter

import pytest
from bindmatrix.judge import verdicts
from bindmatrix.judge.verdicts import Judge, Verdict, VerdictKind
from bindmatrix.observe.recordings import Observation, read
from bindmatrix.oracle.oracle import Answer
from bindmatrix.rules import catalog, divergences
from bindmatrix.rules.loader import loads
from bindmatrix.rules.model import Expectations

from tests.lint.conftest import GOOD

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
    assert (verdict.expected, verdict.actual, verdict.reason) == ("EADDRINUSE", "ok", "")


@pytest.mark.parametrize("release", ["6.18.44", "6.1.192"])  # with and without a recorded divergence
def test_the_first_step_can_diverge(release: str) -> None:
    verdict = judge(release).verdict(observed("a=tcp4", "EINVAL"))
    assert (verdict.kind, verdict.step, verdict.reason) == (VerdictKind.DIVERGES, 0, "")


@pytest.mark.parametrize(
    "observation",
    [
        Observation("a=tcp4", None, VerdictKind.UNSUPPORTED, "needs root"),
        Observation("a=tcp5", ("ok",)),
        Observation("a=tcp4", ("ok", "ok")),
        Observation("a=tcp4", ("ok",)),
        Observation("a=tcp4", ("EINVAL",)),
    ],
)
def test_a_verdict_is_on_its_observation(observation: Observation) -> None:
    assert judge().verdict(observation).observation is observation


def test_a_recorded_divergence_is_known_where_it_is_in_force() -> None:
    verdict = judge("6.1.192").verdict(observed(MAPPED, "ok"))
    assert (verdict.kind, verdict.divergence) == (VerdictKind.KNOWN, "linux.mapped-wildcard-overlooked")
    assert judge("6.1.160").verdict(observed(MAPPED, "ok")).kind == VerdictKind.DIVERGES
    assert judge("6.12.43").verdict(observed(MAPPED, "ok")).kind == VerdictKind.DIVERGES


def test_a_divergence_that_is_gone_is_resolved() -> None:
    verdict = judge("6.1.192").verdict(observed(MAPPED, "EADDRINUSE"))
    assert verdict.kind == VerdictKind.RESOLVED
    assert "delete the entry linux.mapped-wildcard-overlooked" in verdict.reason


def test_a_resolved_divergence_names_the_step_and_what_was_recorded() -> None:
    observation = observed(MAPPED, "EADDRINUSE")
    verdict = judge("6.1.192").verdict(observation)
    assert (verdict.observation, verdict.step, verdict.rules) == (observation, 5, ())
    assert (verdict.expected, verdict.divergence) == ("ok", "linux.mapped-wildcard-overlooked")
    assert verdict.reason == "recorded was ok; delete the entry linux.mapped-wildcard-overlooked"


def test_what_no_divergence_concerns_conforms_beside_them() -> None:
    observation = observed(CLASSIC, "EADDRINUSE")
    assert judge("6.1.192").verdict(observation) == Verdict(VerdictKind.CONFORMS, observation)


@pytest.mark.parametrize(("kind", "address", "of"), [("tcp4", "127.0.0.1", "ipv4"), ("tcp6", "::1", "ipv6")])
def test_of_several_divergences_the_one_that_makes_the_difference_is_named(kind: str, address: str, of: str) -> None:
    """NetBSD finds accepted sockets on ports that are multiples of 128; an entry for each family."""
    expectations = catalog.expectations("netbsd")
    entries = divergences.of(expectations, "9.0")
    assert len(entries) == 2
    one = Judge(expectations.at("9.0").on_port(20480), entries)
    text = (
        f"a={kind} a.bind={address} a.listen c={kind} c.connect={address} x=a.accept a.close b={kind} "
        f"b.bind={address} b.listen"
    )
    for outcome, verdict in (("EADDRINUSE", VerdictKind.KNOWN), ("ok", VerdictKind.RESOLVED)):
        found = one.verdict(observed(text, outcome, step=8))
        assert (found.kind, found.step, found.divergence) == (verdict, 8, f"netbsd.children-found-{of}")


def test_a_divergence_that_allows_what_the_rules_refuse_is_told_from_the_others() -> None:
    """The second of two entries of macOS; the rules say EADDRNOTAVAIL or so, which no step before returned."""
    expectations = catalog.expectations("macos")
    entries = divergences.of(expectations, "15.5")
    one = Judge(expectations.at("15.5"), entries)
    found = one.verdict(observed("a=tcp6 a.v6only=0 a.bind=::ffff:224.0.0.251"))
    assert (found.kind, found.step, found.divergence) == (VerdictKind.KNOWN, 2, entries[1].id)


def test_of_divergences_that_matter_only_together_the_first_is_named() -> None:
    """Two rules refuse, and each entry overrules one of them."""
    again = GOOD[GOOD.index("  - id: demo.conflict") : GOOD.index("  - id: demo.free")].replace("conflict", "again")
    expectations = loads(GOOD.replace("  - id: demo.free", f"{again}  - id: demo.free"), "demo.yaml")
    entries = [
        f"- {{id: demo.no-{name}, instead-of: demo.{name}, when: {{new.bound: yes}}, refuse: EINVAL, why: never, "
        "evidence: [{documentation: nothing}]}"
        for name in ("again", "conflict")
    ]
    known = divergences.loads("\n".join(entries), "known.yaml", expectations)
    one = Judge(expectations.at("1.0"), known)
    found = one.verdict(observed("a=tcp4 a.bind=127.0.0.1 b=tcp4 b.bind=127.0.0.1"))
    assert (found.kind, found.divergence) == (VerdictKind.KNOWN, "demo.no-again")


def test_repeats_that_disagree_are_flaky() -> None:
    verdict = judge().verdict(observed(CLASSIC, "ok", repeats=("EADDRINUSE", "ok")))
    assert verdict.kind == VerdictKind.FLAKY
    assert (verdict.step, verdict.reason) == (6, "of 3 runs 2 gave ok and 1 gave EADDRINUSE")
    even = judge().verdict(observed(CLASSIC, "ok", repeats=("EADDRINUSE",)))
    assert even.reason == "of 2 runs 1 gave EADDRINUSE and 1 gave ok"


def test_a_repeat_that_diverges_makes_what_conforms_flaky() -> None:
    """Repeats that broke off are passed over."""
    whole = ("ok",) * 6
    for repeats in ([(*whole, "ok")], [whole, (*whole, "ok")]):
        verdict = judge().verdict(Observation(CLASSIC, (*whole, "EADDRINUSE"), repeats=tuple(repeats)))
        assert (verdict.kind, verdict.step) == (VerdictKind.FLAKY, 6)
        assert verdict.reason == "of 2 runs 1 gave EADDRINUSE and 1 gave ok"


def test_repeats_that_agree_are_not() -> None:
    assert judge().verdict(observed(CLASSIC, "ok", repeats=("ok", "ok", "ok"))).kind == VerdictKind.DIVERGES


def test_a_divergence_whose_repeats_broke_off_is_no_verdict() -> None:
    """What conforms needs no repeats."""
    broken = observed(CLASSIC, repeats=("ok",))._replace(repeats=(("ok",) * 7, None))
    verdict = judge().verdict(broken)
    assert (verdict.kind, verdict.reason) == (
        VerdictKind.NO_VERDICT,
        "1 of 2 repeats of what diverged gave no outcomes",
    )
    conforming = observed(CLASSIC, "EADDRINUSE")._replace(repeats=(None,))
    assert judge().verdict(conforming) == Verdict(VerdictKind.CONFORMS, conforming)


def test_repeats_of_what_nobody_knows_are_compared_with_each_other() -> None:
    same = observed(HALF_CLOSED, "ok", repeats=("ok", "ok"))
    assert judge().verdict(same) == Verdict(VerdictKind.UNKNOWN, same)
    verdict = judge().verdict(observed(HALF_CLOSED, "ok", repeats=("ok", "EADDRINUSE")))
    assert (verdict.kind, verdict.step) == (VerdictKind.FLAKY, 13)
    assert verdict.reason == "of 3 runs 2 gave ok and 1 gave EADDRINUSE"


def test_a_repeat_is_blamed_on_the_step_that_diverged() -> None:
    """The first run is unknown, which blames no step."""
    whole = observed(HALF_CLOSED)
    assert whole.outcomes is not None
    repeat = (*whole.outcomes[:4], "EINVAL", *whole.outcomes[5:])
    verdict = judge().verdict(whole._replace(repeats=(repeat,)))
    assert (verdict.kind, verdict.step) == (VerdictKind.FLAKY, 4)
    assert verdict.reason == "of 2 runs 1 gave EINVAL and 1 gave ok"


def test_a_scenario_that_comes_again_is_counted_once() -> None:
    one = judge()
    other = CLASSIC.replace("a.listen ", "")
    observations = [observed(CLASSIC), observed(other, "EINVAL"), observed(HALF_CLOSED)]
    for _ in range(3):
        one.judge(observations)
        counts = one.verdict_counts()
        assert (counts[VerdictKind.DIVERGES], counts[VerdictKind.UNKNOWN]) == (2, 1)
    one.judge([observed(CLASSIC, "EADDRINUSE"), observed(HALF_CLOSED, "EADDRINUSE")])
    counts = one.verdict_counts()
    assert (counts[VerdictKind.DIVERGES], counts[VerdictKind.UNKNOWN], counts[VerdictKind.FLAKY]) == (1, 0, 2)
    assert sum(counts.values()) == 3
    assert [len(verdict.observation.repeats) for verdict in one.settle()] == [2, 3, 3]
    # what is settled is counted anew
    one.judge([observed(CLASSIC)])
    assert one.verdict_counts()[VerdictKind.DIVERGES] == 2


def test_more_repeats_than_the_limit_are_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    """The later ones would make it flaky."""
    monkeypatch.setattr(verdicts, "MOST_REPEATS", 2)
    one = judge()
    one.judge([observed(CLASSIC)] * 3)
    assert [verdict.kind for verdict in one.judge([observed(CLASSIC, "EADDRINUSE")])] == [VerdictKind.DIVERGES]
    assert one.verdict_counts()[VerdictKind.DIVERGES] == 1


#: three scenarios of one length, which diverge
ALIKE = [
    f"a={kind} a.bind=0.0.0.0 b={kind} b.bind={address}"
    for kind, address in (("udp4", "127.0.0.1"), ("udp4", "127.0.0.2"), ("tcp4", "127.0.0.1"))
]


def waiting_after(*texts: str) -> int:
    one = judge()
    one.judge([observed(text) for text in texts])
    return len(one.waiting)


def test_only_so_many_of_a_kind_wait_for_repeats(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(verdicts, "MOST_WAITING", 2)
    assert waiting_after(*ALIKE[:2]) == 2
    assert waiting_after(*ALIKE) == 2
    assert waiting_after(*ALIKE, HALF_CLOSED) == 3, "each kind has its own limit"


def test_only_so_much_text_waits_for_repeats(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(verdicts, "MOST_WAITING_TEXT", len(ALIKE[0]) + len(ALIKE[1]))
    assert waiting_after(*ALIKE) == 2
    monkeypatch.setattr(verdicts, "MOST_WAITING_TEXT", 1)
    one = judge()
    for _ in range(2):
        one.judge([observed(text) for text in ALIKE])
        assert len(one.settle()) == 1, "nothing waits once it is settled"


def test_a_first_bind_that_fails_is_no_verdict() -> None:
    for error in ("EADDRINUSE", "EACCES"):
        verdict = judge().verdict(observed("a=tcp4 a.bind=127.0.0.1", error))
        assert verdict.kind == VerdictKind.NO_VERDICT
        assert "somebody else has the port" in verdict.reason


def test_a_bind_that_fails_beside_one_of_ours_diverges() -> None:
    """Only where no earlier bind of the scenario succeeded can the port be somebody else's."""
    text = "a=tcp4 a.bind=127.0.0.1 b=tcp4 b.bind=127.0.0.2"
    assert judge().verdict(observed(text, "EADDRINUSE")).kind == VerdictKind.DIVERGES
    refused = "a=tcp4 a.bind=::1 a.bind=127.0.0.1"
    observation = Observation(refused, ("ok", "EAFNOSUPPORT", "EADDRINUSE"))
    assert judge().verdict(observation).kind == VerdictKind.NO_VERDICT


def test_a_first_bind_that_fails_for_another_reason_diverges() -> None:
    verdict = judge().verdict(observed("a=tcp4 a.bind=127.0.0.1", "EINVAL"))
    assert (verdict.kind, verdict.reason) == (VerdictKind.DIVERGES, "")


def test_an_address_that_the_host_lacks_is_unsupported() -> None:
    lacking = judge(addresses=["127.0.0.1", "::1"])
    text = "a=tcp4 a.bind=127.0.0.1 b=tcp4 b.bind=127.0.0.2"
    assert lacking.verdict(observed(text, "EADDRNOTAVAIL")).kind == VerdictKind.UNSUPPORTED
    assert judge().verdict(observed(text, "EADDRNOTAVAIL")).kind == VerdictKind.DIVERGES


def test_no_ipv6_is_unsupported() -> None:
    verdict = judge().verdict(observed("a=tcp4 b=tcp6", "EAFNOSUPPORT"))
    assert (verdict.kind, verdict.reason) == (VerdictKind.UNSUPPORTED, "the host has no tcp6 sockets")


def test_only_socket_tells_that_a_host_has_no_ipv6() -> None:
    assert judge().verdict(observed("a=tcp4 a.listen", "EAFNOSUPPORT")).kind == VerdictKind.DIVERGES
    assert judge().verdict(observed("a=tcp4 b=tcp6", "EINVAL")).kind == VerdictKind.DIVERGES


#: a connection that only the server closed: whether it counts as anybody's depends on an acknowledgement
HALF_CLOSED = (
    "user=1001 a=tcp4 a.reuseport=1 a.bind=127.0.0.1 a.listen c=tcp4 c.connect=127.0.0.1 x=a.accept x.close a.close "
    "user=0 b=tcp4 b.reuseport=1 b.bind=127.0.0.1"
)


def test_what_nobody_knows_is_unknown() -> None:
    for outcome in ("ok", "EADDRINUSE"):
        assert judge().verdict(observed(HALF_CLOSED, outcome)).kind == VerdictKind.UNKNOWN


def test_what_nobody_knows_is_unknown_on_the_fast_path_too() -> None:
    observation = observed(HALF_CLOSED)
    one = judge()
    for _ in range(2):
        assert one.judge([observation]) == [Verdict(VerdictKind.UNKNOWN, observation)]
        one.settle()
    assert one.verdict_counts()[VerdictKind.UNKNOWN] == 2
    assert one.verdict(observation) == Verdict(VerdictKind.UNKNOWN, observation)
    (rules,) = {answer.rules for answer in one.answers(observation) if answer.expected is None}
    assert one.rule_counts()[rules[0].id] == 2


def test_nothing_is_expected_of_what_is_no_run() -> None:
    for observation in (
        Observation("a=tcp4", ("ok", "ok")),
        Observation("a=tcp5", ("ok",)),
        Observation("a=tcp4", None, VerdictKind.UNSUPPORTED, ""),
    ):
        assert judge().answers(observation) == []


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
        fast.settle()
        assert {one.observation for one in found} == {one.observation for one in expected}
    counts = fast.verdict_counts()
    assert counts[VerdictKind.DIVERGES] == 2 * len([one for one in expected if one.kind == VerdictKind.DIVERGES])
    assert sum(counts.values()) == 2 * len(turned)


class Watched(Judge):
    """Notes what the fast path had no answer for, and what was judged step by step."""

    def __init__(self, expectations: Expectations) -> None:
        super().__init__(expectations)
        self.new: list[str] = []
        self.slow: list[str] = []

    def _other(self, observation: Observation) -> Verdict | None:
        self.new.append(observation.scenario)
        return super()._other(observation)

    def _judged(self, observation: Observation) -> tuple[Verdict, list[Answer]]:
        self.slow.append(observation.scenario)
        return super()._judged(observation)


def test_what_conforms_is_followed_once() -> None:
    """The second time it is looked up, whatever the number of sockets; with repeats or another outcome it is not."""
    one = Watched(catalog.expectations("linux").at("6.18.44"))
    assert one.diverged is None
    three = "a=tcp4 a.bind=127.0.0.1 b=tcp4 b.bind=127.0.0.2 c=udp4 c.bind=127.0.0.1"
    conforming = [observed(CLASSIC, "EADDRINUSE"), observed(three), observed("a=tcp4 b=udp4 b.close b=tcp4")]
    assert one.judge(conforming) == []
    assert one.new == [observation.scenario for observation in conforming]
    assert one.judge(conforming) == []
    assert (len(one.new), one.slow) == (3, [])
    others = [conforming[0]._replace(repeats=(conforming[0].outcomes,)), observed(CLASSIC), Observation(three, None)]
    assert [verdict.kind for verdict in one.judge(others)] == [VerdictKind.DIVERGES, VerdictKind.NO_VERDICT]
    assert one.slow == [CLASSIC, CLASSIC, three]
    counts = one.verdict_counts()
    assert (counts[VerdictKind.CONFORMS], counts[VerdictKind.DIVERGES], counts[VerdictKind.NO_VERDICT]) == (7, 1, 1)


def test_rules_of_both_paths_add_up() -> None:
    """A rule that decided alone and beside another one, on the fast path and on the slow one."""
    one = judge()
    accept = "a=tcp4 a.reuseport=1 a.bind=127.0.0.1 a.listen c=tcp4 c.connect=127.0.0.1 x=a.accept"
    either = accept.replace(" c=tcp4", " b=tcp4 b.reuseport=1 b.bind=127.0.0.1 b.listen c=tcp4")
    assert len(one.oracle.predict(either).rules[-1]) == 2
    one.judge([observed(accept), observed(either)])
    assert one.rule_counts()["api.queue"] == 2
    conforming = observed(CLASSIC, "EADDRINUSE")
    one.judge([conforming, conforming, observed(CLASSIC), observed("a=tcp4 a.bind=127.0.0.1 b=tcp4 b.bind=127.0.0.1")])
    assert one.rule_counts()["linux.tcp-conflict"] == 4


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
