"""Words that several reports use."""

from __future__ import annotations


def counted(count: int, noun: str, verb: str = "") -> str:
    """``1 scenario``, ``2,000 scenarios``; a verb, given for one, follows: ``1 scenario differs``."""
    one = count == 1
    text = f"{count:,} {noun}" if one else f"{count:,} {noun}s"
    return f"{text} {verb if one else verb.removesuffix('s')}" if verb else text
