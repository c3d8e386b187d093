"""Conditions as closures: each condition of a rule becomes one Python function, once.

A condition is a conjunction of terms, a term is a fact with the values that it may have.  The closure reads each fact
from a :class:`~bindmatrix.rules.facts.Question` and stops at the first that has another value.  This module also says
which options of a socket count as set, because a system may look at some of them as they were at bind().
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import cast

from bindmatrix.rules.facts import FACTS, SPACED, Question
from bindmatrix.rules.model import Condition, Model, Stack
from bindmatrix.rules.sockets import BITS, Call, Sock, State, on_port, relation, relation_in

Test = Callable[[Question], bool]
Relate = Callable[[Sock, Sock], str]
#: an existing socket and its options that count
Existing = tuple[Sock, int]
#: those of some existing sockets for which something holds
Select = Callable[[Question, list[Existing]], list[Existing]]


def always(_: Question) -> bool:
    """The condition without terms."""
    return True


def conjunction(condition: Condition) -> Test:
    """Whether each fact has one of its values."""
    terms = [_term(name, words) for name, words in condition]
    if not terms:
        return always
    if len(terms) == 1:
        ((read, value),) = terms
        if value is True:
            return cast(Test, read)
        return lambda q: read(q) == value
    if len(terms) == 2:
        (first, one), (second, other) = terms
        return lambda q: first(q) == one and second(q) == other
    if len(terms) == 3:
        (first, one), (second, other), (third, another) = terms
        return lambda q: first(q) == one and second(q) == other and third(q) == another

    def holds(q: Question) -> bool:
        for read, value in terms:  # noqa: SIM110 - all() with a generator takes twice the time
            if read(q) != value:
                return False
        return True

    return holds


def _term(name: str, words: tuple[str, ...]) -> tuple[Callable[[Question], object], object]:
    """What to read, and what it must be."""
    fact = FACTS[name]
    if len(words) == 1:
        return fact.read, fact.values[words[0]]
    read, values = fact.read, frozenset(fact.values[word] for word in words)
    return lambda q: read(q) in values, True


def disjunction(conditions: Iterable[Condition]) -> Test | None:
    """Whether one of ``conditions`` holds; None when there are none."""
    tests = [conjunction(one) for one in conditions]
    if not tests:
        return None
    if len(tests) == 1:
        return tests[0]

    def holds(q: Question) -> bool:
        for test in tests:  # noqa: SIM110 - as above
            if test(q):
                return True
        return False

    return holds


def without(when: Test, unless: Test | None) -> Test:
    """Whether ``when`` holds and ``unless`` does not."""
    if unless is None:
        return when
    if when is always:
        return lambda q: not unless(q)
    return lambda q: when(q) and not unless(q)


def relater(conditions: Iterable[Condition], space: str) -> Relate | None:
    """How addresses are compared in ``space``; None when no condition compares them."""
    if not any(name in SPACED for condition in conditions for name, _ in condition):
        return None
    if space == "ipv4":
        return lambda existing, new: relation(existing.v4, new.v4)
    if space == "ipv6":
        return lambda existing, new: relation(existing.v6, new.v6)
    return lambda existing, new: relation_in(space, existing.v4, existing.v6, new.v4, new.v6)


def choose(question: Question, existing: Existing, relate: Relate | None) -> None:
    """Make ``existing`` the socket that ``question`` is about."""
    question.existing, question.existing_options = existing
    if relate is not None:
        question.relation = relate(question.existing, question.new)


def selection(test: Test, relate: Relate | None) -> Select:
    """Those existing sockets for which ``test`` holds."""

    def select(question: Question, socks: list[Existing]) -> list[Existing]:
        found = []
        new = question.new
        for existing in socks:
            question.existing, question.existing_options = existing
            if relate is not None:
                question.relation = relate(existing[0], new)
            if test(question):
                found.append(existing)
        return found

    return select


class CountedOptions:
    """Which options of a socket count as set, by the settings ``options`` and ``connections`` of a stack."""

    def __init__(self, stack: Stack) -> None:
        times = {bit: stack.options.get(option, "absent") for option, bit in BITS.items()}
        self._at_bind = sum(bit for bit, time in times.items() if time == "at-bind")
        self._ever = sum(bit for bit, time in times.items() if time == "ever")
        self._now = sum(times) - self._at_bind - self._ever
        which = {BITS[option]: word for option, word in stack.connections.items()}
        self._always = sum(bit for bit, word in which.items() if word == "always")
        self._accepted = sum(which)

    def of_new(self, sock: Sock) -> int:
        """The bits that count of the socket that makes the call; of what was ever set only what is set now."""
        return (sock.now & (self._now | self._ever)) | (sock.at_bind & self._at_bind)

    def of_existing(self, sock: Sock) -> int:
        """The bits that count of a socket on the port; some count as set because it is an end of a connection."""
        bits = (sock.now & self._now) | (sock.ever & self._ever) | (sock.at_bind & self._at_bind)
        if sock.connection:
            bits |= self._accepted if sock.accepted else self._always
        return bits


class Questions:
    """Makes the questions of one model."""

    def __init__(self, model: Model) -> None:
        self._options = CountedOptions(model.stack)
        self._port_number = model.port

    def question(self, call: Call, new: Sock, state: State, *, sees_port: bool = True) -> Question:
        """What the facts look at; no existing socket is chosen yet.  ``sees_port``: whether a fact is of the port."""
        port = on_port(state, new) if sees_port else []
        return Question(call, new, self._options.of_new(new), state.memory, port, state.socks, self._port_number)

    def others(self, question: Question) -> list[Existing]:
        """The sockets on the port but for the new one, in chain order."""
        name = question.new.name
        return self.counted([sock for sock in question.on_port if not name or sock.name != name])

    def counted(self, socks: Iterable[Sock]) -> list[Existing]:
        """``socks`` with their options that count."""
        of_existing = self._options.of_existing
        return [(sock, of_existing(sock)) for sock in socks]
