"""The smallest option sets that reach a goal, found by a search: the view-model of ``recipes``.

Every set of up to three options, set before bind(), is tried by the rules of the newest release of a system; a set
reaches the goal when every check comes out.  Where no set does or may do, sets that are cleared after bind() or set
after it are tried too.  Sets that contain a smaller one that does are left out.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import combinations, product
from typing import Any

from bindmatrix.advice.parts import newest
from bindmatrix.advice.recipe_goals import Goal, GoalCheck, GoalPlace, OptionSet
from bindmatrix.advice.snippets import NoSnippet, node_options, render
from bindmatrix.notation import OPTIONS
from bindmatrix.oracle.variants import Variant
from bindmatrix.rules import catalog, confidence
from bindmatrix.rules.confidence import Confidence

#: options that a search sets; IPV6_V6ONLY says what a goal is about
_TRIED = tuple(option for option in OPTIONS if option != "v6only")
_MOST, _MOST_TIMED = 3, 2
#: what people try first; reported where it fails
USUAL = (OptionSet(), OptionSet(("reuseaddr",)), OptionSet(("reuseport",)))


@dataclass(frozen=True)
class Refuted:
    """An option set that does not reach the goal, and the first check that says so."""

    options: OptionSet
    check: GoalCheck


@dataclass(frozen=True)
class Recipe:
    """What reaches a goal in one place on one system.

    ``works``: the smallest sets that do; ``may_work``: where there are none, the smallest of which that is not known.
    """

    goal: Goal
    place: GoalPlace
    os: str
    release: str
    works: tuple[OptionSet, ...]
    may_work: tuple[OptionSet, ...]
    #: whether options that are set or cleared after bind() were searched to the end
    late_known: bool
    #: the usual sets that fail
    refuted: tuple[Refuted, ...]
    #: how the first of ``works`` is known; of no set, how the rules that refute the usual ones are
    confidence: Confidence

    @property
    def words(self) -> str:
        """``SO_REUSEADDR; or SO_REUSEPORT``, ``nothing exists``, ``not known (no option may do)``."""
        if self.works:
            return "; or ".join(one.words for one in self.works)
        if self.may_work:
            return f"not known ({'; or '.join(one.words for one in self.may_work)} may do)"
        return "nothing exists" if self.late_known else "nothing exists (options changed after bind(): not known)"

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {
            "goal": self.goal.id,
            "place": self.place.title,
            "os": self.os,
            "release": self.release,
            "works": [_as_dict(one) for one in self.works],
            "may_work": [_as_dict(one) for one in self.may_work],
            "refuted": [
                {"options": _as_dict(one.options), "check": one.check.what, "scenario": one.check.scenario.text}
                for one in self.refuted
            ],
            "checks": [
                {"check": one.what, "scenario": one.scenario.text, "wanted": one.wanted}
                for one in (self.place.checks(self.works[0]) if self.works else ())
            ],
            "confidence": self.confidence.as_dict(),
        }


def _as_dict(options: OptionSet) -> dict[str, Any]:
    return {when: chosen for when, chosen in options._asdict().items() if chosen}


def recipes(goals: Iterable[Goal], systems: Iterable[str] = ()) -> list[Recipe]:
    """For each place of each goal, and each system; raises :class:`~bindmatrix.errors.Problem`."""
    kernels = [newest(catalog.expectations(os)) for os in systems or catalog.names()]
    return [_recipe(goal, place, kernel) for goal in goals for place in goal.places for kernel in kernels]


def _recipe(goal: Goal, place: GoalPlace, kernel: Variant) -> Recipe:
    works, may_work = _smallest(place, kernel, _plain())
    late_known = True
    if not works and not may_work:
        works, later = _smallest(place, kernel, _timed())
        late_known = not later
    refuted = [
        Refuted(options, check)
        for options in USUAL
        for check in [_first_not_met(place, options, kernel)]
        if check is not None and reaches(place, options, kernel) is False
    ]
    checks = list(place.checks(works[0])) if works else [one.check for one in refuted]
    return Recipe(
        goal=goal,
        place=place,
        os=kernel.model.expectations.os,
        release=kernel.model.release,
        works=tuple(works),
        may_work=tuple(may_work) if not works else (),
        late_known=late_known,
        refuted=tuple(refuted),
        confidence=_confidence(checks, kernel),
    )


def _confidence(checks: Iterable[GoalCheck], kernel: Variant) -> Confidence:
    rules = {rule for check in checks for one in kernel.actual.predict(check.scenario).rules for rule in one}
    return confidence.of_rules(rules, kernel.model)


def _plain() -> Iterator[OptionSet]:
    for size in range(_MOST + 1):
        for options in combinations(_TRIED, size):
            yield OptionSet(options)


def _timed() -> Iterator[OptionSet]:
    """Sets of which at least one option is not simply set before bind()."""
    for size in range(1, _MOST_TIMED + 1):
        for options in combinations(_TRIED, size):
            for whens in product(OptionSet._fields, repeat=size):
                if set(whens) != {"before"}:
                    by_time = {
                        when: tuple(one for one, at in zip(options, whens, strict=True) if at == when) for when in whens
                    }
                    yield OptionSet(**by_time)


def _smallest(place: GoalPlace, kernel: Variant, sets: Iterable[OptionSet]) -> tuple[list[OptionSet], list[OptionSet]]:
    works: list[OptionSet] = []
    may_work: list[OptionSet] = []
    for options in sets:
        if any(one.options < options.options for one in works):
            continue
        reached = reaches(place, options, kernel)
        if reached:
            works.append(options)
        elif reached is None and not any(one.options < options.options for one in may_work):
            may_work.append(options)
    return works, may_work


def reaches(place: GoalPlace, options: OptionSet, kernel: Variant) -> bool | None:
    """Whether every check comes out; None where that is not known."""
    known = True
    for check in place.checks(options):
        met = check.met(kernel.actual.predict(check.scenario).outcomes)
        if met is False:
            return False
        known = known and met is not None
    return True if known else None


def _first_not_met(place: GoalPlace, options: OptionSet, kernel: Variant) -> GoalCheck | None:
    for check in place.checks(options):
        if check.met(kernel.actual.predict(check.scenario).outcomes) is False:
            return check
    return None


def program(language: str, recipe: Recipe, options: OptionSet) -> str:
    """A program that makes the sockets of a recipe, or a line of comment that says why there is none."""
    comment = "#" if language == "python" else "//"
    sockets = recipe.place.sockets
    if language == "node":
        own = {node_options(recipe.os, one, options) for one in sockets}
        for one in own - {options}:
            if reaches(recipe.place, one, newest(catalog.expectations(recipe.os))) is not True:
                return f"{comment} not with Node, which sets: {one.words}\n"
    try:
        return render(language, recipe.os, sockets, options)
    except NoSnippet as why:
        return f"{comment} none: {why}\n"
