"""How long `bindmatrix report --html` takes for eight hosts of 150,000 scenarios, and how large page and memory get.

    python benchmarks/report_rate.py [--sequences N] [FOLDER]

Writes observations as eight systems would make them by the rules into FOLDER (default: a temporary one; a folder that
has them is used as it is), then times the command as a process of its own.  Wanted: 5 s, 500 MB, 3 MB.  N of the
scenarios (default 20,000) are free sequences, which take the longest: hardly one goes the way of another.
"""

from __future__ import annotations

import argparse
import gzip
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from bindmatrix.generate.matrix import matrix
from bindmatrix.generate.sequences import random_sequences
from bindmatrix.observe.recordings import Observation, header, line
from bindmatrix.oracle.oracle import Oracle
from bindmatrix.rules import catalog

HOSTS, SCENARIOS = 8, 150_000


def main() -> None:
    """Make the data, run the command, print what it took."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sequences", type=int, default=20_000)
    parser.add_argument("folder", nargs="?")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(arguments.folder or temporary)
        texts = [text for group in matrix("full", users=True) for text in group.scenarios]
        sequences = arguments.sequences
        texts = texts[: SCENARIOS - sequences] + list(random_sequences(0, sequences, users=True))
        for os_name in catalog.names()[:HOSTS]:
            if not (folder / os_name).exists():
                write(folder / os_name, os_name, texts)
        page = folder / "page.html"
        started = time.perf_counter()
        command = [sys.executable, "-m", "bindmatrix", "report", str(folder), "--html", str(page)]
        status = subprocess.run(command, check=False).returncode
        seconds = time.perf_counter() - started
        used = resource.getrusage(resource.RUSAGE_CHILDREN)
        print(f"exit status {status}, {seconds:.1f} s on {os.cpu_count()} cores (load {os.getloadavg()[0]:.1f})")
        cpu = used.ru_utime + used.ru_stime
        print(f"{cpu:.1f} s of processor time, {used.ru_maxrss // 1024} MB in the largest process")
        print(f"{page.stat().st_size / 1e6:.2f} MB")


def write(folder: Path, os_name: str, texts: list[str]) -> None:
    """A results folder of a host that does what its rules say; of several outcomes the first."""
    expectations = catalog.expectations(os_name)
    release = expectations.covers[1]
    oracle = Oracle(expectations.at(release))
    folder.mkdir(parents=True)
    with gzip.open(folder / "observations.jsonl.gz", "wb", compresslevel=1) as stream:
        stream.write(header({"os": os_name, "release": release}))
        for text in texts:
            outcomes = oracle.predict(text).outcomes
            certain = tuple("ok" if one is None else one if isinstance(one, str) else one[0] for one in outcomes)
            stream.write(line(Observation(text, certain)))


if __name__ == "__main__":
    main()
