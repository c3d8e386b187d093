"""``bindmatrix claims``: what people believe about SO_REUSEADDR and SO_REUSEPORT, and where it is true."""

from __future__ import annotations

import argparse
import json
import sys
from typing import Any

from bindmatrix.answers import claims as view
from bindmatrix.cli.main import DIVERGES, OK, WRONG
from bindmatrix.errors import Place, Problem, nearest
from bindmatrix.execute.hosts import this_host
from bindmatrix.execute.local import HostError
from bindmatrix.judge import claim_check
from bindmatrix.judge.claim_check import Claim
from bindmatrix.observe import recordings
from bindmatrix.observe.recordings import Observation
from bindmatrix.report import claims_text, words
from bindmatrix.report.console import show, width_of
from bindmatrix.rules import catalog, confidence
from bindmatrix.run.plan import lacking
from bindmatrix.run.session import observed

_EPILOG = """\
verdicts:
""" + "".join(f"  {verdict:<15} {meaning}\n" for verdict, meaning in claim_check.VERDICTS.items())

_JSON = """
For a host without this package:
  here   bindmatrix claims --scenarios > claims.txt
  there  python3 executor.py < claims.txt > there.jsonl
  here   bindmatrix claims --observed there.jsonl

--json prints {"host", "claims": [{"id", "says", "sources", "about", "scenarios": [{"run", "then"}], "systems": [{"os",
"releases", "verdict", "confidence" and the "release" it is of; where it does not hold: "scenario", "step" (from 0),
"outcome"}], "here": {"verdict", ...}}]}.
Exit status: 1 this kernel contradicts the expectations of its system, 2 FILE could not be read to its end.
"""


def configure(parser: argparse.ArgumentParser) -> None:
    """The arguments of the verb."""
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.epilog = f"{_EPILOG}\nhow it is known:\n{words.definitions(confidence.WORDS)}{_JSON}"
    parser.add_argument("ids", nargs="*", metavar="CLAIM", help="only these (default: all)")
    parser.add_argument("--os", action="append", default=[], help="only this system (repeatable)")
    parser.add_argument(
        "--live", action=argparse.BooleanOptionalAction, default=None, help="run them here too (default: if possible)"
    )
    parser.add_argument(
        "--observed", metavar="FILE", help="use the observations of another host in this file ('-': standard input)"
    )
    parser.add_argument("--scenarios", action="store_true", help="print only the scenarios, for 'observe' elsewhere")
    parser.add_argument("--json", action="store_true", help="an object, see below")


def run(arguments: argparse.Namespace) -> int:
    """Print every claim with the systems on which it holds."""
    asked = _chosen(arguments.ids)
    if arguments.scenarios:
        print("\n".join(_texts(asked)))
        return OK
    for os in arguments.os:
        catalog.expectations(os)
    host, ran, damage = _ran(asked, arguments.observed, arguments.live)
    found = view.results(asked, arguments.os or catalog.names(), ran, host)
    name = f"{host.get('os')} {host.get('release')}" if host else ""
    if arguments.json:
        print(json.dumps({"host": host or None, "claims": [one.as_dict() for one in found]}, indent=1))
    else:
        show(claims_text.lines(found, name, width_of(sys.stdout)))
    if damage is not None:
        print(damage, file=sys.stderr)
        return WRONG
    return DIVERGES if any(one.surprising for one in found) else OK


def _chosen(ids: list[str]) -> list[Claim]:
    every = {claim.id: claim for claim in claim_check.read()}
    for name in ids:
        if name not in every:
            raise Problem(
                Place("CLAIM"), f"there is no claim {name!r}{nearest(name, every)}; without one all are printed"
            )
    return [every[name] for name in ids] if ids else list(every.values())


def _texts(asked: list[Claim]) -> list[str]:
    return list(dict.fromkeys(case.scenario.text for claim in asked for case in claim.cases))


def _ran(
    asked: list[Claim], file: str | None, live: bool | None
) -> tuple[dict[str, Any], list[Observation], Problem | None]:
    """The facts and outcomes of the host in the file, else of this one, or nothing with ``--no-live``.

    The third element is the error of a damaged file.
    """
    if file is not None:
        if live:
            raise Problem(Place("--observed"), "is another host; leave out --live")
        recording = recordings.read(file)
        ran = list(recording)
        if not recording.host:
            nothing = "does not say which host it is from: its first line is missing"
            raise recording.problem or Problem(Place(recording.name), nothing)
        return dict(recording.host), ran, recording.problem
    return *(_live(asked, required=live is True) if live is not False else ({}, [])), None


def _live(asked: list[Claim], required: bool) -> tuple[dict[str, Any], list[Observation]]:
    try:
        with this_host() as local:
            facts = local.facts
            if facts.get("os") not in catalog.names():
                raise HostError(f"there are no expectations for {facts.get('os')}")
            ran = observed(local.run(_texts(asked)))
    except HostError as error:
        if required:
            raise
        print(f"nothing was run here: {error}", file=sys.stderr)
        return {}, []
    for feature, reason in lacking(facts).items():
        print(f"not run: {feature}: {reason}", file=sys.stderr)
    return facts, ran
