"""What is left open where the rules do not say it, most of it in models without rules of ``deliver``."""

from __future__ import annotations

from dataclasses import replace

import pytest
from bindmatrix.notation import parse
from bindmatrix.oracle.oracle import Edge, Oracle
from bindmatrix.rules import catalog
from bindmatrix.rules.model import DeliverRule, SocketProfile

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
        # neither has the address and the port of the connection
        (f"u=udp4 u.bind=127.0.0.1 {CLIENT}", "refused", ["api.nobody-listens"]),
        (f"a=tcp4 a.bind=127.0.0.1,0 a.listen {CLIENT}", "refused", ["api.nobody-listens"]),
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


def test_after_a_connection_that_nobody_knows_about_the_client_is_connected_or_as_before() -> None:
    """A listener has its connection only if the client is connected; what receives datagrams has none of them."""
    for text, queued in (
        (f"{LISTENER} {CLIENT}", ["a"]),
        ("a=unix a.bind=/x a.listen c=unix c.connect=/x", ["a"]),
        ("a=unixgram a.bind=/x c=unixgram c.connect=/x", []),
        ("a=unix a.bind=/x a.listen c=unixgram c.connect=/x", []),
    ):
        edge = last(Oracle(NOTHING), text)
        assert (edge.expected, ids(edge)) == (None, ["api.not-described"])
        (connected,), (failed,) = edge.after("ok").states, edge.after("ECONNREFUSED").states
        client = {state: next(sock.state for sock in state.socks if sock.name == "c") for state in (connected, failed)}
        assert (client[connected], client[failed]) == ("connected", "open")
        assert [sock.listener for sock in connected.socks if sock.queued] == queued
        assert not any(sock.queued for sock in failed.socks)


def test_a_kind_of_socket_with_ports_of_its_own_connects_to_that_kind() -> None:
    apart = {**LINUX.stack.sockets, "mptcp": SocketProfile("tcp", ports="own")}
    oracle = Oracle(replace(LINUX, stack=replace(LINUX.stack, sockets=apart)))
    for listener, expected in (("tcp4", "ECONNREFUSED"), ("mptcp4", "ok")):
        text = f"a={listener} a.bind=127.0.0.1 a.listen c=mptcp4 c.connect=127.0.0.1"
        assert last(oracle, text).expected == expected
        assert last(Oracle(LINUX), text).expected == "ok"


@pytest.mark.parametrize(
    ("os", "release", "outcome"),
    [("linux", "6.18.44", "EADDRNOTAVAIL"), ("freebsd", "13.0", "EADDRINUSE"), ("illumos", "2021.04", "ECONNREFUSED")],
)
def test_the_ends_of_an_accepted_connection_are_taken(os: str, release: str, outcome: str) -> None:
    """A connect() from the address of the listener to that of the client would be the same connection.

    Seen live on Linux 6.18.44. On illumos no rule speaks of it.
    """
    text = (
        "a=tcp4 a.reuseaddr=1 a.bind=127.0.0.2 a.listen c=tcp4 c.reuseaddr=1 c.bind=127.0.0.1 c.connect=127.0.0.2 "
        "x=a.accept a.close d=tcp4 d.reuseaddr=1 d.bind=127.0.0.2 d.connect=127.0.0.1"
    )
    oracle = Oracle(catalog.expectations(os).at(release))
    assert last(oracle, text).expected == outcome
    elsewhere = text.replace("d.bind=127.0.0.2", "d.bind=127.0.0.3")
    assert last(Oracle(LINUX), elsewhere).expected == "ECONNREFUSED"


