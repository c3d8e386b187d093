"""``bindmatrix run``: the main job."""

from __future__ import annotations

import argparse
import json
import os
import shlex
import sys
import time
from collections.abc import Mapping
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

from bindmatrix.cli import host_options, scenario_options
from bindmatrix.cli.main import DIVERGES, INTERRUPTED, OK, WRONG
from bindmatrix.errors import Place, Problem, file_problems
from bindmatrix.execute.hosts import open_host
from bindmatrix.observe.recordings import VERDICTS
from bindmatrix.observe.run_folder import NAME, give_back
from bindmatrix.quoting import terminal as plain
from bindmatrix.report import markdown, terminal
from bindmatrix.report.progress import Progress
from bindmatrix.run.fleet import HostRun, run_on, run_on_all

#: the form of what ``--json`` prints for several hosts
_FORMAT = "bindmatrix-hosts/1"
#: bytes of a page about several hosts
_MOST_SUMMARY = 900_000


def configure(parser: argparse.ArgumentParser) -> None:
    """The arguments of the verb."""
    scenario_options.configure(parser)
    host_options.configure(parser, several=True)
    parser.add_argument("--split", action="store_true", help="hosts of one kernel share the scenarios")
    parser.add_argument(
        "--results",
        type=scenario_options.path,
        metavar="FOLDER",
        help="where to write (default results/HOST-TIME); a folder for each host",
    )
    parser.add_argument(
        "--resume", type=scenario_options.path, metavar="FOLDER", help="go on with a run that broke off"
    )
    parser.add_argument(
        "--workers",
        type=scenario_options.workers,
        metavar="N",
        help="processes of each host (default: one a core here, one elsewhere)",
    )
    parser.add_argument("--json", action="store_true", help="print the summary as JSON")
    parser.add_argument("--verbose", action="store_true", help="print the rules used too")


def _command() -> str:
    """The command that started this run; ``start.py`` names itself."""
    return os.environ.get("BINDMATRIX_COMMAND") or "bindmatrix"


def run(arguments: argparse.Namespace) -> int:
    """Run, judge, write the results folders and print the summaries."""
    if arguments.resume and arguments.results:
        raise Problem(Place("--resume"), "names the folder itself; leave out --results")
    specs = host_options.chosen(arguments)
    if arguments.split and len(specs) == 1:
        raise Problem(Place("--split"), "shares the scenarios between hosts; name two or more with --on")
    folder = arguments.resume or arguments.results
    with Progress(enabled=not arguments.json) as progress:
        if len(specs) == 1:
            with open_host(specs[0]) as host:
                folders = partial(_folder, folder, resume=arguments.resume is not None)
                outcomes = [run_on(host, "scenarios", scenario_options.plan(arguments), folders, progress.add)]
            folder = outcomes[0].folder
        else:
            folder = folder or _new_folder("hosts")
            folders = partial(_folder_below, folder, resume=arguments.resume is not None)
            outcomes = run_on_all(specs, scenario_options.plan(arguments), folders, progress.add, split=arguments.split)
    written = True
    for outcome in outcomes:
        if outcome.summary is not None and not (outcome.summary.total or outcome.interrupted or outcome.lost):
            print(
                f"{plain(str(outcome.folder))}: there was no scenario to run: nothing is in this shard", file=sys.stderr
            )
        if outcome.summary is not None and arguments.on:
            outcome.summary.recording = str(outcome.folder)
        written = (
            _finish(outcome, f"{_command()} run --resume {shlex.quote(str(folder))}{_again(arguments)}") and written
        )
    if len(specs) == 1:
        _show(outcomes[0], as_json=arguments.json, rules=arguments.verbose)
    else:
        written = _show_all(outcomes, folder, as_json=arguments.json) and written
    status = _status(outcomes)
    return status if written or status == INTERRUPTED else WRONG


def _finish(outcome: HostRun, again: str) -> bool:
    """Write the reports beside the observations; return whether all were written."""
    if outcome.summary is None or outcome.folder is None:
        return True
    if outcome.interrupted or outcome.lost:
        outcome.summary.notes.append(f"{'interrupted' if outcome.interrupted else 'not complete'}; go on with: {again}")
    if outcome.damage:
        print(outcome.damage, file=sys.stderr)
    verdicts = _write(outcome.folder / VERDICTS, json.dumps(outcome.summary.as_dict(), indent=1) + "\n")
    written = _write(outcome.folder / "summary.md", markdown.render(outcome.summary)) and verdicts
    give_back(outcome.folder, (NAME, VERDICTS, "summary.md"))
    return written


