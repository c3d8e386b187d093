"""Text helpers that several reports share."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping


def counted(count: int, noun: str) -> str:
    """``1 scenario``, ``2,000 scenarios``."""
    return f"{count:,} {noun}{'' if count == 1 else 's'}"


def definitions(table: Mapping[str, str]) -> str:
    """Words with their meanings, for a help text."""
    size = max(map(len, table)) + 2
    lines = [
        textwrap.fill(
            meaning, 80, initial_indent=f"  {word:<{size}}", subsequent_indent=" " * (size + 2), break_on_hyphens=False
        )
        for word, meaning in table.items()
    ]
    return "\n".join(lines) + "\n"
