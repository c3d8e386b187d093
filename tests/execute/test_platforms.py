"""The executor on systems that are not here, played by ``platforms.py``: numbers, names, facts, ports, deliveries."""

from __future__ import annotations

import errno
import itertools
import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from bindmatrix.execute.executor import LINUX

from tests.execute.platforms import PLATFORMS, Platform, Skin

pytestmark = pytest.mark.skipif(
    not LINUX, reason="the stand-ins translate to Linux's numbers; elsewhere run the real one"
)
every = pytest.mark.parametrize("platform", list(PLATFORMS.values()), ids=list(PLATFORMS))
UNIXES = [platform for platform in PLATFORMS.values() if platform.windows is None]
unixes = pytest.mark.parametrize("platform", UNIXES, ids=[platform.name for platform in UNIXES])

#: (level, number) of each option; None where the system has none.  Sources: those of the tables in platforms.py;
#: SO_REUSEPORT_LB: FreeBSD sys/socket.h; SO_EXCLUSIVEADDRUSE (int)(~SO_REUSEADDR): winsock2.h; SO_EXCLBIND: illumos
#: sys/socket.h
_REUSE = {"reuseaddr": (0xFFFF, 0x4), "v6only": (41, 27)}
_NONE = {"reuseport": None, "reuseport_lb": None, "exclusive": None, "exclbind": None}
OPTIONS: dict[str, dict[str, tuple[int, int] | None]] = {
    "freebsd": {**_NONE, **_REUSE, "reuseport": (0xFFFF, 0x200), "reuseport_lb": (0xFFFF, 0x10000)},
    "netbsd": {**_NONE, **_REUSE, "reuseport": (0xFFFF, 0x200)},
    "openbsd": {**_NONE, **_REUSE, "reuseport": (0xFFFF, 0x200)},
    "dragonfly": {**_NONE, **_REUSE, "reuseport": (0xFFFF, 0x200)},
    "macos": {**_NONE, **_REUSE, "reuseport": (0xFFFF, 0x200)},
    "illumos": {**_NONE, **_REUSE, "v6only": (41, 0x27), "reuseport": (0xFFFF, 0x2004), "exclbind": (0xFFFF, 0x1015)},
    "windows": {**_NONE, **_REUSE, "exclusive": (0xFFFF, -5)},
}
KINDS = {
    "freebsd": {"tcp4": (2, 1), "tcp6": (28, 1), "udp4": (2, 2), "udp6": (28, 2)},
    "netbsd": {"tcp4": (2, 1), "tcp6": (24, 1), "udp4": (2, 2), "udp6": (24, 2)},
    "openbsd": {"tcp4": (2, 1), "tcp6": (24, 1), "udp4": (2, 2), "udp6": (24, 2)},
    "dragonfly": {"tcp4": (2, 1), "tcp6": (28, 1), "udp4": (2, 2), "udp6": (28, 2)},
    "macos": {"tcp4": (2, 1), "tcp6": (30, 1), "udp4": (2, 2), "udp6": (30, 2)},
    "illumos": {"tcp4": (2, 2), "tcp6": (26, 2), "udp4": (2, 1), "udp6": (26, 1)},
    "windows": {"tcp4": (2, 1), "tcp6": (23, 1), "udp4": (2, 2), "udp6": (23, 2)},
}
#: numbers of errors as the kernel gives them -> the outcome
ERRORS = {
    "freebsd": {48: "EADDRINUSE", 35: "EAGAIN", 45: "EOPNOTSUPP", 47: "EAFNOSUPPORT", 61: "ECONNREFUSED"},
    "netbsd": {48: "EADDRINUSE", 35: "EAGAIN", 45: "EOPNOTSUPP", 86: "ENOTSUP", 49: "EADDRNOTAVAIL"},
    "openbsd": {48: "EADDRINUSE", 35: "EAGAIN", 45: "EOPNOTSUPP", 91: "ENOTSUP", 13: "EACCES"},
    "dragonfly": {48: "EADDRINUSE", 35: "EAGAIN", 45: "EOPNOTSUPP", 42: "ENOPROTOOPT", 9: "EBADF"},
    "macos": {48: "EADDRINUSE", 35: "EAGAIN", 102: "EOPNOTSUPP", 45: "ENOTSUP", 22: "EINVAL"},
    "illumos": {125: "EADDRINUSE", 11: "EAGAIN", 122: "EOPNOTSUPP", 48: "ENOTSUP", 126: "EADDRNOTAVAIL"},
    "windows": {
        10048: "EADDRINUSE", 10013: "EACCES", 10022: "EINVAL", 10035: "EAGAIN", 10038: "EBADF", 10042: "ENOPROTOOPT",
        10045: "EOPNOTSUPP", 10047: "EAFNOSUPPORT", 10049: "EADDRNOTAVAIL", 10054: "ECONNRESET", 10061: "ECONNREFUSED",
        9: "EBADF", 10014: "EFAULT",
    },
}  # fmt: skip


