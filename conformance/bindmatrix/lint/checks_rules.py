"""Checks of an expectation file against itself."""

from __future__ import annotations

import re
from collections.abc import Iterator

from bindmatrix.errors import Problem, nearest
from bindmatrix.lint.context import Subject
from bindmatrix.rules import releases
from bindmatrix.rules.boundaries import covered
from bindmatrix.rules.model import Condition, Rule
from bindmatrix.rules.releases import EVER

#: a reason is one line; this many characters at most
MAX_WHY = 200

#: names from a kernel's source: functions (but for socket calls), variables, types, macros, commits
_SOURCE_NAMES = re.compile(
    r"""
    \b (?! (?:socket|bind|listen|connect|accept|close|read|send|setsockopt|unlink|umask|seteuid) \( ) \w+\(\)
    | (?<! [\w.] ) [a-z][a-z0-9]* (?: _[a-z0-9]+ )+ \b
    | \b (?! Omni|Open|Free|Net|Dragon ) [A-Z][a-z]+[A-Z]\w*
    | \b (?! (?:SO|AF|IP|IPV6|IPPROTO|SOL|TIME|VMADDR)_ ) [A-Z][A-Z0-9]*_[A-Z0-9_]+ \b
    | \b (?: pcb | fastreuse | demuxer | control\ block ) \b
    | \b [0-9a-f]{12} \b
    """,
    re.VERBOSE,
)
#: a reason that starts so says nothing without the rule before it
_LEANS = re.compile(r"(?:the same|the reverse|then|nor|and then|as for|as the reverse)\b")


def file_name(subject: Subject) -> Iterator[Problem]:
    """an expectation file is called after the system that it describes"""
    if subject.at_home and subject.path.stem != subject.loaded.os:
        yield subject.problem(
            subject.rules[0].place,
            f"the file describes {subject.loaded.os!r}; call it {subject.loaded.os}.yaml, or correct 'os'",
        )


def ids(subject: Subject) -> Iterator[Problem]:
    """ids of rules and divergences start with the name of the system"""
    start = f"{subject.loaded.os}."
    for rule in [*subject.rules, *(one.rule for one in subject.divergences)]:
        if not rule.id.startswith(start):
            tail = rule.id.partition(".")[2]
            yield subject.problem(rule.place, f"expected an id that starts with {start!r}, such as '{start}{tail}'")


def why(subject: Subject) -> Iterator[Problem]:
    """a reason is one line of at most 200 characters"""
    for rule in subject.rules:
        if len(rule.why) > MAX_WHY:
            yield subject.problem(
                rule.place,
                f"'why' of {rule.id!r} has {len(rule.why)} characters; expected at most {MAX_WHY}: "
                "say what the kernel does, leave the history to the evidence",
            )


def gloss(subject: Subject) -> Iterator[Problem]:
    """the reason that people read names nothing of a kernel's source and needs no other rule to be understood"""
    for rule in subject.rules:
        named = _SOURCE_NAMES.search(rule.reason)
        leans = _LEANS.match(rule.reason)
        if len(rule.gloss) > MAX_WHY:
            yield subject.problem(
                rule.place, f"'gloss' of {rule.id!r} has {len(rule.gloss)} characters, over {MAX_WHY}"
            )
        elif named or leans:
            found = f"names {named[0]!r}" if named else f"starts with {leans[0]!r}" if leans else ""
            advice = "reword it" if rule.gloss else "add 'gloss: ...' in plain language, and keep the detail in 'why'"
            yield subject.problem(rule.place, f"the reason of {rule.id!r} {found}; {advice}")


def spans(subject: Subject) -> Iterator[Problem]:
    """a rule holds in some release that the file covers"""
    expectations = subject.loaded
    for rule in [*subject.rules, *(one.rule for one in subject.divergences)]:
        for branch, first in rule.span.since.items():
            end = rule.span.until.get(branch)
            if end is not None and releases.parse(first)[1] >= releases.parse(end)[1]:
                yield subject.problem(
                    rule.place,
                    f"{rule.id!r} holds since {first} and no more in {end} ({branch}): 'until' must be later",
                )
                break
        else:
            if rule.span == EVER or any(rule.span.holds(release) for release in subject.releases):
                continue
            bounds = [*rule.span.since.values(), *rule.span.until.values()]
            if any(_inside(subject, rule, bound) for bound in bounds):
                continue
            first, last = expectations.covers
            yield subject.problem(
                rule.place, f"{rule.id!r} holds in no release from {first} to {last} that the file covers ({rule.span})"
            )


def _inside(subject: Subject, rule: Rule, bound: str) -> bool:
    """Whether the rule holds at one of its bounds, on a branch, and that is covered."""
    return rule.span.holds(bound) and covered(subject.loaded, bound)


