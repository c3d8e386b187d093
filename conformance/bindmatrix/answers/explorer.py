"""The view-model of the explorer: the answer of every system to every question that it can compose.

Every answer comes from the oracle.  Questions are numbered: the families of ``questions.py`` one after the other, then
scenarios that are listed (those of claims, findings, runtimes and open questions).  A system has few different answers,
so it is a table of answers and a column with the number of the answer to each question.

An answer has a :class:`Band` for each group of releases that do the same, as :func:`bindmatrix.answers.ask.answers`
has a row; its confidence is that of the steps up to the one that decides.
"""

from __future__ import annotations

import re
from array import array
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cache
from typing import NamedTuple

from bindmatrix.answers.question_walk import AskedSteps, QuestionGroup, Walk, WalkAnswer, WalkPart, grouped
from bindmatrix.answers.questions import FAMILIES, first_part, last_part, second_part
from bindmatrix.answers.reason import ABSENT, of_rules
from bindmatrix.notation import Step, parse
from bindmatrix.oracle.joint import Members
from bindmatrix.oracle.variants import variants
from bindmatrix.outcomes import alternatives, in_words
from bindmatrix.rules import catalog, confidence
from bindmatrix.rules.boundaries import Stretch, ranges, stretches
from bindmatrix.rules.model import Expectations, Model

#: kind of the outcome of the step that decides -> the explorer's words for it
KINDS: dict[str, str] = {
    "ok": "works",
    "refused": "refused",
    "absent": "no such option",
    "either": "it depends",
    "unknown": "not known",
}


@dataclass(frozen=True)
class Band:
    """What some releases of a system answer."""

    #: ``("5.10 - 6.1.167", "6.2 - 7.3.4")``
    releases: tuple[str, ...]
    #: a key of KINDS
    kind: str
    #: the step that decides: the first that does not return ok, else the last bind
    step: str
    #: what it returns, in words
    outcome: str
    rule: str
    reason: str
    #: how it is known, and by which method
    confidence: str
    method: str
    #: who receives, "" where nobody was asked; and why
    receives: str = ""
    receives_reason: str = ""
    #: id of the known divergence that makes it so against the rules
    divergence: str = ""


@dataclass
class SystemTable:
    """A system with its different answers; ``column`` has the number of the answer to each question."""

    os: str
    title: str
    covers: tuple[str, str]
    answers: list[tuple[Band, ...]] = field(default_factory=list)
    column: array[int] = field(default_factory=lambda: array("H"))


class AskedScenario(NamedTuple):
    """A question that no family holds; ``ignores``: options whose errors the program ignores."""

    text: str
    ignores: tuple[str, ...] = ()


def tables(listed: Sequence[AskedScenario] = ()) -> Iterator[SystemTable]:
    """The table of every system, one after the other; ``listed`` follow the questions of the families."""
    asked = [AskedSteps(parse(one.text).steps, one.ignores) for one in listed]
    questions = [*_composed(), *asked]
    groups = grouped(questions)
    for os in catalog.names():
        yield _table(os, groups, len(questions))


def _composed() -> list[AskedSteps]:
    """Every question of the families."""
    return [
        AskedSteps(_steps(first_part(choice)) + _steps(second_part(choice)) + _steps(last_part(choice)))
        for family in FAMILIES
        for choice in family.choices()
    ]


@cache
def _steps(text: str) -> tuple[Step, ...]:
    """The steps of a part of a scenario, which need not be a scenario by itself."""
    words = text.split()
    made = {word.partition("=")[0] for word in words if "." not in word.partition("=")[0]}
    used = {name for word in words for name in re.findall(r"(?:^|=)([A-Za-z]\w*)\.", word)}
    others = [f"{name}=tcp4" for name in sorted(used - made)]
    return parse(" ".join([*others, *words])).steps[len(others) :] if text else ()


