"""What the executor answers, step by step, in this process."""

from __future__ import annotations

import contextlib
import errno
import json
import os
import socket
import time
from pathlib import Path

import pytest
from bindmatrix.execute import executor as module
from bindmatrix.execute.executor import Executor, NotAScenario, NoVerdict, Unsupported

root_only = pytest.mark.skipif(getattr(os, "geteuid", lambda: 1)() != 0, reason="needs root to change the user")
linux_only = pytest.mark.skipif(not module.LINUX, reason="needs Linux's /proc")


def open_descriptors() -> set[str]:
    found = set()
    for link in Path("/proc/self/fd").iterdir():
        with contextlib.suppress(FileNotFoundError):  # the descriptor that lists them
            found.add(str(link.readlink()))
    return found


def test_an_observation_has_the_form_of_the_evidence(executor: Executor) -> None:
    text = "a=tcp4 a.bind=0.0.0.0 b=tcp4 b.bind=127.0.0.1"
    assert executor.line(text).startswith('{"scenario":"' + text + '","outcomes":["ok","ok","ok","')


@pytest.mark.parametrize(
    ("scenario", "outcomes"),
    [
        ("a=udp4 a.close a.close a.bind=127.0.0.1 a.reuseaddr=1", ["ok", "ok", "EBADF", "EBADF", "EBADF"]),
        ("a=tcp4 a.close a.listen x=a.accept x.close", ["ok", "ok", "EBADF", "EBADF", "EBADF"]),
        ("a=tcp4 a.close a.connect=127.0.0.1 a.read a.bind=::1", ["ok", "ok", "EBADF", "EBADF", "EBADF"]),
        ("a=udp4 a.close a.exclbind=1 a.join=224.0.0.251", ["ok", "ok", "EBADF", "EBADF"]),
        ("a=tcp4 a.close a=udp4 a.bind=127.0.0.1", ["ok", "ok", "ok", "ok"]),
        ("c=tcp4 c.connect=127.0.0.1", ["ok", "ECONNREFUSED"]),
        ("a=tcp4 a.bind=127.0.0.1 a.listen c=tcp4 c.connect=127.0.0.1 x=a.accept x.close c.read", ["ok"] * 8),
        ("a=udp4 a.bind=127.0.0.1 deliver=127.0.0.1 deliver_flow=127.0.0.1", ["ok", "ok", "a:32", "a:32"]),
        ("a=tcp4 a.bind=127.0.0.1 deliver=127.0.0.1 a.listen deliver=127.0.0.1", ["ok", "ok", "refused", "ok", "a:32"]),
        ("a=udp4 deliver=127.0.0.1 deliver_flow=127.0.0.1", ["ok", "refused", "refused"]),
        ("a=udp4 a.bind=127.0.0.1,0 b=udp4 b.bind=127.0.0.1", ["ok", "ok", "ok", "ok"]),
    ],
)
def test_outcomes_that_are_the_same_on_every_unix(executor: Executor, scenario: str, outcomes: list[str]) -> None:
    if module.OPTIONS["exclbind"] and "exclbind" in scenario:
        pytest.skip("this system has SO_EXCLBIND")
    assert executor.run(scenario) == outcomes


@pytest.mark.skipif(not module.LINUX, reason="the errno tells who sends on Linux alone")
@pytest.mark.parametrize(
    ("sockets", "outcome"),
    [
        ("a=tcp4", "ENETUNREACH"),
        ("a=udp4 b=tcp4", "ENETUNREACH"),
        ("a=tcp4 a.close", "EACCES"),
        ("a=tcp4 a.close b=udp4", "EACCES"),
        ("a=unix", "EACCES"),
    ],
)
def test_clients_connect_if_a_stream_socket_is_open_and_send_datagrams_otherwise(
    executor: Executor, sockets: str, outcome: str
) -> None:
    """Failed first: without an open socket the first one of the scenario decided, which the rules do not know."""
    assert executor.run(f"{sockets} deliver=127.255.255.255")[-1] == outcome


