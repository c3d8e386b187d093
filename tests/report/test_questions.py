"""``docs/open-questions.md`` is what the expectation files say is unknown, and each scenario on it asks."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from bindmatrix.answers.ask import answers
from bindmatrix.notation import parse
from bindmatrix.rules import catalog

#: of the checkout: the page is not part of the package
PAGE = Path(__file__).parents[2] / "docs" / "open-questions.md"


@pytest.fixture(scope="module")
def page() -> str:
    return PAGE.read_text(encoding="utf-8")


def section(page: str, title: str) -> str:
    return page.partition(f"\n## {title}\n")[2].partition("\n## ")[0]


@pytest.mark.parametrize("os", catalog.names())
def test_every_rule_that_says_unknown_is_on_it(os: str, page: str) -> None:
    expectations = catalog.expectations(os)
    unknown = {rule.id for rule in expectations.all_rules() if rule.is_unknown}
    assert unknown <= set(re.findall(r"\*\*`([^`]+)`\*\*", section(page, expectations.title)))


@pytest.mark.parametrize("os", catalog.names())
def test_every_scenario_on_it_asks(os: str, page: str) -> None:
    """Some release of the system gives no answer for the step that is named."""
    found = re.findall(
        r"^  `([^`]+)`: what `([^`]+)` gives$", section(page, catalog.expectations(os).title), re.MULTILINE
    )
    for scenario, step in found:
        words = scenario.split()
        rows = answers(parse(scenario), [os])
        assert any(row.outcomes[index] is None for row in rows for index, word in enumerate(words) if word == step), (
            scenario
        )
