"""The command `bindmatrix`: finds the verb and prints errors in one line.

Exit status: 0 all conform, 1 something diverges, 2 bad input or set-up, 70 a defect of bindmatrix, 130 interrupted.  A
verb is one module beside this one with ``configure(parser)`` and ``run(arguments) -> int``.  Only the requested verb is
imported, so that ``--help`` is fast.
"""

from __future__ import annotations

import argparse
import atexit
import errno
import gc
import importlib
import io
import os
import re
import signal
import sys
import textwrap
import threading
import time
from collections.abc import Sequence
from typing import NoReturn, TextIO

from bindmatrix import __version__
from bindmatrix.errors import BindmatrixError, defect, nearest, short
from bindmatrix.quoting import terminal as plain

OK, DIVERGES, WRONG, DEFECT, INTERRUPTED = 0, 1, 2, 70, 130

#: verb -> one line; the order is that of the help
VERBS: dict[str, str] = {
    "run": "generate scenarios, run them on this kernel or on others, judge, report",
    "scenarios": "print the scenarios that 'run' would run on a host, or those to run again",
    "observe": "run given scenarios and print what happened",
    "judge": "compare the observations of a host with the rules",
    "predict": "what a system returns, as JSON Lines",
    "ask": "what every system returns for one scenario, side by side",
    "check": "check what a library relies on, on every system that it supports",
    "trace": "the socket calls of a program as scenarios, and what every system does with them",
    "inspect": "the sockets of a running process or of a port, with their options, as scenarios",
    "audit": "what a program does on the systems that its author does not have",
    "recipes": "the smallest option sets that reach a goal, on every system",
    "misuse": "uses of socket options that hurt on some systems",
    "diff": "what differs between two or three expectation files, or two or three recordings",
    "claims": "what people believe about socket options, and where it is true",
    "ports": "what happens with ports that the kernel chooses",
    "kernels": "list kernel images, or boot each one with a scenario to see where the answer changes",
    "report": "results of one or several hosts as HTML, Markdown, JUnit XML and JSON",
    "site": "the explorer and the pages around it, made from the rules",
    "collect": "judge the recordings of many machines and write what a CI job publishes",
    "kit": "one file that records a machine in less than a minute",
    "contribute": "what such a recording settles, and how to submit it",
    "reproduce": "write a C program, a Python program and a bug report for one scenario",
    "lint": "check the expectation files against each other and the evidence",
    "regenerate": "write the generated files of a checkout, or check that they are up to date",
    "help": "explain the notation of scenarios, or a verb",
}


