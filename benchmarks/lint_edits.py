"""How long `bindmatrix lint` takes for one file: anew, once more, and after an edit of the rule that refuses most.

    python benchmarks/lint_edits.py [OS ...]

The edit replaces the errno of the rule that refuses most recorded calls, so that thousands of recorded runs
contradict it.  Time is the processor time of the command; the cache and the edited file are in a temporary folder, and
the checked-in evidence is what is replayed.
"""

from __future__ import annotations

import argparse
import os
import re
import resource
import subprocess
import sys
import tempfile
from pathlib import Path

from bindmatrix.lint.context import Subject
from bindmatrix.rules import catalog


def lint(path: Path) -> float:
    """The processor time of the whole command."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run([sys.executable, "-m", "bindmatrix", "lint", str(path)], capture_output=True, check=False)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def edited(text: str, subject: Subject) -> str:
    """``text`` with another errno in the rule that refuses most."""
    counts = {
        rule.id: sum(sum(sets.values()) for sets in subject.decided.get(rule.id, {}).values())
        for rule in subject.rules
        if rule.action == "refuse"
    }
    most = max(counts, key=counts.__getitem__)
    start = text.index(f"id: {most}")
    return text[:start] + re.sub(r"refuse: \w+", "refuse: EPERM", text[start:], count=1)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("systems", nargs="*", metavar="OS", default=catalog.names())
    systems = parser.parse_args().systems
    print(f"{'system':<12} {'anew, s':>8} {'again, s':>9} {'edited, s':>10} {'edited / anew':>14}")
    for system in systems:
        with tempfile.TemporaryDirectory() as folder:
            os.environ["BINDMATRIX_CACHE"] = folder
            path = Path(folder) / f"{system}.yaml"
            text = (catalog.folder() / path.name).read_text(encoding="utf-8")
            path.write_text(text, encoding="utf-8")
            anew, again = lint(path), lint(path)
            path.write_text(edited(text, Subject(path, cached=True)), encoding="utf-8")
            after = lint(path)
        print(f"{system:<12} {anew:>8.1f} {again:>9.1f} {after:>10.1f} {after / anew:>14.2f}", flush=True)


if __name__ == "__main__":
    main()
