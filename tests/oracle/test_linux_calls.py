"""Linux: connects that fail, that meet themselves, that cross families.  Seen live on 6.18.44."""

from __future__ import annotations

import pytest
from bindmatrix.oracle.oracle import Oracle
from bindmatrix.rules import catalog

AT = catalog.expectations("linux").at("6.18.44")


def last(text: str, oracle: Oracle | None = None) -> object:
    return (oracle or Oracle(AT)).predict(text).outcomes[-1]


@pytest.mark.parametrize(
    ("text", "outcome"),
    [
        # net/ipv4/tcp_input.c tcp_rcv_synsent_state_process(): a simultaneous open with itself
        ("a=tcp4 a.bind=127.0.0.1 a.connect=127.0.0.1", "ok"),
        ("a=tcp4 a.bind=0.0.0.0 a.connect=127.0.0.1", "ok"),
        # the source of a connection within 127.0.0.0/8 is 127.0.0.1, so this one asks somebody else
        ("a=tcp4 a.bind=0.0.0.0 a.connect=127.0.0.2", "ECONNREFUSED"),
        ("a=tcp4 a.bind=127.0.0.1 a.connect=127.0.0.1 a.close b=tcp4 b.bind=127.0.0.1", "EADDRINUSE"),
        # TIME_WAIT of a socket without SO_REUSEADDR
        ("a=tcp4 a.bind=127.0.0.1 a.connect=127.0.0.1 a.close b=tcp4 b.reuseaddr=1 b.bind=127.0.0.1", "EADDRINUSE"),
        # net/ipv4/tcp.c tcp_set_state(): a port without SOCK_BINDPORT_LOCK is given back after a refusal
        ("a=tcp4 a.bind=127.0.0.1,0 a.connect=127.0.0.1 a.bind=127.0.0.1", "ok"),
        ("a=tcp4 a.bind=127.0.0.1 a.connect=127.0.0.2 a.bind=127.0.0.1", "EINVAL"),
        # net/ipv4/af_inet.c __inet_stream_connect(): the state is looked at before the address
        ("a=tcp4 a.listen a.connect=::1", "EISCONN"),
        ("a=tcp6 a.listen a.connect=127.0.0.1", "EISCONN"),
        # net/ipv6/datagram.c __ip6_datagram_connect(): an AF_INET address counts as the mapped one
        ("a=udp6 a.connect=127.0.0.1 a.bind=::1", "EINVAL"),
        ("a=udp6 a.v6only=1 a.connect=127.0.0.1", "EAFNOSUPPORT"),
        ("a=udp6 a.bind=::1 a.connect=127.0.0.1", "EAFNOSUPPORT"),
    ],
)
def test_connect(text: str, outcome: str) -> None:
    assert last(text) == outcome


def test_a_system_that_says_nothing_of_it_leaves_a_connection_to_itself_unknown() -> None:
    assert last("a=tcp4 a.bind=127.0.0.1 a.connect=127.0.0.1", Oracle(catalog.expectations("netbsd").at("9.0"))) is None
