"""``bindmatrix ask``: what every system returns for one scenario, side by side, and why."""

from __future__ import annotations

import argparse
import json
import sys

from bindmatrix.answers import ask
from bindmatrix.cli.main import OK, WRONG
from bindmatrix.errors import Place, Problem, nearest
from bindmatrix.notation import OPTIONS, SOCKET_KINDS, Scenario, parse, words_with_columns
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
            note = {"note": ask.foreign_note(scenario)} if ask.foreign_note(scenario) else {}
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
    if len(parts) > 1 or parts[0] in _PROTOCOLS:
        return [scenario_input.ScenarioLine(short_form(text).text, Place("scenario", 1))]
    return list(scenario_input.given(text))


# -- the short form

_PROTOCOLS = ("tcp", "udp", "mptcp", "udplite", *SOCKET_KINDS)
#: kinds of sockets that have IPV6_V6ONLY
_WITH_V6ONLY = tuple(kind for kind, row in SOCKET_KINDS.items() if row.family == "ipv6")
#: option of the short form -> the step after ``a.``
_OPTIONS: dict[str, str] = {**{option: f"{option}=1" for option in OPTIONS}, "dual": "v6only=0"}


class _AskedGroup:
    """What stands on one side of the ``/``."""

    def __init__(self) -> None:
        self.protocol = ""
        self.options: list[str] = []
        self.addresses: list[str] = []
        self.listens = False


def short_form(text: str) -> Scenario:
    """The scenario of two sockets that the short form in ``text`` means; raises :class:`Problem`."""
    groups = [_AskedGroup()]
    end = len(text) + 1
    for column, word in words_with_columns(text):
        place = Place("question", 1, column)
        group = groups[-1]
        if word == "/":
            if len(groups) == 2 or not group.addresses:
                raise Problem(place, "expected one '/', after the address of the first socket", source=text)
            groups.append(_AskedGroup())
        elif word in _PROTOCOLS and not group.protocol and not group.options and not group.addresses:
            group.protocol = word
        elif word == "listen":
            group.listens = True
        elif word in _OPTIONS:
            group.options.append(_OPTIONS[word])
        elif "." in word or ":" in word or word[0] in "/@":
            group.addresses.append(word)
            if len(group.addresses) > (1 if len(groups) == 2 else 2):
                raise Problem(
                    place, "expected two addresses at the most, one for each socket", source=text, width=len(word)
                )
        else:
            raise Problem(place, _unknown(word, column == 1), source=text, width=len(word))
    first, second = groups[0], groups[-1]
    if not first.protocol:
        raise Problem(Place("question", 1, 1), f"expected a protocol first: {', '.join(_PROTOCOLS)}", source=text)
    if not first.addresses:
        message = "expected an address, as in 'udp reuseport 0.0.0.0'"
        raise Problem(Place("question", 1, end), message, source=text)
    if len(groups) == 2 and len(first.addresses) == 2:
        raise Problem(Place("question", 1, 1), "expected one address before the '/' and one after it", source=text)
    other = (second.addresses or first.addresses)[-1]
    _needs_ipv6(groups, other)
    own = len(groups) == 2
    words = _socket("a", first.protocol, first.options, first.addresses[0], first.listens, own=own)
    words += _socket("b", second.protocol or first.protocol, second.options, other, second.listens and own, own=own)
    return parse(" ".join(words))


def _needs_ipv6(groups: list[_AskedGroup], other: str) -> None:
    """Raise :class:`Problem` where V6ONLY is asked of IPv4 sockets alone; beside an IPv6 socket it is that one's."""
    asked = [option for option in groups[0].options if option.startswith("v6only")]
    if len(groups) == 1 and asked and not any(":" in address for address in (*groups[0].addresses, other)):
        message = "'dual' and 'v6only' are options of IPv6 sockets; expected an IPv6 address, such as '::'"
        raise Problem(Place("question", 1, 1), message)


def _unknown(word: str, is_first: bool) -> str:
    if is_first:
        return f"expected a scenario such as 'a=tcp4 a.bind=::', a file, or a protocol, got {word!r}" + nearest(
            word, _PROTOCOLS
        )
    valid = [*_OPTIONS, "listen"]
    return f"expected an address or one of {', '.join(valid)}, got {word!r}" + nearest(word, valid)


def _socket(name: str, protocol: str, options: list[str], address: str, listens: bool, *, own: bool) -> list[str]:
    """The steps of one socket; ``own``: the options were written for it alone, and not for both sockets."""
    kind = protocol if protocol in SOCKET_KINDS else protocol + ("6" if ":" in address else "4")
    if kind not in _WITH_V6ONLY and not own:
        options = [option for option in options if not option.startswith("v6only")]
    steps = [f"{name}={kind}", *(f"{name}.{option}" for option in options), f"{name}.bind={address}"]
    return [*steps, f"{name}.listen"] if listens else steps
