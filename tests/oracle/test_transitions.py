"""What calls leave behind on every system: the queue of a listener, the memory of a port, the end of TIME_WAIT."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest
from bindmatrix.oracle.oracle import Oracle
from bindmatrix.rules import catalog
from bindmatrix.rules.model import ALLOW, REFUSE, CallRule

NotOk = Callable[[str, str, str], str]

SYSTEMS = [("linux", "6.18.44"), ("freebsd", "14.1"), ("windows", "10.0.20348")]


@pytest.mark.parametrize(("os", "release"), SYSTEMS)
def test_accept_takes_the_connection_that_came_first(not_ok: NotOk, os: str, release: str) -> None:
    """The listener is closed with the later one in its queue: that one is reset.  Seen live on Linux 6.18.44."""
    text = (
        "a=tcp4 a.bind=0.0.0.0 a.listen c=tcp4 c.connect=127.0.0.1 d=tcp4 d.connect=127.0.0.2 x=a.accept a.close "
        "c.read d.read"
    )
    assert not_ok(os, release, text) == "c.read=timeout d.read=ECONNRESET"


def test_a_udp_socket_does_not_keep_the_memory_of_a_tcp_port(not_ok: NotOk) -> None:
    """The memory is that of the last TCP bind with SO_REUSEPORT; ``a`` was the last TCP socket of the port.

    With that memory ``b`` would not be compared and would leave ``a``'s wildcard there, by which ``c`` would be let in.
    Seen live on Linux 6.18.44.
    """
    text = (
        "u=udp4 u.bind=127.0.0.1 a=tcp4 a.reuseport=1 a.bind=0.0.0.0 a.close b=tcp4 b.reuseport=1 b.bind=127.0.0.1 "
        "b.reuseport=0 c=tcp4 c.reuseport=1 c.bind=0.0.0.0"
    )
    assert not_ok("linux", "6.18.44", text) == "c.bind=EADDRINUSE"
    kept = text.replace("a.close", "t=tcp4 t.reuseport=1 t.bind=0.0.0.0 a.close t.reuseport=0")
    assert not_ok("linux", "6.18.44", kept) == ""


def test_time_wait_ends_with_its_last_millisecond(not_ok: NotOk) -> None:
    """60 s on Linux (include/net/tcp.h TCP_TIMEWAIT_LEN), waited for at once or in parts."""
    text = "a=tcp4 a.bind=127.0.0.1 a.listen c=tcp4 c.connect=127.0.0.1 x=a.accept x.close c.read c.close a.close "
    again = " b=tcp4 b.bind=127.0.0.1"
    for wait, steps in {
        "": "b.bind=EADDRINUSE",
        "wait=59999": "b.bind=EADDRINUSE",
        "wait=60000": "",
        "wait=30000 wait=29999": "b.bind=EADDRINUSE",
        "wait=30000 wait=30000": "",
    }.items():
        assert not_ok("linux", "6.18.44", text + wait + again) == steps, wait


@pytest.mark.parametrize(
    "text", ["a=tcp4 a.read", "a=tcp6 a.bind=::1 a.read", "a=tcp4 a.bind=127.0.0.1 a.listen a.read"]
)
def test_a_tcp_socket_that_never_connected_has_nothing_to_read(not_ok: NotOk, text: str) -> None:
    """recv(2); seen live on Linux 6.18.44 and gVisor 20221219."""
    for os, release in [("linux", "6.18.44"), ("gvisor", "20221219"), ("freebsd", "14.1")]:
        assert not_ok(os, release, text) == "a.read=ENOTCONN"


def test_a_client_that_was_refused_reads_something_else_on_some_systems(not_ok: NotOk) -> None:
    """Linux 6.18.44 says ENOTCONN, gVisor 20221219 the end of the file."""
    text = "a=tcp4 a.connect=127.0.0.1 a.read"
    assert not_ok("linux", "6.18.44", text) == "a.connect=ECONNREFUSED a.read=ENOTCONN"
    assert not_ok("gvisor", "20221219", text) == "a.connect=ECONNREFUSED a.read=?"
    assert not_ok("illumos", "2021.04", "a=tcp4 a.read") == "a.read=?"


@pytest.mark.parametrize(("os", "release"), SYSTEMS)
def test_a_udp_socket_connects_again(not_ok: NotOk, os: str, release: str) -> None:
    """connect(2); what that makes of its port is not modelled, so that nothing is said after it."""
    text = "a=udp4 a.bind=0.0.0.0 a.connect=127.0.0.1 a.connect=127.0.0.2"
    assert not_ok(os, release, text) == ""
    assert not_ok(os, release, f"{text} b=udp4 b.bind=127.0.0.2").endswith("b.bind=?")


def test_a_udp_socket_connects_to_a_broadcast_address_only_where_a_rule_speaks_of_it(not_ok: NotOk) -> None:
    """Whether 255.255.255.255 can be reached depends on the routes of the host, which no rule knows."""
    assert not_ok("linux", "6.18.44", "a=udp4 a.broadcast=1 a.connect=127.255.255.255") == ""
    assert not_ok("linux", "6.18.44", "a=udp4 a.broadcast=1 a.connect=255.255.255.255") == "a.connect=?"
    for os, release in [("windows", "10.0.20348"), ("illumos", "2021.04"), ("gvisor", "20221219")]:
        assert not_ok(os, release, "a=udp4 a.connect=127.255.255.255") == "a.connect=?"


@pytest.mark.parametrize(
    ("os", "release", "outcome"),
    [("freebsd", "14.1", "EAFNOSUPPORT"), ("macos", "15.5", "EAFNOSUPPORT"), ("netbsd", "9.0", "EINVAL")],
)
def test_the_unspecified_ipv6_address_is_an_ipv6_destination(
    not_ok: NotOk, os: str, release: str, outcome: str
) -> None:
    """An IPv4-mapped source never goes to an IPv6 destination."""
    text = "a=tcp6 a.v6only=0 a.bind=::ffff:127.0.0.1 a.connect=::"
    assert not_ok(os, release, text) == f"a.connect={outcome}"


@pytest.mark.parametrize("call", ["a.listen", "a.bind=127.0.0.1", "a.read", "x=a.accept", "a.reuseaddr=1", "a.close"])
def test_a_call_on_a_closed_socket_fails_even_where_nothing_else_is_known(not_ok: NotOk, call: str) -> None:
    name = call.partition("=")[0]
    for before in ("a=tcp4 a.close", "a=tcp4 b=udp4 b.bind=0.0.0.0 b.connect=127.0.0.1 b.connect=127.0.0.2 a.close"):
        assert not_ok("linux", "6.18.44", f"{before} {call}").split()[-1] == f"{name}=EBADF"


def test_a_kind_of_socket_that_a_rule_refuses_need_not_be_described() -> None:
    lwip = catalog.expectations("lwip").at("2.1.3")
    refuses = CallRule(id="no-vsock", section="socket", action=REFUSE, errors=("EAFNOSUPPORT",), why="there is none")
    model = replace(lwip, rules={**lwip.rules, "socket": (refuses,)})
    assert Oracle(lwip).predict("a=vsock").outcomes == (None,)
    assert Oracle(model).predict("a=vsock").outcomes == ("EAFNOSUPPORT",)
    assert Oracle(model).predict("a=vsock a.close").outcomes == ("EAFNOSUPPORT", "EBADF")


def test_a_bind_to_an_address_of_the_other_family_is_not_described_where_no_rule_refuses_it() -> None:
    linux = catalog.expectations("linux").at("6.18.44")
    allows = CallRule(id="any", section="bind", action=ALLOW, why="whatever the address")
    oracle = Oracle(replace(linux, rules={**linux.rules, "bind": (allows,)}))
    assert oracle.predict("a=tcp4 a.bind=127.0.0.1").outcomes == ("ok", "ok")
    assert oracle.predict("a=tcp4 a.bind=::1").outcomes == ("ok", None)
    assert oracle.predict("a=udp6 a.bind=127.0.0.1").outcomes == ("ok", None)


def test_a_rule_of_socket_may_ask_for_the_user() -> None:
    linux = catalog.expectations("linux").at("6.18.44")
    when = (("user.now", ("ordinary",)),)
    refuses = CallRule(id="root", section="socket", action=REFUSE, errors=("EPERM",), why="for root alone", when=when)
    oracle = Oracle(replace(linux, rules={**linux.rules, "socket": (refuses,)}))
    assert oracle.predict("a=vsock user=1001 b=vsock").outcomes == ("ok", "ok", "EPERM")


def test_a_unix_socket_that_connects_to_its_own_name_is_no_client_of_another(not_ok: NotOk) -> None:
    assert not_ok("gvisor", "20250429", "a=unix a.bind=/x a.connect=/x") == "a.connect=EINVAL"
    assert not_ok("gvisor", "20250429", "a=unix a.bind=/x b=unix b.bind=/y b.listen a.connect=/y") == ""


def test_a_unix_client_may_still_get_a_name(not_ok: NotOk) -> None:
    """Its connection takes no port, unlike that of a TCP socket.  Seen live on Linux 6.18.44."""
    text = "a=unix a.bind=/x a.listen c=unix c.connect=/x c.bind=/y c.bind=/z"
    assert not_ok("linux", "6.18.44", text) == "c.bind=EINVAL"
    text = "a=tcp4 a.bind=127.0.0.1 a.listen c=tcp4 c.connect=127.0.0.1 c.bind=127.0.0.2"
    assert not_ok("linux", "6.18.44", text) == "c.bind=EINVAL"


def test_a_bind_to_a_dual_wildcard_that_failed_leaves_its_mark_whatever_failed_before(not_ok: NotOk) -> None:
    """gVisor's connect() then gives the port back, whoever has it.  A bind() that fails on an IPv4 wildcard leaves no
    mark."""
    taken = "b=tcp4 b.bind=0.0.0.0 b.listen a=tcp6 a.v6only=0"
    client = "a.connect=::ffff:127.0.0.1"
    release = "20250429"
    dual, mapped = "a.bind=::", "a.bind=::ffff:0.0.0.0"
    fails = "a.bind=EADDRINUSE"
    assert not_ok("gvisor", release, f"{taken} {mapped} {client}") == fails
    assert not_ok("gvisor", release, f"{taken} {dual} {client}") == f"{fails} a.connect=?"
    assert not_ok("gvisor", release, f"{taken} {mapped} {dual} {client}") == f"{fails} {fails} a.connect=?"
