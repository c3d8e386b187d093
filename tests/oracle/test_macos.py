"""What the facts about macOS say, one statement a scenario; the recorded runs are replayed elsewhere."""

from __future__ import annotations

import itertools
from functools import cache

import pytest
from bindmatrix.oracle.oracle import Oracle, Prediction
from bindmatrix.rules import catalog

from tests.oracle.reference import ReferenceEvaluator

RELEASES = ("10.8", "10.15", "11.5", "12.0", "15.5")
LEFT = "a=tcp4 a.reuseaddr=1 a.bind=127.0.0.1 a.listen c=tcp4 c.connect=127.0.0.1 x=a.accept"
SERVER_TIME_WAIT = f"{LEFT} x.close c.read c.close a.close"

#: id, scenario, the steps that are not ok (counted from the end), the same for every release
EVERYWHERE = [
    ("ipv4-then-dual", "a=tcp4 a.bind=0.0.0.0 a.listen b=tcp6 b.v6only=0 b.bind=:: b.listen", {}),
    ("dual-then-ipv4", "a=tcp6 a.v6only=0 a.bind=:: b=tcp4 b.reuseaddr=1 b.bind=0.0.0.0", {-1: "EADDRINUSE"}),
    ("ipv4-then-dual-of-another", "user=1001 a=tcp4 a.bind=0.0.0.0 user=0 user=1002 b=tcp6 b.v6only=0 b.bind=::", {}),
    (
        "mapped-wildcard-twice",
        "a=tcp6 a.v6only=0 a.bind=::ffff:0.0.0.0 a.listen b=tcp6 b.v6only=0 b.bind=::ffff:0.0.0.0 b.listen",
        {},
    ),
    (
        "dual-then-mapped-wildcard",
        "a=tcp6 a.v6only=0 a.bind=:: a.listen b=tcp6 b.v6only=0 b.bind=::ffff:0.0.0.0 b.listen",
        {},
    ),
    (
        "mapped-wildcard-then-dual",
        "a=tcp6 a.v6only=0 a.bind=::ffff:0.0.0.0 b=tcp6 b.v6only=0 b.bind=::",
        {-1: "EADDRINUSE"},
    ),
    (
        "reuseaddr-of-both",
        "a=udp4 a.reuseaddr=1 a.bind=127.0.0.1 b=udp4 b.reuseaddr=1 b.bind=127.0.0.1",
        {-1: "EADDRINUSE"},
    ),
    (
        "reuseaddr-of-the-new-one",
        "a=tcp4 a.bind=127.0.0.1 a.listen b=tcp4 b.reuseaddr=1 b.bind=0.0.0.0 b.listen",
        {},
    ),
    (
        "wildcards-of-two-users",
        "user=1001 a=tcp4 a.reuseport=1 a.bind=0.0.0.0 user=0 user=1002 b=tcp4 b.reuseport=1 b.bind=0.0.0.0",
        {},
    ),
    (
        "specific-of-two-users",
        "user=1001 a=tcp4 a.reuseport=1 a.bind=127.0.0.1 user=0 user=1002 b=tcp4 b.reuseport=1 b.bind=127.0.0.1",
        {-1: "EADDRINUSE"},
    ),
    (
        "dual-over-anothers-reuseport",
        "user=1001 a=tcp4 a.reuseport=1 a.bind=127.0.0.1 user=0 user=1002 b=tcp6 b.v6only=0 b.reuseport=1 b.bind=::",
        {},
    ),
    (
        "dual-over-anothers-reuseaddr",
        "user=1001 a=tcp4 a.reuseaddr=1 a.bind=127.0.0.1 user=0 user=1002 b=tcp6 b.v6only=0 b.reuseport=1 b.bind=::",
        {-1: "EADDRINUSE"},
    ),
    (
        "ipv6-wildcards-of-two-users",
        "user=1001 a=tcp6 a.v6only=1 a.bind=:: user=0 user=1002 b=tcp6 b.v6only=1 b.reuseport=1 b.bind=::",
        {-1: "EADDRINUSE"},
    ),
    (
        "ipv6-wildcards-of-two-users-reuseport",
        (
            "user=1001 a=tcp6 a.v6only=1 a.reuseport=1 a.bind=:: user=0 user=1002"
            " b=tcp6 b.v6only=1 b.reuseport=1 b.bind=::"
        ),
        {},
    ),
    ("by-root", "user=1001 a=tcp4 a.bind=127.0.0.1 user=0 b=tcp4 b.reuseaddr=1 b.bind=0.0.0.0", {}),
    ("of-root", "a=tcp4 a.bind=127.0.0.1 user=1001 b=tcp4 b.reuseaddr=1 b.bind=0.0.0.0", {-1: "EADDRINUSE"}),
    (
        "dual-slips-in",
        "a=udp4 a.reuseport=1 a.bind=0.0.0.0 d=udp6 d.v6only=0 d.bind=:: c=udp4 c.reuseport=1 c.bind=0.0.0.0",
        {-1: "EADDRINUSE"},
    ),
    (
        "oldest-sharer-left",
        (
            "a=udp4 a.reuseport=1 a.bind=0.0.0.0 c=udp4 c.reuseport=1 c.bind=0.0.0.0 a.reuseport=0"
            " d=udp4 d.reuseport=1 d.bind=0.0.0.0"
        ),
        {},
    ),
    (
        "newest-sharer-left",
        (
            "a=udp4 a.reuseport=1 a.bind=0.0.0.0 c=udp4 c.reuseport=1 c.bind=0.0.0.0 c.reuseport=0"
            " d=udp4 d.reuseport=1 d.bind=0.0.0.0"
        ),
        {-1: "EADDRINUSE"},
    ),
    (
        "group-reuseaddr-then-reuseport",
        "a=udp4 a.reuseaddr=1 a.bind=224.0.0.251 b=udp4 b.reuseport=1 b.bind=224.0.0.251",
        {-1: "EADDRINUSE"},
    ),
    (
        "group-reuseport-then-reuseaddr",
        "a=udp4 a.reuseport=1 a.bind=224.0.0.251 b=udp4 b.reuseaddr=1 b.bind=224.0.0.251",
        {},
    ),
    (
        "group-of-another-user",
        "user=1001 a=udp4 a.reuseport=1 a.bind=224.0.0.251 user=0 user=1002 b=udp4 b.reuseport=1 b.bind=224.0.0.251",
        {},
    ),
    (
        "connected-udp",
        "a=udp4 a.bind=127.0.0.1 a.connect=127.0.0.1 b=udp4 b.bind=127.0.0.1",
        {-1: "EADDRINUSE"},
    ),
    (
        "failed-dual-stays-unbound",
        "a=tcp4 a.bind=127.0.0.1 a.listen b=tcp6 b.v6only=0 b.bind=:: b.v6only=1 b.bind=:: b.listen",
        {-4: "EADDRINUSE"},
    ),
    ("tcp-group", "a=tcp4 a.bind=224.0.0.251", {-1: "EAFNOSUPPORT"}),
    ("tcp-group-ipv6", "a=tcp6 a.bind=ff02::fb", {-1: "EAFNOSUPPORT"}),
    ("udp-group-ipv6", "a=udp6 a.bind=ff02::fb", {}),
    ("udp-group-mapped", "a=udp6 a.v6only=0 a.bind=::ffff:224.0.0.251", {}),
    ("not-local", "a=tcp4 a.bind=127.0.0.3", {-1: "EADDRNOTAVAIL"}),
    ("udp-broadcast", "a=udp4 a.bind=255.255.255.255", {-1: "EADDRNOTAVAIL"}),
    ("mapped-v6only", "a=tcp6 a.v6only=1 a.bind=::ffff:127.0.0.1", {-1: "EADDRNOTAVAIL"}),
    ("mapped-by-default", "a=tcp6 a.bind=::ffff:127.0.0.1", {}),
    ("bound-twice", "a=tcp4 a.bind=127.0.0.1 a.bind=127.0.0.1", {-1: "EINVAL"}),
    ("v6only-after-bind", "a=tcp6 a.bind=::1 a.v6only=1", {-1: "EINVAL"}),
    ("no-balancing", "a=tcp4 a.reuseport_lb=1", {-1: "ENOPROTOOPT"}),
    ("no-exclusive", "a=tcp4 a.exclusive=1", {-1: "ENOPROTOOPT"}),
    ("udp-listen", "a=udp4 a.listen", {-1: "EOPNOTSUPP"}),
    ("listen-after-failure", "a=tcp4 a.bind=127.0.0.1 b=tcp4 b.bind=127.0.0.1 b.listen", {-2: "EADDRINUSE"}),
    ("chosen-port", "a=tcp4 a.bind=0.0.0.0,0 b=tcp4 b.bind=0.0.0.0,0", {}),
    ("child", f"{LEFT} a.close b=tcp4 b.bind=127.0.0.1", {-1: "EADDRINUSE"}),
    ("child-reuseport", f"{LEFT} a.close b=tcp4 b.reuseport=1 b.bind=127.0.0.1", {}),
    ("close-wait", f"{LEFT} c.close x.read a.close b=tcp4 b.bind=0.0.0.0", {-1: "EADDRINUSE"}),
    ("client-time-wait", f"{LEFT} c.close x.read x.close a.close b=tcp4 b.bind=127.0.0.1", {}),
    ("time-wait", f"{SERVER_TIME_WAIT} b=tcp4 b.bind=127.0.0.1", {-1: "EADDRINUSE"}),
    ("time-wait-reuseaddr", f"{SERVER_TIME_WAIT} b=tcp4 b.reuseaddr=1 b.bind=127.0.0.1", {}),
    ("time-wait-29-seconds", f"{SERVER_TIME_WAIT} wait=29000 b=tcp4 b.bind=127.0.0.1", {-1: "EADDRINUSE"}),
    ("time-wait-31-seconds", f"{SERVER_TIME_WAIT} wait=31000 b=tcp4 b.bind=127.0.0.1", {}),
    (
        "time-wait-of-another",
        f"user=1001 {SERVER_TIME_WAIT} user=0 user=1002 b=tcp4 b.reuseaddr=1 b.bind=127.0.0.1",
        {-1: "EADDRINUSE"},
    ),
    (
        "time-wait-of-root",
        f"{SERVER_TIME_WAIT} user=1001 b=tcp4 b.reuseaddr=1 b.bind=0.0.0.0",
        {-1: "EADDRINUSE"},
    ),
    ("time-wait-for-root", f"user=1001 {SERVER_TIME_WAIT} user=0 b=tcp4 b.reuseaddr=1 b.bind=127.0.0.1", {}),
    (
        "connection-twice",
        (
            "a=udp4 a.reuseport=1 a.bind=127.0.0.1 b=udp4 b.reuseport=1 b.bind=127.0.0.1 a.connect=127.0.0.2"
            " b.connect=127.0.0.2"
        ),
        {-1: "EADDRINUSE"},
    ),
]


