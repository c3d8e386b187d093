"""Confidence is computed from the evidence and from what was measured."""

from __future__ import annotations

import json

import pytest
from bindmatrix.errors import Problem
from bindmatrix.oracle.branches import API
from bindmatrix.oracle.oracle import Oracle
from bindmatrix.oracle.prediction import Predictor
from bindmatrix.rules import catalog, confidence, divergences
from bindmatrix.rules.model import Model

from tests.lint.conftest import GOOD, Folder


def at(folder: Folder, release: str) -> Model:
    # a fresh folder for every test: what is read is kept
    return folder.subject().loaded.at(release)


@pytest.mark.parametrize(
    ("rule", "release", "word"),
    [
        ("demo.conflict", "1.0", "measured"),
        ("demo.conflict", "1.0.0", "measured"),
        ("demo.conflict", "1.5", "measured-nearby"),
        ("demo.conflict", "2.0", "measured-nearby"),
        ("demo.conflict", "3.0", "measured-nearby"),
        ("demo.bound-twice", "1.0", "source"),
        ("demo.listen", "1.0", "documented"),
    ],
)
def test_of_a_rule(folder: Folder, rule: str, release: str, word: str) -> None:
    expectations = at(folder, release)
    assert confidence.of_rule(expectations.by_id[rule], expectations) == word


@pytest.mark.parametrize(
    ("kind", "word"),
    [("test", "tested"), ("source", "source"), ("documentation", "documented"), ("report", "reported")],
)
def test_of_kinds_of_evidence(folder: Folder, kind: str, word: str) -> None:
    folder.change('source: "demo.c bind()"', f'{kind}: "demo.c bind()"')
    expectations = at(folder, "1.0")
    assert confidence.of_rule(expectations.by_id["demo.bound-twice"], expectations) == word


def test_a_claim_to_be_observed_counts_for_nothing(folder: Folder) -> None:
    folder.change('{source: "demo.c bind()", release: "1.0"}', "{observed: demo-1.0/pairs}")
    expectations = at(folder, "1.0")
    assert confidence.of_rule(expectations.by_id["demo.bound-twice"], expectations) == "unknown"


def test_a_host_of_a_release_that_is_not_covered_is_nearby(folder: Folder) -> None:
    folder.record("pairs", {"a=tcp4 a.bind=0.0.0.0 a.bind=0.0.0.0": ["ok", "ok", "EINVAL"]}, host="demo-2.5")
    folder.write(GOOD)
    expectations = at(folder, "2.5")
    assert confidence.of_rule(expectations.by_id["demo.bound-twice"], expectations) == "measured-nearby"


def test_the_weakest_of_a_scenario_counts(folder: Folder) -> None:
    expectations = at(folder, "1.0")
    oracle = Oracle(expectations)

    def word(scenario: str) -> str:
        return confidence.of_rules([rule for rules in oracle.predict(scenario).rules for rule in rules], expectations)

    assert word("a=tcp4 a.bind=0.0.0.0 b=tcp4 b.bind=0.0.0.0") == "measured"
    assert word("a=tcp4 a.bind=0.0.0.0 a.bind=0.0.0.0") == "source"
    assert word("a=tcp4 a.bind=0.0.0.0 a.bind=0.0.0.0 a.listen") == "documented"
    assert word("a=tcp4") == "documented"
    assert word("a=tcp4 a.bind=0.0.0.0 deliver=127.0.0.1") == "unknown"


def test_the_socket_interface_does_not_weaken(folder: Folder) -> None:
    expectations = at(folder, "1.0")
    assert confidence.of_rules([expectations.by_id["demo.conflict"], *API["plain"]], expectations) == "measured"


def test_recorded_systems() -> None:
    linux = catalog.expectations("linux")
    rule = linux.by_id["linux.tcp-conflict"]
    assert confidence.of_rule(rule, linux.at("6.18.44")) == "measured"
    assert confidence.of_rule(rule, linux.at("6.18.45")) == "measured-nearby"
    assert confidence.of_rule(rule, linux.at("9.0")) == "measured-nearby"
    windows = catalog.expectations("windows")
    # nobody ran it: what was said of it counts as what it is
    assert {confidence.of_rule(rule, windows.at("10")) for rule in windows.all_rules()} <= {
        "tested",
        "documented",
        "reported",
        "unknown",
    }


def stands_for(folder: Folder, **row: object) -> None:
    """Say what the recorded host demo-1.0 stands for."""
    row = {"why": "the stack of 0.9 with the bind() of 1.0", "release": "0.9", "functions": {"1.0": ["bind()"]}, **row}
    (folder.evidence / "hosts.json").write_text(json.dumps({"demo-1.0": row}), encoding="utf-8")


