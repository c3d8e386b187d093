"""Chooses the observations of a recording that are worth keeping as evidence.

A full run has some hundred thousand scenarios, but shows few facts: a rule decided a call, and the call returned this
outcome. For each fact the shortest scenarios that show it are kept. So a sample has some hundred scenarios, covers
every rule that the run covered, and is the same for two runs with the same outcomes.

It keeps what conforms and, if it was repeated, what the expectation file leaves unknown: an answer to an open question
is the most valuable, and no rule would contradict a random one. Diverging and flaky scenarios are not evidence until
somebody has examined them.
"""

from __future__ import annotations

import heapq
import re
from collections import Counter
from collections.abc import Hashable, Iterator

from bindmatrix.judge.host_table import HostTable
from bindmatrix.judge.results import Result
from bindmatrix.judge.verdicts import Judge, VerdictKind
from bindmatrix.notation import step
from bindmatrix.observe.recordings import Observation

#: verdicts whose observations can be evidence
KEPT = (VerdictKind.CONFORMS, VerdictKind.KNOWN, VerdictKind.UNKNOWN)
#: scenarios that show the same
EACH = 3
#: how many datagrams each socket of a group got is chance
_NUMBER = re.compile(r"\d+")


def digest(host: HostTable, each: int = EACH) -> list[Observation]:
    """The observations of ``host`` to keep, ordered by scenario: ``each`` of them for each fact."""
    seen: Counter[Hashable] = Counter()
    kept = []
    for _, text, number in sorted(_candidates(host, each)):
        result = host.results[number]
        facts = set(_facts(text, result))
        if any(seen[fact] < each for fact in facts):
            seen.update(facts)
            kept.append(Observation(text, result.outcomes, repeats=result.repeats))
    return sorted(kept, key=lambda one: one.scenario)


def to_repeat(judge: Judge, each: int = EACH) -> list[str]:
    """The scenarios that wait in ``judge`` for repeats: all that diverge, and the unknown ones that may be kept."""
    found = []
    unknown: dict[Hashable, list[tuple[int, str]]] = {}
    for text, verdict in judge.waiting.items():
        if verdict.observation.repeats:
            continue
        if verdict.kind == VerdictKind.DIVERGES:
            found.append(text)
        else:
            rules = tuple(answer.rules for answer in judge.answers(verdict.observation))
            unknown.setdefault((verdict.observation.outcomes, rules), []).append((len(text), text))
    for texts in unknown.values():
        found += [text for _, text in heapq.nsmallest(each, texts)]
    return found


def _candidates(host: HostTable, each: int) -> Iterator[tuple[int, str, int]]:
    """Length, text and result of the shortest scenarios of each result: what is longer shows nothing more."""
    rows: dict[int, list[tuple[int, str, int]]] = {}
    kinds = host.results.kinds()
    for row, number in enumerate(host.result):
        if kinds[number] in KEPT and (kinds[number] != VerdictKind.UNKNOWN or host.results[number].repeats):
            text = host.text(row)
            rows.setdefault(number, []).append((len(text), text, number))
    for found in rows.values():
        yield from heapq.nsmallest(each, found)


def _facts(text: str, result: Result) -> Iterator[Hashable]:
    """What a scenario shows: for each step the call, the rules that decided, and what they expect.

    Where they leave it unknown, or a recorded divergence comes between, it shows what came out.
    """
    words = text.split()
    for index, (expected, rules) in enumerate(zip(result.expected, result.rules, strict=True)):
        one = step(words[index])
        outcome = (result.outcomes or ())[index]
        seen = expected if expected is not None and index != result.step else _NUMBER.sub("#", outcome or "")
        yield one.kind, one.what if one.kind == "set" else "", rules, seen
