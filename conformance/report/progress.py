"""A progress bar on standard error, on a terminal, for what takes more than a second."""

from __future__ import annotations

import sys
import time
from types import TracebackType
from typing import Any

_PATIENCE = 1.0
_EVERY = 0.1


class Progress:
    """Shows ``done`` of ``total`` scenarios; shows nothing where standard error is no terminal."""

    def __init__(self, total: int, *, enabled: bool = True) -> None:
        self._total = total
        self._enabled = enabled and sys.stderr.isatty()
        self._started = self._shown = time.monotonic()
        self._bar: Any = None
        self._task: Any = None

    def __enter__(self) -> Progress:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._bar is not None:
            self._bar.stop()

    def update(self, done: int) -> None:
        """``done`` scenarios are done."""
        now = time.monotonic()
        if not self._enabled or now - self._shown < _EVERY:
            return
        self._shown = now
        if self._bar is None:
            if now - self._started < _PATIENCE:
                return
            self._start()
        self._bar.update(self._task, completed=done, total=max(done, self._total))

    def _start(self) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
        from rich.progress import Progress as Bar

        columns = (TextColumn("scenarios"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
        self._bar = Bar(*columns, console=Console(file=sys.stderr), transient=True)
        self._task = self._bar.add_task("", total=self._total)
        self._bar.start()
