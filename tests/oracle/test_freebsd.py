"""What the facts about FreeBSD say, one statement a scenario; the recorded runs are replayed elsewhere."""

from __future__ import annotations

import itertools
from functools import cache

import pytest
from bindmatrix.oracle.oracle import Oracle, Prediction
from bindmatrix.rules import catalog

from tests.oracle.reference import ReferenceEvaluator

RELEASES = ("12.0", "13.0", "14.0", "14.3", "15")
LEFT = "a=tcp4 a.bind=127.0.0.1 a.listen c=tcp4 c.connect=127.0.0.1 x=a.accept"
SERVER_TIME_WAIT = f"{LEFT} x.close c.read c.close a.close"
BALANCED_OF_ANOTHER = (
    "user=1001 a=tcp4 a.reuseport_lb=1 a.bind=0.0.0.0 user=0 user=1002 b=tcp4 b.reuseport_lb=1 b.bind=0.0.0.0"
)

#: id, scenario, the steps that are not ok (counted from the end), the same for every release
EVERYWHERE = [
    ("ipv4-then-dual", "a=tcp4 a.bind=0.0.0.0 a.listen b=tcp6 b.v6only=0 b.bind=:: b.listen", {}),
    ("dual-then-ipv4", "a=tcp6 a.v6only=0 a.bind=:: b=tcp4 b.reuseaddr=1 b.bind=0.0.0.0", {-1: "EADDRINUSE"}),
    (
        "mapped-wildcard-twice",
        "a=tcp6 a.v6only=0 a.bind=::ffff:0.0.0.0 a.listen b=tcp6 b.v6only=0 b.bind=::ffff:0.0.0.0 b.listen",
        {},
    ),
    (
        "dual-then-mapped-wildcard",
        "a=tcp6 a.v6only=0 a.bind=:: b=tcp6 b.v6only=0 b.bind=::ffff:0.0.0.0 b.listen",
        {},
    ),
    (
        "mapped-wildcard-then-dual",
        "a=tcp6 a.v6only=0 a.bind=::ffff:0.0.0.0 b=tcp6 b.v6only=0 b.bind=::",
        {-1: "EADDRINUSE"},
    ),
    (
        "reuseaddr-of-the-new-one",
        "a=tcp4 a.bind=127.0.0.1 a.listen b=tcp4 b.reuseaddr=1 b.bind=0.0.0.0 b.listen",
        {},
    ),
    ("reuseaddr-of-the-old-one", "a=tcp4 a.reuseaddr=1 a.bind=127.0.0.1 b=tcp4 b.bind=0.0.0.0", {-1: "EADDRINUSE"}),
    (
        "reuseaddr-of-both",
        "a=udp4 a.reuseaddr=1 a.bind=127.0.0.1 b=udp4 b.reuseaddr=1 b.bind=127.0.0.1",
        {-1: "EADDRINUSE"},
    ),
    (
        "reuseport-and-balanced",
        "a=tcp4 a.reuseport=1 a.bind=127.0.0.1 b=tcp4 b.reuseport_lb=1 b.bind=127.0.0.1",
        {-1: "EADDRINUSE"},
    ),
    (
        "newest-sharer-left",
        (
            "a=tcp4 a.reuseport=1 a.bind=127.0.0.1 b=tcp4 b.reuseport=1 b.bind=127.0.0.1 b.reuseport=0"
            " c=tcp4 c.reuseport=1 c.bind=127.0.0.1"
        ),
        {-1: "EADDRINUSE"},
    ),
    (
        "oldest-sharer-left",
        (
            "a=tcp4 a.reuseport=1 a.bind=127.0.0.1 b=tcp4 b.reuseport=1 b.bind=127.0.0.1 a.reuseport=0"
            " c=tcp4 c.reuseport=1 c.bind=127.0.0.1"
        ),
        {},
    ),
    (
        "newest-is-own",
        (
            "user=1001 a=tcp4 a.bind=127.0.0.1 user=0 user=1002 b=tcp4 b.bind=127.0.0.2"
            " c=tcp4 c.reuseaddr=1 c.bind=0.0.0.0"
        ),
        {},
    ),
    (
        "newest-is-anothers",
        (
            "user=1002 b=tcp4 b.bind=127.0.0.2 user=0 user=1001 a=tcp4 a.bind=127.0.0.1 user=0 user=1002"
            " c=tcp4 c.reuseaddr=1 c.bind=0.0.0.0"
        ),
        {-1: "EADDRINUSE"},
    ),
    (
        "dual-costs-three",
        (
            "a=udp4 a.reuseport=1 a.bind=127.0.0.2 b=udp6 b.v6only=0 b.reuseport=1 b.bind=::"
            " c=udp6 c.v6only=0 c.bind=::ffff:0.0.0.0"
        ),
        {-1: "EADDRINUSE"},
    ),
    (
        "dual-costs-more-than-a-connection",
        (
            "user=1001 b=udp6 b.v6only=0 b.reuseport=1 b.bind=:: user=0 a=udp4 a.reuseaddr=1 a.bind=127.0.0.1"
            " a.connect=127.0.0.1 user=1001 c=udp4 c.reuseport=1 c.bind=0.0.0.0"
        ),
        {-1: "EADDRINUSE"},
    ),
    (
        "dual-costs-nothing-among-ipv6",
        (
            "user=1001 a=udp6 a.v6only=1 a.reuseport=1 a.bind=:: user=0 user=1002"
            " b=udp6 b.v6only=0 b.reuseport=1 b.bind=::"
        ),
        {-1: "EADDRINUSE"},
    ),
    ("tcp-group", "a=tcp4 a.bind=224.0.0.251", {-1: "EAFNOSUPPORT"}),
    ("tcp-group-mapped", "a=tcp6 a.v6only=0 a.bind=::ffff:224.0.0.251", {-1: "EAFNOSUPPORT"}),
    ("tcp-group-mapped-v6only", "a=tcp6 a.bind=::ffff:224.0.0.251", {-1: "EADDRNOTAVAIL"}),
    ("tcp-group-ipv6", "a=tcp6 a.bind=ff02::fb", {-1: "EAFNOSUPPORT"}),
    ("udp-group-ipv6", "a=udp6 a.bind=ff02::fb", {}),
    ("not-local", "a=tcp4 a.bind=192.0.2.1", {-1: "EADDRNOTAVAIL"}),
    ("not-added-to-lo0", "a=tcp4 a.bind=127.0.0.3", {-1: "EADDRNOTAVAIL"}),
    ("broadcast", "a=udp4 a.bind=255.255.255.255", {-1: "EADDRNOTAVAIL"}),
    ("mapped-v6only", "a=tcp6 a.bind=::ffff:127.0.0.1", {-1: "EADDRNOTAVAIL"}),
    ("bound-twice", "a=tcp4 a.bind=127.0.0.1 a.bind=127.0.0.2", {-1: "EINVAL"}),
    ("bound-twice-mapped-v6only", "a=tcp6 a.bind=::1 a.bind=::ffff:127.0.0.1", {-1: "EINVAL"}),
    ("v6only-after-bind", "a=tcp6 a.bind=::1 a.v6only=0", {-1: "EINVAL"}),
    ("no-exclusive", "a=tcp4 a.exclusive=1", {-1: "ENOPROTOOPT"}),
    ("udp-listen", "a=udp4 a.bind=127.0.0.1 a.listen", {-1: "EOPNOTSUPP"}),
    ("listen-after-failure", "a=tcp4 a.bind=127.0.0.1 b=tcp4 b.bind=127.0.0.1 b.listen", {-2: "EADDRINUSE"}),
    ("chosen-port", "a=tcp4 a.bind=127.0.0.1 b=tcp4 b.bind=127.0.0.1,0 b.listen", {}),
    (
        "group-shared-by-a-mix",
        (
            "a=udp4 a.reuseport=1 a.bind=224.0.0.251 b=udp4 b.reuseaddr=1 b.bind=224.0.0.251"
            " c=udp4 c.reuseport_lb=1 c.bind=224.0.0.251"
        ),
        {},
    ),
    (
        "group-not-shared-by-reuseport-and-balanced",
        "a=udp4 a.reuseport=1 a.bind=224.0.0.251 b=udp4 b.reuseport_lb=1 b.bind=224.0.0.251",
        {-1: "EADDRINUSE"},
    ),
    (
        "group-of-another-user",
        "user=1001 a=udp4 a.reuseport=1 a.bind=224.0.0.251 user=0 user=1002 b=udp4 b.reuseport=1 b.bind=224.0.0.251",
        {},
    ),
    (
        "another-user",
        "user=1001 a=tcp4 a.reuseport=1 a.bind=0.0.0.0 user=0 user=1002 b=tcp4 b.reuseport=1 b.bind=0.0.0.0",
        {-1: "EADDRINUSE"},
    ),
    ("of-root", "a=tcp4 a.bind=127.0.0.1 user=1001 b=tcp4 b.reuseaddr=1 b.bind=0.0.0.0", {-1: "EADDRINUSE"}),
    ("by-root", "user=1001 a=tcp4 a.bind=127.0.0.1 user=0 b=tcp4 b.reuseaddr=1 b.bind=0.0.0.0", {}),
    (
        "connected-udp-of-another",
        "user=1001 a=udp4 a.bind=127.0.0.1 a.connect=127.0.0.2 user=0 user=1002 b=udp4 b.reuseport=1 b.bind=127.0.0.1",
        {-1: "EADDRINUSE"},
    ),
    (
        "connection-of-another",
        f"user=1001 {LEFT} a.close user=0 user=1002 b=tcp4 b.reuseaddr=1 b.bind=127.0.0.1",
        {},
    ),
    ("child", f"{LEFT} a.close b=tcp4 b.bind=127.0.0.1", {-1: "EADDRINUSE"}),
    ("child-reuseaddr", f"{LEFT} a.close b=tcp4 b.reuseaddr=1 b.bind=127.0.0.1", {}),
    ("close-wait", f"{LEFT} c.close x.read a.close b=tcp4 b.bind=0.0.0.0", {-1: "EADDRINUSE"}),
    ("client-time-wait", f"{LEFT} c.close x.read x.close a.close b=tcp4 b.bind=127.0.0.1", {}),
    ("time-wait-reuseaddr", f"{SERVER_TIME_WAIT} b=tcp4 b.reuseaddr=1 b.bind=127.0.0.1", {}),
    ("time-wait-over", f"{SERVER_TIME_WAIT} wait=61000 b=tcp4 b.bind=127.0.0.1", {}),
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
    return Oracle(catalog.expectations("freebsd").at(release))


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
    ("release", "outcome"),
    [("12.0", "ok"), ("13.5", "ok"), ("14.0", "ok"), ("14.3", None), ("15", "EADDRINUSE"), ("15.0", "EADDRINUSE")],
)
@pytest.mark.parametrize(
    "scenario",
    [BALANCED_OF_ANOTHER, BALANCED_OF_ANOTHER.replace("tcp4", "udp6").replace("0.0.0.0", "::")],
    ids=["ipv4", "ipv6"],
)
def test_a_balanced_wildcard_of_another_user_was_let_in_until_15(
    scenario: str, release: str, outcome: str | None
) -> None:
    assert predict(release, scenario).outcomes[-1] == outcome


