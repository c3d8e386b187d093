"""``bindmatrix ports``: what happens with ports that the kernel chooses, on every system and on this kernel."""

from __future__ import annotations

import argparse
import json
import sys
from typing import Any

from bindmatrix.answers.port_table import port_rows
from bindmatrix.cli.main import DIVERGES, OK
from bindmatrix.errors import Place, Problem, nearest
from bindmatrix.execute.ephemeral_probe import ProbeError, probe
from bindmatrix.report import ephemeral_text
from bindmatrix.report.console import width_of
from bindmatrix.rules import ephemeral
from bindmatrix.rules.ephemeral import PortAnswer, Table

_EPILOG = """\
On Linux this kernel is asked too, in a network namespace whose port range is narrowed to 64 ports.  That needs root or
user namespaces, and leaves nothing behind.

--json prints {"questions": [{"id", "question", "cells": {OS: {"answer", "evidence"}}, "here"}], "host", "also"}.
A system that a question does not name is unknown.  Exit status 1: this kernel contradicts the answer for its system.
"""


def configure(parser: argparse.ArgumentParser) -> None:
    """The arguments of the verb."""
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.epilog = _EPILOG
    parser.add_argument("--os", action="append", default=[], help="only this system (repeatable)")
    parser.add_argument(
        "--live", action=argparse.BooleanOptionalAction, default=None, help="ask this kernel too (default: if possible)"
    )
    parser.add_argument("--json", action="store_true", help="an object, see below")


def run(arguments: argparse.Namespace) -> int:
    """Print the table; status 1 if this kernel differs from the table of its system."""
    table = _only(ephemeral.read(), arguments.os)
    found = _live(required=arguments.live is True) if arguments.live is not False else {}
    host = found.get("host", {})
    here = {
        name: answer if isinstance(answer, str) else tuple(answer) for name, answer in found.get("answers", {}).items()
    }
    os = str(host.get("os", ""))
    rows = port_rows(table, here, os)
    if arguments.json:
        print(json.dumps(_as_dict(table, here, host), indent=1))
    else:
        name = f"here, {os} {host.get('release')}"
        print("\n".join(ephemeral_text.lines(rows, table.methods, table.also, name, os, width_of(sys.stdout))))
    return DIVERGES if any(row.differs for row in rows) else OK


def _only(table: Table, systems: list[str]) -> Table:
    for os in systems:
        if os not in table.systems:
            known = ", ".join(table.systems)
            raise Problem(Place("--os"), f"nothing is known of {os!r}{nearest(os, table.systems)}; there are {known}")
    if not systems:
        return table
    questions = tuple(
        ephemeral.PortQuestion(one.id, one.text, {os: cell for os, cell in one.cells.items() if os in systems})
        for one in table.questions
    )
    also = {os: text for os, text in table.also.items() if os in systems}
    return Table(tuple(os for os in table.systems if os in systems), questions, also)


def _live(required: bool) -> dict[str, Any]:
    try:
        return probe()
    except ProbeError as error:
        if required:
            raise
        print(f"this kernel was not asked: {error}", file=sys.stderr)
        return {}


def _as_dict(table: Table, here: dict[str, PortAnswer], host: dict[str, Any]) -> dict[str, Any]:
    questions = []
    for one in table.questions:
        cells = {os: {"answer": cell.answer, "evidence": dict(cell.evidence)} for os, cell in one.cells.items()}
        row: dict[str, Any] = {"id": one.id, "question": one.text, "cells": cells}
        if one.id in here:
            row["here"] = here[one.id]
        questions.append(row)
    return {"questions": questions, "host": host or None, "also": dict(table.also)}
