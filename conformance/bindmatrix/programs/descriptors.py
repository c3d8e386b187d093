"""Which socket a call of a trace is on: descriptors of processes followed through fork, exec, dup and messages.

A trace with -y names the inode of each socket, and that decides.  Without it there is only the number, so every
process has a table of descriptors here too: threads share it (CLONE_FILES), fork copies it, exec drops what is
close-on-exec, dup and SCM_RIGHTS add to it.  The table also tells when a socket's last descriptor is closed, which
is when its port is free.

Memory is bounded: a socket that nobody can ask about any more is only counted (:meth:`Descriptors.forget`).
"""

from __future__ import annotations

import re
from collections import Counter, deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import NamedTuple

from bindmatrix.programs import strace_values as values
from bindmatrix.programs.strace_lines import FORKS, Lines, SystemCall, ThreadExit

#: steps of one socket that are kept, and sockets that are kept
MOST_STEPS, MOST_SOCKETS = 64, 2_000
#: messages with descriptors that nobody has received yet
_MOST_MESSAGES = 1_000
#: the descriptors of a message
_RIGHTS = re.compile(r"cmsg_type=(?:SCM_RIGHTS|0x1)\b[^\]]*?cmsg_data=\[([^\]]*?(?:\[\d+\]>[^\]]*?)*)\]")


class TracedCall(NamedTuple):
    """One call on a socket."""

    #: of the trace; events of all sockets are in this order
    line: int
    #: ``socket set bind listen close join``
    kind: str
    #: what stands behind the dot: ``reuseaddr=1``, ``bind=0.0.0.0``
    word: str
    #: bind: network namespace, and the port or the name
    port: tuple[int, int | str] | None
    error: str
    #: effective user where the process has changed it; ""
    user: str


@dataclass(eq=False)
class Socket:
    """One socket, whoever holds it."""

    #: a row of SOCKET_KINDS; "" where it is none or its socket() is not in the trace
    kind: str
    #: what it is where ``kind`` is ""
    otherwise: str
    line: int
    inode: str = ""
    #: descriptors that it has, of all processes
    holders: int = 0
    events: list[TracedCall] = field(default_factory=list)
    #: calls that the notation has no step for, or that changed nothing -> how often
    marks: Counter[str] = field(default_factory=Counter)
    #: False for one beyond the most that are kept
    kept: bool = True
    listening: bool = False
    connected: str = ""
    #: the port that the kernel chose, of getsockname()
    chosen: int = 0
    #: last value of each option of the notation
    options: dict[str, int] = field(default_factory=dict)


@dataclass(eq=False)
class _Files:
    """A table of descriptors."""

    sockets: dict[int, Socket] = field(default_factory=dict)
    close_on_exec: set[int] = field(default_factory=set)
    processes: int = 1


@dataclass(eq=False)
class Process:
    files: _Files
    #: effective user where setuid() and the like have changed it; ""
    user: str = ""
    netns: int = 0
    threads: int = 1