#: verbs whose status says whether something diverges; for the others a closed pipe is no error
_JUDGES = ("run", "judge", "report", "collect", "contribute", "kernels", "lint", "regenerate")
_HELP_WIDTH = 80
#: a row of a table in a help: indentation, first column, gap, the others
_COLUMNS = re.compile(r"( *)(\S.*?)(?:(  +)(.*))?")
#: seconds within which several signals count as one
_AT_ONCE = 0.5
#: errors of write() on standard output, which carry no file name
_NOT_WRITTEN = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO, errno.EBADF)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command with ``argv`` (without the program's name) and return its exit status."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    _open_what_is_closed()
    _forgive_letters()
    _end_as_ctrl_c_does()
    try:
        return _told(arguments)
    except OSError as error:
        gone = isinstance(error, BrokenPipeError) or (os.name == "nt" and error.errno == errno.EINVAL)
        if error.filename is not None:
            _say(f"{plain(str(error.filename))}: {error.strerror}")
        elif error.errno in _NOT_WRITTEN:
            _say(f"standard output: cannot be written: {error.strerror}")
        elif not gone:
            if os.environ.get("BINDMATRIX_TRACEBACK"):
                raise
            _say(defect(error))
            return DEFECT
        if error.filename is None:
            # the reader closed the pipe (EINVAL on Windows: bpo-19612), or the disk is full
            _drop(sys.stdout)
        judges = bool(arguments) and arguments[0] in _JUDGES
        return OK if gone and error.filename is None and not judges else WRONG


def _end_as_ctrl_c_does() -> None:
    """Let SIGTERM (docker stop, a CI time-out) and SIGHUP end a run as Ctrl-C does: with its summary.

    Several at once count as one: the second would interrupt what the first lets finish.
    """
    if threading.current_thread() is not threading.main_thread():
        return
    before = -_AT_ONCE

    def interrupt(_number: int, _frame: object) -> None:
        nonlocal before
        now = time.monotonic()
        if now - before >= _AT_ONCE:
            before = now
            raise KeyboardInterrupt

    for name, usual in (
        ("SIGINT", signal.default_int_handler),
        ("SIGTERM", signal.SIG_DFL),
        ("SIGHUP", signal.SIG_DFL),
    ):
        number = getattr(signal, name, None)
        if number is not None and signal.getsignal(number) == usual:
            signal.signal(number, interrupt)
            # while it ends, Python gives handlers back: another Ctrl-C would kill what has its exit status already
            atexit.register(signal.signal, number, signal.SIG_IGN)


def _told(arguments: list[str]) -> int:
    try:
        return _main(arguments)
    except BindmatrixError as error:
        sys.stdout.flush()
        _say("\n".join(map(short, str(error).split("\n"))))
        return WRONG
    except KeyboardInterrupt:
        _say("interrupted")
        return INTERRUPTED
    except OSError:
        raise  # streams and files, see main()
    except Exception as error:
        if os.environ.get("BINDMATRIX_TRACEBACK"):
            raise
        _say(defect(error))
        return DEFECT
    except SystemExit:
        # argparse has printed a help or what is wrong with the arguments
        sys.stdout.flush()
        raise
    finally:
        # flush what argparse and the verbs wrote there
        _say("", end="")


def _say(text: str, end: str = "\n") -> None:
    """Print on standard error; if that fails too, only the exit status tells."""
    try:
        print(text, file=sys.stderr, end=end, flush=True)
    except OSError:
        _drop(sys.stderr)


def _drop(stream: TextIO) -> None:
    """Discard what is left in an unwritable stream; Python would exit with status 120."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


def _open_what_is_closed() -> None:
    """After ``<&-``, ``>&-`` or ``2>&-`` there is no stream, and the next opened file would get its number.

    Writes are dropped; a read fails.
    """
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            null = os.open(os.devnull, os.O_WRONLY)
            os.set_inheritable(null, True)
            setattr(sys, name, os.fdopen(null, mode, encoding="utf-8"))


def _forgive_letters() -> None:
    """Do not end with a traceback for a character that the console cannot show (Windows: cp1252)."""
    for stream, errors in ((sys.stdin, "replace"), (sys.stdout, "backslashreplace")):
        if isinstance(stream, io.TextIOWrapper) and stream.errors == "strict":
            stream.reconfigure(errors=errors)


class OneLineParser(argparse.ArgumentParser):
    """Says in one line what is wrong with the arguments, without the usage; its help has 80 columns."""

    def format_help(self) -> str:
        """The help, its prose and the rows of its tables wrapped."""
        self.description = _filled(self.description or "")
        paragraphs = (self.epilog or "").split("\n\n")
        self.epilog = "\n\n".join(map(_wrapped, paragraphs))
        return super().format_help()

    def error(self, message: str) -> NoReturn:
        """End with status 2."""
        self.exit(WRONG, f"{self.prog}: {short(message)}; see '{self.prog} --help'\n")


def _wrapped(paragraph: str) -> str:
    lines = paragraph.split("\n")
    if any(line.startswith(" ") for line in lines):
        return "\n".join(map(_row, lines))
    return paragraph if max(map(len, lines)) <= _HELP_WIDTH else _filled(paragraph)


def _row(line: str) -> str:
    """A row of a table, or an example with what it does: the second column is wrapped below itself.

    Where the first leaves no room for it, it comes below the first.
    """
    match = _COLUMNS.fullmatch(line)
    if len(line) <= _HELP_WIDTH or match is None:
        return line
    indent, first, gap, second = match.groups("")
    column = len(indent + first + gap)
    if column <= _HELP_WIDTH // 2:
        return _filled(second, indent + first + gap, " " * column)
    margin = indent + "    "
    return "\n".join([_filled(first, indent, margin), *([_filled(second, margin, margin)] if second else [])])


def _filled(text: str, first: str = "", others: str = "") -> str:
    """``text`` in lines that fit, each with its indentation."""
    return textwrap.fill(
        text,
        _HELP_WIDTH,
        initial_indent=first,
        subsequent_indent=others,
        break_long_words=False,
        break_on_hyphens=False,
    )


class _Version(argparse.Action):
    """Print the version of the program and that of the rules, which are read for it."""

    def __call__(self, parser: argparse.ArgumentParser, *_: object, **__: object) -> None:
        from bindmatrix.rules.catalog import data_version

        print(f"bindmatrix {__version__} (rules {data_version()})")
        parser.exit()


def _main(arguments: list[str]) -> int:
    top = OneLineParser(
        prog="bindmatrix",
        description="What happens when sockets bind the same port, on this kernel and on others.",
        epilog="verbs:\n" + "\n".join(f"  {verb:<12}{line}" for verb, line in VERBS.items()),
        formatter_class=argparse.RawDescriptionHelpFormatter,
        usage="bindmatrix [-h] [--version] VERB ...",
    )
    top.add_argument("--version", action=_Version, nargs=0, help="print the version of the program and of its rules")
    top.add_argument("verb", metavar="VERB", help="one of the verbs below; 'bindmatrix VERB --help' says more")
    if not arguments:
        top.print_help()
        return WRONG
    verb = top.parse_args(arguments[:1]).verb
    if verb not in VERBS:
        print(f"bindmatrix: unknown verb {verb!r}{nearest(verb, VERBS)}; there are {', '.join(VERBS)}", file=sys.stderr)
        return WRONG
    # the oracle keeps what it computes until the end: scanning that for garbage again and again would double the time
    gc.set_threshold(200_000, 100, 100)
    module = importlib.import_module(f"bindmatrix.cli.{verb}")
    parser = OneLineParser(prog=f"bindmatrix {verb}", description=f"{VERBS[verb][0].upper()}{VERBS[verb][1:]}.")
    module.configure(parser)
    found, rest = parser.parse_known_args(arguments[1:])
    if rest:
        steps = any("=" in word and not word.startswith("-") for word in arguments[1:])
        advice = "; a scenario of several steps is one argument: put it in quotes" if steps else ""
        parser.error(f"unrecognized arguments: {' '.join(rest)}{advice}")
    status: int = module.run(found)
    sys.stdout.flush()
    return status
