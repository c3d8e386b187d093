"""The explorer: one self-contained file, made from the rules.

Texts of the data reach the page inside the compressed data, as base64; the scripts make text nodes of them.  A content
security policy names the hashes of the one style and the one script.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from importlib.resources import files

from bindmatrix import __version__
from bindmatrix.advice.recipes import Recipe
from bindmatrix.advice.runtime_questions import RuntimeQuestion
from bindmatrix.answers.explorer import AskedScenario, SystemTable
from bindmatrix.report.html.page import policy_hash
from bindmatrix.report.site.explorer_data import encode

#: in the order in which they are put together
SCRIPTS = ("data.js", "compose.js", "programs.js", "view.js", "main.js")


def render(
    systems: Sequence[SystemTable],
    listed: Sequence[AskedScenario],
    runtimes: Sequence[RuntimeQuestion],
    methods: Mapping[str, str],
    advised: Sequence[Recipe],
    pages: Mapping[str, str],
) -> str:
    """The whole page; ``pages``: file -> title of the pages around it."""
    style = asset("site.css")
    script = '"use strict";\n' + "\n".join(asset(name) for name in SCRIPTS)
    return filled(
        asset("explorer.html"),
        VERSION=__version__,
        SYSTEMS=f"{len(systems)}",
        QUESTIONS=f"{len(systems[0].column):,}",
        NAVIGATION=navigation(pages, "index.html"),
        STYLE_HASH=policy_hash(style),
        SCRIPT_HASH=policy_hash(script),
        STYLE=style,
        SCRIPT=script,
        DATA=encode(systems, listed, runtimes, methods, advised),
    )


def navigation(pages: Mapping[str, str], current: str) -> str:
    """Links to every page, or nothing where there is none."""
    if not pages:
        return ""
    links = (
        f'<a href="{file}"{" aria-current=page" if file == current else ""}>{escape(title)}</a>'
        for file, title in pages.items()
    )
    return f'<nav aria-label="Pages">{"".join(links)}</nav>'


def asset(name: str) -> str:
    """A file of the package."""
    return (files("bindmatrix.report.site") / name).read_text(encoding="utf-8")


def filled(template: str, **values: str) -> str:
    """The template with ``@NAME@`` replaced."""
    for name, value in values.items():
        template = template.replace(f"@{name}@", value)
    return template
