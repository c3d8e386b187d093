"""Confidence is computed from the evidence and from what was measured."""

from __future__ import annotations

import pytest

from conformance.oracle import catalog, confidence
from conformance.oracle.automaton import Oracle
from conformance.oracle.branches import API
from conformance.oracle.expectation import Expectations
from tests.lint.conftest import GOOD, Folder


def at(folder: Folder, release: str) -> Expectations:
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
