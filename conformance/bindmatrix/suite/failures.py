"""What a failing item says: the scenario, expected, actual, the rule and why, and the line that reproduces it."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from bindmatrix.judge.summary import Collector, VerdictGroup
from bindmatrix.judge.verdicts import VerdictKind
from bindmatrix.report.terminal import group_lines
from bindmatrix.report.words import counted

#: groups that are printed for one item
_MOST = 10


def fail(found: Collector) -> None:
    """Fail the item when something diverges."""
    groups = [group for group in found.settled() if group.kind == VerdictKind.DIVERGES]
    if groups:
        pytest.fail(text(groups), pytrace=False)


def text(groups: Sequence[VerdictGroup]) -> str:
    """The message for ``groups`` of verdicts that diverge."""
    lines = [line for group in groups[:_MOST] for line in [*group_lines(group), ""]]
    if len(groups) > _MOST:
        lines.append(f"... and {counted(len(groups) - _MOST, 'more group')}")
    return "\n".join(lines).rstrip()
