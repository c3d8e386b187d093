"""What the sources of Linux say beside the recorded runs, one statement a scenario."""

from __future__ import annotations

import pytest
from bindmatrix.oracle.oracle import Oracle
from bindmatrix.rules import catalog, divergences

MAPPED = "a=tcp6 a.v6only=0 a.bind=::ffff:0.0.0.0 b=tcp6 b.v6only=0 b.bind=::ffff:127.0.0.1"
#: an end of a connection over IPv6 of a dual socket holds ::1 and, in IPv4, LOOPBACK4_IPV6
DUAL_CHILD = "a=tcp6 a.bind=:: a.listen c=tcp6 c.connect=::1 x=a.accept a.close"
CROWD = " ".join(f"{name}=udp4 {name}.bind=127.0.0.{number}" for number, name in enumerate("abcdefghijk", 1))


def last(release: str, scenario: str) -> object:
    """The outcome of the last step, known divergences included."""
    linux = catalog.expectations("linux")
    found = divergences.of(linux, release)
    return Oracle(divergences.apply(linux.at(release), found)).predict(scenario).outcomes[-1]


@pytest.mark.parametrize("release", ["5.10.218", "6.1.100", "6.1.192", "6.6.140", "6.12.117", "7.3.4"])
@pytest.mark.parametrize("address", ["::ffff:0.0.0.0", "::ffff:127.0.0.1"])
def test_a_mapped_address_does_not_meet_a_dual_socket_connected_over_ipv6(release: str, address: str) -> None:
    """ipv6_rcv_saddr_equal(): of two AF_INET6 sockets the IPv4 halves are compared only where both are mapped."""
    assert last(release, f"{DUAL_CHILD} b=tcp6 b.v6only=0 b.bind={address}") == "ok"
    # ipv4_rcv_saddr_equal() looks at that half
    assert last(release, f"{DUAL_CHILD} b=tcp4 b.bind=0.0.0.0") == "EADDRINUSE"


@pytest.mark.parametrize(
    ("release", "outcome"),
    [
        ("6.1.167", "EADDRINUSE"),
        ("6.1.168", "ok"),
        ("6.2", "EADDRINUSE"),
        ("6.6.130", "EADDRINUSE"),
        ("6.6.131", None),
        ("6.7", "EADDRINUSE"),
        ("6.12.117", "EADDRINUSE"),
    ],
)
def test_where_a_mapped_wildcard_is_overlooked(release: str, outcome: str | None) -> None:
    """inet_bind2_bucket_match_addr_any() of 6.1.168 asks an AF_INET6 bucket for `::` alone; 6.6.131 was only read."""
    assert last(release, MAPPED) == outcome
    # SO_REUSEPORT on both excuses it anyway
    assert last(release, MAPPED.replace("a.b", "a.reuseport=1 a.b").replace("b.b", "b.reuseport=1 b.b")) == "ok"


def test_listen_is_as_unsure_as_bind() -> None:
    """inet_csk_listen_start() asks inet_csk_get_port() again."""
    shared = (
        "a=tcp6 a.v6only=0 a.reuseaddr=1 a.bind=::ffff:0.0.0.0 b=tcp6 b.v6only=0 b.reuseaddr=1 b.bind=::ffff:127.0.0.1"
    )
    assert last("6.6.140", f"{shared} a.listen b.listen") is None
    assert last("6.12.117", f"{shared} a.listen b.listen") == "EADDRINUSE"


@pytest.mark.parametrize(
    ("release", "outcome"),
    [
        ("5.10.218", "ok"),
        ("6.1.167", "ok"),
        ("6.1.168", "EADDRINUSE"),
        ("6.6.130", "ok"),
        ("6.6.131", None),
        ("6.12.79", "ok"),
        ("6.12.80", "EADDRINUSE"),
        ("6.16.3", "ok"),
        ("6.18.15", "ok"),
        ("6.18.16", None),
        ("6.18.44", "EADDRINUSE"),
        ("6.19.1", None),
        ("6.19.11", "EADDRINUSE"),
        ("7.0", "EADDRINUSE"),
    ],
)
def test_where_a_wildcard_overlooks_a_crowd(release: str, outcome: str | None) -> None:
    """udp_lib_get_port(): what is between two measured releases of a branch is not claimed."""
    assert last(release, f"{CROWD} w=udp4 w.bind=0.0.0.0") == outcome
    # a wildcard is found by a wildcard everywhere
    sharing = " ".join(f"{name}=udp4 {name}.reuseaddr=1 {name}.bind=127.0.0.1" for name in "abcdefghijk")
    assert last(release, f"v=udp4 v.reuseaddr=1 v.bind=0.0.0.0 {sharing} w=udp4 w.bind=0.0.0.0") == "EADDRINUSE"


