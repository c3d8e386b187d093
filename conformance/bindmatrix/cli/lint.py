"""``bindmatrix lint``: checks of the expectation files, against themselves and against the recorded evidence."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from bindmatrix.cli.cores import on_every_core
from bindmatrix.cli.main import OK, WRONG
from bindmatrix.errors import Place, Problem, nearest
from bindmatrix.lint import checks, mutation_score, tables
from bindmatrix.lint.checks import Finding
from bindmatrix.lint.checks_evidence import unmeasured
from bindmatrix.lint.context import Subject, quiet_collector
from bindmatrix.lint.form import formed
from bindmatrix.lint.mutation_score import Score, Survivor
from bindmatrix.lint.replay import Recorded, SetReplay
from bindmatrix.lint.suggest import POOL
from bindmatrix.report.words import counted
from bindmatrix.rules import catalog, confidence

_EPILOG = """\
Exit status: 0 when nothing is wrong, 2 when something is (with --strict also when a mutant survives).
With --json: {"files": [...], "tables": {"files", "problems"}, "problems": COUNT}, where "tables" are the data files
beside the expectation files; a file has "file", "os", "rules", "recorded" (observations),
"problems" (each with "check", "file", "line", "column", "message"), "unmeasured" (rules), "decides"
({RULE: {HOST: {SET: COUNT}}}) and with --mutate "mutation" ("mutants", "killed", "survivors").

