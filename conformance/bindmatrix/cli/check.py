"""``bindmatrix check``: checks what a library relies on, on every system that it supports."""

from __future__ import annotations

import argparse
import io
import json
import sys
from pathlib import Path

from bindmatrix.answers import needs, needs_file
from bindmatrix.answers.needs_file import NeedsFile
from bindmatrix.cli.main import DIVERGES, OK, WRONG
from bindmatrix.errors import Place, Problem, file_problems
from bindmatrix.execute.hosts import this_host
from bindmatrix.observe import recordings
from bindmatrix.report import needs_files, needs_text, words
from bindmatrix.report.console import show
from bindmatrix.report.progress import Progress
from bindmatrix.rules import confidence, provenance
from bindmatrix.run.session import REPEATS

#: a divergence that was not repeated has no verdict
_REPEATED = (needs.NeedStatus.NOT_MET, needs.NeedStatus.UNKNOWN)

_EPILOG = f"""\
Each line of FILE is a need: a scenario, '=>', and what the last step must return.

  # a second copy is told that the port is taken
  a=tcp4 a.bind=0.0.0.0 a.listen b=tcp4 b.bind=0.0.0.0 => EADDRINUSE

  # two workers share what comes
  on linux: ... deliver=127.0.0.1 => spread:a,b

  a=tcp4 a.reuseaddr=1 a.bind=0.0.0.0 a.listen b=tcp4 b.reuseaddr=1 b.bind=127.0.0.1 => refused except macos@15: ok

Every step before the last must return ok; a delivery before the last step may have any outcome.  The needed outcome is
ok, the name of an error, 'refused' (any error), or several joined by 'or' ('EADDRINUSE or EACCES').  For a delivery it
is who receives: a socket, spread:a,b, every:a,b (a copy each), none, refused, timeout.

  systems: linux, macos@15, windows     above the first need: the systems to judge
  on SYSTEM, ...: NEED                  only these systems
  ... except SYSTEM, ...: OUTCOME; SYSTEM: OUTCOME
                                        something else is needed there
  # ...                                 directly above a need: its title; anywhere else: a comment

SYSTEM is a system, or a release of it: macos@15 is 15.5 too.  In 'systems:' and --os a system without a release means
the newest release that is described; SYSTEM@all means every release, and the worst result counts.  Without --os and
'systems:' the systems are {", ".join(needs_file.DEFAULT_SYSTEMS)}.  --here and --recorded judge observations, and the
rules only if --os is given too; --here runs what is not met {REPEATS} times more.  examples/needs.txt in the repository
is a complete file.

A need is 'met', 'not met', 'unknown' (the rules do not know, or the host did not run it) or '-' (not asked of that
system).  Exit status 1: a need is not met; with --strict also when one is unknown.  Exit status 2: FILE or a recording
cannot be read; recordings that can be read are still judged.

--json prints one object: needs (line, title, scenario, needed, systems: for each system status, release, method,
reason, rule, and step, call, outcome, needed of the step that decides) and counts.  How an outcome is known:

"""


def configure(parser: argparse.ArgumentParser) -> None:
    """The arguments of the verb."""
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.epilog = _EPILOG + words.definitions(confidence.WORDS)
    parser.add_argument("file", type=Path, metavar="FILE", help="the needs, see below")
    parser.add_argument(
        "--os", action="append", default=[], metavar="SYSTEM", help="judge by the rules of this system (repeatable)"
    )
    parser.add_argument("--here", action="store_true", help="run the scenarios on this kernel and judge the outcomes")
    parser.add_argument(
        "--recorded", nargs="+", default=[], metavar="FOLDER|FILE", help="judge these recordings of other hosts"
    )
    parser.add_argument("--strict", action="store_true", help="fail when a need is unknown")
    parser.add_argument("--markdown", type=Path, metavar="FILE", help="write the table as Markdown too")
    parser.add_argument("--junit", type=Path, metavar="FILE", help="write it as JUnit XML too")
    parser.add_argument("--scenarios", action="store_true", help="print only the scenarios, to run elsewhere")
    parser.add_argument("--json", action="store_true", help="print one object, see below")


