"""Runs that are ended from outside: the file of observations holds all but the last lines, and the run goes on.

One run each in the tests; ``BINDMATRIX_KILLS=100`` ends a hundred with SIGKILL and half as many with SIGTERM.
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
#: lines that may be lost
MOST_LOST = 200
#: the command; how many lines the run has taken, which is what its progress shows, stands in another file
COUNTED = """
import os, sys
from bindmatrix.cli.main import main
from bindmatrix.observe.run_folder import RunFolder
count, file, write = 0, os.open(sys.argv[1], os.O_WRONLY | os.O_CREAT), RunFolder.write
def counted(self, lines):
    global count
    write(self, lines)
    count += len(lines)
    os.pwrite(file, b"%12d" % count, 0)
RunFolder.write = counted
sys.exit(main(sys.argv[2:]))
"""
pytestmark = pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="needs the signals of a Unix")


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_only_the_last_lines_are_lost(number: signal.Signals, tmp_path: Path) -> None:
    draw = random.Random()
    lost = []
    for one in range(KILLS if number == signal.SIGKILL else -(-KILLS // 2)):
        folder, count = tmp_path / f"run-{one}", tmp_path / f"count-{one}"
        words = ["run", "--shard", "1/40", "--workers", "2", "--results", str(folder)]
        program = subprocess.Popen(
            [sys.executable, "-c", COUNTED, str(count), *words],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            preexec_fn=interruptible,
        )
        least = draw.randrange(1, 4000)
        end = time.monotonic() + 120
        while program.poll() is None and time.monotonic() < end:
            if count.exists() and int(count.read_bytes() or b"0") >= least:
                break
            time.sleep(0.001)
        program.send_signal(number)
        out, err = program.communicate(timeout=120)
        assert "Traceback" not in err, err
        found = sum(1 for _ in read(folder))
        if number == signal.SIGTERM and program.returncode != 0:
            assert "--resume" in out + err
            assert json.loads((folder / "verdicts.json").read_bytes())["total"] <= found
        lost.append(max(0, int(count.read_bytes() or b"0") - found))
    print(f"{number.name}: {len(lost)} runs, lost lines: {sorted(lost)}")
    assert max(lost) <= MOST_LOST


def test_a_run_that_was_killed_goes_on(tmp_path: Path) -> None:
    """With --resume every scenario is there once, and the file is whole."""
    folder, count = tmp_path / "run", tmp_path / "count"
    words = ["run", "--quick", "--examples", "60", "--deliveries", "10", "--workers", "2"]
    program = subprocess.Popen([sys.executable, "-c", COUNTED, str(count), *words, "--results", str(folder)])
    while program.poll() is None and not (count.exists() and int(count.read_bytes() or b"0") > 2000):
        time.sleep(0.001)
    program.kill()
    program.wait()
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