checks:
"""


def configure(parser: argparse.ArgumentParser) -> None:
    """The arguments of the verb."""
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.epilog = _EPILOG + "\n".join(f"  {check.name:<12} {check.description}" for check in checks.CHECKS)
    parser.add_argument(
        "files",
        nargs="*",
        metavar="FILE",
        help="expectation files; without any, those of every system, and the tables beside them: runtimes, claims,"
        " misuse, automatic ports. The evidence and the divergences are those in the "
        "folders 'evidence' and 'divergences' beside the file, else the ones that come with bindmatrix",
    )
    parser.add_argument(
        "--os", action="append", default=[], metavar="OS", help="the file of that system; may be repeated"
    )
    parser.add_argument(
        "--mutate",
        action="store_true",
        help="drop each rule, change each outcome, drop each alternative, count how many of these mutants the recorded "
        "outcomes notice, and print the others",
    )
    parser.add_argument(
        "--propose",
        action="store_true",
        help="--mutate, and for each of the others the shortest scenario that would notice it: record that next",
    )
    parser.add_argument(
        "--strict", action="store_true", help="a surviving mutant of a rule that is observed is an error"
    )
    parser.add_argument(
        "--decides", action="store_true", help="print how many recorded outcomes each rule decides, and its confidence"
    )
    parser.add_argument(
        "--fix",
        action="store_true",
        help="format the files, and the divergences beside them, before checking: order of keys and blocks, named "
        "conditions and changes, evidence at the end, lines of 120 characters",
    )
    parser.add_argument(
        "--no-cache",
        action="store_true",
        help="verify everything again and ignore the cache folder (BINDMATRIX_CACHE)",
    )
    parser.add_argument("--json", action="store_true", help="print everything as one JSON object")
    parser.add_argument(
        "-v", "--verbose", action="store_true", help="also list the rules that decide no recorded outcome"
    )


def run(arguments: argparse.Namespace) -> int:
    """Check every file; all problems are printed, not only the first."""
    status = _Status(enabled=not arguments.json)
    paths, others = _paths(arguments.files, arguments.os)
    if arguments.fix:
        for path in paths:
            _fix(path)
    wrong = tables.problems(others)
    if not arguments.json:
        for problem in wrong:
            print(problem, file=sys.stderr)
    results = []
    for subject, findings in _checked(paths, status, cached=not arguments.no_cache):
        score = None
        if (arguments.mutate or arguments.propose) and subject.expectations is not None:
            with quiet_collector():
                score = mutation_score.score(subject, status.mutating, propose=POOL if arguments.propose else 0)
        status.clear()
        results.append(_Result(subject, findings, score))
        if not arguments.json:
            _show(results[-1], arguments)
    found = len(wrong) + sum(len(result.findings) for result in results)
    weak = sum(len(result.score.weak) for result in results if result.score) if arguments.strict else 0
    if arguments.json:
        data = {
            "files": [result.as_dict() for result in results],
            "tables": {"files": [str(path) for path in others], "problems": [_as_dict(problem) for problem in wrong]},
            "problems": found,
        }
        print(json.dumps(data, indent=1))
    else:
        _summary(results, others, found)
    return WRONG if found or weak else OK


def _checked(paths: Sequence[Path], status: _Status, *, cached: bool) -> Iterator[tuple[Subject, list[Finding]]]:
    """The files and their problems; several files are checked in parallel."""
    subjects = {path: Subject(path, status.replaying, cached=cached) for path in paths}
    if len(subjects) < 2:
        for subject in subjects.values():
            yield subject, _findings(subject)
        return
    longest = sorted(paths, key=lambda path: _recorded_bytes(subjects[path]), reverse=True)
    found: dict[Path, list[Finding]] = {}
    for path, (findings, replays) in zip(longest, on_every_core(partial(_check, cached=cached), longest), strict=True):
        subjects[path].replays = replays
        found[path] = findings
        status.checked(len(found), len(paths))
    for path, subject in subjects.items():
        yield subject, found[path]


def _check(path: Path, *, cached: bool) -> tuple[list[Finding], list[SetReplay]]:
    """The problems of a file, and its replay; runs in another process."""
    subject = Subject(path, cached=cached)
    return _findings(subject), subject.replays if subject.expectations else []


def _findings(subject: Subject) -> list[Finding]:
    with quiet_collector():
        return checks.run(subject)


def _recorded_bytes(subject: Subject) -> int:
    return sum(one.path.stat().st_size for one in subject.sets) if subject.expectations else 0


def _paths(files: Sequence[str], systems: Sequence[str]) -> tuple[list[Path], list[Path]]:
    """The expectation files to check, and the other data files; raises :class:`Problem` for a system that has none."""
    known = catalog.names()
    for system in systems:
        if system not in known:
            there = ", ".join(known)
            raise Problem(Place("--os"), f"no expectations for {system!r}{nearest(system, known)}; there are {there}")
    named = systems if files or systems else known
    asked = [*map(Path, files), *(_short(catalog.folder() / f"{system}.yaml") for system in named)]
    paths = list(dict.fromkeys(asked))
    others = [path for path in paths if tables.is_table(path)] if files or systems else map(_short, tables.tables())
    return [path for path in paths if not tables.is_table(path)], list(others)


def _short(path: Path) -> Path:
    """``path`` relative to the current folder, if it is inside."""
    here = Path.cwd()
    return path.relative_to(here) if path.is_relative_to(here) else path


class _Result:
    """The result for one file."""

    def __init__(self, subject: Subject, findings: list[Finding], score: Score | None) -> None:
        self.subject = subject
        self.findings = findings
        self.score = score

    @property
    def recorded(self) -> int:
        """How many recorded observations were replayed."""
        return sum(one.observations for one in self.subject.replays) if self.subject.expectations else 0

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        subject = self.subject
        data: dict[str, Any] = {
            "file": str(subject.path),
            "os": subject.expectations.os if subject.expectations else "",
            "rules": len(subject.rules) if subject.expectations else 0,
            "recorded": self.recorded,
            "problems": [{"check": check, **_as_dict(problem)} for check, problem in self.findings],
        }
        if subject.expectations is not None:
            data["unmeasured"] = [rule.id for rule in unmeasured(subject)]
            data["decides"] = {rule.id: subject.decided.get(rule.id, {}) for rule in subject.rules}
        if self.score is not None:
            data["mutation"] = self.score.as_dict()
        return data


def _as_dict(problem: Problem) -> dict[str, Any]:
    place = problem.place
    return {"file": place.name, "line": place.line, "column": place.column, "message": problem.message}


def _show(result: _Result, arguments: argparse.Namespace) -> None:
    subject = result.subject
    for check, problem in result.findings:
        shown = Problem(problem.place, f"{problem.message} [{check}]", source=problem.source, width=problem.width)
        print(shown, file=sys.stderr)
    if subject.expectations is None:
        return
    if arguments.decides:
        _table(subject)
    if arguments.verbose:
        for rule in unmeasured(subject):
            kinds = ", ".join(sorted({one.kind for one in rule.evidence}))
            print(f"{rule.place}: {rule.id} decides no recorded outcome; it rests on: {kinds}")
    if result.score is not None:
        _mutation(subject, result.score)


def _table(subject: Subject) -> None:
    """Rules by how many recorded outcomes they decide."""
    newest = subject.loaded.covers[1]
    model = subject.loaded.at(newest)
    print(f"{subject.loaded.title}: rule, recorded outcomes that it decides, in how many sets, confidence for {newest}")
    rows = []
    for rule in subject.rules:
        counts = [count for sets in subject.decided.get(rule.id, {}).values() for count in sets.values()]
        in_force = rule.span.holds(newest)
        word = confidence.of_rule(rule, model).text if in_force else f"({rule.span})"
        rows.append((rule.id, sum(counts), len(counts), word))
    width = max(len(row[0]) for row in rows)
    for identity, total, sets, word in rows:
        print(f"  {identity:<{width}} {total:>8} {sets:>4}  {word}")


def _mutation(subject: Subject, score: Score) -> None:
    share = 100 * score.killed / score.mutants if score.mutants else 100
    print(
        f"{subject.path.name}: {score.killed} of {score.mutants} mutants noticed by recorded outcomes ({share:.0f} %)"
    )
    _survivors("not noticed, though the rule is observed:", score.weak)
    _survivors(
        "not noticed, the rule rests on something else than recorded outcomes:",
        [one for one in score.survivors if not one.weak],
    )


def _survivors(title: str, survivors: Iterable[Survivor]) -> None:
    found = list(survivors)
    if found:
        print(f"  {title}")
    for one in found:
        rule = one.mutant.original
        print(f"    {rule.place}: {rule.id} in {one.mutant.section}: {one.mutant.change}")
        if one.proposal:
            print(f"        {one.proposal}")


def _summary(results: Sequence[_Result], others: Sequence[Path], found: int) -> None:
    rules = sum(len(result.subject.rules) for result in results if result.subject.expectations)
    hosts = {one.host for result in results if result.subject.expectations for one in result.subject.sets}
    recorded = sum(result.recorded for result in results)
    said = counted(found, "problem") if found else "no problems"
    files = counted(len(results), "file")
    beside = f", {counted(len(others), 'other data file')}" if others else ""
    print(f"{files}, {rules} rules, {recorded} recorded observations of {counted(len(hosts), 'host')}{beside}: {said}")


def _fix(path: Path) -> None:
    """Format the file and its divergences; the checks report a file that cannot be read."""
    subject = Subject(path)
    if subject.problems:
        return
    try:
        changed = [one for one in formed(subject) if one.form != one.text]
    except ValueError as error:
        raise Problem(Place(str(path)), f"cannot be put into the form, nothing was changed: {error}") from error
    for one in changed:
        one.path.write_text(one.form, encoding="utf-8")
        print(f"wrote {one.path}", file=sys.stderr)


class _Status:
    """A status line on a terminal."""

    def __init__(self, *, enabled: bool) -> None:
        self._enabled = enabled and sys.stderr.isatty()

    def replaying(self, recorded: Recorded) -> None:
        """Show which set is being replayed."""
        self._show(f"replaying {recorded.reference}")

    def checked(self, done: int, total: int) -> None:
        """Show how many files are checked."""
        self._show(f"checked {done} of {total} files")

    def mutating(self, os: str, done: int, total: int) -> None:
        """Show which mutant is being tried."""
        self._show(f"{os}: mutant {done + 1} of {total}")

    def clear(self) -> None:
        """Remove the line."""
        self._show("")

    def _show(self, text: str) -> None:
        if self._enabled:
            print(f"\r\033[K{text}", end="", file=sys.stderr, flush=True)