@pytest.mark.skipif(not module.LINUX, reason="the errno of an address of the other family differs between systems")
def test_an_address_of_the_other_family_reaches_the_kernel(executor: Executor) -> None:
    assert executor.run("a=tcp4 a.bind=::1 a.bind=::1,0 a.connect=::1 a.bind=127.0.0.1") == [
        "ok", "EAFNOSUPPORT", "EAFNOSUPPORT", "EAFNOSUPPORT", "ok",
    ]  # fmt: skip
    assert executor.run("a=udp6 a.bind=127.0.0.1 a.bind=255.255.255.255") == ["ok", "EINVAL", "EINVAL"]


@pytest.mark.skipif(not module.LINUX, reason="the errno of an address of the other family differs between systems")
@pytest.mark.parametrize("step", ["a.bind=::ffff:127.0.0.1", "a.bind=::ffff:127.0.0.1,0", "a.connect=::ffff:127.0.0.1"])
def test_a_mapped_address_is_no_ipv4_address_to_an_ipv4_socket(executor: Executor, step: str) -> None:
    """getaddrinfo() of glibc makes an IPv4 address of it without a word."""
    assert executor.run(f"a=tcp4 {step}") == ["ok", "EAFNOSUPPORT"]


def test_an_option_without_a_constant_is_not_supported_by_the_protocol(executor: Executor) -> None:
    lacking = [name for name, option in module.OPTIONS.items() if option is None]
    for name in lacking:
        assert executor.run(f"a=tcp4 a.{name}=1") == ["ok", "ENOPROTOOPT"]


@pytest.mark.parametrize("step", ["x=a.accept", "x=a.accept x.read", "c=udp4 c.bind=127.0.0.1 c.read"])
def test_nothing_waits_longer_than_a_second(executor: Executor, step: str) -> None:
    start = time.monotonic()
    assert "timeout" in executor.run(f"a=tcp4 a.bind=127.0.0.1 a.listen {step}")
    assert time.monotonic() - start < 1.9


@pytest.mark.parametrize(
    "line", ["", "  ", "a", "a=tcp9", "b.bind=::1", "a=tcp4 a=tcp4", "{}", "a=tcp4 \x00", "a=tcp4 é"]
)
def test_a_bad_line_gets_no_verdict_and_is_echoed(executor: Executor, line: str) -> None:
    answer = json.loads(executor.line(line))
    assert (answer["scenario"], answer["outcomes"]) == (line, None)
    assert answer["no_verdict"].startswith("not a scenario: ")


@pytest.mark.parametrize(
    "step", ["a.connect=192.0.2.1", "deliver=10.0.0.1", "deliver_flow=2001:db8::1", "a.connect=255.255.255.255"]
)
def test_nothing_is_sent_to_an_address_of_others(executor: Executor, step: str) -> None:
    with pytest.raises(Unsupported, match="nothing is sent to"):
        executor.run(f"a=udp4 {step}")


