"""Misuse on the terminal, one finding a line, in the format of linters."""

from __future__ import annotations

from collections.abc import Sequence

from bindmatrix.advice.misuse import MisuseFinding
from bindmatrix.report.console import StyledLine, wrapped


def lines(found: Sequence[MisuseFinding], width: int) -> list[StyledLine]:
    """``FILE:LINE:COLUMN: id: what`` with the affected systems, and what to do."""
    out: list[StyledLine] = []
    for one in found:
        out.append([(f"{one.place}: {one.pattern.id}: {one.pattern.what}", "bold")])
        out.append([(f"    {one.step}", "dim")])
        for shows, systems in one.shows.items():
            out += [[(line, "red")] for line in wrapped(f"{', '.join(systems)}: {shows}", "    ", width)]
        out += [[(line, "")] for line in wrapped(f"instead: {one.pattern.instead}", "    ", width)]
    return out
