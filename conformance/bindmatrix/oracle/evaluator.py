"""The evaluator: turns the rules of one model into closures, once, and decides by them.

How a section decides:

1. The rules are tried in order; the first that holds decides.
2. A rule holds if ``when`` holds and no alternative of ``unless`` does. With ``ask`` this must be true for an existing
   socket on the port that matches one of ``among`` (if that is empty, every socket matches): for any of them
   (``every``), for the ``first`` of the chain, for the ``closest``, or for one address with the options that all its
   sockets have in common (``each-address``).
3. With ``several: any`` any of several refusals may be the outcome: refusals of rules with ``ask`` are collected until
   a rule of another kind decides. In ``remember`` one rule decides for each slot of the memory.

Terms about the call alone are tested once, before any existing socket. The tests compare this with a second, naive
evaluator (``tests/oracle/reference.py``).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Literal, NamedTuple, Protocol, overload

from bindmatrix.oracle.conditions import (
    Existing,
    Questions,
    Relate,
    Test,
    always,
    choose,
    conjunction,
    disjunction,
    relater,
    selection,
    without,
)
from bindmatrix.oracle.delivery import Deliveries, Delivery
from bindmatrix.rules.facts import EXISTING, FACTS, Question
from bindmatrix.rules.model import ALLOW, CallRule, ChainRule, GroupRule, MemoryRule, Model, Points, Rule, TimeWaitRule
from bindmatrix.rules.sockets import BITS, Call, Sock, State, relation

_ALL_BITS = sum(BITS.values())


class Evaluator(Protocol):
    """What the oracle needs: decisions by the rules of one model."""

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


#: whether a rule holds for the existing sockets
Search = Callable[[Question, list[Existing]], bool]


class _CallRule(NamedTuple):
    """A rule as closures."""

    #: what is returned when the rule decides
    decided: tuple[Rule, ...]
    #: its conditions on the call alone; all of its conditions if it has no ``ask``
    guard: Test
    #: its conditions on existing sockets; None if it has no ``ask``
    search: Search | None
    #: ``remember``: what it writes, "" elsewhere
    slot: str
    #: whether later rules may decide beside it
    collects: bool


class _Asked(NamedTuple):
    """The rules of a section for one protocol."""

    rules: tuple[_CallRule, ...]
    #: whether any of them looks at what is on the port
    sees_port: bool


class CompiledEvaluator:
    """Decides by the rules of ``model``; see the protocol for what each method returns."""

    def __init__(self, model: Model) -> None:
        self.model = model
        self._questions = Questions(model)
        #: section -> protocol -> the rules that may hold for such a socket
        self._sections = {
            section: self._by_protocol(rules) for section, rules in model.rules.items() if section != "deliver"
        }
        self._matching = {
            rule: selection(disjunction(rule.among) or always, relater(rule.among, rule.space))
            for rule in model.rules.get("groups", ())
        }
        self._deliveries = Deliveries(model.deliveries, self._questions)

    def decide(self, section: str, call: Call, new: Sock, state: State) -> tuple[Rule, ...]:
        """The rules that decide."""
        of_section = self._sections.get(section)
        if of_section is None:
            return ()
        rules, sees_port = of_section[new.protocol]
        if not rules:
            return ()
        question = self._questions.question(call, new, state, sees_port=sees_port)
        others: list[Existing] | None = None
        found: tuple[Rule, ...] = ()
        for decided, guard, search, slot, collects in rules:
            if not guard(question) or (slot and any(rule.memory == slot for rule in found)):
                continue
            if search is not None:
                if others is None:
                    others = self._questions.others(question)
                if not others or not search(question, others):
                    continue
            if not collects:
                return found or decided
            found += decided
        return found

    def matching(self, rule: Rule, call: Call, new: Sock, state: State) -> list[Sock]:
        """The existing sockets that match."""
        question = self._questions.question(call, new, state)
        return [sock for sock, _ in self._matching[rule](question, self._questions.others(question))]

    def receivers(self, call: Call, destination: Sock, state: State) -> Delivery:
        """Who receives."""
        return self._deliveries.receivers(call, destination, state)

    def _by_protocol(self, rules: tuple[Rule, ...]) -> dict[str, _Asked]:
        """The rules to try for each protocol. Half of the rules name a protocol, and cannot hold for another one."""
        compiled = [(rule, self._compiled(rule)) for rule in rules]
        by_protocol = {}
        for protocol in (*FACTS["new.protocol"].values, ""):
            asked = [
                (rule, one)
                for rule, one in compiled
                if all(protocol in values for name, values in rule.when if name == "new.protocol")
            ]
            sees_port = any(rule.ask or any(name.startswith("port.") for name in rule.facts) for rule, _ in asked)
            by_protocol[protocol] = _Asked(tuple([one for _, one in asked]), sees_port)
        return by_protocol

    def _compiled(self, rule: Rule) -> _CallRule:
        collects = bool(rule.memory) or (self.model.stack.several == "any" and bool(rule.ask) and rule.action != ALLOW)
        guard, search = self._tests(rule)
        return _CallRule((rule,), guard, search, rule.memory, collects)

    def _tests(self, rule: Rule) -> tuple[Test, Search | None]:
        unless = disjunction(rule.unless)
        if not rule.ask:
            return without(conjunction(rule.when), unless), None
        guard = conjunction(tuple([term for term in rule.when if not _is_existing(term[0])]))
        pair = conjunction(tuple([term for term in rule.when if _is_existing(term[0])]))
        among = disjunction(rule.among) or always
        applies = without(pair, unless)
        if rule.ask == "each-address":
            return guard, _each_address(among, applies)
        if rule.ask == "closest":
            return guard, _closest(rule, among, applies, self.model.stack.closest)
        return guard, _in_order(rule, among, applies)


def _in_order(rule: Rule, among: Test, applies: Test) -> Search:
    """``ask: every`` and ``ask: first``."""
    relate = relater(rule.conditions, rule.space)
    only_first = rule.ask == "first"

    def search(q: Question, others: list[Existing]) -> bool:
        new = q.new
        for sock, options in others:
            q.existing, q.existing_options = sock, options
            if relate is not None:
                q.relation = relate(sock, new)
            if among(q):
                if applies(q):
                    return True
                if only_first:
                    return False
        return False

    return search


def _closest(rule: Rule, among: Test, applies: Test, rows: Sequence[Points]) -> Search:
    """``ask: closest``: the one with the fewest points; the first of the chain, the newest bind, on ties."""
    relate = relater((*rule.conditions, *[row.when for row in rows]), rule.space)
    select = selection(among, relate)
    closest = chooser(rows, relate)

    def search(q: Question, others: list[Existing]) -> bool:
        candidates = select(q, others)
        if not candidates:
            return False
        choose(q, closest(q, candidates), relate)
        return applies(q)

    return search


def chooser(rows: Sequence[Points], relate: Relate | None) -> Callable[[Question, list[Existing]], Existing]:
    """A function that returns the socket with the fewest points by ``rows``: the first on ties, so the first if there
    are no rows."""
    points = [(row.points, conjunction(row.when)) for row in rows]

    def choice(q: Question, candidates: list[Existing]) -> Existing:
        chosen, fewest = candidates[0], -1
        # a single candidate needs no points
        for candidate in candidates if len(candidates) > 1 else ():
            choose(q, candidate, relate)
            number = sum([count for count, when in points if when(q)])
            if fewest < 0 or number < fewest:
                chosen, fewest = candidate, number
        return chosen

    return choice


def _each_address(among: Test, applies: Test) -> Search:
    """``ask: each-address``: one test for each address and space; an option counts if all sockets there have it."""

    def search(q: Question, others: list[Existing]) -> bool:
        new = q.new
        groups: dict[tuple[str, str], tuple[Sock, int, str]] = {}
        for sock, options in others:
            for space, value, ours in (("ipv4", sock.v4, new.v4), ("ipv6", sock.v6, new.v6)):
                if value is None or ours is None:
                    continue
                q.existing, q.existing_options, q.relation = sock, options, relation(value, ours)
                if among(q):
                    first, common, _ = groups.get((space, value), (sock, _ALL_BITS, ""))
                    groups[space, value] = (first, common & options, q.relation)
        for first, common, related in groups.values():
            q.existing = first._replace(at_bind=common, connection=0)
            q.existing_options, q.relation = common, related
            if applies(q):
                return True
        return False

    return search


def _is_existing(fact: str) -> bool:
    return FACTS[fact].scope == EXISTING
