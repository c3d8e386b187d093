"""Connections with another host: a second network namespace, joined by a pair of veth interfaces."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys

import pytest
from bindmatrix.execute import executor
from bindmatrix.execute.executor import Executor, NotAScenario, Unsupported

SERVED = "a=tcp4 a.bind=0.0.0.0 a.listen c=remote4 c.connect=192.0.2.1 x=a.accept"


def outcomes(*scenarios: str, rights: tuple[str, ...] = ()) -> list[dict[str, object]]:
    done = subprocess.run(
        [*rights, sys.executable, executor.__file__, "--namespace", "own"],
        input="".join(f"{one}\n" for one in scenarios),
        capture_output=True,
        text=True,
        timeout=60,
    )
    if done.returncode:
        pytest.skip(done.stderr.strip())
    lines: list[dict[str, object]] = [json.loads(line) for line in done.stdout.splitlines()[1:]]
    if any("no second network namespace" in str(line.get("unsupported")) for line in lines):
        pytest.skip(str(lines[0]["unsupported"]))
    return lines


@pytest.mark.parametrize(
    ("scenario", "last"),
    [
        # the server closed first, so its port is in TIME_WAIT
        (f"{SERVED} x.close c.read c.close a.close b=tcp4 b.bind=0.0.0.0", "EADDRINUSE"),
        (f"{SERVED} x.close c.read c.close a.close b=tcp4 b.reuseaddr=1 b.bind=0.0.0.0", "EADDRINUSE"),
        (f"{SERVED} x.close c.read c.close a.close b=tcp4 b.bind=127.0.0.1", "ok"),
        # the client closed first
        (f"{SERVED} c.close x.read x.close a.close b=tcp4 b.bind=0.0.0.0", "ok"),
        # nothing is left of a connection that was reset
        ("a=tcp4 a.bind=0.0.0.0 a.listen c=remote4 c.connect=192.0.2.1 a.close b=tcp4 b.bind=0.0.0.0", "ok"),
        ("c=remote4 c.connect=192.0.2.1", "ECONNREFUSED"),
        # failed first: the stream socket of the other host made the clients of this one connect
        ("c=remote4 a=udp4 a.bind=127.0.0.1 deliver=127.0.0.1", "a:32"),
        # whoever the user here is
        (f"user=1001 {SERVED} x.close c.read c.close a.close user=0 user=1002 b=tcp4 b.bind=0.0.0.0", "EADDRINUSE"),
        (f"{SERVED} user=1001 d=remote4 d.connect=192.0.2.1 y=a.accept", "ok"),
        ("a=tcp6 a.v6only=1 a.bind=:: a.listen c=remote6 c.connect=2001:db8::1 x=a.accept x.read", "timeout"),
    ],
)
def test_a_remote_client(scenario: str, last: str) -> None:
    (line,) = outcomes(scenario)
    found = line["outcomes"]
    assert isinstance(found, list)
    assert found[-1] == last


@pytest.mark.parametrize("address", ["192.0.2.1", "::ffff:192.0.2.1", "2001:db8::1"])
def test_the_address_for_the_other_host_is_nobodys_in_other_scenarios(address: str) -> None:
    """Failed first: a process that had run a scenario of another host kept its address."""
    family = 6 if ":" in address else 4
    alone = f"a=tcp{family} a.bind={address}"
    before, first, after, second = [line["outcomes"] for line in outcomes(alone, SERVED, alone, SERVED)]
    assert before == after == ["ok", "EADDRNOTAVAIL"]
    assert first == second == ["ok"] * 6


def test_the_first_connection_is_not_lost_and_none_of_300_differs() -> None:
    """Failed first: packets are dropped until the kernel has seen the carrier of the interfaces."""
    scenario = f"{SERVED} x.close c.read c.close a.close b=tcp4 b.bind=0.0.0.0"
    assert {json.dumps(line["outcomes"]) for line in outcomes(*[scenario] * 300)} == {
        json.dumps(["ok"] * 11 + ["EADDRINUSE"])
    }


def test_without_privileges_inside_a_user_namespace() -> None:
    if os.geteuid() != 0 or shutil.which("setpriv") is None:
        pytest.skip("needs root and setpriv to become an ordinary user")
    rights = ("setpriv", "--reuid", "65534", "--regid", "65534", "--clear-groups")
    (line,) = outcomes(f"{SERVED} a.close b=tcp4 b.bind=127.0.0.1", rights=rights)
    assert line["outcomes"] == ["ok"] * 9


@pytest.mark.parametrize(
    ("scenario", "reason"),
    [
        ("c=remote4 c.bind=0.0.0.0", "only connects, reads and closes"),
        ("c=remote4 c.connect=127.0.0.1", "knows this one as 192.0.2.1"),
        ("c=remote4 a=tcp4 a.bind=192.0.2.1", "the address for sockets of another host"),
        ("a=tcp4 a.connect=192.0.2.1", "not a loopback address"),
    ],
)
def test_what_is_not_supported(scenario: str, reason: str) -> None:
    (line,) = outcomes(scenario)
    assert reason in str(line["unsupported"])


def test_leased_ports_know_no_other_host() -> None:
    with Executor("none") as one, pytest.raises(Unsupported, match="a network namespace of our own"):
        one.run(SERVED)
    with Executor("none") as one, pytest.raises(NotAScenario):
        one.run("c=remote5")


UNSPECIFIED = [
    ("a=tcp4 a.bind=0.0.0.0 a.listen c=tcp4 c.connect=0.0.0.0 x=a.accept", "ok"),
    ("a=tcp4 a.bind=127.0.0.1 a.listen deliver=0.0.0.0", "a:32"),
    ("a=tcp6 a.bind=::1 a.listen deliver=::", "a:32"),
    ("a=udp4 a.bind=127.0.0.1 deliver=::ffff:0.0.0.0", "a:32"),
    ("a=tcp4 c=tcp4 c.connect=0.0.0.0", "ECONNREFUSED"),
    # the senders of a delivery have no SO_BROADCAST
    ("a=udp4 a.reuseaddr=1 a.bind=0.0.0.0 b=udp4 b.reuseaddr=1 b.bind=127.0.0.1 deliver=127.255.255.255", "EACCES"),
    ("a=udp4 a.reuseaddr=1 a.bind=0.0.0.0 b=udp4 b.reuseaddr=1 b.bind=0.0.0.0 deliver=127.255.255.255", "EACCES"),
    ("a=udp4 a.bind=127.255.255.255 deliver=127.255.255.255", "EACCES"),
]


@pytest.mark.skipif(not executor.LINUX, reason="recorded on Linux 6.18.44; other systems differ")
@pytest.mark.parametrize(("scenario", "last"), UNSPECIFIED)
def test_the_unspecified_and_the_broadcast_address_stay_on_this_host(scenario: str, last: str) -> None:
    (line,) = outcomes(scenario)
    found = line["outcomes"]
    assert isinstance(found, list)
    assert found[-1] == last


@pytest.mark.skipif(not executor.LINUX, reason="only Linux has a second host")
def test_the_first_packet_to_another_host_is_not_lost() -> None:
    """The kernel says that the interfaces are up before IPv6 has its routes; one of thirty first SYNs was dropped."""
    for _ in range(30):
        (line,) = outcomes("a=tcp6 a.v6only=1 a.bind=:: a.listen c=remote6 c.connect=2001:db8::1 x=a.accept")
        found = line["outcomes"]
        assert isinstance(found, list)
        assert found[-1] == "ok"
