"""Text on a terminal: its width and its colours.

The text is plain if the output is not a terminal or NO_COLOR is set; rich only adds colours to the same text.
"""

from __future__ import annotations

import os
import shutil
import sys
import textwrap
from collections.abc import Iterable
from typing import IO, TYPE_CHECKING

from bindmatrix.quoting import terminal

if TYPE_CHECKING:
    from rich.console import Console

#: pieces of a line, each with a style of rich ("" for none)
StyledLine = list[tuple[str, str]]

#: width of what does not go to a terminal
PLAIN_WIDTH = 80


def wrapped(text: str, indent: str, width: int) -> list[str]:
    """``text`` in lines of at most ``width``; words (steps, ids) stay whole."""
    return textwrap.wrap(
        text,
        max(width, 40),
        initial_indent=indent,
        subsequent_indent=indent,
        break_long_words=False,
        break_on_hyphens=False,
    )


def width_of(stream: IO[str]) -> int:
    """The maximal width of a line on ``stream``."""
    return shutil.get_terminal_size((PLAIN_WIDTH, 24)).columns if stream.isatty() else PLAIN_WIDTH


def show(text: Iterable[StyledLine], stream: IO[str] | None = None) -> None:
    """Print ``text``; in colours if the output is a terminal and NO_COLOR is not set."""
    out = stream or sys.stdout
    if not out.isatty() or os.environ.get("NO_COLOR"):
        for line in text:
            print(terminal("".join(word for word, _ in line)), file=out)
        return
    from rich.text import Text

    console = console_on(out, soft_wrap=True)
    for line in text:
        console.print(Text.assemble(*((terminal(word), style) for word, style in line)))


def console_on(out: IO[str], *, soft_wrap: bool, width: int | None = None) -> Console:
    """A console on ``out``; rich decides by terminal and NO_COLOR whether there are colours."""
    from rich.console import Console

    class BrokenPipeConsole(Console):
        """rich's console ends the program with 1 when the reader goes away, which means "diverges" here."""

        def on_broken_pipe(self) -> None:
            """Let the command answer, as for any other output."""
            raise BrokenPipeError

    return BrokenPipeConsole(file=out, highlight=False, soft_wrap=soft_wrap, width=width)
