"""Which block of a call a rule belongs to, and a check that moving it there changes no answer.

The order of two rules does not matter if no call can match both: they require different values of one fact of the new
socket.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from bindmatrix.errors import NOWHERE
from bindmatrix.rules.model import Condition, Expectations, Rule, Stack
from bindmatrix.rules.rule_reader import BLOCKS

_RANK = {block: rank for rank, block in enumerate(BLOCKS)}
#: what a rule about the new socket alone may speak of
_ALONE = ("new.", "user.", "option", "value", "destination", "call")
#: fields of rules that are lists of conditions
_ALTERNATIVES = ("among", "unless", "share", "stop")
_FAMILIES = {"path": "unix", "abstract": "unix", "cid": "vsock"}


def assign(rules: tuple[Rule, ...], stack: Stack) -> dict[str, str]:
    """Id -> block, so that each block keeps its order and the blocks together decide as ``rules`` do."""
    blocks: dict[str, str] = {}
    before: list[Rule] = []
    for rule in rules:
        block = "any" if rule is rules[-1] else _natural(rule, stack)
        rank = _RANK[block]
        if any(_RANK[blocks[one.id]] > rank and not disjoint(one, rule, stack) for one in before):
            block = "any"
        blocks[rule.id] = block
        before.append(rule)
    return blocks


def disjoint(one: Rule, other: Rule, stack: Stack) -> bool:
    """Whether no call can match the conditions of both."""
    ours, theirs = (_call_facts(rule, stack) for rule in (one, other))
    return any(not ours[name] & theirs[name] for name in ours.keys() & theirs.keys())


def difference(old: Expectations, new: Expectations) -> str:
    """How the rules of ``new`` differ from those of ``old``, "" for nothing."""
    for name in ("os", "title", "covers", "names", "options", "last"):
        if getattr(old, name) != getattr(new, name):
            return f"{name!r} differs"
    if _placeless(old.stack) != _placeless(new.stack):
        return "'stack' differs"
    if old.rules.keys() != new.rules.keys():
        return "the sections differ"
    for section, rules in old.rules.items():
        place = {rule.id: index for index, rule in enumerate(new.rules[section])}
        if place.keys() != {rule.id for rule in rules} or len(place) != len(rules):
            return f"{section!r} has other rules"
        for index, rule in enumerate(rules):
            if not same(rule, new.rules[section][place[rule.id]], old.stack):
                return f"{rule.id!r} differs in {section!r}"
            for earlier in rules[:index]:
                if place[earlier.id] > place[rule.id] and not disjoint(earlier, rule, old.stack):
                    return f"{rule.id!r} is asked before {earlier.id!r} in {section!r}"
    return ""


def _placeless(stack: Stack) -> Stack:
    return replace(stack, closest=tuple(replace(row, place=NOWHERE) for row in stack.closest))


def same(old: Rule, new: Rule, stack: Stack) -> bool:
    """Whether two rules mean the same; the new one may name the protocol that the old one implies."""
    ours, theirs = _terms(old.when), _terms(new.when)
    if ours - theirs or theirs - ours - _terms((("new.protocol", (protocol(old, stack),)),)):
        return False
    fields = [name for kind in type(old).__mro__ for name in getattr(kind, "__slots__", ())]
    return type(old) is type(new) and all(
        _comparable(name, getattr(old, name)) == _comparable(name, getattr(new, name))
        for name in fields
        if name not in ("when", "place")
    )


def _terms(condition: Condition) -> frozenset[tuple[str, frozenset[str]]]:
    """What a condition says, whatever the order of its terms and of their values."""
    return frozenset((name, frozenset(values)) for name, values in condition)


def _comparable(name: str, value: Any) -> object:
    """Evidence without its place, conditions without the order of their terms; the order of alternatives counts."""
    if name in _ALTERNATIVES:
        return [_terms(condition) for condition in value]
    if name == "evidence":
        return [(one.kind, one.reference, one.release) for one in value]
    return value


def protocol(rule: Rule, stack: Stack) -> str:
    """The one protocol of the sockets that ``rule`` is about, "" for several."""
    found = _call_facts(rule, stack).get("new.protocol", frozenset())
    return next(iter(found)) if len(found) == 1 else ""


def _call_facts(rule: Rule, stack: Stack) -> dict[str, frozenset[str]]:
    """Facts of the new socket in ``when``, and the protocols that they imply."""
    facts = {name: frozenset(values) for name, values in rule.when if name.startswith(_ALONE)}
    if "new.protocol" not in facts:
        forms = facts.get("new.form", frozenset())
        kinds = facts.get("new.socket", frozenset())
        if forms and forms <= _FAMILIES.keys():
            facts["new.protocol"] = frozenset(_FAMILIES[form] for form in forms)
        elif kinds:
            facts["new.protocol"] = frozenset(
                stack.sockets[kind].role if kind in stack.sockets else kind for kind in kinds
            )
    return facts


def _natural(rule: Rule, stack: Stack) -> str:
    of = protocol(rule, stack)
    if of in ("unix", "vsock"):
        return of
    if not rule.asks and all(name.startswith(_ALONE) for name in rule.facts):
        return "socket"
    return of if of in BLOCKS else "any"
