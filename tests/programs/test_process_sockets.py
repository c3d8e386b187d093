"""The options of a running process, read from outside."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import closing

import pytest
from bindmatrix.errors import Problem
from bindmatrix.programs import process_sockets
from bindmatrix.programs.port_scenarios import scenarios_of
from hypothesis import given, settings
from hypothesis import strategies as st

pytestmark = pytest.mark.skipif(
    not sys.platform.startswith("linux") or not hasattr(os, "pidfd_open"), reason="needs pidfd_getfd()"
)

OPTIONS = {"reuseaddr": socket.SO_REUSEADDR, "reuseport": getattr(socket, "SO_REUSEPORT", 15)}


def texts(pid: int) -> list[str]:
    return [one.scenario.text for one in scenarios_of(process_sockets.of_process(pid), Counter()).scenarios]


@given(
    six=st.booleans(),
    stream=st.booleans(),
    on=st.sets(st.sampled_from(sorted(OPTIONS))),
    v6only=st.sampled_from((None, 0, 1)),
    listens=st.booleans(),
)
@settings(max_examples=40, deadline=None)
def test_what_was_set_is_read(six: bool, stream: bool, on: set[str], v6only: int | None, listens: bool) -> None:
    """Of a socket of this process: what it may do to others it may do to itself."""
    family = socket.AF_INET6 if six else socket.AF_INET
    before = texts(os.getpid())
    with closing(socket.socket(family, socket.SOCK_STREAM if stream else socket.SOCK_DGRAM)) as made:
        for name in on:
            made.setsockopt(socket.SOL_SOCKET, OPTIONS[name], 1)
        if six and v6only is not None:
            made.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, v6only)
        made.bind(("::1" if six else "127.0.0.1", 0))
        if stream and listens:
            made.listen()
        found = texts(os.getpid())
        kind = f"{'tcp' if stream else 'udp'}{'6' if six else '4'}"
        words = [f"a={kind}", *(f"a.{name}=1" for name in sorted(on))]
        if six:
            words.append(f"a.v6only={made.getsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY)}")
        words.append(f"a.bind={'::1' if six else '127.0.0.1'}")
        words += ["a.listen"] if stream and listens else []
        assert " ".join(words) in found
        assert len(found) >= len(before)


@pytest.fixture
def server() -> Iterator[tuple[int, int]]:
    """Another process that listens: its number and its port."""
    text = "import socket, sys; s = socket.create_server(('127.0.0.1', 0))\n"
    text += "c = socket.create_connection(s.getsockname()); x = s.accept()\n"
    text += "print(s.getsockname()[1], flush=True); sys.stdin.read()"
    command = [sys.executable, "-c", text]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        yield process.pid, int(process.stdout.readline())
        process.stdin.close()


def test_another_process_and_its_port(server: tuple[int, int]) -> None:
    pid, port = server
    try:
        sockets = process_sockets.of_process(pid)
    except Problem as problem:
        pytest.skip(str(problem))  # Yama, a container
    found = scenarios_of(sockets, Counter())
    assert [(one.ports, one.scenario.text) for one in found.scenarios] == [
        ((f"{port}/tcp",), "a=tcp4 a.reuseaddr=1 a.bind=127.0.0.1 a.listen")
    ]
    by_port = scenarios_of(process_sockets.of_port(port), Counter())
    assert by_port.scenarios == found.scenarios


def test_nobody_is_there() -> None:
    with pytest.raises(Problem, match="process 4194305: there is no such process"):
        process_sockets.of_process(4194305)
    with pytest.raises(Problem, match="port 1: nobody is bound to it in this network namespace"):
        process_sockets.of_port(1)


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() != 0, reason="gives up root")
@pytest.mark.skipif(shutil.which("setpriv") is None, reason="setpriv is not here")
def test_without_the_right(server: tuple[int, int]) -> None:
    """One line says what to do."""
    pid, port = server
    nobody = ["setpriv", "--reuid=65534", "--clear-groups", "--no-new-privs", sys.executable, "-m", "bindmatrix"]
    for words, said in (
        (["--pid", str(pid)], f"process {pid}: its sockets may not be read"),
        (["--port", str(port)], f"port {port}: its sockets belong to processes of other users; run as root"),
    ):
        done = subprocess.run([*nobody, "inspect", *words], capture_output=True, text=True, check=False)
        if "ermission denied" in done.stderr or "No module" in done.stderr:
            pytest.skip("the package is in a folder that only root may read")
        assert (done.returncode, done.stderr.count("\n")) == (2, 1)
        assert said in done.stderr
