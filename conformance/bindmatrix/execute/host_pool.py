"""Several hosts of one kernel as one host: they take scenarios from one queue."""

from __future__ import annotations

import json
import queue
import threading
from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from typing import Any

from bindmatrix.execute.local import LocalHost, unanswered
from bindmatrix.execute.remote import HostLost, RemoteHost

#: facts that may differ between hosts of one kernel
_OWN_FACTS = ("python",)
_BATCHES = 8


class HostThread:
    """A host in its own thread, which does everything: Linux ends what a thread started with that thread."""

    def __init__(self, name: str, host: LocalHost | RemoteHost) -> None:
        self.name = name
        self.host = host
        self._closed = False
        self._thread = ThreadPoolExecutor(1, f"host {name}")

    def open(self) -> Future[Mapping[str, Any]]:
        """The facts, once the host is there; the future may raise :class:`~bindmatrix.errors.BindmatrixError`."""
        return self._thread.submit(lambda: self.host.facts)

    def work(self, tasks: WorkQueue, done: queue.Queue[list[bytes] | None]) -> Future[None]:
        """Run scenarios from ``tasks`` until it is empty; ``done`` gets the lines, at last None."""
        return self._thread.submit(self._work, tasks, done)

    def _work(self, tasks: WorkQueue, done: queue.Queue[list[bytes] | None]) -> None:
        run = self.host.run_until_lost if isinstance(self.host, RemoteHost) else self.host.run
        try:
            with closing(run(iter(tasks.take, None))) as batches:
                for lines in batches:
                    done.put(lines)
                    if tasks.stopped:
                        break
        except HostLost as lost:
            done.put(lost.lines)
            tasks.give_back(lost.left)
        finally:
            done.put(None)

    def close(self) -> None:
        """End the host and the thread when they are done; may be called repeatedly."""
        if not self._closed:
            self._closed = True
            self._thread.submit(self.host.close)
            self._thread.shutdown()


class WorkQueue:
    """Scenarios that several hosts take from."""

    def __init__(self, scenarios: Iterable[str]) -> None:
        self._source = iter(scenarios)
        self._back: deque[str] = deque()
        self._lock = threading.Lock()
        #: the caller wants no more answers
        self.stopped = False

    def take(self) -> str | None:
        """The next scenario, None when there is none."""
        with self._lock:
            if self.stopped:
                return None
            return self._back.popleft() if self._back else next(self._source, None)

    def give_back(self, scenarios: Iterable[str]) -> None:
        """Put back the scenarios of a lost host."""
        with self._lock:
            self._back.extend(scenarios)

    def empty(self) -> bool:
        """Whether nothing is left; call it while no host takes."""
        text = self.take()
        if text is not None:
            self._back.appendleft(text)
        return text is None


def kernel(facts: Mapping[str, Any]) -> str:
    """What two hosts must have in common to share scenarios: every fact of the kernel."""
    return json.dumps({name: value for name, value in facts.items() if name not in _OWN_FACTS}, sort_keys=True)


class HostPool:
    """Hosts of one kernel, which are open already.  ``lost`` says why all of them are lost, "" while one is left."""

    def __init__(self, threads: Sequence[HostThread]) -> None:
        self._threads = list(threads)

    @property
    def facts(self) -> dict[str, Any]:
        """The facts of the first."""
        return self._threads[0].host.facts

    @property
    def lost(self) -> str:
        """Why every host is lost, "" while one is left."""
        reasons = [thread.host.lost for thread in self._threads]
        return "; ".join(f"{thread.name}: {thread.host.lost}" for thread in self._threads) if all(reasons) else ""

    @property
    def missing(self) -> list[str]:
        """Which are gone, and why."""
        return [f"{thread.name}: {thread.host.lost}" for thread in self._threads if thread.host.lost]

    def cancel(self) -> None:
        """Have :meth:`run` raise KeyboardInterrupt soon."""
        for thread in self._threads:
            thread.host.cancel()

    def run(self, scenarios: Iterable[str]) -> Iterator[list[bytes]]:
        """The raw observation lines, in batches as they come; every scenario is answered once."""
        tasks = WorkQueue(scenarios)
        while not tasks.empty():
            threads = [thread for thread in self._threads if not thread.host.lost]
            if threads:
                yield from self._together(threads, tasks)
                continue
            reason = f"every host was lost: {self.lost}"
            for text in iter(tasks.take, None):
                yield [unanswered(text, reason)]

    @staticmethod
    def _together(threads: Sequence[HostThread], tasks: WorkQueue) -> Iterator[list[bytes]]:
        done: queue.Queue[list[bytes] | None] = queue.Queue(_BATCHES)
        works = [thread.work(tasks, done) for thread in threads]
        working = len(works)
        try:
            while working:
                lines = done.get()
                if lines is None:
                    working -= 1
                else:
                    yield lines
        finally:
            tasks.stopped = True
            while working:
                working -= done.get() is None
        tasks.stopped = False
        for work in works:
            work.result()