def test_a_host_without_ipv6_says_so(executor: Executor, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_bindable", lambda family, address: family == module.INET)
    with Executor("none") as limited:
        assert limited.facts["ipv6"] is False
        assert limited.facts["addresses"] == ["127.0.0.1", "127.0.0.2"]
        answer = json.loads(limited.line("a=tcp6 a.bind=::1"))
        assert answer == {"scenario": "a=tcp6 a.bind=::1", "outcomes": None, "unsupported": "this host has no IPv6"}
        assert limited.run("a=tcp4 a.bind=127.0.0.1") == ["ok", "ok"]


def test_a_host_without_the_second_address_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_bindable", lambda family, address: address != "127.0.0.2")
    with Executor("none") as limited, pytest.raises(Unsupported, match=r"127\.0\.0\.2 is not an address of this host"):
        limited.run("a=udp6 a.v6only=0 a.bind=::ffff:127.0.0.2")


def test_a_user_without_privilege_is_unsupported(executor: Executor, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(executor.facts, "privileged", False)
    with pytest.raises(Unsupported, match="CAP_SETUID"):
        executor.run("user=1001 a=tcp4")


@root_only
def test_the_user_is_restored_whatever_happens(executor: Executor, monkeypatch: pytest.MonkeyPatch) -> None:
    assert executor.run("user=1001 a=tcp4 user=1002 user=0 user=1002") == ["ok", "ok", "EPERM", "ok", "ok"]
    assert os.geteuid() == 0

    def breaks(_: str, milliseconds: int) -> None:
        assert os.geteuid() == 1001
        raise KeyboardInterrupt

    monkeypatch.setitem(executor._special, module.WAIT, breaks)
    with pytest.raises(KeyboardInterrupt):
        executor.run("user=1001 a=tcp4 wait=1")
    assert os.geteuid() == 0
    assert not executor._sockets


@pytest.mark.parametrize("crowded", [False, True])
def test_a_machine_at_its_limits_gives_no_verdict(
    crowded: bool, executor: Executor, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Failed first where each port is tried before its use: the executor ended."""

    def refuses(*_: object) -> None:
        raise OSError(errno.EMFILE, "too many")

    monkeypatch.setattr(executor._ports, "_crowded", crowded, raising=False)
    monkeypatch.setattr(module, "socket", refuses)
    with pytest.raises(NoVerdict, match="too many open files"):
        executor.run("a=tcp4 a.bind=127.0.0.1")


def test_a_port_that_somebody_took_gives_no_verdict(monkeypatch: pytest.MonkeyPatch) -> None:
    with Executor("none") as made, socket.socket() as thief:
        thief.bind(("127.0.0.1", 0))
        monkeypatch.setattr(made._ports, "plain", lambda: thief.getsockname()[1])
        with pytest.raises(NoVerdict, match="was taken by another process"):
            made.run("a=tcp4 a.bind=127.0.0.1")


@linux_only
def test_nothing_is_left_open(executor: Executor) -> None:
    executor.run(
        "a=tcp4 a.bind=127.0.0.1 a.listen c=tcp4 c.connect=127.0.0.1"
    )  # makes what lives as long as the executor
    before = open_descriptors()
    for scenario in (
        "a=tcp4 a.bind=127.0.0.1 a.listen c=tcp4 c.connect=127.0.0.1 x=a.accept",
        "a=tcp4 b=udp6 b.bind=::1 deliver=::1",
        "a=tcp4 a.bind=127.0.0.1 a.listen c=tcp4 c.connect=127.0.0.1 deliver=127.0.0.1",
    ):
        executor.line(scenario)
    with pytest.raises(NotAScenario):
        executor.run("a=tcp4 b.listen")
    assert open_descriptors() == before


def time_waits() -> set[tuple[str, str]]:
    """Both ends of what the kernel's table of TCP sockets has in TIME_WAIT, as it writes them: ``0100007F:3426``."""
    lines = [line for table in ("tcp", "tcp6") for line in Path(f"/proc/self/net/{table}").read_text().splitlines()[1:]]
    return {(local, remote) for _, local, remote, state, *_ in map(str.split, lines) if state == "06"}


def new_time_waits(executor: Executor, scenario: str) -> list[tuple[str, str]]:
    """What ``scenario`` leaves in TIME_WAIT on its port. Somebody else may have left one there before."""
    before = time_waits()
    executor.run(scenario)
    end = f":{executor._port:04X}"
    return [ends for ends in time_waits() - before if ends[0].endswith(end) or ends[1].endswith(end)]


CONNECTED = "a=tcp4 a.bind=127.0.0.1 a.listen c=tcp4 c.connect=127.0.0.1 x=a.accept"


@linux_only
@pytest.mark.parametrize("scenario", [CONNECTED, "a=tcp4 a.bind=127.0.0.1 a.listen deliver=127.0.0.1"])
def test_connections_that_are_left_open_are_reset(executor: Executor, scenario: str) -> None:
    """A close() would leave a TIME_WAIT on the port for a minute."""
    # the look at the kernel's table is not blind
    assert new_time_waits(executor, f"{CONNECTED} x.close c.read c.close a.close")
    assert new_time_waits(executor, scenario) == []


def test_a_tally_names_every_kind_of_refusal() -> None:
    sock = socket.socket()
    with contextlib.closing(sock):
        tally = module._Tally([("a", sock), ("b", sock)])
    for number in (errno.ECONNREFUSED, errno.EACCES, errno.ECONNREFUSED, errno.ECONNRESET):
        tally.fail(number)
    assert tally.text() == "EACCES:1,ECONNRESET:1,refused:2"
    tally.received["b"] = 27
    tally.add("none", 1)
    tally.add("timeout", 0)
    assert tally.text() == "b:27,EACCES:1,ECONNRESET:1,none:1,refused:2"


def test_a_tally_of_one_kind_is_its_word_alone() -> None:
    tally = module._Tally([])
    tally.add("refused", 32)
    assert tally.text() == "refused"


def test_a_connection_nobody_accepted_makes_a_delivery_undecidable(executor: Executor) -> None:
    with pytest.raises(NoVerdict, match="accept it before the delivery"):
        executor.run("a=tcp4 a.bind=127.0.0.1 a.listen c=tcp4 c.connect=127.0.0.1 deliver=127.0.0.1")


@pytest.mark.parametrize("step", ["deliver", "deliver_flow"])
def test_refusals_that_the_kernel_rations_are_asked_for_again(
    executor: Executor, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    withheld = 20

    class Rationed(module.socket):
        """Of a kernel that sends some ICMP errors at once and no more for a while."""

        def getsockopt(self, *arguments: int) -> int:
            nonlocal withheld
            number: int = super().getsockopt(*arguments)
            if number and withheld:
                withheld -= 1
                return 0
            return number

    monkeypatch.setattr(module, "LIMIT", 0.05)
    monkeypatch.setattr(module, "socket", Rationed)
    assert executor.run(f"a=udp4 a.bind=127.0.0.1 a.close {step}=127.0.0.1")[-1] == "refused"
    assert withheld == 0


def test_windows_codes_are_mapped_and_kept(executor: Executor, monkeypatch: pytest.MonkeyPatch) -> None:
    class WindowsError(OSError):
        winerror = 10048

    def in_use(_: str, argument: str) -> None:
        raise WindowsError(errno.EADDRINUSE, "in use")

    monkeypatch.setitem(module._ERRORS, 10048, "EADDRINUSE")
    monkeypatch.setitem(executor._special, module.LACKING, in_use)
    option = next(name for name, value in module.OPTIONS.items() if value is None)
    answer = json.loads(executor.line(f"a=tcp4 a.{option}=1"))
    assert answer["outcomes"] == ["ok", "EADDRINUSE"]
    assert answer["codes"] == [None, 10048]
    assert "codes" not in json.loads(executor.line("a=tcp4"))


def test_the_facts_say_where_the_scenarios_run(executor: Executor) -> None:
    facts = executor.facts
    assert facts["namespace"] == "none"
    assert "127.0.0.1" in facts["addresses"]
    assert "reuseaddr" in facts["options"]
    assert set(facts) >= {"os", "kernel", "release", "version", "machine", "python", "privileged", "ipv6", "sysctls"}
    assert json.loads(executor.header()) == {"format": module.FORMAT, "host": facts}


def test_the_first_line_says_that_the_file_stands_alone() -> None:
    text = Path(module.__file__).read_text(encoding="utf-8")
    assert "imports nothing else of the project" in text.splitlines()[0]
    assert "from conformance" not in text
    assert "import conformance" not in text
