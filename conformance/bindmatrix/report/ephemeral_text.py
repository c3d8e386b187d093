"""The table of ports that the kernel chooses, as text for a terminal."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Mapping, Sequence

from bindmatrix.answers.port_table import PortRow


def lines(
    rows: Iterable[PortRow],
    methods: Mapping[str, str],
    also: Mapping[str, str],
    name: str,
    os: str,
    width: int = 100,
) -> list[str]:
    """For each question a row a group of systems that answer alike.

    ``methods`` says by which method the answers of each system were obtained, ``name`` is what to call this kernel,
    ``os`` the system of the table that it is compared with; ``also`` is what the answers leave out, by system.
    """
    found: list[str] = []
    for row in rows:
        found += textwrap.wrap(row.text, width)
        for answer, systems in row.systems.items():
            found += _row(answer_text(answer), systems, width)
        if row.unknown:
            found += _row("unknown", row.unknown, width)
        if row.here is not None:
            sign = ""
            if row.differs and row.expected is not None:
                sign = f"   <- {os} was expected to answer {answer_text(row.expected)}"
            found.append(f"    {answer_text(row.here)}: {name}{sign}")
        found.append("")
    found.append("How the answers were obtained:")
    for system, text in methods.items():
        found += textwrap.wrap(f"{system}: {text}", width, initial_indent="    ", subsequent_indent="      ")
    found.append("")
    for system, text in also.items():
        found += textwrap.wrap(f"{system}: {text}", width)
    return found


def answer_text(answer: str | Sequence[str]) -> str:
    """An answer in a line."""
    return answer if isinstance(answer, str) else " ".join(answer) or "none"


def _row(answer: str, systems: Iterable[str], width: int) -> list[str]:
    text = f"{answer}: {', '.join(systems)}"
    return textwrap.wrap(text, width, initial_indent="    ", subsequent_indent="      ", break_on_hyphens=False)
