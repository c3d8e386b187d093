"""The connection to a Python somewhere else: a process whose standard input and output lead there.

It is the ``IO`` object under an execnet gateway, and validates every frame.  execnet trusts its far side: a frame of
nine bytes may claim two gigabytes, a list of five bytes may become sixteen, any frame may make a channel, and received
items wait in an unbounded queue.  None of this can be limited from outside, so every frame is checked here before
execnet reads it.  Only what an executor sends passes: items of bytes on the one channel, of at most ``MAX_FRAME``, and
the end of that channel.  Anything else ends the process.

Three threads a connection: execnet's receiver reads, one thread writes (so that no caller waits for a far side that
does not read), one keeps the last output on standard error.
"""

from __future__ import annotations

import contextlib
import os
import queue
import signal
import struct
import subprocess
import threading
import time
from collections.abc import Sequence
from typing import IO, Any

from execnet.gateway_base import Message, get_execmodel

#: bytes of one frame; the answers to what is given at once are far below
MAX_FRAME = 4 << 20
#: bytes that may come before the far side has started: greetings of shells, messages of a kernel that boots
MAX_NOISE = 256 << 10
#: bytes that are kept of what it says on standard error
_LAST_WORDS = 2000
_MAX_COMPLAINTS = 16 << 20
#: execnet gives this number to the first channel that our side makes
CHANNEL = 1
_ENDS = (Message.CHANNEL_CLOSE, Message.CHANNEL_LAST_MESSAGE, Message.GATEWAY_TERMINATE)


