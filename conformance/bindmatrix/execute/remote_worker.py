"""One executor behind a connection: it is sent there, started, given scenarios and ended."""

from __future__ import annotations

import contextlib
import inspect
import queue
import threading
import time
from collections import deque
from collections.abc import Sequence
from typing import Any

from execnet.gateway_base import RemoteError
from execnet.gateway_bootstrap import bootstrap
from execnet.xspec import XSpec

from bindmatrix.execute import executor
from bindmatrix.execute.execnet_io import Connection
from bindmatrix.execute.local import HostError
from bindmatrix.execute.wire_check import Answers, Misconduct, facts, plain
from bindmatrix.execute.worker import plain_line

_MARK = b"bindmatrix: the executor is here"
_FIRST = """
import sys
if sys.version_info < (3, 8):
    sys.exit("Python 3.8 or newer is needed, this is %d.%d: name another one" % sys.version_info[:2])
exec(eval(sys.stdin.readline()))
"""
#: the executor is made before execnet starts a thread: a user namespace needs a process that has one alone
_SECOND = """
import sys, types
bindmatrix = types.ModuleType("bindmatrix_executor")
try:
    exec(compile({source}, "executor.py", "exec"), bindmatrix.__dict__)
    made = bindmatrix.Executor({namespace!r})
except ImportError as error:
    sys.exit("its Python has no sockets (%s): name another one" % error)
except OSError as error:
    sys.exit("no sockets for the executor (%s)" % error)
sys.stdout.write({mark!r} + "\\n")
sys.stdout.flush()
exec(eval(sys.stdin.readline()))
"""
_THIRD = "import __main__\n__main__.bindmatrix.serve_channel(channel, __main__.made)"
#: pieces that may wait here unread; a far side that sends more waits with them
_WAITING = 4
#: seconds in which a far side ends by the end of its input
_GRACE = 3.0

ResultQueue = queue.SimpleQueue["RemoteWorker"]


class RemoteWorker:
    """An executor somewhere.  ``outstanding`` holds the scenarios it was given and has not answered, in order.

    It starts by itself; ``arrivals`` gets it whenever there is something to ``receive``.
    """

    def __init__(self, command: Sequence[str], namespace: str, arrivals: ResultQueue) -> None:
        self.outstanding: deque[str] = deque()
        #: whether each of them is answered before the next is begun
        self.singly = False
        self.header: dict[str, Any] | None = None
        self.closed = False
        self.heard = self.born = time.monotonic()
        self._arrivals = arrivals
        self._items: deque[bytes] = deque()
        self._room = threading.Semaphore(_WAITING)
        self._ended = False
        self._misconduct = ""
        self._answers = Answers()
        self._channel: Any = None
        try:
            self._connection = Connection(command)
        except OSError as error:
            raise HostError(f"{command[0]!r} cannot be started: {error.strerror or error}") from None
        threading.Thread(target=self._start, args=(namespace,), daemon=True).start()

    # --- in the threads of the connection ---------------------------------------------------------------------------

    def _start(self, namespace: str) -> None:
        connection = self._connection
        source = ascii(inspect.getsource(executor))
        try:
            for text in (_FIRST, _SECOND.format(source=source, namespace=namespace, mark=_MARK.decode())):
                connection.write(ascii(text).encode() + b"\n")
            connection.await_mark(_MARK)
            # execnet's own makegateway() makes its own IO, which validates nothing
            gateway = bootstrap(connection, XSpec("popen//python=there//id=host//execmodel=thread"))
            channel = gateway.remote_exec(_THIRD)
            channel.setcallback(self._arrived, endmarker=None)
            self._channel = channel
            connection.ready.set()
        except (EOFError, OSError, AssertionError):
            connection.close_read()
            self._arrived(None)

    def _arrived(self, item: bytes | None) -> None:
        """In the thread that reads: keep ``item`` for :meth:`receive`; None is the end."""
        if item is not None:
            self._room.acquire()
            self.heard = time.monotonic()
            self._items.append(item)
        else:
            self.closed = True
        if not self._ended:
            self._arrivals.put(self)

    # --- in the thread of the host ----------------------------------------------------------------------------------

    def give(self, scenarios: list[str], *, singly: bool = False) -> None:
        """Hand over scenarios; ``singly``: each is answered before the next is begun."""
        if not self.outstanding:
            self.heard = time.monotonic()
        self.singly = singly
        self.outstanding.extend(scenarios)
        lines = [plain_line(text) for text in scenarios]
        for item in lines if singly else ["\n".join(lines)]:
            with contextlib.suppress(OSError):  # it ended; the end of its output will say so
                self._channel.send(item.encode())

    @property
    def misconduct(self) -> str:
        """What it did that no executor does, "" for nothing."""
        return self._misconduct or self._connection.failure

    def receive(self) -> list[bytes] | None:
        """Answers that have arrived, each with its newline, in pieces; None when there is no piece.

        ``misconduct`` says so when something else arrived.
        """
        if not self._items:
            return None
        item = self._items.popleft()
        self._room.release()
        lines = item.splitlines(keepends=True)
        try:
            if not lines or not lines[-1].endswith(b"\n"):
                raise Misconduct("sent a piece of a line")
            if self.header is None:
                self.header = facts(lines.pop(0))
            if len(lines) > len(self.outstanding):
                raise Misconduct(f"gave {len(lines) - len(self.outstanding)} answers that nobody asked for")
            answers = self._answers.check(lines, [self.outstanding[index] for index in range(len(lines))])
        except Misconduct as misconduct:
            self._misconduct = f"it {misconduct}"
            return []
        for _ in answers:
            self.outstanding.popleft()
        return answers

    def leave(self) -> None:
        """Close its input: it ends by that."""
        self._connection.ready.set()
        self._connection.close_write()

    def end(self) -> str:
        """End the far side and forget it; how it ended, in a line."""
        self._ended = True
        for _ in range(_WAITING):
            self._room.release()
        idle = self.header is not None and not self.misconduct and not self.outstanding
        self._connection.end(_GRACE if idle or self.closed else 0.0)
        error = self._far_error()  # in any case: execnet prints the error of a channel that nobody asked for
        return self._connection.failure or error or self._connection.words()

    def _far_error(self) -> str:
        """The last line of what our executor raised there, "" for nothing."""
        if self._channel is None:
            return ""
        try:
            self._channel.waitclose(0.2)
        except RemoteError as error:
            return plain(error.formatted.strip().rpartition("\n")[2])[:200]
        except (OSError, EOFError):
            pass
        return ""
