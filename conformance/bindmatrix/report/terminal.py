"""A summary on the terminal: with colours and tables on a terminal, plain lines everywhere else."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import IO, TYPE_CHECKING

from bindmatrix.judge.summary import Summary, VerdictGroup
from bindmatrix.judge.verdicts import VerdictKind
from bindmatrix.quoting import shell, terminal
from bindmatrix.report.console import console_on
from bindmatrix.report.words import counted

if TYPE_CHECKING:
    from rich.console import Console

_COLOURS = {
    VerdictKind.DIVERGES: "bold red",
    VerdictKind.FLAKY: "yellow",
    VerdictKind.RESOLVED: "cyan",
    VerdictKind.KNOWN: "magenta",
    VerdictKind.CONFORMS: "green",
}
#: how many rules and groups are shown before "... and N more"
_RULES, _GROUPS = 12, 20


def show(summary: Summary, stream: IO[str] | None = None, *, name: str = "", rules: bool = True) -> None:
    """Print ``summary``; with the ``name`` of one host of several, or without ``rules``, shorter.

    rich decides by terminal and NO_COLOR whether there are colours.
    """
    from rich.table import Table
    from rich.text import Text

    out = stream or sys.stdout
    console = console_on(out, soft_wrap=not out.isatty(), width=None if out.isatty() else 200)
    console.print(Text(terminal(f"{name}: {summary.headline}" if name else summary.headline), style="bold"))
    console.print(Text(terminal(how(summary)), style="dim"))
    table = Table(box=None, padding=(0, 2, 0, 0), show_header=False)
    table.add_column(justify="right")
    table.add_column()
    table.add_column(style="dim")
    for kind, count in summary.counted.items():
        table.add_row(f"{count:,}", Text(kind, style=_COLOURS.get(kind, "") if count else "dim"), kind.meaning)
    console.print(table)
    for lack, reasons in summary.reasons.items():
        for reason, count in list(reasons.items())[:5]:
            console.print(Text(terminal(f"  {lack}: {count:,} x {reason}")))
    if rules and not name:
        _show_rules(console, summary)
    for kind in VerdictKind:
        groups = summary.of(kind)
        for group in groups[:_GROUPS]:
            console.print(Text("\n" + "\n".join(map(terminal, group_lines(group, summary.recording)))))
        if len(groups) > _GROUPS:
            console.print(Text(f"\n... and {counted(len(groups) - _GROUPS, 'more group')} of {kind}"))
    for note in summary.notes:
        console.print(Text(terminal(f"note: {note}"), style="yellow"))


def show_hosts(summaries: Mapping[str, Summary], problems: Mapping[str, str], stream: IO[str] | None = None) -> None:
    """Print a row for each host of a run, and why others could not run at all."""
    from rich.table import Table
    from rich.text import Text

    out = stream or sys.stdout
    console = console_on(out, soft_wrap=not out.isatty(), width=None if out.isatty() else 200)
    kinds = [kind for kind in VerdictKind if any(kind in one.counted for one in summaries.values())]
    table = Table(box=None, padding=(0, 2, 0, 0))
    for title in ("host", "system"):
        table.add_column(title)
    for kind in ("scenarios", *kinds):
        table.add_column(kind, justify="right")
    for name, one in summaries.items():
        counts = [
            Text(f"{one.verdicts.get(kind, 0):,}", style=_COLOURS.get(kind, "") if one.verdicts.get(kind) else "dim")
            for kind in kinds
        ]
        table.add_row(Text(terminal(name)), Text(terminal(f"{one.system} {one.release}")), f"{one.total:,}", *counts)
    if summaries:
        console.print(table)
    for name, problem in problems.items():
        console.print(Text(terminal(f"{name}: could not run: {problem}"), style="bold red"))


def _show_rules(console: Console, summary: Summary) -> None:
    from rich.table import Table

    rules = list(summary.system_rules.items())
    if not rules:
        return
    table = Table(box=None, padding=(0, 2, 0, 0), show_header=False)
    table.add_column(justify="right")
    table.add_column()
    for rule, count in rules[:_RULES]:
        table.add_row(f"{count:,}", rule)
    console.print("\nRules used (steps decided)")
    console.print(table)
    if len(rules) > _RULES:
        console.print(f"... and {counted(len(rules) - _RULES, 'more rule')}")


def how(summary: Summary) -> str:
    """The method by which the host answered, and how long it took: ``run on 6.18.44, 8.1 s``."""
    return summary.method + (f", {summary.seconds:.1f} s" if summary.seconds else "")


def next_steps(folder: str, command: str) -> list[str]:
    """The commands for after a run; ``folder`` is quoted for a shell."""
    rows = [
        ("read it", f"{folder}/summary.md"),
        ("see it as a page", f"{command} report {folder} --html matrix.html"),
        ("compare it with another", f"{command} diff {folder} OTHER"),
        ("contribute it", f"{command} contribute {folder}"),
    ]
    width = max(len(what) for what, _ in rows)
    return [f"  {what.ljust(width)}  {how}" for what, how in rows]


def group_lines(group: VerdictGroup, recording: str | None = "") -> list[str]:
    """A group as lines: what, the shortest scenario, expected, actual, the rule and why, how to reproduce it."""
    head = f"{group.kind}: {group.count:,} x"
    if group.divergence:
        head += f" {group.divergence}"
    elif group.rule:
        head += f" {group.rule}"
    lines = [head, f"  {group.shortest}"]
    if group.kind == VerdictKind.UNKNOWN:
        return [*lines, f"  not known: {group.gloss}"] if group.gloss else lines
    if group.call:
        lines.append(f"  {group.call}: expected {group.wanted}, got {group.actual}")
    if group.gloss:
        lines.append(f"  why: {group.gloss}")
    if group.reason:
        lines.append(f"  {group.reason}")
    if group.kind in (VerdictKind.DIVERGES, VerdictKind.FLAKY):
        lines.append(f"  reproduce: bindmatrix observe '{group.shortest}'")
        if recording is not None:
            lines.append(f"  programs and a bug report: {report_command(group, recording)}")
    return lines


def report_command(group: VerdictGroup, recording: str) -> str:
    """The command that writes the bug report; what was recorded elsewhere is told as it is in the recording."""
    if recording:
        return f"bindmatrix reproduce {shell(group.scenario)} --host {shell(recording)}"
    return f"bindmatrix reproduce '{group.shortest}'"
