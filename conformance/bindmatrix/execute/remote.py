"""Runs scenarios on another host, or in another Python of this one, in executors that are sent there.

As with ``LocalHost``, every scenario is answered once, and the unanswered scenarios of a worker that ended go one by
one to a new one.  Unlike it, this host is not trusted.  What it says is checked (``wire_check.py``) and what it sends
is limited (``execnet_io.py``).  A host that does not come back or misbehaves is lost: received answers are kept, and
the rest are answered here, with a ``no_verdict`` that says why.
"""

from __future__ import annotations

import json
import queue
import time
import weakref
from collections import deque
from collections.abc import Generator, Iterable, Iterator, Sequence
from itertools import islice
from types import TracebackType
from typing import Any

from bindmatrix.execute.local import BEAT, HostError, allowance, unanswered
from bindmatrix.execute.remote_worker import RemoteWorker, ResultQueue

#: scenarios, and about how many of their letters, that are handed over at once; two of them are under way
CHUNK = 512
_CHUNK_LETTERS = 128 << 10
#: letters of a scenario that is not sent at all
_LONGEST = 128 << 10
#: scenarios under way of those that are answered one by one
_SINGLY = 32
#: how often the executors of a host may end in a run: in a row without an answer in between, and altogether
_DEATHS_IN_A_ROW, _DEATHS = 4, 50
#: facts in which the executors of one host may differ
_OWN_FACTS = ("python", "sysctls")


class HostLost(Exception):
    """The host is lost; ``left`` holds scenarios that it got and has not answered."""

    def __init__(self, reason: str, left: list[str], lines: list[bytes]) -> None:
        super().__init__(reason)
        self.reason = reason
        self.left = left
        #: the last lines to be kept
        self.lines = lines


