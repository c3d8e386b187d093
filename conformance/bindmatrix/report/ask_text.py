"""Answers on the terminal: a table with a row for each system, the reason under each row."""

from __future__ import annotations

from collections.abc import Sequence

from bindmatrix.answers.ask import SystemAnswer, telling_steps
from bindmatrix.answers.scenario_notes import scenario_note
from bindmatrix.notation import Scenario, Step
from bindmatrix.outcomes import in_words
from bindmatrix.report.console import PLAIN_WIDTH, StyledLine, wrapped

_GAP = "  "
_MARK = "*"


def lines(
    scenario: Scenario, found: Sequence[SystemAnswer], width: int = PLAIN_WIDTH, *, explain: bool = False
) -> list[StyledLine]:
    """The scenario, the table, and under each row its reasons; with ``explain`` what the kernel does too."""
    out: list[StyledLine] = [[(line, "bold")] for line in wrapped(scenario.text, "", width)]
    steps = telling_steps(scenario, found)
    heads = [scenario.steps[step].text for step in steps]
    cells = [[_cell(answer, step, scenario.steps[step]) for step in steps] for answer in found]
    if _table_width(found, heads, cells) > width:
        out += [[(f"[{step + 1}] {scenario.steps[step].text}", "dim")] for step in steps]
        heads = [f"[{step + 1}]" for step in steps]
    listed = [""] * len(found)
    if _table_width(found, heads, cells) > width:
        # too many columns: the outcomes go under the row
        listed = ["  ".join(f"{head}={cell}" for head, cell in zip(heads, row, strict=True)) for row in cells]
        heads, cells = [], [[] for _ in found]
    widths = _widths(found, heads, cells)
    out.append([])
    out.append([(_GAP.join(word.ljust(size) for word, size in zip(_head(heads), widths, strict=True)).rstrip(), "dim")])
    for answer, row, under in zip(found, cells, listed, strict=True):
        words = [answer.label, *row, str(answer.confidence.method)]
        styles = ["bold", *(_style(cell) for cell in row), "dim"]
        out.append(
            [
                (word.ljust(size) + _GAP if index + 1 < len(words) else word, style)
                for index, (word, size, style) in enumerate(zip(words, widths, styles, strict=True))
            ]
        )
        out += [[(line, "")] for line in wrapped(under, "    ", width)]
        out += _notes(answer, scenario.steps, width, explain=explain)
    note = scenario_note(scenario)
    return out + [[(line, "yellow")] for line in wrapped(f"note: {note}" if note else "", "", width)]


def _head(heads: Sequence[str]) -> list[str]:
    return ["system", *heads, "confidence"]


def _widths(found: Sequence[SystemAnswer], heads: Sequence[str], cells: Sequence[Sequence[str]]) -> list[int]:
    rows = [
        _head(heads),
        *([one.label, *row, str(one.confidence.method)] for one, row in zip(found, cells, strict=True)),
    ]
    return [max(map(len, column)) for column in zip(*rows, strict=True)]


def _table_width(found: Sequence[SystemAnswer], heads: Sequence[str], cells: Sequence[Sequence[str]]) -> int:
    widths = _widths(found, heads, cells)
    return sum(widths) + len(_GAP) * (len(widths) - 1)


def _cell(answer: SystemAnswer, index: int, step: Step) -> str:
    mark = _MARK if answer.outcomes[index] != answer.by_rules[index] else ""
    return in_words(answer.outcomes[index], delivers=step.delivers) + mark


def _style(cell: str) -> str:
    if cell.startswith("ok"):
        return "green"
    return "yellow" if cell.startswith("unknown") else "red"


def _notes(answer: SystemAnswer, steps: Sequence[Step], width: int, *, explain: bool) -> list[StyledLine]:
    found: list[StyledLine] = []
    alike: dict[tuple[str, str, str], list[str]] = {}
    for one in answer.reasons:
        alike.setdefault((one.text, one.rule, one.why), []).append(steps[one.step].text)
    for number, ((text, rule, why), named) in enumerate(alike.items(), 1):
        start = f"{', '.join(dict.fromkeys(named))}: " if len(alike) > 1 else ""
        end = "" if rule.startswith("api.") else f" ({rule})"
        known = f" [{answer.confidence_text}]" if number == len(alike) else ""
        found += [[(line, "")] for line in wrapped(f"{start}{text}{end}{known}", "    ", width)]
        if explain and why != text:
            found += [[(line, "dim")] for line in wrapped(f"in the kernel: {why}", "      ", width)]
    step = steps[answer.step]
    if answer.divergences:
        instead = in_words(answer.by_rules[answer.step], delivers=step.delivers)
        text = f"{_MARK} a known divergence ({', '.join(answer.divergences)}): the rules say {instead}"
        found += [[(line, "magenta")] for line in wrapped(text, "    ", width)]
    if answer.limit:
        found += [[(line, "yellow")] for line in wrapped(f"note: {answer.limit}", "    ", width)]
    return found
