"""The two classic programs do what their texts say: on a free port, and on 9999 in a network namespace."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.interruptible import interruptible

ROOT = Path(__file__).parents[1]
EXAMPLES = ROOT / "examples"

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="what they show is that of Linux")


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


@contextmanager
def started(*words: object, lines: int = 1) -> Iterator[tuple[subprocess.Popen[str], list[str]]]:
    """A program that has said as many lines as it says when it is ready; it ends with the block, whatever happens."""
    command = [sys.executable, *map(str, words)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, preexec_fn=interruptible) as program:
        assert program.stdout is not None
        try:
            yield program, [program.stdout.readline() for _ in range(lines)]
        finally:
            program.kill()


def ask(port: int) -> str:
    with socket.create_connection(("127.0.0.1", port), timeout=60) as client:
        text = b""
        while not text.endswith(b"\n"):
            piece = client.recv(99)
            assert piece, "closed without a line"
            text += piece
        assert client.recv(1) == b""  # the server closes first
    return text.decode().strip()


def end(program: subprocess.Popen[str]) -> int:
    program.send_signal(signal.SIGINT)
    return program.wait(60)


def restart(port: int) -> None:
    """A restart over TIME_WAIT works with SO_REUSEADDR, and fails without."""
    server = EXAMPLES / "restartable_server.py"
    with started(server, port) as (program, (line,)):
        assert line.strip() == f"process {program.pid} listens on 127.0.0.1:{port}"
        assert ask(port) == f"hello from process {program.pid}"
        assert end(program) == 0
    without = subprocess.run([sys.executable, str(server), str(port), "--without"], capture_output=True, text=True)
    assert (without.returncode, without.stderr) == (1, f"port {port}: Address already in use\n")
    with started(server, port) as (again, (line,)):
        assert str(again.pid) in line
        assert ask(port) == f"hello from process {again.pid}"
        # not against an active listener
        second = subprocess.run([sys.executable, str(server), str(port)], capture_output=True, text=True)
        assert second.returncode == 1
        assert end(again) == 0


def workers(port: int) -> None:
    """Two processes share the port; when one ends the other gets everything, and none outlives the program."""
    with started(EXAMPLES / "reuseport_workers.py", port, lines=2) as (program, lines):
        pids = {line.split()[1]: int(line.split()[-1]) for line in lines}
        assert set(pids) == {"0", "1"}
        assert len({os.getpid(), program.pid, *pids.values()}) == 4
        answers = Counter(ask(port) for _ in range(64))
        # one of two shares of 64 is empty with the probability 1 in 2**63
        assert set(answers) == {"worker 0", "worker 1"}
        os.kill(pids["1"], signal.SIGKILL)
        gone(pids["1"])
        assert {ask(port) for _ in range(16)} == {"worker 0"}
        program.kill()
        gone(pids["0"])


def gone(pid: int) -> None:
    """Wait until a process has ended."""
    limit = time.monotonic() + 60
    while alive(pid):
        assert time.monotonic() < limit, f"process {pid} lives on"
        time.sleep(0.001)


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


@pytest.mark.parametrize("check", [restart, workers])
def test_on_a_free_port(check: Callable[[int], None]) -> None:
    check(free_port())


@pytest.mark.parametrize("check", ["restart", "workers"])
def test_on_9999_in_a_namespace(check: str) -> None:
    script = (
        "import sys\n"
        "from bindmatrix.execute.executor import _make_ports\n"
        "try: _make_ports('own')\n"
        "except OSError: sys.exit(77)\n"
        f"from tests.test_examples import {check}\n"
        f"{check}(9999)\n"
    )
    done = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, timeout=60)
    if done.returncode == 77:
        pytest.skip("no network namespace here")
    assert done.returncode == 0, done.stderr


def test_the_port_may_come_from_the_environment() -> None:
    port = free_port()
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", port))
        taken.listen()
        for name in ("restartable_server.py", "reuseport_workers.py"):
            done = subprocess.run(
                [sys.executable, str(EXAMPLES / name)],
                env={**os.environ, "PORT": str(port)},
                capture_output=True,
                text=True,
                timeout=30,
            )
            assert done.returncode == 1
            assert f"port {port}: Address already in use" in done.stderr
            assert "Traceback" not in done.stderr
