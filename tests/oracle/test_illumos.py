"""What illumos and OmniOS do: the statements of their sources that a simpler rule gets wrong."""

from __future__ import annotations

from collections.abc import Callable

import pytest

GATE, OMNIOS = "2021.04", "omnios-2021.04"

NotOk = Callable[[str, str, str], str]

#: id, scenario, its steps that are not ok ("step=outcome")
BOTH = [
    ("lone-receiver", "a=udp4 a.bind=0.0.0.0 deliver=127.0.0.1", "deliver=a"),
    ("lone-dual-listener", "a=tcp6 a.v6only=0 a.bind=:: a.listen deliver=127.0.0.1 deliver=::1", "deliver=a deliver=a"),
    ("lone-v6only-listener", "a=tcp6 a.v6only=1 a.bind=:: a.listen deliver=127.0.0.1", "deliver=refused"),
    ("lone-mapped-listener", "a=tcp6 a.bind=::ffff:127.0.0.1 a.listen deliver=127.0.0.1", "deliver=a"),
    ("bound-is-not-found", "a=tcp4 a.bind=127.0.0.1 deliver=127.0.0.1", "deliver=refused"),
    ("which-of-two", "a=udp4 a.bind=0.0.0.0 b=udp4 b.reuseaddr=1 b.bind=127.0.0.1 deliver=127.0.0.1", "deliver=?"),
    ("udp-takes-any", "a=udp4 a.bind=127.0.0.1 user=1001 b=udp4 b.reuseaddr=1 b.bind=127.0.0.1", ""),
    ("udp-holder-alone", "a=udp4 a.reuseaddr=1 a.bind=0.0.0.0 b=udp4 b.bind=127.0.0.1", "b.bind=EADDRINUSE"),
    ("no-user-check", "a=tcp4 a.bind=0.0.0.0 a.listen user=1001 b=tcp4 b.reuseaddr=1 b.bind=127.0.0.1 b.listen", ""),
    ("no-user-reverse", "a=tcp4 a.bind=127.0.0.1 a.listen user=1001 b=tcp4 b.reuseaddr=1 b.bind=0.0.0.0 b.listen", ""),
    ("same-listener", "a=tcp4 a.bind=127.0.0.1 a.listen b=tcp4 b.reuseaddr=1 b.bind=127.0.0.1", "b.bind=EADDRINUSE"),
    ("spaces-tcp", "a=tcp6 a.v6only=0 a.bind=:: b=tcp4 b.bind=0.0.0.0", ""),
    ("spaces-udp", "a=udp4 a.bind=0.0.0.0 b=udp6 b.v6only=0 b.bind=::", ""),
    ("tcp-mapped-v4", "a=tcp6 a.bind=::ffff:127.0.0.1 b=tcp4 b.bind=127.0.0.1", ""),
    ("tcp-mapped-v6", "a=tcp6 a.bind=::ffff:127.0.0.1 b=tcp6 b.bind=::", "b.bind=EADDRINUSE"),
    ("udp-mapped-v4", "a=udp6 a.bind=::ffff:127.0.0.1 b=udp4 b.bind=127.0.0.1", "b.bind=EADDRINUSE"),
    ("udp-mapped-v6", "a=udp6 a.bind=::ffff:127.0.0.1 b=udp6 b.bind=::", ""),
    (
        "child-of-mapped",
        "a=tcp6 a.bind=::ffff:127.0.0.1 a.listen c=tcp4 c.connect=127.0.0.1 x=a.accept a.close b=tcp4 b.bind=127.0.0.1",
        "b.bind=EADDRINUSE",
    ),
    (
        "child-of-mapped-again",
        (
            "a=tcp6 a.bind=::ffff:127.0.0.1 a.listen c=tcp4 c.connect=127.0.0.1 x=a.accept a.close "
            "b=tcp6 b.bind=::ffff:127.0.0.1 b.listen"
        ),
        "",
    ),
    (
        "two-wildcards",
        "a=tcp6 a.reuseaddr=1 a.bind=:: a.listen b=tcp6 b.reuseaddr=1 b.bind=::ffff:0.0.0.0 b.listen",
        "",
    ),
    ("two-wildcards-plain", "a=tcp6 a.bind=:: b=tcp6 b.bind=::ffff:0.0.0.0", "b.bind=EADDRINUSE"),
    (
        "child-is-wildcard",
        "a=tcp4 a.bind=127.0.0.1 a.listen c=tcp4 c.connect=127.0.0.1 x=a.accept b=tcp4 b.bind=127.0.0.2",
        "b.bind=EADDRINUSE",
    ),
    (
        "no-time-wait",
        (
            "a=tcp4 a.bind=127.0.0.1 a.listen c=tcp4 c.connect=127.0.0.1 x=a.accept x.close c.close a.close "
            "b=tcp4 b.bind=127.0.0.1"
        ),
        "",
    ),
    ("mapped-v6only", "a=tcp6 a.v6only=1 a.bind=::ffff:127.0.0.1", "a.bind=EADDRNOTAVAIL"),
    ("mapped-group", "a=udp6 a.bind=::ffff:224.0.0.251", "a.bind=EADDRNOTAVAIL"),
    ("tcp-group", "a=tcp6 a.bind=ff02::fb", "a.bind=EADDRNOTAVAIL"),
    ("udp-group", "a=udp6 a.bind=ff02::fb", ""),
    ("v6only-after-bind", "a=tcp6 a.bind=:: a.v6only=1 b=tcp4 b.bind=0.0.0.0", ""),
    ("exclbind-live", "a=tcp4 a.bind=127.0.0.1 a.exclbind=1 b=tcp4 b.reuseaddr=1 b.bind=0.0.0.0", "b.bind=EADDRINUSE"),
    ("exclbind-cleared", "a=tcp4 a.exclbind=1 a.bind=127.0.0.1 a.exclbind=0 b=tcp4 b.reuseaddr=1 b.bind=0.0.0.0", ""),
    ("exclbind-across", "a=tcp4 a.exclbind=1 a.bind=0.0.0.0 b=tcp6 b.v6only=1 b.bind=::", "b.bind=EADDRINUSE"),
    ("exclbind-mapped", "a=tcp6 a.exclbind=1 a.bind=::ffff:127.0.0.1 b=tcp4 b.bind=127.0.0.1", "b.bind=EADDRINUSE"),
    ("exclbind-apart", "a=tcp4 a.exclbind=1 a.bind=127.0.0.1 b=tcp6 b.exclbind=1 b.bind=::1", ""),
    (
        "exclbind-child",
        (
            "a=tcp4 a.exclbind=1 a.bind=127.0.0.1 a.listen c=tcp4 c.connect=127.0.0.1 x=a.accept a.close "
            "b=tcp4 b.reuseaddr=1 b.bind=127.0.0.1"
        ),
        "",
    ),
    (
        "exclbind-close-wait",
        (
            "a=tcp4 a.bind=127.0.0.1 a.listen c=tcp4 c.connect=127.0.0.1 x=a.accept c.close x.read a.close "
            "b=tcp4 b.exclbind=1 b.reuseaddr=1 b.bind=127.0.0.1"
        ),
        "",
    ),
    (
        "exclbind-behind-soft",
        (
            "a=udp4 a.bind=127.0.0.1 b=udp4 b.reuseaddr=1 b.bind=127.0.0.1 a.exclbind=1 c=udp4 "
            "c.reuseaddr=1 c.bind=127.0.0.1"
        ),
        "",
    ),
    (
        "connected-stays-wildcard",
        "a=udp4 a.bind=0.0.0.0 a.connect=127.0.0.1 b=udp4 b.bind=127.0.0.2",
        "b.bind=EADDRINUSE",
    ),
    (
        "connected-changes-space",
        "a=udp6 a.v6only=0 a.bind=:: a.connect=::ffff:127.0.0.1 b=udp6 b.bind=::1 c=udp4 c.bind=0.0.0.0",
        "c.bind=EADDRINUSE",
    ),
    (
        "listen-never-fails",
        "a=tcp4 a.reuseaddr=1 a.bind=0.0.0.0 b=tcp4 b.reuseaddr=1 b.bind=127.0.0.1 a.listen b.listen",
        "",
    ),
    ("listen-udp", "a=udp4 a.bind=0.0.0.0 a.listen", "a.listen=EOPNOTSUPP"),
]

