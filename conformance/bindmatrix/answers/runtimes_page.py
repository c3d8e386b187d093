"""``docs/runtimes.md``: the catalogue of runtimes, as a page.

``python -m bindmatrix.answers.runtimes_page`` writes it; a test compares.
"""

from __future__ import annotations

import sys
from itertools import groupby
from pathlib import Path

from bindmatrix.errors import Place, Problem
from bindmatrix.programs.runtimes import Runtime, runtimes
from bindmatrix.rules import catalog

_HEAD = """\
# What runtimes do before and after bind()

{rows} calls of {runtimes} runtimes, generated from `expectations/runtimes/` by
`python -m bindmatrix.answers.runtimes_page`.

Each entry gives the calls on the sockets in the notation of the README. The first line holds for every system that no
other line names. "Recorded" means that the calls were seen with strace on that system; everything else was read in the
source that is named, and not run. The recordings are in `tests/programs/data`; `tox -e runtimes` records again what can
be installed from Debian, PyPI or npm.

`bindmatrix ask --runtime ID` says what a kernel answers to these calls.
"""


def render() -> str:
    """The page as Markdown."""
    rows = list(runtimes().values())
    text = _HEAD.format(rows=len(rows), runtimes=len({row.runtime for row in rows}))
    for name, group in groupby(rows, lambda row: row.runtime):
        text += f"\n## {name}\n" + "".join(_row(row) for row in group)
    return text


def _row(row: Runtime) -> str:
    text = f"\n### `{row.id}`\n\n`{row.call}`, version {row.version}\n\n- `{row.does.text}`\n"
    for scenario in dict.fromkeys(row.differs.values()):
        systems = [os for os, one in row.differs.items() if one == scenario]
        text += f"- {_titles(systems)}: `{scenario.text}`\n"
    for why in dict.fromkeys(row.without.values()):
        text += f"- {_titles([os for os, one in row.without.items() if one == why])}: {why}\n"
    if row.ignores:
        text += f"- Errors of {', '.join(f'`{one}`' for one in row.ignores)} are ignored.\n"
    if row.any_order:
        text += "- The order of the sockets is not fixed.\n"
    if row.backlog:
        text += f"- Backlog: {row.backlog}\n"
    if row.note:
        text += f"- Note: {row.note}\n"
    known = f"recorded on {row.recorded.system}, {row.recorded.date}" if row.recorded else "source read, never run"
    return f"{text}\n{known[0].upper()}{known[1:]}. Source: {row.source}\n"


def _titles(systems: list[str]) -> str:
    return ", ".join(catalog.expectations(os).title for os in systems)


def main() -> None:
    """Write the page anew."""
    path = Path(sys.argv[1]) if len(sys.argv) > 1 else catalog.folder().parent / "docs" / "runtimes.md"
    try:
        path.write_text(render(), encoding="utf-8")
    except OSError as error:
        raise Problem(Place(str(path)), f"cannot be written: {error.strerror}") from error


if __name__ == "__main__":
    main()
