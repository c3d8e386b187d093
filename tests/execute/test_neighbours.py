"""Leased ports among those of a neighbour that takes nearly all of them, in a network namespace made for the test."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from bindmatrix.execute import c_executor, executor

#: leaves one block of 250 ports; a neighbour takes all but eight, and seven of those when the executor has begun
PROGRAM = """
import json, socket, subprocess, sys
open("/proc/sys/net/ipv4/ip_local_port_range", "w").write("10250 65535")
subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
def take(port):
    sock = socket.socket(socket.AF_INET6)
    sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
    sock.bind(("::1", port))
    return sock
left = range(10101, 10109)
taken = [take(port) for port in range(10002, 10250) if port not in left]
program = subprocess.Popen(sys.argv[1:], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
assert json.loads(program.stdout.readline())["host"]["namespace"] == "none"
taken += [take(port) for port in left[1:]]
out, _ = program.communicate("a=tcp4 a.bind=0.0.0.0 b=tcp6 b.bind=::1\\n" * 40)
print(out, end="")
"""


@pytest.mark.skipif(not executor.LINUX or os.geteuid() != 0, reason="needs root on Linux")
@pytest.mark.parametrize("language", ["python", "c"])
def test_a_port_that_the_neighbour_has_taken_is_passed_over(language: str) -> None:
    """Failed first: a port was tried once a second, so a scenario and its repeats met the same foreign sockets."""
    for name in ("unshare", "ip"):
        if shutil.which(name) is None:
            pytest.skip(f"needs {name}")
    command = [sys.executable, str(Path(executor.__file__))]
    if language == "c":
        command = [str(c_executor.program())]
    words = ["unshare", "--net", sys.executable, "-c", PROGRAM, *command, "--namespace", "none"]
    done = subprocess.run(words, capture_output=True, text=True, timeout=60, check=False)
    if done.stderr.startswith("unshare"):
        pytest.skip("no network namespace is allowed here")
    assert done.returncode == 0, done.stderr
    outcomes = [json.loads(line)["outcomes"] for line in done.stdout.splitlines()]
    assert outcomes == [["ok"] * 4] * 40