A4, B4 = (f"{name}=udp4 {name}.reuseport=1 {name}.bind=127.0.0.1" for name in "ab")
C4 = "c=udp4 c.reuseport=1 c.bind=127.0.0.1"
BOUND = "a=udp4 a.reuseaddr=1 a.bind=127.0.0.1 b=udp4 b.reuseaddr=1 b.bind=127.0.0.1"
A6, B6 = (f"{name}=udp6 {name}.reuseport=1 {name}.bind=::1" for name in "ab")
L4, M4 = (f"{name}=tcp4 {name}.reuseport=1 {name}.bind=127.0.0.1 {name}.listen" for name in "ab")


@pytest.mark.parametrize("release", ["5.10.218", "6.12.117", "6.18.44", "7.3.4"])
@pytest.mark.parametrize(
    ("scenario", "receiver"),
    [
        # inet_lookup_reuseport(): the one found first must have SO_REUSEPORT now, its group stays as it was
        (f"{A4} {B4} b.reuseport=0 deliver=127.0.0.1", "b"),
        (f"{A4} {B4} a.reuseport=0 deliver=127.0.0.1", "spread:a,b"),
        (f"{A4} {B4} {C4} b.reuseport=0 deliver=127.0.0.1", "spread:a,b,c"),
        (f"{A6} {B6} b.reuseport=0 deliver=::1", "spread:a,b"),
        (f"{L4} {M4} b.reuseport=0 deliver=127.0.0.1", "b"),
        (f"{L4} {M4} a.reuseport=0 deliver=127.0.0.1", "spread:a,b"),
        # udp_reuseport_add_sock(): who has the option when somebody joins is in the group, however late it was set
        (f"a=udp4 a.bind=127.0.0.1 a.reuseport=1 {B4} deliver=127.0.0.1", "spread:a,b"),
        # and who sets it when everybody is bound is in none
        (f"{BOUND} a.reuseport=1 b.reuseport=1 deliver=127.0.0.1", "b"),
        # a listener is in a group from listen() on
        (f"a=tcp4 a.bind=127.0.0.1 a.reuseport=1 a.listen {M4} deliver=127.0.0.1", "spread:a,b"),
        # __inet_hash(): the last to listen is found first, whoever bound last
        (f"{L4.removesuffix(' a.listen')} {M4} b.reuseport=0 a.listen deliver=127.0.0.1", "a"),
        (f"{L4.removesuffix(' a.listen')} {M4} a.listen a.reuseport=0 deliver=127.0.0.1", "a"),
        # a child of a listener is in none
        (f"{L4} c=tcp4 c.connect=127.0.0.1 x=a.accept {M4} deliver=127.0.0.1", "spread:a,b"),
    ],
)
def test_who_shares_is_settled_when_somebody_joins(release: str, scenario: str, receiver: str) -> None:
    assert last(release, scenario) == receiver


@pytest.mark.parametrize(("release", "receiver"), [("6.12.117", "spread:a,c"), ("6.13", "c"), ("6.18.44", "c")])
def test_a_connected_socket_leaves_its_group(release: str, receiver: str) -> None:
    """udp_lib_hash4(), since 6.13: reuseport_detach_sock(); the next to bind finds it first and joins it alone."""
    assert last(release, f"{A4} {B4} b.connect=127.0.0.2 {C4} deliver=127.0.0.1") == receiver
    assert last(release, f"{A4} {B4} {C4} b.connect=127.0.0.2 deliver=127.0.0.1") == "spread:a,c"
