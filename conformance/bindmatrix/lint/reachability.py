"""Which rules can decide at all, and what rules leave undecided: proofs by subtraction of sets of facts.

A rule that looks at an existing socket holds for a combination of call, new socket and one existing socket.  An earlier
rule of the same section takes away what it decides itself: for the same existing socket when it asks every one of them,
when it asks for the same one (equal ``ask``, ``among`` and ``in``), or when it asks for none.  What is left of a rule
is what it can decide.  Where that is nothing, in every release where it holds, the rule is dead.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from bindmatrix.lint.fact_space import MAX_BOXES, Box, Worlds, subtract, within
from bindmatrix.rules.model import ALLOW, Condition, Model, Rule, label

#: finding out what can occur takes longer than any proof: shared by the releases of a file
_WORLDS: dict[tuple[object, ...], Worlds] = {}
#: a file of many releases has about fifty
_MOST_WORLDS = 256


class Dead(NamedTuple):
    """A rule that cannot decide in ``section``; ``by`` are the rules before it that leave nothing, empty where its own
    condition is impossible."""

    section: str
    rule: Rule
    by: tuple[str, ...]


class Reach:
    """The sections of one release: what each of their rules can decide."""

    def __init__(self, model: Model) -> None:
        self.model = model
        self.stack = model.stack

    def dead(self) -> list[Dead]:
        """The rules that cannot decide in this release; never the last of a section that decides what is left."""
        return [dead for section, rules in self.model.rules.items() for dead in self._dead(section, rules)]

    def undecided(self) -> list[tuple[str, str]]:
        """(section, slot of the memory or "") that the rules leave open for some combination of facts."""
        found = []
        for section in ("remember", "time-wait", "deliver"):
            rules = self.model.rules.get(section, ())
            worlds = self.worlds(section)
            for slot in dict.fromkeys(rule.memory for rule in rules):
                left = self._fitting(worlds)
                for rule in rules:
                    if rule.memory == slot and not rule.asks:
                        left = _without(left, self.region(worlds, rule))
                if left and (not slot or self._reads(slot)):
                    found.append((section, slot))
        return found

    def alternatives(self) -> Iterator[tuple[str, Rule, str, Condition, bool]]:
        """(section, rule, which, condition, whether it can apply) of every alternative of ``unless`` and ``among``.

        An alternative of ``among`` is looked at only where a rule asks every existing socket: elsewhere one that
        contradicts ``when`` says at whom the search stops.
        """
        for section, rules in self.model.rules.items():
            worlds = self.worlds(section)
            for rule in rules:
                whole = self._own(worlds, rule)
                for place, excuse in enumerate(rule.unless, 1):
                    applies = bool(within(whole, worlds.box(excuse, rule.space)))
                    yield section, rule, f"alternative {label(excuse, place)} of 'unless'", excuse, applies
                if rule.ask == "every":
                    when = within(self._fitting(worlds, rule), worlds.box(rule.when, rule.space))
                    for place, one in enumerate(rule.among, 1):
                        applies = bool(within(when, worlds.box(one, rule.space)))
                        yield section, rule, f"alternative {label(one, place)} of 'among'", one, applies

    def _reads(self, slot: str) -> bool:
        """Whether a rule asks for what the port remembers in ``slot``."""
        return any(
            name.startswith(f"memory.{slot}")
            for rules in self.model.rules.values()
            for rule in rules
            for condition in (rule.when, *rule.unless, *rule.among)
            for name, _ in condition
        )

    # -- regions

    def worlds(self, section: str) -> Worlds:
        """The combinations of facts when the rules of ``section`` are asked."""
        rules = self.model.rules.get(section, ())
        asks = any(rule.asks for rule in rules)
        grouped = any(rule.ask == "each-address" for rule in rules)
        key = (section, asks, grouped, repr(self.stack))
        if key not in _WORLDS:
            if len(_WORLDS) >= _MOST_WORLDS:
                _WORLDS.clear()
            _WORLDS[key] = Worlds(section, self.stack, asks=asks, grouped=grouped)
        return _WORLDS[key]

    def _fitting(self, worlds: Worlds, rule: Rule | None = None) -> list[Box]:
        """Everything that can occur; calls whose address is of another family only where ``rule`` is about them."""
        everything = [worlds.everything]
        if worlds.section not in ("bind", "connect") or (rule is not None and _mentions(rule, "new.fits-family")):
            return everything
        return within(everything, worlds.box((("new.fits-family", ("yes",)),), "any"))

    def _own(self, worlds: Worlds, rule: Rule) -> list[Box]:
        """Where ``when`` and one of ``among`` hold, ``unless`` not yet taken away."""
        found = within(self._fitting(worlds, rule), worlds.box(rule.when, rule.space))
        if rule.among:
            parts: list[Box] = []
            for one in rule.among:
                box = worlds.box(one, rule.space)
                fresh = within(found, box)
                for done in parts:
                    fresh = subtract(fresh, done)
                parts += fresh
            found = parts
        if rule.asks:
            found = within(found, worlds.box((("port.empty", ("no",)),), "any"))
        return found

    def region(self, worlds: Worlds, rule: Rule) -> list[Box]:
        """Where ``rule`` holds, as disjoint boxes."""
        found = self._own(worlds, rule)
        for excuse in rule.unless:
            found = subtract(found, worlds.box(excuse, rule.space))
        return found

    def region_of(self, worlds: Worlds, rule: Rule, condition: Condition) -> list[Box]:
        """Where ``condition`` alone holds, in what can occur when ``rule`` is asked."""
        return within(self._fitting(worlds, rule), worlds.box(condition, rule.space))

    def _dead(self, section: str, rules: tuple[Rule, ...]) -> list[Dead]:
        worlds = self.worlds(section)
        found = []
        regions = [self.region(worlds, rule) for rule in rules]
        for index, rule in enumerate(rules):
            if rule is rules[-1] and not (rule.when or rule.ask or rule.among):
                continue
            left = regions[index]
            if not left:
                found.append(Dead(section, rule, ()))
                continue
            before = [
                (earlier, region)
                for earlier, region in zip(rules[:index], regions, strict=False)
                if self._precedes(earlier, rule) and _without(left, region) != left
            ]
            if before and not _left(left, before):
                found.append(Dead(section, rule, tuple(earlier.id for earlier, _ in _needed(left, before))))
        return found

    def _precedes(self, earlier: Rule, later: Rule) -> bool:
        """Whether ``later`` is not reached for an existing socket of which ``earlier`` holds."""
        if earlier.memory != later.memory:
            return False
        if self.stack.several == "any" and all(rule.ask and rule.action != ALLOW for rule in (earlier, later)):
            return False
        if not earlier.asks:
            return True
        if earlier.ask in ("every", ""):
            return later.asks and later.ask != "each-address"
        return (earlier.ask, earlier.among, earlier.space) == (later.ask, later.among, later.space)


def _without(left: list[Box], region: list[Box]) -> list[Box]:
    for box in region:
        left = subtract(left, box)
        if not left or len(left) > MAX_BOXES:
            break
    return left


def _left(boxes: list[Box], before: Sequence[tuple[Rule, list[Box]]]) -> list[Box]:
    """What all of ``before`` leave."""
    for _, region in before:
        boxes = _without(boxes, region)
        if not boxes or len(boxes) > MAX_BOXES:
            break
    return boxes


def _needed(boxes: list[Box], before: list[tuple[Rule, list[Box]]]) -> list[tuple[Rule, list[Box]]]:
    """Those of ``before``, which leave nothing, that cannot be done without."""
    for one in list(before):
        rest = [other for other in before if other is not one]
        if rest and not _left(boxes, rest):
            before = rest
    return before


def _mentions(rule: Rule, fact: str) -> bool:
    return any(name == fact for condition in (rule.when, *rule.unless) for name, _ in condition)
