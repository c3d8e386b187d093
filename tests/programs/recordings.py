"""The recordings that the tests read.

``data/recordings``: programs under strace 6.1 on Linux 6.18.44, x86-64, each in a network namespace of its own with the
loopback interface (avahi, py-zeroconf_dum, go-mcast, node-mcast: and a dummy interface), on 2026-11-29; ``y-*`` with
``-y``.  ``data/cases``: what breaks parsers; ``opt-*`` is one program under another option of strace.
"""

from __future__ import annotations

from pathlib import Path

from bindmatrix.programs import strace_files
from bindmatrix.programs.port_scenarios import Found, scenarios_of
from bindmatrix.programs.socket_calls import SocketCalls

DATA = Path(__file__).parent / "data"
RECORDINGS = sorted((DATA / "recordings").glob("*.txt.gz"), key=lambda path: path.name.removesuffix(".txt.gz"))
CASES = sorted((DATA / "cases").glob("*.txt"))


def recording(name: str) -> tuple[SocketCalls, Found]:
    """What is made of a recording."""
    return _read(DATA / "recordings" / f"{name}.txt.gz")


def case(*names: str) -> tuple[SocketCalls, Found]:
    """What is made of a case; of several files for ``-ff``."""
    return _read(*(DATA / "cases" / name for name in names))


def _read(*files: Path) -> tuple[SocketCalls, Found]:
    calls = strace_files.read(files)
    return calls, scenarios_of(calls.sockets, calls.folded)


def lines_of(found: Found) -> list[str]:
    """A line for each scenario: port (and how many alike), scenario, what was not ok."""
    return [
        " ".join(
            [
                one.ports[0] + (f"+{len(one.ports) - 1}" if len(one.ports) > 1 else ""),
                one.scenario.text,
                *(
                    f"[{step.text} {outcome}]"
                    for step, outcome in zip(one.scenario.steps, one.outcomes, strict=True)
                    if outcome != "ok"
                ),
            ]
        )
        for one in found.scenarios
    ]
