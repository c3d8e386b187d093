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
from bindmatrix.rules.provenance import Method

from tests.lint.conftest import GOOD, Folder


def word(found: confidence.Confidence) -> str:
    """The method, with a ~ where it is stretched to another release."""
    return f"{found.method}{'~' if found.stretched else ''}"


def at(folder: Folder, release: str) -> Model:
    # a fresh folder for every test: what is read is kept
    return folder.subject().loaded.at(release)


@pytest.mark.parametrize(
    ("rule", "release", "expected"),
    [
        ("demo.conflict", "1.0", "run"),
        ("demo.conflict", "1.0.0", "run"),
        ("demo.conflict", "1.5", "run~"),
        ("demo.conflict", "2.0", "run~"),
        ("demo.conflict", "3.0", "assumed~"),
        ("demo.bound-twice", "1.0", "source"),
        ("demo.bound-twice", "1.5", "source~"),
        ("demo.bound-twice", "3.0", "assumed~"),
        ("demo.listen", "1.0", "documentation"),
    ],
)
def test_of_a_rule(folder: Folder, rule: str, release: str, expected: str) -> None:
    expectations = at(folder, release)
    assert word(confidence.of_rule(expectations.by_id[rule], expectations)) == expected


@pytest.mark.parametrize(
    ("kind", "expected"),
    [("test", "tested elsewhere"), ("source", "source"), ("documentation", "documentation"), ("report", "report")],
)
def test_of_kinds_of_evidence(folder: Folder, kind: str, expected: str) -> None:
    folder.change('source: "demo.c bind()"', f'{kind}: "demo.c bind()"')
    expectations = at(folder, "1.0")
    assert word(confidence.of_rule(expectations.by_id["demo.bound-twice"], expectations)) == expected


def test_a_claim_to_be_observed_counts_for_nothing(folder: Folder) -> None:
    folder.change('{source: "demo.c bind()", release: "1.0"}', "{observed: demo-1.0/pairs}")
    expectations = at(folder, "1.0")
    assert word(confidence.of_rule(expectations.by_id["demo.bound-twice"], expectations)) == "unknown"


def test_nothing_is_known_of_a_release_that_is_not_covered(folder: Folder) -> None:
    folder.record("pairs", {"a=tcp4 a.bind=0.0.0.0 a.bind=0.0.0.0": ["ok", "ok", "EINVAL"]}, host="demo-2.5")
    folder.write(GOOD)
    expectations = at(folder, "2.5")
    assert word(confidence.of_rule(expectations.by_id["demo.bound-twice"], expectations)) == "assumed~"


def test_the_weakest_of_a_scenario_counts(folder: Folder) -> None:
    expectations = at(folder, "1.0")
    oracle = Oracle(expectations)

    def of(scenario: str) -> str:
        rules = [rule for rules in oracle.predict(scenario).rules for rule in rules]
        return word(confidence.of_rules(rules, expectations))

    assert of("a=tcp4 a.bind=0.0.0.0 b=tcp4 b.bind=0.0.0.0") == "run"
    assert of("a=tcp4 a.bind=0.0.0.0 a.bind=0.0.0.0") == "source"
    assert of("a=tcp4 a.bind=0.0.0.0 a.bind=0.0.0.0 a.listen") == "documentation"
    assert of("a=tcp4") == "documentation"
    assert of("a=tcp4 a.bind=0.0.0.0 deliver=127.0.0.1") == "unknown"


def test_the_socket_interface_does_not_weaken(folder: Folder) -> None:
    expectations = at(folder, "1.0")
    assert word(confidence.of_rules([expectations.by_id["demo.conflict"], *API["plain"]], expectations)) == "run"


