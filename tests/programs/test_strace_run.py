"""Programs under strace, here: what is recorded, and that nothing of them is left."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from bindmatrix.errors import Problem
from bindmatrix.programs import kernel_sockets, strace_files, strace_run
from bindmatrix.programs.port_scenarios import scenarios_of

from tests.interruptible import interruptible
from tests.programs.recordings import lines_of

needs_strace = pytest.mark.skipif(shutil.which("strace") is None, reason="strace is not here")
pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="strace is for Linux")

SERVER = """
import os, signal, socket, sys, time
s = socket.socket(); s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1); s.bind(("127.0.0.1", 9100)); s.listen()
u = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); u.bind(("127.0.0.1", 9100))
{}
"""
DAEMON = """
if os.fork():
    os._exit(0)
os.setsid()
if os.fork():
    os._exit(0)
signal.signal(signal.SIGTERM, signal.SIG_IGN)
signal.signal(signal.SIGINT, signal.SIG_IGN)
open(sys.argv[1], "w").write(str(os.getpid()))
time.sleep(300)
"""
BOUND = ["9100/tcp a=tcp4 a.reuseaddr=1 a.bind=127.0.0.1 a.listen", "9100/udp a=udp4 a.bind=127.0.0.1"]


def run(
    tmp_path: Path, text: str, seconds: float = 30.0, settle: float = 0.0
) -> tuple[strace_run.TracedRun, list[str]]:
    command = [sys.executable, "-c", SERVER.format(text), str(tmp_path / "pid")]
    went = strace_run.run(command, tmp_path / "trace", seconds, settle=settle)
    calls = strace_files.read([tmp_path / "trace"])
    assert {one.inode for one in went.listed.values()} <= calls.inodes
    return went, lines_of(scenarios_of(calls.sockets, calls.folded))


def gone(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] in "ZX"
    except OSError:
        return True


@needs_strace
def test_a_program_that_ends(tmp_path: Path) -> None:
    went, found = run(tmp_path, "sys.exit(3)")
    assert (found, went.ended_by, went.status) == (BOUND, "itself", 3)


@needs_strace
def test_a_server_is_ended_when_it_has_settled(tmp_path: Path) -> None:
    went, found = run(tmp_path, "time.sleep(300)", settle=0.3)
    assert (found, went.ended_by) == (BOUND, "settled")
    assert sorted(f"{one.kind} {one.address} {one.port}" for one in went.listed.values()) == [
        "tcp4 127.0.0.1 9100",
        "udp4 127.0.0.1 9100",
    ]


@needs_strace
def test_a_daemon_that_ignores_signals_is_ended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(strace_run, "_GRACE", 0.3)
    went, found = run(tmp_path, DAEMON, settle=0.5)
    assert (found, went.ended_by) == (BOUND, "settled")
    assert gone(int((tmp_path / "pid").read_text()))


@needs_strace
def test_the_ports_are_nobody_elses(tmp_path: Path) -> None:
    """A port that is taken here is free in the program's own network."""
    probe = strace_run.run(["true"], tmp_path / "probe")
    if probe.network == "none":
        pytest.skip(strace_run.NETWORKS["none"])
    _, found = run(tmp_path, "print(open('/proc/self/net/tcp').read().count(':238C'), file=open(sys.argv[1], 'w'))")
    assert found == BOUND
    assert (tmp_path / "pid").read_text() == "1\n"


@needs_strace
def test_on_the_network_of_the_machine_only_its_own_sockets_are_noted(tmp_path: Path) -> None:
    text = "import socket, time; s = socket.create_server(('127.0.0.1', 0)); time.sleep(300)"
    went = strace_run.run([sys.executable, "-c", text], tmp_path / "trace", 30, settle=0.3, own_network=False)
    assert went.network == "none"
    assert [one.kind for one in went.listed.values()] == ["tcp4"]


@needs_strace
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_trace_still_answers_and_leaves_nothing(tmp_path: Path, number: int) -> None:
    command = [sys.executable, "-m", "bindmatrix", "trace", "--scenarios", "--"]
    command += [sys.executable, "-c", SERVER.format(DAEMON), str(tmp_path / "pid")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, preexec_fn=interruptible) as process:
        limit = time.monotonic() + 30
        while not (tmp_path / "pid").exists() or not (tmp_path / "pid").read_text():
            assert time.monotonic() < limit
            time.sleep(0.05)
        os.kill(process.pid, number)
        time.sleep(0.3)
        os.kill(process.pid, number)  # a second one while the daemon still ignores it
        out, _ = process.communicate(timeout=60)
    assert out.splitlines() == [line.partition(" ")[2] for line in BOUND]
    assert process.returncode == 0
    assert gone(int((tmp_path / "pid").read_text()))


def test_strace_is_not_here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(Problem, match="strace: not found; install the package strace"):
        strace_run.run(["true"], tmp_path / "trace")


@needs_strace
def test_the_command_is_not_here(tmp_path: Path) -> None:
    with pytest.raises(Problem, match="no-such-program: not found; expected a command to trace"):
        strace_run.run(["no-such-program"], tmp_path / "trace")


def test_the_addresses_of_proc_net() -> None:
    if sys.byteorder == "big":
        pytest.skip("the texts are those of a little-endian machine")
    assert kernel_sockets._address("0100007F") == "127.0.0.1"
    assert kernel_sockets._address("00000000000000000000000001000000") == "::1"
    assert kernel_sockets._address("0000000000000000FFFF00000100007F") == "::ffff:127.0.0.1"


def test_strace_has_time_to_write_what_it_saw(tmp_path: Path) -> None:
    """Failed first: it was killed as soon as the program was gone, and on a loaded machine that lost every call."""
    slow = "import sys, time; time.sleep(0.6); open(sys.argv[1], 'w').write('calls')"
    with subprocess.Popen([sys.executable, "-c", slow, str(tmp_path / "trace")]) as process:
        strace_run._watch(process, strace_run.TracedRun(), 0.1, 0.0)
    assert (tmp_path / "trace").read_text() == "calls"
