"""What README.md shows is what the command prints: ``bindmatrix regenerate`` writes it, its test compares."""

from __future__ import annotations

import re
from pathlib import Path

from bindmatrix.cli import readme
from bindmatrix.notation import parse

ROOT = Path(__file__).parent.parent
TEXT = (ROOT / "README.md").read_text(encoding="utf-8")


def test_it_is_short_and_what_it_names_is_there() -> None:
    assert len(TEXT.splitlines()) < 150
    named = re.findall(r"\]\(([^)#:]+)[^)]*\)", TEXT)
    assert len(named) > 5
    assert [path for path in named if not (ROOT / path).exists()] == []


def test_scenarios_are_canonical() -> None:
    scenarios = [scenario for _, _, scenario in readme.QUESTION.findall(TEXT)]
    assert len(scenarios) > 10
    for scenario in scenarios:
        assert parse(scenario).text == scenario


def test_there_are_a_table_and_examples_to_write() -> None:
    assert readme.ANSWERS.search(TEXT)
    assert readme.EXAMPLE.findall(TEXT)


def test_an_answer_is_that_of_the_first_step_that_is_not_ok() -> None:
    text = (
        "1. May it? `a=tcp4 a.bind=0.0.0.0 a.listen b=tcp4 b.bind=0.0.0.0`\n<!-- answers -->\nold\n<!-- /answers -->\n"
    )
    shown = readme.render(text)
    assert "| 1. May it? | no | no |" in shown
    assert "old" not in shown


def test_an_example_is_run_again() -> None:
    text = "```console\n$ bindmatrix ask x\nold\n```\n"
    assert readme.render(text, printed=str.upper) == "```console\n$ bindmatrix ask x\nASK X```\n"
