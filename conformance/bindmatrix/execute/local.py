"""Runs scenarios on this host, in worker processes that run ``executor.py``.

A worker answers every line with one line, in order, so a scenario is done when its answer arrives: nothing is lost or
run twice while the workers live.  When one dies or stops answering, its unanswered scenarios go one by one to a new
worker, because answers may have been lost with it.  A scenario that ends a worker which had no other gets a
``no_verdict``.
"""

from __future__ import annotations

import json
import os
import re
import select
import time
import weakref
from collections.abc import Generator, Iterable, Iterator
from itertools import islice
from types import TracebackType
from typing import Any

from bindmatrix.errors import BindmatrixError
from bindmatrix.execute.executor import LIMIT
from bindmatrix.execute.worker import Worker

#: scenarios that all workers together have been given and whose answers the caller may not have seen: what is lost
#: when this process is killed, since its workers end with it
MOST_UNDER_WAY = 190
#: seconds after which a host looks up from waiting for answers
BEAT = 0.2
#: how often a worker that ended is restarted
_ATTEMPTS = 3
#: select() knows no pipes on Windows: there this machine is reached as any other is, by threads (``hosts.this_host``)
PIPES_CAN_BE_WATCHED = os.name != "nt"
_WAITS = re.compile(r"wait=(\d+)")
_SLOW = re.compile(r"\.connect=|\.accept|\.read|deliver")


class HostError(BindmatrixError):
    """The executor cannot run here; the message says what it said."""


