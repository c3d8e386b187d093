"""Answers on the terminal: a table with a row for each system, the reason under each row."""

from __future__ import annotations

import re
from collections.abc import Sequence

from bindmatrix.answers.ask import SystemAnswer, foreign_note, telling_steps
from bindmatrix.answers.headline import call_of, deciding_step, headline
from bindmatrix.answers.reason import ABSENT
from bindmatrix.answers.scenario_notes import local_clients_note
from bindmatrix.notation import OPTIONS, Scenario, Step
from bindmatrix.outcomes import in_words
from bindmatrix.report.console import PLAIN_WIDTH, StyledLine, wrapped

_GAP = "  "
_MARK = "*"
#: longer labels go on in the next line; a table of 80 columns has room for this one and its outcomes
_LABEL = 40
#: an errno, and the outcomes of a delivery that no socket receives
_FAILS = re.compile(r"\bE[A-Z]+\b|any error|none|refused|timeout|no [A-Z]")


def lines(
    scenario: Scenario,
    found: Sequence[SystemAnswer],
    width: int = PLAIN_WIDTH,
    *,
    explain: bool = False,
    notes: Sequence[str] = (),
) -> list[StyledLine]:
    """The headline, the scenario, the table, and under each row its reasons.

    ``explain`` adds what the kernel does, ``notes`` how the question was read.
    """
    out: list[StyledLine] = [[(line, "bold")] for line in wrapped(headline(scenario, found), "", width)]
    out += [[(line, "cyan")] for line in wrapped(scenario.text, "  ", width)]
    out += [[(line, "yellow")] for note in notes for line in wrapped(f"note: {note}", "", width)]
    heads, cells = _columns(scenario, found, width)
    labels = [wrapped(answer.label, "", _LABEL) for answer in found]
    widths = _widths(found, heads, cells)
    out.append([])
    out.append([(_GAP.join(word.ljust(size) for word, size in zip(_head(heads), widths, strict=True)).rstrip(), "dim")])
    for answer, row, label in zip(found, cells, labels, strict=True):
        words = [label[0], *row, str(answer.confidence.method)]
        styles = ["bold", *map(_style, row), "dim"]
        out.append(
            [
                (word.ljust(size) + _GAP if index + 1 < len(words) else word, style)
                for index, (word, size, style) in enumerate(zip(words, widths, styles, strict=True))
            ]
        )
        out += [[(f"  {line}", "bold")] for line in label[1:]]
        out += _notes(answer, scenario.steps, width, explain=explain)
    more = [foreign_note(scenario), local_clients_note(scenario), _port_note(scenario)]
    return out + [[(line, "yellow")] for one in more if one for line in wrapped(f"note: {one}", "", width)]


def _port_note(scenario: Scenario) -> str:
    """Where to find the rest of the answer when the kernel chooses the port."""
    if not any(step.kind == "bind" and step.value for step in scenario.steps):
        return ""
    return "the kernel chooses a port; whether two sockets can get the same one: bindmatrix ports"


def _columns(scenario: Scenario, found: Sequence[SystemAnswer], width: int) -> tuple[list[str], list[list[str]]]:
    """The heads of the columns of outcomes, and the cells of each row.

    A column for each step that tells something; where that is too wide, one for the call that decides and one for each
    delivery; where that is too wide as well, all of it is in one column.
    """
    steps = telling_steps(scenario, found)
    heads = [scenario.steps[step].text for step in steps]
    cells = [[_cell(answer, step, scenario.steps[step]) for step in steps] for answer in found]
    if _table_width(found, heads, cells) <= width:
        return heads, cells
    deliveries = [step for step in steps if scenario.steps[step].delivers]
    heads = ["result", *(scenario.steps[step].text for step in deliveries)]
    received = [[_cell(answer, step, scenario.steps[step]) for step in deliveries] for answer in found]
    results = [_result(scenario, answer) for answer in found]
    cells = [[result, *row] for result, row in zip(results, received, strict=True)]
    if _table_width(found, heads, cells) <= width:
        return heads, cells
    pairs = zip(results, received, strict=True)
    return heads[:1], [[", ".join([result, *row]) if result == "ok" else result] for result, row in pairs]


def _result(scenario: Scenario, answer: SystemAnswer) -> str:
    """``ok``, or the first call that fails and what it returns."""
    index = deciding_step(scenario, answer)
    if index is None:
        return "ok"
    step = scenario.steps[index]
    if any(rule.id == ABSENT for rule in answer.rules[index]):
        return f"no {OPTIONS[step.what]}"
    return f"{call_of(step.text)}: {_cell(answer, index, step)}"


def _head(heads: Sequence[str]) -> list[str]:
    return ["system", *heads, "known by"]


def _widths(found: Sequence[SystemAnswer], heads: Sequence[str], cells: Sequence[Sequence[str]]) -> list[int]:
    rows = [
        _head(heads),
        *(
            [wrapped(one.label, "", _LABEL)[0], *row, str(one.confidence.method)]
            for one, row in zip(found, cells, strict=True)
        ),
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
    if cell.endswith(("unknown", "unknown*")):
        return "yellow"
    return "red" if _FAILS.search(cell) else ""


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
