"""Recipes on the terminal: for each goal and place, what works on each system."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import groupby

from bindmatrix.advice.recipes import Recipe
from bindmatrix.report.console import StyledLine, wrapped


def lines(found: Sequence[Recipe], width: int, *, detail: bool) -> list[StyledLine]:
    """The recipes; ``detail``: also where the usual options fail, and the checks of what works."""
    return list(_lines(found, width, detail))


def _lines(found: Sequence[Recipe], width: int, detail: bool) -> Iterator[StyledLine]:
    for number, (goal, of_goal) in enumerate(groupby(found, lambda one: one.goal)):
        if number:
            yield []
        yield [(f"{goal.id}: {goal.title}", "bold")]
        if goal.note:
            yield from _text(goal.note, "  ", "dim", width)
        for place, group in groupby(of_goal, lambda one: one.place.title):
            yield []
            yield [(f"  {place}", "bold")]
            for recipe in group:
                style = "green" if recipe.works else "yellow" if recipe.may_work else "red"
                text = f"{recipe.os} {recipe.release}: {recipe.words} [{recipe.confidence.text}]"
                yield from _text(text, "    ", style, width)
                if detail:
                    yield from _detail(recipe, width)


def _detail(recipe: Recipe, width: int) -> Iterator[StyledLine]:
    for refuted in recipe.refuted:
        yield from _text(f"not with {refuted.options.words}: fails that {refuted.check.what}", "      ", "", width)
        yield from _text(refuted.check.scenario.text, "        ", "dim", width)
    for check in recipe.place.checks(recipe.works[0]) if recipe.works else ():
        yield from _text(f"with {recipe.works[0].words}: {check.what}", "      ", "", width)
        yield from _text(check.scenario.text, "        ", "dim", width)


def _text(text: str, indent: str, style: str, width: int) -> list[StyledLine]:
    return [[(line, style)] for line in wrapped(text, indent, width)]
