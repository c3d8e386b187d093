"""Claims: the file, how a verdict comes about, and the best known cases on every system."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest
from bindmatrix.answers.claims import ClaimResult, results
from bindmatrix.errors import Problem
from bindmatrix.judge import claim_check
from bindmatrix.judge.claim_check import HOLDS, LACKING, REFUTED, UNKNOWN, Claim, ClaimScenario, find
from bindmatrix.notation import Scenario, parse
from bindmatrix.outcomes import Expected
from bindmatrix.rules import catalog

BOTH = "a=udp4 a.reuseport=1 a.bind=127.0.0.1 b=udp4 b.reuseport=1 b.bind=127.0.0.1"
SEND = BOTH + " deliver=127.0.0.1"


def verdict(text: str, then: str, outcomes: Sequence[Expected] | None, theirs: Sequence[Expected] = ()) -> str:
    claim = Claim("x", "says", ("source",), (), "", (ClaimScenario(parse(text), then),))
    return find(claim, lambda scenario: outcomes, lambda os, scenario: theirs).verdict


@pytest.mark.parametrize(
    ("then", "last", "expected"),
    [
        ("ok", "ok", HOLDS),
        ("ok", "EADDRINUSE", REFUTED),
        ("ok", None, UNKNOWN),
        ("ok", ("EACCES", "ok"), UNKNOWN),
        ("ok", ("EACCES", "EADDRINUSE"), REFUTED),
        ("fails", ("EACCES", "EADDRINUSE"), HOLDS),
        ("fails", "refused", HOLDS),
        ("fails", "ok", REFUTED),
        ("EADDRINUSE", "EADDRINUSE", HOLDS),
        ("EADDRINUSE", "EACCES", REFUTED),
        ("EADDRINUSE", "refused", UNKNOWN),
    ],
)
def test_a_call_ends_as_implied_or_not(then: str, last: Expected, expected: str) -> None:
    assert verdict(BOTH, then, ["ok"] * 5 + [last]) == expected


@pytest.mark.parametrize(
    ("then", "delivered", "expected"),
    [
        ("spread", "a:15,b:17", HOLDS),
        ("spread", "spread:a,b", HOLDS),
        ("spread", "a:32", REFUTED),
        ("spread", "a", REFUTED),
        ("spread", "a:16,refused:16", REFUTED),
        ("spread", "spread:a,refused", REFUTED),
        ("spread", "a:32,b:32", REFUTED),
        ("every", "a:32,b:32", HOLDS),
        ("every", "every:a,b", HOLDS),
        ("every", "a:15,b:17", REFUTED),
        ("b", "b:32", HOLDS),
        ("b", "b", HOLDS),
        ("b", "a:32", REFUTED),
        ("b", "b:31,none:1", REFUTED),
        ("b", ("a", "b"), UNKNOWN),
        ("b", None, UNKNOWN),
    ],
)
def test_a_delivery_goes_where_implied_or_not(then: str, delivered: Expected, expected: str) -> None:
    assert verdict(SEND, then, ["ok"] * 6 + [delivered]) == expected


def test_a_step_before_the_last_decides_too() -> None:
    assert verdict(BOTH, "ok", ["ok", "ENOPROTOOPT", "ok", "ok", "ENOPROTOOPT", "ok"]) == LACKING
    assert verdict(SEND, "spread", ["ok"] * 5 + ["EADDRINUSE", "a:32"]) == REFUTED
    assert verdict(SEND, "spread", ["ok"] * 5 + [None, "spread:a,b"]) == UNKNOWN
    users = "user=1001 a=udp4 a.bind=127.0.0.1"
    assert verdict(users, "ok", ["EPERM", "ok", "ok"]) == UNKNOWN
    assert verdict(BOTH, "ok", None) == UNKNOWN


def test_like_another_system() -> None:
    same = ["ok"] * 6
    assert verdict(BOTH, "like linux", same, same) == HOLDS
    assert verdict(BOTH, "like linux", same, ["ok"] * 5 + ["EADDRINUSE"]) == REFUTED
    assert verdict(BOTH, "like linux", ["ok"] * 5 + [None], same) == UNKNOWN
    assert verdict(BOTH, "like linux", ["ok"] * 5 + ["EACCES"], ["ok"] * 5 + ["EADDRINUSE"]) == REFUTED


def test_one_refutation_is_enough_and_one_scenario_that_applies_too() -> None:
    good, bad, lacks = "a=tcp4", "b=tcp4", "c=tcp4 c.reuseport_lb=1 c.bind=127.0.0.1"
    answers: dict[str, list[Expected]] = {good: ["ok"], bad: ["EMFILE"], lacks: ["ok", "ENOPROTOOPT", "ok"]}

    def of(*texts: str) -> claim_check.ClaimVerdict:
        claim = Claim("x", "s", ("y",), (), "", tuple(ClaimScenario(parse(text), "ok") for text in texts))
        return find(claim, lambda scenario: answers[scenario.text], _nobody)

    assert of(good, bad).verdict == REFUTED
    assert of(bad, good).case == ClaimScenario(parse(bad), "ok")
    assert of(good, lacks).verdict == HOLDS
    assert of(lacks).verdict == LACKING


def _nobody(os: str, scenario: Scenario) -> Sequence[Expected]:
    raise AssertionError(f"{os} is not asked")


@pytest.fixture(scope="module")
def found() -> dict[str, ClaimResult]:
    return {one.claim.id: one for one in results(claim_check.read(), catalog.names())}


@pytest.mark.parametrize(
    ("claim", "os", "verdicts"),
    [
        ("restart-fails-without-reuseaddr", "linux", [HOLDS]),
        # 6.1.0 to 6.1.4 overlooked TIME_WAIT on a specific address
        ("restart-fails-on-loopback-too", "linux", [HOLDS, REFUTED]),
        ("restart-fails-without-reuseaddr", "freebsd", [HOLDS]),
        ("restart-fails-on-loopback-too", "freebsd", [HOLDS, REFUTED]),  # until 13, since 14
        ("restart-works-with-reuseaddr", "linux", [HOLDS]),
        ("restart-needs-both-programs", "linux", [HOLDS]),
        ("restart-needs-both-programs", "freebsd", [REFUTED]),
        ("restart-needs-the-new-program-only", "freebsd", [HOLDS]),
        ("reuseaddr-not-against-a-listener", "linux", [HOLDS]),
        ("reuseaddr-not-against-a-listener", "windows", [REFUTED]),
        ("reuseaddr-shares-a-port", "openbsd", [REFUTED]),
        ("reuseaddr-wildcard-listener-blocks-all", "linux", [HOLDS]),
        ("reuseaddr-wildcard-listener-blocks-all", "macos", [REFUTED]),
        ("reuseaddr-is-everywhere", "windows", [HOLDS]),
        ("reuseport-is-there", "windows", [REFUTED]),
        ("reuseport-lets-many-listen", "windows", [LACKING]),
        ("reuseport-before-bind", "linux", [REFUTED]),
        ("reuseport-of-one-user", "linux", [HOLDS]),
        ("reuseport-of-one-user", "gvisor", [REFUTED]),
        ("reuseport-balances-connections", "linux", [HOLDS]),
        ("reuseport-balances-connections", "openbsd", [REFUTED]),  # the newest receives
        ("reuseport-balances-connections", "illumos", [LACKING, UNKNOWN]),  # OmniOS has the option
        ("reuseport-implies-reuseaddr", "linux", [REFUTED, REFUTED]),
        ("asyncio-udp-other-users", "linux", [HOLDS]),
        ("asyncio-udp-random", "linux", [REFUTED]),
        ("windows-exclusive-protects", "linux", [LACKING]),
    ],
)
def test_what_is_well_known(found: dict[str, ClaimResult], claim: str, os: str, verdicts: list[str]) -> None:
    assert [row.finding.verdict for row in found[claim].rows if row.os == os] == verdicts


def test_one_meaning_everywhere_is_refuted_on_every_other_system(found: dict[str, ClaimResult]) -> None:
    rows = found["reuseaddr-means-the-same-everywhere"].rows
    assert {row.os for row in rows if row.finding.verdict == HOLDS} == {"linux"}
    assert {row.os for row in rows if row.finding.verdict == REFUTED} == set(catalog.names())  # Linux before 6.1.5


def test_every_claim_has_a_place_where_it_is_decided(found: dict[str, ClaimResult]) -> None:
    """A claim that nobody can say anything about is badly asked."""
    for result in found.values():
        assert {row.finding.verdict for row in result.rows} & {HOLDS, REFUTED}, result.claim.id


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[", "not YAML"),
        ("a: b", "expected a list of claims"),
        ("- {id: x, says: y, source: [z]}", "x: 'scenarios' is missing"),
        ("- {says: y}", "claim 1: 'id' is missing"),
        ("- {id: x, says: y, source: [z], scenarios: [{run: a=tcp4}]}", "'run' and 'then'"),
        ("- {id: x, says: y, source: [z], scenarios: [{run: a=tcp9, then: ok}]}", "unknown kind of socket"),
        ("- {id: x, says: y, source: [z], scenarios: [{run: a=tcp4, then: b}]}", "got 'b'"),
        ("- {id: x, says: y, source: [z], scenarios: [{run: a=tcp4, then: like beos}]}", "'beos'"),
        ("- {id: x, says: y, source: [z], about: [beos], scenarios: [{run: a=tcp4, then: ok}]}", "'beos'"),
        ("- &c {id: x, says: y, source: [z], scenarios: [{run: a=tcp4, then: ok}]}\n- *c", "taken by an earlier"),
    ],
)
def test_a_wrong_file_is_told(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "claims.yaml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(Problem, match=message):
        claim_check.read(path)
