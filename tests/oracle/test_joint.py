"""An oracle of several models answers as the oracle of each does."""

from __future__ import annotations

from dataclasses import replace

import pytest
from bindmatrix.generate.sequences import random_sequences
from bindmatrix.notation import parse
from bindmatrix.oracle import joint
from bindmatrix.oracle.oracle import Oracle
from bindmatrix.rules import catalog
from bindmatrix.rules.boundaries import stretches
from bindmatrix.rules.sockets import ANY, Call, Sock, State


@pytest.mark.parametrize("os", ["linux", "freebsd", "illumos"])
def test_every_member_answers_as_it_does_alone(os: str) -> None:
    expectations = catalog.expectations(os)
    every = stretches(expectations)
    models = [expectations.at(one.probe) for one in (every[0], every[len(every) // 2], every[-1])]
    alone = [Oracle(model) for model in models]
    parted = 0
    for those in joint.alike(models):
        together = joint.JointOracle([models[number] for number in those])
        for text in random_sequences(7, 150, users=True):
            ways = [(together.members, together.start)]
            nodes = {number: alone[those[number]].start for number in together.members}
            for step in parse(text).steps:
                edges = [one for members, node in ways for one in together.edges(node, step, members)]
                assert sorted(number for members, _ in edges for number in members) == sorted(together.members)
                for members, edge in edges:
                    for number in members:
                        own = alone[those[number]].edge(nodes[number], step)
                        assert (edge.expected, edge.rules) == (own.expected, own.rules), text
                        nodes[number] = own.node
                ways = [(members, edge.node) for members, edge in edges]
            parted += len(ways) > 1
    assert parted or os == "illumos"  # of illumos the models differ in what is no rule


def test_models_with_the_same_set_up_have_one_oracle() -> None:
    linux, freebsd = catalog.expectations("linux"), catalog.expectations("freebsd")
    older, newer, other = linux.at("6.1.192"), linux.at("6.18.44"), freebsd.at("14.1")
    assert joint.alike([older, other, newer]) == [[0, 2], [1]]
    assert joint.alike([older, newer.on_port(20480)]) == [[0], [1]]
    assert joint.alike([newer, replace(newer, rules={**newer.rules, "other": ()})]) == [[0], [1]]
    # what a section leaves of a refused call decides which states there are
    leaves = replace(newer.rules["bind"][0], then="dead")
    assert joint.alike([newer, replace(newer, rules={**newer.rules, "bind": (leaves,)})]) == [[0], [1]]


def test_a_step_is_worked_out_once_for_those_that_agree() -> None:
    """socket() is the same in both releases."""
    linux = catalog.expectations("linux")
    together = joint.JointOracle([linux.at("6.1.192"), linux.at("6.18.44")])
    step = parse("a=tcp4").steps[0]
    edges = together.edges(together.start, step, together.members)
    assert [members for members, _ in edges] == [frozenset({0, 1})]
    assert together.edges(together.start, step, together.members) is edges
    assert [members for members, _ in together.edges(together.start, step, frozenset({1}))] == [frozenset({1})]
    together.forget()
    again = together.edges(together.start, step, together.members)
    assert again is not edges
    assert [(members, edge.expected) for members, edge in again] == [(frozenset({0, 1}), "ok")]


def test_models_stay_together_as_long_as_they_agree() -> None:
    """Both releases let the first bind() in, and refuse the second by different rules."""
    linux = catalog.expectations("linux")
    together = joint.JointOracle([linux.at("5.16"), linux.at("6.1")])
    node = together.start
    for step in parse("a=tcp4 a.bind=0.0.0.0 b=tcp4").steps:
        ((members, edge),) = together.edges(node, step, together.members)
        assert members == together.members, step
        node = edge.node
    conflict = parse("b=tcp4 b.bind=0.0.0.0").steps[-1]
    parted = together.edges(node, conflict, together.members)
    assert [(sorted(members), edge.rules[0].id) for members, edge in parted] == [
        ([0], "linux.tcp-conflict-chain"),
        ([1], "linux.tcp-conflict-no-time-wait"),
    ]


def test_rules_of_another_protocol_part_nobody() -> None:
    linux = catalog.expectations("linux")
    models = [linux.at("5.16"), linux.at("6.1")]
    evaluator = joint.JointEvaluator(models)
    assert evaluator._grouped("bind", "udp", frozenset({0, 1})) == [[0, 1]]
    assert evaluator._grouped("bind", "tcp", frozenset({0, 1})) == [[0], [1]]
    # what states keep is that of the rules of all
    assert {rule.id for model in models for rule in model.rules["bind"]} == {
        rule.id for rule in evaluator.model.rules["bind"]
    }


def test_which_rules_are_the_same_is_found_out_once(monkeypatch: pytest.MonkeyPatch) -> None:
    linux = catalog.expectations("linux")
    evaluator = joint.JointEvaluator([linux.at("5.16"), linux.at("6.1")])
    new = Sock("a", "tcp", "ipv4", 0, form="ipv4", kind="wildcard", v4=ANY)
    decided = evaluator.decide("bind", Call("bind"), new, State(0))
    monkeypatch.setattr(evaluator, "_grouped", None)
    assert evaluator.decide("bind", Call("bind"), new, State(0)) == decided
