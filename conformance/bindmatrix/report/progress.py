"""Progress bars for work of more than a second, if standard error is a terminal."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable
from types import TracebackType
from typing import Any

_PATIENCE = 1.0
_EVERY = 0.1


class Progress:
    """A bar for each task; any thread may update one. Does nothing if standard error is not a terminal."""

    def __init__(self, *, enabled: bool = True) -> None:
        self._enabled = enabled and sys.stderr.isatty()
        self._started = time.monotonic()
        self._bar: Any = None
        self._lock = threading.Lock()

    def __enter__(self) -> Progress:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._bar is not None:
            self._bar.stop()

    def add(self, name: str, total: int) -> Callable[[int], None]:
        """Add a bar ``name``. Call the returned function with the number of finished items of ``total``."""
        shown = self._started
        task: Any = None

        def update(done: int) -> None:
            nonlocal shown, task
            now = time.monotonic()
            if not self._enabled or now - shown < _EVERY or now - self._started < _PATIENCE:
                return
            shown = now
            with self._lock:
                if self._bar is None:
                    self._start()
                if task is None:
                    task = self._bar.add_task(name, total=total)
            self._bar.update(task, completed=done, total=max(done, total))

        return update

    def _start(self) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
        from rich.progress import Progress as Bar

        name = TextColumn("{task.description}", markup=False)
        columns = (name, BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
        self._bar = Bar(*columns, console=Console(file=sys.stderr), transient=True)
        self._bar.start()