@cache
def oracle(release: str) -> Oracle:
    return Oracle(catalog.expectations("macos").at(release))


def predict(release: str, scenario: str) -> Prediction:
    return oracle(release).predict(scenario)


@pytest.mark.parametrize(
    ("scenario", "refused"), [row[1:] for row in EVERYWHERE], ids=[identity for identity, _, _ in EVERYWHERE]
)
def test_every_release(scenario: str, refused: dict[int, str]) -> None:
    expected = ["ok"] * len(scenario.split())
    for step, outcome in refused.items():
        expected[step] = outcome
    for release in RELEASES:
        assert predict(release, scenario).outcomes == tuple(expected), release


@pytest.mark.parametrize(
    ("scenario", "before", "since"),
    [
        ("a=tcp4 a.bind=255.255.255.255", "EADDRNOTAVAIL", "EAFNOSUPPORT"),
        ("a=tcp6 a.v6only=0 a.bind=::ffff:255.255.255.255", "EADDRNOTAVAIL", "EAFNOSUPPORT"),
        ("a=tcp6 a.v6only=0 a.bind=::ffff:224.0.0.251", "ok", "EAFNOSUPPORT"),
        ("a=tcp6 a.v6only=1 a.bind=::ffff:224.0.0.251", "EADDRNOTAVAIL", "EAFNOSUPPORT"),
    ],
    ids=["broadcast", "mapped-broadcast", "mapped-group", "mapped-group-v6only"],
)
def test_streams_refuse_more_addresses_since_12(scenario: str, before: str, since: str) -> None:
    for release in ("10.8", "11.5"):
        assert predict(release, scenario).outcomes[-1] == before
    for release in ("12.0", "15.5"):
        assert predict(release, scenario).outcomes[-1] == since


