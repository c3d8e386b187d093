"""``bindmatrix ask``: what every system returns for one scenario, side by side, and why."""

from __future__ import annotations

import argparse
import json
import re
import sys

from bindmatrix.answers import ask
from bindmatrix.answers.common_questions import COMMON_QUESTIONS
from bindmatrix.answers.scenario_notes import local_clients_note
from bindmatrix.cli import short_form
from bindmatrix.cli.main import OK, WRONG
from bindmatrix.errors import Place, Problem
from bindmatrix.notation import parse
from bindmatrix.observe import scenario_input
from bindmatrix.programs import runtimes
from bindmatrix.report import ask_text, words
from bindmatrix.report.console import show, width_of
from bindmatrix.rules import catalog, confidence

_EPILOG = """\
The short form asks the most common questions.  Words may come in any order:

  PROTOCOL [WORD...] ADDRESS [ADDRESS]            both with these options
  PROTOCOL [WORD...] ADDRESS / [WORD...] ADDRESS  each socket with its own

PROTOCOL  tcp, udp, mptcp or udplite (IPv4 or IPv6 by the address), tcp4, tcp6
          and so on, unix, unixgram or vsock
options   reuseaddr, reuseport, reuseport_lb, exclusive, exclbind, v6only, dual
          (v6only cleared); SO_REUSEADDR and the like are read too
listen    the first socket listens (after the / the second one)
receives  who receives: every socket listens, and clients connect or send
restart   the server closes and starts again while a connection to a client of
          another host is in TIME_WAIT; 'restart local': to a client of its own
other-user  the second socket is another user's
after-bind  the options are set after bind()
4 workers   so many sockets alike, and who receives
ADDRESS   IPv4 or IPv6; localhost, *, any, [::]:8080 and 0.0.0.0:8080 are read
          too (a scenario has one port, whichever); :0 lets the kernel choose;
          /x or @x of unix and unixgram; cid:any, cid:local or cid:own of vsock
          One address stands for both sockets; without any it is 0.0.0.0.
          The number of a port alone, as 8080, means all addresses.

  bindmatrix ask udp reuseport 0.0.0.0
  bindmatrix ask tcp reuseaddr 0.0.0.0 restart
  bindmatrix ask tcp dual :: / reuseaddr 127.0.0.1
  bindmatrix ask 'a=udp4 a.bind=0.0.0.0 b=udp4 b.bind=127.0.0.1' --os freebsd

'bindmatrix help notation' explains the steps of a SCENARIO.  Without arguments
ask prints what people ask most.

--runtime asks for what a library or server of docs/runtimes.md does on each
system; a SCENARIO is what follows it:

  bindmatrix ask --runtime go-http --os windows --os linux \\
      'other=tcp4 other.reuseaddr=1 other.bind=127.0.0.1'

The first sentence is about the newest release of each system.  The table has
the steps that are not ok on every system, and the last bind; where that is too
wide, the first call that fails.  Releases that answer alike share a row; reason
and confidence are those of the newest of them whose own code gave all of it,
else of the newest. An outcome with a * is a known divergence: the kernel does
so against the rules.

--json prints a list of objects, one a row: scenario, os, releases (ranges),
release (the one the rest is about), outcomes (aligned with the steps; a string,
a list of accepted ones, "refused" for any error, null for unknown), rules (ids,
aligned), step (counted from 0; the one that the reason is about), rule, reason,
why (the detail of --explain), reasons (a list of objects with step, rule, text
and why: of each step that matters), confidence (an object, as in 'bindmatrix
predict --help'); and where they apply divergences (ids), by_rules (outcomes
without them), limit, note.  With --runtime: runtime (its id) and verified too.

How an outcome is known, the strongest first; a confidence names the release on
which it was obtained:

"""


def configure(parser: argparse.ArgumentParser) -> None:
    """The arguments of the verb."""
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.usage = (
        "bindmatrix ask [--os OS]... [--release RELEASE] [--explain] [--json]\n"
        "                      SCENARIO|FILE|-|PROTOCOL ... | --runtime ID [STEP...]"
    )
    parser.epilog = _EPILOG + words.definitions(confidence.WORDS)
    parser.add_argument(
        "words",
        nargs="*",
        metavar="SCENARIO",
        help="a scenario, a file of them, - for standard input, or the short form",
    )
    parser.add_argument(
        "--os", action="append", default=[], help="only this system (repeatable), or an expectation file"
    )
    parser.add_argument("--runtime", metavar="ID", help="what this runtime does, see below")
    parser.add_argument("--release", default="", help="only this release; needs one --os")
    parser.add_argument("--explain", action="store_true", help="with what the kernel does, for readers of its source")
    parser.add_argument("--json", action="store_true", help="a list of objects, see below")