class RemoteHost:
    """A host behind a command that starts a Python which reads a program.  Use it as a context manager.

    ``command``: what to start, words.  ``name``: what the user calls it.  ``workers``: how many
    connections.  ``patience``: seconds that one may say nothing, beside what its scenario asks to wait; ``start``:
    seconds until it has to be there.  ``namespace``: see ``executor.Executor``.  ``by_hand``: a command that
    shows what is wrong when nothing starts there.  ``release``: the fact of that name, where the host does not know it.
    """

    def __init__(
        self,
        command: Sequence[str],
        name: str = "",
        *,
        workers: int = 1,
        patience: float = 20.0,
        start: float = 120.0,
        namespace: str = "auto",
        by_hand: str = "",
        release: str = "",
    ) -> None:
        self.name = name or command[0]
        #: why the host is lost, "" while it is not
        self.lost = ""
        self._command = list(command)
        self._namespace = namespace
        self._by_hand = by_hand
        self._told = {"release": release} if release else {}
        self._count = max(1, workers)
        self._patience = patience
        self._start_seconds = start
        self._arrivals: ResultQueue = queue.SimpleQueue()
        self._workers: list[RemoteWorker] = []
        self._facts: dict[str, Any] | None = None
        #: scenarios of workers that ended: one of them may be to blame
        self._careful: deque[str] = deque()
        self._refused: list[str] = []
        self._cancelled = False
        self._exhausted = False
        self._deaths = self._deaths_in_a_row = 0
        #: time of the last check for silent workers
        self._looked = 0.0
        self._finalizer = weakref.finalize(self, _end_all, self._workers)

    def __enter__(self) -> RemoteHost:
        self._start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """End every worker; whatever is still under way is dropped."""
        _end_all(self._workers)

    def cancel(self) -> None:
        """Have everything that waits for this host raise KeyboardInterrupt soon; for a thread of its own."""
        self._cancelled = True

    @property
    def facts(self) -> dict[str, Any]:
        """The host as its executor describes it; raises :class:`HostError` when it cannot be reached."""
        self._start()
        assert self._facts is not None
        return self._facts

    def run(self, scenarios: Iterable[str]) -> Generator[list[bytes], None, None]:
        """The raw observation lines, in batches as they come; not in the order of the scenarios.

        Every scenario is answered once.  Raises :class:`HostError` when the host cannot be reached in the first place.
        """
        source = iter(scenarios)
        left: Iterable[str] = ()
        try:
            yield from self.run_until_lost(source)
        except HostLost as lost:
            left = lost.left
            yield lost.lines
        for rest in (iter(left), source):
            while batch := [unanswered(text, f"the host was lost: {self.lost}") for text in islice(rest, CHUNK)]:
                yield batch

    def run_until_lost(self, source: Iterator[str]) -> Generator[list[bytes], None, None]:
        """Like :meth:`run`, but raises :class:`HostLost` and leaves the rest of ``source`` where it is."""
        if self.lost:
            raise HostLost(self.lost, [], [])
        self._start()
        self._exhausted = False
        try:
            while True:
                for worker in self._workers:
                    self._feed(worker, source)
                if self._refused:
                    yield [unanswered(text, f"longer than {_LONGEST:,} letters") for text in self._refused]
                    self._refused.clear()
                if self._exhausted and not self._careful and not any(worker.outstanding for worker in self._workers):
                    return
                lines = self._exchange()
                if lines:
                    yield lines
        finally:
            self._drop_the_rest()

    def repeat(self, scenario: str, times: int) -> list[list[str] | None]:
        """The outcomes of ``times`` runs of one scenario on fresh ports; None for a run without outcomes."""
        lines = [line for batch in self.run([scenario] * times) for line in batch]
        return [json.loads(line)["outcomes"] for line in lines]

    def _start(self) -> None:
        """Start the workers that are missing, and wait until one has said what the host is."""
        try:
            while not self.lost and len(self._workers) < self._count:
                self._workers.append(self._new())
        except HostError as error:
            if not self._workers:
                raise HostError(f"{self.name}: {error}") from None
        try:
            while self._facts is None:
                if self.lost:
                    raise self._lose(self.lost)
                self._exchange()
        except HostLost as lost:
            raise HostError(f"{self.name}: {lost.reason}") from None

    def _new(self) -> RemoteWorker:
        return RemoteWorker(self._command, self._namespace, self._arrivals)

    def _feed(self, worker: RemoteWorker, source: Iterator[str]) -> None:
        if worker.header is None or worker.closed or (worker.singly and worker.outstanding):
            return
        if self._careful:
            if not worker.outstanding:
                few = min(len(self._careful), _SINGLY)
                worker.give([self._careful.popleft() for _ in range(few)], singly=True)
        elif not self._exhausted and len(worker.outstanding) <= CHUNK:
            chunk = self._take(source)
            if chunk:
                worker.give(chunk)

    def _take(self, source: Iterator[str]) -> list[str]:
        """The next scenarios that go together; what is too long to be sent goes to ``_refused``."""
        chunk: list[str] = []
        letters = 0
        for text in source:
            if len(text) > _LONGEST:
                self._refused.append(text)
                continue
            chunk.append(text)
            letters += len(text)
            if len(chunk) == CHUNK or letters > _CHUNK_LETTERS:
                return chunk
        self._exhausted = True
        return chunk

    def _exchange(self) -> list[bytes]:
        """Wait a little for something to arrive: answers, what is to be said of one that ended, or nothing."""
        if self._cancelled:
            raise KeyboardInterrupt
        if time.monotonic() - self._looked > BEAT:
            self._looked = time.monotonic()
            lines = self._impatience()
            if lines:
                return lines
        try:
            worker = self._arrivals.get(timeout=BEAT)
        except queue.Empty:
            return []
        if worker not in self._workers:
            return []
        known = worker.header is not None
        answers = worker.receive()
        if worker.misconduct and not answers:
            raise self._lose(worker.misconduct)
        if answers is None:
            return self._replace(worker, "died") if worker.closed else []
        if answers:
            self._deaths_in_a_row = 0
        if not known:
            self._introduce(worker)
        return answers

    def _introduce(self, worker: RemoteWorker) -> None:
        """The first worker says what the host is; all others have to be there too."""
        header = {**(worker.header or {}), **self._told}
        if self._facts is None:
            self._facts = header
        for name in self._facts.keys() | header.keys():
            here, there = self._facts.get(name), header.get(name)
            if here != there and name not in _OWN_FACTS:
                raise self._lose(f"its connections do not lead to one kernel: {name} is {here} and {there}")

    def _impatience(self) -> list[bytes]:
        lines = []
        now = time.monotonic()
        for worker in list(self._workers):
            if worker.header is None:
                if now - worker.born > self._start_seconds:
                    lines += self._replace(worker, f"nothing within {self._start_seconds:.0f} seconds")
            elif worker.outstanding and now - worker.heard > self._patience + allowance(worker.outstanding):
                lines += self._replace(worker, "hung")
        return lines

    def _replace(self, worker: RemoteWorker, how: str) -> list[bytes]:
        """A new worker for one that ended; what it had not answered is given singly."""
        words = worker.end()
        self._workers.remove(worker)
        left = list(worker.outstanding)
        # More than answers of one scenario each may have died with it: only then the first one is to blame.
        blamed = left.pop(0) if left and (worker.singly or len(left) == 1) else None
        self._careful.extendleft(reversed(left))
        lines = []
        if blamed is not None:
            lines = [unanswered(blamed, f"the host {how} in this scenario" + (f" ({words})" if words else ""))]
        self._deaths += 1
        self._deaths_in_a_row += 1
        if self._facts is None:
            reason = f"no executor starts there: {words or how}{self._advice}"
        elif self._deaths > _DEATHS or self._deaths_in_a_row > _DEATHS_IN_A_ROW:
            reason = f"it {how} again and again" + (f" ({words})" if words else "")
        else:
            try:
                self._workers.append(self._new())
                return lines
            except HostError as error:
                reason = str(error)
        if not self._workers:
            raise self._lose(reason, lines)
        return lines

    @property
    def _advice(self) -> str:
        return f"; try by hand: {self._by_hand}" if self._by_hand else ""

    def _lose(self, reason: str, lines: list[bytes] | None = None) -> HostLost:
        """The host is lost; ``lines`` are the last that it sent."""
        self.lost = reason
        left = [*self._careful, *(text for worker in self._workers for text in worker.outstanding)]
        self._careful.clear()
        _end_all(self._workers)
        return HostLost(reason, left, lines or [])

    def _drop_the_rest(self) -> None:
        """Left early (an error, Ctrl-C, a break): answers that are still to come must not reach the next run."""
        self._careful.clear()
        for worker in [worker for worker in self._workers if worker.outstanding]:
            self._workers.remove(worker)
            worker.end()


def _end_all(workers: list[RemoteWorker]) -> None:
    for worker in workers:
        worker.leave()
    for worker in workers:
        worker.end()
    workers.clear()
