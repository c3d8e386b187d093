"""``bindmatrix scenarios``: the scenarios for a host that runs the executor alone, one a line."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Mapping
from itertools import chain
from typing import Any

from bindmatrix.cli import inputs, scenario_options
from bindmatrix.cli.main import OK, WRONG
from bindmatrix.errors import Place, Problem
from bindmatrix.execute.hosts import this_host
from bindmatrix.judge.evidence_sample import to_repeat
from bindmatrix.judge.verdicts import Judge
from bindmatrix.notation import parse
from bindmatrix.observe import recordings, scenario_input
from bindmatrix.rules import catalog, divergences
from bindmatrix.run.session import REPEATS

_EPILOG = """\
A machine that has only Python 3.8 or later can do what 'bindmatrix run' does through pipes:

  there  python3 executor.py < /dev/null > host.jsonl
  here   bindmatrix scenarios --host host.jsonl > scenarios.txt
  there  python3 executor.py < scenarios.txt > observations.jsonl
  here   bindmatrix scenarios --diverging observations.jsonl > again.txt
  there  python3 executor.py < again.txt | tail -n +2 >> observations.jsonl
  here   bindmatrix report observations.jsonl

executor.py is the file conformance/bindmatrix/execute/executor.py of this package.

Exit status: 0, or 2 if a line of FILE is no scenario or RESULTS are cut off (what could be read is still printed).
"""


def configure(parser: argparse.ArgumentParser) -> None:
    """The arguments of the verb."""
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.epilog = _EPILOG
    parser.add_argument(
        "scenario",
        nargs="?",
        metavar="SCENARIO|FILE",
        help="print these in their canonical form instead of generated ones; - for standard input",
    )
    which = parser.add_mutually_exclusive_group()
    which.add_argument(
        "--host", metavar="OBSERVATIONS", help="a file whose first line describes the host (default: this machine)"
    )
    which.add_argument(
        "--diverging",
        metavar="RESULTS",
        help=f"print what diverges in a recording or may become evidence, {REPEATS} times each",
    )
    scenario_options.configure(parser)
    parser.add_argument("--json", action="store_true", help='print {"scenario": ...} a line')


def run(arguments: argparse.Namespace) -> int:
    """Print them."""
    chosen = scenario_options.chosen(arguments)
    if chosen and (arguments.scenario is not None or arguments.diverging is not None):
        raise Problem(Place(chosen[0]), "says what to generate, and these scenarios are given; leave out the option")
    if arguments.scenario is not None:
        if arguments.host is not None or arguments.diverging is not None:
            raise Problem(Place("scenarios"), "given scenarios are printed as they are; leave out the option")
        return _given(arguments.scenario, json_lines=arguments.json)
    if arguments.diverging is not None:
        return _diverging(arguments.diverging, json_lines=arguments.json)
    for text in scenario_options.plan(arguments).scenarios(_facts(arguments.host)):
        _print(text, json_lines=arguments.json)
    return OK


def _print(text: str, *, json_lines: bool) -> None:
    sys.stdout.write((json.dumps({"scenario": text}) if json_lines else text) + "\n")


def _given(word: str, *, json_lines: bool) -> int:
    status = OK
    for line in scenario_input.given(word):
        try:
            _print(line.scenario().text, json_lines=json_lines)
        except Problem as problem:
            print(problem, file=sys.stderr)
            status = WRONG
    return status


def _facts(path: str | None) -> Mapping[str, Any]:
    """The facts in the first line of a file, or those of this machine."""
    if path is None:
        with this_host(1) as host:
            return host.facts
    recording = recordings.read(path)
    next(recording.batches(), None)
    if "os" not in recording.host:
        raise recording.problem or Problem(Place(path), "the first line does not say what the host is")
    return recording.host


def _diverging(path: str, *, json_lines: bool) -> int:
    """Print the scenarios that diverge, as often as :class:`~bindmatrix.run.session.Session` would repeat them."""
    found = inputs.find([path])
    if len(found) > 1:
        raise Problem(Place(path), f"holds the results of {len(found)} hosts; name one of them")
    read = [recordings.read(one) for one in found[0].paths]
    batches = chain.from_iterable(recording.batches() for recording in read)
    first = next(batches, [])
    host = found[0].host(read[0].host)
    if not host.get("os"):
        nothing = (
            f"does not say which system it is from; expected a first line with its facts, or a {inputs.FACTS} beside"
        )
        raise read[0].problem or Problem(Place(path), nothing)
    expectations, release = catalog.of_host(host)
    judge = Judge(catalog.model_of_host(expectations, release, host), divergences.of(expectations, release), host)
    for batch in chain([first], batches):
        judge.judge(batch)
    for text in dict.fromkeys(parse(one).text for one in to_repeat(judge)):
        for _ in range(REPEATS):
            _print(text, json_lines=json_lines)
    damage = [recording.problem for recording in read if recording.problem is not None]
    for problem in damage:
        print(problem, file=sys.stderr)
    return WRONG if damage else OK