def test_the_undecided_releases_refuse_what_all_refuse() -> None:
    assert predict("14.3", BALANCED_OF_ANOTHER.replace("b.reuseport_lb", "b.reuseport")).outcomes[-1] == "EADDRINUSE"


def test_a_dual_wildcard_has_no_exception_among_ipv4_sockets() -> None:
    scenario = (
        "user=1001 a=tcp4 a.reuseport_lb=1 a.bind=0.0.0.0 user=0 user=1002 b=tcp6 b.v6only=0 b.reuseport_lb=1 b.bind=::"
    )
    prediction = predict("13.0", scenario)
    assert prediction.outcomes[-1] == "EADDRINUSE"
    assert prediction.rules[-1][0].id == "freebsd.other-user-dual"


@pytest.mark.parametrize(
    ("release", "outcome"), [("12.0", "EADDRINUSE"), ("13.0", "EADDRINUSE"), ("14.0", "ok"), ("15", "ok")]
)
def test_no_local_time_wait_since_14(release: str, outcome: str) -> None:
    assert predict(release, f"{SERVER_TIME_WAIT} b=tcp4 b.bind=127.0.0.1").outcomes[-1] == outcome


def groups(protocol: str, first: str, second: str, options: tuple[str, ...]) -> str:
    """The outcomes of all options of the second socket, one group for all options of the first."""
    sets = [
        [option for option, on in zip(options, switches, strict=True) if on]
        for switches in itertools.product((False, True), repeat=len(options))
    ]
    text = []
    for old in sets:
        group = ""
        for new in sets:
            steps = [f"a={protocol}", *(f"a.{o}=1" for o in old), f"a.bind={first}"]
            steps += [f"b={protocol}", *(f"b.{o}=1" for o in new), f"b.bind={second}"]
            group += "." if predict("13.0", " ".join(steps)).outcomes[-1] == "ok" else "E"
        text.append(group)
    return " ".join(text)


