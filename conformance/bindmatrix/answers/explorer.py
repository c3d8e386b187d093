"""The view-model of the explorer: what every system answers to every question that it can compose.

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
from dataclasses import dataclass, field
from functools import cache
from typing import NamedTuple

from bindmatrix.answers.questions import FAMILIES, first_part, last_part, second_part
from bindmatrix.answers.reason import ABSENT, explained, of_rules
from bindmatrix.notation import Step, parse
from bindmatrix.oracle.oracle import Edge, Node, Oracle
from bindmatrix.oracle.variants import Variant, variants
from bindmatrix.outcomes import Expected, alternatives, in_words
from bindmatrix.rules import catalog, confidence
from bindmatrix.rules.boundaries import Stretch, ranges, stretches
from bindmatrix.rules.model import Expectations, Rule

#: the systems in the order in which people have them
ORDER = (
    "linux", "macos", "windows", "freebsd", "netbsd", "openbsd", "dragonfly", "illumos", "gvisor", "wine", "lwip",
)  # fmt: skip

#: what the step that decides comes to -> how the explorer says it
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


class _Walked(NamedTuple):
    """What one variant answers; rules are numbers of its :class:`_RuleNumbers`."""

    step: Step | None
    expected: Expected
    rules: tuple[int, ...]
    #: rules that the answer rests on
    used: tuple[int, ...]
    receives: Expected = ""
    receives_rules: tuple[int, ...] = ()
    divergence: str = ""
    #: why the last bind succeeds
    success: str = ""


class _Bind(NamedTuple):
    """A bind() that was taken, and where from."""

    node: Node
    step: Step
    edge: Edge


class _Position(NamedTuple):
    """How far a walk has come: where, the last bind, and the rules so far; ``end`` once a step did not return ok."""

    node: Node
    bind: _Bind | None = None
    used: frozenset[int] = frozenset()
    end: _Walked | None = None


def systems() -> list[str]:
    """The systems in the order of ORDER; those that it does not name come last."""
    return sorted(catalog.names(), key=lambda os: (ORDER.index(os) if os in ORDER else len(ORDER), os))


def tables(listed: Sequence[AskedScenario] = ()) -> Iterator[SystemTable]:
    """The table of every system, one after the other; ``listed`` follow the questions of the families."""
    parts = [part for family in FAMILIES for part in map(_parts_of, family.choices())]
    for os in systems():
        yield _table(os, parts, listed)


def _parts_of(choice: Mapping[str, str]) -> tuple[str, str, str]:
    return first_part(choice), second_part(choice), last_part(choice)


def _table(os: str, parts: Sequence[tuple[str, str, str]], listed: Sequence[AskedScenario]) -> SystemTable:
    expectations = catalog.expectations(os)
    table = SystemTable(os, expectations.title, (expectations.covers[0], expectations.covers[1]))
    chosen = variants(expectations)
    every = stretches(expectations)
    walkers = [_Walker(variant) for variant in chosen]
    columns = [walker.column(parts, listed) for walker in walkers]
    numbers: dict[tuple[int, ...], int] = {}
    bands: dict[tuple[Band, ...], int] = {}
    for row in zip(*columns, strict=True):
        if row not in numbers:
            answer = tuple(_bands(expectations, walkers, row, every))
            numbers[row] = bands.setdefault(answer, len(bands))
        table.column.append(numbers[row])
    table.answers = list(bands)
    return table


class _Walker:
    """Walks the questions through the oracle of one variant, and numbers what it finds."""

    def __init__(self, variant: Variant) -> None:
        self.variant = variant
        self.found: list[_Walked] = []
        self._numbers: dict[_Walked, int] = {}
        #: rules by number; a rule is known by its identity, since comparing two takes long
        self.rules: list[Rule] = []
        self._rule_numbers: dict[int, int] = {}
        #: identity of the edge of a bind() -> why it succeeds; the oracle keeps its edges until it forgets
        self._successes: dict[int, str] = {}

    def column(self, parts: Sequence[tuple[str, str, str]], listed: Sequence[AskedScenario]) -> list[int]:
        """The number of what is found for each question."""
        oracle = self.variant.actual
        begin = _Position(oracle.start)
        column = []
        head, position = "", begin
        for first, second, last in parts:
            if first != head:
                head, position = first, self._walk(oracle, begin, _steps(first))
            walked = position.end or self._answer(oracle, self._walk(oracle, position, _steps(second)), _steps(last))
            if self.variant.diverged is not None:
                walked = self._divergent(walked, AskedScenario(" ".join(filter(None, (first, second, last)))))
            column.append(self._number(walked))
        for asked in listed:
            walked = self._whole(oracle, asked)
            if self.variant.diverged is not None:
                walked = self._divergent(walked, asked)
            column.append(self._number(walked))
        self._successes.clear()
        oracle.forget()
        return column

    def rules_of(self, numbers: Sequence[int]) -> list[Rule]:
        """The rules with these numbers."""
        return [self.rules[number] for number in numbers]

    def _number(self, walked: _Walked) -> int:
        number = self._numbers.get(walked)
        if number is None:
            number = self._numbers[walked] = len(self.found)
            self.found.append(walked)
        return number

    def _whole(self, oracle: Oracle, asked: AskedScenario) -> _Walked:
        steps = parse(asked.text).steps
        split = next((index for index, step in enumerate(steps) if step.delivers), len(steps))
        position = self._walk(oracle, _Position(oracle.start), steps[:split], asked.ignores)
        return self._answer(oracle, position, steps[split:])

    def _walk(
        self, oracle: Oracle, position: _Position, steps: Sequence[Step], ignores: Sequence[str] = ()
    ) -> _Position:
        """Take the steps, up to the first that does not return ok."""
        if position.end is not None:
            return position
        node, bind, used, _ = position
        gone: list[int] = []
        for step in steps:
            edge = oracle.edge(node, step)
            gone += self._known(edge.rules)
            if edge.expected != "ok" and step.what not in ignores:
                every = tuple(sorted(used.union(gone)))
                return _Position(node, end=_Walked(step, edge.expected, self._known(edge.rules), every))
            if step.kind == "bind":
                bind = _Bind(node, step, edge)
            node = edge.node
        return _Position(node, bind, used.union(gone))

    def _answer(self, oracle: Oracle, position: _Position, last: Sequence[Step]) -> _Walked:
        """What a walk comes to, and who receives in its ``last`` steps."""
        for step in last:
            if not step.delivers:
                position = self._walk(oracle, position, (step,))
                continue
            if position.end is not None:
                break
            edge = oracle.edge(position.node, step)
            return self._succeeded(oracle, position)._replace(
                receives=edge.expected, receives_rules=self._known(edge.rules)
            )
        return position.end or self._succeeded(oracle, position)

    def _succeeded(self, oracle: Oracle, position: _Position) -> _Walked:
        """Every step returned ok: the last bind is what it is about."""
        used = tuple(sorted(position.used))
        if position.bind is None:
            return _Walked(None, "ok", (), used)
        node, step, edge = position.bind
        success = self._successes.get(id(edge))
        if success is None:
            success = self._successes[id(edge)] = explained(oracle, node, step, edge.rules)[0]
        return _Walked(step, "ok", self._known(edge.rules), used, success=success)

    def _divergent(self, walked: _Walked, asked: AskedScenario) -> _Walked:
        """The same with the known divergence that is responsible, where the rules say otherwise."""
        by_rules = self._whole(self.variant.oracle, asked)
        if (walked.step, walked.expected, walked.receives) == (by_rules.step, by_rules.expected, by_rules.receives):
            return walked
        return walked._replace(divergence=self.variant.responsible(asked.text)[0].id)

    def _known(self, rules: Sequence[Rule]) -> tuple[int, ...]:
        return tuple([self._rule_number(rule) for rule in rules])

    def _rule_number(self, rule: Rule) -> int:
        number = self._rule_numbers.get(id(rule))
        if number is None:
            number = self._rule_numbers[id(rule)] = len(self.rules)
            self.rules.append(rule)
        return number


@cache
def _steps(text: str) -> tuple[Step, ...]:
    """The steps of a part of a scenario, which need not be a scenario by itself."""
    words = text.split()
    made = {word.partition("=")[0] for word in words if "." not in word.partition("=")[0]}
    used = {name for word in words for name in re.findall(r"(?:^|=)([A-Za-z]\w*)\.", word)}
    others = [f"{name}=tcp4" for name in sorted(used - made)]
    return parse(" ".join([*others, *words])).steps[len(others) :] if text else ()


def _bands(
    expectations: Expectations, walkers: Sequence[_Walker], row: Sequence[int], every: Sequence[Stretch]
) -> Iterator[Band]:
    """The bands of one answer, the newest releases first."""
    place = {stretch: index for index, stretch in enumerate(every)}
    groups: dict[object, list[tuple[_Walker, _Walked, Stretch]]] = {}
    for walker, number in zip(walkers, row, strict=True):
        walked = walker.found[number]
        key = (
            walked.step,
            walked.expected,
            walked.receives,
            walked.divergence,
            walked.success,
            _is_absent(walker, walked),
        )
        groups.setdefault(key, []).extend([(walker, walked, stretch) for stretch in walker.variant.stretches])
    newest = {id(group): max(place[stretch] for *_, stretch in group) for group in groups.values()}
    for group in sorted(groups.values(), key=lambda one: newest[id(one)], reverse=True):
        newest_first = sorted(group, key=lambda one: place[one[2]], reverse=True)
        known = [_confidence_of(walker, walked, stretch) for walker, walked, stretch in newest_first]
        chosen = confidence.first_exact(known)
        walker, walked, stretch = newest_first[chosen]
        rules = walker.rules_of(walked.rules)
        receives_rules = walker.rules_of(walked.receives_rules)
        reason = walked.success or (of_rules(walked.step, rules) if walked.step else "")
        if walked.divergence:
            entry = next(one for one in walker.variant.divergences if one.id == walked.divergence)
            reason = entry.rule.reason
        releases = tuple(ranges(expectations, [one for *_, one in group], every))
        yield Band(
            releases=releases,
            kind=_kind(walker, walked),
            step=walked.step.text if walked.step else "",
            outcome=in_words(walked.expected),
            rule=rules[0].id if rules else "",
            reason=reason,
            confidence=known[chosen].text_for(several=releases != (stretch.probe,)),
            method=str(known[chosen].method),
            receives="" if walked.receives == "" else in_words(walked.receives, delivers=True),
            receives_reason="; or ".join(dict.fromkeys(rule.reason for rule in receives_rules)),
            divergence=walked.divergence,
        )


def _is_absent(walker: _Walker, walked: _Walked) -> bool:
    return any(rule.id == ABSENT for rule in walker.rules_of(walked.rules))


def _kind(walker: _Walker, walked: _Walked) -> str:
    accepted = alternatives(walked.expected)
    if not accepted:
        return "unknown"
    if "ok" in accepted:
        return "ok" if len(accepted) == 1 else "either"
    return "absent" if _is_absent(walker, walked) else "refused"


def _confidence_of(walker: _Walker, walked: _Walked, stretch: Stretch) -> confidence.Confidence:
    model = walker.variant.model.expectations.at(stretch.probe)
    rules = walker.rules_of([*walked.used, *walked.rules])
    return confidence.of_rules(rules, model)
