"""The audit of a program on the terminal: what it does on systems where it was not tested."""

from __future__ import annotations

from collections.abc import Iterator

from bindmatrix.advice.audit import Audit, AuditedSystem, AuditRow
from bindmatrix.report.console import StyledLine, wrapped
from bindmatrix.report.words import counted

#: a page that fits anywhere
WIDTH = 80


def lines(found: Audit, width: int = WIDTH) -> list[StyledLine]:
    """The program, the answers of the system on which it was tested, and what differs on each other system."""
    return list(_lines(found, min(width, WIDTH)))


def _lines(found: Audit, width: int) -> Iterator[StyledLine]:
    tried = found.tried
    yield from _text(found.program.name, "", "bold", width)
    if tried.does is None:
        yield from _text(f"on {tried.os} {tried.release} it is not known: {tried.without}", "", "yellow", width)
    else:
        yield from _text(tried.does.text, "  ", "", width)
        yield []
        yield from _text(f"{tried.os} {tried.release}, where it was tried", "", "bold", width)
    for row in tried.rows:
        yield from _text(_said(row), "  ", "", width)
    alike = []
    for system in found.others:
        if system.does is not None and not (system.rows or system.unknown):
            alike.append(f"{system.os} {system.release}")
            continue
        yield []
        yield from _system(system, tried, width)
    if alike:
        yield []
        yield from _text(f"as on {tried.os}: {', '.join(alike)}", "", "green", width)


def _system(system: AuditedSystem, tried: AuditedSystem, width: int) -> Iterator[StyledLine]:
    head = f"{system.os} {system.release}"
    if system.does is None:
        yield from _text(f"{head}: {system.without}", "", "bold", width)
        return
    verb = "differs" if len(system.rows) == 1 else "differ"
    yield from _text(f"{head}: {counted(len(system.rows), 'answer')} {verb}", "", "bold", width)
    if system.does != tried.does:
        yield from _text(f"it does there: {system.does.text}", "  ", "", width)
    for row in system.rows:
        yield from _row(row, tried.os, width)
    for pattern in system.misuse if system.rows else ():
        yield from _text(f"instead of {pattern.what}: {pattern.instead} ({pattern.id})", "  ", "green", width)
    if system.unknown:
        yield from _text(f"not known there: {'; '.join(system.unknown)}", "  ", "yellow", width)


def _row(row: AuditRow, tried: str, width: int) -> Iterator[StyledLine]:
    yield from _text(_said(row), "  ", "red", width)
    if row.before:
        yield from _text(f"{tried}: {row.before}", "    ", "", width)
    if row.known is not None and row.answer.scenario is not None:
        reason = row.known.main_reason
        rule = "" if reason.rule.startswith("api.") else f" ({reason.rule})"
        yield from _text(f"why: {reason.text}{rule} [{row.known.confidence_text}]", "    ", "dim", width)
        yield from _text(row.answer.scenario.text, "    ", "dim", width)


def _said(row: AuditRow) -> str:
    means = f" ({row.answer.means})" if row.answer.means else ""
    return f"{row.question}: {row.answer.words}{means}"


def _text(text: str, indent: str, style: str, width: int) -> list[StyledLine]:
    return [[(line, style)] for line in wrapped(text, indent, width)]
