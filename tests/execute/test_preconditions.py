"""What an ordinary container lacks is found before the run and named: no verdict, or unsupported, never an outcome."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from typing import Any

import pytest
from bindmatrix.errors import Problem
from bindmatrix.execute import c_executor, executor
from bindmatrix.execute.executor import macos_release

PAIR = "a=tcp4 a.bind=127.0.0.1 b=tcp4 b.bind=127.0.0.1"
USER = "user=1001 a=tcp4 a.bind=127.0.0.1"
DELIVERY = "a=tcp4 a.bind=127.0.0.1 a.listen deliver=127.0.0.1"
DATAGRAMS = "a=udp4 a.bind=127.0.0.1 deliver=127.0.0.1"
CONNECTION = "a=tcp4 a.bind=127.0.0.1 a.listen c=tcp4 c.connect=127.0.0.1"


#: the command of the executor that is tested
_command: list[str] = []


@pytest.fixture(autouse=True, params=["python", "c"])
def _program(request: pytest.FixtureRequest) -> None:
    """Both executors must find the same."""
    try:
        _command[:] = [sys.executable, executor.__file__] if request.param == "python" else [str(c_executor.program())]
    except Problem as problem:
        pytest.skip(str(problem))


@pytest.fixture(autouse=True)
def _root_on_linux() -> None:
    missing = [name for name in ("unshare", "setpriv") if shutil.which(name) is None]
    if missing:
        pytest.skip(f"needs {', '.join(missing)} (util-linux)")
    if os.geteuid() != 0:
        pytest.skip("needs root to take rights away")


def observe(
    scenarios: Sequence[str], setup: str = ":", *, drop: Sequence[str] = (), namespace: str = "none"
) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """The facts and the observations of an executor in a network namespace where ``setup`` was run by a shell."""
    rights = []
    if drop:
        dropped = ",".join(f"-{name}" for name in drop)
        rights = ["setpriv", "--bounding-set", dropped, "--inh-caps", dropped]
    command = ["unshare", "--net", "sh", "-c", f'{setup} && exec "$@"', "sh", *rights]
    command += [*_command, "--namespace", namespace]
    done = subprocess.run(
        command, input="".join(f"{one}\n" for one in scenarios), capture_output=True, text=True, timeout=60
    )
    if "unshare" in done.stderr or "setpriv" in done.stderr:
        pytest.skip(done.stderr.strip())
    assert done.returncode == 0, done.stderr
    header, *lines = [json.loads(line) for line in done.stdout.splitlines()]
    return header["host"], lines


def sysctl(name: str, value: str) -> str:
    return f"echo '{value}' > /proc/sys/{name.replace('.', '/')}"


UP = "ip link set lo up"


@pytest.fixture
def up() -> str:
    if shutil.which("ip") is None:
        pytest.skip("needs ip (iproute2)")
    return UP


def test_root_without_the_right_to_change_users_is_unsupported(up: str) -> None:
    facts, (user, pair) = observe([USER, PAIR], up, drop=["setuid"])
    assert facts["privileged"] is False
    assert "CAP_SETUID" in user["unsupported"]
    assert pair["outcomes"][-1] == "EADDRINUSE"


@pytest.mark.parametrize("namespace", ["none", "auto"])
def test_a_loopback_interface_that_is_down_gives_no_verdict(namespace: str) -> None:
    """Failed first: bind() works there, and every delivery said ENETUNREACH."""
    drop = ["net_admin", "sys_admin"] if namespace == "auto" else []
    facts, lines = observe([PAIR, DELIVERY], drop=drop, namespace=namespace)
    if facts["namespace"] == "user":
        assert all(line["outcomes"] for line in lines)
    else:
        assert all("loopback" in line["no_verdict"] for line in lines)


def test_a_queue_shorter_than_a_delivery_is_unsupported(up: str) -> None:
    setup = f"{up} && {sysctl('net.core.somaxconn', '8')}"
    _, (delivery, datagrams, pair) = observe([DELIVERY, DATAGRAMS, PAIR], setup)
    assert "somaxconn" in delivery["unsupported"]
    assert datagrams["outcomes"][-1] == "a:32"
    assert pair["outcomes"][-1] == "EADDRINUSE"


@pytest.mark.parametrize(
    "scenario",
    [
        DELIVERY,
        DATAGRAMS,
        "a=tcp4 b=tcp4 c=tcp4 a.listen b.listen c.listen",
        "a=udp4 b=udp4 c=udp4 a.connect=127.0.0.1 b.connect=127.0.0.1 c.connect=127.0.0.1",
        "a=udp6 b=udp6 c=udp6 a.bind=::,0 b.bind=::,0 c.bind=::,0",
        "x=tcp4 y=tcp4 x.listen y.listen a=tcp4 a.bind=127.0.0.1 a.close a=tcp6 a.listen",
        "x=udp4 y=udp4 x.connect=127.0.0.1 y.connect=127.0.0.1 a=udp6 a.connect=127.0.0.1",
        "a=udp4 b=udp4 a.bind=127.0.0.1,0 b.bind=127.0.0.1,0 c=tcp6 c.bind=::1,0 d=tcp6 d.bind=::1,0 e=tcp6 e.listen",
    ],
)
def test_sockets_without_ports_give_no_verdict(up: str, scenario: str) -> None:
    """Failed first: what our own clients got was an outcome, and what a listen() or connect() without a port got."""
    setup = f"{up} && {sysctl('net.ipv4.ip_local_port_range', '40000 40001')}"
    _, (line,) = observe([scenario], setup)
    assert line["outcomes"] is None
    assert "ip_local_port_range" in line.get("no_verdict", "")


def test_the_default_of_v6only_is_a_fact(up: str) -> None:
    assert observe([PAIR], up)[0]["v6only_default"] == 0
    assert observe([PAIR], f"{up} && {sysctl('net.ipv6.bindv6only', '1')}")[0]["v6only_default"] == 1


@pytest.mark.parametrize(("drop", "namespace"), [((), "own"), (("sys_admin",), "user")])
def test_a_namespace_of_our_own_keeps_the_settings_that_outcomes_depend_on(
    up: str, drop: tuple[str, ...], namespace: str
) -> None:
    """Failed first: it started with the kernel's defaults, whatever the host was set to."""
    dual = "a=tcp6 a.bind=:: b=tcp4 b.bind=0.0.0.0"
    setup = f"{up} && {sysctl('net.ipv6.bindv6only', '1')} && {sysctl('net.ipv4.tcp_timestamps', '0')}"
    facts, (line,) = observe([dual], setup, drop=drop, namespace="own")
    assert (facts["namespace"], facts["v6only_default"]) == (namespace, 1)
    assert facts["sysctls"]["net.ipv4.tcp_timestamps"] == "0"
    assert line["outcomes"] == ["ok"] * 4


