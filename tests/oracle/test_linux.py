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
        ("6.6.131", "ok"),
        ("6.7", "EADDRINUSE"),
        ("6.12.117", "EADDRINUSE"),
    ],
)
def test_where_a_mapped_wildcard_is_overlooked(release: str, outcome: str) -> None:
    """inet_bind2_bucket_match_addr_any() of 6.1.168 asks an AF_INET6 bucket for `::` alone; 6.6.131 took the patch."""
    assert last(release, MAPPED) == outcome
    # SO_REUSEPORT on both excuses it anyway
    assert last(release, MAPPED.replace("a.b", "a.reuseport=1 a.b").replace("b.b", "b.reuseport=1 b.b")) == "ok"


def test_listen_overlooks_what_bind_overlooks() -> None:
    """inet_csk_listen_start() asks inet_csk_get_port() again."""
    shared = (
        "a=tcp6 a.v6only=0 a.reuseaddr=1 a.bind=::ffff:0.0.0.0 b=tcp6 b.v6only=0 b.reuseaddr=1 b.bind=::ffff:127.0.0.1"
    )
    assert last("6.6.140", f"{shared} a.listen b.listen") == "ok"
    assert last("6.12.117", f"{shared} a.listen b.listen") == "EADDRINUSE"


TIME_WAIT = "a=tcp4 a.bind=127.0.0.1 a.listen c=tcp4 c.connect=127.0.0.1 x=a.accept x.close c.read c.close a.close"
DUAL = "a=tcp6 a.v6only=0 a.bind=:: a.listen"
V6ONLY = "v=tcp6 v.v6only=1 v.bind=::"
IPV4 = "b=tcp4 b.bind=127.0.0.1"
#: scenario -> what its last step returns in which release; the address-hashed table, a fix at a time
REGRESSIONS = {
    # 936a192f9740: a TIME_WAIT was not in the table; wildcards and mapped addresses ask every socket of the port
    f"{TIME_WAIT} {IPV4}": "6.0:E 6.1:ok 6.1.4:ok 6.1.5:E 6.2:E",
    f"{TIME_WAIT} b=tcp4 b.bind=0.0.0.0": "6.1:E 6.1.4:E 6.1.5:E",
    f"{TIME_WAIT} b=tcp6 b.v6only=0 b.bind=::ffff:127.0.0.1": "6.1:E 6.1.4:E 6.1.5:E",
    # d9ba99342855: AF_INET asked AF_INET buckets alone
    f"{DUAL} {IPV4}": "6.0:E 6.1:ok 6.1.20:ok 6.1.21:E 6.2.7:ok 6.2.8:E 6.3:E 6.12.117:E",
    f"{DUAL} b=tcp4 b.bind=0.0.0.0": "6.1:E 6.1.20:E 6.2.7:E 6.3:E",
    # aa99e5f87bd5, c48ef9c4aed3: mapped addresses; the reverse order was refused
    f"a=tcp6 a.v6only=0 a.bind=::ffff:0.0.0.0 {IPV4}": "6.1.53:ok 6.1.54:E 6.4.16:ok 6.5.3:ok 6.5.4:E 6.6:E",
    f"a=tcp6 a.v6only=0 a.bind=::ffff:127.0.0.1 {IPV4}": "6.0:E 6.1:ok 6.1.53:ok 6.1.54:E 6.5.3:ok 6.5.4:E",
    f"{IPV4} a=tcp6 a.v6only=0 a.bind=::ffff:127.0.0.1": "6.1.20:E 6.1.53:E 6.5.3:E",
    # ea111449501e: of several wildcards the newest was asked
    f"a=tcp4 a.bind=0.0.0.0 {V6ONLY} {IPV4}": (
        "6.1.20:E 6.1.21:ok 6.1.84:ok 6.1.85:E 6.6.25:ok 6.6.26:E 6.7.12:ok 6.8.4:ok 6.8.5:E 6.9:E 6.12.117:E"
    ),
    f"{V6ONLY} a=tcp4 a.bind=0.0.0.0 {IPV4}": "6.1.84:E 6.6.25:E 6.8.4:E 6.9:E",
    f"{V6ONLY} {IPV4}": "6.1.84:ok 6.6.25:ok 6.8.4:ok",
    # which of two is the newest is not followed where they listen
    f"a=tcp4 a.bind=0.0.0.0 {V6ONLY} v.listen {IPV4}": "6.1.84:? 6.1.85:E 6.6.25:? 6.6.26:E",
    # the bucket of the address itself is asked whatever the wildcards say
    f"k=tcp4 k.reuseaddr=1 k.bind=127.0.0.1 a=tcp4 a.reuseaddr=1 a.bind=0.0.0.0 {V6ONLY} {IPV4}": "6.1.84:E 6.6.25:E",
    # d91ef1e1b55f: a V6ONLY `::` counted against a mapped address
    f"{V6ONLY} b=tcp6 b.v6only=0 b.bind=::ffff:127.0.0.1": "6.6.25:ok 6.7.12:ok 6.8:E 6.8.4:E 6.8.5:ok 6.9:ok",
}


