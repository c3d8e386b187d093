"""The generated parts of docs/: tables printed from what the loader reads with, and prose from docstrings."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping

from bindmatrix import outcomes
from bindmatrix.judge.verdicts import VerdictKind
from bindmatrix.notation import ADDRESSES, GLOBALS, OPTIONS, REMOTE, SOCKET_KINDS, VERBS
from bindmatrix.oracle import delivery
from bindmatrix.rules import catalog, confidence, model, provenance, vocabulary
from bindmatrix.rules.facts import FACTS
from bindmatrix.rules.rule_reader import BLOCKS

#: what the words that are on no socket do
_GLOBALS = {
    "user": "the effective user of the steps that follow",
    "wait": "sleep",
    "deliver": "32 new clients each send one datagram, or connect",
    "deliver_flow": "the same from one client socket",
}
#: what stands between ``<!-- generated: NAME -->`` and ``<!-- /generated -->`` in a page
GENERATED = re.compile(r"(?<=<!-- generated: )(\S+) -->\n.*?(?=<!-- /generated -->)", re.DOTALL)


def render(page: str) -> str:
    """``page`` with every generated part as it is now; raises KeyError for a name that no part has."""
    return GENERATED.sub(lambda match: f"{match[1]} -->\n\n{PARTS[match[1]]()}\n", page)


def _facts() -> Iterable[tuple[str, ...]]:
    for fact in FACTS.values():
        yield f"`{fact.name}`", " ".join(f"`{value}`" for value in fact.values), fact.doc


def _settings() -> Iterable[tuple[str, ...]]:
    """From the docstring of :class:`Stack`, which has a line for each."""
    text = " ".join((model.Stack.__doc__ or "").split())
    for name, meaning in re.findall(r"``(\w+)``: (.*?)(?= ``\w+``: |$)", text):
        yield f"`{name.replace('_', '-')}`", meaning.replace("``", "`")


def _prose(docstring: str) -> str:
    """A module's docstring without its first paragraph, as Markdown."""
    return docstring.partition("\n\n")[2].replace("``", "`").rstrip() + "\n"


def _hosts() -> Iterable[tuple[str, ...]]:
    """The rows of ``expectations/evidence/hosts.json``."""
    for host, row in provenance.read(catalog.folder() / "evidence").items():
        yield f"`{host}`", row.text, row.why


def _notation() -> Iterable[tuple[str, ...]]:
    for kind, row in SOCKET_KINDS.items():
        protocol = "TCP, on another host," if row.protocol == REMOTE else row.protocol.upper()
        over = f"{protocol} over {row.family.replace('ip', 'IP')}"
        yield f"`a={kind}`", f"socket(): {over if row.addresses == 'ip' else f'AF_{row.family.upper()}, {row.type}'}"
    for option, constant in OPTIONS.items():
        yield f"`a.{option}=1`", f"setsockopt({constant}), value 0 or 1"
    for verb, argument in VERBS.items():
        yield f"`a.{verb}{'=...' if argument else ''}`", f"{verb}()" + (f", {argument}" if argument else "")
    yield "`x=a.accept`", "accept()"
    for word, argument in GLOBALS.items():
        yield f"`{word}=...`", f"{_GLOBALS[word]}: {argument}"
    for what, (called, example) in ADDRESSES.items():
        kinds = ", ".join(f"`{kind}`" for kind, row in SOCKET_KINDS.items() if row.addresses == what)
        yield f"`{example}`", f"{called}, of {kinds}"


def _code_rows(table: Mapping[str, str]) -> Iterable[tuple[str, ...]]:
    return ((f"`{word}`", meaning) for word, meaning in table.items())


def _table(head: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    lines = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    lines += ["| " + " | ".join(cell.replace("|", "\\|") for cell in row) + " |" for row in rows]
    return "\n".join(lines) + "\n"


def _words(*head: str, rows: Mapping[str, str]) -> Callable[[], str]:
    return lambda: _table(head, _code_rows(rows))


#: name of a part -> its text
PARTS: dict[str, Callable[[], str]] = {
    "sections": _words("section", "what its rules decide", rows=vocabulary.SECTIONS),
    "blocks": _words("block", "what its rules are about", rows=BLOCKS),
    "ask": _words("word", "meaning", rows=vocabulary.ASKS),
    "in": _words("word", "meaning", rows=vocabulary.SPACES),
    "facts": lambda: _table(("fact", "values", "meaning"), _facts()),
    "options": _words("word", "meaning", rows=vocabulary.TIMES),
    "stack": lambda: _table(("setting", "meaning"), _settings()),
    "deliver": lambda: _prose(delivery.__doc__ or ""),
    "outcomes": lambda: _prose(outcomes.__doc__ or ""),
    "evidence": _words("word", "meaning", rows=vocabulary.EVIDENCE),
    "methods": _words("word", "meaning", rows=confidence.WORDS),
    "hosts": lambda: _table(("host", "method", "what it was"), _hosts()),
    "verdicts": _words("verdict", "meaning", rows={str(kind): kind.meaning for kind in VerdictKind}),
    "notation": lambda: _table(("step", "meaning"), _notation()),
}