def test_a_transplanted_stack_stands_for_the_functions_of_its_parts(folder: Folder) -> None:
    stands_for(folder)
    folder.change("{observed: demo-1.0/pairs}", '{source: "demo.c bind()"}, {observed: demo-1.0/pairs}')
    expectations = at(folder, "1.0")
    assert confidence.of_rule(expectations.by_id["demo.conflict"], expectations) == "measured"
    # nothing says that this one is of bind() too, so it is of 0.9
    assert confidence.of_rule(expectations.by_id["demo.free"], expectations) == "measured-nearby"


def test_releases_that_gave_the_same_are_measured_too(folder: Folder) -> None:
    stands_for(folder, functions={"1.5": ["bind()"]}, release="1.0", alike=["2.0"])
    words = []
    for release in ("1.0", "1.5", "2.0"):
        expectations = at(folder, release)
        words.append(confidence.of_rule(expectations.by_id["demo.free"], expectations))
    assert words == ["measured", "measured-nearby", "measured"]


def test_what_a_divergence_contradicts_was_not_measured(folder: Folder) -> None:
    expectations = at(folder, "1.0")
    rule = expectations.by_id["demo.conflict"]
    assert confidence.of_rules([rule], expectations, {rule}) == "measured-nearby"
    assert confidence.of_rules([rule], expectations, {expectations.by_id["demo.free"]}) == "measured"


@pytest.mark.parametrize("text", ["{", "[]", '{"demo-1.0": {}}', '{"demo-1.0": {"why": "", "release": "1.0"}}'])
def test_hosts_that_cannot_be_read(folder: Folder, text: str) -> None:
    """A claim must not become stronger because the file that weakens it is damaged."""
    (folder.evidence / "hosts.json").write_text(text, encoding="utf-8")
    expectations = at(folder, "1.0")
    with pytest.raises(Problem, match=r"expected \{HOST"):
        confidence.of_rule(expectations.by_id["demo.conflict"], expectations)


PAIR = "a=tcp4 a.bind=0.0.0.0 b=tcp4 b.bind=127.0.0.1"
LEFT = "a=tcp4 a.bind=127.0.0.1 a.listen c=tcp4 c.connect=127.0.0.1 x=a.accept"


@pytest.mark.parametrize(
    ("os", "release", "scenario", "word"),
    [
        # in_pcbbind_avail() of main was in the stack of the recording, everything else was 13.0's
        ("freebsd", "15", PAIR, "measured"),
        ("freebsd", "15", f"{PAIR} b.listen", "measured-nearby"),
        ("freebsd", "15", "a=udp4 a.bind=127.0.0.1 deliver=127.0.0.1", "measured-nearby"),
        ("freebsd", "15", "a=udp4 a.reuseport=1 a.bind=0.0.0.0 deliver=127.0.0.1", "source"),
        ("freebsd", "15", f"{LEFT} x.close c.read c.close a.close b=tcp4 b.bind=127.0.0.1", "measured-nearby"),
        ("freebsd", "14.0", PAIR, "measured-nearby"),
        ("freebsd", "13.0", f"{PAIR} b.listen", "measured"),
        ("freebsd", "13.0", "a=udp4 a.bind=127.0.0.1 deliver=127.0.0.1", "measured"),
        # in_pcbbind() of 15.5 in the stack of 11.5, which gave the same without it
        ("macos", "15.5", PAIR, "measured"),
        ("macos", "15.5", f"{PAIR} b.listen", "measured-nearby"),
        ("macos", "11.5", f"{PAIR} b.listen", "measured"),
        ("macos", "11.5", "a=udp4 a.bind=127.0.0.1 deliver=127.0.0.1", "measured"),
    ],
)
def test_what_transplanted_stacks_are_evidence_for(os: str, release: str, scenario: str, word: str) -> None:
    predictor = Predictor(catalog.expectations(os).at(release))
    assert json.loads(predictor.line(scenario))["confidence"] == word


@pytest.mark.parametrize(
    ("os", "release", "scenario", "word"),
    [
        (
            "linux",
            "6.1.192",
            "a=tcp6 a.v6only=0 a.bind=::ffff:0.0.0.0 b=tcp6 b.v6only=0 b.bind=::ffff:127.0.0.1",
            "measured-nearby",
        ),
        ("macos", "15.5", "a=tcp4 a.bind=255.255.255.255", "source"),
    ],
)
def test_a_prediction_with_a_divergence_does_not_claim_to_be_measured(
    os: str, release: str, scenario: str, word: str
) -> None:
    expectations = catalog.expectations(os)
    line = json.loads(Predictor(expectations.at(release), divergences.of(expectations, release)).line(scenario))
    assert line["actual"] != line["outcomes"]
    assert line["confidence"] == word