class LocalHost:
    """This host.  Use it as a context manager; the workers end with it.

    ``workers``: how many processes (default: one a core).  ``patience``: seconds a worker may say nothing, beside what
    its scenario asks to wait.  ``namespace``: "own", "none" or "auto", see ``executor.Executor``.  The thread that
    makes a LocalHost must outlive it: Linux ends the workers together with that thread.
    """

    #: why the host is lost; this one never is
    lost = ""

    def __init__(
        self,
        workers: int | None = None,
        *,
        patience: float = 20.0,
        namespace: str = "auto",
        command: list[str] | None = None,
    ) -> None:
        self._count = max(1, workers or os.cpu_count() or 1)
        # what a worker is handed at once; it has two of them, so that it never waits for us
        self._chunk = max(1, MOST_UNDER_WAY // (2 * self._count))
        self._patience = patience
        self._make = (namespace, command)
        self._workers: list[Worker] = []
        self._facts: dict[str, Any] | None = None
        self._cancelled = False
        self._finalizer = weakref.finalize(self, _end_all, self._workers)

    def __enter__(self) -> LocalHost:
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
        """Have :meth:`run` raise KeyboardInterrupt soon; for a thread that Ctrl-C does not reach."""
        self._cancelled = True

    @property
    def facts(self) -> dict[str, Any]:
        """The host as its executor describes it: the value of ``host`` in an observation file."""
        self._start()
        assert self._facts is not None
        return self._facts

    def run(self, scenarios: Iterable[str]) -> Generator[list[bytes], None, None]:
        """The raw observation lines, in batches as they come; not in the order of the scenarios.

        Every scenario is answered once.  Raises :class:`HostError` when no executor can be started.
        """
        self._start()
        source = iter(scenarios)
        try:
            while True:
                for worker in self._workers:
                    self._feed(worker, source)
                busy = [worker for worker in self._workers if worker.outstanding]
                if not busy:
                    return
                yield from self._exchange(busy, source)
        finally:
            # Left early (an error, Ctrl-C, a break): answers that are still to come must not reach the next run.
            for index, worker in enumerate(self._workers):
                if worker.outstanding or worker.careful:
                    worker.end()
                    self._workers[index] = self._new()

    def repeat(self, scenario: str, times: int) -> list[list[str] | None]:
        """The outcomes of ``times`` runs of one scenario on fresh ports; None for a run without outcomes."""
        lines = [line for batch in self.run([scenario] * times) for line in batch]
        return [json.loads(line)["outcomes"] for line in lines]

    def _new(self) -> Worker:
        try:
            return Worker(*self._make)
        except OSError as error:  # no more files, processes or memory, or Python itself cannot be run
            raise HostError(f"no executor can be started here: {error.strerror or error}") from error

    def _start(self) -> None:
        """Start the workers, all at once, and wait until every one has said what the host is."""
        if self._workers:
            return
        self._workers.extend(self._new() for _ in range(self._count))
        for worker in self._workers:
            self._await_header(worker)
        self._facts = self._workers[0].header

    def _started(self) -> Worker:
        """A new worker that has said what the host is; one that dies before that is replaced too."""
        for attempt in range(_ATTEMPTS):
            worker = self._new()
            words = self._header_problem(worker)
            if not words:
                return worker
            if attempt == _ATTEMPTS - 1:
                break
        _end_all(self._workers)
        raise HostError(f"the executor does not start here any more: {words}")

    def _await_header(self, worker: Worker) -> None:
        words = self._header_problem(worker)
        if words:
            _end_all(self._workers)
            raise HostError(f"the executor does not start here: {words}")

    def _header_problem(self, worker: Worker) -> str:
        """Wait until ``worker`` has said what the host is; why it does not, when it is ended, else ""."""
        end = time.monotonic() + self._patience
        while worker.header is None:
            readable, _, _ = select.select([worker.stdout], [], [], max(0.0, end - time.monotonic()))
            if readable:
                worker.receive()
            if worker.closed or not readable:
                return worker.end() or ("it ended" if worker.closed else "it says nothing")
        return ""

    def _feed(self, worker: Worker, source: Iterator[str]) -> None:
        if worker.careful:
            if not worker.outstanding:
                worker.give([worker.careful.popleft()])
        elif len(worker.outstanding) <= self._chunk:
            chunk = list(islice(source, self._chunk))
            if chunk:
                worker.give(chunk)

    def _exchange(self, busy: list[Worker], source: Iterator[str]) -> Iterator[list[bytes]]:
        """Wait until a worker has something to say or its patience is over; what it said."""
        if self._cancelled:
            raise KeyboardInterrupt
        senders = [worker.stdin for worker in busy if worker.wants_to_send]
        silent_at = min(worker.heard for worker in busy) + self._patience
        wait = min(BEAT, max(0.05, silent_at - time.monotonic()))
        readable, writable, _ = select.select([worker.stdout for worker in busy], senders, [], wait)
        for worker in busy:
            if worker.stdin in writable:
                worker.send()
            if worker.stdout in readable:
                lines = worker.receive()
                if lines:
                    yield lines
                    self._feed(worker, source)  # before the answers of the next are judged
            if worker.closed:
                yield from self._replace(worker, "died")
            elif worker.outstanding and self._is_silent(worker):
                yield from self._replace(worker, "hung")

    def _is_silent(self, worker: Worker) -> bool:
        """Whether nothing was heard from ``worker`` for longer than what it works on may take."""
        too_long = time.monotonic() - worker.heard - self._patience
        # allowance() reads every outstanding scenario, so it is called for a silent worker only
        return too_long > 0 and too_long > allowance(worker.outstanding)

    def _replace(self, worker: Worker, how: str) -> Iterator[list[bytes]]:
        """A new worker gets what this one has not answered, one scenario at a time."""
        words = worker.end()
        left = [*worker.outstanding, *worker.careful]
        new = self._started()
        self._workers[self._workers.index(worker)] = new
        # One unanswered scenario: it is to blame.  With more of them the answers of some may have died with the worker.
        blamed = left.pop(0) if len(worker.outstanding) == 1 else None
        new.careful.extend(left)
        if blamed is not None:
            reason = f"the host {how} in this scenario" + (f" ({words})" if words else "")
            yield [unanswered(blamed, reason)]


def allowance(scenarios: Iterable[str]) -> float:
    """Seconds that the longest of them may stay silent: what it asks to wait, and the executor's timeouts."""
    longest = 0.0
    for text in scenarios:
        waits = sum(int(number) for number in _WAITS.findall(text)) / 1000
        longest = max(longest, waits + LIMIT * len(_SLOW.findall(text)))
    return longest


def unanswered(scenario: str, reason: str) -> bytes:
    """The line for a scenario that the host did not answer."""
    record = {"scenario": scenario, "outcomes": None, "no_verdict": reason}
    return json.dumps(record, separators=(",", ":")).encode() + b"\n"


def _end_all(workers: list[Worker]) -> None:
    for worker in workers:
        worker.end()
    workers.clear()
