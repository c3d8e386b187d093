"""One file that records a machine: an executor with its scenarios inside, in Python or in C.

``kit`` of the recording's first line says what wrote it::

    {"for": "openbsd", "bindmatrix": "0.1.0", "rules": "1d0f6a3c25b4", "scenarios": 14423, "witnesses": 93,
     "seconds": 50}

``rules`` is the version of the expectation files that `bindmatrix --version` prints.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from bindmatrix import __version__
from bindmatrix.execute import c_executor, executor
from bindmatrix.quoting import c_comment
from bindmatrix.rules import catalog
from bindmatrix.rules.model import Expectations

PYTHON, C = "python", "c"
#: language -> how a file of that language ends
SUFFIXES = {PYTHON: ".py", C: ".c"}
#: what the last line of the executor is, and stands once in it
_LAST = "    sys.exit(main(sys.argv[1:]))\n"

_HEAD = """\
bindmatrix kit for {title}: what happens here when sockets share a port?

    {command}

{count} scenarios of socket calls, {seconds} seconds at most, the most telling first.  No privilege is
needed, nothing is sent to another machine, nothing stays behind.  To hand the recording in:

    bindmatrix contribute recording
"""
_COMMANDS = {
    PYTHON: "python3 {name} > recording          (3.8 or newer)",
    C: "cc {name} && ./a.out > recording    (Windows: gcc {name} -lws2_32 && a.exe > recording)",
}


def description(expectations: Expectations, scenarios: Sequence[str], witnesses: int, seconds: int) -> dict[str, Any]:
    """The ``kit`` of a recording's first line."""
    return {
        "for": expectations.os,
        "bindmatrix": __version__,
        "rules": catalog.data_version(),
        "scenarios": len(scenarios),
        "witnesses": witnesses,
        "seconds": seconds,
    }


def render(language: str, name: str, title: str, kit: dict[str, Any], scenarios: Sequence[str]) -> str:
    """The text of a kit, called ``name`` in its own first lines."""
    command = _COMMANDS[language].format(name=c_comment(name))
    head = _HEAD.format(title=title, command=command, count=len(scenarios), seconds=kit["seconds"])
    render_one = _python if language == PYTHON else _c
    return render_one(head.splitlines(), kit, scenarios)


def _python(head: Sequence[str], kit: dict[str, Any], scenarios: Sequence[str]) -> str:
    source = Path(executor.__file__).read_text(encoding="utf-8")
    program, last, _ = source.rpartition(_LAST)
    if not last:
        raise ValueError(f"executor.py does not end with {_LAST.strip()!r}")
    comment = "".join([f"# {line}".rstrip() + "\n" for line in head])
    texts = "\n".join(scenarios)
    return f'{comment}{program}    sys.exit(run_kit({json.dumps(json.dumps(kit))}, """\\\n{texts}\n"""))\n'


def _c(head: Sequence[str], kit: dict[str, Any], scenarios: Sequence[str]) -> str:
    source = c_executor.SOURCE.read_text(encoding="utf-8")
    comment = "".join([f" * {line}".rstrip() + "\n" for line in head])
    texts = "".join([f"    {json.dumps(text)},\n" for text in scenarios])
    return (
        f"/*\n{comment} */\n"
        f"#define KIT {json.dumps(json.dumps(kit, separators=(',', ':')))}\n"
        f"#define KIT_FOR {json.dumps(kit['for'])}\n"
        f"#define KIT_SECONDS {kit['seconds']}\n"
        f"#define KIT_WITNESSES {kit['witnesses']}\n"
        f"static const char *const kit_scenarios[] = {{\n{texts}}};\n\n{source}"
    )