def test_recorded_systems() -> None:
    linux = catalog.expectations("linux")
    rule = linux.by_id["linux.tcp-conflict"]
    assert word(confidence.of_rule(rule, linux.at("6.18.44"))) == "run"
    assert word(confidence.of_rule(rule, linux.at("6.18.45"))) == "run~"
    assert word(confidence.of_rule(rule, linux.at("9.0"))) == "assumed~"
    windows = catalog.expectations("windows")
    # nobody ran it: what was said of it counts as what it is
    assert {confidence.of_rule(rule, windows.at("10")).method for rule in windows.all_rules()} <= {
        "tested elsewhere",
        "documentation",
        "report",
        "unknown",
    }


def stands_for(folder: Folder, **row: object) -> None:
    """Say what the recorded host demo-1.0 stands for."""
    row = {"why": "the stack of 0.9 with the bind() of 1.0", "release": "0.9", "functions": {"1.0": ["bind()"]}, **row}
    folder.describe("demo-1.0", **row)


def test_a_transplanted_stack_stands_for_the_functions_of_its_parts(folder: Folder) -> None:
    stands_for(folder)
    folder.change("{observed: demo-1.0/pairs}", '{source: "demo.c bind()"}, {observed: demo-1.0/pairs}')
    expectations = at(folder, "1.0")
    assert word(confidence.of_rule(expectations.by_id["demo.conflict"], expectations)) == "run"
    # nothing says that this one is of bind() too, so it is of 0.9
    assert word(confidence.of_rule(expectations.by_id["demo.free"], expectations)) == "run~"


def test_releases_that_gave_the_same_are_measured_too(folder: Folder) -> None:
    stands_for(folder, functions={"1.5": ["bind()"]}, release="1.0", alike=["2.0"])
    words = []
    for release in ("1.0", "1.5", "2.0"):
        expectations = at(folder, release)
        words.append(word(confidence.of_rule(expectations.by_id["demo.free"], expectations)))
    assert words == ["run", "run~", "run"]


def test_what_a_divergence_contradicts_was_not_measured(folder: Folder) -> None:
    expectations = at(folder, "1.0")
    rule = expectations.by_id["demo.conflict"]
    assert word(confidence.of_rules([rule], expectations, {rule})) == "run~"
    assert word(confidence.of_rules([rule], expectations, {expectations.by_id["demo.free"]})) == "run"


@pytest.mark.parametrize(
    "text",
    [
        "{",
        "[]",
        '{"demo-1.0": {}}',
        '{"demo-1.0": {"why": "", "release": "1.0"}}',
        '{"demo-1.0": {"method": "measured", "why": "", "release": "1.0"}}',
        '{"demo-1.0": {"method": "documentation", "why": "", "release": "1.0"}}',
        '{"demo-1.0": {"method": "run", "why": "", "release": "1.0", "runs": 3}}',
    ],
)
def test_hosts_that_cannot_be_read(folder: Folder, text: str) -> None:
    """A claim must not become stronger because the file that weakens it is damaged."""
    (folder.evidence / "hosts.json").write_text(text, encoding="utf-8")
    expectations = at(folder, "1.0")
    with pytest.raises(Problem, match=r"expected \{HOST"):
        confidence.of_rule(expectations.by_id["demo.conflict"], expectations)


def test_a_host_that_nobody_describes_counts_as_the_weakest(folder: Folder) -> None:
    (folder.evidence / "hosts.json").unlink()
    expectations = at(folder, "1.0")
    assert word(confidence.of_rule(expectations.by_id["demo.conflict"], expectations)) == "report"


def test_a_recording_of_the_release_is_better_than_a_stronger_method_elsewhere(folder: Folder) -> None:
    pair = "a=tcp4 a.bind=0.0.0.0 b=tcp4 b.bind=0.0.0.0"
    folder.record("pairs", {pair: ["ok", "ok", "ok", "EADDRINUSE"]}, host="demo-1.5")
    folder.describe("demo-1.5", method="compiled")
    folder.write(GOOD)
    expectations = at(folder, "1.5")
    found = confidence.of_rule(expectations.by_id["demo.conflict"], expectations)
    assert found.as_dict() == {"method": "compiled", "release": "1.5"}
    other = at(folder, "1.6")
    found = confidence.of_rule(other.by_id["demo.conflict"], other)
    assert found.as_dict() == {"method": "run", "release": "1.0", "stretched": "1.6 is newer"}
    assert found.text == "run on 1.0 (1.6 is newer)"


