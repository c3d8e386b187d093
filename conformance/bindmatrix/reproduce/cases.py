"""What a reproducer is made from: a scenario, what is expected of each step, what was observed, and why.

One :class:`Case` feeds the C program, the Python program and the bug report, so that they cannot disagree.
"""

from __future__ import annotations

import errno
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from bindmatrix.answers.ask import answers
from bindmatrix.answers.reason import Reason, reasons
from bindmatrix.errors import Place, Problem, nearest, parsing
from bindmatrix.notation import SOCKET_KINDS, Scenario, Step
from bindmatrix.oracle.variants import variant_of_host
from bindmatrix.outcomes import ANY_ERROR, Expected, accepts, alternatives, delivery_class, in_words
from bindmatrix.quoting import terminal
from bindmatrix.rules import catalog, confidence
from bindmatrix.rules.confidence import Confidence
from bindmatrix.rules.model import Rule

ANYTHING, ANY_FAILURE = "?", "error"
_RETURNED = re.compile(r"error|ok|refused|timeout|E[A-Z0-9]+|errno \d+")
_DELIVERED = re.compile(r"(spread:|every:)?\w+(:\d+)?(,\w+(:\d+)?)*")


@dataclass(frozen=True)
class CaseStep:
    """One step; ``observed`` is "" where nothing is known."""

    step: Step
    expected: Expected
    observed: str
    rules: tuple[Rule, ...]
    #: why the rules decide so, in plain language, and the kernel's detail
    reason: Reason
    #: how the outcome is known where it was not seen on the host
    confidence: Confidence

    @property
    def accepted(self) -> tuple[str, ...]:
        """The outcomes that are as expected; () when every one is."""
        return alternatives(self.expected)

    @property
    def wanted(self) -> str:
        """What is expected, in words."""
        return in_words(self.expected, delivers=self.step.delivers)

    @property
    def surprising(self) -> bool:
        """Whether something else than expected was observed."""
        return bool(self.observed) and not accepts(self.expected, self.observed, delivers=self.step.delivers)


@dataclass(frozen=True)
class Case:
    """Everything that the programs and the report say."""

    scenario: Scenario
    lines: tuple[CaseStep, ...]
    os: str
    title: str
    release: str
    facts: Mapping[str, Any]
    #: ids of the recorded divergences that make the difference
    divergences: tuple[str, ...] = ()
    #: what to say where the release is beyond those that are described, or ""
    limit: str = ""
    #: whether ``observed`` was seen on the host, or is what recordings and rules say of it
    seen: bool = False
    #: how the host was made to answer, where it was seen
    method: str = ""
    #: whether the expectation was given, instead of taken from the rules
    given: bool = False
    #: the port to use when the program is given none, 0 for any
    port: int = 0
    #: why the given expectation is reasonable
    because: str = ""
    #: what the report is about, instead of what the steps say
    about: str = ""
    #: release -> what the steps returned there, where the scenario itself was recorded
    recorded: Mapping[str, Sequence[str]] = field(default_factory=dict)

    @property
    def surprise(self) -> CaseStep | None:
        """The first step that did otherwise."""
        return next((line for line in self.lines if line.surprising), None)

    @property
    def known(self) -> str:
        """How the outcomes are known, in words: the host's method, or the weakest confidence of a step."""
        if self.seen:
            return self.method
        return confidence.weakest(line.confidence for line in self.lines if line.observed).text

    @property
    def host(self) -> str:
        """``Linux 6.18.44``."""
        return f"{self.title} {self.release}"

    @property
    def subject(self) -> str:
        """One line: the step that surprises, and what it does."""
        if self.about:
            return self.about
        line = self.surprise or self.lines[-1]
        step = line.step
        kind = next((one.what for one in self.scenario.steps if one.kind == "socket" and one.socket == step.socket), "")
        what = SOCKET_KINDS[kind].protocol.upper() if kind else ""
        call = " ".join(word for word in (what, f"{step.kind}()", step.address and f"to {step.address}") if word)
        got = "was not run" if not line.observed else "succeeds" if line.observed == "ok" else f"gives {line.observed}"
        if self.surprise is None and line.observed:
            return f"{call} {got}, as expected"
        return f"{call} {got}" + (f", {line.wanted} is expected" if line.accepted else "")

    @property
    def headline(self) -> str:
        """What a program says first; it holds what a host says of itself, so quote it for the language."""
        expects = self.surprise is not None or self.given
        return f"{self.host}: {self.subject}." if expects else f"What {self.host} returns, as expected."


