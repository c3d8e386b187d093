"""What gVisor does where a simpler rule, or Linux, has it otherwise."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from bindmatrix.oracle.oracle import Oracle
from bindmatrix.rules import catalog

SERVED = "a=tcp4 a.bind=127.0.0.1 a.listen c=tcp4 c.connect=127.0.0.1 x=a.accept a.close"

#: id, scenario, its steps that are not ok
CASES = [
    (
        "listener-elsewhere",
        "a=tcp4 a.reuseaddr=1 a.bind=0.0.0.0 a.listen b=tcp4 b.reuseaddr=1 b.bind=127.0.0.1 b.listen",
        "",
    ),
    (
        "listener-here",
        "a=tcp4 a.reuseaddr=1 a.bind=127.0.0.1 a.listen b=tcp4 b.reuseaddr=1 b.bind=127.0.0.1",
        "b.bind=EADDRINUSE",
    ),
    (
        "dual-listener",
        "a=tcp6 a.v6only=0 a.reuseaddr=1 a.bind=:: a.listen b=tcp4 b.reuseaddr=1 b.bind=0.0.0.0",
        "b.bind=EADDRINUSE",
    ),
    (
        "common-bit-tcp",
        (
            "a=tcp4 a.reuseaddr=1 a.bind=127.0.0.1 c=tcp4 c.reuseaddr=1 c.reuseport=1 c.bind=127.0.0.1 "
            "b=tcp4 b.reuseport=1 b.bind=127.0.0.1"
        ),
        "b.bind=EADDRINUSE",
    ),
    (
        "common-bit-udp",
        (
            "a=udp4 a.reuseaddr=1 a.bind=127.0.0.1 c=udp4 c.reuseaddr=1 c.reuseport=1 c.bind=127.0.0.1 "
            "b=udp4 b.reuseport=1 b.bind=127.0.0.1"
        ),
        "b.bind=EADDRINUSE",
    ),
    (
        "common-bit-per-address",
        (
            "a=udp4 a.reuseaddr=1 a.bind=127.0.0.1 c=udp4 c.reuseport=1 c.bind=127.0.0.2 "
            "b=udp4 b.reuseaddr=1 b.reuseport=1 b.bind=0.0.0.0"
        ),
        "",
    ),
    (
        "no-memory",
        (
            "a=tcp4 a.reuseaddr=1 a.bind=127.0.0.1 c=tcp4 c.reuseaddr=1 c.reuseport=1 c.bind=127.0.0.1 c.close "
            "b=tcp4 b.reuseport=1 b.bind=127.0.0.1"
        ),
        "b.bind=EADDRINUSE",
    ),
    ("set-late", "a=tcp4 a.bind=127.0.0.1 a.reuseport=1 b=tcp4 b.reuseport=1 b.bind=127.0.0.1", "b.bind=EADDRINUSE"),
    (
        "cleared-late-tcp",
        "a=tcp4 a.reuseaddr=1 a.bind=127.0.0.1 a.reuseaddr=0 b=tcp4 b.reuseaddr=1 b.bind=127.0.0.1",
        "",
    ),
    (
        "cleared-late-udp",
        "a=udp4 a.reuseport=1 a.bind=127.0.0.1 a.reuseport=0 b=udp4 b.reuseport=1 b.bind=127.0.0.1",
        "",
    ),
    (
        "across-users",
        "user=1001 a=tcp4 a.reuseport=1 a.bind=127.0.0.1 user=0 user=1002 b=tcp4 b.reuseport=1 b.bind=127.0.0.1",
        "",
    ),
    ("child-reuseport", f"{SERVED} b=tcp4 b.reuseport=1 b.bind=127.0.0.1 b.listen", ""),
    ("child-reuseaddr", f"{SERVED} b=tcp4 b.reuseaddr=1 b.bind=127.0.0.1", "b.bind=EADDRINUSE"),
    ("time-wait-reuseport", f"{SERVED} x.close c.close b=tcp4 b.reuseport=1 b.bind=127.0.0.1", ""),
    ("time-wait-plain", f"{SERVED} x.close c.close b=tcp4 b.bind=127.0.0.1", "b.bind=EADDRINUSE"),
    (
        "failed-listen",
        (
            "a=tcp4 a.reuseaddr=1 a.bind=127.0.0.1 b=tcp4 b.reuseaddr=1 b.bind=127.0.0.1 a.listen "
            "b.listen a.close b.listen"
        ),
        "b.listen=EADDRINUSE b.listen=EINVAL",
    ),
    (
        "failed-listen-frees",
        (
            "a=tcp4 a.reuseaddr=1 a.bind=127.0.0.1 b=tcp4 b.reuseaddr=1 b.bind=127.0.0.1 a.listen b.listen a.close "
            "c=tcp4 c.bind=127.0.0.1"
        ),
        "b.listen=EADDRINUSE",
    ),
    ("group-without-scope", "a=udp6 a.bind=ff02::fb", ""),
    ("bound-twice", "a=tcp4 a.bind=127.0.0.1 a.bind=127.0.0.1", "a.bind=EINVAL"),
    ("v6only-late", "a=udp6 a.v6only=0 a.bind=:: a.v6only=1", "a.v6only=EINVAL"),
    ("mapped-wildcard", "a=udp6 a.v6only=0 a.bind=::ffff:0.0.0.0 b=udp4 b.bind=0.0.0.0", "b.bind=EADDRINUSE"),
    (
        "no-load-balancing",
        "a=tcp4 a.reuseport_lb=1 a.exclusive=1",
        "a.reuseport_lb=ENOPROTOOPT a.exclusive=ENOPROTOOPT",
    ),
    ("listen-unbound", "a=tcp4 a.bind=127.0.0.1 b=tcp4 b.bind=127.0.0.1 b.listen", "b.bind=EADDRINUSE"),
    ("mapped-v6only", "a=tcp6 a.v6only=1 a.bind=::ffff:127.0.0.1", "a.bind=EHOSTUNREACH"),
    (
        "failed-bind-leaves-its-address",
        "a=tcp6 a.bind=::1 b=tcp6 b.v6only=0 b.bind=::1 b.bind=::ffff:127.0.0.1 b.connect=::ffff:127.0.0.1",
        "b.bind=EADDRINUSE b.bind=ENETUNREACH b.connect=ENETUNREACH",
    ),
    ("failed-bind-udp", "a=udp6 a.bind=::1 b=udp6 b.v6only=0 b.bind=::1 b.bind=::ffff:127.0.0.1", "b.bind=EADDRINUSE"),
    ("bound-client", "a=udp4 a.bind=127.0.0.1 a.connect=127.0.0.1 b=udp4 b.bind=0.0.0.0", "b.bind=EADDRINUSE"),
    (
        "bound-client-is-no-child",
        (
            "a=tcp4 a.bind=127.0.0.2 a.listen c=tcp4 c.bind=127.0.0.1 c.connect=127.0.0.2 "
            "b=tcp4 b.reuseport=1 b.bind=127.0.0.1"
        ),
        "b.bind=EADDRINUSE",
    ),
    (
        "dual-client-keeps-both-spaces",
        "a=udp6 a.v6only=0 a.bind=:: a.connect=::1 b=udp4 b.bind=127.0.0.1",
        "b.bind=EADDRINUSE",
    ),
    ("connection-with-itself", "a=tcp4 a.bind=127.0.0.1 a.connect=127.0.0.1", ""),
]


@pytest.mark.parametrize(("scenario", "expected"), [row[1:] for row in CASES], ids=[row[0] for row in CASES])
def test_gvisor(not_ok: Callable[[str, str, str], str], scenario: str, expected: str) -> None:
    assert not_ok("gvisor", "20221219", scenario) == expected


#: scenario -> what its last step returns in which release
CHANGES = {
    # 7743f313c
    (
        "a=tcp4 a.reuseport=1 a.bind=127.0.0.1 b=tcp4 b.reuseport=1 b.bind=127.0.0.1 "
        "a.connect=127.0.0.1 b.connect=127.0.0.1"
    ): "20221219:EADDRINUSE 20230516:EADDRINUSE 20230517:EADDRNOTAVAIL 20260817:EADDRNOTAVAIL",
    # f3b0a527c: abstract names, of which there is one table
    "a=unix a.bind=@x": "20231009:? 20231016:ok",
    "a=unix a.bind=@x b=unixgram b.bind=@x": "20240729:EADDRINUSE 20260817:EADDRINUSE",
    "a=unix a.bind=@x a.bind=@x": "20240729:EADDRINUSE",
    "a=unix a.bind=@x a.bind=@y": "20240729:EINVAL",
    "a=unix a.bind=@x b=unix b.bind=@y a.bind=@y": "20240729:EADDRINUSE",
    "a=unix a.bind=@x a.close b=unix b.bind=@x": "20240729:ok",
    "a=unix a.bind=@x a.listen c=unix c.connect=@x x=a.accept a.close b=unix b.bind=@x": "20240729:ok",
    "a=unix a.bind=@x b=unix b.connect=@x": "20240729:ECONNREFUSED",
    # 066d932b8: a TCP client on a dual `::` gives the IPv4 half back, and no other half
    "a=tcp6 a.v6only=0 a.bind=:: a.connect=::1 b=tcp4 b.bind=0.0.0.0": "20250421:EADDRINUSE 20250429:ok 20260817:ok",
    "a=tcp6 a.v6only=0 a.bind=:: a.connect=::1 b=tcp4 b.bind=127.0.0.1": "20250421:EADDRINUSE 20250429:ok",
    "a=tcp6 a.v6only=0 a.bind=:: a.connect=::1 b=tcp6 b.bind=::1": "20250421:EADDRINUSE 20250429:EADDRINUSE",
    "a=tcp6 a.v6only=0 a.bind=:: a.connect=::1 b=tcp6 b.v6only=0 b.bind=::": "20250421:EADDRINUSE 20250429:EADDRINUSE",
    "a=udp6 a.v6only=0 a.bind=:: a.connect=::1 b=udp4 b.bind=0.0.0.0": "20250421:EADDRINUSE 20260817:EADDRINUSE",
    # 387f0682d
    "a=unix a.v6only=0": "20260202:ENOPROTOOPT 20260209:EOPNOTSUPP",
    "a=tcp4 a.v6only=0": "20260202:ENOPROTOOPT 20260209:ENOPROTOOPT",
    # a port that the stack loses count of: nothing is claimed from there on
    (
        "a=udp4 a.reuseport=1 a.bind=127.0.0.1 a.connect=127.0.0.2 b=udp4 b.reuseport=1 b.bind=127.0.0.1 "
        "b.connect=127.0.0.2 b.close c=udp4 c.bind=127.0.0.1"
    ): "20221219:? 20260817:?",
    "h=tcp4 h.bind=0.0.0.0 a=tcp6 a.v6only=0 a.bind=:: a.bind=::1 a.connect=::1 b=tcp4 b.bind=0.0.0.0": (
        "20250421:EADDRINUSE 20250429:? 20260817:?"
    ),
    "h=tcp4 h.bind=0.0.0.0 a=tcp6 a.v6only=0 a.bind=:: a.bind=::1 b=tcp4 b.bind=0.0.0.0": "20260817:EADDRINUSE",
}


@pytest.mark.parametrize(
    ("scenario", "release", "outcome"),
    [(scenario, *cell.split(":")) for scenario, cells in CHANGES.items() for cell in cells.split()],
)
def test_what_changed_with_which_release(scenario: str, release: str, outcome: str) -> None:
    predicted = Oracle(catalog.expectations("gvisor").at(release)).predict(scenario).outcomes[-1]
    assert predicted == {"?": None}.get(outcome, outcome)


@pytest.mark.parametrize("then", ["b=udp6 b.bind=::", "b=udp6 b.v6only=1 b.bind=::", "b=udp6 b.bind=::1"])
def test_the_ipv6_half_of_a_dual_udp_socket_that_connected_over_ipv4_is_not_said_to_be_free(
    not_ok: Callable[[str, str, str], str], then: str
) -> None:
    """It stays taken: EADDRINUSE on 20221219."""
    text = f"a=udp6 a.v6only=0 a.bind=:: a.connect=::ffff:127.0.0.1 a.close {then}"
    assert not_ok("gvisor", "20221219", text).endswith("b.bind=?")


@pytest.mark.parametrize("release", ["20221219", "20260817"])
def test_what_a_unix_client_reads_that_nobody_accepted_depends_on_the_release(
    not_ok: Callable[[str, str, str], str], release: str
) -> None:
    """The end of the file until commit 20366fde8 (2026-02-09), then ECONNRESET; settings know no releases."""
    text = "a=unix a.bind=/x a.listen c=unix c.connect=/x a.close c.read"
    assert not_ok("gvisor", release, text) == "c.read=?"
    assert not_ok("linux", "6.18.44", text) == "c.read=ECONNRESET"
