"""``bindmatrix observe``: scenarios in, observations out; nothing is judged."""

from __future__ import annotations

import argparse
import sys
from dataclasses import replace

from conformance.cli import on, planned
from conformance.cli.main import OK, WRONG
from conformance.errors import Problem
from conformance.execute.hosts import open_host
from conformance.observe import observations, scenarios


def configure(parser: argparse.ArgumentParser) -> None:
    """The arguments of the verb."""
    parser.add_argument(
        "scenario",
        nargs="?",
        metavar="SCENARIO|FILE",
        help="a scenario, a file of them, or - (default) for standard input",
    )
    on.configure(parser, several=False)
    parser.add_argument(
        "--workers", type=planned.whole, metavar="N", help="processes (default: one; the order is then kept)"
    )
    parser.add_argument("--json", action="store_true", help="accepted for symmetry: the output is JSON Lines anyway")


def run(arguments: argparse.Namespace) -> int:
    """Run the scenarios; bad ones are told and left out."""
    spec = on.chosen(arguments)[0]
    status = OK
    texts = []
    for line in scenarios.given(arguments.scenario):
        try:
            texts.append(line.scenario().text)
        except Problem as problem:
            print(problem, file=sys.stderr)
            status = WRONG
    if not texts:
        return status
    out = sys.stdout.buffer
    with open_host(replace(spec, workers=min(arguments.workers or 1, len(texts)))) as host:
        out.write(observations.header(host.facts))
        for lines in host.run(texts):
            out.writelines(lines)
            out.flush()
        if host.lost:
            print(f"{spec.name}: lost: {host.lost}", file=sys.stderr)
            status = WRONG
    return status
