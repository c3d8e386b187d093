"""The reference is printed from the tables."""

from __future__ import annotations

from bindmatrix.answers import reference
from bindmatrix.rules import confidence, vocabulary
from bindmatrix.rules.facts import FACTS
from bindmatrix.rules.loader import _STACK_KEYS


def test_everything_is_in_it() -> None:
    text = reference.render()
    for word in [*FACTS, *vocabulary.SECTIONS, *confidence.WORDS, *_STACK_KEYS]:
        assert f"`{word}`" in text, word