@pytest.mark.parametrize(
    ("scenario", "release", "outcome"),
    [(scenario, *cell.split(":")) for scenario, cells in REGRESSIONS.items() for cell in cells.split()],
)
def test_regressions_of_the_address_hashed_table(scenario: str, release: str, outcome: str) -> None:
    assert last(release, scenario) == {"E": "EADDRINUSE", "?": None}.get(outcome, outcome)


@pytest.mark.parametrize(("release", "outcome"), [("5.10.218", "EADDRINUSE"), ("6.1.192", "ok"), ("6.18.44", "ok")])
def test_the_ipv4_half_of_a_connected_dual_socket(release: str, outcome: str) -> None:
    """Since 6.1 it is filed under ::1: 127.0.0.6 does not meet it (run on 6.18.44), 0.0.0.0 does."""
    assert last(release, f"{DUAL_CHILD} b=tcp4 b.bind=127.0.0.6") == outcome
    assert last(release, f"{DUAL_CHILD} b=tcp4 b.bind=0.0.0.0") == "EADDRINUSE"


QUEUED = "a=tcp4 a.reuseport=1 a.bind=127.0.0.1 a.listen c=tcp4 c.connect=127.0.0.1"
SHARER = "b=tcp4 b.reuseport=1 b.bind=127.0.0.1"


@pytest.mark.parametrize(("release", "ordinary"), [("5.10.218", "E"), ("6.12.117", "E"), ("6.16", "E"), ("6.17", "ok")])
def test_whose_a_connection_without_a_file_is(release: str, ordinary: str) -> None:
    """sock_i_uid(): root's, up to 6.16; the cache lets the sharer in before anybody is asked."""
    emptied = "k=tcp4 k.reuseaddr=1 k.bind=127.0.0.2"
    for user, outcome in (("user=1001 ", ordinary), ("", "ok")):
        assert last(release, f"{user}{QUEUED} {SHARER}") == "ok"
        expected = {"E": "EADDRINUSE"}.get(outcome, outcome)
        assert last(release, f"{user}{QUEUED} {emptied} {SHARER}") == expected


@pytest.mark.parametrize(("release", "outcome"), [("6.12.117", "ok"), ("6.16", "ok"), ("6.17", None)])
def test_root_beside_the_closed_connection_of_another_user(release: str, outcome: str | None) -> None:
    """Up to 6.16 it is root's until it is a TIME_WAIT, and that shares with any user."""
    closed = (
        "user=1001 a=tcp4 a.reuseport=1 a.bind=127.0.0.1 a.listen c=tcp4 c.connect=127.0.0.1 x=a.accept x.close a.close"
    )
    assert last(release, f"{closed} user=0 {SHARER}") == outcome


@pytest.mark.parametrize(
    ("release", "outcome"),
    [
        ("5.10.262", "ok"),
        ("5.15.175", "ok"),
        ("5.15.176", "EOPNOTSUPP"),
        ("6.1.123", "ok"),
        ("6.1.124", "EOPNOTSUPP"),
        ("6.6.69", "ok"),
        ("6.6.70", "EOPNOTSUPP"),
        ("6.11", "ok"),
        ("6.12.9", "EOPNOTSUPP"),
        ("6.13", "EOPNOTSUPP"),
    ],
)
def test_reuseport_on_a_unix_socket(release: str, outcome: str) -> None:
    assert last(release, "a=unix a.reuseport=1") == outcome


@pytest.mark.parametrize(("release", "outcome"), [("6.6.140", "ok"), ("6.8", "EADDRINUSE")])
def test_6_6_keeps_the_old_cache(release: str, outcome: str) -> None:
    """8002d44fe84d (6.8) is not among the patches of 6.6.131: a cleared SO_REUSEADDR still lets the next in."""
    cleared = "a=tcp4 a.reuseaddr=1 a.bind=127.0.0.1 a.reuseaddr=0"
    assert last(release, f"{cleared} b=tcp4 b.reuseaddr=1 b.bind=127.0.0.1") == outcome


@pytest.mark.parametrize(
    ("release", "outcome"),
    [
        ("5.10.218", "ok"),
        ("6.1.167", "ok"),
        ("6.1.168", "EADDRINUSE"),
        ("6.6.130", "ok"),
        ("6.6.131", "EADDRINUSE"),
        ("6.12.79", "ok"),
        ("6.12.80", "EADDRINUSE"),
        ("6.16.3", "ok"),
        ("6.18.15", "ok"),
        ("6.18.20", "ok"),
        ("6.18.21", "EADDRINUSE"),
        ("6.18.44", "EADDRINUSE"),
        ("6.19.10", "ok"),
        ("6.19.11", "EADDRINUSE"),
        ("7.0", "EADDRINUSE"),
    ],
)
def test_where_a_wildcard_overlooks_a_crowd(release: str, outcome: str) -> None:
    """udp_lib_get_port(), CVE-2026-31503."""
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