class Connection:
    """Starts ``command``; ``failure`` says in a line why it was ended from here, "" while it was not.

    Raises OSError when the command cannot be started.
    """

    def __init__(self, command: Sequence[str]) -> None:
        self.execmodel = get_execmodel("thread")
        self.failure = ""
        #: execnet may read frames: their receiver exists
        self.ready = threading.Event()
        #: the channel has ended; nothing more is read
        self._over = False
        self._payload: bytes | None = None
        #: how it ended by itself
        self._status = 0
        self._gone = False
        self._lock = threading.Lock()
        self._noise = bytearray()
        self._words = bytearray()
        self._process = subprocess.Popen(  # noqa: S603 - what the user asked for
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            # only this process gets Ctrl-C, and everything that the command starts can be ended together
            start_new_session=True,
        )
        self._unsent: queue.SimpleQueue[bytes | None] = queue.SimpleQueue()
        self._writer = self._thread(self._write, self._process.stdin)
        self._keeper = self._thread(self._keep, self._process.stderr)

    # --- what execnet calls -----------------------------------------------------------------------------------------

    def read(self, size: int) -> bytes:
        """``size`` bytes of what passed; execnet reads a "1", then again and again nine bytes and what they claim."""
        if self._payload is not None:
            payload, self._payload = self._payload, None
            return payload
        if size == 1:
            return self._raw(1)
        self.ready.wait()
        if self._over:
            raise EOFError("the channel has ended")  # execnet would print what a channel of the past says
        header = self._raw(9)
        code, channel, length = struct.unpack("!bii", header)
        self._payload = self._checked(code, channel, length)
        return header

    def write(self, data: bytes) -> None:
        """Have ``data`` written; never waits."""
        self._unsent.put(data)

    def close_read(self) -> None:
        """Read no more; only the thread that reads may say so."""
        self._stdout.close()

    def close_write(self) -> None:
        """Close the standard input of the far side when all is written: it ends by that."""
        self._unsent.put(None)

    def wait(self) -> None:
        """Do nothing: waiting for a process frees its number, and only :meth:`end` may do that."""

    def kill(self) -> None:
        """End the process and what it started."""
        with self._lock:
            if self._gone:
                return  # its number may belong to another process by now
            if os.name == "nt":
                self._process.kill()
                return
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(self._process.pid, signal.SIGKILL)

    # --- what passes ------------------------------------------------------------------------------------------------

    def _raw(self, size: int) -> bytes:
        data: bytes = self._stdout.read(size)
        if len(data) < size:
            raise EOFError("the far side has ended")
        return data

    def _checked(self, code: int, channel: int, length: int) -> bytes:
        """The rest of a frame, if it may pass."""
        data = code == Message.CHANNEL_DATA
        error = code == Message.CHANNEL_CLOSE_ERROR
        if not (data or error or code in _ENDS) or channel not in (CHANNEL, 0):
            raise self.refuse("it sent what no executor sends")
        if not 0 <= length <= (MAX_FRAME if data else 64 << 10 if error else 0):
            raise self.refuse(f"it announced {length:,} bytes at once")
        payload = self._raw(length)
        self._over = self._over or not data
        if data or error:
            kind, size = struct.unpack("!ci", payload[:5]) if length > 5 else (b"", 0)
            if kind != (b"A" if data else b"N") or size != length - 6 or payload[-1:] != b"Q":
                raise self.refuse("it sent what no executor sends")
        return payload

    def refuse(self, reason: str) -> EOFError:
        """End the far side for what it did; returns the error that ends execnet's receiver."""
        self.failure = self.failure or reason
        self.kill()
        return EOFError(reason)

    # --- start and end ----------------------------------------------------------------------------------------------

    def await_mark(self, mark: bytes) -> None:
        """Read up to a line that ends with ``mark``; raises EOFError when it does not come."""
        while True:
            line = self._stdout.readline(4096)
            if line.rstrip(b"\r\n").endswith(mark):
                return
            self._noise += line
            if not line:
                raise EOFError("the far side has ended")
            if len(self._noise) > MAX_NOISE:
                raise self.refuse("it says other things than an executor")

    def end(self, grace: float) -> None:
        """Close its input, wait ``grace`` seconds for it to end by that, then end it."""
        self._over = True
        self.ready.set()
        self.close_write()
        ended = self._ends_within(grace)
        self.kill()
        with self._lock:
            status = self._process.wait()
            self._gone = True
        if ended:
            self._status = status

    def _ends_within(self, grace: float) -> bool:
        """Whether the process ends by itself; where the system can tell, its number stays taken."""
        if not hasattr(os, "waitid"):
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(grace)
            return self._process.returncode is not None
        limit, pause = time.monotonic() + grace, 0.0005
        while self._process.returncode is None:
            if os.waitid(os.P_PID, self._process.pid, os.WEXITED | os.WNOWAIT | os.WNOHANG) is not None:
                return True
            left = limit - time.monotonic()
            if left <= 0:
                return False
            time.sleep(min(pause, left))
            pause = min(2 * pause, 0.02)
        return True

    def words(self) -> str:
        """The last line of its complaints, else of what it said before it had started; "" for none."""
        self._keeper.join(0.2)
        for said in (self._words, self._noise):
            lines = bytes(said).decode("utf-8", "replace").split("\n")
            for line in reversed(lines):
                text = "".join(letter for letter in line if letter.isprintable()).strip()
                if text:
                    return text[:300]
        if self._status < 0:
            return next((one.name for one in signal.Signals if one == -self._status), f"signal {-self._status}")
        return f"exit status {self._status}" if self._status else ""

    @property
    def _stdout(self) -> Any:
        return self._process.stdout

    def _thread(self, target: Any, stream: IO[bytes] | None) -> threading.Thread:
        thread = threading.Thread(target=target, args=(stream,), daemon=True)
        thread.start()
        return thread

    def _write(self, stream: IO[bytes]) -> None:
        try:
            while (data := self._unsent.get()) is not None:
                stream.write(data)
                stream.flush()
        except OSError:
            pass  # it ended; the end of its output says so
        finally:
            with contextlib.suppress(OSError):
                stream.close()

    def _keep(self, stream: IO[bytes]) -> None:
        heard = 0
        while data := os.read(stream.fileno(), 65536):
            heard += len(data)
            self._words += data
            del self._words[:-_LAST_WORDS]
            if heard > _MAX_COMPLAINTS:
                self.refuse("it floods its standard error")
                break
        stream.close()
