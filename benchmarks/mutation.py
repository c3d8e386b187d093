"""Mutation scores: how many small changes of a module its tests notice.

    pip install "mutmut>=3.8"
    python benchmarks/mutation.py [MODULE ...] [--survivors]

MODULE is a row of ``TESTS``, such as ``judge/shrink.py`` (default: all of them, some hours).  mutmut changes one
expression at a time in a copy of the package, never in the checkout, and runs the tests that reach it: one mutant after
the other, each with a time limit and in a process whose caches hold no answers of the unchanged module.  It does not
change decorated functions (properties) and what is outside of functions (tables).  A mutant on which the tests run out
of time counts as noticed, so keep the machine free.
"""

from __future__ import annotations

import argparse
import re
import shutil
import subprocess
import sys
import tempfile
from collections import Counter
from pathlib import Path

ROOT = Path(__file__).parents[1]
#: without what takes long: replayed evidence, the comparison of evaluators
_ORACLE = tuple(
    str(path.relative_to(ROOT))
    for path in sorted((ROOT / "tests" / "oracle").glob("test_*.py"))
    if path.stem not in ("test_evidence", "test_evaluators", "test_load", "test_releases", "test_divergences")
)
#: module -> the tests that are meant to notice; few and quick ones, since each survivor is run through all of them
TESTS = {
    "judge/shrink.py": ("tests/judge/test_shrink.py",),
    "judge/summary.py": ("tests/judge/test_summary.py",),
    "judge/verdicts.py": ("tests/judge/test_verdicts.py",),
    "oracle/connections.py": _ORACLE,
    "oracle/transitions.py": _ORACLE,
}
_SETTINGS = """
[mutmut]
source_paths=bindmatrix/
only_mutate=bindmatrix/{module}
process_isolation=forkserver
also_copy=tests
pytest_add_cli_args_test_selection=
    {tests}
pytest_add_cli_args=
    --import-mode=importlib
    -p
    no:cacheprovider
"""


def flat_copy(folder: Path) -> None:
    """The package, its data and the tests as mutmut expects them: the package at the top."""
    shutil.copytree(ROOT / "conformance" / "bindmatrix", folder / "bindmatrix")
    shutil.copytree(ROOT / "expectations", folder / "bindmatrix" / "expectations")
    shutil.copytree(ROOT / "tests", folder / "tests")


def mutmut(folder: Path, *words: str) -> str:
    """What mutmut prints on standard output."""
    command = [sys.executable, "-m", "mutmut", *words]
    return subprocess.run(command, cwd=folder, stdout=subprocess.PIPE, text=True, check=True).stdout


def mutated(folder: Path, module: str) -> dict[str, str]:
    """Name of each mutant of ``module`` -> what became of it."""
    (folder / "setup.cfg").write_text(_SETTINGS.format(module=module, tests="\n    ".join(TESTS[module])))
    mutmut(folder, "run", "--max-children", "1")
    return dict(re.findall(r"(\S+__mutmut_\d+): (.*)", mutmut(folder, "results", "--all", "true")))


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("modules", nargs="*", metavar="MODULE", help=", ".join(TESTS))
    options.add_argument("--survivors", action="store_true", help="show the changes that no test noticed")
    chosen = options.parse_args()
    for module in chosen.modules:
        if module not in TESTS:
            options.error(f"{module}: expected one of {', '.join(TESTS)}")
    for module in chosen.modules or TESTS:
        with tempfile.TemporaryDirectory() as name:
            flat_copy(Path(name))
            found = mutated(Path(name), module)
            survivors = [mutant for mutant, end in found.items() if end not in ("killed", "timeout")]
            share = 1 - len(survivors) / len(found)
            print(f"{module}: {share:.1%} of {len(found)} noticed; {dict(Counter(found.values()))}", flush=True)
            if chosen.survivors:
                for mutant in survivors:
                    print(mutmut(Path(name), "show", mutant), flush=True)


if __name__ == "__main__":
    main()
