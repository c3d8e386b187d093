"""Answers on the terminal: a table with a row for each system, the reason under each row.

Plain text when it does not go to a terminal or NO_COLOR is set; rich only puts colours to the same text.
"""

from __future__ import annotations

import os
import shutil
import sys
import textwrap
from collections.abc import Iterable, Sequence
from typing import IO

from bindmatrix.answers.ask import Answer, telling_steps
from bindmatrix.errors import printable
from bindmatrix.notation import Scenario, Step
from bindmatrix.outcomes import in_words
from bindmatrix.rules.confidence import MEASURED

#: pieces of a line, each with a style of rich ("" for none)
Line = list[tuple[str, str]]

#: width of what does not go to a terminal
PLAIN_WIDTH = 100
_GAP = "  "
_MARK = "*"


def lines(scenario: Scenario, found: Sequence[Answer], width: int = PLAIN_WIDTH) -> list[Line]:
    """The scenario, the table, and under each row its reason."""
    out: list[Line] = [[(line, "bold")] for line in wrapped(scenario.text, "", width)]
    steps = telling_steps(scenario, found)
    heads = [scenario.steps[step].text for step in steps]
    cells = [[_cell(answer, step, scenario.steps[step]) for step in steps] for answer in found]
    if _table_width(found, heads, cells) > width:
        out += [[(f"[{step + 1}] {scenario.steps[step].text}", "dim")] for step in steps]
        heads = [f"[{step + 1}]" for step in steps]
    listed = [""] * len(found)
    if _table_width(found, heads, cells) > width:
        # too many columns: the outcomes go under the row
        listed = ["  ".join(f"{head}={cell}" for head, cell in zip(heads, row, strict=True)) for row in cells]
        heads, cells = [], [[] for _ in found]
    widths = _widths(found, heads, cells)
    out.append([])
    out.append([(_GAP.join(word.ljust(size) for word, size in zip(_head(heads), widths, strict=True)).rstrip(), "dim")])
    for answer, row, under in zip(found, cells, listed, strict=True):
        words = [answer.label, *row, _confidence(answer)]
        styles = ["bold", *(_style(cell) for cell in row), "dim"]
        out.append(
            [
                (word.ljust(size) + _GAP if index + 1 < len(words) else word, style)
                for index, (word, size, style) in enumerate(zip(words, widths, styles, strict=True))
            ]
        )
        out += [[(line, "")] for line in wrapped(under, "    ", width)]
        out += _notes(answer, scenario.steps[answer.step], width)
    return out


def _head(heads: Sequence[str]) -> list[str]:
    return ["system", *heads, "confidence"]


def _widths(found: Sequence[Answer], heads: Sequence[str], cells: Sequence[Sequence[str]]) -> list[int]:
    rows = [_head(heads), *([one.label, *row, _confidence(one)] for one, row in zip(found, cells, strict=True))]
    return [max(map(len, column)) for column in zip(*rows, strict=True)]


def _table_width(found: Sequence[Answer], heads: Sequence[str], cells: Sequence[Sequence[str]]) -> int:
    widths = _widths(found, heads, cells)
    return sum(widths) + len(_GAP) * (len(widths) - 1)


def _cell(answer: Answer, index: int, step: Step) -> str:
    mark = _MARK if answer.outcomes[index] != answer.by_rules[index] else ""
    return in_words(answer.outcomes[index], delivers=step.delivers) + mark


def _confidence(answer: Answer) -> str:
    """The word; what was measured says on which release, where the row stands for several."""
    several = answer.releases != (answer.release,)
    return f"measured on {answer.release}" if answer.confidence == MEASURED and several else answer.confidence


def _style(cell: str) -> str:
    if cell.startswith("ok"):
        return "green"
    return "yellow" if cell.startswith("unknown") else "red"


def _notes(answer: Answer, step: Step, width: int) -> list[Line]:
    rule = "" if answer.rule.startswith("api.") else f" ({answer.rule})"
    found: list[Line] = [[(line, "")] for line in wrapped(answer.reason + rule, "    ", width)]
    if answer.divergences:
        instead = in_words(answer.by_rules[answer.step], delivers=step.delivers)
        text = f"{_MARK} a known divergence ({', '.join(answer.divergences)}): the rules say {instead}"
        found += [[(line, "magenta")] for line in wrapped(text, "    ", width)]
    if answer.limit:
        found += [[(line, "yellow")] for line in wrapped(f"note: {answer.limit}", "    ", width)]
    return found


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
    """How wide the text for ``stream`` may be."""
    return shutil.get_terminal_size((PLAIN_WIDTH, 24)).columns if stream.isatty() else PLAIN_WIDTH


def show(text: Iterable[Line], stream: IO[str] | None = None) -> None:
    """Print ``text``, in colours on a terminal that wants them."""
    out = stream or sys.stdout
    if not out.isatty() or os.environ.get("NO_COLOR"):
        for line in text:
            print(printable("".join(word for word, _ in line)), file=out)
        return
    from rich.text import Text

    from bindmatrix.report.console import console

    terminal = console(out, soft_wrap=True)
    for line in text:
        terminal.print(Text.assemble(*((printable(word), style) for word, style in line)))
