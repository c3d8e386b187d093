"""Needs on systems as Markdown and as JUnit XML."""

from __future__ import annotations

from xml.etree import ElementTree as ET

from bindmatrix.answers.needs import NeedResult, NeedsTable, NeedStatus
from bindmatrix.answers.needs_file import Need
from bindmatrix.quoting import markdown, markdown_code, xml
from bindmatrix.report.needs_text import because
from bindmatrix.report.words import counted

_MARKS = {NeedStatus.MET: "✅", NeedStatus.NOT_MET: "❌", NeedStatus.UNKNOWN: "❔", NeedStatus.NOT_ASKED: ""}


def as_markdown(table: NeedsTable, *, strict: bool = False) -> str:
    """A table of needs and systems, and under it the reasons for what is not met or unknown."""
    mark = "❌" if table.fails(strict=strict) else "✅"
    out = [f"# {mark} {markdown(table.name)}: {counted(len(table.needs), 'need')}", ""]
    out += [f"| need | {' | '.join(map(markdown, table.columns))} |", "|---|" + "---|" * len(table.columns)]
    for need, row in zip(table.needs, table.cells, strict=True):
        out.append(f"| {need.place.line}: {markdown(need.name)} | {' | '.join(map(_cell, row))} |")
    for need, row in zip(table.needs, table.cells, strict=True):
        told = [
            f"- {_MARKS[cell.status]} **{markdown(label)}** {markdown(cell.release)} {cell.status}: "
            f"{markdown(f'{cell.says(need)}; {because(cell)}'.strip('; '))}"
            for label, cell in zip(table.columns, row, strict=True)
            if cell.status in (NeedStatus.NOT_MET, NeedStatus.UNKNOWN)
        ]
        if told:
            out += ["", f"**{markdown(str(need.place))}: {markdown(need.name)}**", ""]
            out += [f"`{markdown_code(need.scenario.text)} => {markdown_code(need.written)}`", "", *told]
    return "\n".join([*out, ""])


def _cell(cell: NeedResult) -> str:
    if cell.status == NeedStatus.NOT_ASKED:
        return ""
    method = f"<br>{markdown(cell.method)}" if cell.method else ""
    return f"{_MARKS[cell.status]} {cell.status}{method}"


def as_junit(table: NeedsTable, *, strict: bool = False) -> str:
    """A suite a system, a case a need.

    A need that is not met fails; one that is unknown is skipped, or fails with ``strict``.
    """
    root = ET.Element("testsuites", name="bindmatrix check")
    for index, label in enumerate(table.columns):
        suite = ET.SubElement(root, "testsuite", name=xml(label), errors="0", time="0")
        for need, row in zip(table.needs, table.cells, strict=True):
            if row[index].status != NeedStatus.NOT_ASKED:
                _case(suite, label, need, row[index], strict=strict)
        for key, tag in (("tests", ""), ("failures", "/failure"), ("skipped", "/skipped")):
            suite.set(key, str(len(suite.findall(f"testcase{tag}"))))
    for key in ("tests", "failures", "skipped"):
        root.set(key, str(sum(int(suite.get(key, "0")) for suite in root)))
    ET.indent(root)
    return '<?xml version="1.0" encoding="UTF-8"?>\n' + ET.tostring(root, encoding="unicode") + "\n"


def _case(suite: ET.Element, label: str, need: Need, cell: NeedResult, *, strict: bool) -> None:
    case = ET.SubElement(
        suite,
        "testcase",
        classname=xml(f"bindmatrix.check.{label}"),
        name=xml(f"{need.place.line}: {need.name}"),
        file=xml(need.place.name),
        line=str(need.place.line),
        time="0",
    )
    text = xml(f"{need.scenario.text} => {need.written}\n{because(cell)}")
    message = xml(cell.says(need) or cell.reason)
    if cell.status == NeedStatus.NOT_MET or (strict and cell.status == NeedStatus.UNKNOWN):
        ET.SubElement(case, "failure", message=message, type=str(cell.status)).text = text
    elif cell.status == NeedStatus.UNKNOWN:
        ET.SubElement(case, "skipped", message=message)
        ET.SubElement(case, "system-out").text = text
    else:
        ET.SubElement(case, "system-out").text = text