@pytest.mark.parametrize(
    ("protocol", "first", "second", "expected"),
    [
        ("tcp4", "127.0.0.1", "127.0.0.1", "EEEE E.E. EEEE E.E."),
        ("tcp6", "::1", "::1", "EEEE E.E. EEEE E.E."),
        ("tcp4", "0.0.0.0", "127.0.0.1", "E... E... E... E..."),
        ("udp4", "127.0.0.1", "0.0.0.0", "E... E... E... E..."),
        ("udp4", "224.0.0.251", "224.0.0.251", "EEEE E... EE.. E..."),
        ("udp6", "ff02::fb", "ff02::fb", "EEEE E... EE.. E..."),
        ("udp4", "224.0.0.251", "0.0.0.0", "E... E... E... E..."),
        ("tcp4", "127.0.0.1", "127.0.0.2", ".... .... .... ...."),
    ],
    ids=["same", "same-ipv6", "wider", "narrower", "group", "group-ipv6", "wildcard-over-group", "apart"],
)
def test_tables(protocol: str, first: str, second: str, expected: str) -> None:
    groups = []
    for old in itertools.product((0, 1), repeat=2):
        letters = ""
        for new in itertools.product((0, 1), repeat=2):
            a = f"a={protocol} a.reuseaddr={old[0]} a.reuseport={old[1]} a.bind={first}"
            b = f"b={protocol} b.reuseaddr={new[0]} b.reuseport={new[1]} b.bind={second}"
            letters += "." if predict("15.5", f"{a} {b}").outcomes[-1] == "ok" else "E"
        groups.append(letters)
    assert " ".join(groups) == expected


