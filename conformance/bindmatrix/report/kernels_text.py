"""One scenario on several kernels, as a table for a terminal."""

from __future__ import annotations

from collections.abc import Sequence

from bindmatrix.judge.by_release import Change, KernelAnswer, telling_steps
from bindmatrix.judge.verdicts import VerdictKind
from bindmatrix.notation import Scenario
from bindmatrix.outcomes import in_words
from bindmatrix.report.console import PLAIN_WIDTH, wrapped

_GAP = "  "


def lines(
    scenario: Scenario, answers: Sequence[KernelAnswer], changes: Sequence[Change], width: int = PLAIN_WIDTH
) -> list[str]:
    """The scenario, a row a kernel (the oldest first), and between which two the answer changes."""
    found = wrapped(scenario.text, "", width)
    steps = telling_steps(scenario, answers)
    heads = [scenario.steps[step].text for step in steps]
    rows = [_row(one, scenario, steps) for one in answers]
    table = _table(["release", "asked", *heads, "verdict"], rows)
    if max(map(len, table)) > width:
        found += [f"[{step + 1}] {head}" for step, head in zip(steps, heads, strict=True)]
        table = _table(["release", "asked", *(f"[{step + 1}]" for step in steps), "verdict"], rows)
    found += ["", *table, ""]
    for change in changes:
        found += _change(scenario, change, width)
    if not changes:
        asked = list(dict.fromkeys(one.release for one in answers if one.outcomes is not None))
        found.append(f"the answer is the same on {', '.join(asked)}" if asked else "no kernel answered")
    for one in answers:
        if one.reason:
            found += wrapped(f"{one.release}, {one.how}: {one.reason}", "", width)
    return found


def _row(answer: KernelAnswer, scenario: Scenario, steps: Sequence[int]) -> list[str]:
    outcomes = answer.outcomes
    cells = [str(outcomes[step]) if outcomes else "-" for step in steps]
    predicted = answer.prediction.outcomes
    expected = [
        in_words(predicted[step], delivers=scenario.steps[step].delivers) if predicted else "-" for step in steps
    ]
    verdict = answer.verdict
    if outcomes and verdict != VerdictKind.CONFORMS:
        verdict += f", expected {' '.join(expected)}"
    return [answer.release, answer.how, *cells, verdict]


def _table(head: list[str], rows: Sequence[list[str]]) -> list[str]:
    widths = [max(map(len, column)) for column in zip(head, *rows, strict=True)]
    return [
        _GAP.join(word.ljust(size) for word, size in zip(row, widths, strict=True)).rstrip() for row in (head, *rows)
    ]


def _change(scenario: Scenario, change: Change, width: int) -> list[str]:
    before, after = (str((one.outcomes or ())[change.step]) for one in (change.before, change.after))
    text = (
        f"changes between {change.before.release} and {change.after.release} at {scenario.steps[change.step].text}: "
        f"{before}, then {after}"
    )
    found = wrapped(text, "", width)
    for rule in change.explained:
        found += wrapped(f"{rule.id} ({rule.span}): {' '.join(rule.reason.split())}", "    ", width)
    return found
