"""Why a bind() or listen() succeeds beside other sockets: which rules could have refused it, and which terms did not
hold.

The rule that allows a call is usually the last one of its section, which has no conditions. The reason is elsewhere:
the terms of a refusing rule that do not hold, or the alternative of its ``unless`` that holds. :func:`sharing` looks at
every refusing rule that was tried and at the socket that it looked at (the closest overlapping one if it looked at
none), and keeps the rules with the fewest terms that do not hold. Everything that it returns is true in the state.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from bindmatrix.oracle.conditions import (
    Existing,
    Questions,
    always,
    choose,
    conjunction,
    disjunction,
    relater,
    selection,
)
from bindmatrix.oracle.evaluator import chooser
from bindmatrix.oracle.trace import Decision
from bindmatrix.rules.facts import CALL, FACTS, Question
from bindmatrix.rules.model import REFUSE, Condition, Model, Rule
from bindmatrix.rules.sockets import ANY, BITS, RELATIONS, Sock, plain, relation, relation_in

#: a fact and the value that it has
Term = tuple[str, str]
#: facts of the call that a program can choose; the others say which situation a rule is about
_CHOSEN = frozenset({*(f"new.{option}" for option in BITS), "new.privileged"})
#: facts of an existing socket that say which situation a rule is about: the space that it looks in
_SITUATION = frozenset({"existing.overlaps", "existing.space"})
#: the term that, where it does not hold, says no more than that
_LISTENS = ("existing.state", ("listening",))


class Sharing(NamedTuple):
    """``overlapping``: sockets that overlap the new one, the closest first; empty where nobody does.

    ``existing`` is the one of which ``terms`` are true; None where no rule could have refused the call.  Without
    them ``rules`` would have refused it.  ``alone``: they look at no other socket.
    """

    overlapping: tuple[Sock, ...]
    existing: Sock | None = None
    terms: tuple[Term, ...] = ()
    rules: tuple[Rule, ...] = ()
    alone: bool = False


class _Exception(NamedTuple):
    """What a rule lacks: ``terms``, in ``lacks`` places.  ``chosen``: it looks at ``existing`` alone."""

    rule: Rule
    existing: Sock
    lacks: int
    terms: tuple[Term, ...]
    chosen: bool


def sharing(model: Model, decision: Decision) -> Sharing:
    """Why ``decision`` allows a call instead of refusing it."""
    questions = Questions(model)
    question = questions.question(decision.call, decision.new, decision.state)
    others = questions.others(question)
    overlapping = sorted(
        [one for one in others if _related(one[0], decision.new) != "apart"],
        key=lambda one: _distance(one[0], decision.new),
    )
    if not overlapping:
        return Sharing(())
    asked: list[Rule] = []
    for rule in model.rules[decision.section]:
        if rule in decision.rules:
            break
        if rule.action == REFUSE and rule.ask:
            asked.append(rule)
    found = [one for rule in asked if (one := _exception(rule, model, question, others, overlapping[0])) is not None]
    socks = tuple(sock for sock, _ in overlapping)
    if not found:
        return Sharing(socks)
    least = min(found, key=lambda one: one.lacks)
    alike = [one for one in found if one.lacks == least.lacks and one.existing is least.existing]
    terms = _shortest([term for one in alike for term in one.terms])
    chosen = any(one.chosen for one in alike) and all(one.rule.ask in ("closest", "first") for one in alike)
    return Sharing(socks, least.existing, terms, tuple(one.rule for one in alike), chosen)


def _shortest(terms: Iterable[Term]) -> tuple[Term, ...]:
    """``terms`` with one term for both sockets instead of one for each."""
    found = dict(terms)
    for option in BITS:
        new, existing, both = f"new.{option}", f"existing.{option}", f"both.{option}"
        if found.get(new) == found.get(existing) == "yes":
            found = {both if name == new else name: value for name, value in found.items()}
        if found.get(both) == "yes":
            found = {name: value for name, value in found.items() if name not in (new, existing)}
    return tuple(found.items())


def _related(existing: Sock, new: Sock) -> str:
    """How the addresses relate, where the system compares them or both take the same IPv4 address."""
    related = relation_in("any", existing.v4, existing.v6, new.v4, new.v6)
    return related if related != "apart" else relation(_ipv4(existing), _ipv4(new))


def _ipv4(sock: Sock) -> str | None:
    """The IPv4 address on which a socket receives, in whichever space the system keeps it."""
    if sock.kind == "wildcard" and sock.form in ("ipv4", "mapped", "dual"):
        return ANY
    return plain(sock.v4 or sock.v6) if sock.form in ("ipv4", "mapped") else None


def _distance(existing: Sock, new: Sock) -> tuple[int, bool, bool]:
    return RELATIONS.index(_related(existing, new)), existing.connection != 0, existing.state != "listening"


def _exception(
    rule: Rule, model: Model, question: Question, others: list[Existing], closest: Existing
) -> _Exception | None:
    """What ``rule`` lacks to refuse; None where it is about another situation."""
    if any(not _holds(question, (term,)) for term in rule.when if _is_situation(term[0])):
        return None
    rows = model.stack.closest if rule.ask == "closest" else ()
    relate = relater((*rule.conditions, *[row.when for row in rows]), rule.space)
    candidates = selection(disjunction(rule.among) or always, relate)(question, others)
    one = closest
    chosen = rule.ask in ("closest", "first") and bool(candidates)
    if chosen:
        one = chooser(rows, relate)(question, candidates)
    elif rule.ask == "each-address":
        one = closest[0], _common(closest, others)
    choose(question, one, relate)
    lacking = [
        ["existing.listening" if (name, values) == _LISTENS else name]
        for name, values in rule.when
        if not _holds(question, ((name, values),))
    ]
    if rule.among and not any(_holds(question, condition) for condition in rule.among):
        failing = [_failing(question, condition) for condition in rule.among]
        lacking += [[name] for name in min(failing, key=len)]
    holding = [condition for condition in rule.unless if _holds(question, condition)]
    if any(name in _SITUATION or _is_situation(name) for names in lacking for name in names):
        return None
    if ["existing.user"] in lacking:
        return None  # a rule about another user's socket
    if holding:
        names = [name for name, _ in min(holding, key=len) if not _tells_nothing(name)]
        if all(name.startswith("new.") and _value(question, name) == "no" for name in names):
            return None  # an option that the new socket has not set is no reason to share; other rules are about it
        lacking.append(names)
    if not lacking:
        return None
    terms = [(name, _value(question, name)) for names in lacking for name in names]
    return _Exception(rule, one[0], len(lacking), tuple(terms), chosen)


def _is_situation(name: str) -> bool:
    return FACTS[name].scope == CALL and name not in _CHOSEN


def _tells_nothing(name: str) -> bool:
    """Whether a term of an exception is only about the kind of socket."""
    return name in _SITUATION or (_is_situation(name) and name != "new.address")


def _holds(question: Question, condition: Condition) -> bool:
    return conjunction(condition)(question)


def _failing(question: Question, condition: Condition) -> list[str]:
    return [name for name, values in condition if not _holds(question, ((name, values),))]


def _value(question: Question, name: str) -> str:
    read = FACTS[name].read(question)
    return next(word for word, value in FACTS[name].values.items() if value == read)


def _common(one: Existing, others: Iterable[Existing]) -> int:
    """The options that all sockets on the address of ``one`` have."""
    sock, common = one
    for other, options in others:
        if (sock.v4 and other.v4 == sock.v4) or (sock.v6 and other.v6 == sock.v6):
            common &= options
    return common
