"""``bindmatrix run``: the main job."""

from __future__ import annotations

import argparse
import json
import sys
import time
from pathlib import Path

from conformance.cli.main import DIVERGES, INTERRUPTED, OK, WRONG
from conformance.errors import Place, Problem
from conformance.execute.local import LocalHost
from conformance.judge.summary import Summary
from conformance.observe.results import Results
from conformance.report import markdown, terminal
from conformance.report.progress import Progress
from conformance.session import Plan, Session

_QUICK_EXAMPLES = 1000
_EXAMPLES = 20_000
_QUICK_DELIVERIES = 100
_DELIVERIES = 600


def configure(parser: argparse.ArgumentParser) -> None:
    """The arguments of the verb."""
    parser.add_argument("--quick", action="store_true", help="a sample that meets every value and every pair of values")
    parser.add_argument(
        "--examples",
        type=_whole,
        metavar="N",
        help=f"random sequences of 2 to 6 sockets, with a quarter as many of any calls (default {_EXAMPLES:,})",
    )
    parser.add_argument(
        "--deliveries",
        type=_whole,
        metavar="N",
        help=f"random scenarios of who receives, some of 32 sends each (default {_DELIVERIES})",
    )
    parser.add_argument("--seed", type=_whole, default=0, metavar="N", help="seed of what is random (default 0)")
    parser.add_argument("--shard", type=_shard, default=(1, 1), metavar="K/N", help="run the K-th of N parts")
    parser.add_argument("--results", type=Path, metavar="FOLDER", help="where to write (default results/HOST-TIME)")
    parser.add_argument("--resume", type=Path, metavar="FOLDER", help="go on with a run that broke off")
    parser.add_argument("--workers", type=_whole, metavar="N", help="processes (default: one a core)")
    parser.add_argument("--json", action="store_true", help="print the summary as JSON")


def run(arguments: argparse.Namespace) -> int:
    """Run, judge, write the results folder and print the summary."""
    if arguments.resume and arguments.results:
        raise Problem(Place("--resume"), "names the folder itself; leave out --results")
    examples = arguments.examples
    if examples is None:
        examples = _QUICK_EXAMPLES if arguments.quick else _EXAMPLES
    deliveries = arguments.deliveries
    if deliveries is None:
        deliveries = _QUICK_DELIVERIES if arguments.quick else _DELIVERIES
    profile = "quick" if arguments.quick else "full"
    plan = Plan(profile, examples, arguments.seed, arguments.shard, deliveries=deliveries)
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


def _whole(text: str) -> int:
    if not (text.isascii() and text.isdigit()):
        raise argparse.ArgumentTypeError(f"expected a whole number, got {text!r}")
    return int(text)


def _shard(text: str) -> tuple[int, int]:
    part, slash, parts = text.partition("/")
    if not (slash and part.isdigit() and parts.isdigit() and 1 <= int(part) <= int(parts)):
        raise argparse.ArgumentTypeError(f"expected K/N with K from 1 to N, got {text!r}")
    return int(part), int(parts)
