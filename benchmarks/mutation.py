"""Mutation scores: how many small changes of a module its tests notice.

    pip install --group mutation
    python benchmarks/mutation.py [MODULE ...] [--every N] [--survivors] [--first-only]

MODULE is a row of ``TESTS``, such as ``judge/shrink.py`` (default: all of them, some hours).  mutmut makes the mutants,
one changed expression each; it does not change decorated functions (properties) and what is outside of functions
(tables).  They are run in a copy of the package, never in the checkout: one process imports everything, and each mutant
is a fork of it in which the changed function takes the place of the original.

A mutant is noticed when

1. mypy objects to it ("mistyped");
2. a sample of the recorded evidence gets another verdict or is decided by other rules than without it: for all of the
   evidence ``tests/oracle/test_evidence.py`` asserts both (modules of ``oracle/`` only);
3. a test of its row fails;
4. it needs ten times the processor time of the unchanged module.
"""

from __future__ import annotations

import argparse
import ast
import difflib
import gc
import importlib
import itertools
import os
import random
import re
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
#: what takes long and repeats what the sample of evidence shows, or what asks other modules only
_LONG = ("test_evidence", "test_evaluators", "test_releases", "test_divergences", "test_load")
#: the quickest first, since the first failure ends a mutant
_FIRST = ("test_states", "test_arrivals", "test_connections", "test_transitions", "test_engine", "test_kinds")
_ORACLE = tuple(
    f"tests/oracle/{name}.py"
    for name in (
        *_FIRST,
        *sorted({path.stem for path in (ROOT / "tests" / "oracle").glob("test_*.py")} - {*_FIRST, *_LONG}),
    )
)
#: what is about calls and about who receives
_CALLS = tuple(f"tests/oracle/{name}.py" for name in (*_FIRST, "test_delivery", "test_unknown"))
#: the comparison with the reference evaluator, without the walks over every system
_REFERENCE = (
    "tests/oracle/test_evaluators.py",
    "--deselect=tests/oracle/test_evaluators.py::test_they_agree_on_every_system",
    "--deselect=tests/oracle/test_evaluators.py::test_they_agree_on_recorded_runs",
)
#: module -> the tests that are meant to notice; few and quick ones, since each survivor is run through all of them
TESTS = {
    "judge/diff.py": ("tests/judge/test_diff.py", "tests/cli/test_diff.py"),
    "judge/host_table.py": (
        "tests/judge/test_host_table.py",
        "tests/judge/test_columns.py",
        "tests/judge/test_digest.py",
    ),
    "judge/prefix_cache.py": (
        "tests/judge/test_prefix_cache.py",
        "tests/judge/test_verdicts.py",
        "tests/judge/test_columns.py",
    ),
    "judge/shrink.py": ("tests/judge/test_shrink.py",),
    "judge/summary.py": ("tests/judge/test_summary.py",),
    "judge/verdicts.py": ("tests/judge/test_verdicts.py",),
    "oracle/arrivals.py": _CALLS,
    "oracle/branches.py": _ORACLE,
    "oracle/conditions.py": (*_ORACLE, *_REFERENCE),
    "oracle/connections.py": _ORACLE,
    "oracle/delivery.py": (*_ORACLE, *_REFERENCE),
    "oracle/evaluator.py": (*_ORACLE, *_REFERENCE),
    "oracle/joint.py": ("tests/oracle/test_joint.py",),
    "oracle/layout.py": _ORACLE,
    "oracle/oracle.py": _ORACLE,
    "oracle/port_effects.py": _ORACLE,
    "oracle/prediction.py": ("tests/oracle/test_prediction.py", "tests/oracle/test_engine.py"),
    "oracle/sharing.py": ("tests/oracle/test_sharing.py", "tests/answers/test_reason.py"),
    "oracle/trace.py": ("tests/oracle/test_trace.py",),
    "oracle/transitions.py": _CALLS,
    "oracle/unknown.py": _ORACLE,
    "oracle/variants.py": ("tests/oracle/test_variants.py", "tests/oracle/test_engine.py"),
}
#: recorded observations of which those are taken that show something new: every eighth
SAMPLE = 8
#: functions that make the tables of their module, and have run when a mutant takes their place
_AT_IMPORT = ("x__api",)
#: in place of mutmut's trampoline, which would look up the mutant at each call
_KEEP = """
from typing import Any as _Any, Callable as _Callable, TypeVar as _TypeVar
_Function = _TypeVar("_Function")
def _mutmut_mutated(mutants: dict[str, _Any], is_classmethod: bool = False) -> _Callable[[_Function], _Function]:
    def keep(function: _Function) -> _Function:
        mutants["original"] = function
        return function
    return keep
MutantDict = dict[str, _Any]
"""
#: as in pyproject.toml
_MYPY = """
[mypy]
strict = true
warn_unreachable = true
"""
_TRAMPOLINE = "from mutmut.mutation.trampoline import wrap_in_trampoline as _mutmut_mutated, MutantDict"


