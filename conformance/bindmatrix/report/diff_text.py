"""A comparison on the terminal: what was compared, then each group with its shortest example."""

from __future__ import annotations

from collections.abc import Iterator

from bindmatrix.judge.diff import Comparison, DifferenceGroup, SideOutcome
from bindmatrix.notation import delivers
from bindmatrix.outcomes import in_words
from bindmatrix.report.console import PLAIN_WIDTH, StyledLine, wrapped
from bindmatrix.report.words import counted

_INDENT = "    "


def lines(result: Comparison, width: int = PLAIN_WIDTH) -> list[StyledLine]:
    """The text, in pieces with styles."""
    out: list[StyledLine] = [[(line, "bold")] for line in wrapped(heading(result), "", width)]
    for note in result.notes:
        out += [[(line, "yellow")] for line in wrapped(f"note: {note}", "", width)]
    for number, group in enumerate(result.groups, 1):
        out.append([])
        out += _group(result, number, group, width)
    return out


def heading(result: Comparison) -> str:
    """One sentence: what was compared with what, and the counts."""
    sides = ", ".join(result.sides[:-1]) + " and " + result.sides[-1]
    text = f"{sides}: {counted(result.compared, 'scenario')} compared, {result.differ:,} differ"
    if result.groups:
        text += f" in {counted(len(result.groups), 'group')}"
    if result.unknown:
        text += f"; {result.unknown:,} others unknown on one side at least"
    only = [f"{count:,} in {name}" for name, count in result.only.items() if count]
    if only:
        text += f"; not in all: {', '.join(only)}"
    return text


def _group(result: Comparison, number: int, group: DifferenceGroup, width: int) -> Iterator[StyledLine]:
    yield [
        (f"{number}. {counted(group.count, 'scenario')}", "bold"),
        (f"  {' | '.join(_rules(one) for one in group.sides)}", ""),
    ]
    for line in wrapped(group.scenario, _INDENT, width):
        yield [(line, "cyan")]
    word = group.scenario.split()[group.step]
    yield [(f"{_INDENT}at {word}", "dim")]
    alike: dict[SideOutcome, list[str]] = {}
    for name, side in zip(result.sides, group.sides, strict=True):
        alike.setdefault(side, []).append(name)
    size = max(len(", ".join(names)) for names in alike.values())
    for side, names in alike.items():
        outcome = in_words(side.outcome, delivers=delivers(word))
        style = "green" if outcome == "ok" else "red"
        note = f"  ({side.note})" if side.note else ""
        yield [(f"{_INDENT}{', '.join(names):<{size}}  ", ""), (outcome, style), (note, "")]
        for line in wrapped(side.why, _INDENT * 2, width):
            yield [(line, "dim")]


def _rules(side: SideOutcome) -> str:
    return " or ".join(side.rules) or "(no rule)"