class Descriptors:
    """Follows the calls of a trace; ``on_call`` is told every call with the socket that it is on."""

    def __init__(
        self,
        lines: Lines,
        on_call: Callable[[SystemCall, Socket, Process], None],
        on_close: Callable[[SystemCall | ThreadExit, Socket], None],
    ) -> None:
        self._lines = lines
        self._on_call = on_call
        self._on_close = on_close
        self._of: dict[int, Process] = {}
        self._by_inode: dict[str, Socket] = {}
        self._messages: deque[list[Socket | None]] = deque(maxlen=_MOST_MESSAGES)
        self._namespaces = 0
        #: told the number of every new process
        self.on_fork: Callable[[int], None] = lambda _: None
        #: io_uring_setup() was called: sockets may be made and bound by it unseen
        self.io_uring = 0
        #: the trace names sockets by their inodes
        self.with_inodes = False

    def follow(self, call: SystemCall | ThreadExit) -> None:
        """What ``call`` does to descriptors, then the call itself."""
        if isinstance(call, ThreadExit):
            self._exit(call)
            return
        process = self._process(call.pid)
        handler = _HANDLERS.get(call.name)
        if handler is not None:
            handler(self, call, process)
        elif call.arguments:
            socket = self._socket(call, process)
            if socket is not None:
                self._on_call(call, socket, process)

    def forget(self, socket: Socket) -> None:
        """A closed socket that no longer matters."""
        if self._by_inode.get(socket.inode) is socket:
            del self._by_inode[socket.inode]

    # -- processes

    def _process(self, pid: int) -> Process:
        if pid not in self._of:
            # the child of a clone() that has not returned in the trace, else one whose parent is not in it
            parent = next((one for one, (name, _) in reversed(self._lines.pending.items()) if name in FORKS), None)
            if parent is None or parent not in self._of:
                self._of[pid] = Process(_Files())
            else:
                self._child(pid, self._of[parent], self._lines.pending[parent][1])
        return self._of[pid]

    def _child(self, pid: int, parent: Process, arguments: str) -> None:
        flags = values.flags(arguments)
        if "CLONE_THREAD" in flags:
            parent.threads += 1
            self._of[pid] = parent
            return
        files = parent.files
        if "CLONE_FILES" in flags:
            files.processes += 1
        else:
            files = _Files(dict(files.sockets), set(files.close_on_exec))
            for socket in files.sockets.values():
                socket.holders += 1
        self._of[pid] = child = Process(files, parent.user, parent.netns)
        if "CLONE_NEWNET" in flags:
            self._new_namespace(child)

    def _new_namespace(self, process: Process) -> None:
        self._namespaces += 1
        process.netns = self._namespaces

    def _fork(self, call: SystemCall, process: Process) -> None:
        if call.result is not None and call.result > 0 and call.result not in self._of:
            self._child(call.result, process, ", ".join(call.arguments))
            self.on_fork(call.result)

    def _exit(self, call: ThreadExit) -> None:
        process = self._of.pop(call.pid, None)
        if process is None:
            return
        process.threads -= 1
        if process.threads == 0:
            self._end(call, process)

    def _exit_group(self, call: SystemCall, process: Process) -> None:
        for pid in [pid for pid, one in self._of.items() if one is process]:
            del self._of[pid]
        self._end(call, process)

    def _end(self, call: SystemCall | ThreadExit, process: Process) -> None:
        process.files.processes -= 1
        if process.files.processes == 0:
            for number in list(process.files.sockets):
                self._drop(call, process.files, number)

    def _exec(self, call: SystemCall, process: Process) -> None:
        if call.error or call.result is None:
            return
        if process.files.processes > 1:
            process.files.processes -= 1
            process.files = _Files(dict(process.files.sockets), set(process.files.close_on_exec))
            for socket in process.files.sockets.values():
                socket.holders += 1
        for number in sorted(process.files.close_on_exec):
            self._drop(call, process.files, number)
        process.threads = 1
        for pid in [pid for pid, one in self._of.items() if one is process and pid != call.pid]:
            del self._of[pid]  # exec ends the other threads

    def _user(self, call: SystemCall, process: Process) -> None:
        effective = call.arguments[1:2] if call.name.startswith("setre") else call.arguments[:1]
        value = values.number(effective[0]) if effective else None
        if not call.error and value is not None and 0 <= value < 2**32 - 1:
            process.user = str(value)

    def _namespace(self, call: SystemCall, process: Process) -> None:
        if not call.error and "CLONE_NEWNET" in values.flags(f"flags={'|'.join(call.arguments)}"):
            self._new_namespace(process)

    # -- descriptors

    def _put(self, call: SystemCall, files: _Files, number: int, socket: Socket, *, cloexec: bool = False) -> None:
        if files.sockets.get(number) is socket:
            return
        socket.holders += 1
        self._drop(call, files, number)
        files.sockets[number] = socket
        if cloexec:
            files.close_on_exec.add(number)

    def _drop(self, call: SystemCall | ThreadExit, files: _Files, number: int) -> None:
        files.close_on_exec.discard(number)
        socket = files.sockets.pop(number, None)
        if socket is not None:
            socket.holders -= 1
            if socket.holders == 0:
                self._on_close(call, socket)

    def _known(self, call: SystemCall, process: Process, argument: str) -> Socket | None:
        """The socket of a descriptor, where it is one that is followed."""
        number, what = values.descriptor(argument)
        inode = values.inode(what)
        if inode:
            self.with_inodes = True
            socket = self._by_inode.get(inode)
            if socket is not None and number >= 0:
                self._put(call, process.files, number, socket)
            return socket
        socket = process.files.sockets.get(number)
        return None if socket is not None and what and not what.partition(":")[2].startswith("[") else socket

    def _socket(self, call: SystemCall, process: Process) -> Socket | None:
        """The socket of a call; one whose socket() is not in the trace only where it is bound or listens."""
        socket = self._known(call, process, call.arguments[0])
        number, what = values.descriptor(call.arguments[0])
        if socket is None and number >= 0 and call.name in ("bind", "listen") and not call.error:
            kind = values.kind_of_decoration(what)
            socket = Socket(kind, "" if kind else "a socket made outside the trace", call.line, values.inode(what))
            if socket.inode:
                self._by_inode[socket.inode] = socket
            self._put(call, process.files, number, socket)
        return socket

    def _made(self, call: SystemCall, process: Process) -> None:
        if call.error or call.result is None:
            return
        kind, otherwise = values.socket_kind(call.arguments)
        inode = values.inode(call.result_is)
        socket = Socket(kind, otherwise, call.line, inode)
        if inode:
            self.with_inodes = True
            self._by_inode[inode] = socket
        kinds = call.arguments[1] if len(call.arguments) > 1 else ""
        self._put(call, process.files, call.result, socket, cloexec="CLOEXEC" in kinds or "0x80000" in kinds)
        self._on_call(call, socket, process)

    def _close(self, call: SystemCall, process: Process) -> None:
        if call.arguments and not call.error:
            self._drop(call, process.files, values.descriptor(call.arguments[0])[0])

    def _close_range(self, call: SystemCall, process: Process) -> None:
        first, last, how = (values.number(one) for one in (*call.arguments, "", "", "")[:3])
        if call.error or first is None or "CLOEXEC" in " ".join(call.arguments) or how == 4:
            return
        for number in sorted(process.files.sockets):
            if number >= first and (last is None or number <= last):
                self._drop(call, process.files, number)

    def _dup(self, call: SystemCall, process: Process) -> None:
        if call.error or call.result is None or not call.arguments:
            return
        socket = self._known(call, process, call.arguments[0])
        if call.name != "dup" and values.descriptor(call.arguments[0])[0] != call.result:
            self._drop(call, process.files, call.result)
        if socket is not None:
            self._put(call, process.files, call.result, socket, cloexec="CLOEXEC" in " ".join(call.arguments[2:]))

    def _fcntl(self, call: SystemCall, process: Process) -> None:
        command = call.arguments[1] if len(call.arguments) > 1 else ""
        number = values.number(command)
        if command.startswith("F_DUPFD") or number in (0, 1030):
            cloexec = "CLOEXEC" in command or number == 1030
            socket = self._known(call, process, call.arguments[0])
            if socket is not None and not call.error and call.result is not None:
                self._put(call, process.files, call.result, socket, cloexec=cloexec)
            return
        if call.error or not (command.startswith(("F_SETFD", "F_GETFD")) or number in (1, 2)):
            return
        # F_GETFD tells what FIOCLEX and FIONCLEX, which are not traced, have set
        is_set = command.startswith("F_SETFD") or number == 2
        value = values.number(call.arguments[2]) if is_set and len(call.arguments) > 2 else call.result
        keep = process.files.close_on_exec
        (keep.discard if value == 0 else keep.add)(values.descriptor(call.arguments[0])[0])

    def _message(self, call: SystemCall, process: Process) -> None:
        found = _RIGHTS.search(", ".join(call.arguments))
        if found is None or call.error:
            return
        sent = [one.strip() for one in found[1].split(",")]
        if call.name.startswith("send"):
            parcel = [self._known(call, process, one) for one in sent]
            for socket in parcel:
                if socket is not None:
                    socket.holders += 1  # the message holds it, whatever its sender closes
            self._messages.append(parcel)
            return
        received = [values.descriptor(one) for one in sent]
        parcel = self._parcel([self._by_inode.get(values.inode(what)) for _, what in received])
        for (number, _), socket in zip(received, parcel, strict=True):
            if socket is not None:
                self._put(call, process.files, number, socket, cloexec="CLOEXEC" in " ".join(call.arguments))
                socket.holders -= 1

    def _parcel(self, named: list[Socket | None]) -> list[Socket | None]:
        """The sockets of a received message: those that -y names, else the oldest message of as many."""
        for one in self._messages:
            if len(one) == len(named) and (one == named or not any(named)):
                self._messages.remove(one)
                return one
        for socket in named:
            if socket is not None:
                socket.holders += 1
        return named

    def _io_uring(self, call: SystemCall, process: Process) -> None:  # noqa: ARG002  every handler has one form
        self.io_uring += not call.error


_HANDLERS: dict[str, Callable[[Descriptors, SystemCall, Process], None]] = {
    "socket": Descriptors._made,
    "close": Descriptors._close,
    "close_range": Descriptors._close_range,
    "dup": Descriptors._dup,
    "dup2": Descriptors._dup,
    "dup3": Descriptors._dup,
    "fcntl": Descriptors._fcntl,
    "fcntl64": Descriptors._fcntl,
    "execve": Descriptors._exec,
    "execveat": Descriptors._exec,
    "exit_group": Descriptors._exit_group,
    "unshare": Descriptors._namespace,
    "setns": Descriptors._namespace,
    "io_uring_setup": Descriptors._io_uring,
    **dict.fromkeys(FORKS, Descriptors._fork),
    **dict.fromkeys(("setuid", "setreuid", "setresuid", "seteuid"), Descriptors._user),
    **dict.fromkeys(("setuid32", "setreuid32", "setresuid32"), Descriptors._user),
    **dict.fromkeys(("sendmsg", "recvmsg"), Descriptors._message),
}

#: the calls that descriptors are followed through
FOLLOWED: frozenset[str] = frozenset(_HANDLERS)
