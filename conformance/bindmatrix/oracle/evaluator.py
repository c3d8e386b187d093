"""The evaluator: decides by the rules of one model, which become closures once.

How a section decides:

1. The rules are asked in order; the first that holds decides.
2. A rule holds when ``when`` does and none of ``unless``.  With ``ask`` this must be so for an existing socket on the
   port that matches one of ``among`` (any does when that is empty): for one of all (``every``), for the ``first`` of
   the chain, for the ``closest``, or for one address with what all sockets on it have in common (``each-address``).
3. Where ``several: any`` says that any of several refusals may win, the refusals of rules with ``ask`` are collected
   until a rule of another kind decides.  In ``remember`` one rule decides for each slot of the memory.

Terms about the call alone are tested once, before any existing socket is looked at.  The tests decide the same by
another program that reads the rules one by one (``tests/oracle/reference.py``), and compare.
"""

from __future__ import annotations

from typing import Literal, NamedTuple, Protocol, overload

from bindmatrix.oracle.conditions import Questions, Test, always, conjunction, disjunction, relater, without
from bindmatrix.oracle.delivery import Deliveries, Delivery
from bindmatrix.rules.facts import EXISTING, FACTS, Question
from bindmatrix.rules.model import ALLOW, CallRule, ChainRule, GroupRule, MemoryRule, Model, Rule, TimeWaitRule
from bindmatrix.rules.sockets import BITS, Call, Sock, State, relation

_ALL_BITS = sum(BITS.values())


class Evaluator(Protocol):
    """What the oracle needs: answers by the rules of one model."""

    model: Model

    def decide(self, section: str, call: Call, new: Sock, state: State) -> tuple[Rule, ...]:
        """The rules that decide; empty where the section is missing or none holds."""

    def matching(self, rule: Rule, call: Call, new: Sock, state: State) -> list[Sock]:
        """The existing sockets that match ``among`` of a rule of ``groups``, in the order of the chain."""

    def receivers(self, call: Call, destination: Sock, state: State) -> Delivery:
        """Who receives what is sent to ``destination``, by the rules of ``deliver``."""


CallSection = Literal["socket", "user", "set", "bind", "listen", "connect", "accept"]


class Decide(Protocol):
    """:meth:`Evaluator.decide` with the class of the rules of each section (``model.KINDS``)."""

    @overload
    def __call__(self, section: Literal["chain"], call: Call, new: Sock, state: State) -> tuple[ChainRule, ...]: ...
    @overload
    def __call__(self, section: Literal["groups"], call: Call, new: Sock, state: State) -> tuple[GroupRule, ...]: ...
    @overload
    def __call__(self, section: Literal["remember"], call: Call, new: Sock, state: State) -> tuple[MemoryRule, ...]: ...
    @overload
    def __call__(
        self, section: Literal["time-wait"], call: Call, new: Sock, state: State
    ) -> tuple[TimeWaitRule, ...]: ...
    @overload
    def __call__(self, section: CallSection, call: Call, new: Sock, state: State) -> tuple[CallRule, ...]: ...


class _Compiled(NamedTuple):
    """A rule as closures."""

    #: what is returned when the rule decides
    decided: tuple[Rule, ...]
    holds: Test
    #: ``remember``: what it writes, "" elsewhere
    slot: str
    #: whether later rules may decide beside it
    collects: bool


