"""Runs a command under strace, and ends it with everything that it started.

The command gets a network namespace of its own where that is allowed, so that its ports meet nobody's.  Whatever it
forks, also as a daemon in a session of its own, is traced by the same strace, and that is how it is found again:
/proc/PID/status names the tracer.  strace writes the inode of each socket (``-y``), and stops the program only at the
calls that are read (``--seccomp-bpf``), so that the program runs at nearly its own speed.
"""

from __future__ import annotations

import ctypes
import fcntl
import os
import re
import shutil
import signal
import socket
import struct
import subprocess
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType

from bindmatrix.errors import Place, Problem
from bindmatrix.programs import kernel_sockets
from bindmatrix.programs.kernel_sockets import KernelSocket
from bindmatrix.programs.socket_calls import NAMES

_NEWNET, _NEWUSER = 0x40000000, 0x10000000
#: seconds between two looks at the processes and their sockets
_LOOK = 0.1
#: seconds that a program has to end after SIGTERM, and after SIGKILL
_GRACE, _KILLED = 3.0, 10.0

#: how the command's network is its own -> what to say about it
NETWORKS = {
    "own": "in a network namespace of its own",
    "user": "in a network and a user namespace of its own",
    "none": "on the network of this machine: no network namespace is allowed here",
}


@dataclass
class TracedRun:
    """How a traced command went."""

    #: a key of NETWORKS
    network: str = "none"
    #: exit status; negative for a signal
    status: int = 0
    #: ``itself``, ``time`` (the time was over), ``settled`` or ``interrupt``
    ended_by: str = "itself"
    seconds: float = 0.0
    #: sockets that the kernel listed for the program while it ran, by inode
    listed: dict[str, KernelSocket] = field(default_factory=dict)


def strace_program() -> str:
    """Where strace is; raises :class:`Problem` with what to install."""
    found = shutil.which("strace")
    if found is None:
        raise Problem(Place("strace"), "not found; install the package strace (apt, dnf, apk or pacman have it)")
    return found


def run(
    command: Sequence[str],
    trace: Path,
    seconds: float = 0.0,
    *,
    settle: float = 0.0,
    own_network: bool = True,
    folder: Path | None = None,
) -> TracedRun:
    """Run ``command`` until it ends, for ``seconds`` at the most (0: no limit), with its trace in the file ``trace``.

    ``settle``: end it earlier, once it has a port and has bound nothing new for so many seconds (0: no).  ``folder``:
    where it runs.  An interrupt (Ctrl-C, SIGTERM) ends the command, not this function.  The command's standard output
    goes to standard error.  Raises :class:`Problem` where strace or the command is not there.
    """
    strace = strace_program()
    if shutil.which(command[0]) is None:
        raise Problem(Place(command[0]), "not found; expected a command to trace, as in 'trace -- python3 server.py'")
    asked = "trace=" + ",".join(f"?{name}" for name in sorted(NAMES))
    arguments = [
        strace,
        "-f",
        "-y",
        "-o",
        str(trace),
        "-e",
        asked,
        "-e",
        "signal=none",
        *_quick(strace),
        "--",
        *command,
    ]
    found = TracedRun()
    began = time.monotonic()
    with _Network() if own_network else nullcontext() as network:
        prepare = network.enter if network else None
        # the command is what the caller wants to run
        with subprocess.Popen(arguments, stdout=2, cwd=folder, preexec_fn=prepare) as process:  # noqa: S603
            found.network = network.kind() if network else "none"
            with _interrupts():
                _watch(process, found, seconds, settle)
            found.status = process.wait()
    found.seconds = time.monotonic() - began
    return found


def _quick(strace: str) -> list[str]:
    """The option that stops the program at the traced calls only; strace has it since 5.3."""
    asked = [strace, "-V"]
    said = subprocess.run(asked, capture_output=True, text=True, check=False).stdout  # noqa: S603  strace itself
    version = re.search(r"version (\d+)\.(\d+)", said)
    return ["--seccomp-bpf"] if version and (int(version[1]), int(version[2])) >= (5, 3) else []