def test_both_evaluators_decide_alike() -> None:
    for release in RELEASES:
        expectations = catalog.expectations("macos").at(release)
        compiled, naive = Oracle(expectations), Oracle(expectations, evaluator=ReferenceEvaluator(expectations))
        for _, scenario, _ in EVERYWHERE:
            assert compiled.predict(scenario) == naive.predict(scenario), (release, scenario)


V6ONLY_CLIENT = "a=tcp6 a.v6only=1 a.bind=::1 a.listen b=tcp6 b.v6only=1 b.connect=::ffff:127.0.0.1"
ACROSS = "a={0} a.v6only=0 a.bind=::1 a.connect=::ffff:127.0.0.1"
FROM_MAPPED = "a={0} a.v6only=0 a.bind=::ffff:127.0.0.1 a.connect=::1"
REFUSED = "a=tcp4 a.connect=127.0.0.1"
RESET = "a=tcp4 a.bind=127.0.0.1 a.listen c=tcp4 c.connect=127.0.0.1 a.close"

#: id, scenario, what its last step gives in some releases
BY_RELEASE = [
    (
        "v6only-client",
        V6ONLY_CLIENT,
        {"11.5": "EINVAL", "15.1": "EINVAL", "15.2": "EAFNOSUPPORT", "15.5": "EAFNOSUPPORT"},
    ),
    ("v6only-datagram", "a=udp6 a.v6only=1 a.connect=::ffff:127.0.0.1", {"15.5": None}),
    ("across", ACROSS.format("tcp6"), {"15.1": None, "15.2": "EAFNOSUPPORT"}),
    ("across-udp", ACROSS.format("udp6"), {"15.1": None, "15.2": "EINVAL"}),
    ("from-mapped", FROM_MAPPED.format("tcp6"), {"12.4": None, "15.1": None, "15.2": "EAFNOSUPPORT"}),
    ("from-mapped-udp", FROM_MAPPED.format("udp6"), {"12.3": None, "12.4": "EINVAL", "15.5": "EINVAL"}),
    ("from-group", "a=udp4 a.bind=224.0.0.251 a.connect=127.0.0.1", {"10.8": "ok", "15.5": "ok"}),
    ("bind-other-family", "a=udp4 a.bind=::", {"10.8": "EINVAL", "15.5": "EINVAL"}),
    ("bind-other-family-ipv6", "a=udp6 a.bind=127.0.0.1", {"15.5": "EINVAL"}),
    ("connect-other-family", "a=tcp6 a.connect=127.0.0.1", {"15.5": "EAFNOSUPPORT"}),
    ("connect-other-family-udp", "a=udp4 a.connect=::1", {"15.5": "EINVAL"}),
    ("listener-connects-other-family", "a=tcp4 a.listen a.connect=::1", {"15.5": "EOPNOTSUPP"}),
    ("connect-after-refusal", f"{REFUSED} a.connect=127.0.0.1", {"15.5": "EINVAL"}),
    ("bind-after-refusal", f"{REFUSED} a.bind=::", {"15.5": "EINVAL"}),
    ("connect-after-reset", f"{RESET} c.connect=127.0.0.1", {"15.5": ("ECONNRESET", "EINVAL")}),
    ("to-broadcast", "a=tcp4 a.bind=0.0.0.0 a.listen deliver=255.255.255.255", {"14.0": None, "15.5": "EAFNOSUPPORT"}),
]


@pytest.mark.parametrize(
    ("scenario", "outcomes"), [row[1:] for row in BY_RELEASE], ids=[identity for identity, _, _ in BY_RELEASE]
)
def test_last_step_by_release(scenario: str, outcomes: dict[str, str | tuple[str, ...] | None]) -> None:
    found = {release: predict(release, scenario).outcomes[-1] for release in outcomes}
    assert found == outcomes
