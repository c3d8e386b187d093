"""The catalogue's Linux rows, recorded again here from the runtimes themselves.

``tox -e runtimes`` installs the runtimes of Debian, PyPI and npm that it may and runs all of it; elsewhere a few rows
run that need nothing but this Python.  A runtime that is not here is a skip that names it; its row is compared with
its recording in ``test_catalogue.py`` in any case.
"""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path

import pytest
from bindmatrix.programs import runtimes, strace_run
from bindmatrix.programs.port_scenarios import scenarios_of
from bindmatrix.programs.socket_calls import SocketCalls

from tests.programs.live_programs import PROGRAMS

ALWAYS = ("py-create_server", "py-socketserver-udp", "asyncio")
EVERY = "BINDMATRIX_RUNTIMES" in os.environ

pytestmark = [
    pytest.mark.skipif(not sys.platform.startswith("linux"), reason="strace is for Linux"),
    pytest.mark.skipif(shutil.which("strace") is None, reason="strace is not here"),
]


def test_every_program_is_a_row() -> None:
    assert PROGRAMS.keys() <= runtimes.runtimes().keys()


@pytest.mark.parametrize("row", [row for row in PROGRAMS if EVERY or row in ALWAYS])
def test_the_row_is_what_the_runtime_does_here(row: str, tmp_path: Path) -> None:
    program = PROGRAMS[row]
    if reason := program.missing():
        pytest.skip(reason)
    command = program.prepare(tmp_path)
    went = strace_run.run(command, tmp_path / "trace", 60, settle=1.5 if EVERY else 0.5, folder=tmp_path)
    calls = SocketCalls()
    with (tmp_path / "trace").open(encoding="latin-1") as stream:
        calls.read(stream)
    assert calls.lines.not_understood == 0, calls.lines.examples
    found = scenarios_of(calls.sockets, calls.folded)
    different = runtimes.difference(runtimes.runtime(row), [one.scenario for one in found.scenarios])
    assert not different, f"{different}\n  ended by {went.ended_by}, status {went.status}"
    assert {one.inode for one in went.listed.values()} <= calls.inodes