def run(arguments: argparse.Namespace) -> int:
    """Print and write the table."""
    file = needs_file.read(arguments.file)
    if arguments.scenarios:
        for text in dict.fromkeys(need.scenario.text for need in file.needs):
            print(text)
        return OK
    columns, problems = _columns(file, arguments)
    for problem in problems:
        print(problem, file=sys.stderr)
    if not columns:
        return WRONG
    table = needs.table(file, columns)
    _write(arguments.markdown, needs_files.as_markdown(table, strict=arguments.strict))
    _write(arguments.junit, needs_files.as_junit(table, strict=arguments.strict))
    if arguments.json:
        print(json.dumps(table.as_dict(), indent=1))
    else:
        show(needs_text.lines(table))
    if problems:
        return WRONG
    return DIVERGES if table.fails(strict=arguments.strict) else OK


def _write(path: Path | None, text: str) -> None:
    if path is not None:
        with file_problems(path, "written"):
            path.write_text(text, encoding="utf-8")


def _columns(file: NeedsFile, arguments: argparse.Namespace) -> tuple[list[needs.NeedsColumn], list[Problem]]:
    """The systems and recordings to judge the needs on, and the errors of recordings."""
    systems = needs_file.systems(arguments.os, Place("--os"))
    if not (systems or arguments.here or arguments.recorded):
        systems = file.systems or needs_file.systems(needs_file.DEFAULT_SYSTEMS, Place("--os"))
    columns: list[needs.NeedsColumn] = [needs.ByRules(one) for one in systems]
    problems: list[Problem] = []
    if arguments.here:
        with Progress(enabled=not arguments.json) as progress:
            columns.append(_here(file, progress))
    labels: dict[str, int] = {}
    for name in arguments.recorded:
        try:
            recording = recordings.read(name)
            column = _recorded(recording, recordings.named(name))
            number = labels[column.label] = labels.get(column.label, 0) + 1
            if number > 1:
                column.label += f" #{number}"
            columns.append(column)
        except Problem as problem:
            problems.append(problem)
            continue
        if recording.problem is not None:
            problems.append(recording.problem)
    return columns, problems


def _here(file: NeedsFile, progress: Progress) -> needs.ByObservation:
    """The outcomes of this kernel; an unmet need is run again, as ``run`` repeats scenarios that diverge."""
    texts = list(dict.fromkeys(need.scenario.text for need in file.needs))
    with this_host(workers=1) as host:
        facts = host.facts
        release = facts.get("release", "")
        lines: list[bytes] = []

        def observe(name: str, scenarios: list[str]) -> needs.ByObservation:
            update, before = progress.add(name, len(scenarios)), len(lines)
            for batch in host.run(scenarios):
                lines.extend(batch)
                update(len(lines) - before)
            if host.lost:
                raise Problem(Place("--here"), f"the run was lost: {host.lost}")
            recording = recordings.Recording(io.BytesIO(b"".join(lines)), "<this kernel>")
            return needs.ByObservation(facts, recording, f"run on {release}", f"{facts.get('os')} {release} here")

        column = observe("needs", texts)
        again = [need.scenario.text for need in file.needs if column.judge(need).status in _REPEATED]
        return observe("repeats", list(dict.fromkeys(again)) * REPEATS) if again else column


def _recorded(recording: recordings.Recording, path: Path) -> needs.ByObservation:
    observations = list(recording)
    if not observations:
        raise recording.problem or Problem(Place(recording.name), "holds no observations")
    host = recording.host
    label = f"{host.get('os', '')} {host.get('release', '')}".strip()
    folder = path.resolve().parent
    row = provenance.read(folder.parent).get(folder.name)
    return needs.ByObservation(host, observations, row.text if row else f"recorded on {label}", label)
