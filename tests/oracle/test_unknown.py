"""Unknown stays unknown: who knows less never contradicts who knows more.

Any rule that decides may be replaced by ``unknown``.  What the weakened model still claims must then be what the
original says, at every step: an outcome that a later step can see of an unknown one is a set, or unknown too.
``BINDMATRIX_WEAKENED`` sets how many random programs are tried; 100,000 were on 2026-11-30.
"""

from __future__ import annotations

import os
import random
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import cache
from itertools import cycle

import pytest
from bindmatrix.generate import deliveries
from bindmatrix.generate.any_calls import random_calls
from bindmatrix.generate.deliveries import random_deliveries
from bindmatrix.generate.matrix import matrix
from bindmatrix.generate.sequences import other_sequences, random_sequences
from bindmatrix.notation import parse
from bindmatrix.oracle.oracle import Oracle
from bindmatrix.outcomes import Expected, alternatives
from bindmatrix.rules import catalog
from bindmatrix.rules.model import UNKNOWN, CallRule, DeliverRule, Model, Rule
from hypothesis import given
from hypothesis import strategies as st

PROGRAMS = int(os.environ.get("BINDMATRIX_WEAKENED", "1500"))

SERVED = "a=tcp4 a.bind=0.0.0.0 a.listen c=tcp4 c.connect={} x=a.accept x.close c.close a.close b=tcp4 b.bind=0.0.0.0"


def weakened(model: Model, rule: Rule) -> Model:
    """``model`` with ``rule`` saying that nothing is known; what a refusal would leave (``then``) stays possible."""
    if isinstance(rule, CallRule):
        less: Rule = replace(rule, action=UNKNOWN, errors=())
    else:
        assert isinstance(rule, DeliverRule)
        less = replace(rule, pick="unknown")
    replaced = tuple(less if one.id == rule.id else one for one in model.rules[rule.section])
    return model.with_rules(rule.section, replaced)


def claims_too_much(weak: Expected, strong: Expected) -> bool:
    """Whether ``weak`` rules out an outcome that ``strong`` accepts."""
    if weak is None:
        return False
    if strong is None:
        return True
    accepted = set(alternatives(weak))
    return any(one not in accepted and not (one != "ok" and "refused" in accepted) for one in alternatives(strong))


def contradiction(original: Oracle, weak: Oracle, text: str) -> str:
    scenario = parse(text)
    ours, theirs = original.predict(scenario).outcomes, weak.predict(scenario).outcomes
    for step, strong, less in zip(scenario.steps, ours, theirs, strict=True):
        if claims_too_much(less, strong):
            return f"{text}: {step.text} is {strong}, the weakened model says {less}"
    return ""


@cache
def systems() -> list[tuple[Model, Oracle, list[Rule]]]:
    found = []
    for name in catalog.names():
        expectations = catalog.expectations(name)
        model = expectations.at(expectations.covers[1])
        rules = [
            rule
            for rules in model.rules.values()
            for rule in rules
            if isinstance(rule, (CallRule, DeliverRule)) and not rule.is_unknown
        ]
        found.append((model, Oracle(model), rules))
    return found


OPTIONS = ("reuseaddr", "reuseport", "reuseport_lb", "exclusive", "exclbind")


def programs(seed: int, count: int) -> list[str]:
    """Random programs of every family."""
    share = count // 5 + 1
    cells = [scenario for group in matrix() for scenario in group.scenarios]
    random.Random(seed).shuffle(cells)
    found = [
        *random_sequences(seed, share, users=True, options=OPTIONS),
        *random_calls(seed, share, users=True, options=OPTIONS),
        *random_deliveries(seed, share, options=OPTIONS),
        *other_sequences(seed, share // 8 + 1, users=True),
        *random_deliveries(seed, share // 2, teams=deliveries.OTHER_TEAMS),
        *cells[:share],
    ]
    return found[:count] if len(found) > count else found


def decided_by(oracle: Oracle, text: str, rules: list[Rule]) -> list[Rule]:
    decided = {rule.id for step in oracle.predict(text).rules for rule in step}
    return [rule for rule in rules if rule.id in decided]


def each_weakened(texts: list[str]) -> Iterator[str]:
    """A contradiction for each program, "" for none: one of the rules that decide it is not known."""
    source = random.Random(1)
    weak: dict[tuple[str, str], Oracle] = {}
    for text, (model, oracle, rules) in zip(texts, cycle(systems()), strict=False):
        choices = decided_by(oracle, text, rules)
        if not choices:
            yield ""
            continue
        rule = source.choice(choices)
        key = model.os, rule.id
        if key not in weak:
            weak[key] = Oracle(weakened(model, rule))
        found = contradiction(oracle, weak[key], text)
        yield f"{model.os} without {rule.id}: {found}" if found else ""
        if len(weak) % 50 == 0:
            for one in (oracle, weak[key]):
                one.forget()


def test_who_knows_less_contradicts_nothing() -> None:
    texts = programs(1, PROGRAMS)
    random.Random(2).shuffle(texts)
    found = [one for one in each_weakened(texts) if one]
    assert not found, f"{len(found)} of {len(texts)} programs:\n" + "\n".join(found[:10])
