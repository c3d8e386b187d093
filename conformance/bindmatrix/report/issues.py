"""Divergences as issues of a repository: one for each group of verdicts that are alike on one host.

An issue is known by its key, which its first line holds: a hash of the host's name and of the shortest scenario of the
group.  The name is the one that the workflow gave the machine, not what the machine says of itself, so a new patch of a
kernel is not a new issue.  What a host said is untrusted: it is only in fenced blocks, where nothing is a link, a
mention or markup.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import asdict, dataclass
from typing import Any

from bindmatrix.judge.summary import Summary, VerdictGroup
from bindmatrix.judge.verdicts import VerdictKind
from bindmatrix.report.words import counted

#: the label by which the issues are found again
LABEL = "divergence"
#: the first line of an issue
MARKER = "<!-- bindmatrix-divergence: {} -->"
#: characters of a word, and of a block, that a host said
_LONGEST, _BLOCK = 200, 5000
_UNPRINTABLE = re.compile(r"[^\x20-\x7e\xa1-\u2027\u2030-\ud7ff]")
_TITLE = re.compile(r"[^A-Za-z0-9_.:=,/ -]")


@dataclass(frozen=True)
class Issue:
    """What is sent to the tracker."""

    key: str
    title: str
    body: str

    def as_dict(self) -> dict[str, Any]:
        """The request that opens it (``POST /repos/OWNER/REPO/issues``), and its key."""
        return {**asdict(self), "labels": [LABEL]}


def key(host: str, scenario: str) -> str:
    """The key of a divergence; the same for the same scenario on the same host."""
    return hashlib.sha256(f"{host}\n{scenario}".encode()).hexdigest()[:16]


def issues(host: str, summary: Summary, run: str = "") -> list[Issue]:
    """The issues of a host, the largest group first.  ``run`` is the address of the run that found them."""
    return [_issue(host, summary, group, run) for group in summary.of(VerdictKind.DIVERGES)]


def _issue(host: str, summary: Summary, group: VerdictGroup, run: str) -> Issue:
    name = key(host, group.scenario)
    expected = group.wanted
    title = f"{host}: {group.call} gave {group.actual} where {group.rule or 'the rules'} expects {expected}"
    facts = "\n".join(f"{fact}: {_plain(str(value))}" for fact, value in sorted(summary.host.items()))
    lines = [
        MARKER.format(name),
        f"Seen in {counted(group.count, 'scenario')}; the shortest, with what each step returned:",
        "",
        _fenced(_steps(group)),
        "",
        "The rule, why it holds and what it rests on:",
        "",
        _fenced("\n".join([group.rule or "none", *dict.fromkeys((group.gloss, group.why)), *group.evidence])),
        "",
        "To see it on a machine of this kind, and to get the programs and the text of a report:",
        "",
        _fenced(f"bindmatrix observe '{group.scenario}'\nbindmatrix reproduce '{group.scenario}'"),
        "",
        f"The host {_inline(host)} says of itself:",
        "",
        _fenced(facts),
    ]
    if run:
        lines += ["", f"Found by {run}"]
    return Issue(name, _TITLE.sub("?", title)[:_LONGEST], "\n".join(lines) + "\n")


def _steps(group: VerdictGroup) -> str:
    words = group.scenario.split()
    width = max(len(word) for word in words)
    lines = []
    for index, (word, outcome) in enumerate(zip(words, group.outcomes, strict=False)):
        line = f"{word:<{width}}  {'-' if outcome is None else _plain(outcome)}"
        if index == group.step:
            line += f"    <-- expected {group.wanted}"
        lines.append(line)
    return "\n".join(lines)


def _plain(text: str) -> str:
    """One line, without control characters and without markup."""
    return _UNPRINTABLE.sub("?", text)[:_LONGEST]


def _inline(text: str) -> str:
    return f"`{_plain(text).replace('`', '?')}`"


def _fenced(text: str) -> str:
    """A block in a fence longer than any run of backticks in it."""
    text = text[:_BLOCK]
    lines = [_UNPRINTABLE.sub("?", line) for line in text.split("\n")]
    longest = max((len(run) for run in re.findall("`+", text)), default=0)
    fence = "`" * max(3, longest + 1)
    return "\n".join([f"{fence}text", *lines, fence])
