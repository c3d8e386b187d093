"""Mutants of an expectation file: the same file with one small change that makes it say something else.

* ``dropped``: without the rule (not for ``otherwise``, without which nothing would be claimed);
* ``allow`` / an errno: another outcome (a rule that says ``unknown`` has none to change); what a rule of another
  section does is changed likewise (``end: tail``, ``write: nothing``, ``pick: oldest``...);
* ``unless 2``, ``among 1``, ``share``, ``stop``: without that alternative.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any, NamedTuple

from bindmatrix.rules.model import ALLOW, CALL_SECTIONS, REFUSE, UNKNOWN, CallRule, Rule, label

#: field of a rule -> value -> what it becomes
_OTHER_VALUES: dict[str, dict[str, tuple[str, ...]]] = {
    "end": {"head": ("tail",), "tail": ("head",)},
    "write": {
        "yes": ("nothing", "keep"),
        "keep": ("nothing",),
        "nothing": ("keep",),
        "address": ("anywhere", "nothing"),
        "anywhere": ("address", "nothing"),
    },
    "leaves": {"time-wait": ("nothing",), "nothing": ("time-wait",)},
    "pick": {
        "newest": ("oldest", "none"),
        "oldest": ("newest", "none"),
        "every": ("newest", "none"),
        "none": ("refused",),
        "refused": ("none",),
        "timeout": ("refused",),
        "EHOSTUNREACH": ("refused",),
        "ENETUNREACH": ("refused",),
    },
    "deaf": {"refused": ("timeout",), "timeout": ("refused",)},
    "then": {"dead": ("",), "autobound": ("",), "tried": ("",), "lost": ("",)},
}
_OTHER_ERROR = {"EACCES": "EADDRINUSE"}


class Mutant(NamedTuple):
    """A change of one rule in one section.  ``rule`` is what stands there instead, None for nothing."""

    section: str
    original: Rule
    change: str
    rule: Rule | None


def of_section(section: str, rules: tuple[Rule, ...]) -> Iterator[Mutant]:
    """Every mutant of the rules of a section."""
    for index, rule in enumerate(rules):
        last = index == len(rules) - 1
        if not (last and section in CALL_SECTIONS):
            yield Mutant(section, rule, "dropped", None)
        yield from _other_outcomes(section, rule)
        yield from _fewer_alternatives(section, rule)


def _other_outcomes(section: str, rule: Rule) -> Iterator[Mutant]:
    if isinstance(rule, CallRule):
        if rule.action == ALLOW:
            yield Mutant(section, rule, "EADDRINUSE", replace(rule, action=REFUSE, errors=("EADDRINUSE",)))
        elif rule.action != UNKNOWN:
            yield Mutant(section, rule, "allow", replace(rule, action=ALLOW, errors=()))
            error = _OTHER_ERROR.get(rule.errors[0], "EACCES")
            if "refused" not in rule.errors:
                yield Mutant(section, rule, error, replace(rule, errors=(error,)))
    for name, values in _OTHER_VALUES.items():
        for other in values.get(getattr(rule, name, ""), ()):
            yield Mutant(section, rule, f"{name}: {other or 'none'}", _with(rule, name, other))


def _fewer_alternatives(section: str, rule: Rule) -> Iterator[Mutant]:
    for name in ("unless", "among", "share", "stop"):
        listed = getattr(rule, name, ())
        for index in range(len(listed)):
            change = f"{name} {label(listed[index], index + 1)}" if len(listed) > 1 else name
            fewer = listed[:index] + listed[index + 1 :]
            yield Mutant(section, rule, f"without {change}", _with(rule, name, fewer))


def _with(rule: Rule, name: str, value: Any) -> Rule:
    changed: dict[str, Any] = {name: value}
    return replace(rule, **changed)


def rests_on_recordings(rule: Rule) -> bool:
    """Whether a recorded outcome should notice a change: the rule claims to be observed, and claims an outcome."""
    return rule.action != UNKNOWN and any(one.kind == "observed" for one in rule.evidence)
