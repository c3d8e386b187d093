"""The C executor's rate over that of a hand-written loop of socket calls in C, and over the Python executor's.

    python benchmarks/c_executor_rate.py [FILE.jsonl[.gz]]

The scenarios are those of ``executor_rate.py``.  Everything is processor time, the start of a program taken off; the
loop (``plain_calls.c``) gets its calls from a table, so the ratio is the price of everything that the executor adds:
parsing, bookkeeping, the line of output.  As root, or inside ``unshare -Urn``: the loop makes a network namespace.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

from bindmatrix.execute import c_executor, executor
from executor_rate import from_file, program, small_matrix

ROUNDS, REPEATS = 5, 20


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("file", nargs="?", type=Path)
    arguments = options.parse_args()
    scenarios = from_file(arguments.file) if arguments.file else small_matrix()
    total = len(scenarios) * REPEATS
    ours = [str(c_executor.program())]
    python = [sys.executable, "-I", "-S", executor.__file__]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "table").write_text("".join(map(table, scenarios)))
        (folder / "scenarios").write_text("".join(text + "\n" for text in scenarios) * REPEATS)
        (folder / "nothing").write_text("")
        loop = [str(folder / "loop"), str(folder / "table"), str(REPEATS)]
        words = [
            *c_executor.compiler(),
            "-std=c99",
            "-O2",
            "-o",
            loop[0],
            str(Path(__file__).with_name("plain_calls.c")),
        ]
        subprocess.run(words, check=True)
        ratios = []
        for _ in range(ROUNDS):
            plain = float(subprocess.run(loop, check=True, capture_output=True, text=True).stdout.split()[1])
            c, py = (spent(one, folder / "scenarios") - spent(one, folder / "nothing") for one in (ours, python))
            ratios.append((plain / c, py / c))
            print(
                f"plain calls {total / plain:8.0f}/s   C executor {total / c:8.0f}/s   Python executor "
                f"{total / py:8.0f}/s   ratio {plain / c:.2f}"
            )
    loops, pythons = zip(*ratios, strict=True)
    print(
        f"median ratio {statistics.median(loops):.2f} of the loop's rate, {statistics.median(pythons):.2f} times the "
        f"Python executor's, over {len(scenarios)} scenarios, {ROUNDS} rounds of {REPEATS}"
    )


def table(text: str) -> str:
    """The calls of a scenario in the form of ``plain_calls.c``."""
    lines = []
    for call, index, argument in program(text):
        if call == 0:
            words = [*map(int, argument), 0]
        elif call == 1:
            words = [*argument]
        elif call == 2:
            words = [int(executor.INET6 if ":" in argument else executor.INET), argument, 0]
        else:
            words = [0, 0, 0]
        lines.append(" ".join(map(str, (call, index, *words))))
    return "\n".join([*lines, "-1 0 0 0 0"]) + "\n"


def spent(command: list[str], scenarios: Path) -> float:
    """Seconds of processor time that a program takes for a file of scenarios."""
    with scenarios.open("rb") as given:
        process = subprocess.Popen(command, stdin=given, stdout=subprocess.DEVNULL)
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = status
    assert status == 0
    return usage.ru_utime + usage.ru_stime


if __name__ == "__main__":
    main()
