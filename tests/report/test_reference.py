"""The reference is printed from the tables; what is checked in is what they say today."""

from __future__ import annotations

from pathlib import Path

from bindmatrix.report import reference
from bindmatrix.rules import confidence, vocabulary
from bindmatrix.rules.loader import STACK_KEYS


def test_the_checked_in_reference_is_up_to_date() -> None:
    path = Path(__file__).parents[2] / "docs" / "expectations.md"
    assert path.read_text(encoding="utf-8") == reference.render(), (
        "write it again: python -c 'from bindmatrix.report import reference; print(reference.render(), end=\"\")'"
        " > docs/expectations.md"
    )


def test_everything_is_in_it() -> None:
    text = reference.render()
    for word in [*vocabulary.FACTS, *vocabulary.SECTIONS, *confidence.WORDS, *STACK_KEYS]:
        assert f"`{word}`" in text, word