TWO, THREE = ("reuseaddr", "reuseport"), ("reuseaddr", "reuseport", "reuseport_lb")


@pytest.mark.parametrize(
    ("protocol", "first", "second", "options", "expected"),
    [
        ("tcp4", "127.0.0.1", "127.0.0.1", TWO, "EEEE E.E. EEEE E.E."),
        ("tcp4", "0.0.0.0", "127.0.0.1", TWO, "E... E... E... E..."),
        ("tcp6", "::1", "::", TWO, "E... E... E... E..."),
        ("udp4", "224.0.0.251", "224.0.0.251", TWO, "EEEE E... E... E..."),
        ("udp6", "ff02::fb", "ff02::fb", TWO, "EEEE E... E... E..."),
        (*("tcp4", "127.0.0.1", "127.0.0.1", THREE), "-E-E-E-E E.E.E.E. -E-.-E-. E...E... " * 2),
        (*("tcp4", "0.0.0.0", "127.0.0.1", THREE), "-.-.-.-. E....... " * 4),
        (
            *("udp4", "224.0.0.251", "224.0.0.251", THREE),
            "-E-E-E-E E.E..... -E-.-.-. E....... " + "-.-.-.-. E....... " * 2,
        ),
    ],
    ids=["same", "wider", "narrower-ipv6", "group", "group-ipv6", "same-lb", "wider-lb", "group-lb"],
)
def test_tables(protocol: str, first: str, second: str, options: tuple[str, ...], expected: str) -> None:
    found = groups(protocol, first, second, options)
    # a dash: neither has SO_REUSEPORT_LB, see the tables without it
    shown = "".join("-" if wanted == "-" else letter for letter, wanted in zip(found, expected.strip(), strict=True))
    assert shown == expected.strip()


