"""One process that runs ``executor.py``, spoken to through pipes without ever blocking on one of them."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections import deque
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from bindmatrix.execute import executor

#: the program; ``-I -S`` because it needs neither site-packages nor anything of the environment
COMMAND = (sys.executable, "-I", "-S", str(Path(executor.__file__)))


class Worker:
    """A running executor.  ``outstanding`` holds the scenarios it was given and has not answered, in order."""

    def __init__(self, namespace: str, command: Iterable[str] | None = None) -> None:
        self.outstanding: deque[str] = deque()
        #: scenarios of a worker that ended; they are given one by one
        self.careful: deque[str] = deque()
        self.header: dict[str, Any] | None = None
        self.closed = False
        self.heard = time.monotonic()
        self._unsent = memoryview(b"")
        self._partial = b""
        self._complaints = tempfile.TemporaryFile()  # noqa: SIM115 - lives as long as the worker
        options = ["--namespace", namespace, "--parent", str(os.getpid())]
        self._process = subprocess.Popen(  # noqa: S603 - our own program
            [*(command or COMMAND), *options],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._complaints,
            bufsize=0,
        )
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self.stdin = self._process.stdin.fileno()
        self.stdout = self._process.stdout.fileno()
        os.set_blocking(self.stdin, False)
        os.set_blocking(self.stdout, False)

    @property
    def wants_to_send(self) -> bool:
        return bool(self._unsent)

    def give(self, scenarios: list[str]) -> None:
        """Hand over scenarios; what does not fit into the pipe goes with later calls of :meth:`send`."""
        if not self.outstanding:
            self.heard = time.monotonic()
        self.outstanding.extend(scenarios)
        lines = [plain_line(text) for text in scenarios]
        self._unsent = memoryview(bytes(self._unsent) + ("\n".join(lines) + "\n").encode())
        self.send()

    def send(self) -> None:
        """Write as much as the pipe takes."""
        try:
            while self._unsent:
                self._unsent = self._unsent[os.write(self.stdin, self._unsent) :]
        except BlockingIOError:
            pass
        except BrokenPipeError:
            self._unsent = memoryview(b"")  # it died; the end of its output will say so

    def receive(self) -> list[bytes]:
        """The answers that have arrived, each with its newline; sets ``closed`` when no more will come."""
        try:
            data = os.read(self.stdout, 1 << 18)
        except BlockingIOError:
            return []
        self.closed = not data
        self.heard = time.monotonic()
        lines = (self._partial + data).splitlines(keepends=True)
        self._partial = b"" if not lines or lines[-1].endswith(b"\n") else lines.pop()
        if lines and self.header is None:
            try:
                self.header = json.loads(lines.pop(0))["host"]
            except (ValueError, KeyError, TypeError, RecursionError):
                self.closed = True  # whatever this is, it is not the executor
        for _ in lines:
            self.outstanding.popleft()
        return lines

    def end(self) -> str:
        """Kill the process and forget it; how it ended."""
        ended = self._process.poll()
        if ended is None:
            self._process.kill()
            self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                pipe.close()
        words = ""
        if not self._complaints.closed:
            self._complaints.seek(0)
            words = self._complaints.read().decode("utf-8", "replace").strip()
            self._complaints.close()
        if ended is not None and ended < 0:
            words = f"{signal.Signals(-ended).name} {words}".strip()
        return words.splitlines()[-1] if words else ""


def plain_line(text: str) -> str:
    """A scenario as a line of input, without its end: as it is where it can stand so."""
    if text.isascii() and text.isprintable() and text[:1] not in ("", " ", "{"):
        return text
    return json.dumps({"scenario": text})
