"""What Windows does: the documented tables, cell by cell, and the statements around them."""

from __future__ import annotations

from collections.abc import Callable

import pytest

NotOk = Callable[[str, str, str], str]

OPTION = {"def": "", "RA": "{}.reuseaddr=1 ", "EX": "{}.exclusive=1 "}
CELLS = ["def/W", "def/S", "RA/W", "RA/S", "EX/W", "EX/S"]

#: rows: the first socket; columns: the second; A = EACCES, U = EADDRINUSE
SAME_USER = {
    "def/W": "U . A . U .",
    "def/S": ". U . A U U",
    "RA/W": "U . . . U .",
    "RA/S": ". U . . U U",
    "EX/W": "U A A A U A",
    "EX/S": ". U . A U U",
}
OTHER_USER = {
    **SAME_USER,
    "def/W": "U A A A U A",
    "RA/W": "U A . . U A",
}
XP = {
    "def/W": "U U . . U U",
    "def/S": "U U . . U U",
    "RA/W": "U U . . U U",
    "RA/S": "U U . . U U",
    "EX/W": "U U A A U U",
    "EX/S": "U U A A U U",
}
WORDS = {".": "", "A": "b.bind=EACCES", "U": "b.bind=EADDRINUSE"}

SOCKETS = {
    "tcp4": {"W": "0.0.0.0", "S": "127.0.0.1"},
    "udp4": {"W": "0.0.0.0", "S": "127.0.0.1"},
    "tcp6": {"W": "::", "S": "::1"},
    "udp6": {"W": "::", "S": "::1"},
}


def bound(name: str, kind: str, cell: str) -> str:
    option, _, address = cell.partition("/")
    return f"{name}={kind} {OPTION[option].format(name)}{name}.bind={SOCKETS[kind][address]}"


def table(rows: dict[str, str]) -> list[tuple[str, str, str]]:
    return [
        (first, second, WORDS[word])
        for first, row in rows.items()
        for second, word in zip(CELLS, row.split(), strict=True)
    ]


@pytest.mark.parametrize("kind", SOCKETS)
@pytest.mark.parametrize(("first", "second", "expected"), table(SAME_USER))
def test_same_user(not_ok: NotOk, kind: str, first: str, second: str, expected: str) -> None:
    scenario = f"{bound('a', kind, first)} {bound('b', kind, second)}"
    assert not_ok("windows", "server-2003", scenario) == expected
    assert not_ok("windows", "11", scenario) == expected


@pytest.mark.parametrize("kind", SOCKETS)
@pytest.mark.parametrize(("first", "second", "expected"), table(OTHER_USER))
def test_other_user(not_ok: NotOk, kind: str, first: str, second: str, expected: str) -> None:
    scenario = f"user=1001 {bound('a', kind, first)} user=0 user=1002 {bound('b', kind, second)}"
    assert not_ok("windows", "10", scenario) == expected


@pytest.mark.parametrize(("first", "second", "expected"), table(XP))
def test_xp(not_ok: NotOk, first: str, second: str, expected: str) -> None:
    assert not_ok("windows", "xp", f"{bound('a', 'tcp4', first)} {bound('b', 'tcp4', second)}") == expected


SERVED = "a=tcp4 a.bind=127.0.0.1 a.listen c=tcp4 c.connect=127.0.0.1 x=a.accept"
DUAL_EXCLUSIVE = "a=udp6 a.v6only=0 a.exclusive=1 a.bind=::"
DUAL_SHARED = "a=udp6 a.v6only=0 a.reuseaddr=1 a.bind=::"
DUAL = "a=tcp6 a.v6only=0 a.bind=::"
EXCLUSIVE_DUAL = "a=tcp6 a.exclusive=1 a.v6only=0 a.bind=::"

