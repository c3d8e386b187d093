"""``bindmatrix predict``: what a system returns, without having it."""

from __future__ import annotations

import argparse
import sys

from bindmatrix.cli import scenario_options
from bindmatrix.cli.main import OK, WRONG
from bindmatrix.errors import Place, Problem
from bindmatrix.observe import scenario_input
from bindmatrix.oracle.prediction import Predictor
from bindmatrix.report import words
from bindmatrix.rules import catalog, confidence, divergences

_EPILOG = """\
One line a scenario: {"scenario", "outcomes", "rules", "confidence"}.  An outcome is a string, a list of accepted ones,
"refused" (any error) or null where it is unknown.  "divergence" and "actual" are added where a release is known to
contradict the rules.

"confidence" is that of the weakest rule: {"method"}, and where they apply "release" (of the code that answered or was
read), "parts" (releases from which functions were put in), "stretched" (how the requested release differs).  The
methods, the strongest first:

"""


def configure(parser: argparse.ArgumentParser) -> None:
    """The arguments of the verb."""
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.epilog = _EPILOG + words.definitions(confidence.WORDS)
    parser.add_argument("--os", required=True, help="the system: linux, freebsd, ... or an expectation file")
    parser.add_argument(
        "--release", default="", help="its release, for example 6.1.192 (default: the newest described)"
    )
    parser.add_argument(
        "--port", type=scenario_options.port, default=1, metavar="N", help="the port, where its number matters"
    )
    parser.add_argument(
        "scenario",
        nargs="?",
        metavar="SCENARIO|FILE",
        help="a scenario, a file of them, or - (default) for standard input",
    )
    parser.add_argument("--json", action="store_true", help="accepted for consistency; the output is always JSON Lines")


def run(arguments: argparse.Namespace) -> int:
    """Print the predictions. Bad lines are reported, the others are answered."""
    os, at, named = arguments.os.partition("@")
    if at and arguments.release:
        raise Problem(Place("--release"), f"the release is named twice: {named} and {arguments.release}")
    expectations = catalog.expectations(os)
    release = catalog.release_of(expectations, named or arguments.release)
    limit = catalog.limit(expectations, release)
    if limit:
        print(f"bindmatrix: {limit}", file=sys.stderr)
    predictor = Predictor(expectations.at(release).on_port(arguments.port), divergences.of(expectations, release))
    status = OK
    lines: list[str] = []
    for text, place, wrong in scenario_input.given(arguments.scenario):
        if wrong is not None:
            print(wrong, file=sys.stderr)
            status = WRONG
            continue
        try:
            lines.append(predictor.line(text))
        except Problem as problem:
            problem.place = problem.place if place.name == "scenario" else _within(problem, place)
            print(problem, file=sys.stderr)
            status = WRONG
        if len(lines) >= 1000:
            print("\n".join(lines))
            lines.clear()
    if lines:
        print("\n".join(lines))
    return status


def _within(problem: Problem, place: Place) -> Place:
    """The place of a problem in the file that the scenario came from."""
    return Place(place.name, place.line, problem.place.column)