def test_without_any_right_outcomes_are_those_of_root() -> None:
    """Failed first: uid_map could not be written, which was ignored."""
    facts, lines = observe(
        [PAIR, CONNECTION, "a=tcp4 a.bind=127.0.0.1 a.listen a.close b=tcp4 b.bind=127.0.0.1"],
        UP,
        drop=["all"],
        namespace="auto",
    )
    assert facts["namespace"] in ("user", "none")
    assert [line["outcomes"][-1] for line in lines] == ["EADDRINUSE", "ok", "ok"]


def test_leased_ports_keep_out_of_the_ephemeral_range(up: str) -> None:
    setup = f"{up} && {sysctl('net.ipv4.ip_local_port_range', '10000 65000')}"
    command = ["unshare", "--net", "sh", "-c", f'{setup} && exec "$@"', "sh"]
    command += [*_command, "--namespace", "none"]
    done = subprocess.run(command, input="", capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == "executor: ip_local_port_range leaves no ports from 10000 to 32000\n"


@pytest.mark.parametrize(
    ("darwin", "macos"), [("20.6.0", "11"), ("19.0.0", "10.15"), ("24.6.0", "15"), ("25.1.0", "26"), ("99.0", "")]
)
def test_the_number_of_darwin_is_not_that_of_macos(darwin: str, macos: str) -> None:
    assert macos_release(darwin) == macos
