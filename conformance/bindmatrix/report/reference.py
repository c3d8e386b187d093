"""docs/expectations.md: what an expectation file may say, printed from the tables that the loader reads with."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

from bindmatrix import outcomes
from bindmatrix.notation import ADDRESSES, GLOBALS, OPTIONS, SOCKET_KINDS, VERBS
from bindmatrix.oracle import delivery
from bindmatrix.rules import confidence, model, vocabulary
from bindmatrix.rules.rule_reader import BLOCKS

_INTRODUCTION = """\
<!-- Printed by conformance/bindmatrix/report/reference.py; a test compares.  Not edited by hand. -->

# Expectation files

One file an operating system: `expectations/<os>.yaml`.  In each section the rules have an order, and the first that
holds decides.  `linux.yaml` on bind():

    changes:                                             # fixes that stable branches got too: first release of each
      linux.reuseport-inet-only: {mainline: "6.13", "6.12": "6.12.9", "6.1": "6.1.124"}

    define:                                              # conditions with a name
      both-reuseaddr-not-listening: {both.reuseaddr: yes, existing.listening: no}
      both-reuseport-same-user: {both.reuseport: yes, existing.user: same}

    bind:
      socket:                                            # the new socket alone
        - {id: linux.bound-twice, when: {new.bound: yes}, refuse: EINVAL, why: it has a port already}
      tcp:                                               # `new.protocol: tcp` goes without saying
        - id: linux.tcp-conflict
          also: listen                                   # listen() asks this rule too
          ask: every                                     # which existing sockets the rule looks at
          when: {existing.overlaps: yes}                 # the rule holds when all of these facts do
          unless: [both-reuseaddr-not-listening, both-reuseport-same-user]     # and none of these conditions
          refuse: EADDRINUSE                             # or `allow: yes`, `unknown: yes`
          why: one sentence for a person
      any:
        - {id: linux.free, otherwise: allow, why: nobody is in the way}        # the last rule of a call

    evidence:                                            # why each rule is believed
      linux.tcp-conflict:
        - {source: net/ipv4/inet_connection_sock.c inet_bind_conflict(), release: "7.3"}
        - {observed: linux-6.18.44/pairs}

`among` says which existing sockets count; a list of conditions is a list of alternatives.  `since` is the first release
that has the behaviour, `until` the first that has it no more: a release, or the name of a change.
`covers: {from: "5.10", to: "7.3.4", last: ["5.19", "6.19"]}` are the releases that the file is about, and the last one
of each first number: there is no 6.20.  Scalars are never converted: a release is a string, `yes` is the word yes.
What is not known is `unknown: yes`.  That differs from `refuse: refused`: the call fails, with an error that nobody
recorded.

Known divergences (`expectations/divergences/<os>.yaml`) have the same `changes`, `define` and `evidence`.  Under
`divergences` each entry is the rule that the kernel follows `before` or `instead-of` one of the file's.

## How to change a rule

FreeBSD refuses a dual `::` beside a socket on `::ffff:0.0.0.0` unless both have SO_REUSEPORT or SO_REUSEPORT_LB.  Say
that you believe SO_REUSEADDR on both is enough.  Edit a copy: add that to the rule `freebsd.same-address-dual`.

    cp expectations/freebsd.yaml edited.yaml
    unless: [new-without-option, both-reuseport, both-balanced, {both.reuseaddr: yes}]

`bindmatrix lint --fix edited.yaml` puts the file into its one form and checks it.  It finds that recorded kernels
disagree, and gives the shortest recording that does:

    edited.yaml:189:7: 74 recorded outcomes are otherwise than freebsd.free says: freebsd-13.0/load-balance (18), ...
    In 'a=udp6 a.v6only=0 a.reuseaddr=1 a.bind=::ffff:0.0.0.0 b=udp6 b.v6only=0 b.reuseaddr=1 b.bind=::' the step
    b.bind=:: was recorded as EADDRINUSE, the rule says ok

`bindmatrix diff freebsd ./edited.yaml` says what the edit changes, and for whom:

    freebsd 15 (freebsd) and freebsd 15 (./edited.yaml): 65,664 scenarios compared, 60 differ in 1 group
    1. 60 scenarios  freebsd.same-address-dual | freebsd.free
        a=udp6 a.v6only=0 a.reuseaddr=1 a.bind=::ffff:0.0.0.0 b=udp6 b.v6only=0 b.reuseaddr=1 b.bind=::
        freebsd 15 (freebsd)        EADDRINUSE
        freebsd 15 (./edited.yaml)  ok

Here the recordings decide: the edit is wrong.  With an edit that holds, change `expectations/freebsd.yaml` itself, add
its evidence under `evidence`, and run `bindmatrix lint --fix --update expectations/freebsd.yaml`.  The diff of
`expectations/cells/freebsd.txt`, a grid of every pair of sockets, shows a reviewer each answer that changed.
"""


def render() -> str:
    """The whole document."""
    parts = [
        _INTRODUCTION,
        "## Sections\n\n" + _table(("section", "what its rules decide"), _code_rows(vocabulary.SECTIONS)),
        "## Blocks of a call, in the order in which they are asked\n\n"
        + _table(("block", "what its rules are about"), _code_rows(BLOCKS))
        + "\nA call whose rules are all about the new socket is a plain list.  A rule with `also: listen` is asked by "
        "listen() too, in its own block and before the rules of listen() there.\n",
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
