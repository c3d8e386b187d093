"""Memory of what reads recordings, for files that are made to be large once they are unpacked.

    python benchmarks/bombs.py [--gz BYTES] [--unpacked BYTES] [KIND ...]

Each KIND (default: all) is a recording of at most ``--gz`` bytes (5 MB) and ``--unpacked`` unpacked bytes (2.5 GB).
Each verb reads it in a process of its own; printed are its exit status, processor time, largest resident memory and
the last line that it printed.  Wanted: no traceback and less than 300 MB.
"""

from __future__ import annotations

import argparse
import gzip
import json
import os
import resource
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from itertools import count
from pathlib import Path

from bindmatrix.execute.executor import FORMAT
from bindmatrix.execute.local import LocalHost

#: of this host, else no run could be resumed with the recording
with LocalHost(1) as this:
    HEADER = json.dumps({"format": FORMAT, "host": {"os": this.facts["os"], "release": this.facts["release"]}}) + "\n"
PAIR = "a=tcp4 a.bind=0.0.0.0 b=tcp4 b.bind=0.0.0.0"
MEGABYTES = 300


def line(scenario: str, outcomes: list[str], **more: object) -> str:
    return json.dumps({"scenario": scenario, "outcomes": outcomes, **more}, separators=(",", ":")) + "\n"


def same() -> Iterator[str]:
    """The same line again and again: the best that gzip can do."""
    text = line(PAIR, ["ok", "ok", "ok", "EADDRINUSE"]) * 1000
    while True:
        yield text


def flaky() -> Iterator[str]:
    """One scenario that goes otherwise each time."""
    for number in count():
        yield line(PAIR, ["ok", "ok", "ok", f"E{number}"])


def waits() -> Iterator[str]:
    """Another scenario in each line, as expected."""
    for number in count():
        yield line(f"a=tcp4 {wait(number)}", ["ok", "ok", "ok"])


def wait(number: int) -> str:
    """Two steps, other ones for each number."""
    return f"wait={number % 100_000} wait={number // 100_000}"


def heads() -> Iterator[str]:
    """Another first part in each line."""
    for number in count():
        yield line(f"a=tcp4 {wait(number)} b=tcp4", ["ok"] * 4)


def tails() -> Iterator[str]:
    """Another second part in each line."""
    for number in count():
        yield line(f"a=tcp4 b=tcp4 {wait(number)}", ["ok"] * 4)


def diverging() -> Iterator[str]:
    """Another scenario in each line, with an outcome that nothing expects."""
    for number in count():
        yield line(f"a=tcp4 {wait(number)} b=tcp4", ["ok", "ok", "ok", f"E{number}"])


def garbage() -> Iterator[str]:
    """What is no scenario, another in each line."""
    for number in count():
        yield line(f"x{number}", ["ok"])


def reasons() -> Iterator[str]:
    """Another reason for no verdict in each line."""
    for number in count():
        yield json.dumps({"scenario": f"a=tcp4 {wait(number)}", "no_verdict": f"reason {number}" + "x" * 200}) + "\n"


def long() -> Iterator[str]:
    """Lines of nearly the longest kind."""
    for number in count(1):
        yield line("a=tcp4" + " a.listen" * 9_000 + f" wait={number % 600_000}", ["ok"] * 9_002)


def unending() -> Iterator[str]:
    """One line that never ends."""
    while True:
        yield "x" * 1_000_000


def repeats() -> Iterator[str]:
    """A scenario with many repeats in each line."""
    for number in count(1):
        runs = [["ok", "ok", f"E{number % 1000 + k}"] for k in range(200)]
        yield line(f"a=tcp4 {wait(number)}", ["ok", "ok", "ok"], repeats=runs)


KINDS = {
    kind.__name__: kind
    for kind in (same, flaky, waits, heads, tails, diverging, garbage, reasons, long, unending, repeats)
}


def write(path: Path, kind: str, packed: int, unpacked: int) -> tuple[int, int]:
    """Write a recording; its size, and that of what it holds."""
    size = 0
    with path.open("wb") as raw, gzip.GzipFile(fileobj=raw, mode="wb", mtime=0) as stream:
        size += stream.write(HEADER.encode())
        for text in KINDS[kind]():
            size += stream.write(text.encode())
            if size >= unpacked or raw.tell() >= packed:
                break
    return path.stat().st_size, size


def largest(words: list[str]) -> tuple[int, float, int, str]:
    """Run ``bindmatrix WORDS``: exit status, seconds of processor time, megabytes of memory, what it said last."""
    reader, writer = os.pipe()
    if not (child := os.fork()):
        found = subprocess.run([sys.executable, "-m", "bindmatrix", *words], capture_output=True, text=True)
        usage = resource.getrusage(resource.RUSAGE_CHILDREN)
        said = (found.stdout + found.stderr).strip().splitlines() or [""]
        answer = (found.returncode, usage.ru_utime + usage.ru_stime, usage.ru_maxrss // 1024, said[-1][:150])
        os.write(writer, json.dumps(answer).encode())
        os._exit(0)
    os.close(writer)
    with os.fdopen(reader, "rb") as stream:
        answer = json.loads(stream.read())
    os.waitpid(child, 0)
    return answer  # type: ignore[no-any-return]


def verbs(folder: Path, file: Path) -> dict[str, list[str]]:
    """What reads recordings of strangers."""
    out = str(folder / "out")
    return {
        "judge": ["judge", str(file)],
        "report": ["report", str(file), "--html", f"{out}.html", "--json", f"{out}.json", "--markdown", f"{out}.md"],
        "collect": ["collect", str(file.parent.parent), "--out", out],
        "contribute": ["contribute", str(file)],
        "resume": ["run", "--resume", str(file.parent), "--shard", "1/2000", "--workers", "1"],
        "check": ["check", str(file.parent)],
        "diff": ["diff", str(file), str(file)],
    }


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("kinds", nargs="*", metavar="KIND", help=", ".join(KINDS))
    options.add_argument("--gz", type=int, default=5_000_000, metavar="BYTES")
    options.add_argument("--unpacked", type=int, default=2_500_000_000, metavar="BYTES")
    options.add_argument("--verbs", default="judge,report,collect,contribute,resume", metavar="VERBS")
    chosen = options.parse_args()
    worst = 0
    print(f"{'kind':<10} {'gz':>10} {'unpacked':>14}  {'verb':<8} {'status':>6} {'seconds':>8} {'MB':>5}  said last")
    for kind in chosen.kinds or KINDS:
        with tempfile.TemporaryDirectory() as name:
            file = Path(name, "machines", "observations-m", "observations.jsonl.gz")
            file.parent.mkdir(parents=True)
            packed, unpacked = write(file, kind, chosen.gz, chosen.unpacked)
            words = verbs(Path(name), file)
            for verb in chosen.verbs.split(","):
                status, seconds, megabytes, said = largest(words[verb])
                worst = max(worst, megabytes)
                sizes = f"{kind:<10} {packed:>10,} {unpacked:>14,}"
                print(f"{sizes}  {verb:<8} {status:>6} {seconds:>8.1f} {megabytes:>5}  {said}", flush=True)
    if worst > MEGABYTES:
        sys.exit(f"{worst} MB; wanted are at most {MEGABYTES}")


if __name__ == "__main__":
    main()
