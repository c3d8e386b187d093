"""``bindmatrix ask``: what every system returns for one scenario, side by side, and why."""

from __future__ import annotations

import argparse
import json
import sys

from bindmatrix.answers import ask
from bindmatrix.answers.scenario_notes import scenario_note
from bindmatrix.cli.main import OK, WRONG
from bindmatrix.cli.short_form import PROTOCOLS, plain_words, short_form
from bindmatrix.errors import Place, Problem
from bindmatrix.notation import parse
from bindmatrix.observe import scenario_input
from bindmatrix.programs import runtimes
from bindmatrix.report import ask_text, words
from bindmatrix.report.console import show, width_of
from bindmatrix.rules import catalog, confidence

_EPILOG = """\
The short form asks the most common question, what two sockets do to each other:

  PROTOCOL [OPTION...] ADDRESS [ADDRESS]             both sockets with these options
  PROTOCOL [OPTION...] ADDRESS / [OPTION...] ADDRESS each socket with its own

PROTOCOL is tcp, udp, mptcp or udplite (IPv4 or IPv6 by the address), tcp4, tcp6 and so on, unix, unixgram or vsock.
OPTION is reuseaddr, reuseport, reuseport_lb, exclusive, exclbind, v6only, or dual (v6only cleared); the word listen
makes the first socket listen (after the / the second one).  One address stands for both sockets.  ADDRESS is one of
IPv4 or IPv6; /x or @x of unix and unixgram; cid:any, cid:local or cid:own of vsock.

  bindmatrix ask udp reuseport 0.0.0.0
  bindmatrix ask tcp4 reuseaddr listen 0.0.0.0 127.0.0.1
  bindmatrix ask tcp dual :: / reuseaddr 127.0.0.1
  bindmatrix ask 'a=udp4 a.bind=0.0.0.0 b=udp4 b.reuseaddr=1 b.bind=127.0.0.1' --os freebsd --os macos

TCP, SO_REUSEADDR, reuseaddr,reuseport, localhost, * and [::]:8080 are read too.  Everything else needs a scenario:
steps on named sockets that share one port.

  a=tcp4                     socket(): udp6, unix ... as above; remote4 and remote6 are TCP sockets of another host
  a.reuseaddr=1 a.v6only=0   setsockopt(), 0 or 1: the options above, and broadcast
  a.bind=0.0.0.0             bind() to that address and the scenario's port; a.bind=::1,0: a port of the kernel's choice
  a.listen  a.close          listen(), close()
  c.connect=127.0.0.1        connect() to the scenario's port
  x=a.accept                 accept(): x is the new socket
  c.read                     read until the end of the file
  a.join=224.0.0.251         join that group, on the loopback interface
  user=1001                  the effective user of the steps that follow; user=0 is root
  wait=60000                 so many milliseconds pass
  deliver=127.0.0.1          32 new clients each send a datagram or connect there: who receives
  deliver_flow=127.0.0.1     the same from one client socket (UDP)

--runtime asks for what a library or server of docs/runtimes.md does on each system; a SCENARIO is what follows it:

  bindmatrix ask --runtime go-http 'other=tcp4 other.reuseaddr=1 other.bind=127.0.0.1' --os windows --os linux

Only the steps that are not ok on every system are shown, and the last bind.  Releases that answer alike share a row;
reason and confidence are those of the newest of them whose own code gave all of it, else of the newest.
An outcome with a * is a known divergence: the kernel does so against the rules.

--json prints a list of objects, one a row: scenario, os, releases (ranges), release (the one the rest is about),
outcomes (aligned with the steps; a string, a list of accepted ones, "refused" for any error, null for unknown), rules
(ids, aligned), step (counted from 0; the one that the reason is about), rule, reason, why (the detail of
--explain), reasons (a list of objects with step, rule, text and why: of each step that matters), confidence (an object,
as in 'bindmatrix predict --help'); and where they apply divergences (ids), by_rules (outcomes without them), limit,
note.  With --runtime: runtime (its id) and verified too.

How an outcome is known, the strongest first; a confidence names the release on which it was obtained:

"""


def configure(parser: argparse.ArgumentParser) -> None:
    """The arguments of the verb."""
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.usage = (
        "bindmatrix ask [--os OS]... [--release RELEASE] [--explain] [--json] "
        "SCENARIO|FILE|-|PROTOCOL ... | --runtime ID [STEP...]"
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
    """Print the answers; every bad scenario of a file is told, the others are still answered."""
    if arguments.release and len(arguments.os) != 1:
        raise Problem(Place("--release"), "needs exactly one --os: a release is one of a system")
    if arguments.runtime is not None:
        _ask_runtime(arguments)
        return OK
    if not arguments.words:
        raise Problem(Place("question"), "expected a scenario, a file, a protocol or --runtime; see 'ask --help'")
    status = OK
    found = []
    asked = False
    for line in _asked(arguments.words):
        try:
            scenario = line.scenario()
        except Problem as problem:
            print(problem, file=sys.stderr)
            status = WRONG
            continue
        rows = ask.answers(scenario, list(dict.fromkeys(arguments.os)), arguments.release)
        if arguments.json:
            text = scenario_note(scenario)
            note = {"note": text} if text else {}
            found += [row.as_dict(scenario) | note for row in rows]
        else:
            if asked:
                print()
            show(ask_text.lines(scenario, rows, width_of(sys.stdout), explain=arguments.explain))
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


def _asked(words: list[str]) -> list[scenario_input.ScenarioLine]:
    """The scenarios that the command line means; raises :class:`Problem`."""
    text = " ".join(words)
    parts = text.split()
    if len(words) == 1 and parts and scenario_input.is_there(text):
        return list(scenario_input.given(text))
    if not parts or "=" in parts[0]:
        return [scenario_input.ScenarioLine(text, Place("scenario", 1))]
    plain, notes = plain_words(parts)
    if len(parts) > 1 or plain[0] in PROTOCOLS or notes:
        for note in notes:
            print(f"bindmatrix: {note}", file=sys.stderr)
        return [scenario_input.ScenarioLine(short_form(" ".join(plain)).text, Place("scenario", 1))]
    return list(scenario_input.given(text))
