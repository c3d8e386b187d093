"""What changed from release to release: rules that begin or end, and questions that are answered otherwise."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from bindmatrix.answers.explorer import Band, SystemTable
from bindmatrix.answers.questions import FAMILIES, scenario_text
from bindmatrix.rules import catalog, releases
from bindmatrix.rules.model import Rule

#: questions that are shown of each group of releases
_SHOWN = 3


@dataclass
class ReleaseChange:
    """What begins and ends with a release."""

    release: str
    #: reasons of the rules that hold from here on, and of those that hold no more
    begins: list[str] = field(default_factory=list)
    ends: list[str] = field(default_factory=list)


@dataclass
class ReleaseDifference:
    """Questions that the same groups of releases answer differently."""

    bands: tuple[Band, ...]
    count: int = 0
    #: a scenario and its bands, for some of them
    examples: list[tuple[str, tuple[Band, ...]]] = field(default_factory=list)


def changes(os: str) -> list[ReleaseChange]:
    """The releases of a system at which rules begin or end, the newest first."""
    found: dict[str, ReleaseChange] = {}
    for rule in catalog.expectations(os).all_rules():
        for release, why, begins in _bounds(rule):
            change = found.setdefault(release, ReleaseChange(release))
            words = change.begins if begins else change.ends
            if why not in words:
                words.append(why)
    return sorted(found.values(), key=lambda one: releases.sort_key(one.release), reverse=True)


def _bounds(rule: Rule) -> Iterator[tuple[str, str, bool]]:
    why = rule.reason
    for bound, begins in ((rule.span.since, True), (rule.span.until, False)):
        for release in dict.fromkeys(bound.values()):
            yield release, why, begins


def differences(table: SystemTable) -> list[ReleaseDifference]:
    """Which releases of a system answer composed questions differently, the most questions first."""
    choices = [choice for family in FAMILIES for choice in family.choices()]
    found: dict[tuple[tuple[str, ...], ...], ReleaseDifference] = {}
    for number, choice in zip(table.column, choices, strict=False):
        bands = table.answers[number]
        if len(bands) < 2 or len({(one.kind, one.outcome, one.receives) for one in bands}) < 2:
            continue
        key = tuple(one.releases for one in bands)
        difference = found.setdefault(key, ReleaseDifference(bands))
        difference.count += 1
        if len(difference.examples) < _SHOWN and all(bands != one for _, one in difference.examples):
            difference.examples.append((scenario_text(choice), bands))
    return sorted(found.values(), key=lambda one: -one.count)
