"""``bindmatrix collect``: the last job of a CI run, which judges what many machines observed."""

from __future__ import annotations

import argparse
import json
import shutil
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from bindmatrix.cli import inputs, scenario_options
from bindmatrix.cli.main import DIVERGES, OK, WRONG
from bindmatrix.errors import Place, Problem, file_problems
from bindmatrix.judge import evidence_folder
from bindmatrix.judge.evidence_sample import digest
from bindmatrix.judge.host_table import HostTable
from bindmatrix.judge.matrix_view import matrix_view
from bindmatrix.observe import recordings
from bindmatrix.observe.recordings import Observation
from bindmatrix.quoting import terminal as plain
from bindmatrix.report import junit, markdown
from bindmatrix.report.html import page
from bindmatrix.report.issues import issues
from bindmatrix.rules import provenance

#: the workflow's prefix of a machine's name, which distinguishes its artefacts from others
PREFIX = "observations-"
#: the set of recordings that this verb proposes
SET = "ci.jsonl.gz"
#: the ``why`` of a host of which nothing was recorded before
_WHY = "a machine of a CI run"
#: GitHub shows a mebibyte of a summary; the rest is for other output of the job
_MOST_SUMMARY = 900_000

_EPILOG = f"""\
RESULTS is a folder with a folder for each machine, as a workflow downloads its artefacts: observation files, and
perhaps a facts.json.  The name of a machine is that of its folder, without '{PREFIX}'.  A machine that cannot be read
is reported, and the others are judged.  FOLDER then holds

  site/index.html     the matrix as one page
  summary.md          for the summary page of the job
  junit.xml           a suite for each machine
  verdicts.json       the summaries, by docs/schema/verdicts.schema.json
  issues/KEY.json     a request that opens an issue, for each divergence; KEY identifies the divergence
  evidence/           with --evidence: new recordings and hosts.json, in the form in which they are kept
  evidence.md         with --evidence: what they are

Exit status: 0 all conform, 1 something diverges, 2 a machine is missing or could not be read to its end.
"""


def configure(parser: argparse.ArgumentParser) -> None:
    """The arguments of the verb."""
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.epilog = _EPILOG
    parser.add_argument("results", nargs="+", metavar="RESULTS", help="folders of the results of many machines")
    parser.add_argument("--out", required=True, type=scenario_options.path, metavar="FOLDER", help="where to write")
    parser.add_argument("--expected", default="", metavar="NAMES", help="the expected machines, separated by blanks")
    parser.add_argument(
        "--evidence",
        type=scenario_options.path,
        metavar="FOLDER",
        help="the existing recordings; new ones are proposed",
    )
    parser.add_argument("--json", action="store_true", help="print the summaries too")
    parser.add_argument("--run", default="", metavar="URL", help="the address of the run, for the issues")


def run(arguments: argparse.Namespace) -> int:
    """Read, judge, write everything."""
    problems: list[str] = []
    found = list(_machines(arguments.results, problems))
    hosts: dict[str, HostTable] = {}
    with inputs.no_collecting():
        for source, columns in zip(found, inputs.read(found), strict=True):
            name = source.name.removeprefix(PREFIX)
            if isinstance(columns, str):
                problems.append(f"{plain(name)}: {columns}")
                continue
            columns.name = f"{name} ({columns.name})".replace(",", ";")
            hosts[name] = columns
            wrong = columns.problems or ([] if columns.summary.total else ["holds no observations"])
            problems += [f"{plain(name)}: {problem}" for problem in wrong]
        problems += [f"{plain(name)}: no observations came" for name in arguments.expected.split() if name not in hosts]
        if not found and not problems:
            problems.append(
                f"{plain(', '.join(arguments.results))}: no machine came; expected a folder with a folder for each"
            )
        with file_problems(arguments.out, "written"):
            _write(arguments, hosts, problems)
    for problem in problems:
        print(problem, file=sys.stderr)
    if arguments.json:
        sys.stdout.write(_json(hosts))
    if problems or not any(host.summary.total for host in hosts.values()):
        return WRONG
    return OK if all(host.summary.conforms for host in hosts.values()) else DIVERGES


def _machines(words: Sequence[str], problems: list[str]) -> Iterator[inputs.Source]:
    """The folders inside those of ``words``; others are reported in ``problems``."""
    for word in words:
        if not Path(word).is_dir():
            raise Problem(Place(word), "expected a folder with a folder for each machine")
        with file_problems(word, "read"):
            folders = sorted(path for path in Path(word).iterdir() if path.is_dir())
        for folder in folders:
            name = folder.name.removeprefix(PREFIX)
            try:
                found = inputs.find([str(folder)])
            except Problem as problem:
                problems.append(f"{plain(name)}: {problem}")
                continue
            except OSError as error:  # a folder that may not be entered
                problems.append(f"{plain(name)}: {plain(str(error.filename))}: {error.strerror}")
                continue
            # a folder inside would carry a name that the machine chose itself
            if [source.name for source in found] == [folder.name]:
                yield found[0]
            else:
                problems.append(f"{plain(name)}: a folder without observation files")


def _write(arguments: argparse.Namespace, hosts: Mapping[str, HostTable], problems: Sequence[str]) -> None:
    out: Path = arguments.out
    summaries = {host.name: host.summary for host in hosts.values()}
    _text(out / "summary.md", markdown.overview(summaries, problems, _MOST_SUMMARY))
    _text(out / "junit.xml", junit.render(summaries))
    _text(out / "verdicts.json", _json(hosts))
    if hosts:
        _text(out / "site" / "index.html", page.render(matrix_view(list(hosts.values()))))
    for name, host in hosts.items():
        for issue in issues(name, host.summary, arguments.run):
            _text(out / "issues" / f"{issue.key}.json", json.dumps(issue.as_dict(), indent=1) + "\n")
    if arguments.evidence:
        _propose(arguments.evidence, out, hosts)


def _json(hosts: Mapping[str, HostTable]) -> str:
    return json.dumps([host.summary.as_dict() for host in hosts.values()], indent=1) + "\n"


def _text(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")


# -- new evidence


def _propose(evidence: Path, out: Path, hosts: Mapping[str, HostTable]) -> None:
    """Write the new recordings of each kernel, with machines of the same release together, and what they are."""
    machines: dict[str, dict[str, HostTable]] = {}
    for name, host in hosts.items():
        machines.setdefault(evidence_folder.name_of(host, evidence), {})[name] = host
    proposed = out / "evidence"
    rows = []
    for folder, together in sorted(machines.items()):
        before = evidence_folder.scenarios(evidence / folder)
        kept: dict[str, Observation] = {}
        for host in together.values():
            for one in digest(host):
                kept.setdefault(one.scenario, one)
        new = [one for text, one in sorted(kept.items()) if text not in before]
        if not new:
            continue
        if (evidence / folder / SET).exists():
            evidence_folder.write_set(proposed / folder / SET, recordings.read(evidence / folder / SET))
        evidence_folder.write_set(proposed / folder / SET, new)
        rows.append((folder, len(new), ", ".join(together)))
    if not rows:
        return
    if (evidence / provenance.NAME).exists():
        shutil.copyfile(evidence / provenance.NAME, proposed / provenance.NAME)
    for folder, _, _ in rows:
        evidence_folder.describe(proposed, next(iter(machines[folder].values())), folder, _WHY)
    lines = [f"| {folder} | {count:,} | {markdown.escape(names)} |" for folder, count, names in rows]
    _text(out / "evidence.md", "\n".join(["| host | new scenarios | observed on |", "|---|---:|---|", *lines, ""]))