def complete(subject: Subject) -> Iterator[Problem]:
    """every combination of facts is decided"""
    seen = set()
    for release, reach in zip(subject.releases, subject.reaches, strict=True):
        for section, slot in reach.undecided():
            if (section, slot) in seen:
                continue
            seen.add((section, slot))
            rule = next(r for r in subject.loaded.rules[section] if r.memory == slot)
            what = f" for 'memory: {slot}', which other rules ask for" if slot else ""
            yield subject.problem(
                rule.place,
                f"the rules of {section!r} leave combinations of facts undecided{what} (release {release}); "
                "end them with a rule that has fewer conditions",
            )


def dead(subject: Subject) -> Iterator[Problem]:
    """every rule can decide: its condition is possible and no earlier rule takes all of it away"""
    found: dict[tuple[str, str], tuple[Rule, tuple[str, ...], int]] = {}
    for reach in subject.reaches:
        for one in reach.dead():
            _, by, count = found.get((one.section, one.rule.id), (one.rule, one.by, 0))
            found[one.section, one.rule.id] = (one.rule, by, count + 1)
    for (section, _), (rule, by, count) in found.items():
        if count < sum(rule.span.holds(subject.loaded.resolve(release)) for release in subject.releases):
            continue
        if by:
            before = " and ".join(repr(one) for one in by)
            verb = "decides" if len(by) == 1 else "decide"
            message = f"can never decide in {section!r}: before it {before} {verb} every case; move it up or delete it"
        else:
            message = (
                f"can never decide in {section!r}: its condition is impossible ({_impossible(subject, section, rule)})"
            )
        yield subject.problem(rule.place, f"{rule.id!r} {message}")


def _impossible(subject: Subject, section: str, rule: Rule) -> str:
    """The terms of an impossible condition, as they are written."""
    reach = next(
        reach
        for release, reach in zip(subject.releases, subject.reaches, strict=True)
        if rule.span.holds(subject.loaded.resolve(release))
    )
    worlds = reach.worlds(section)
    for size in (1, 2):
        for index, (name, values) in enumerate(rule.when):
            rest = rule.when[index + 1 :] if size == 2 else ((name, values),)
            for other in rest:
                terms: Condition = (((name, values)), other) if size == 2 else ((name, values),)
                if not all(worlds.box(terms, rule.space)) or not reach.region_of(worlds, rule, terms):
                    return " with ".join(_term(*term) for term in terms)
    return " with ".join(_term(*term) for term in rule.when) or "together with 'among' and 'unless'"


def _term(name: str, values: tuple[str, ...]) -> str:
    return f"{name}: {values[0] if len(values) == 1 else '[' + ', '.join(values) + ']'}"


def idle(subject: Subject) -> Iterator[Problem]:
    """every alternative of 'unless' and 'among' can apply in one of the rules that it is written for"""
    idle: dict[tuple[str, str, str], tuple[Rule, str, Condition]] = {}
    busy = set()
    for reach in subject.reaches:
        for section, rule, where, condition, applies in reach.alternatives():
            idle.setdefault((section, rule.id, where), (rule, where, condition))
            if applies:
                busy.add(condition)
    for (section, _, _), (rule, where, condition) in idle.items():
        if condition not in busy:
            yield subject.problem(
                rule.place,
                f"{where} of {rule.id!r} can never apply in {section!r}: it contradicts the rest; delete it",
            )


def spaces(subject: Subject) -> Iterator[Problem]:
    """a rule that asks each address on its own names no space to look in"""
    for rule in subject.rules:
        if rule.ask == "each-address" and rule.space != "any":
            yield subject.problem(
                rule.place,
                f"{rule.id!r} asks each address in its own space; delete 'in: {rule.space}', it means nothing",
            )


def duplicates(subject: Subject) -> Iterator[Problem]:
    """no two rules of a section have the same condition in the same releases, no alternative stands twice"""
    for section, rules in subject.loaded.rules.items():
        first: dict[object, Rule] = {}
        for rule in rules:
            key = (
                _sorted(rule.when),
                frozenset(map(_sorted, rule.unless)),
                rule.ask,
                rule.space,
                frozenset(map(_sorted, rule.among)),
                rule.memory,
            )
            other = first.setdefault(key, rule)
            if other is not rule and any(other.span.holds(one) and rule.span.holds(one) for one in _names(subject)):
                yield subject.problem(
                    rule.place,
                    f"{rule.id!r} has the condition of {other.id!r} in line {other.place.line} of {section!r}; "
                    "keep one of them, or give them different releases",
                )
    for rule in subject.rules:
        for name in ("unless", "among"):
            listed = [_sorted(one) for one in getattr(rule, name)]
            if len(set(listed)) < len(listed):
                yield subject.problem(rule.place, f"{name!r} of {rule.id!r} names the same alternative twice")


def _names(subject: Subject) -> list[str]:
    return [subject.loaded.resolve(release) for release in subject.releases]


def _sorted(condition: Condition) -> frozenset[tuple[str, frozenset[str]]]:
    return frozenset((name, frozenset(values)) for name, values in condition)


def unknown_word(word: str, valid: list[str]) -> str:
    """What to say about a word that is none of ``valid``."""
    return f"{nearest(word, valid)}; there are {', '.join(valid)}" if valid else "; there are none"
