"""The table of ports that the kernel chooses, as text for a terminal."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping

from bindmatrix.rules.ephemeral import PortAnswer, Table


def lines(table: Table, here: Mapping[str, PortAnswer], name: str, asked: str, width: int = 100) -> list[str]:
    """For each question a row a group of systems that answer alike.

    ``here`` are the answers of this kernel, empty where it was not asked; ``name`` is what to call it and ``asked`` the
    system of the table that it is compared with.
    """
    found: list[str] = []
    for question in table.questions:
        found += textwrap.wrap(question.text, width)
        rows: dict[PortAnswer, list[str]] = {}
        for os, cell in question.cells.items():
            rows.setdefault(cell.answer, []).append(os)
        unknown = [os for os in table.systems if os not in question.cells]
        for answer, systems in rows.items():
            found += _row(answer_text(answer), systems, width)
        if unknown:
            found += _row("unknown", unknown, width)
        if question.id in here:
            expected = question.cells.get(asked)
            sign = ""
            if expected is not None and expected.answer != here[question.id]:
                sign = f"   <- {asked} was expected to answer {answer_text(expected.answer)}"
            found.append(f"    {answer_text(here[question.id])}: {name}{sign}")
        found.append("")
    for os, text in table.also.items():
        found += textwrap.wrap(f"{os}: {text}", width)
    return found


def answer_text(answer: PortAnswer) -> str:
    """An answer in a line."""
    return answer if isinstance(answer, str) else " ".join(answer) or "none"


def _row(answer: str, systems: list[str], width: int) -> list[str]:
    text = f"{answer}: {', '.join(systems)}"
    return textwrap.wrap(text, width, initial_indent="    ", subsequent_indent="      ", break_on_hyphens=False)


def differences(table: Table, here: Mapping[str, PortAnswer], os: str) -> dict[str, tuple[PortAnswer, PortAnswer]]:
    """Id -> (expected, found) where this kernel answers otherwise than its system."""
    expected = table.answers(os)
    return {
        name: (expected[name], answer) for name, answer in here.items() if name in expected and expected[name] != answer
    }
