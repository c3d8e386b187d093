"""The same work for several things, on every core."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from typing import TypeVar

_Thing = TypeVar("_Thing")
_Result = TypeVar("_Result")


def on_every_core(work: Callable[[_Thing], _Result], things: Sequence[_Thing]) -> Iterator[_Result]:
    """``work`` of each of ``things``, in their order; give what takes longest first.

    Ctrl-C is for this process to tell of.
    """
    processes = min(len(things), os.cpu_count() or 1)
    if processes < 2:
        yield from map(work, things)
        return
    with ProcessPoolExecutor(processes, initializer=signal.signal, initargs=(signal.SIGINT, signal.SIG_IGN)) as pool:
        try:
            yield from pool.map(work, things)
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise
