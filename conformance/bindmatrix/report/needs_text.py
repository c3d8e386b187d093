"""The needs of a library on the terminal: a table of statuses, then each need with its reasons and methods."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from bindmatrix.answers.needs import NeedResult, NeedsTable, NeedStatus
from bindmatrix.answers.needs_file import Need
from bindmatrix.report.console import StyledLine, wrapped
from bindmatrix.report.words import counted

#: width of everything, whatever the terminal has
WIDTH = 80
_NAME = 34
_GAP = "  "
WORDS = {
    NeedStatus.MET: "met",
    NeedStatus.NOT_MET: "NOT MET",
    NeedStatus.UNKNOWN: "unknown",
    NeedStatus.NOT_ASKED: "-",
}
_STYLES = {NeedStatus.MET: "green", NeedStatus.NOT_MET: "bold red", NeedStatus.UNKNOWN: "yellow"}


def lines(table: NeedsTable) -> list[StyledLine]:
    """The whole text; no line is longer than WIDTH unless a single word is."""
    out: list[StyledLine] = []
    for columns in _parts(table.columns):
        out += [*_grid(table, columns), []]
    for need, row in zip(table.needs, table.cells, strict=True):
        out += [*_need(need, dict(zip(table.columns, row, strict=True))), []]
    return [*out, *_summary(table)]


def plain(table: NeedsTable) -> str:
    """The same as one text."""
    return "\n".join("".join(word for word, _ in line).rstrip() for line in lines(table))


def _parts(columns: Sequence[str]) -> Iterator[list[int]]:
    """The columns in parts that fit beside the names of the needs."""
    part: list[int] = []
    room = WIDTH - _NAME
    for index, label in enumerate(columns):
        size = len(_GAP) + max(len(label), len(WORDS[NeedStatus.NOT_MET]))
        if part and size > room:
            yield part
            part, room = [], WIDTH - _NAME
        part.append(index)
        room -= size
    yield part


def _grid(table: NeedsTable, columns: Sequence[int]) -> list[StyledLine]:
    sizes = [max(len(table.columns[one]), len(WORDS[NeedStatus.NOT_MET])) for one in columns]
    head = [table.columns[one].ljust(size) for one, size in zip(columns, sizes, strict=True)]
    out: list[StyledLine] = [[(_GAP.join(["need".ljust(_NAME), *head]).rstrip(), "dim")]]
    for need, row in zip(table.needs, table.cells, strict=True):
        number = f"{need.place.line}: " if need.place.line else ""
        line = [(_short(number + need.name).ljust(_NAME), "")]
        for one, size in zip(columns, sizes, strict=True):
            status = row[one].status
            line.append((_GAP + WORDS[status].ljust(size), _STYLES.get(status, "dim")))
        line[-1] = (line[-1][0].rstrip(), line[-1][1])
        out.append(line)
    return out


def _short(text: str) -> str:
    return text if len(text) <= _NAME else f"{text[: _NAME - 3]}..."


def _need(need: Need, cells: dict[str, NeedResult]) -> list[StyledLine]:
    out: list[StyledLine] = [[(line, "bold")] for line in wrapped(f"{need.place}: {need.title}".strip(": "), "", WIDTH)]
    limit = f"on {', '.join(map(str, need.only))}: " if need.only else ""
    out += [[(line, "")] for line in wrapped(f"{limit}{need.scenario.text} => {need.written}", "    ", WIDTH)]
    for label, cell in cells.items():
        if cell.status == NeedStatus.NOT_ASKED:
            continue
        name = label if cell.release in label else f"{label} {cell.release}"
        says = cell.says(need)
        told = cell.method if cell.status == NeedStatus.MET else says
        head = f"{WORDS[cell.status]:<7}{_GAP}{name}: {told}".rstrip(": ")
        out += [[(line, _STYLES[cell.status])] for line in wrapped(head, "  ", WIDTH)]
        if cell.status != NeedStatus.MET:
            out += [[(line, "")] for line in wrapped(because(cell), "           ", WIDTH)]
    return out


def because(cell: NeedResult) -> str:
    """The reason, the rule that says so and how it is known, on one line."""
    rule = f" ({cell.rule})" if cell.rule else ""
    method = f" [{cell.method}]" if cell.method else ""
    return f"{cell.reason}{rule}{method}".strip()


def _summary(table: NeedsTable) -> list[StyledLine]:
    out: list[StyledLine] = []
    for need in table.idle:
        systems = " or ".join(f"--os {one}" for one in need.only)
        out.append([(f"{need.place}: no system was asked; name it with {systems}", "yellow")])
    words = ", ".join(f"{table.count(one):,} {one}" for one in (NeedStatus.MET, NeedStatus.NOT_MET, NeedStatus.UNKNOWN))
    needs, systems = counted(len(table.needs), "need"), counted(len(table.columns), "system")
    style = "red" if table.fails() else "green"
    out.append([(f"{needs} on {systems}: {words}", style)])
    return out
