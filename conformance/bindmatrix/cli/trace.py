"""bindmatrix trace: the socket calls of a program as scenarios, and what every system does with them."""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from bindmatrix.answers import ask
from bindmatrix.cli.main import OK
from bindmatrix.errors import Place, Problem
from bindmatrix.programs import strace_files, strace_run
from bindmatrix.programs.port_scenarios import Found, scenarios_of
from bindmatrix.programs.socket_calls import SocketCalls
from bindmatrix.quoting import terminal
from bindmatrix.report import program_text
from bindmatrix.report.console import show as show_lines
from bindmatrix.report.console import width_of

_EPILOG = """\
  bindmatrix trace --settle 1 -- python3 -m http.server 8080
  bindmatrix trace --file trace.txt            a trace that strace wrote with -f -y -o trace.txt
  bindmatrix trace --file out.*                the files of strace -ff, one a process

COMMAND runs under strace, in a network namespace of its own where that is allowed, so that its ports are free.  It
runs until it ends, --timeout or --settle ends it, or you press Ctrl-C; then everything that it started is ended too.
Its output goes to standard error.

Each port becomes one scenario; sockets that are only clients are counted.  Calls that the notation cannot express are
listed with the reason.  A trace with other options or other lines, or one that is cut off, is read as far as possible:
lines that were not understood are counted and shown.  (-y names each socket by its inode.  Without it descriptors are
followed.)

--json prints one object: run (of a command: network, status, ended_by, seconds), trace (lines, calls, not_understood,
examples, inodes), warnings, folded, left_out, and scenarios, a list of ports, scenario, outcomes (those in the trace),
not_modelled, answers (as 'ask --json').
"""


def configure(parser: argparse.ArgumentParser) -> None:
    """The arguments of the verb."""
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.usage = "bindmatrix trace [options] -- COMMAND...\n       bindmatrix trace [options] --file FILE..."
    parser.epilog = _EPILOG
    parser.add_argument("command", nargs=argparse.REMAINDER, metavar="COMMAND", help="a command and its arguments")
    parser.add_argument(
        "--file", nargs="+", default=[], help="a trace of strace, - for standard input; .gz is read too"
    )
    parser.add_argument("--timeout", type=float, default=0.0, metavar="SECONDS", help="end the command after this time")
    parser.add_argument(
        "--settle",
        type=float,
        default=0.0,
        metavar="SECONDS",
        help="end it when it has bound nothing new for this time",
    )
    parser.add_argument("--here", action="store_true", help="use the network of this machine, not a namespace")
    parser.add_argument("--save", metavar="FILE", help="keep the trace of the command")
    add_output(parser)


def add_output(parser: argparse.ArgumentParser) -> None:
    """The output options, which ``inspect`` shares."""
    parser.add_argument(
        "--os", action="append", default=[], help="only this system (repeatable), or an expectation file"
    )
    parser.add_argument("--scenarios", action="store_true", help="print only the scenarios, for other verbs")
    parser.add_argument("--json", action="store_true", help="one object, see below")


def run(arguments: argparse.Namespace) -> int:
    """Print the scenarios and their answers."""
    command = arguments.command[1:] if arguments.command[:1] == ["--"] else arguments.command
    if bool(command) == bool(arguments.file):
        raise Problem(Place("trace"), "expected either '-- COMMAND' or '--file FILE'")
    if command:
        calls, went = _traced(command, arguments)
    else:
        calls, went = strace_files.read([Path(file) for file in arguments.file]), None
    found = scenarios_of(calls.sockets, calls.folded)
    lines = calls.lines
    data: dict[str, Any] = {
        "trace": {
            "lines": lines.count,
            "calls": lines.calls,
            "not_understood": lines.not_understood,
            "examples": [{"line": line, "text": text} for line, text in lines.examples],
            "inodes": calls.descriptors.with_inodes,
        }
    }
    heads = [f"trace: {lines.count:,} lines, {lines.calls:,} calls, {lines.not_understood:,} lines not understood"]
    heads += [f"  line {line}: {terminal(text)[:100]}" for line, text in lines.examples]
    if calls.sockets and not calls.descriptors.with_inodes:
        heads.append("  the trace names no inodes (strace -y): sockets were followed by their descriptors")
    if went is not None:
        data["run"] = {
            "network": went.network,
            "status": went.status,
            "ended_by": went.ended_by,
            "seconds": round(went.seconds, 3),
        }
        heads.insert(0, f"{' '.join(command)}: {strace_run.NETWORKS[went.network]}, {_end(went)}")
    show(found, heads, _warnings(calls, went), data, arguments)
    return OK


def show(
    found: Found, heads: Sequence[str], warnings: Sequence[str], data: dict[str, Any], arguments: argparse.Namespace
) -> None:
    """Print what was found as text, as scenarios alone, or as JSON with ``data`` in it."""
    if arguments.scenarios:
        for warning in warnings:
            print(f"warning: {warning}", file=sys.stderr)
        for one in found.scenarios:
            print(one.scenario.text)
        return
    systems = list(dict.fromkeys(arguments.os))
    if arguments.json:
        data |= {"warnings": warnings, "folded": found.folded}
        data["left_out"] = [{"what": what, "sockets": times} for what, times in found.left_out]
        data["scenarios"] = [
            one.as_dict() | {"answers": [row.as_dict(one.scenario) for row in ask.answers(one.scenario, systems)]}
            for one in found.scenarios
        ]
        print(json.dumps(data, indent=1))
        return
    width = width_of(sys.stdout)
    show_lines(program_text.summary(found, heads, warnings))
    for one in found.scenarios:
        show_lines(program_text.scenario(one, ask.answers(one.scenario, systems), width))


def _traced(command: Sequence[str], arguments: argparse.Namespace) -> tuple[SocketCalls, strace_run.TracedRun]:
    for name, value in (("--timeout", arguments.timeout), ("--settle", arguments.settle)):
        if not 0 <= value < float("inf"):
            raise Problem(Place(name), f"expected a number of seconds, got {value:g}")
    with tempfile.TemporaryDirectory(prefix="bindmatrix-trace-") as folder:
        path = Path(arguments.save or Path(folder, "trace"))
        went = strace_run.run(command, path, arguments.timeout, settle=arguments.settle, own_network=not arguments.here)
        calls = strace_files.read([path]) if path.exists() and path.stat().st_size else SocketCalls()
    if not calls.lines.calls:
        raise Problem(Place(command[0]), "strace wrote no call; is ptrace allowed here (containers, Yama)?")
    return calls, went


def _end(went: strace_run.TracedRun) -> str:
    seconds = f"{went.seconds:.1f} s"
    if went.ended_by == "itself":
        return f"ended with status {went.status}"
    return {"time": "ended after {} (--timeout)", "settled": "ended after {} (--settle)"}.get(
        went.ended_by, "interrupted after {}"
    ).format(seconds)


def _warnings(calls: SocketCalls, went: strace_run.TracedRun | None) -> list[str]:
    out = [f"{what} ({times} times)" for what, times in calls.unread.items()]
    if calls.descriptors.io_uring:
        out.append("io_uring was set up: calls through it are not in the trace")
    if calls.lines.traits["injected"]:
        out.append("strace injected errors (-e inject): what calls returned is not the kernel's answer")
    out += [
        f"the kernel lists {one.address} port {one.port} ({one.kind}), which the trace does not show;"
        " 'bindmatrix inspect' reads the options of a running program"
        for one in (went.listed.values() if went is not None else ())
        if one.inode not in calls.inodes
    ]
    return out