def run(arguments: argparse.Namespace) -> int:
    """Print the answers; bad scenarios of a file are reported, the others are still answered."""
    if arguments.release and len(arguments.os) != 1:
        raise Problem(Place("--release"), "needs exactly one --os: a release is one of a system")
    if arguments.runtime is not None:
        _ask_runtime(arguments)
        return OK
    if not arguments.words:
        _show_common()
        return OK
    status = OK
    found = []
    asked = False
    lines, notes = _asked(arguments.words)
    for line in lines:
        try:
            scenario = line.scenario()
        except Problem as problem:
            print(problem, file=sys.stderr)
            status = WRONG
            continue
        rows = ask.answers(scenario, list(dict.fromkeys(arguments.os)), arguments.release)
        if arguments.json:
            told = "; ".join(filter(None, (*notes, ask.foreign_note(scenario), local_clients_note(scenario))))
            found += [row.as_dict(scenario) | ({"note": told} if told else {}) for row in rows]
        else:
            if asked:
                print()
            show(ask_text.lines(scenario, rows, width_of(sys.stdout), explain=arguments.explain, notes=notes))
        asked = True
    if arguments.json:
        print(json.dumps(found, indent=1))
    return status


def _ask_runtime(arguments: argparse.Namespace) -> None:
    """Print the answers for what a runtime does on each system, and for the steps that follow."""
    row = runtimes.runtime(arguments.runtime)
    systems = list(dict.fromkeys(arguments.os)) or catalog.names()
    asked: dict[str, list[str]] = {}
    silent = []
    for system in systems:
        name = catalog.expectations(system).os
        scenario = row.scenario(name)
        if scenario is None:
            silent.append(f"{system}: {row.verified(name)}")
        else:
            asked.setdefault(parse(" ".join([scenario.text, *arguments.words])).text, []).append(system)
    found = []
    if not arguments.json:
        print(f"{row.id}: {row.runtime} {row.version}, {row.call}")
    for text, those in asked.items():
        scenario = parse(text)
        answers = ask.answers(scenario, those, arguments.release)
        found += [one.as_dict(scenario) | {"runtime": row.id, "verified": row.verified(one.os)} for one in answers]
        if not arguments.json:
            known = dict.fromkeys(row.verified(catalog.expectations(system).os) for system in those)
            print(f"\nwhat it does on {', '.join(those)} ({'; '.join(known)}):")
            show(ask_text.lines(scenario, answers, width_of(sys.stdout), explain=arguments.explain))
    if arguments.json:
        print(json.dumps(found, indent=1))
    elif silent:
        print("\n" + "\n".join(silent))


def _show_common() -> None:
    """Print what people ask, each with the line that answers it."""
    print("What people ask, and how to ask it:\n")
    for one in COMMON_QUESTIONS:
        print(f"{one.question}\n    bindmatrix ask {one.line}")
    print("\nMore words: 'bindmatrix ask --help'.  What to set: 'bindmatrix recipes'.")


def _asked(words: list[str]) -> tuple[list[scenario_input.ScenarioLine], tuple[str, ...]]:
    """The scenarios that the command line means, and how it was read; raises :class:`Problem`."""
    text = " ".join(words)
    parts = text.split()
    if len(words) == 1 and parts and scenario_input.is_there(text):
        return list(scenario_input.given(text)), ()
    if not parts or ("=" in parts[0] and not parts[0].lower().startswith("workers=")):
        return [scenario_input.ScenarioLine(text, Place("scenario", 1))], ()
    if len(parts) == 1 and _names_a_file(text):
        return list(scenario_input.given(text)), ()
    scenario, notes = short_form.read(text)
    return [scenario_input.ScenarioLine(scenario.text, Place("scenario", 1))], notes


def _names_a_file(word: str) -> bool:
    """Whether a word that is no existing file still looks like one: it has a folder or a suffix."""
    return word == "-" or bool(re.search(r"[/\\]|\.[A-Za-z]\w*$", word))
