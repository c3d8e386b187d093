"""``bindmatrix observe``: scenarios in, observations out; nothing is judged."""

from __future__ import annotations

import argparse
import sys
from dataclasses import replace

from bindmatrix.cli import host_options, scenario_options
from bindmatrix.cli.main import OK, WRONG
from bindmatrix.errors import Problem
from bindmatrix.execute.hosts import open_host
from bindmatrix.observe import recordings, scenario_input
from bindmatrix.quoting import terminal as plain


def configure(parser: argparse.ArgumentParser) -> None:
    """The arguments of the verb."""
    parser.add_argument(
        "scenario",
        nargs="?",
        metavar="SCENARIO|FILE",
        help="a scenario, a file of them, or - (default) for standard input",
    )
    host_options.configure(parser, several=False)
    parser.add_argument(
        "--workers",
        type=scenario_options.workers,
        metavar="N",
        help="processes (default: one; the order is then kept)",
    )
    parser.add_argument("--json", action="store_true", help="accepted for consistency; the output is always JSON Lines")


def run(arguments: argparse.Namespace) -> int:
    """Run the scenarios; bad ones are reported and skipped."""
    spec = host_options.chosen(arguments)[0]
    status = OK
    texts = []
    for line in scenario_input.given(arguments.scenario):
        try:
            texts.append(line.scenario().text)
        except Problem as problem:
            print(problem, file=sys.stderr)
            status = WRONG
    if not texts:
        return status
    out = sys.stdout.buffer
    with open_host(replace(spec, workers=min(arguments.workers or 1, len(texts)))) as host:
        out.write(recordings.header(host.facts))
        for lines in host.run(texts):
            out.writelines(lines)
            out.flush()
        if host.lost:
            print(f"{plain(f'{spec.name}: lost: {host.lost}')}", file=sys.stderr)
            status = WRONG
    return status
