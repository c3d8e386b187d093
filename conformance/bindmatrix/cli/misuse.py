"""``bindmatrix misuse``: socket options that a program uses in a way that hurts on some systems."""

from __future__ import annotations

import argparse
import json
import sys

from bindmatrix.advice import misuse
from bindmatrix.advice.misuse_patterns import patterns
from bindmatrix.cli.main import DIVERGES, OK
from bindmatrix.programs import program_input
from bindmatrix.report import misuse_text
from bindmatrix.report.console import show, width_of
from bindmatrix.report.words import counted

_EPILOG = """\
PROGRAM is a Python source, a scenario or a file of them, a recording, a trace of strace, a runtime of docs/runtimes.md,
or a process.  A Python source is read and not run: a host that is not a constant counts as the wildcard, and an
option that is set under a test of the platform does not count on Windows.

The rules of the newest release say whether a pattern hurts a system; docs/misuse.md has the scenarios, and where people
met it.  --os selects one system (repeatable), --ignore excludes a pattern.

Exit status: 0 when nothing is found, 1 when something is.

--json prints a list of objects: place, program, step, pattern, what, hurts (os, scenario, shows, confidence), instead,
seen.

patterns:
"""


def configure(parser: argparse.ArgumentParser) -> None:
    """The arguments of the verb."""
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    width = max(len(one.id) for one in patterns())
    parser.epilog = _EPILOG + "\n".join(f"  {one.id:<{width}}  {one.what}" for one in patterns())
    parser.add_argument("program", nargs="+", metavar="PROGRAM", help="see below")
    parser.add_argument("--os", action="append", default=[], help="only what hurts this system (repeatable)")
    known = [one.id for one in patterns()]
    parser.add_argument("--ignore", action="append", default=[], metavar="ID", choices=known, help="not this pattern")
    parser.add_argument("--json", action="store_true", help="a list of objects, see below")


def run(arguments: argparse.Namespace) -> int:
    """Print what is found."""
    programs = [one for word in arguments.program for one in program_input.programs(word)]
    systems = list(dict.fromkeys(arguments.os))
    found = [one for one in misuse.findings(programs, systems) if one.pattern.id not in arguments.ignore]
    if arguments.json:
        print(json.dumps([one.as_dict() for one in found], indent=1))
    else:
        show(misuse_text.lines(found, width_of(sys.stdout)))
        print(counted(len(found), "finding") if found else "nothing found")
    return DIVERGES if found else OK
