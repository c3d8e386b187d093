"""The pages around the explorer: plain HTML with tables; each scenario links to the explorer, where it is filled in."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from html import escape
from urllib.parse import quote

from bindmatrix import __version__
from bindmatrix.advice.recipes import Recipe
from bindmatrix.answers.claims import ClaimResult
from bindmatrix.answers.explorer import KINDS, Band, SystemTable
from bindmatrix.answers.open_questions import OpenQuestion
from bindmatrix.answers.release_changes import ReleaseChange, ReleaseDifference
from bindmatrix.programs.runtimes import Runtime
from bindmatrix.report.html.page import policy_hash
from bindmatrix.report.site.explorer_page import asset, filled, navigation

#: file -> title, in the order of the links
PAGES: dict[str, str] = {
    "index.html": "Explorer",
    "claims.html": "Claims",
    "findings.html": "Findings",
    "releases.html": "Releases",
    "runtimes.html": "Runtimes",
    "recipes.html": "Recipes",
    "open.html": "Open questions",
    "known.html": "How we know",
}
_CHIPS = {
    "holds": "ok",
    "does not hold": "refused",
    "unknown": "unknown",
    "not applicable": "absent",
    "shows it": "refused",
    "behaves as expected": "ok",
    "an earlier step fails": "absent",
    "does so in both forms": "either",
}
_SYMBOLS = {"ok": "✓", "refused": "✕", "absent": "–", "either": "~", "unknown": "?"}


def page(file: str, lead: str, body: str, pages: Mapping[str, str] = PAGES) -> str:
    """A whole page; ``lead`` is text, ``body`` is HTML."""
    style = asset("site.css")
    return filled(
        asset("page.html"),
        VERSION=__version__,
        TITLE=escape(pages[file]),
        NAVIGATION=navigation(pages, file),
        STYLE_HASH=policy_hash(style),
        STYLE=style,
        LEAD=escape(lead),
        BODY=body,
    )


def claims(results: Sequence[ClaimResult], titles: Mapping[str, str]) -> str:
    """What people believe, and where it is true."""
    parts = [_contents((one.claim.id, one.claim.says) for one in results)]
    for one in results:
        rows = [
            (titles[row.os], ", ".join(row.releases), _chip(row.finding.verdict), escape(row.confidence_text))
            for row in one.rows
        ]
        asked = "".join(f"<p>{ask_link(case.scenario.text)}</p>" for case in one.claim.cases)
        sources = f'<p class="quiet">Said in: {escape("; ".join(one.claim.sources))}</p>'
        table = _table(("System", "Releases", "Is it so?", "How it is known"), rows, html=(2, 3))
        parts.append(_section(one.claim.id, one.claim.says, sources + asked + table))
    return "".join(parts)


def findings(listed: Sequence[tuple[str, str, str, str, Sequence[tuple[str, str, str, str]]]]) -> str:
    """Surprising behaviour of real kernels: (id, title, scenario, what one expects, rows of the table)."""
    parts = [_contents((name, title) for name, title, *_ in listed)]
    for name, title, text, expect, rows in listed:
        table = _table(
            ("System", "", "The last step", "How it is known"),
            [(label, _chip(mark), escape(last), escape(known)) for label, mark, last, known in rows],
            html=(1, 2, 3),
        )
        parts.append(_section(name, title, f"<p>{escape(expect)}</p><p>{ask_link(text)}</p>{table}"))
    return "".join(parts)


def release_changes(
    listed: Sequence[tuple[SystemTable, Sequence[ReleaseChange], Sequence[ReleaseDifference]]],
) -> str:
    """What changed in which release, system by system."""
    parts = [_contents((system.os, system.title) for system, *_ in listed)]
    for system, changed, differ in listed:
        rows = [(one.release, _list(one.begins), _list(one.ends)) for one in changed]
        body = _table(("Release", "From here on", "No longer"), rows, html=(1, 2)) if rows else ""
        for one in differ:
            examples = "".join(
                f"<li>{'; '.join(_in_short(band) for band in bands)}<br>{ask_link(text)}</li>"
                for text, bands in one.examples
            )
            groups = " / ".join(", ".join(band.releases) for band in one.bands)
            count = f"{one.count:,} question{'' if one.count == 1 else 's'}"
            body += f"<h3>{escape(groups)}: {count} answered differently</h3><ul>{examples}</ul>"
        parts.append(_section(system.os, system.title, body or "<p>No difference between its releases is known.</p>"))
    return "".join(parts)


def _in_short(band: Band) -> str:
    what = band.outcome if band.kind == "refused" else KINDS[band.kind]
    what += f", received by {band.receives}" if band.receives and band.kind == "ok" else ""
    return f"{escape(', '.join(band.releases))}: <b>{escape(what)}</b>"


def runtimes(rows: Iterable[Runtime]) -> str:
    """What libraries and servers do before and after bind()."""
    listed = [
        (
            f"<b>{escape(row.runtime)}</b> {escape(row.version)}<br><code>{escape(row.call)}</code>",
            _does(row),
            f'<a class="ask-link" href="index.html#p={quote(row.id)}/again">start it twice</a>',
            escape(f"recorded on {row.recorded.system}" if row.recorded else "source read"),
        )
        for row in rows
    ]
    heads = ("Program", "What it does", "Ask", "How it is known")
    return _section("catalogue", "", _table(heads, listed, html=(0, 1, 2, 3)))


def _does(row: Runtime) -> str:
    text = f"<code>{escape(row.does.text)}</code>"
    for scenario in dict.fromkeys(row.differs.values()):
        systems = ", ".join(os for os, one in row.differs.items() if one == scenario)
        text += f"<br>{escape(systems)}: <code>{escape(scenario.text)}</code>"
    return text


def recipes(found: Sequence[Recipe], titles: Mapping[str, str]) -> str:
    """The smallest option sets that reach a goal; each set that fails links to the check that says so."""
    order = list(titles)
    goals = list(dict.fromkeys(one.goal.id for one in found))
    name = {one.goal.id: one.goal.title for one in found}
    parts = [_contents((goal, name[goal]) for goal in goals)]
    for goal in goals:
        body = ""
        for place in dict.fromkeys(one.place.title for one in found if one.goal.id == goal):
            rows = [
                (
                    f"{escape(titles[one.os])} {escape(one.release)}",
                    escape(one.words),
                    "<br>".join(
                        f"{escape(bad.options.words)}: {ask_link(bad.check.scenario.text, bad.check.what)}"
                        for bad in one.refuted
                    ),
                    escape(one.confidence.text),
                )
                for one in sorted(found, key=lambda one: order.index(one.os))
                if (one.goal.id, one.place.title) == (goal, place)
            ]
            table = _table(
                ("System", "Set", "Not enough, because it fails that ...", "How it is known"), rows, html=(0, 1, 2, 3)
            )
            body += f"<h3>{escape(place)}</h3>{table}"
        parts.append(_section(goal, name[goal], body))
    return "".join(parts)


def open_questions(listed: Sequence[tuple[SystemTable, Sequence[OpenQuestion]]]) -> str:
    """What is not known, each with the shortest scenario that asks."""
    parts = [_contents((system.os, system.title) for system, _ in listed)]
    for system, questions in listed:
        rows = [
            (escape(one.id), escape(one.rule.reason), ask_link(one.scenario) if one.scenario else "")
            for one in questions
        ]
        body = (
            _table(("Rule", "What is not known", "Scenario"), rows, html=(0, 1, 2))
            if rows
            else "<p>Nothing is open.</p>"
        )
        parts.append(_section(system.os, system.title, body))
    return "".join(parts)


def known(methods: Mapping[str, str], hosts: Sequence[tuple[str, str, str]]) -> str:
    """The methods, and the recorded hosts as (name, how it answered, what it was)."""
    words = _table(
        ("Method", "What it means"),
        [(f"<b>{escape(word)}</b>", escape(meaning)) for word, meaning in methods.items()],
        html=(0, 1),
    )
    rows = [(escape(name), escape(how), escape(why)) for name, how, why in hosts]
    table = _table(("Host", "Method and release", "What it was"), rows, html=(0, 1, 2))
    return _section("methods", "Methods, the strongest first", words) + _section("hosts", "Recorded hosts", table)


def ask_link(text: str, words: str = "") -> str:
    """A scenario, or ``words`` for it, as a link that fills it into the explorer."""
    target = quote(text.replace(" ", "+"), safe="+=.:,/@")
    shown = text if len(text) < 400 else f"{text[:200]} ... {text[-100:]}"
    inside = escape(words) if words else f"<code>{escape(shown)}</code>"
    return f'<a href="index.html#s={target}">{inside}</a>'


def _contents(listed: Iterable[tuple[str, str]]) -> str:
    links = "".join(f'<li><a href="#{escape(name)}">{escape(title)}</a></li>' for name, title in listed)
    return f'<nav class="contents" aria-label="On this page"><ul>{links}</ul></nav>'


def _section(name: str, title: str, body: str) -> str:
    head = f"<h2>{escape(title)}</h2>" if title else ""
    return f'<section id="{escape(name)}">{head}{body}</section>'


def _list(words: Sequence[str]) -> str:
    return "<br>".join(map(escape, words))


def _chip(word: str) -> str:
    kind = _CHIPS.get(word, "unknown")
    return f'<span class="chip k-{kind}"><i aria-hidden="true">{_SYMBOLS[kind]}</i>{escape(word)}</span>'


def _table(heads: Sequence[str], rows: Sequence[Sequence[str]], html: Sequence[int]) -> str:
    """A table; the columns in ``html`` are HTML already."""
    head = "".join(f'<th scope="col">{escape(one)}</th>' for one in heads)
    body = ""
    for row in rows:
        cells = [cell if index in html else escape(cell) for index, cell in enumerate(row)]
        body += f'<tr><th scope="row">{cells[0]}</th>{"".join(f"<td>{cell}</td>" for cell in cells[1:])}</tr>'
    return f'<div class="scroll" tabindex="0"><table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>'
