"""Follows many questions through the oracles of all variants of a system, and collects the answer of each.

Questions are sorted, so those that begin alike follow one another.  What they have in common is walked once; where a
step does not return ok, every question that begins with it is answered.  Variants part only at a step of which their
rules say different things (:mod:`bindmatrix.oracle.joint`).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import takewhile
from typing import NamedTuple

from bindmatrix.answers.reason import Explainer
from bindmatrix.notation import SOCKET_KINDS, Step
from bindmatrix.oracle import joint
from bindmatrix.oracle.joint import JointOracle, Members
from bindmatrix.oracle.oracle import Edge, Node
from bindmatrix.oracle.variants import Variant
from bindmatrix.outcomes import Expected
from bindmatrix.rules.model import Model, Rule


class AskedSteps(NamedTuple):
    """The steps of a question; ``ignores``: options whose errors the program ignores."""

    steps: tuple[Step, ...]
    ignores: tuple[str, ...] = ()


class WalkAnswer(NamedTuple):
    """What one variant answers; rules are numbers of :attr:`Walk.rules`."""

    #: the step that decides: the first that does not return ok, else the last bind
    step: Step | None
    expected: Expected
    rules: tuple[int, ...]
    #: rules that the answer rests on
    used: tuple[int, ...]
    receives: Expected = ""
    receives_rules: tuple[int, ...] = ()
    divergence: str = ""


class _Bind(NamedTuple):
    """A bind() that succeeded, and where from."""

    node: Node
    step: Step
    edge: Edge


class _Position(NamedTuple):
    """The position of a walk. ``bind`` is the number of the last bind, ``end`` the number of the answer of the step
    that decides."""

    node: Node
    bind: int = 0
    used: frozenset[int] = frozenset()
    end: int | None = None


class QuestionGroup:
    """Questions whose sockets have one ``protocol`` ("": several, or a protocol with rules of its own)."""

    def __init__(self, protocol: str, questions: Sequence[AskedSteps], places: Sequence[int]) -> None:
        self.protocol = protocol
        words = {place: [step.text for step in questions[place].steps] for place in places}
        #: the places of the questions among all, in the order of the walk
        self.places = sorted(places, key=lambda place: (questions[place].ignores, words[place]))
        self.questions = [questions[place] for place in self.places]
        #: how many steps each has in common with the one before
        self.shared = [0]
        for (before, one), (old, new) in zip(
            zip(self.questions, self.questions[1:], strict=False),
            zip(self.places, self.places[1:], strict=False),
            strict=True,
        ):
            pairs = zip(words[old], words[new], strict=False) if before.ignores == one.ignores else ()
            self.shared.append(sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], pairs)))


def grouped(questions: Sequence[AskedSteps]) -> list[QuestionGroup]:
    """All questions, by protocol."""
    places: dict[str, list[int]] = {}
    known: dict[tuple[str, ...], str] = {}
    for place, question in enumerate(questions):
        kinds = tuple([step.what for step in question.steps if step.kind == "socket"])
        if kinds not in known:
            protocols = {SOCKET_KINDS[kind].protocol for kind in kinds}
            known[kinds] = protocols.pop() if protocols in ({"tcp"}, {"udp"}) else ""
        places.setdefault(known[kinds], []).append(place)
    return [QuestionGroup(protocol, questions, those) for protocol, those in places.items()]


class WalkPart(NamedTuple):
    """What some variants answer to a question: numbers of :attr:`Walk.found` and of the last bind."""

    members: Members
    found: int
    bind: int


class Walk:
    """What ``variants`` answer to the questions of a group; ``parts``: of each question, in the order of the group."""

    def __init__(self, variants: Sequence[Variant], group: QuestionGroup) -> None:
        self.variants = variants
        self.found: list[WalkAnswer] = []
        self._numbers: dict[WalkAnswer, int] = {}
        self.rules: list[Rule] = []
        #: identity of a rule -> its number; comparing two rules takes long
        self._rule_numbers: dict[int, int] = {}
        self._binds: list[_Bind | None] = [None]
        self._successes: dict[tuple[int, int], str] = {}
        self._explainers = [Explainer(variant.actual) for variant in variants]
        #: variant -> the member that answers by its rules alone, where it has known divergences
        self._by_rules: dict[int, int] = {}
        models = [variant.actual.model for variant in variants]
        for number, variant in enumerate(variants):
            if variant.diverged is not None:
                self._by_rules[number] = len(models)
                models.append(variant.oracle.model)
        columns = [list(self._walk(models, those, group)) for those in joint.alike(models)]
        self.parts = [sum(parts, ()) for parts in zip(*columns, strict=True)] if len(columns) > 1 else columns[0]
        if self._by_rules:
            self._name_divergences(group)

    def of_variants(self, parts: Sequence[WalkPart]) -> dict[int, WalkPart]:
        """The number of each variant -> its part."""
        by_member = {member: part for part in parts for member in part.members}
        return {number: by_member[number] for number in range(len(self.variants))}

    def rules_of(self, numbers: Sequence[int]) -> list[Rule]:
        """The rules with these numbers."""
        return [self.rules[number] for number in numbers]

    def success(self, variant: int, bind: int) -> str:
        """Why the last bind succeeds in a variant."""
        if (variant, bind) not in self._successes:
            made = self._binds[bind]
            explainer = self._explainers[variant]
            text = explainer.explained(made.node, made.step, made.edge.rules)[0] if made else ""
            self._successes[variant, bind] = text
        return self._successes[variant, bind]

    def _walk(
        self, models: Sequence[Model], those: Sequence[int], group: QuestionGroup
    ) -> Iterator[tuple[WalkPart, ...]]:
        oracle = JointOracle([models[number] for number in those])
        way = [[(oracle.members, _Position(oracle.start))]]
        ended = False
        answer: tuple[WalkPart, ...] = ()
        for question, shared in zip(group.questions, group.shared, strict=True):
            if ended and shared >= len(way) - 1:
                yield answer
                continue
            del way[shared + 1 :]
            ended = False
            for step in question.steps[shared:]:
                way.append(self._step(oracle, way[-1], step, question.ignores))
                ended = all(position.end is not None for _, position in way[-1])
                if ended:
                    break
            answer = tuple(
                WalkPart(
                    frozenset([those[member] for member in members]),
                    self._succeeded(position) if position.end is None else position.end,
                    position.bind,
                )
                for members, position in way[-1]
            )
            yield answer

    def _step(
        self, oracle: JointOracle, positions: Sequence[tuple[Members, _Position]], step: Step, ignores: Sequence[str]
    ) -> list[tuple[Members, _Position]]:
        """Where ``step`` leads to."""
        found = []
        for members, position in positions:
            if position.end is not None:
                found.append((members, position))
                continue
            for those, edge in oracle.edges(position.node, step, members):
                found.append((those, self._after(position, step, edge, ignores)))
        return found

    def _after(self, position: _Position, step: Step, edge: Edge, ignores: Sequence[str]) -> _Position:
        rules = tuple([self._rule_number(rule) for rule in edge.rules])
        if step.delivers:
            return position._replace(end=self._succeeded(position, edge.expected, rules))
        used = position.used.union(rules)
        if edge.expected != "ok" and step.what not in ignores:
            end = self._number(WalkAnswer(step, edge.expected, rules, tuple(sorted(used))))
            return _Position(position.node, position.bind, used, end)
        bind = position.bind
        if step.kind == "bind":
            bind = len(self._binds)
            self._binds.append(_Bind(position.node, step, edge))
        return _Position(edge.node, bind, used)

    def _succeeded(self, position: _Position, receives: Expected = "", receives_rules: tuple[int, ...] = ()) -> int:
        """Every step returned ok: the answer is about the last bind."""
        bind = self._binds[position.bind]
        rules = tuple([self._rule_number(rule) for rule in bind.edge.rules]) if bind else ()
        step = bind.step if bind else None
        return self._number(WalkAnswer(step, "ok", rules, tuple(sorted(position.used)), receives, receives_rules))

    def _name_divergences(self, group: QuestionGroup) -> None:
        """Where the rules alone say otherwise, name the known divergence that makes the difference."""
        alike: dict[tuple[WalkPart, ...], bool] = {}
        for index, parts in enumerate(self.parts):
            if alike.get(parts):
                continue
            by_member = {member: part for part in parts for member in part.members}
            named = list(parts)
            for number, by_rules in self._by_rules.items():
                found, ours = (self.found[by_member[member].found] for member in (number, by_rules))
                if (found.step, found.expected, found.receives) == (ours.step, ours.expected, ours.receives):
                    continue
                text = " ".join(step.text for step in group.questions[index].steps)
                divergent = found._replace(divergence=self.variants[number].responsible(text)[0].id)
                named = [part._replace(members=part.members - {number}) for part in named]
                named.append(WalkPart(frozenset([number]), self._number(divergent), by_member[number].bind))
            alike[parts] = named == list(parts)
            self.parts[index] = tuple(named)

    def _number(self, found: WalkAnswer) -> int:
        number = self._numbers.setdefault(found, len(self.found))
        if number == len(self.found):
            self.found.append(found)
        return number

    def _rule_number(self, rule: Rule) -> int:
        number = self._rule_numbers.setdefault(id(rule), len(self.rules))
        if number == len(self.rules):
            self.rules.append(rule)
        return number