def test_both_evaluators_decide_alike() -> None:
    for release in RELEASES:
        expectations = catalog.expectations("freebsd").at(release)
        compiled, naive = Oracle(expectations), Oracle(expectations, evaluator=ReferenceEvaluator(expectations))
        for _, scenario, _ in EVERYWHERE:
            assert compiled.predict(scenario) == naive.predict(scenario), (release, scenario)


def test_the_newest_balanced_group_is_the_one_made_last() -> None:
    """in_pcblbgroup_alloc() puts a group in front of the others; that its first member leaves changes nothing."""
    balanced = "{0}={1} {2}{0}.reuseport_lb=1 {0}.bind={3}"
    four, mapped = ("udp4", "", "127.0.0.1"), ("udp6", "NAME.v6only=0 ", "::ffff:127.0.0.1")
    steps = [
        balanced.format(name, kind, early.replace("NAME", name), address)
        for name, (kind, early, address) in (("a", four), ("b", mapped), ("c", four))
    ]
    assert predict("13.0", f"{' '.join(steps)} deliver=127.0.0.1").outcomes[-1] == "b"
    assert predict("13.0", f"{' '.join(steps)} a.close deliver=127.0.0.1").outcomes[-1] == "b"
    assert predict("13.0", f"{' '.join(steps)} b.close deliver=127.0.0.1").outcomes[-1] == "spread:a,c"


MAPPED_LAST = (
    "b=tcp4 b.reuseport=1 b.bind=0.0.0.0 a=tcp6 a.v6only=0 a.reuseport=1 a.bind=::ffff:0.0.0.0 a.reuseport=0"
    " c=tcp4 c.reuseport=1 c.bind=0.0.0.0"
)
CONNECTED_BALANCED = (
    "a=udp4 a.reuseport_lb=1 a.bind=0.0.0.0 b=udp4 b.reuseport_lb=1 b.bind=0.0.0.0 a.connect=127.0.0.1"
    " deliver=127.0.0.2"
)
PENDING_BALANCED = (
    "a=tcp4 a.reuseport_lb=1 a.bind=127.0.0.1 a.listen b=tcp4 b.reuseport_lb=1 b.bind=127.0.0.1 deliver=127.0.0.1"
)
BALANCED_CLIENT = "a=tcp4 a.reuseport_lb=1 a.bind=127.0.0.1 l=tcp4 l.bind=127.0.0.2 l.listen a.connect=127.0.0.2"

