"""``bindmatrix audit``: what a program does on the systems that its author does not have."""

from __future__ import annotations

import argparse
import json
import sys

from bindmatrix.advice import audit
from bindmatrix.advice.audit_questions import QUESTIONS
from bindmatrix.cli.main import OK, OneLineParser
from bindmatrix.errors import Place, Problem
from bindmatrix.programs import program_input
from bindmatrix.report import audit_text
from bindmatrix.report.console import show, width_of

_EPILOG = """\
PROGRAM is one of

  'a=tcp4 a.bind=0.0.0.0 a.listen'   a scenario, or a file of scenarios
  go-http                            a runtime or server of docs/runtimes.md, as it is on each system
  trace.txt                          what 'bindmatrix trace --save' or strace -f -y -o wrote
  server.py                          a Python source, which is read and not run
  4711                               a process of this machine (Linux)
  -- COMMAND                         a command, which is traced as long as it binds new ports

Each port of a program is audited separately.  Users in a scenario are ignored: the questions set them.

The rules for the newest release of each system answer.  The output shows every answer for the system that the program
was tried on (--tried-on), and what differs on the others: the scenario, the reason, the rule and how that is known, and
what to do instead where a pattern of 'bindmatrix misuse' hurts there.

--json prints a list of objects, one a port: program, tried (os, release, scenario, answers) and others, a list of os,
release, scenario, differs (question, answer,
means, tried, scenario, rule, reason, confidence), unknown (questions), misuse (pattern,
instead).

questions:
"""


def configure(parser: argparse.ArgumentParser) -> None:
    """The arguments of the verb."""
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.usage = (
        "bindmatrix audit [--tried-on OS] [--os OS]... [--json] PROGRAM\n       bindmatrix audit ... -- COMMAND"
    )
    parser.epilog = _EPILOG + "\n".join(f"  {question}" for question in QUESTIONS)
    parser.add_argument("program", nargs=argparse.REMAINDER, metavar="PROGRAM", help="see below")
    _add_options(parser)


def _add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--tried-on", default="linux", metavar="OS", help="the system that it works on (linux)")
    parser.add_argument("--os", action="append", default=[], help="compare with this system only (repeatable)")
    parser.add_argument("--json", action="store_true", help="a list of objects, see below")


def run(arguments: argparse.Namespace) -> int:
    """Print an audit for each port of the program."""
    words = arguments.program
    if len(words) > 1 and words[0] != "--":
        # the remainder took the options that stand behind PROGRAM too
        behind = OneLineParser(prog="bindmatrix audit")
        _add_options(behind)
        behind.parse_args(words[1:], arguments)
        words = words[:1]
    if words[:1] == ["--"] and len(words) > 1:
        found = program_input.of_command(words[1:])
    elif len(words) == 1:
        found = program_input.programs(words[0])
    else:
        raise Problem(Place("audit"), "expected one PROGRAM (a scenario is one argument: quote it) or '-- COMMAND'")
    audits = [audit.audit(one, list(dict.fromkeys(arguments.os)), arguments.tried_on) for one in found]
    if arguments.json:
        print(json.dumps([one.as_dict() for one in audits], indent=1))
        return OK
    for number, one in enumerate(audits):
        if number:
            print()
        show(audit_text.lines(one, width_of(sys.stdout)))
    return OK
