"""``bindmatrix kit``: one file that records a machine in less than a minute."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

from bindmatrix.cli import scenario_options
from bindmatrix.cli.main import OK
from bindmatrix.errors import Place, Problem, file_problems
from bindmatrix.kit import program, witnesses
from bindmatrix.report.progress import Progress
from bindmatrix.rules import catalog

#: seconds that a kit records: with the start and the slowest scenario less than a minute
_SECONDS = 50

_EPILOG = """\
The file needs nothing beside it: copy it to the machine, run it there, and bring the recording back.

  here   bindmatrix kit --for openbsd --out kit.c
  there  cc kit.c && ./a.out > recording
  here   bindmatrix contribute recording

With kit.py as FILE it is the same in Python: python3 kit.py > recording

docs/record.md goes through it.
"""


def configure(parser: argparse.ArgumentParser) -> None:
    """The arguments of the verb."""
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.epilog = _EPILOG
    parser.add_argument("--for", required=True, dest="system", metavar="SYSTEM", help="the system of the machine")
    parser.add_argument(
        "--out", required=True, type=scenario_options.path, metavar="FILE", help="where to write; - for standard output"
    )
    parser.add_argument(
        "--language", choices=program.SUFFIXES, help="what the file is written in (default: by its name, .py or .c)"
    )
    parser.add_argument(
        "--seconds",
        type=scenario_options.whole,
        default=_SECONDS,
        metavar="N",
        help=f"seconds after which no scenario starts (default {_SECONDS})",
    )
    parser.add_argument("--json", action="store_true", help="print what the file holds as JSON")


def run(arguments: argparse.Namespace) -> int:
    """Choose the scenarios and write the file."""
    out: Path = arguments.out
    language = arguments.language or next(
        (language for language, suffix in program.SUFFIXES.items() if out.suffix == suffix), ""
    )
    if not language:
        raise Problem(Place("--out"), f"expected a name that ends in .py or .c, got {out.name!r}; or give --language")
    if arguments.system not in catalog.names():
        raise Problem(
            Place("--for"), f"no expectations for {arguments.system!r}; there are {', '.join(catalog.names())}"
        )
    expectations = catalog.expectations(arguments.system)
    with Progress() as progress:
        scenarios, first = witnesses.scenarios(expectations, progress.add)
    kit = program.description(expectations, scenarios, first, arguments.seconds)
    to_stdout = str(out) == "-"
    name = f"kit{program.SUFFIXES[language]}" if to_stdout else out.name
    text = program.render(language, name, expectations.title, kit, scenarios)
    if to_stdout:
        sys.stdout.write(text)
        return OK
    with file_problems(out, "written"):
        out.write_text(text, encoding="utf-8", newline="\n")
    if arguments.json:
        print(json.dumps({"file": str(out), "language": language, **kit}))
    else:
        print(f"{out}: {len(scenarios):,} scenarios for {expectations.title}, {first} of them chosen by what they tell")
    return OK
