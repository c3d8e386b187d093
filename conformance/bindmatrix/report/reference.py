"""docs/expectations.md: what an expectation file may say, printed from the tables that the loader reads with."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

from bindmatrix import outcomes
from bindmatrix.notation import ADDRESSES, GLOBALS, OPTIONS, SOCKET_KINDS, VERBS
from bindmatrix.oracle import delivery
from bindmatrix.rules import confidence, model, vocabulary

_INTRODUCTION = """\
<!-- Printed by conformance/bindmatrix/report/reference.py; a test compares.  Not edited by hand. -->

# Expectation files

One file an operating system: `expectations/<os>.yaml`.  Ordered rules; in each section the first that holds decides.

    bind:
      - id: linux.tcp-conflict
        ask: every                                       # whom the rule looks at
        among: {existing.overlaps: yes}                  # who of them counts; several mappings are alternatives
        when: {new.protocol: tcp}                        # when the rule holds: all of these facts
        unless: [{both.reuseport: yes, existing.user: same}]   # and none of these
        refuse: EADDRINUSE                               # or `allow: yes`, `unknown: yes`; the last: `otherwise: ...`
        since: {mainline: "6.8", "6.1": "6.1.168"}       # first release that has it; `until`: the first that has not
        why: one line, for a person
        evidence: [{source: "file function()", release: "7.3"}, {observed: linux-6.18.44/pairs}]

`covers: {from: "5.10", to: "7.3.4", last: ["5.19", "6.19"]}`: the releases that the file is about, and after which of
them the first number counts on, so that nobody is told of a 6.20.

Scalars are never converted: a release is a string, `yes` is the word yes.  `repeat: [ID, ...]` uses rules of an earlier
section again.  What is not known is `unknown: yes`, which is not the same as `refuse: refused` (it fails, with an error
that nobody recorded).  Known divergences (`expectations/divergences/<os>.yaml`) are written as the rule that the kernel
follows `before` or `instead-of` one of the file's.
"""


def render() -> str:
    """The whole document."""
    parts = [
        _INTRODUCTION,
        "## Sections\n\n" + _table(("section", "what its rules decide"), _code_rows(vocabulary.SECTIONS)),
        "## Whom a rule asks (`ask`)\n\n" + _table(("word", "meaning"), _code_rows(vocabulary.ASKS)),
        "## Where addresses are compared (`in`)\n\n" + _table(("word", "meaning"), _code_rows(vocabulary.SPACES)),
        "## Facts\n\n" + _table(("fact", "values", "meaning"), _facts()),
        "## When an option counts (`stack: options`)\n\n" + _table(("word", "meaning"), _code_rows(vocabulary.TIMES)),
        "## Settings of the stack\n\n" + _table(("setting", "meaning"), _settings()),
        "## Who receives (`deliver`)\n\n" + _prose(delivery.__doc__ or ""),
        "## Outcomes\n\n" + _prose(outcomes.__doc__ or ""),
        "## Evidence, the strongest first\n\n" + _table(("word", "meaning"), _code_rows(vocabulary.EVIDENCE)),
        "## Confidence, computed from the evidence\n\n" + _table(("word", "meaning"), _confidence()),
        "## Notation of scenarios\n\n" + _table(("step", "meaning"), _notation()),
    ]
    return "\n".join(part.rstrip() + "\n" for part in parts)


def _facts() -> Iterable[tuple[str, ...]]:
    for fact in vocabulary.FACTS.values():
        yield f"`{fact.name}`", " ".join(f"`{value}`" for value in fact.values), fact.doc


def _settings() -> Iterable[tuple[str, ...]]:
    """From the docstring of :class:`Stack`, which has a line for each."""
    text = " ".join((model.Stack.__doc__ or "").split())
    for name, meaning in re.findall(r"``(\w+)``: (.*?)(?= ``\w+``: |$)", text):
        yield f"`{name.replace('_', '-')}`", meaning.replace("``", "`")


def _prose(docstring: str) -> str:
    """A module's docstring without its first paragraph, as Markdown."""
    return docstring.partition("\n\n")[2].replace("``", "`")


def _confidence() -> Iterable[tuple[str, ...]]:
    """From the docstring of the module that computes it."""
    for word, meaning in re.findall(r"^    (\S+) {2,}(.*)$", confidence.__doc__ or "", re.MULTILINE):
        yield f"`{word}`", meaning


def _notation() -> Iterable[tuple[str, ...]]:
    for kind, row in SOCKET_KINDS.items():
        over = f"{row.protocol.upper()} over {row.family.replace('ip', 'IP')}"
        yield f"`a={kind}`", f"socket(): {over if row.addresses == 'ip' else f'AF_{row.family.upper()}, {row.type}'}"
    for option, constant in OPTIONS.items():
        yield f"`a.{option}=1`", f"setsockopt({constant}), value 0 or 1"
    for verb, argument in VERBS.items():
        yield f"`a.{verb}{'=...' if argument else ''}`", f"{verb}()" + (f", {argument}" if argument else "")
    yield "`x=a.accept`", "accept()"
    for word, argument in GLOBALS.items():
        yield f"`{word}=...`", argument
    for what, (called, example) in ADDRESSES.items():
        kinds = ", ".join(f"`{kind}`" for kind, row in SOCKET_KINDS.items() if row.addresses == what)
        yield f"`{example}`", f"{called}, of {kinds}"


def _code_rows(table: Mapping[str, str]) -> Iterable[tuple[str, ...]]:
    return ((f"`{word}`", meaning) for word, meaning in table.items())


def _table(head: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    lines = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    lines += ["| " + " | ".join(cell.replace("|", "\\|") for cell in row) + " |" for row in rows]
    return "\n".join(lines) + "\n"