@contextmanager
def running(platform: Platform, **options: Any) -> Iterator[tuple[Skin, Any]]:
    """An executor of that system on leased ports."""
    skin = Skin(platform, **options)
    made = skin.module.Executor("none")
    try:
        yield skin, made
    finally:
        made.close()


def answer(executor: Any, scenario: str) -> Any:
    return json.loads(executor.line(scenario))


@every
def test_the_options_have_the_numbers_of_the_headers(platform: Platform) -> None:
    options = Skin(platform).module.OPTIONS
    assert {name: options[name] for name in OPTIONS[platform.name]} == OPTIONS[platform.name]


@every
def test_so_they_have_where_python_lacks_the_constants(platform: Platform) -> None:
    """A Python that was built on an old or a small system."""
    names = [name for name in platform.numbers if name.startswith(("IPV6_", "IP_", "SO_REUSEPORT"))]
    module = Skin(platform, lacking=names).module
    assert {name: module.OPTIONS[name] for name in OPTIONS[platform.name]} == OPTIONS[platform.name]
    for own, name in {
        "V6ONLY": "IPV6_V6ONLY", "JOIN6": "IPV6_JOIN_GROUP", "MULTICAST_IF6": "IPV6_MULTICAST_IF",
        "MULTICAST_HOPS6": "IPV6_MULTICAST_HOPS", "JOIN4": "IP_ADD_MEMBERSHIP", "MULTICAST_IF4": "IP_MULTICAST_IF",
        "MULTICAST_TTL4": "IP_MULTICAST_TTL",
    }.items():  # fmt: skip
        assert getattr(module, own) == platform.numbers[name], own


@every
def test_the_kinds_are_of_the_families_and_types_of_the_headers(platform: Platform) -> None:
    kinds = Skin(platform).module.KINDS
    assert {name: tuple(kinds[name][:2]) for name in KINDS[platform.name]} == KINDS[platform.name]


@every
def test_numbers_of_errors_have_the_names_of_posix(platform: Platform) -> None:
    module = Skin(platform).module
    for number, name in ERRORS[platform.name].items():
        assert module._error_name(number) == name


@every
def test_a_machine_at_its_limits_gives_no_verdict(platform: Platform) -> None:
    module = Skin(platform).module
    names = {"EMFILE": "too many open files", "ENOBUFS": "no buffer space available"}
    for name, words in names.items():
        number = platform.errors.get("WSA" + name, platform.errors[name])
        with pytest.raises(module.NoVerdict, match=words):
            module._error_name(number)


FACTS = {
    "freebsd": ("freebsd", "FreeBSD", "14.1-RELEASE", "amd64", ["reuseaddr", "reuseport", "reuseport_lb", "v6only"]),
    "netbsd": ("netbsd", "NetBSD", "10.0", "amd64", ["reuseaddr", "reuseport", "v6only"]),
    "openbsd": ("openbsd", "OpenBSD", "7.5", "amd64", ["reuseaddr", "reuseport", "v6only"]),
    "dragonfly": ("dragonfly", "DragonFly", "6.4-RELEASE", "amd64", ["reuseaddr", "reuseport", "v6only"]),
    "macos": ("macos", "Darwin", "15", "arm64", ["reuseaddr", "reuseport", "v6only"]),
    "illumos": ("illumos", "SunOS", "5.11", "i86pc", ["reuseaddr", "reuseport", "exclbind", "v6only"]),
    "windows": ("windows", "Windows", "10.0.20348", "AMD64", ["reuseaddr", "exclusive", "v6only"]),
}


@every
def test_the_facts(platform: Platform) -> None:
    with running(platform) as (_, executor):
        facts = executor.facts
    os, kernel, release, machine, options = FACTS[platform.name]
    assert (facts["os"], facts["kernel"], facts["release"], facts["machine"]) == (os, kernel, release, machine)
    assert [name for name in facts["options"] if name in OPTIONS[platform.name]] == options
    assert facts["namespace"] == "none"
    assert facts["privileged"] is False
    assert facts["sysctls"] == {}
    assert facts["ipv6"] is True
    assert facts["addresses"] == (
        ["127.0.0.1", "127.0.0.2", "::1"] if platform.name == "windows" else ["127.0.0.1", "::1"]
    )


