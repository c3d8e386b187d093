"""``bindmatrix recipes``: the smallest option sets that reach a goal, on every system."""

from __future__ import annotations

import argparse
import json
import sys

from bindmatrix.advice import recipes, snippets
from bindmatrix.advice.recipe_goals import GOALS, Goal, ids, named
from bindmatrix.advice.recipes import Recipe
from bindmatrix.cli.main import DIVERGES, OK
from bindmatrix.errors import Place, Problem
from bindmatrix.execute.hosts import this_host
from bindmatrix.report import recipes_text
from bindmatrix.report.console import show, width_of
from bindmatrix.rules import catalog

_EPILOG = """\
Every set of up to three options is tried by the rules of the newest release of each system.  A set reaches the goal
when every check passes: what must work, and what another program must not get.  Where no set does, options that are
cleared or set after bind() are tried too.  The output shows the smallest sets and how they are known.

  bindmatrix recipes                        every goal on every system
  bindmatrix recipes workers --os freebsd   with the scenarios of the checks
  bindmatrix recipes workers --os linux --code go
  bindmatrix recipes restart --check        runs the checks of the sets for this kernel; status 1 if one fails

--json prints a list of objects: goal, place, os, release, works and may_work (lists of option sets: before, cleared,
after), refuted (options, check, scenario), checks (check, scenario, wanted), confidence.  With --check: goal, place,
options, check, scenario, outcomes, met (true, false, or null where it could not be run).

goals:
"""


def configure(parser: argparse.ArgumentParser) -> None:
    """The arguments of the verb."""
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    width = max(map(len, ids()))
    parser.epilog = _EPILOG + "\n".join(f"  {goal.id:<{width}}  {goal.title}" for goal in GOALS)
    parser.add_argument("goal", nargs="?", metavar="GOAL", help="one of the goals below (default: all)")
    parser.add_argument("--os", action="append", default=[], help="only this system (repeatable)")
    parser.add_argument(
        "--check", action="store_true", help="run the checks of the sets for this system on this kernel"
    )
    parser.add_argument("--code", choices=tuple(snippets.LANGUAGES), help="print programs; needs one --os")
    parser.add_argument("--json", action="store_true", help="a list of objects, see above")


def run(arguments: argparse.Namespace) -> int:
    """Print what works, check it, or print programs."""
    goals = list(GOALS) if arguments.goal is None else [named(arguments.goal)]
    systems = list(dict.fromkeys(arguments.os))
    if arguments.check:
        return _check(goals, as_json=arguments.json)
    if arguments.code and len(systems) != 1:
        raise Problem(Place("--code"), "needs exactly one --os: a program is for one system")
    found = recipes.recipes(goals, systems)
    if arguments.code:
        _print_programs(found, arguments.code)
    elif arguments.json:
        print(json.dumps([one.as_dict() for one in found], indent=1))
    else:
        show(recipes_text.lines(found, width_of(sys.stdout), detail=bool(arguments.goal and systems)))
    return OK


def _print_programs(found: list[Recipe], language: str) -> None:
    comment = "#" if language == "python" else "//"
    for one in found:
        for options in one.works or [None]:
            text = recipes.program(language, one, options) if options is not None else ""
            print(f"{comment} {one.goal.title}: {one.place.title}, {one.os}: {options.words if options else one.words}")
            print(text)


def _check(goals: list[Goal], *, as_json: bool) -> int:
    """Run the checks of the sets that work on this system; a check that could not run is not counted."""
    with this_host() as host:
        os = str(host.facts.get("os"))
        catalog.expectations(os)
        found = [
            (one, options, check)
            for one in recipes.recipes(goals, [os])
            for options in one.works
            for check in one.place.checks(options)
        ]
        texts = list(dict.fromkeys(check.scenario.text for _, _, check in found))
        observed = {}
        for lines in host.run(texts):
            for line in lines:
                answer = json.loads(line)
                observed[answer["scenario"]] = answer.get("outcomes")
    rows = []
    for one, options, check in found:
        outcomes = observed.get(check.scenario.text)
        rows.append((one, options, check, outcomes, None if outcomes is None else check.met(outcomes)))
    failed = [row for row in rows if row[4] is False]
    if as_json:
        keys = ("goal", "place", "options", "check", "scenario", "outcomes", "met")
        values = [(o.goal.id, o.place.title, s.words, c.what, c.scenario.text, out, met) for o, s, c, out, met in rows]
        print(json.dumps([dict(zip(keys, row, strict=True)) for row in values], indent=1))
    else:
        for one, options, check, outcomes, _ in failed:
            print(f"fails: {one.goal.id}, {one.place.title}, with {options.words}: {check.what}")
            print(f"  {check.scenario.text}\n  returned {' '.join(outcomes or ())}")
        done = sum(row[4] is not None for row in rows)
        print(f"{os} here: {done - len(failed)} of {done} checks as wanted, {len(rows) - done} could not be run")
    return DIVERGES if failed else OK
