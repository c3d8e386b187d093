"""Proofs that rules can never decide: what occurs is in the worlds, and what is called dead never decides."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import replace

import pytest
from bindmatrix.lint.fact_space import Worlds, both, subtract
from bindmatrix.lint.reachability import Reach
from bindmatrix.lint.replay import lines, recorded_sets
from bindmatrix.lint.tracing import TracingOracle
from bindmatrix.notation import step
from bindmatrix.oracle.trace import Decision
from bindmatrix.rules import catalog, vocabulary
from bindmatrix.rules.boundaries import probes
from bindmatrix.rules.facts import EXISTING, FACTS, SPACED
from bindmatrix.rules.loader import loads
from bindmatrix.rules.model import Model
from bindmatrix.rules.sockets import Sock, on_port
from hypothesis import given, settings

from tests.lint.conftest import GOOD
from tests.oracle.reference import ReferenceEvaluator
from tests.oracle.test_evaluators import FILES

EVERY = 83


def test_every_fact_is_in_a_group() -> None:
    stack = loads(GOOD, "demo.yaml").stack
    found = set()
    for section in vocabulary.SECTIONS:
        for group in Worlds(section, stack, asks=True).groups:
            found |= {key.partition("@")[0] for key, _ in group.masks}
    assert found == set(FACTS)


def decisions(os: str) -> Iterator[tuple[Model, Decision]]:
    """What was asked in recorded runs, a sample."""
    expectations = catalog.expectations(os)
    for host, sets in itertools.groupby(recorded_sets(catalog.folder() / "evidence", os), lambda one: one.host):
        sampled = [
            line
            for recorded in sets
            for line in itertools.islice(lines(recorded, expectations, []), len(host) % EVERY, None, EVERY)
        ]
        for release, some in itertools.groupby(sampled, lambda line: line.release):
            at = expectations.at(release)
            oracle = TracingOracle(at, keep=True)
            for line in some:
                node = oracle.start
                for word in line.observation.scenario.split(" "):
                    node = oracle.edge(node, step(word)).node
            for found in oracle.decisions.values():
                for decision in found:
                    yield at, decision


@pytest.mark.slow
@pytest.mark.parametrize("os", catalog.names())
def test_what_occurs_in_recorded_runs_is_in_the_worlds(os: str) -> None:
    naive: dict[int, ReferenceEvaluator] = {}
    worlds: dict[tuple[int, str], Worlds] = {}
    seen = set()
    for model, decision in decisions(os):
        key = (id(model), decision.section)
        if key not in worlds:
            worlds[key] = Reach(model).worlds(decision.section)
            naive[key[0]] = ReferenceEvaluator(model)
        new, state = decision.new, decision.state
        asks = any(name == "existing.form" for group in worlds[key].groups for name, _ in group.masks)
        others = [sock for sock in on_port(state, new) if not (sock.name and sock.name == new.name)]
        for sock in others if asks else [None]:
            question = (key, decision.call, new, sock)
            if question not in seen and new.protocol:
                seen.add(question)
                _in_worlds(worlds[key], naive[key[0]], decision, sock)
    assert len(seen) > 20


def _in_worlds(worlds: Worlds, naive: ReferenceEvaluator, decision: Decision, sock: Sock | None) -> None:
    for group in worlds.groups:
        left = group.all
        facts = {}
        for key in dict.fromkeys(key for key, _ in group.masks):
            name, _, space = key.partition("@")
            if space == "one" and not (decision.new.v4 or decision.new.v6):
                continue
            if sock is None and FACTS[name].scope == EXISTING:
                continue
            facts[key] = naive.value(name, decision.call, decision.new, sock, space or "any", decision.state)
            if (key, facts[key]) in group.masks:
                left &= group.masks[key, facts[key]]
            elif facts[key]:
                left = 0
        assert left, (facts, decision)


def scenarios() -> list[str]:
    """Recorded scenarios of every kind."""
    linux = catalog.expectations("linux")
    return [
        line.observation.scenario
        for recorded in recorded_sets(catalog.folder() / "evidence", "linux")
        if recorded.host == "linux-6.18.44"
        for line in itertools.islice(lines(recorded, linux, []), 3, None, 211)
    ]


SCENARIOS = scenarios()


@pytest.mark.slow
@settings(max_examples=settings.default.max_examples // 10)  # each asks hundreds of scenarios
@given(FILES)
def test_a_dead_rule_never_decides(model: Model) -> None:
    dead = {(one.section, one.rule.id) for one in Reach(model).dead()}
    oracle = TracingOracle(model, keep=True)
    for scenario in SCENARIOS:
        oracle.predict(scenario)
    decided = {(one.section, rule.id) for some in oracle.decisions.values() for one in some for rule in one.rules}
    decided |= {("deliver", rule.id) for edge in oracle.decisions for rule in edge.rules if rule.section == "deliver"}
    assert not dead & decided


@pytest.mark.parametrize("os", catalog.names())
def test_a_rule_after_its_own_copy_is_dead(os: str) -> None:
    expectations = catalog.expectations(os)
    at = expectations.at(probes(expectations)[-1])
    for section, rules in at.rules.items():
        for index, rule in enumerate(rules[:-1]):
            copy = replace(rule, id=f"{rule.id}-copy")
            twice = (*rules[: index + 1], copy, *rules[index + 1 :])
            dead = Reach(replace(at, rules={**at.rules, section: twice})).dead()
            collects = at.stack.several == "any" and rule.ask and rule.action != "allow"
            found = [one for one in dead if one.rule is copy]
            assert bool(found) != bool(collects), (section, rule.id)
            assert all(rule.id in one.by for one in found)


@pytest.mark.parametrize("os", catalog.names())
def test_the_files_have_no_dead_rule(os: str) -> None:
    expectations = catalog.expectations(os)
    for release in probes(expectations):
        reach = Reach(expectations.at(release))
        assert not reach.dead()
        assert not reach.undecided()


def test_boxes() -> None:
    whole = (0b111, 0b11)
    assert both(whole, (0b100, 0b01)) == (0b100, 0b01)
    assert both((0b100, 0b11), (0b011, 0b11)) is None
    left = subtract([whole], (0b100, 0b01))
    assert sum(a.bit_count() * b.bit_count() for a, b in left) == 5
    assert subtract(left, (0b100, 0b10)) == [(0b011, 0b11)]
    assert subtract([(0b011, 0b11)], whole) == []


def test_releases_stand_for_all_bounds() -> None:
    found = probes(catalog.expectations("linux"))
    assert {"5.10", "6.1", "6.1.168", "6.8", "7.0", "7.3.4"} <= set(found)
    assert probes(catalog.expectations("illumos")) == ["2021.04", "omnios-2021.04"]


def test_spaced_facts_are_facts() -> None:
    assert set(SPACED) <= set(FACTS)
