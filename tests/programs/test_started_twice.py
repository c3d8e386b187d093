"""Programs that are really started twice in one network, beside what ``audit`` says of that.

The second instance is refused or not: what bind() and listen() returned is in the trace of both.  As in
``test_live_rows.py``, everything that is here runs under ``tox -e runtimes``, and two programs always.
"""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

import pytest
from bindmatrix.advice.audit import audit
from bindmatrix.programs import strace_run
from bindmatrix.programs.port_scenarios import scenarios_of
from bindmatrix.programs.program_input import programs
from bindmatrix.programs.socket_calls import SocketCalls

from tests.programs.live_programs import PROGRAMS
from tests.programs.test_live_rows import EVERY

pytestmark = [
    pytest.mark.skipif(not sys.platform.startswith("linux"), reason="strace is for Linux"),
    pytest.mark.skipif(shutil.which("strace") is None, reason="strace is not here"),
]

#: one whose second instance is refused, and one whose two instances share
ALWAYS = ("py-http.server", "asyncio-reuse_port")
#: the second starts when the first has had this many seconds
_LATER = 1.0
_TWICE = f'"$@" & sleep {_LATER}; exec "$@"'


@pytest.mark.slow
@pytest.mark.parametrize("row", [row for row in PROGRAMS if EVERY or row in ALWAYS])
def test_the_second_fares_as_the_audit_says(row: str, tmp_path: Path) -> None:
    program = PROGRAMS[row]
    if reason := program.missing():
        pytest.skip(reason)
    command = ["sh", "-c", _TWICE, "sh", *program.prepare(tmp_path)]
    strace_run.run(command, tmp_path / "trace", 60, settle=_LATER + 1.5, folder=tmp_path)
    calls = SocketCalls()
    with (tmp_path / "trace").open(encoding="latin-1") as stream:
        calls.read(stream)
    (program_of_row,) = programs(row)
    # a row is about one kind of socket; dnsmasq shares its UDP port, and its TCP port is refused
    kinds = {step.what for step in program_of_row.does.steps if step.kind == "socket"}
    ends = []
    for one in scenarios_of(calls.sockets, calls.folded).scenarios:
        own = {step.socket for step in one.scenario.steps if step.kind == "socket" and step.what in kinds}
        ends += [
            outcome
            for step, outcome in zip(one.scenario.steps, one.outcomes, strict=True)
            if step.kind in ("bind", "listen") and step.socket in own
        ]
    found = audit(program_of_row, ["linux"])
    said = next(one.answer.words for one in found.tried.rows if one.question == "started twice")
    assert len(ends) > 1
    assert said.startswith("both run") == ("EADDRINUSE" not in ends), f"{said}\n{ends}"
