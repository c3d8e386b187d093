"""Traces in files: one, or the files that strace -ff writes, one for each process."""

from __future__ import annotations

import gzip
import re
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import IO

from bindmatrix.errors import Place, Problem
from bindmatrix.programs.socket_calls import SocketCalls
from bindmatrix.programs.strace_lines import LONGEST_LINE

#: ``out.4711``: the process whose calls -ff wrote there
_PROCESS = re.compile(r"\.(\d{1,10})(?:\.gz)?\Z")


def read(files: Sequence[Path]) -> SocketCalls:
    """The calls of a trace; ``-`` is standard input.

    Files of -ff have no common clock: that of a child is read where its parent makes it, as if it ran to its end
    before the parent went on.  Raises :class:`Problem` where a file holds no call.
    """
    calls = SocketCalls()
    waiting: dict[int, Path] = {}
    for file in files:
        found = _PROCESS.search(file.name)
        waiting[int(found[1]) if found else -len(waiting)] = file

    def read_one(pid: int) -> None:
        file = waiting.pop(pid)
        before, calls.lines.default_pid = calls.lines.default_pid, max(pid, 0)
        _read(calls, file)
        calls.lines.default_pid = before

    def made(child: int) -> None:
        if child in waiting:
            read_one(child)

    calls.descriptors.on_fork = made
    while waiting:
        read_one(next(iter(waiting)))
    return calls


def _read(calls: SocketCalls, file: Path) -> None:
    before = calls.lines.calls
    with _opened(file) as stream:
        calls.read(iter(partial(stream.readline, LONGEST_LINE), ""))
    if calls.lines.calls > before:
        return
    if calls.lines.traits["summary"]:
        raise Problem(Place(str(file)), "a table of 'strace -c' holds no calls; trace without -c")
    raise Problem(Place(str(file)), "expected the output of strace, found no call in it")


@contextmanager
def _opened(file: Path) -> Iterator[IO[str]]:
    if str(file) == "-":
        yield sys.stdin
    elif file.suffix == ".gz":
        try:
            with gzip.open(file, "rt", encoding="latin-1") as packed:
                yield packed
        except (gzip.BadGzipFile, EOFError) as error:
            raise Problem(Place(str(file)), f"cannot be unpacked: {error}") from error
    else:
        with file.open(encoding="latin-1") as stream:
            yield stream
