"""The page: the template with styles, scripts and data put in.

What a host or an observation file said reaches the page only inside the compressed data, as base64, which cannot end
a script element; the scripts make text nodes of it, never markup.  A content security policy names the hashes of the
one style and the one script, so that nothing else would run even so.
"""

from __future__ import annotations

import base64
import hashlib
from importlib.resources import files

from bindmatrix import __version__
from bindmatrix.judge.matrix_view import MatrixView
from bindmatrix.report.html.dataset import encode
from bindmatrix.report.words import counted

#: in the order in which they are put together
SCRIPTS = ("data.js", "matrix.js", "lists.js", "detail.js", "main.js")


def render(view: MatrixView) -> str:
    """The whole page."""
    style = _asset("style.css")
    script = '"use strict";\n' + "\n".join(_asset(name) for name in SCRIPTS)
    page = _asset("page.html")
    for name, value in (
        ("VERSION", __version__),
        ("HOSTS", counted(len(view.both.hosts), "host")),
        ("SCENARIOS", counted(len(view.both.vector), "scenario")),
        ("STYLE_HASH", policy_hash(style)),
        ("SCRIPT_HASH", policy_hash(script)),
        ("STYLE", style),
        ("SCRIPT", script),
        ("DATA", encode(view)),
    ):
        page = page.replace(f"@{name}@", value)
    return page


def _asset(name: str) -> str:
    return (files("bindmatrix.report.html") / name).read_text(encoding="utf-8")


def policy_hash(text: str) -> str:
    """The hash of a style or script, as a content security policy names it."""
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode("ascii")