def write_mutants(folder: Path, module: str, wanted: Callable[[str], bool]) -> dict[str, str]:
    """Change ``module`` in ``folder`` so that it holds its ``wanted`` mutants; name of each -> the change as a diff."""
    (folder / "setup.cfg").write_text("[mutmut]\nsource_paths=bindmatrix/\n")
    from mutmut.mutation.file_mutation import mutate_file_contents

    path = folder / "bindmatrix" / module
    found = mutate_file_contents(str(path), path.read_text(encoding="utf-8"))
    assert _TRAMPOLINE in found.code
    lines = found.code.splitlines()
    kept: list[str | None] = [*lines]
    names = [name for name in found.mutant_names if name.rpartition("__mutmut_")[0] not in _AT_IMPORT]
    for name in found.mutant_names:
        if not (name in names and wanted(name)):
            span = found.line_span_by_function_name[name]
            kept[span.start - 1 : span.end] = [None] * (span.end - span.start + 1)
    names = [name for name in names if wanted(name)]
    unwanted = {f"['{name}'] =" for name in {*found.mutant_names} - {*names}}
    text_kept = "\n".join(
        line for line in kept if line is not None and not unwanted & set(re.findall(r"\['x.*?'\] =", line))
    )
    path.write_text(text_kept.replace(_TRAMPOLINE, _KEEP) + "\n", encoding="utf-8")

    def text(name: str) -> list[str]:
        span = found.line_span_by_function_name[name]
        return [re.sub(r"x\S+?__mutmut_\w+", "", line) for line in lines[span.start - 1 : span.end]]

    changes = {}
    for name in names:
        original = name.rpartition("_")[0] + "_orig"
        diff = difflib.unified_diff(text(original), text(name), n=1, lineterm="")
        changes[name] = "\n".join(list(diff)[3:])
    return changes


def mistyped(modules: Sequence[str]) -> dict[str, set[str]]:
    """Module -> the mutants in which mypy finds an error that is not in the original function."""
    Path("mypy.ini").write_text(_MYPY)
    paths = [f"bindmatrix/{module}" for module in modules]
    words = [sys.executable, "-m", "mypy", "--no-error-summary", "--show-error-codes", *paths]
    found = subprocess.run(words, stdout=subprocess.PIPE, text=True, check=False).stdout
    errors: dict[str, dict[int, set[str]]] = {}
    for path, line, message in re.findall(r"^bindmatrix/(\S+?):(\d+): error: (.*)", found, re.MULTILINE):
        errors.setdefault(path, {}).setdefault(int(line), set()).add(re.sub(r"x\S+?__mutmut_\w+", "", message))
    wrong = {}
    for module in modules:
        of_function: dict[str, set[str]] = {}
        for node in ast.walk(ast.parse(Path("bindmatrix", module).read_text(encoding="utf-8"))):
            if isinstance(node, ast.FunctionDef) and "__mutmut_" in node.name:
                lines = range(node.lineno, (node.end_lineno or node.lineno) + 1)
                of_function[node.name] = {one for line in lines for one in errors.get(module, {}).get(line, ())}
        wrong[module] = {
            name
            for name, messages in of_function.items()
            if not name.endswith("_orig") and messages - of_function[name.rpartition("_")[0] + "_orig"]
        }
    return wrong


def activate(module: Any, mutant: str) -> None:
    """Put the mutant in the place of the function that it changes, for whoever has that function already."""
    for name, mutants in vars(module).items():
        if name.startswith("mutants_") and mutant in mutants:
            original, changed = mutants["original"], mutants[mutant]
            original.__code__ = changed.__code__
            original.__defaults__, original.__kwdefaults__ = changed.__defaults__, changed.__kwdefaults__
            return
    raise AssertionError(mutant)


def evidence() -> Callable[[], bool]:
    """A check that is true when a sample of the recorded evidence gets the verdicts and rules that it gets now."""
    from bindmatrix.lint.replay import Replay, lines, recorded_sets
    from bindmatrix.rules import catalog, divergences

    folder = catalog.folder()
    expectations = {name: catalog.expectations(name) for name in catalog.names()}
    known = {name: divergences.load(folder / "divergences" / f"{name}.yaml", one) for name, one in expectations.items()}
    sample = [
        (name, line)
        for name, one in expectations.items()
        for recorded in recorded_sets(folder / "evidence", name)
        for line in list(lines(recorded, one, []))[::SAMPLE]
    ]

    def results(sample: Sequence[tuple[str, Any]]) -> Iterator[tuple[Any, ...]]:
        replays = {name: Replay(one, known[name]) for name, one in expectations.items()}
        for name, line in sample:
            verdict, decided = replays[name].run(line)
            yield (decided, *((verdict.kind, verdict.step, verdict.rule, verdict.divergence) if verdict else ()))

    seen: set[Any] = set()
    chosen, expected = [], []
    for (name, line), result in zip(sample, results(sample), strict=True):
        words = [re.sub("^[a-z]+[.=]", "", word) for word in line.observation.scenario.split()]
        facts = {(name, *result[1:], word, rule) for word, rule in itertools.zip_longest(words, result[0])}
        if not facts <= seen:
            seen |= facts
            chosen.append((name, line))
    random.Random(1).shuffle(chosen)
    expected = list(results(chosen))
    print(f"# {len(chosen)} of {len(sample)} recorded observations", file=sys.stderr, flush=True)
    return lambda: all(one == other for one, other in zip(expected, results(chosen), strict=True))


