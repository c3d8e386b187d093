"""Unknown stays unknown: who knows less never contradicts who knows more.

Any rule that decides may be replaced by ``unknown``.  What the weakened model still claims must then be what the
original says, at every step: an outcome that a later step can see of an unknown one is a set, or unknown too.
``BINDMATRIX_WEAKENED`` sets how many random programs are tried; 100,000 were on 2026-11-30.
"""

from __future__ import annotations

import os
import random
from collections.abc import Iterator, Mapping
from dataclasses import replace
from functools import cache
from itertools import cycle
from typing import TypeVar

from bindmatrix.generate import deliveries, strategies
from bindmatrix.generate.any_calls import random_calls
from bindmatrix.generate.deliveries import random_deliveries
from bindmatrix.generate.matrix import matrix
from bindmatrix.generate.sequences import other_sequences, random_sequences
from bindmatrix.notation import parse
from bindmatrix.oracle.oracle import Oracle
from bindmatrix.outcomes import ANY_ERROR, Expected, alternatives
from bindmatrix.rules import catalog
from bindmatrix.rules.model import UNKNOWN, CallRule, DeliverRule, Model, Rule
from hypothesis import given
from hypothesis import strategies as st

T = TypeVar("T")

PROGRAMS = int(os.environ.get("BINDMATRIX_WEAKENED", "1500"))


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


class System:
    """The newest release of one system, and the models that know less: by what they do not know."""

    def __init__(self, name: str) -> None:
        expectations = catalog.expectations(name)
        self.model = expectations.at(expectations.covers[1])
        self.oracle = Oracle(self.model)
        self.rules = {
            rule.id: rule
            for rules in self.model.rules.values()
            for rule in rules
            if isinstance(rule, (CallRule, DeliverRule)) and not rule.is_unknown
        }
        stack = self.model.stack
        self.settings = {kind: replace(stack, sockets=_without(stack.sockets, kind)) for kind in stack.sockets}
        for kind, row in stack.sockets.items():
            later = {**stack.sockets, kind: row._replace(closes="later")}
            self.settings[f"when a {kind} connection is closed"] = replace(stack, sockets=later)
        self.settings["the unspecified address"] = replace(stack, unspecified={})
        self._weak: dict[str, Oracle] = {}

    def choices(self, text: str) -> list[str]:
        """What may be unknown: rules that decide a step of ``text``, settings, and the section ``deliver``."""
        decided = {rule.id for step in self.oracle.predict(text).rules for rule in step}
        return [*[one for one in self.rules if one in decided], *self.settings, "deliver"]

    def without(self, unknown: str) -> Oracle:
        if len(self._weak) > 60:
            self._weak.clear()
            self.oracle.forget()
        if unknown not in self._weak:
            self._weak[unknown] = Oracle(self._model_without(unknown))
        return self._weak[unknown]

    def _model_without(self, unknown: str) -> Model:
        if unknown in self.rules:
            return weakened(self.model, self.rules[unknown])
        if unknown in self.settings:
            return replace(self.model, stack=self.settings[unknown])
        return replace(self.model, rules=_without(self.model.rules, "deliver"))


def _without(table: Mapping[str, T], key: str) -> dict[str, T]:
    return {name: value for name, value in table.items() if name != key}


@cache
def systems() -> list[System]:
    return [System(name) for name in catalog.names()]


OPTIONS = ("reuseaddr", "reuseport", "reuseport_lb", "exclusive", "exclbind")


def programs(seed: int, count: int) -> list[str]:
    """``count`` random programs of every family."""
    share = count // 5
    cells = [scenario for group in matrix(kinds=["remote"]) for scenario in group.scenarios]
    random.Random(seed).shuffle(cells)
    found = [
        *[
            text.replace("connect=127.0.0.1", "connect=0.0.0.0") if index % 4 == 0 else text
            for index, text in enumerate(random_sequences(seed, share, users=True, options=OPTIONS))
        ],
        *random_calls(seed, share, users=True, options=OPTIONS),
        *random_deliveries(seed, share, options=OPTIONS),
        *other_sequences(seed, share // 8, users=True),
        *random_deliveries(seed, share // 2, teams=deliveries.OTHER_TEAMS),
    ]
    return [*found, *cells[: count - len(found)]]


def each_weakened(texts: list[str]) -> Iterator[str]:
    """A contradiction for each program, "" for none: something that decides it is not known."""
    source = random.Random(1)
    for text, system in zip(texts, cycle(systems()), strict=False):
        unknown = source.choice(system.choices(text))
        found = contradiction(system.oracle, system.without(unknown), text)
        yield f"{system.model.os} without {unknown}: {found}" if found else ""


def test_without_rules_of_deliver_a_connection_to_nobody_fails_with_any_error() -> None:
    """Failed first: it was ECONNREFUSED, and lwIP says ECONNRESET."""
    lwip = next(system for system in systems() if system.model.os == "lwip")
    text = "a=tcp4 a.connect=127.0.0.1"
    assert lwip.oracle.predict(text).outcomes[-1] == "ECONNRESET"
    assert lwip.without("deliver").predict(text).outcomes[-1] == ANY_ERROR


def test_who_knows_less_contradicts_nothing() -> None:
    texts = programs(1, PROGRAMS)
    assert len(texts) == PROGRAMS
    random.Random(2).shuffle(texts)
    found = [one for one in each_weakened(texts) if one]
    assert not found, f"{len(found)} of {len(texts)} programs:\n" + "\n".join(found[:10])


@given(st.data())
def test_a_failure_shrinks_to_one_rule_and_a_short_program(data: st.DataObject) -> None:
    """The same drawn by Hypothesis, which finds the shortest program."""
    system = data.draw(st.sampled_from(systems()))
    text = data.draw(st.one_of(strategies.sequences(users=True, options=OPTIONS), strategies.pairs())).text
    unknown = data.draw(st.sampled_from(system.choices(text)))
    assert contradiction(system.oracle, system.without(unknown), text) == ""