def _show(outcome: HostRun, *, as_json: bool, rules: bool) -> None:
    summary = outcome.summary
    assert summary is not None
    if as_json:
        print(json.dumps(summary.as_dict(), indent=1))
        return
    terminal.show(summary, rules=rules)
    print(f"results: {outcome.folder}")
    if summary.total and not outcome.interrupted and not outcome.lost:
        print("next:")
        print("\n".join(terminal.next_steps(shlex.quote(str(outcome.folder)), _command())))


def _show_all(outcomes: list[HostRun], folder: Path, *, as_json: bool) -> bool:
    """Show and write the summary of all hosts; return whether it was written."""
    written = True
    summaries = {outcome.name: outcome.summary for outcome in outcomes if outcome.summary is not None}
    problems = {outcome.name: outcome.problem for outcome in outcomes if outcome.summary is None}
    if summaries:
        told = [f"{name} could not run: {problem}" for name, problem in problems.items()]
        written = _write(folder / "summary.md", markdown.overview(summaries, told, _MOST_SUMMARY))
    if as_json:
        hosts = [outcome.as_dict() for outcome in outcomes]
        print(json.dumps({"format": _FORMAT, "hosts": hosts}, indent=1))
        return written
    for name, summary in summaries.items():
        terminal.show(summary, name=name)
        print()
    terminal.show_hosts(summaries, problems)
    if summaries:
        print(f"results: {folder}")
    return written


def _status(outcomes: list[HostRun]) -> int:
    """2 if a host did not finish: an incomplete run must not look complete."""
    if any(outcome.interrupted for outcome in outcomes):
        return INTERRUPTED
    if any(
        outcome.summary is None or outcome.lost or outcome.damage or not outcome.summary.total for outcome in outcomes
    ):
        return WRONG
    return OK if all(outcome.summary and outcome.summary.conforms for outcome in outcomes) else DIVERGES


def _write(path: Path, text: str) -> bool:
    """Return whether it was written; the summary is shown in any case."""
    try:
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        print(f"{plain(str(path))}: cannot be written: {error.strerror}", file=sys.stderr)
        return False
    return True


def _folder(given: Path | None, _name: str, facts: Mapping[str, Any], *, resume: bool) -> tuple[Path, bool]:
    host = host_options.folder_name(f"{facts.get('os')}-{facts.get('release')}")
    return given or _new_folder(host), resume


def _new_folder(name: str) -> Path:
    """A new folder, also for a second run within the same second."""
    base = f"{name}-{time.strftime('%Y%m%dT%H%M%SZ', time.gmtime())}"
    for count in range(1, 1_000):
        folder = Path("results") / (base if count == 1 else f"{base}-{count}")
        with file_problems(folder, "written", "; name another folder with --results"), suppress(FileExistsError):
            folder.mkdir(parents=True)
            return folder
    raise Problem(Place("results"), "holds a thousand runs of this second; name another folder with --results")


def _folder_below(folder: Path, name: str, _facts: Mapping[str, Any], *, resume: bool) -> tuple[Path, bool]:
    below = folder / host_options.folder_name(name)
    return below, resume and (below / NAME).exists()


def _again(arguments: argparse.Namespace) -> str:
    """The arguments that generate the same scenarios again."""
    words = [f"--on {shlex.quote(word)}" for word in arguments.on or ()]
    words += ["--executor c"] if arguments.executor == "c" else []
    words += [f"--hosts {shlex.quote(str(arguments.hosts))}"] if arguments.hosts else []
    words += ["--split"] if arguments.split else []
    words += ["--quick"] if arguments.quick else []
    if arguments.examples is not None:
        words.append(f"--examples {arguments.examples}")
    if arguments.deliveries is not None:
        words.append(f"--deliveries {arguments.deliveries}")
    if arguments.seed:
        words.append(f"--seed {arguments.seed}")
    if arguments.shard != (1, 1):
        words.append(f"--shard {arguments.shard[0]}/{arguments.shard[1]}")
    return "".join(" " + word for word in words)
