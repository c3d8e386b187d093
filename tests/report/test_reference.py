"""The tables of the documentation are printed from those that the loader reads with."""

from __future__ import annotations

from pathlib import Path

import pytest
from bindmatrix.answers import reference
from bindmatrix.rules import confidence, vocabulary
from bindmatrix.rules.facts import FACTS
from bindmatrix.rules.loader import STACK_KEYS

DOCS = Path(__file__).parents[2] / "docs"


def test_a_page_keeps_its_prose_and_gets_its_tables() -> None:
    page = "# A page\n\n<!-- generated: methods -->\nold\n<!-- /generated -->\nprose\n"
    shown = reference.render(page)
    assert shown.startswith("# A page\n\n<!-- generated: methods -->\n\n| word | meaning |\n")
    assert shown.endswith("\n\n<!-- /generated -->\nprose\n")
    assert "old" not in shown
    assert reference.render(shown) == shown


def test_a_part_that_does_not_exist_is_told() -> None:
    with pytest.raises(KeyError, match="methds"):
        reference.render("<!-- generated: methds -->\n<!-- /generated -->\n")


def test_every_part_is_on_a_page() -> None:
    used = [name for path in DOCS.glob("*.md") for name, _ in parts(path)]
    assert sorted(used) == sorted(reference.PARTS)


def parts(path: Path) -> list[tuple[str, str]]:
    """Name and text of each generated part of a page."""
    return [(match[1], match[0]) for match in reference.GENERATED.finditer(path.read_text(encoding="utf-8"))]


def test_every_word_of_the_language_is_on_its_page() -> None:
    rules = (DOCS / "expectations.md").read_text(encoding="utf-8")
    for word in [*FACTS, *vocabulary.SECTIONS, *STACK_KEYS]:
        assert f"`{word}`" in rules, word
    methods = (DOCS / "methods.md").read_text(encoding="utf-8")
    for word in confidence.WORDS:
        assert f"`{word}`" in methods, word
