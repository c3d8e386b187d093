"""``bindmatrix judge``: verdicts for observations of any host."""

from __future__ import annotations

import argparse
import json
import sys
import time

from bindmatrix.cli import inputs
from bindmatrix.cli.main import DIVERGES, OK, WRONG
from bindmatrix.errors import Place, Problem
from bindmatrix.judge.summary import Collector, Summary
from bindmatrix.judge.verdicts import Judge
from bindmatrix.observe import recordings
from bindmatrix.quoting import terminal as plain
from bindmatrix.report import terminal
from bindmatrix.rules import catalog, divergences


def configure(parser: argparse.ArgumentParser) -> None:
    """The arguments of the verb."""
    parser.add_argument(
        "observations",
        nargs="+",
        metavar="OBSERVATIONS",
        help="observation files or result folders; - for standard input",
    )
    parser.add_argument("--os", default="", help="the system, where the file does not say it")
    parser.add_argument("--release", default="", help="its release, where the file does not say it")
    parser.add_argument("--json", action="store_true", help="print the summaries as a JSON list")


def run(arguments: argparse.Namespace) -> int:
    """Judge every file; exit status 2 when one could not be read to its end."""
    summaries = []
    status = OK
    names = [file for word in arguments.observations for file in inputs.files_of(word)]
    for name in names:
        recording = inputs.reading(name, {"os": arguments.os, "release": arguments.release})
        summary = judge(recording, arguments.os, arguments.release)
        summary.recording = None if name == "-" else name
        summaries.append(summary)
        if not arguments.json:
            if len(names) > 1:
                print(f"== {plain(recording.name)}")
            terminal.show(summary)
        if not summary.conforms:
            status = max(status, DIVERGES)
        if recording.problem is not None:
            print(recording.problem, file=sys.stderr)
            if recording.bad_lines > 1:
                print(f"{plain(recording.name)}: {recording.bad_lines} lines could not be read", file=sys.stderr)
            status = WRONG
    if arguments.json:
        print(json.dumps([summary.as_dict() for summary in summaries], indent=1))
    return status


def judge(recording: recordings.Recording, os: str = "", release: str = "") -> Summary:
    """The summary of one recording; ``os`` and ``release`` win over what the recording says."""
    started = time.perf_counter()
    collector: Collector | None = None
    for batch in recording.batches():
        if collector is None:
            collector = _collector(recording, os, release)
        collector.add(collector.judge.judge(batch))
    if collector is None:
        expected = 'holds no observations; expected JSON Lines of {"scenario": ..., "outcomes": [...]}'
        raise recording.problem or Problem(Place(recording.name), expected)
    notes = catalog.notes_of_host(collector.judge.model, collector.judge.host)
    if recording.bad_lines:
        notes.append(f"{recording.bad_lines} lines of {recording.name} could not be read")
    return collector.summary(notes=notes, seconds=time.perf_counter() - started)


def _collector(recording: recordings.Recording, os: str, release: str) -> Collector:
    host = dict(recording.host)
    if os:
        host["os"] = os
    if release:
        host["release"] = release
    expectations, version = catalog.of_host(host, "--release" if release else f"{recording.name}: the host's release")
    return Collector(
        Judge(catalog.model_of_host(expectations, version, host), divergences.of(expectations, version), host)
    )