def build(
    scenario: Scenario,
    facts: Mapping[str, Any],
    *,
    expect: Sequence[Expected] | None = None,
    observed: Sequence[str | None] | None = None,
    port: int = 0,
    because: str = "",
    about: str = "",
    recorded: Mapping[str, Sequence[str]] = {},
) -> Case:
    """The case of ``scenario`` on the host with ``facts``; raises :class:`Problem` for a host nobody describes.

    ``expect`` replaces what the rules say; without ``observed`` what is known of the release stands in for it.
    """
    facts = {key: _harmless(value) for key, value in facts.items()}
    variant = variant_of_host(facts, port or 1)
    expectations, release = variant.model.expectations, variant.model.release
    by_rules = variant.oracle.predict(scenario)
    actual = variant.actual.predict(scenario)
    shown = (
        tuple(_certain(one) for one in actual.outcomes)
        if observed is None
        else tuple(terminal(one or "") for one in observed)
    )
    model = variant.model
    lines = tuple(
        CaseStep(step, want, got, rules, reason, confidence.of_rules(rules, model))
        for step, want, got, rules, reason in zip(
            scenario.steps,
            by_rules.outcomes if expect is None else expect,
            shown,
            actual.rules,
            reasons(variant.actual, scenario),
            strict=True,
        )
    )
    differs = actual.outcomes != by_rules.outcomes
    return Case(
        scenario=scenario,
        lines=lines,
        os=expectations.os,
        title=expectations.title,
        release=release,
        facts=facts,
        divergences=tuple(one.id for one in variant.responsible(scenario.text)) if differs else (),
        limit=catalog.limit(expectations, release),
        seen=observed is not None,
        method=catalog.method_of_host(facts) if observed is not None else "",
        given=expect is not None,
        port=port,
        because=because,
        about=about,
        recorded=recorded,
    )


def releases(case: Case) -> tuple[list[str], list[str], list[str]]:
    """The releases of the system that match the observation, those that differ, and those where it is unknown.

    Each with how it is known: ``5.10 - 7.3.4 [emulated on 7.3.4, rest by rule]``.
    """
    same: list[str] = []
    others: list[str] = []
    unknown: list[str] = []
    if case.recorded:
        for release, outcomes in case.recorded.items():
            (same if tuple(outcomes) == tuple(line.observed for line in case.lines) else others).append(release)
        return same, others, unknown
    for row in answers(case.scenario, [case.os]):
        listed = f"{', '.join(row.releases)} [{row.confidence_text}]"
        seen = [(expected, line) for expected, line in zip(row.outcomes, case.lines, strict=True) if line.observed]
        if not all(accepts(expected, line.observed, delivers=line.step.delivers) for expected, line in seen):
            others.append(listed)
        elif any(expected is None for expected, _ in seen):
            unknown.extend(row.releases)
        else:
            same.append(listed)
    return same, others, unknown


def _harmless(fact: object) -> object:
    """A fact of a recording, of which no text has a line of its own or moves the cursor."""
    if isinstance(fact, str):
        return terminal(fact.replace("\t", " "))
    if isinstance(fact, Mapping):
        return {terminal(str(key)): _harmless(value) for key, value in fact.items()}
    return [_harmless(one) for one in fact] if isinstance(fact, list | tuple) else fact


def _certain(expected: Expected) -> str:
    return expected if isinstance(expected, str) and expected != ANY_ERROR else ""


def given_outcomes(text: str, scenario: Scenario) -> tuple[Expected, ...]:
    """The outcomes of ``--expect``: one word a step, or a JSON list; raises :class:`Problem`."""
    place = Place("--expect", 1)
    if text.lstrip().startswith("["):
        with parsing(place, "JSON", "; write one word a step, such as 'ok ok EADDRINUSE'"):
            raw = json.loads(text)
        words = [None if one is None else "|".join(one) if _is_list(one) else one for one in raw]
    else:
        words = list(text.split())
    if len(words) != len(scenario.steps):
        raise Problem(
            place,
            f"{len(words)} outcomes for {len(scenario.steps)} steps; write one for each, '?' where any will do",
        )
    return tuple(_given(word, step, place) for word, step in zip(words, scenario.steps, strict=True))


def _is_list(value: object) -> bool:
    return isinstance(value, list) and all(isinstance(one, str) for one in value)


def _given(word: object, step: Step, place: Place) -> Expected:
    if word is None or word == ANYTHING:
        return None
    delivers = step.delivers
    parts = word.split("|") if isinstance(word, str) else [""]
    for part in parts:
        if not (_DELIVERED if delivers else _RETURNED).fullmatch(part):
            words = "'a', 'spread:a,b', 'every:a,b', 'refused', 'none'"
            words = words if delivers else "'ok', the name of an error, 'error' (any)"
            hint = "" if delivers else nearest(str(part), ["ok", "error", *errno.errorcode.values()])
            raise Problem(place, f"expected {words} or '?' for {step.text!r}, got {word!r}{hint}")
        if not delivers and part[0] == "E" and not hasattr(errno, part):
            names = errno.errorcode.values()
            raise Problem(place, f"{part!r} for {step.text!r} is the name of no error{nearest(part, names)}")
    accepted = tuple(
        [delivery_class(part) if delivers else ANY_ERROR if part == ANY_FAILURE else part for part in parts]
    )
    return accepted[0] if len(accepted) == 1 else accepted


def wrapped(words: Iterable[str], width: int) -> list[str]:
    """Lines of whole words; a step is never broken."""
    lines = [""]
    for word in words:
        if lines[-1] and len(lines[-1]) + 1 + len(word) > width:
            lines.append("")
        lines[-1] += (" " if lines[-1] else "") + word
    return lines