def _table(os: str, groups: Sequence[QuestionGroup], count: int) -> SystemTable:
    expectations = catalog.expectations(os)
    table = SystemTable(os, expectations.title, (expectations.covers[0], expectations.covers[1]))
    table.column = array("H", bytes(2 * count))
    chosen = variants(expectations)
    every = stretches(expectations)
    models = {stretch: expectations.at(stretch.probe) for stretch in every}
    answers: dict[tuple[Band, ...], int] = {}
    for group in groups:
        walk = Walk(chosen, group)
        bands: dict[tuple[tuple[Members, int], ...], list[_WalkedBand]] = {}
        numbers: dict[tuple[WalkPart, ...], int] = {}
        for place, parts in zip(group.places, walk.parts, strict=True):
            if parts not in numbers:
                row = tuple([(part.members, part.found) for part in parts])
                if row not in bands:
                    bands[row] = list(_bands(expectations, walk, parts, models))
                bind = {member: part.bind for part in parts for member in part.members}
                answer = tuple(
                    [
                        replace(band, reason=walk.success(chosen, bind[chosen]) or band.reason) if succeeds else band
                        for band, chosen, succeeds in bands[row]
                    ]
                )
                numbers[parts] = answers.setdefault(answer, len(answers))
            table.column[place] = numbers[parts]
    table.answers = list(answers)
    return table


class _WalkedBand(NamedTuple):
    """A band, and the variant that its reason is of; where it ``succeeds``, each question has a reason of its own."""

    band: Band
    variant: int
    succeeds: bool


def _bands(
    expectations: Expectations, walk: Walk, parts: Sequence[WalkPart], models: Mapping[Stretch, Model]
) -> Iterator[_WalkedBand]:
    """The bands of one answer, the newest releases first; ``models``: of every stretch, in order of release."""
    every = list(models)
    place = {stretch: index for index, stretch in enumerate(every)}
    groups: dict[object, list[tuple[int, WalkAnswer, Stretch]]] = {}
    for number, part in walk.of_variants(parts).items():
        found = walk.found[part.found]
        key = (found.step, found.expected, found.receives, found.divergence, _is_absent(walk, found))
        groups.setdefault(key, []).extend([(number, found, one) for one in walk.variants[number].stretches])
    newest = {id(group): max(place[stretch] for *_, stretch in group) for group in groups.values()}
    for group in sorted(groups.values(), key=lambda one: newest[id(one)], reverse=True):
        newest_first = sorted(group, key=lambda one: place[one[2]], reverse=True)
        known = [
            confidence.of_rules(walk.rules_of([*found.used, *found.rules]), models[stretch])
            for _, found, stretch in newest_first
        ]
        chosen = confidence.first_exact(known)
        variant, found, stretch = newest_first[chosen]
        rules = walk.rules_of(found.rules)
        receives_rules = walk.rules_of(found.receives_rules)
        reason = of_rules(found.step, rules) if found.step else ""
        if found.divergence:
            entry = next(one for one in walk.variants[variant].divergences if one.id == found.divergence)
            reason = entry.rule.reason
        releases = tuple(ranges(expectations, [one for *_, one in group], every))
        band = Band(
            releases=releases,
            kind=_kind(walk, found),
            step=found.step.text if found.step else "",
            outcome=in_words(found.expected),
            rule=rules[0].id if rules else "",
            reason=reason,
            confidence=known[chosen].text_for(several=releases != (stretch.probe,)),
            method=str(known[chosen].method),
            receives="" if found.receives == "" else in_words(found.receives, delivers=True),
            receives_reason="; or ".join(dict.fromkeys(rule.reason for rule in receives_rules)),
            divergence=found.divergence,
        )
        yield _WalkedBand(band, variant, found.expected == "ok" and not found.divergence)


def _is_absent(walk: Walk, found: WalkAnswer) -> bool:
    return any(rule.id == ABSENT for rule in walk.rules_of(found.rules))


def _kind(walk: Walk, found: WalkAnswer) -> str:
    accepted = alternatives(found.expected)
    if not accepted:
        return "unknown"
    if "ok" in accepted:
        return "ok" if len(accepted) == 1 else "either"
    return "absent" if _is_absent(walk, found) else "refused"