#: id, scenario, what its last step gives in some releases
BY_RELEASE = [
    ("bind-other-family", "a=udp4 a.bind=::", {"13.0": "EINVAL", "13.1": "EAFNOSUPPORT", "15": "EAFNOSUPPORT"}),
    ("bind-other-family-ipv6", "a=tcp6 a.bind=127.0.0.1", {"12.0": "EINVAL", "14.0": "EAFNOSUPPORT"}),
    (
        "bind-other-family-refused",
        "a=tcp4 a.connect=127.0.0.1 a.bind=::",
        {"13.0": "EINVAL", "15": ("EAFNOSUPPORT", "EINVAL")},
    ),
    ("connect-other-family", "a=tcp6 a.connect=127.0.0.1", {"13.0": "EINVAL", "13.1": "EAFNOSUPPORT"}),
    (
        "listener-connects-other-family",
        "a=tcp4 a.bind=127.0.0.1 a.listen a.connect=::1",
        {"13.0": "EOPNOTSUPP", "15": None},
    ),
    (
        "connect-after-refusal",
        "a=tcp4 a.connect=127.0.0.1 a.connect=127.0.0.1",
        {"12.0": "ECONNREFUSED", "15": "ECONNREFUSED"},
    ),
    (
        "connect-across",
        "a=udp6 a.v6only=0 a.bind=::1 a.connect=::ffff:127.0.0.1",
        {"13.0": None, "14.0": "EAFNOSUPPORT", "15": "EAFNOSUPPORT"},
    ),
    (
        "connect-from-mapped",
        "a=tcp6 a.v6only=0 a.bind=::ffff:127.0.0.1 a.connect=::1",
        {"13.0": None, "14.0": "EAFNOSUPPORT", "15": "EAFNOSUPPORT"},
    ),
    ("connect-from-group", "a=udp4 a.bind=224.0.0.251 a.connect=127.0.0.1", {"12.0": "ok", "15": "ok"}),
    ("balanced-client", BALANCED_CLIENT, {"14.2": "ok", "14.3": None, "15": "EOPNOTSUPP"}),
    ("mapped-wildcard-last", MAPPED_LAST, {"13.0": "EADDRINUSE", "14.0": None, "15": None}),
    ("connected-balanced", CONNECTED_BALANCED, {"13.5": None, "14.3": None, "14.4": "b", "15": "b"}),
    (
        "connected-balanced-alone",
        "a=udp4 a.reuseport_lb=1 a.bind=127.0.0.1 a.connect=127.0.0.2 deliver=127.0.0.1",
        {"14.3": None, "15": "refused"},
    ),
    ("pending-balanced", PENDING_BALANCED, {"13.0": "spread:a,refused", "14.0": None, "14.3": "a", "15": "a"}),
    ("to-unspecified", "a=tcp4 a.bind=0.0.0.0 a.listen deliver=0.0.0.0", {"14.3": None, "15": "ENETUNREACH"}),
    ("datagram-to-unspecified", "a=udp4 a.bind=0.0.0.0 deliver=0.0.0.0", {"14.3": None, "15": "ENETUNREACH"}),
    ("to-broadcast", "a=tcp4 a.bind=0.0.0.0 a.listen deliver=255.255.255.255", {"13.0": None, "14.0": "EACCES"}),
]


def test_main_is_the_release_that_is_developed() -> None:
    """tcp_connect() of main refuses a socket with SO_REUSEPORT_LB."""
    text = "a=tcp4 a.reuseport_lb=1 a.bind=127.0.0.1 l=tcp4 l.bind=127.0.0.2 l.listen a.connect=127.0.0.2"
    assert predict("main", text).outcomes[-1] == "EOPNOTSUPP"
    assert catalog.limit(catalog.expectations("freebsd"), "main").startswith("main is past 15.0")


@pytest.mark.parametrize(
    ("scenario", "outcomes"), [row[1:] for row in BY_RELEASE], ids=[identity for identity, _, _ in BY_RELEASE]
)
def test_last_step_by_release(scenario: str, outcomes: dict[str, str | tuple[str, ...] | None]) -> None:
    found = {release: predict(release, scenario).outcomes[-1] for release in outcomes}
    assert found == outcomes