def test_in_words_a_compiled_stack_says_what_was_put_in(folder: Folder) -> None:
    stands_for(folder, method="compiled")
    expectations = at(folder, "0.9")
    assert confidence.of_rule(expectations.by_id["demo.conflict"], expectations).text == "assumed, release not covered"
    expectations = at(folder, "1.0")
    found = confidence.of_rule(expectations.by_id["demo.conflict"], expectations)
    assert found.text == "compiled from 0.9 with parts of 1.0 (what decides here is of 0.9)"


def test_the_methods_are_in_the_order_of_their_strength() -> None:
    assert [method.strength for method in Method] == list(range(len(Method)))
    assert set(confidence.WORDS) - {"assumed", "unknown"} == set(Method)


PAIR = "a=tcp4 a.bind=0.0.0.0 b=tcp4 b.bind=127.0.0.1"
LEFT = "a=tcp4 a.bind=127.0.0.1 a.listen c=tcp4 c.connect=127.0.0.1 x=a.accept"


@pytest.mark.parametrize(
    ("os", "release", "scenario", "expected"),
    [
        # in_pcbbind_avail() of main was in the stack of the recording, everything else was 13.0's
        ("freebsd", "15", PAIR, "compiled"),
        ("freebsd", "15", f"{PAIR} b.listen", "compiled~"),
        ("freebsd", "15", "a=udp4 a.bind=127.0.0.1 deliver=127.0.0.1", "compiled~"),
        ("freebsd", "15", "a=udp4 a.reuseport=1 a.bind=0.0.0.0 deliver=127.0.0.1", "source"),
        ("freebsd", "15", f"{LEFT} x.close c.read c.close a.close b=tcp4 b.bind=127.0.0.1", "compiled~"),
        ("freebsd", "14.0", PAIR, "compiled~"),
        ("freebsd", "13.0", f"{PAIR} b.listen", "compiled"),
        ("freebsd", "13.0", "a=udp4 a.bind=127.0.0.1 deliver=127.0.0.1", "compiled"),
        # in_pcbbind() of 15.5 in the stack of 11.5, which gave the same without it
        ("macos", "15.5", PAIR, "compiled"),
        ("macos", "15.5", f"{PAIR} b.listen", "compiled~"),
        ("macos", "11.5", f"{PAIR} b.listen", "compiled"),
        ("macos", "11.5", "a=udp4 a.bind=127.0.0.1 deliver=127.0.0.1", "compiled"),
    ],
)
def test_what_transplanted_stacks_are_evidence_for(os: str, release: str, scenario: str, expected: str) -> None:
    predictor = Predictor(catalog.expectations(os).at(release))
    assert json.loads(predictor.line(scenario))["confidence"]["method"] == expected.rstrip("~")
    assert ("stretched" in json.loads(predictor.line(scenario))["confidence"]) == expected.endswith("~")


@pytest.mark.parametrize(
    ("os", "release", "scenario", "expected"),
    [
        (
            "linux",
            "6.1.192",
            "a=tcp6 a.v6only=0 a.bind=::ffff:0.0.0.0 b=tcp6 b.v6only=0 b.bind=::ffff:127.0.0.1",
            "run~",
        ),
        ("macos", "15.5", "a=tcp4 a.bind=255.255.255.255", "source"),
    ],
)
def test_a_prediction_with_a_divergence_does_not_claim_to_be_measured(
    os: str, release: str, scenario: str, expected: str
) -> None:
    expectations = catalog.expectations(os)
    line = json.loads(Predictor(expectations.at(release), divergences.of(expectations, release)).line(scenario))
    assert line["actual"] != line["outcomes"]
    assert line["confidence"]["method"] == expected.rstrip("~")
    assert ("stretched" in line["confidence"]) == expected.endswith("~")