CASES = [
    ("both-listen", "a=tcp4 a.bind=0.0.0.0 a.listen b=tcp4 b.bind=127.0.0.1 b.listen", ""),
    ("dual-is-wider", f"{DUAL} b=tcp4 b.bind=0.0.0.0", ""),
    ("dual-is-wider-exclusive", f"{DUAL} b=tcp4 b.exclusive=1 b.bind=0.0.0.0", ""),
    ("under-exclusive-dual", f"{EXCLUSIVE_DUAL} b=tcp4 b.bind=0.0.0.0", "b.bind=EACCES"),
    ("under-exclusive-dual-reuseaddr", f"{EXCLUSIVE_DUAL} b=tcp4 b.reuseaddr=1 b.bind=0.0.0.0", "b.bind=EACCES"),
    (
        "exclusive-dual-over",
        "a=tcp4 a.bind=127.0.0.1 b=tcp6 b.exclusive=1 b.v6only=0 b.bind=::",
        "b.bind=EADDRINUSE",
    ),
    ("dual-twice", f"{DUAL} b=tcp6 b.v6only=0 b.bind=::", "b.bind=EADDRINUSE"),
    ("dual-after-ipv4", "a=tcp4 a.bind=0.0.0.0 b=tcp6 b.v6only=0 b.bind=::", ""),
    ("dual-default-off", "a=tcp6 a.exclusive=1 a.bind=:: b=tcp4 b.bind=0.0.0.0", ""),
    ("dual-and-v6only", f"{DUAL} b=tcp6 b.bind=::", "b.bind=?"),
    ("v6only-and-dual", "a=tcp6 a.bind=:: b=tcp6 b.v6only=0 b.bind=::", "b.bind=?"),
    (
        "v6only-and-dual-shared",
        "a=tcp6 a.reuseaddr=1 a.bind=:: b=tcp6 b.v6only=0 b.reuseaddr=1 b.bind=::",
        "",
    ),
    (
        "v6only-and-dual-exclusive",
        "a=tcp6 a.bind=:: b=tcp6 b.v6only=0 b.exclusive=1 b.bind=::",
        "b.bind=EADDRINUSE",
    ),
    (
        "exclusive-v6only-and-dual",
        "a=tcp6 a.exclusive=1 a.bind=:: b=tcp6 b.v6only=0 b.reuseaddr=1 b.bind=::",
        "b.bind=EACCES",
    ),
    ("exclusive-dual-and-v6only", f"{EXCLUSIVE_DUAL} b=tcp6 b.reuseaddr=1 b.bind=::", "b.bind=EACCES"),
    (
        "dual-reuseaddr",
        "a=tcp6 a.v6only=0 a.reuseaddr=1 a.bind=:: b=tcp4 b.reuseaddr=1 b.bind=0.0.0.0",
        "b.bind=?",
    ),
    ("dual-udp", "a=udp6 a.v6only=0 a.bind=:: b=udp4 b.bind=0.0.0.0", "b.bind=?"),
    ("mapped", "a=tcp4 a.bind=127.0.0.1 b=tcp6 b.v6only=0 b.bind=::ffff:127.0.0.1", "b.bind=EADDRINUSE"),
    ("mapped-wildcard", "a=tcp6 a.v6only=0 a.bind=::ffff:0.0.0.0 b=tcp4 b.bind=0.0.0.0", "b.bind=EADDRINUSE"),
    ("mapped-v6only", "a=tcp6 a.bind=::ffff:127.0.0.1", "a.bind=refused"),
    ("options-exclude", "a=tcp4 a.reuseaddr=1 a.exclusive=1", "a.exclusive=EINVAL"),
    ("options-exclude-reverse", "a=tcp4 a.exclusive=1 a.reuseaddr=1", "a.reuseaddr=EINVAL"),
    ("options-one-cleared", "a=tcp4 a.reuseaddr=1 a.reuseaddr=0 a.exclusive=1", ""),
    (
        "set-late",
        "a=tcp4 a.bind=127.0.0.1 a.reuseaddr=1 b=tcp4 b.reuseaddr=1 b.bind=127.0.0.1",
        "a.reuseaddr=? b.bind=EACCES",
    ),
    ("no-reuseport", "a=tcp4 a.reuseport=1 a.reuseport_lb=1", "a.reuseport=ENOPROTOOPT a.reuseport_lb=ENOPROTOOPT"),
    ("listen-unbound", "a=tcp4 a.listen", "a.listen=EINVAL"),
    (
        "listen-after-failure",
        "a=tcp4 a.bind=127.0.0.1 b=tcp4 b.bind=127.0.0.1 b.listen",
        "b.bind=EADDRINUSE b.listen=EINVAL",
    ),
    ("time-wait", f"{SERVED} x.close a.close b=tcp4 b.bind=127.0.0.1 b.listen", ""),
    ("live-child", f"{SERVED} a.close b=tcp4 b.bind=127.0.0.1 b.listen", ""),
    ("live-child-reuseaddr", f"{SERVED} a.close b=tcp4 b.reuseaddr=1 b.bind=127.0.0.1", "b.bind=?"),
    (
        "exclusive-over-child",
        SERVED.replace("a=tcp4", "a=tcp4 a.exclusive=1") + " a.close b=tcp4 b.exclusive=1 b.bind=127.0.0.1 b.listen",
        "",
    ),
    ("close-wait", f"{SERVED} c.close a.close b=tcp4 b.bind=127.0.0.1", "b.bind=?"),
    ("connected-udp", "a=udp4 a.bind=0.0.0.0 a.connect=127.0.0.1 b=udp4 b.bind=127.0.0.1", "b.bind=?"),
    ("group", "a=udp4 a.bind=224.0.0.251", "a.bind=EADDRNOTAVAIL"),
    ("ipv6-group", "a=udp6 a.bind=ff02::fb", "a.bind=?"),
    (
        "two-errors",
        (
            "a=tcp4 a.exclusive=1 a.bind=127.0.0.1 a2=tcp4 a2.bind=0.0.0.0 c=tcp6 c.v6only=0 c.exclusive=1 "
            "c.bind=::1 b=tcp4 b.exclusive=1 b.bind=127.0.0.1"
        ),
        "b.bind=EADDRINUSE",
    ),
    (
        "any-error-wins",
        "user=1001 a=tcp4 a.bind=127.0.0.1 c=tcp4 c.bind=0.0.0.0 user=0 user=1002 b=tcp4 b.bind=127.0.0.1",
        "b.bind=EACCES|EADDRINUSE",
    ),
    ("v6only-after-bind", "a=tcp6 a.v6only=1 a.bind=:: a.v6only=0", "a.v6only=refused"),
    ("dual-datagrams-exclusive", f"{DUAL_EXCLUSIVE} b=udp6 b.v6only=0 b.exclusive=1 b.bind=::", "b.bind=refused"),
    ("dual-datagrams-plain-after", f"{DUAL_EXCLUSIVE} b=udp6 b.v6only=0 b.bind=::", "b.bind=refused"),
    ("dual-datagrams-reuse-after", f"{DUAL_EXCLUSIVE} b=udp6 b.v6only=0 b.reuseaddr=1 b.bind=::", "b.bind=refused"),
    ("dual-datagrams-plain-first", "a=udp6 a.v6only=0 a.bind=:: b=udp6 b.v6only=0 b.exclusive=1 b.bind=::", "b.bind=?"),
    ("dual-datagrams-share", f"{DUAL_SHARED} b=udp6 b.v6only=0 b.reuseaddr=1 b.bind=::", ""),
    ("dual-datagrams-unasked", f"{DUAL_SHARED} b=udp6 b.v6only=0 b.bind=::", "b.bind=?"),
    (
        "dual-over-mapped",
        "a=udp6 a.v6only=0 a.reuseaddr=1 a.bind=::ffff:127.0.0.1 b=udp6 b.v6only=0 b.reuseaddr=1 b.bind=::",
        "",
    ),
    (
        "ipv4-then-dual-exclusive",
        "a=udp4 a.exclusive=1 a.bind=0.0.0.0 b=udp6 b.exclusive=1 b.v6only=0 b.bind=::",
        "b.bind=refused",
    ),
    (
        "exclusive-restart",
        (
            "a=tcp4 a.exclusive=1 a.bind=0.0.0.0 a.listen c=tcp4 c.connect=127.0.0.1 x=a.accept a.close x.close b=tcp4 "
            "b.exclusive=1 b.bind=0.0.0.0 b.listen"
        ),
        "",
    ),
    ("to-unspecified", "a=tcp4 a.bind=0.0.0.0 a.listen deliver=0.0.0.0", "deliver=EADDRNOTAVAIL"),
    ("lone-receiver", "a=udp4 a.bind=0.0.0.0 deliver=127.0.0.1", "deliver=a"),
    ("administrator", "a=tcp4 a.bind=0.0.0.0 user=1001 b=tcp4 b.bind=127.0.0.1", "b.bind=?"),
]


@pytest.mark.parametrize(("scenario", "expected"), [row[1:] for row in CASES], ids=[row[0] for row in CASES])
def test_windows(not_ok: NotOk, scenario: str, expected: str) -> None:
    assert not_ok("windows", "11", scenario) == expected