@pytest.mark.parametrize(
    ("sys_platform", "version", "os"),
    [("sunos5", "11.4.0.15.0", "solaris"), ("sunos5", "joyent_20240101T000000Z", "illumos"), ("cygwin", "", "cygwin")],
)
def test_relatives_are_not_taken_for_them(sys_platform: str, version: str, os: str) -> None:
    """Oracle's Solaris is not illumos, and Cygwin's sockets are not Windows' own."""
    illumos = PLATFORMS["illumos"]
    uname = (*illumos.uname[:3], version, illumos.uname[4])
    other = Platform("other", sys_platform, uname, numbers=illumos.numbers, errors=illumos.errors)
    with running(other) as (_, executor):
        assert executor.facts["os"] == os


@unixes
def test_the_second_address_is_unsupported_where_it_is_not_there(platform: Platform) -> None:
    with running(platform) as (_, executor):
        assert answer(executor, "a=tcp4 a.bind=127.0.0.2") == {
            "scenario": "a=tcp4 a.bind=127.0.0.2",
            "outcomes": None,
            "unsupported": "127.0.0.2 is not an address of this host",
        }


@every
def test_without_root_or_seteuid_users_are_unsupported(platform: Platform) -> None:
    with running(platform) as (_, executor):
        assert (
            answer(executor, "user=1001 a=tcp4")["unsupported"]
            == "this process cannot become another user (CAP_SETUID)"
        )


#: scenarios that are answered alike by every kernel that has what they need, and how
EVERYWHERE = {
    "a=tcp4 a.bind=127.0.0.1 a.listen c=tcp4 c.connect=127.0.0.1 x=a.accept x.close c.read c.close a.close": ["ok"]
    * 10,
    "a=tcp6 a.v6only=1 a.bind=::1 a.listen c=tcp6 c.connect=::1 x=a.accept x.close c.read": ["ok"] * 9,
    "c=tcp4 c.connect=127.0.0.1": ["ok", "ECONNREFUSED"],
    "a=tcp4 a.bind=127.0.0.1 b=tcp4 b.bind=127.0.0.1": ["ok", "ok", "ok", "EADDRINUSE"],
    "a=udp4 a.close a.close a.bind=127.0.0.1 a.reuseaddr=1": ["ok", "ok", "EBADF", "EBADF", "EBADF"],
    "a=udp4 a.bind=127.0.0.1 deliver=127.0.0.1 deliver_flow=127.0.0.1": ["ok", "ok", "a:32", "a:32"],
    "a=udp6 a.bind=::1 deliver=::1": ["ok", "ok", "a:32"],
    "a=udp4 deliver=127.0.0.1 deliver_flow=127.0.0.1": ["ok", "refused", "refused"],
    "a=udp4 a.close deliver=127.0.0.1": ["ok", "ok", "refused"],
    "a=udp6 deliver=::1": ["ok", "refused"],
    "a=tcp4 a.bind=127.0.0.1 deliver=127.0.0.1 a.listen deliver=127.0.0.1": ["ok", "ok", "refused", "ok", "a:32"],
    "a=tcp6 a.v6only=1 a.bind=::1 a.listen deliver=::1": ["ok", "ok", "ok", "ok", "a:32"],
    "a=tcp4 deliver=127.0.0.1": ["ok", "refused"],
    "a=udp4 a.bind=224.0.0.251 a.join=224.0.0.251 deliver=224.0.0.251": ["ok", "ok", "ok", "a:32"],
    "a=udp6 a.join=ff02::fb": ["ok", "ok"],
    "a=udp4 a.bind=0.0.0.0,0 b=udp4 b.bind=0.0.0.0": ["ok"] * 4,
}


@every
@pytest.mark.parametrize("scenario", EVERYWHERE)
def test_scenarios_that_every_system_answers_alike(platform: Platform, scenario: str) -> None:
    """Through that system's numbers, errors and oddities, on this kernel."""
    with running(platform) as (_, executor):
        assert answer(executor, scenario)["outcomes"] == EVERYWHERE[scenario]