SHARED = "a=tcp4 a.reuseport=1 a.bind=127.0.0.1 b=tcp4 b.reuseport=1 b.bind=127.0.0.1"

ONE = [
    (
        GATE,
        "no-reuseport",
        "a=tcp4 a.reuseport=1 b=udp4 b.reuseport=1",
        "a.reuseport=ENOPROTOOPT b.reuseport=ENOPROTOOPT",
    ),
    (OMNIOS, "tcp-reuseport", "a=tcp4 a.reuseport=1 b=udp4 b.reuseport=1", "b.reuseport=ENOPROTOOPT"),
    (OMNIOS, "shared", SHARED, ""),
    (OMNIOS, "shared-other-user", SHARED.replace("b=tcp4", "user=1001 b=tcp4"), "b.bind=EADDRINUSE"),
    (OMNIOS, "opened-late", "a=tcp4 a.bind=127.0.0.1 a.reuseport=1 b=tcp4 b.reuseport=1 b.bind=127.0.0.1", ""),
    (OMNIOS, "stays-open", SHARED.replace("b=tcp4", "a.reuseport=0 b=tcp4"), ""),
    (
        OMNIOS,
        "cleared-before-bind",
        "a=tcp4 a.reuseport=1 a.reuseport=0 a.bind=127.0.0.1 b=tcp4 b.reuseport=1 b.bind=127.0.0.1",
        "b.bind=EADDRINUSE",
    ),
    (
        OMNIOS,
        "beats-reuseaddr",
        "a=tcp4 a.bind=127.0.0.1 b=tcp4 b.reuseport=1 b.reuseaddr=1 b.bind=127.0.0.1",
        "b.bind=EADDRINUSE",
    ),
    (
        OMNIOS,
        "wildcard-no-help",
        "a=tcp4 a.reuseport=1 a.bind=0.0.0.0 b=tcp4 b.reuseport=1 b.bind=127.0.0.1",
        "b.bind=EADDRINUSE",
    ),
    (
        OMNIOS,
        "joined-in-front-of-wildcard",
        (
            "a=tcp4 a.reuseport=1 a.bind=0.0.0.0 b=tcp4 b.reuseport=1 b.reuseaddr=1 b.bind=127.0.0.1 "
            "c=tcp4 c.reuseport=1 c.bind=127.0.0.1"
        ),
        "",
    ),
    (
        OMNIOS,
        "newer-child-in-front",
        (
            "a=tcp4 a.reuseport=1 a.bind=0.0.0.0 a.listen c=tcp4 c.connect=127.0.0.1 x=a.accept "
            "b=tcp4 b.reuseport=1 b.bind=0.0.0.0"
        ),
        "b.bind=EADDRINUSE",
    ),
]


@pytest.mark.parametrize("release", [GATE, OMNIOS])
@pytest.mark.parametrize(("scenario", "expected"), [row[1:] for row in BOTH], ids=[row[0] for row in BOTH])
def test_both(not_ok: NotOk, release: str, scenario: str, expected: str) -> None:
    assert not_ok("illumos", release, scenario) == expected


@pytest.mark.parametrize(
    ("release", "scenario", "expected"), [(r, s, e) for r, _, s, e in ONE], ids=[row[1] for row in ONE]
)
def test_one(not_ok: NotOk, release: str, scenario: str, expected: str) -> None:
    assert not_ok("illumos", release, scenario) == expected
