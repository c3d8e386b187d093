"""Runs that are ended from outside: the file of observations holds all but the last lines, and the run goes on.

What counts is what was executed: the executors count the scenarios that they have run, and what is not in the file is
lost.  One run each in the tests; ``BINDMATRIX_KILLS=100`` ends a hundred with SIGKILL and half as many with SIGTERM.
"""

from __future__ import annotations

import gzip
import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from bindmatrix.observe.recordings import read

from tests.interruptible import interruptible

KILLS = int(os.environ.get("BINDMATRIX_KILLS", "1"))
#: executed scenarios that may be lost: fewer than this
LOST = 200
#: an executor that counts the scenarios it has run, in a file of its own in the folder that it is given
EXECUTOR = """
import os, sys
from bindmatrix.execute import executor
run, count = executor.Executor.line, 0
file = os.open(os.path.join(sys.argv[1], str(os.getpid())), os.O_WRONLY | os.O_CREAT)
def counted(self, text):
    global count
    line = run(self, text)
    count += 1
    os.pwrite(file, b"%12d" % count, 0)
    return line
executor.Executor.line = counted
sys.exit(executor.main(sys.argv[2:]))
"""
#: the command, with executors that count
COUNTED = """
import sys
from bindmatrix.cli.main import main
from bindmatrix.execute import worker
worker.COMMAND = (sys.executable, "-c", sys.argv[1], sys.argv[2])
sys.exit(main(sys.argv[3:]))
"""
pytestmark = pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="needs the signals of a Unix")


def executed(counts: Path) -> int:
    """How many scenarios the executors have run."""
    return sum(int(file.read_bytes() or b"0") for file in counts.iterdir())


def started(counts: Path, words: list[str]) -> subprocess.Popen[str]:
    counts.mkdir()
    return subprocess.Popen(
        [sys.executable, "-c", COUNTED, EXECUTOR, str(counts), *words],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=interruptible,
    )


def wait_for(program: subprocess.Popen[str], counts: Path, least: int) -> None:
    """Until it has executed ``least`` scenarios, or ended."""
    end = time.monotonic() + 120
    while program.poll() is None and executed(counts) < least and time.monotonic() < end:
        time.sleep(0.001)


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_only_the_last_lines_are_lost(number: signal.Signals, tmp_path: Path) -> None:
    draw = random.Random()
    lost = []
    for one in range(KILLS if number == signal.SIGKILL else -(-KILLS // 2)):
        folder, counts = tmp_path / f"run-{one}", tmp_path / f"counts-{one}"
        program = started(counts, ["run", "--shard", "1/40", "--workers", "2", "--results", str(folder)])
        wait_for(program, counts, draw.randrange(1, 6000))
        program.send_signal(number)
        out, err = program.communicate(timeout=120)
        assert "Traceback" not in err, err
        # a line of repeats stands for each of them
        lines = [len(observation.repeats) or 1 for observation in read(folder)]
        if number == signal.SIGTERM and program.returncode != 0:
            assert "--resume" in out + err
            assert json.loads((folder / "verdicts.json").read_bytes())["total"] <= len(lines)
        lost.append(executed(counts) - sum(lines))
    print(f"{number.name}: {len(lost)} runs, executed scenarios that are not in the file: {sorted(lost)}")
    assert 0 <= min(lost) <= max(lost) < LOST


def test_a_run_that_was_killed_goes_on(tmp_path: Path) -> None:
    """With --resume every scenario is there once, and the file is whole."""
    folder, counts = tmp_path / "run", tmp_path / "counts"
    words = ["run", "--quick", "--examples", "60", "--deliveries", "10", "--workers", "2"]
    program = started(counts, [*words, "--results", str(folder)])
    wait_for(program, counts, 2500)
    program.kill()
    program.communicate()
    done = subprocess.run(
        [sys.executable, "-m", "bindmatrix", *words, "--resume", str(folder)],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert "Traceback" not in done.stderr
    with gzip.open(folder / "observations.jsonl.gz") as stream:
        texts = [json.loads(line)["scenario"] for line in stream.readlines()[1:]]
    summary = json.loads((folder / "verdicts.json").read_bytes())
    assert len(set(texts)) == summary["total"] > 2000
    assert done.returncode == 0, done.stdout
