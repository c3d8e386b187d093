"""The console that text is printed on."""

from __future__ import annotations

from typing import IO

from rich.console import Console


class PlainSpokenConsole(Console):
    """rich's console, but for a reader that goes away: rich ends the program with 1, which means "diverges" here."""

    def on_broken_pipe(self) -> None:
        """Let the command answer, as for any other output."""
        raise BrokenPipeError


def console(out: IO[str], *, soft_wrap: bool, width: int | None = None) -> Console:
    """A console on ``out``; rich decides by terminal and NO_COLOR whether there are colours."""
    return PlainSpokenConsole(file=out, highlight=False, soft_wrap=soft_wrap, width=width)