def in_fork(work: Callable[[], bool], seconds: float) -> str:
    """Run ``work`` in a fork: "survived" if it is true, "timeout" after ``seconds`` of processor time; or "killed"."""
    child = os.fork()
    if not child:
        status = 1
        try:
            resource.setrlimit(resource.RLIMIT_CPU, (int(seconds) + 1, int(seconds) + 2))
            nothing = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nothing, 1)
            os.dup2(nothing, 2)
            status = 0 if work() else 1
        finally:
            os._exit(status)
    _, status = os.waitpid(child, 0)
    if os.WIFSIGNALED(status):
        return "timeout"
    return "killed" if os.WEXITSTATUS(status) else "survived"


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("modules", nargs="*", metavar="MODULE", help=", ".join(TESTS))
    options.add_argument("--survivors", action="store_true", help="show the changes that no test noticed")
    options.add_argument("--first-only", action="store_true", help="the sample of evidence alone")
    options.add_argument("--every", type=int, default=1, metavar="N", help="a sample: one of N mutants")
    options.add_argument("--seed", default="", help="of that sample")
    options.add_argument("--only", default="", metavar="NAMES", help="only these mutants, by comma")
    chosen = options.parse_args()
    for module in chosen.modules:
        if module not in TESTS:
            options.error(f"{module}: expected one of {', '.join(TESTS)}")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        shutil.copytree(ROOT / "conformance" / "bindmatrix", folder / "bindmatrix")
        shutil.copytree(ROOT / "expectations", folder / "bindmatrix" / "expectations")
        shutil.copytree(ROOT / "tests", folder / "tests")
        os.chdir(folder)
        run([*chosen.modules] or [*TESTS], chosen)
        os.chdir(ROOT)


def run(modules: list[str], chosen: argparse.Namespace) -> None:
    """Run the mutants of ``modules``, in a process that has imported nothing of the package."""
    import pytest

    os.environ.update(HYPOTHESIS_PROFILE="ci", BINDMATRIX_WEAKENED="300")

    def wanted(mutant: str) -> bool:
        return random.Random(chosen.seed + mutant).random() * chosen.every < 1 and mutant in (
            chosen.only or mutant
        ).split(",")

    changes = {module: write_mutants(Path.cwd(), module, wanted) for module in modules}
    wrong = mistyped(modules)
    sys.path.insert(0, str(Path.cwd()))
    replayed = evidence() if any(module.startswith("oracle/") for module in modules) else lambda: True
    gc.disable()
    gc.freeze()
    baselines: dict[tuple[str, ...], float] = {}
    for module in modules:
        mutated = importlib.import_module("bindmatrix." + module.removesuffix(".py").replace("/", "."))
        assert mutated.__file__ == str(Path("bindmatrix", module).absolute()), mutated.__file__
        words = ["-x", "-q", "--import-mode=importlib", "-p", "no:cacheprovider", "-p", "no:xdist", *TESTS[module]]

        def work(mutant: str = "", mutated: Any = mutated, words: list[str] = words) -> bool:
            if mutant:
                activate(mutated, mutant)
            return replayed() and (chosen.first_only or pytest.main(words) == 0)

        tests = tuple(words)
        if tests not in baselines:
            before = resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime
            if in_fork(work, 3600) != "survived":
                sys.exit(f"{module}: the tests fail without a change: {' '.join(words)}")
            baselines[tests] = resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime - before
            print(f"# {baselines[tests]:.1f} s of processor time without a change", file=sys.stderr, flush=True)
        seconds = baselines[tests]
        found, begun = Counter(), time.monotonic()
        for mutant, change in changes[module].items():
            end = "mistyped" if mutant in wrong[module] else in_fork(lambda mutant=mutant: work(mutant), 10 * seconds)
            found[end] += 1
            if chosen.survivors and end == "survived":
                print(f"{mutant}\n{change}\n", flush=True)
        minutes = (time.monotonic() - begun) / 60
        if found:
            share = 1 - found["survived"] / found.total()
            print(f"{module}: {share:.1%} of {found.total()} noticed; {dict(found)}; {minutes:.0f} minutes", flush=True)


if __name__ == "__main__":
    main()