@unixes
def test_names_of_unix_sockets_are_of_a_folder_of_our_own(
    platform: Platform, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    text = "a=unix a.bind=/x a.listen c=unix c.connect=/x x=a.accept x.close c.read b=unix b.bind=/x"
    with running(platform) as (_, executor):
        assert executor.run(text) == [*["ok"] * 9, "EADDRINUSE"]
        assert executor.run("a=unixgram a.bind=/x deliver=/x deliver=/y") == ["ok", "ok", "a:32", "ENOENT"]
        assert list(tmp_path.iterdir()) == []  # it is there while a scenario runs


#: kinds of socket beside those of IPv4 and IPv6
KINDS_BESIDE = {platform.name: ["unix", "unixgram"] for platform in UNIXES} | {
    "freebsd": ["udplite4", "udplite6", "unix", "unixgram"],  # netinet/in.h IPPROTO_UDPLITE
    "windows": [],  # its Python has no AF_UNIX
}


@every
def test_kinds_that_are_missing_are_unsupported(platform: Platform) -> None:
    with running(platform) as (_, executor):
        assert executor.facts["kinds"] == ["tcp4", "tcp6", "udp4", "udp6", *KINDS_BESIDE[platform.name]]
        assert executor.facts["cids"] == []
        assert answer(executor, "a=vsock")["unsupported"] == "this Python has no such sockets on this system"
        found = answer(executor, "a=mptcp4 a.bind=127.0.0.1")
        assert found.get("unsupported") or found["outcomes"] == ["EPROTONOSUPPORT", "EBADF"]
        if platform.windows:
            assert answer(executor, "a=unix a.bind=/x")["unsupported"]


@every
def test_an_option_that_is_missing_is_not_supported_by_the_protocol(platform: Platform) -> None:
    with running(platform) as (skin, executor):
        for name, number in OPTIONS[platform.name].items():
            skin.set_options.clear()
            outcome = answer(executor, f"a=tcp4 a.{name}=1" if name != "v6only" else "a=tcp6 a.v6only=1")["outcomes"][1]
            if number is None:
                assert (outcome, skin.set_options) == ("ENOPROTOOPT", [])
            else:
                assert (outcome, skin.set_options) == ("ok", [(*number, 1)])


def test_windows_codes_are_mapped_and_kept() -> None:
    with running(PLATFORMS["windows"]) as (_, executor):
        first = answer(executor, "a=tcp4 a.bind=127.0.0.1 b=tcp4 b.bind=127.0.0.1 b.close b.listen c=tcp4 c.read")
    assert first["outcomes"] == ["ok", "ok", "ok", "EADDRINUSE", "ok", "EBADF", "ok", "ENOTCONN"]
    assert first["codes"] == [None, None, None, 10048, None, 10038, None, 10057]


def test_windows_waits_for_a_refusal_as_long_as_it_takes() -> None:
    """Two seconds on loopback: libuv pull request 2896, curl issue 14144."""
    assert Skin(PLATFORMS["windows"]).module.LIMIT > 2.1


def test_windows_waits_where_there_is_nothing_to_watch() -> None:
    """Three empty sets are WSAEINVAL for select()."""
    module = Skin(PLATFORMS["windows"]).module
    start = time.monotonic()
    assert module._ready([], [], 0.05) == []
    assert time.monotonic() - start >= 0.05


def test_ports_that_windows_excludes_are_never_used() -> None:
    """What ``netsh interface ipv4 show excludedportrange`` lists; bind() is WSAEACCES there whatever the options."""
    taken = {port for start in range(10_000, 32_000, 250) for port in range(start + 2, start + 200)}
    with running(PLATFORMS["windows"], excluded=taken) as (_, executor):
        assert len(executor._ports._ring) == executor._ports.ROUND
        assert not taken & set(executor._ports._ring)
        for _ in range(70):
            assert answer(executor, "a=tcp4 a.bind=127.0.0.1")["outcomes"] == ["ok", "ok"]


def test_a_port_that_windows_takes_later_gives_no_verdict() -> None:
    with running(PLATFORMS["windows"]) as (skin, executor):
        skin.excluded = frozenset(range(1, 65536))
        for scenario in ("a=tcp4 a.bind=127.0.0.1", "a=tcp4 wait=0 a.bind=127.0.0.1"):
            found = answer(executor, scenario)
            assert found["outcomes"] is None
            assert found["no_verdict"].endswith("is excluded by Windows or held exclusively by another process")


def test_a_later_refusal_on_windows_is_an_outcome(monkeypatch: pytest.MonkeyPatch) -> None:
    with running(PLATFORMS["windows"]) as (skin, executor):
        bind = skin.module.socket.bind
        calls = itertools.count()
        monkeypatch.setattr(
            skin.module.socket, "bind", lambda sock, to: deny(skin) if next(calls) == 1 else bind(sock, to)
        )
        found = answer(executor, "a=tcp4 a.bind=127.0.0.1 b=tcp4 b.bind=127.0.0.1")
        assert (found["outcomes"], found["codes"]) == (["ok", "ok", "ok", "EACCES"], [None, None, None, 10013])


def deny(skin: Skin) -> None:
    raise skin.refuse("EACCES")


def test_a_permission_denied_on_a_unix_is_an_outcome(monkeypatch: pytest.MonkeyPatch) -> None:
    with running(PLATFORMS["freebsd"]) as (skin, executor):
        monkeypatch.setattr(skin.module.socket, "bind", lambda sock, to: deny(skin))
        assert answer(executor, "a=tcp4 a.bind=127.0.0.1")["outcomes"] == ["ok", "EACCES"]


#: ports that the systems hand out: in_pcb.h IPPORT_EPHEMERALFIRST, IPPORT_HIFIRSTAUTO, IPPORT_USERRESERVED,
#: IPPORT_ANONMIN; illumos tcp_smallest_anon_port; "netsh interface ipv4 show dynamicport tcp"
EPHEMERAL = {
    "freebsd": range(10_000, 65_536), "netbsd": range(49_152, 65_536), "openbsd": range(1024, 49_152),
    "dragonfly": range(1024, 5001), "macos": range(49_152, 65_536), "illumos": range(32_768, 65_536),
    "windows": range(49_152, 65_536),
}  # fmt: skip


@every
def test_leased_ports_keep_away_from_those_the_system_hands_out(platform: Platform) -> None:
    with running(platform) as (_, executor):
        ports = [executor._ports.plain() for _ in range(64)] + [executor._ports.fresh(1) for _ in range(10)]
    assert not set(EPHEMERAL[platform.name]) & set(ports)
    assert all(port % 128 for port in ports)  # NetBSD's accepted children


@every
def test_only_a_unix_with_root_touches_lo0(platform: Platform, monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[str] = []
    for user in (0, 1001):
        skin = Skin(platform)
        monkeypatch.setattr(
            skin.module, "SecondAddress", lambda user=user: made.append(f"{user}") or SecondAddressThatIsNone()
        )
        if platform.windows is None:
            monkeypatch.setattr(skin.module.os, "geteuid", lambda user=user: user)
        skin.module.Executor("none").close()
    assert made == ([] if platform.windows else ["0"])


class SecondAddressThatIsNone:
    def close(self) -> None:
        """Nothing was added."""


@unixes
def test_ifconfig_is_asked_in_the_words_of_the_system(platform: Platform) -> None:
    """ifconfig(8): "alias", "-alias" of the BSDs and macOS; "addif", "removeif" of illumos."""
    cls = Skin(platform).module.SecondAddress
    if platform.name == "illumos":
        assert (cls.ADD, cls.REMOVE) == ("addif 127.0.0.2/32 up", "removeif 127.0.0.2")
    else:
        assert (cls.ADD, cls.REMOVE) == ("alias 127.0.0.2 netmask 255.255.255.255", "-alias 127.0.0.2")


@every
def test_a_child_is_told_what_it_is(platform: Platform) -> None:
    """Without family and type Python asks getsockname(), which fails on macOS for a connection that was reset."""
    with running(platform) as (skin, executor):
        seen: list[tuple[int, int]] = []
        run = executor._special[skin.module.ACCEPT]

        def accept(name: str, listener: str) -> None:
            run(name, listener)
            seen.append((executor._sockets[name].family, executor._sockets[name].type))

        executor._special[skin.module.ACCEPT] = accept
        executor.run("a=tcp4 a.bind=127.0.0.1 a.listen c=tcp4 c.connect=127.0.0.1 x=a.accept")
        assert seen == [KINDS[platform.name]["tcp4"]]


def test_a_reader_that_goes_away_on_windows_is_a_broken_pipe() -> None:
    """write() says EINVAL there: bpo-19612, bpo-30418."""
    skin = Skin(PLATFORMS["windows"])
    skin.pulled = True
    assert skin.module.main([]) == 1


def test_the_parent_of_a_python_on_windows_may_be_a_launcher(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os._exit", lambda status: pytest.fail("ended"))
    Skin(PLATFORMS["windows"]).module._die_with(1 << 30)
    with pytest.raises(pytest.fail.Exception):
        Skin(PLATFORMS["freebsd"]).module._die_with(1 << 30)


def test_the_skin_is_not_blind() -> None:
    """A number of another system is refused, or the translation would prove nothing."""
    skin = Skin(PLATFORMS["illumos"])
    sock = skin.module.socket(2, 2)
    with pytest.raises(OSError, match="ENOPROTOOPT") as caught:
        sock.setsockopt(0xFFFF, 0x200, 1)
    assert caught.value.errno == 99 != errno.ENOPROTOOPT
    sock.close()