@pytest.mark.parametrize(
    ("sockets", "delivery", "expected"),
    [
        # stream sockets first, and of datagram sockets UDP before UDP-Lite
        ("a=tcp4 a.bind=0.0.0.0 a.listen b=udp4 b.bind=0.0.0.0", "deliver=127.0.0.1", "a"),
        ("a=tcp4 a.bind=0.0.0.0 a.listen b=udp4 b.bind=0.0.0.0", "deliver_flow=127.0.0.1", "b"),
        ("a=tcp4 a.bind=0.0.0.0 a.listen b=udp4 b.bind=0.0.0.0 b.join=224.0.0.251", "deliver=224.0.0.251", "b"),
        ("a=tcp4", "deliver=224.0.0.251", "none"),
        ("a=udplite4 a.bind=127.0.0.1 b=udp4 b.bind=127.0.0.1", "deliver=127.0.0.1", "b"),
        ("b=udp4 b.bind=127.0.0.1 a=udplite4 a.bind=127.0.0.1", "deliver=127.0.0.1", "b"),
        ("a=udplite4 a.bind=127.0.0.1", "deliver=127.0.0.1", "a"),
        # only sockets of this host that are open and have such addresses count
        (
            f"{LISTENER} c=tcp4 c.connect=127.0.0.1 x=a.accept a.close x.close c.close",
            "deliver=127.255.255.255",
            "EACCES",
        ),
        ("a=tcp4", "deliver=127.255.255.255", "ENETUNREACH"),
        ("a=tcp4 a.close", "deliver=127.255.255.255", "EACCES"),
        ("c=remote4", "deliver=127.255.255.255", "EACCES"),
        ("a=unix", "deliver=127.255.255.255", "EACCES"),
        ("", "deliver=127.255.255.255", "EACCES"),
        ("c=remote4 b=udp4 b.bind=127.0.0.1", "deliver=127.0.0.1", "b"),
        ("a=tcp4 u=unixgram u.bind=/x", "deliver=/x", "u"),
        ("b=udp4 u=unix u.bind=/x u.listen", "deliver=/x", "u"),
        ("u=unixgram u.bind=/x v=unix", "deliver=/x", "EPROTOTYPE"),
        ("", "deliver=/x", "ENOENT"),
        ("u=unixgram", "deliver=/x", "ENOENT"),
        # an unspecified destination is the loopback address
        ("a=udp4 a.bind=127.0.0.1", "deliver=0.0.0.0", "a"),
        ("a=udp4 a.bind=127.0.0.1", "deliver=::ffff:0.0.0.0", "a"),
        ("a=udp4 a.bind=127.0.0.2", "deliver=0.0.0.0", "refused"),
        ("a=udp6 a.bind=::1", "deliver=::", "a"),
        # whether an ordinary user may write to the file is not known
        ("u=unix u.bind=/x u.listen user=1001", "deliver=/x", None),
    ],
)
def test_the_clients_of_a_delivery_are_the_plainest_that_fit(sockets: str, delivery: str, expected: str | None) -> None:
    """Seen live on Linux 6.18.44, the last one excepted."""
    assert last(Oracle(LINUX), f"{sockets} {delivery}".strip()).expected == expected


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


def test_a_lookup_of_which_nothing_is_known_may_have_changed_the_order_of_the_next() -> None:
    """NetBSD moves a `::` that it found to the head of its chain; IPv4 finds the dual one, the older of the two."""
    oracle = Oracle(catalog.expectations("netbsd").at("9.0"))
    sockets = "a=udp6 a.v6only=0 a.reuseport=1 a.bind=:: b=udp6 b.v6only=1 b.reuseport=1 b.bind=::"
    for before, expected in (("", "b"), ("deliver=127.0.0.1 ", "a"), ("deliver=0.0.0.0 ", ("a", "b"))):
        assert last(oracle, f"{sockets} {before}deliver=::1").expected == expected


def test_a_connection_of_which_nothing_is_known_may_have_changed_the_order_of_the_next() -> None:
    netbsd = catalog.expectations("netbsd").at("9.0")
    unknown = DeliverRule(id="unknown-ipv4", section="deliver", when=(("new.form", ("ipv4",)),), pick="unknown")
    model = replace(netbsd, rules={**netbsd.rules, "deliver": (unknown, *netbsd.deliveries)})
    sockets = "a=tcp6 a.v6only=0 a.reuseport=1 a.bind=:: a.listen b=tcp6 b.v6only=1 b.reuseport=1 b.bind=:: b.listen"
    client = "c=tcp4 c.connect=127.0.0.1"
    assert last(Oracle(netbsd), f"{sockets} deliver=::1").expected == "b"
    assert last(Oracle(netbsd), f"{sockets} {client} c.close deliver=::1").expected == "a"
    assert last(Oracle(model), f"{sockets} {client}").expected is None
    assert last(Oracle(model), f"{sockets} {client} c.close deliver=::1").expected == ("a", "b")
