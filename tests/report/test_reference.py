"""The reference is printed from the tables."""

from __future__ import annotations

import re
from pathlib import Path

from bindmatrix.answers import reference
from bindmatrix.oracle.oracle import Oracle
from bindmatrix.rules import catalog, confidence, vocabulary
from bindmatrix.rules.facts import FACTS
from bindmatrix.rules.loader import STACK_KEYS, loads


def test_the_worked_change_is_as_it_says() -> None:
    """The edit of the document can be made, and its scenario then has the other outcome that it shows."""
    text = reference.render()
    source = Path(catalog.expectations("freebsd").file).read_text(encoding="utf-8")
    [edited] = re.findall(r"^    (unless: .*)$", text, re.MULTILINE)
    written = edited.replace(", {both.reuseaddr: yes}", "")
    start = source.index("- id: freebsd.same-address-dual\n")
    assert written in source[start : source.index("- id:", start + 1)]
    [scenario] = set(re.findall(r"a=udp6 .* b\.bind=::(?=\n)", text))
    [before, after] = [
        Oracle(loads(one, "freebsd.yaml").at("15")).predict(scenario).outcomes[-1]
        for one in (source, source[:start] + source[start:].replace(written, edited, 1))
    ]
    assert f"freebsd 15 (freebsd)        {before}\n" in text
    assert f"freebsd 15 (./edited.yaml)  {after}\n" in text
    assert before != after


def test_everything_is_in_it() -> None:
    text = reference.render()
    for word in [*FACTS, *vocabulary.SECTIONS, *confidence.WORDS, *STACK_KEYS]:
        assert f"`{word}`" in text, word
