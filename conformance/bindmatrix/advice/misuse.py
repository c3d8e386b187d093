"""Misuse in a program: which patterns its sockets follow, and which systems that hurts: the view-model of ``misuse``.

A pattern hurts a system where the rules of its newest release say that one of the pattern's scenarios comes out.  Where
a program does something else on a system (a runtime of the catalogue, a guard in a source), that is what counts there.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from bindmatrix.advice.misuse_patterns import MisusePattern, SocketFacts, facts_of, patterns
from bindmatrix.advice.parts import newest
from bindmatrix.advice.recipe_goals import GoalCheck
from bindmatrix.errors import Place
from bindmatrix.notation import SOCKET_KINDS
from bindmatrix.outcomes import alternatives
from bindmatrix.programs.program_input import Program
from bindmatrix.rules import catalog, confidence
from bindmatrix.rules.confidence import Confidence
from bindmatrix.rules.model import Expectations

#: facts that are about an option
_ABOUT = ("on", "any-on", "after", "cleared", "later-only")


@dataclass(frozen=True)
class Harm:
    """A system that a pattern hurts, a scenario that shows it (None where none can), and how that is known."""

    os: str
    check: GoalCheck | None
    confidence: Confidence | None


@dataclass(frozen=True)
class MisuseFinding:
    """A socket that follows a pattern."""

    place: Place
    program: str
    #: the step that it is about
    step: str
    pattern: MisusePattern
    harms: tuple[Harm, ...]

    @property
    def shows(self) -> dict[str, list[str]]:
        """What happens -> the systems where it does."""
        found: dict[str, list[str]] = {}
        for harm in self.harms:
            found.setdefault(harm.check.what if harm.check else self.pattern.shows, []).append(harm.os)
        return found

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {
            "place": str(self.place),
            "program": self.program,
            "step": self.step,
            "pattern": self.pattern.id,
            "what": self.pattern.what,
            "hurts": [
                {"os": harm.os}
                | ({"scenario": harm.check.scenario.text, "shows": harm.check.what} if harm.check else {})
                | ({"confidence": harm.confidence.as_dict()} if harm.confidence else {})
                for harm in self.harms
            ],
            "instead": self.pattern.instead,
            "seen": self.pattern.seen,
        }


@lru_cache(maxsize=1024)
def _harms(pattern: MisusePattern, expectations: Expectations) -> tuple[Harm, ...]:
    if expectations.os in pattern.hurts:
        return (Harm(expectations.os, None, None),)
    kernel = newest(expectations)
    harms = []
    for check in pattern.proof:
        found = kernel.actual.predict(check.scenario)
        lacks = any(
            step.kind == "set" and "ENOPROTOOPT" in alternatives(outcome)
            for step, outcome in zip(check.scenario.steps, found.outcomes, strict=True)
        )
        if not lacks and check.met(found.outcomes) is True:
            rules = [rule for one in found.rules for rule in one]
            harms.append(Harm(expectations.os, check, confidence.of_rules(rules, kernel.model)))
    return tuple(harms)


def harms(pattern: MisusePattern, systems: Iterable[str] = ()) -> list[Harm]:
    """Where and how a pattern hurts; raises :class:`~bindmatrix.errors.Problem` for an unknown system."""
    return [harm for os in systems or catalog.names() for harm in _harms(pattern, catalog.expectations(os))]


def findings(programs: Iterable[Program], systems: Iterable[str] = ()) -> list[MisuseFinding]:
    """Everything found in ``programs``, in the order of the places; patterns that hurt no system are left out."""
    systems = tuple(systems or catalog.names())
    found = [one for program in programs for one in _in_program(program, systems)]
    return sorted(found, key=lambda one: one.place)


def _in_program(program: Program, systems: Iterable[str]) -> Iterator[MisuseFinding]:
    facts = {os: _facts(program, os) for os in systems}
    for number in range(max(map(len, facts.values()))):
        for pattern in patterns():
            matching = [os for os in systems if number < len(facts[os]) and pattern.matches(facts[os][number])]
            hurt = [harm for os in matching for harm in harms(pattern, [os]) if _is_about(harm, facts[os][number])]
            if hurt:
                yield _finding(program, pattern, hurt, facts[hurt[0].os][number])


def _is_about(harm: Harm, facts: SocketFacts) -> bool:
    """Whether the scenario is of the protocol of the socket, where the pattern has such scenarios."""
    if harm.check is None:
        return True
    protocols = {SOCKET_KINDS[step.what].protocol for step in harm.check.scenario.steps if step.kind == "socket"}
    return facts.words["protocol"] in protocols or facts.words["protocol"] not in ("tcp", "udp")


def _finding(program: Program, pattern: MisusePattern, hurt: list[Harm], facts: SocketFacts) -> MisuseFinding:
    index = facts.step[_telling(pattern, facts)]
    does = program.on(hurt[0].os)
    assert does is not None
    # what it does on one system alone has no place of its own
    place = program.place_of(index) if does == program.does else program.place
    for mark, at in program.marks.get(facts.socket, {}).items():
        if any(fact == "marks" and mark in marks for fact, marks in pattern.match):
            place = at
    return MisuseFinding(place, program.name, does.steps[index].text, pattern, tuple(hurt))


def _facts(program: Program, os: str) -> list[SocketFacts]:
    does = program.on(os)
    return facts_of(does.steps, program.ignored, program.marks) if does is not None else []


def _telling(pattern: MisusePattern, facts: SocketFacts) -> str:
    """What to point at: an option that the pattern is about, else bind(), else socket()."""
    about = [option for fact, options in pattern.match if fact in _ABOUT for option in options]
    if any(fact == "v6only" for fact, _ in pattern.match):
        about.append("v6only")
    return next((one for one in [*about, "bind", "socket"] if one in facts.step), "socket")