class CompiledEvaluator:
    """Decides by the rules of ``model``; see the protocol for what each method returns."""

    def __init__(self, model: Model) -> None:
        self.model = model
        self._questions = Questions(model)
        self._sections = {
            section: [self._compiled(rule) for rule in rules]
            for section, rules in model.rules.items()
            if section != "deliver"
        }
        self._among = {rule: disjunction(rule.among) for rule in model.rules.get("groups", ())}
        self._deliveries = Deliveries(model.deliveries, self._questions)

    def decide(self, section: str, call: Call, new: Sock, state: State) -> tuple[Rule, ...]:
        """The rules that decide."""
        rules = self._sections.get(section)
        if not rules:
            return ()
        question = self._questions.question(call, new, state)
        found: tuple[Rule, ...] = ()
        for decided, holds, slot, collects in rules:
            if slot and any(rule.memory == slot for rule in found):
                continue
            if holds(question):
                if not collects:
                    return found or decided
                found += decided
        return found

    def matching(self, rule: Rule, call: Call, new: Sock, state: State) -> list[Sock]:
        """The existing sockets that match."""
        question = self._questions.question(call, new, state)
        among = self._among[rule]
        relate = relater(rule.among, rule.space)
        found = []
        for sock in _others(question):
            self._questions.about(question, sock, relate)
            if among is None or among(question):
                found.append(sock)
        return found

    def receivers(self, call: Call, destination: Sock, state: State) -> Delivery:
        """Who receives."""
        return self._deliveries.receivers(call, destination, state)

    # -- closures

    def _compiled(self, rule: Rule) -> _Compiled:
        stack = self.model.stack
        slot = rule.memory
        collects = bool(slot) or (stack.several == "any" and bool(rule.ask) and rule.action != ALLOW)
        return _Compiled((rule,), self._holds(rule), slot, collects)

    def _holds(self, rule: Rule) -> Test:
        unless = disjunction(rule.unless)
        if not rule.ask:
            return without(conjunction(rule.when), unless)
        guard = conjunction(tuple([term for term in rule.when if not _is_existing(term[0])]))
        pair = conjunction(tuple([term for term in rule.when if _is_existing(term[0])]))
        among = disjunction(rule.among) or always
        applies = without(pair, unless)
        if rule.ask == "each-address":
            return self._each_address(guard, among, applies)
        if rule.ask == "closest":
            return self._closest(rule, guard, among, applies)
        return self._in_order(rule, guard, among, applies)

    def _in_order(self, rule: Rule, guard: Test, among: Test, applies: Test) -> Test:
        """``ask: every`` and ``ask: first``."""
        about = self._questions.about
        relate = relater(rule.conditions, rule.space)
        only_first = rule.ask == "first"

        def holds(q: Question) -> bool:
            if not guard(q):
                return False
            for sock in _others(q):
                about(q, sock, relate)
                if among(q):
                    if applies(q):
                        return True
                    if only_first:
                        return False
            return False

        return holds

    def _closest(self, rule: Rule, guard: Test, among: Test, applies: Test) -> Test:
        """``ask: closest``: the one with the fewest points; the first of the chain, the newest bind, on ties."""
        about = self._questions.about
        rows = self.model.stack.closest
        points = [(row.points, conjunction(row.when)) for row in rows]
        relate = relater((*rule.conditions, *[row.when for row in rows]), rule.space)

        def holds(q: Question) -> bool:
            if not guard(q):
                return False
            closest: Sock | None = None
            fewest = 0
            for sock in _others(q):
                about(q, sock, relate)
                if among(q):
                    number = sum([count for count, when in points if when(q)])
                    if closest is None or number < fewest:
                        closest, fewest = sock, number
            if closest is None:
                return False
            about(q, closest, relate)
            return applies(q)

        return holds

    def _each_address(self, guard: Test, among: Test, applies: Test) -> Test:
        """``ask: each-address``: for each address and space one answer; an option counts when all sockets have it."""
        options = self._questions.options

        def holds(q: Question) -> bool:
            if not guard(q):
                return False
            new = q.new
            groups: dict[tuple[str, str], tuple[Sock, int, str]] = {}
            for sock in _others(q):
                bits = options.of_existing(sock)
                for space, value, ours in (("ipv4", sock.v4, new.v4), ("ipv6", sock.v6, new.v6)):
                    if value is None or ours is None:
                        continue
                    q.existing, q.existing_options, q.relation = sock, bits, relation(value, ours)
                    if among(q):
                        first, common, _ = groups.get((space, value), (sock, _ALL_BITS, ""))
                        groups[space, value] = (first, common & bits, q.relation)
            for first, common, related in groups.values():
                q.existing = first._replace(at_bind=common, connection=0)
                q.existing_options, q.relation = common, related
                if applies(q):
                    return True
            return False

        return holds


def _others(question: Question) -> list[Sock]:
    """The sockets on the port but for the new one."""
    name = question.new.name
    if not name:
        return question.on_port
    return [sock for sock in question.on_port if sock.name != name]


def _is_existing(fact: str) -> bool:
    return FACTS[fact].scope == EXISTING
