"""``bindmatrix run``: the main job."""

from __future__ import annotations

import argparse
import json
import sys
import time
from pathlib import Path

from conformance.cli import planned
from conformance.cli.main import DIVERGES, INTERRUPTED, OK, WRONG
from conformance.errors import Place, Problem
from conformance.execute.local import LocalHost
from conformance.judge.summary import Summary
from conformance.observe.results import Results
from conformance.report import markdown, terminal
from conformance.report.progress import Progress
from conformance.session import Session


def configure(parser: argparse.ArgumentParser) -> None:
    """The arguments of the verb."""
    planned.configure(parser)
    parser.add_argument("--results", type=Path, metavar="FOLDER", help="where to write (default results/HOST-TIME)")
    parser.add_argument("--resume", type=Path, metavar="FOLDER", help="go on with a run that broke off")
    parser.add_argument("--workers", type=planned.whole, metavar="N", help="processes (default: one a core)")
    parser.add_argument("--json", action="store_true", help="print the summary as JSON")


def run(arguments: argparse.Namespace) -> int:
    """Run, judge, write the results folder and print the summary."""
    if arguments.resume and arguments.results:
        raise Problem(Place("--resume"), "names the folder itself; leave out --results")
    plan = planned.plan(arguments)
    with LocalHost(arguments.workers) as host:
        facts = host.facts
        scenarios = plan.scenarios(facts)
        folder = arguments.resume or arguments.results or _folder(facts)
        results = Results(folder, facts, resume=arguments.resume is not None)
        try:
            with Progress(len(scenarios), enabled=not arguments.json) as progress:
                session = Session(host, results, progress.update)
                notes = [f"not run: {feature}: {reason}" for feature, reason in plan.skipped.items()]
                summary = session.run(scenarios, notes)
        finally:
            results.close()
    if session.interrupted:
        summary.notes.append(f"interrupted; go on with: bindmatrix run --resume {folder}{_again(arguments)}")
    _write(folder, summary)
    if arguments.json:
        print(json.dumps(summary.as_dict(), indent=1))
    else:
        terminal.show(summary)
        print(f"results: {folder}")
    if session.interrupted:
        return INTERRUPTED
    if not summary.total:
        return WRONG
    return OK if summary.conforms else DIVERGES


def _write(folder: Path, summary: Summary) -> None:
    try:
        (folder / "verdicts.json").write_text(json.dumps(summary.as_dict(), indent=1) + "\n", encoding="utf-8")
        (folder / "summary.md").write_text(markdown.render(summary), encoding="utf-8")
    except OSError as error:
        print(f"{folder}: the summary cannot be written: {error.strerror}", file=sys.stderr)


def _folder(facts: dict[str, object]) -> Path:
    host = f"{facts.get('os')}-{facts.get('release')}".replace("/", "-")
    return Path("results") / f"{host}-{time.strftime('%Y%m%dT%H%M%SZ', time.gmtime())}"


def _again(arguments: argparse.Namespace) -> str:
    """The arguments that make the same scenarios once more."""
    words = ["--quick"] if arguments.quick else []
    if arguments.examples is not None:
        words.append(f"--examples {arguments.examples}")
    if arguments.deliveries is not None:
        words.append(f"--deliveries {arguments.deliveries}")
    if arguments.seed:
        words.append(f"--seed {arguments.seed}")
    if arguments.shard != (1, 1):
        words.append(f"--shard {arguments.shard[0]}/{arguments.shard[1]}")
    return "".join(" " + word for word in words)
