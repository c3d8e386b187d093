"""Words that several reports use."""

from __future__ import annotations


def counted(count: int, noun: str) -> str:
    """``1 scenario``, ``2,000 scenarios``."""
    return f"{count:,} {noun}{'' if count == 1 else 's'}"