class _Network:
    """A network namespace for a child, which tells through a pipe what it got."""

    def __init__(self) -> None:
        self._libc = ctypes.CDLL(None, use_errno=True)
        self._read, self._write = os.pipe()

    def __enter__(self) -> _Network:
        return self

    def __exit__(self, *_: object) -> None:
        os.close(self._read)
        if self._write >= 0:
            os.close(self._write)

    def enter(self) -> None:
        """In the child, before it becomes strace: the loopback interface of the namespace is up afterwards."""
        user, group = os.geteuid(), os.getegid()
        kind = "none"
        if self._libc.unshare(_NEWNET) == 0:
            kind = "own"
        elif self._libc.unshare(_NEWUSER | _NEWNET) == 0:
            kind = "user"
            Path("/proc/self/setgroups").write_text("deny", "ascii")
            Path("/proc/self/uid_map").write_text(f"{user} {user} 1", "ascii")
            Path("/proc/self/gid_map").write_text(f"{group} {group} 1", "ascii")
        if kind != "none":
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as one:
                fcntl.ioctl(one, 0x8914, struct.pack("16sh22x", b"lo", 0x41))  # SIOCSIFFLAGS: up and running
        os.write(self._write, kind.encode())

    def kind(self) -> str:
        """In the parent: a key of NETWORKS."""
        os.close(self._write)
        self._write = -1
        return os.read(self._read, 16).decode() or "none"


@contextmanager
def _interrupts() -> Iterator[None]:
    """SIGTERM and SIGHUP end the command as Ctrl-C does; while it is being ended, further ones change nothing."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    ending = False

    def interrupt(_number: int, _frame: FrameType | None) -> None:
        nonlocal ending
        if not ending:
            ending = True
            raise KeyboardInterrupt

    before = {number: signal.signal(number, interrupt) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _watch(process: subprocess.Popen[bytes], found: TracedRun, seconds: float, settle: float) -> None:
    """Look at the program's sockets until it ends, its time is over or somebody interrupts; leave nothing running."""
    traced = _Traced(process.pid)
    changed = time.monotonic()
    limit = changed + seconds if seconds else None
    try:
        while process.poll() is None:
            before = len(found.listed)
            traced.look(found)
            if len(found.listed) > before:
                changed = time.monotonic()
            if limit is not None and time.monotonic() >= limit:
                found.ended_by = "time"
                break
            if settle and found.listed and time.monotonic() - changed >= settle:
                found.ended_by = "settled"
                break
            time.sleep(_LOOK)
    except KeyboardInterrupt:
        found.ended_by = "interrupt"
    finally:
        traced.look(found)
        traced.end()
        try:
            process.wait(_GRACE)  # strace writes what it saw when the program is gone
        except subprocess.TimeoutExpired:
            process.kill()


class _Traced:
    """The processes that one strace traces."""

    def __init__(self, strace: int) -> None:
        self._strace = strace
        #: process -> when it started: a number may be given away again
        self._seen: dict[int, str] = {}

    def _now(self) -> list[int]:
        """Those that are traced, and those that were and have lost their tracer."""
        for pid in kernel_sockets.processes():
            if _status(pid, "TracerPid") == str(self._strace):
                self._seen.setdefault(pid, _started(pid))
        return [pid for pid, started in self._seen.items() if started and _started(pid) == started]

    def look(self, found: TracedRun) -> None:
        """Note the sockets that the kernel lists for the program."""
        pids = self._now()
        if not pids:
            return
        mine = kernel_sockets.held(pids) if found.network == "none" else None
        for one in kernel_sockets.listed(pids[0]):
            if mine is None or one.inode in mine:
                found.listed[one.inode] = one

    def end(self) -> None:
        """SIGTERM, then SIGKILL, until none is left."""
        asked: set[int] = set()
        begun = time.monotonic()
        while (pids := self._now()) and time.monotonic() - begun < _GRACE + _KILLED:
            late = time.monotonic() - begun > _GRACE
            for pid in pids:
                if late or pid not in asked:
                    asked.add(pid)
                    _signal(pid, signal.SIGKILL if late else signal.SIGTERM)
            time.sleep(0.02)


def _signal(pid: int, number: signal.Signals) -> None:
    try:
        os.kill(pid, number)
    except OSError:  # it has gone, or has changed its user
        return


def _status(pid: int, key: str) -> str:
    try:
        text = Path(f"/proc/{pid}/status").read_text("utf-8", "replace")
    except OSError:
        return ""
    found = re.search(rf"^{key}:\s*(\S+)", text, re.MULTILINE)
    return found[1] if found else ""


def _started(pid: int) -> str:
    """When a process started (field 22 of stat); "" where it has gone or is a zombie."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text("utf-8", "replace").rpartition(")")[2].split()
    except OSError:
        return ""
    return "" if fields[0] in "ZX" else fields[19]
