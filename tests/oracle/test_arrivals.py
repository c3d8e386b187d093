"""What is left open where the rules do not say it, most of it in models without rules of ``deliver``."""

from __future__ import annotations

from dataclasses import replace

import pytest
from bindmatrix.notation import parse
from bindmatrix.oracle.oracle import Edge, Oracle
from bindmatrix.rules import catalog

LINUX = catalog.expectations("linux").at("6.18.44")
#: no such section: the socket interface alone decides
WITHOUT = replace(LINUX, rules={name: rules for name, rules in LINUX.rules.items() if name != "deliver"})
#: a section of which no rule is about this: anybody may be found
NOTHING = replace(LINUX, rules={**LINUX.rules, "deliver": ()})

LISTENER = "a=tcp4 a.reuseport=1 a.bind=127.0.0.1 a.listen"
BOUND = "b=tcp4 b.reuseport=1 b.bind=127.0.0.1"
CLIENT = "c=tcp4 c.connect=127.0.0.1"


def last(oracle: Oracle, text: str) -> Edge:
    node = oracle.start
    for step in parse(text).steps:
        edge = oracle.edge(node, step)
        node = edge.node
    return edge


def ids(edge: Edge) -> list[str]:
    return [rule.id for rule in edge.rules]


@pytest.mark.parametrize(
    ("text", "expected", "rules"),
    [
        (CLIENT, "refused", ["api.nobody-listens"]),
        (f"{LISTENER} {CLIENT}", "ok", ["api.listener"]),
        (f"{BOUND} {CLIENT}", None, ["api.not-described"]),
        (f"{LISTENER} {BOUND} {CLIENT}", None, ["api.listener", "api.not-described"]),
        (f"{LISTENER} a.close {CLIENT}", "refused", ["api.nobody-listens"]),
    ],
)
def test_a_socket_that_is_bound_and_does_not_listen_may_swallow_a_connection(
    text: str, expected: str | None, rules: list[str]
) -> None:
    edge = last(Oracle(WITHOUT), text)
    assert (edge.expected, ids(edge)) == (expected, rules)


def test_a_connection_that_nobody_knows_about_went_to_a_listener_or_failed() -> None:
    oracle = Oracle(NOTHING)
    edge = last(oracle, f"{LISTENER} {BOUND} {CLIENT}")
    assert (edge.expected, ids(edge)) == (None, ["api.not-described"])
    assert set(edge.branches) == {"ok", "refused"}
    (state,) = edge.after("ok").states
    assert [(sock.listener, sock.queued) for sock in state.socks if sock.queued] == [("a", True)]
    (failed,) = edge.after("ECONNRESET").states
    assert not any(sock.queued for sock in failed.socks)
    for outcome, accepted in (("ok", "ok"), ("ECONNRESET", "timeout")):
        step = parse(f"{LISTENER} {CLIENT} x=a.accept").steps[-1]
        assert oracle.edge(edge.after(outcome), step).expected == accepted


def test_a_listener_elsewhere_gets_no_connection() -> None:
    edge = last(Oracle(NOTHING), f"{LISTENER} c=tcp4 c.connect=127.0.0.2")
    assert "ok" not in edge.branches
    assert not any(sock.queued for state in edge.node.states for sock in state.socks)


def test_a_delivery_that_nobody_knows_about_changes_nothing() -> None:
    oracle = Oracle(NOTHING)
    edge = last(oracle, f"{LISTENER} deliver=127.0.0.1")
    assert (edge.expected, ids(edge)) == (None, ["api.not-described"])
    assert edge.node is last(oracle, LISTENER).node


def test_an_ipv6_socket_that_joins_a_group_of_ipv4_has_joined_it_or_failed() -> None:
    edge = last(Oracle(LINUX), "a=udp6 a.join=224.0.0.251")
    assert edge.expected is None
    joined, failed = (edge.after(outcome).states for outcome in ("ok", "EINVAL"))
    assert [[sock.joined for sock in state.socks] for state in (*joined, *failed)] == [[("224.0.0.251",)], [()]]
