"""What a failing item says: the scenario, expected, actual, the rule and why, and the line that reproduces it."""

from __future__ import annotations

from collections.abc import Sequence

from conformance.judge.summary import Group
from conformance.report.terminal import group_lines

#: groups that are printed for one item
_MOST = 10


def text(groups: Sequence[Group]) -> str:
    """The message for ``groups`` of verdicts that diverge."""
    lines = [line for group in groups[:_MOST] for line in [*group_lines(group), ""]]
    if len(groups) > _MOST:
        lines.append(f"... and {len(groups) - _MOST} more groups")
    return "\n".join(lines).rstrip()
