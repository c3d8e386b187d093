"""bindmatrix inspect: the sockets of a running process or of a port as scenarios, with their options as they are."""

from __future__ import annotations

import argparse
from collections import Counter

from bindmatrix.cli import scenario_options
from bindmatrix.cli.main import OK
from bindmatrix.cli.trace import add_output, show
from bindmatrix.errors import Place, Problem
from bindmatrix.programs import process_sockets
from bindmatrix.programs.port_scenarios import scenarios_of
from bindmatrix.report.words import counted

_EPILOG = """\
  bindmatrix inspect --pid 4711
  bindmatrix inspect --port 8080 --os windows --os macos

The options are read from the running program's own sockets, with pidfd_getfd(2) and getsockopt(2): the program is not
traced, and sockets of io_uring are seen.  It needs Linux 5.6, and root or the right to trace the process.

TCP connections are left out.  The options are those of now: the order in which they were set, options that were cleared
again and groups that were joined cannot be read.  Sockets are listed in the order of their inodes.

--json prints one object: warnings, folded, left_out and scenarios, as 'trace --json'.
"""


def configure(parser: argparse.ArgumentParser) -> None:
    """The arguments of the verb."""
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.epilog = _EPILOG
    which = parser.add_mutually_exclusive_group(required=True)
    which.add_argument("--pid", type=scenario_options.whole, metavar="PID", help="the sockets of this process")
    which.add_argument(
        "--port", type=scenario_options.port, metavar="N", help="the sockets bound to this port, whoever has them"
    )
    add_output(parser)


def run(arguments: argparse.Namespace) -> int:
    """Print the scenarios and their answers."""
    if arguments.pid is not None:
        if arguments.pid < 1:
            raise Problem(Place("--pid"), f"expected the number of a process, got {arguments.pid}")
        sockets = process_sockets.of_process(arguments.pid)
        head = f"process {arguments.pid} ({process_sockets.command_of(arguments.pid)})"
    else:
        sockets = process_sockets.of_port(arguments.port)
        head = f"port {arguments.port}"
    found = scenarios_of(sockets, Counter())
    show(found, [f"{head}: {counted(len(sockets), 'socket')} with a port"], [], {}, arguments)
    return OK
