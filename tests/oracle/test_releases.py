"""Releases: how they are read and compared, and what is said of one that a file does not cover."""

from __future__ import annotations

import pytest
from bindmatrix.errors import Problems
from bindmatrix.oracle.oracle import Oracle
from bindmatrix.rules import catalog, releases
from bindmatrix.rules.loader import loads
from bindmatrix.rules.releases import Span


@pytest.mark.parametrize(
    ("text", "read"),
    [
        ("6.12.43", ("", (6, 12, 43))),
        ("v6.8-rc7", ("", (6, 8))),
        ("13.0-RELEASE-p4", ("", (13, 0))),
        ("omnios-2021.04", ("omnios", (2021, 4))),
        # the tags of gVisor
        ("release-20221219.0", ("", (20221219, 0))),
    ],
)
def test_what_is_read(text: str, read: tuple[str, tuple[int, ...]]) -> None:
    assert releases.parse(text) == read


@pytest.mark.parametrize(("release", "holds"), [("11.9", False), ("12", True), ("12.0", True), ("12.0.1", True)])
def test_numbers_that_are_left_out_are_zero(release: str, holds: bool) -> None:
    assert Span(since={"mainline": "12.0"}).holds(release) == holds
    assert Span(since={"mainline": "12"}).holds(release) == holds
    assert Span(until={"mainline": "12.0"}).holds(release) != holds


@pytest.mark.parametrize(
    ("release", "holds"), [("6.1", False), ("6.1.0", False), ("6.1.167", False), ("6.1.168", True), ("6.10", False)]
)
def test_a_stable_branch_has_its_own_bound(release: str, holds: bool) -> None:
    assert Span(since={"mainline": "6.19", "6.1": "6.1.168"}).holds(release) == holds


def test_macos_12_refuses_as_12_0() -> None:
    """tcp_usr_bind() of XNU 8019 (12.0): TCP to 255.255.255.255 is EAFNOSUPPORT, EADDRNOTAVAIL before."""
    macos = catalog.expectations("macos")

    def outcome(release: str) -> object:
        return Oracle(macos.at(release)).predict("a=tcp4 a.bind=255.255.255.255").outcomes[-1]

    assert [outcome(release) for release in ("11.5", "12", "12.0", "15.5")] == [
        "EADDRNOTAVAIL",
        "EAFNOSUPPORT",
        "EAFNOSUPPORT",
        "EAFNOSUPPORT",
    ]


@pytest.mark.parametrize(
    ("os", "release", "said"),
    [
        ("freebsd", "12", ""),
        ("freebsd", "15", ""),
        ("freebsd", "15.0-RELEASE", ""),
        ("freebsd", "11.4", "before 12.0"),
        ("freebsd", "16", "past 15.0"),
        ("gvisor", "release-20221219.0", ""),
        ("gvisor", "release-20240101.0", ""),
        ("gvisor", "release-20270101.0", "past 20260817"),
        ("windows", "2000", "before xp"),
        ("windows", "nt-4", "before xp"),
        ("windows", "xp", ""),
        ("windows", "10.0.27000", "past server-2025"),
        ("illumos", "omnios-2023.04", "past 2021.04"),
        ("linux", "6.6.30", ""),
        ("linux", "6.8", ""),
        ("linux", "7.4", "past 7.3.4"),
        ("linux", "4.19", "before 5.10"),
        ("linux", "4.18.0-553.el8_10.x86_64", "Red Hat"),
        ("linux", "5.14.0-427.13.1.el9_4.x86_64", "the number says little"),
        ("linux", "6.12.0-55.9.1.el10_0.x86_64", "Red Hat"),
        ("linux", "6.4.0-150600.23.17-default", "SUSE"),
        ("linux", "6.6.0-28.0.0.34.oe2403.x86_64", "openEuler"),
        ("linux", "6.1.134-152.225.amzn2023.x86_64", ""),
        ("linux", "6.6.87.2-microsoft-standard-WSL2", ""),
        ("macos", "15", ""),
        ("macos", "26.0", "past 15.5"),
        ("openbsd", "5.8", "before 5.9"),
        ("openbsd", "8.0", "past 7.9"),
        ("dragonfly", "5.6.0", ""),
        ("dragonfly", "6.4", "past 5.9"),
        ("netbsd", "10.0", "past 9.0"),
    ],
)
def test_a_release_outside_is_answered_with_that_said(os: str, release: str, said: str) -> None:
    expectations = catalog.expectations(os)
    limit = catalog.limit(expectations, catalog.release_of(expectations, release))
    assert said in limit if said else not limit
    assert Oracle(expectations.at(release)).predict("a=tcp4 a.bind=127.0.0.1").outcomes == ("ok", "ok")


@pytest.mark.parametrize(
    ("facts", "said"),
    [
        ({"uname": "5.14.0-427.13.1.el9_4.x86_64"}, "Red Hat"),
        ({"uname": "6.1.0-41-amd64"}, ""),
        ({"sysctls": {"net.ipv4.tcp_timestamps": "0"}}, "net.ipv4.tcp_timestamps is 0 on the host and 1 in the rules"),
        ({"sysctls": {"net.ipv4.tcp_timestamps": "1", "net.ipv6.bindv6only": "0"}}, ""),
    ],
)
def test_what_a_host_tells_of_itself_is_held_against_the_file(facts: dict[str, object], said: str) -> None:
    model = catalog.expectations("linux").at("6.1.164")
    notes = catalog.notes_of_host(model, {"os": "linux", "release": "6.1.164", **facts})
    assert said in " ".join(notes) if said else not notes


@pytest.mark.parametrize(
    ("added", "expected"),
    [
        ("rebased: {Somebody: '['}", "expected a regular expression"),
        ('assumes: {net.x: {value: "1"}}', "expected 'net.x: {value:"),
    ],
)
def test_what_the_file_says_of_hosts_has_a_form(added: str, expected: str) -> None:
    with pytest.raises(Problems) as raised:
        loads(f"os: x\n{added}\n", "x.yaml")
    assert expected in str(raised.value)
