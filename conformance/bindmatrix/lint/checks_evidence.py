"""Checks of an expectation file against the recorded evidence."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from bindmatrix.errors import Place, Problem
from bindmatrix.judge.verdicts import Verdict, VerdictKind
from bindmatrix.lint import rule_coverage
from bindmatrix.lint.checks_rules import unknown_word
from bindmatrix.lint.context import Subject
from bindmatrix.notation import parse
from bindmatrix.outcomes import alternatives
from bindmatrix.rules import provenance, releases
from bindmatrix.rules.model import Evidence, Rule


def evidence(subject: Subject) -> Iterator[Problem]:
    """recorded evidence that a rule or a divergence names exists, and is of that system"""
    for rule in [*subject.rules, *(entry.rule for entry in subject.divergences)]:
        for one in rule.evidence:
            if one.kind == "observed":
                yield from _missing(subject, one)


def supports(subject: Subject) -> Iterator[Problem]:
    """a rule decides something in each recorded set that it names as evidence"""
    for rule in subject.rules:
        counts = subject.decided.get(rule.id, {})
        for one in rule.evidence:
            host, _, name = one.reference.partition("/")
            if one.kind == "observed" and not counts.get(host, {}).get(name) and not _missing(subject, one):
                yield subject.problem(one.place, f"{rule.id!r} decides nothing in {one.reference}; {_where(counts)}")


def _missing(subject: Subject, one: Evidence) -> list[Problem]:
    references = [recorded.reference for recorded in subject.sets]
    if one.reference in references:
        return []
    hosts = sorted({recorded.host for recorded in subject.sets})
    host = one.reference.partition("/")[0]
    valid = [reference for reference in references if reference.startswith(f"{host}/")]
    said = unknown_word(one.reference, valid) if host in hosts else unknown_word(host, hosts)
    system = subject.loaded.os
    return [
        subject.problem(one.place, f"no recorded set {one.reference!r} of {system} in {subject.evidence.name}{said}")
    ]


def _where(counts: dict[str, dict[str, int]]) -> str:
    """Where a rule does decide something."""
    places = [f"{host}/{name}" for host, sets in counts.items() for name in sets]
    if not places:
        return "no recorded outcome rests on it: name its source instead"
    return "name one of " + ", ".join(places[:4]) + ("..." if len(places) > 4 else "")


def readable(subject: Subject) -> Iterator[Problem]:
    """every recorded set can be read to its end"""
    for one in subject.replays:
        if one.problem is not None:
            yield one.problem
        elif not one.observations:
            yield subject.problem(Place(str(one.recorded.path)), "expected recorded observations, got none")


def agreement(subject: Subject) -> Iterator[Problem]:
    """no recorded outcome contradicts the rules, except where a known divergence explains it"""
    groups: dict[tuple[str, str], list[tuple[str, Verdict]]] = {}
    for replay in subject.replays:
        for _, verdict in replay.differences:
            if verdict.kind != VerdictKind.RESOLVED:
                groups.setdefault((verdict.rule, verdict.kind), []).append((replay.recorded.reference, verdict))
    least = "at least " if any(replay.skipped for replay in subject.replays) else ""
    for (_, kind), found in groups.items():
        reference, verdict = min(found, key=lambda one: len(one[1].observation.scenario))
        place = next((rule.place for rule in verdict.rules if rule.place.name), Place(str(subject.path)))
        sets = Counter(where for where, _ in found)
        listed = ", ".join(f"{where} ({count})" for where, count in sets.most_common(4))
        yield subject.problem(
            place,
            f"{least}{len(found)} recorded outcomes contradict {verdict.rule or 'the rules'}: {listed}. "
            f"{_example(verdict)} ({reference}, {kind}); correct the rule, or list a divergence",
        )


def _example(verdict: Verdict) -> str:
    text = verdict.observation.scenario
    if verdict.step < 0:
        return f"{text}: {verdict.reason}"
    expected = " or ".join(alternatives(verdict.expected)) or "?"
    step = parse(text).steps[verdict.step].text
    return f"In '{text}' the step {step} was recorded as {verdict.actual}, the rule says {expected}"


def divergences(subject: Subject) -> Iterator[Problem]:
    """every known divergence explains recorded outcomes, or rests on something else than recorded ones"""
    for entry in subject.divergences:
        explained = subject.explained.get(entry.id, Counter())
        observed = [one for one in entry.rule.evidence if one.kind == "observed"]
        for one in observed:
            if explained and not explained[one.reference] and not _missing(subject, one):
                yield subject.problem(
                    one.place,
                    f"{entry.id!r} explains nothing in {one.reference}; name one of {', '.join(explained)}",
                )
        if not explained and observed:
            yield subject.problem(
                entry.rule.place, f"the divergence {entry.id!r} explains no recorded outcome; delete the entry"
            )
    gone: Counter[str] = Counter()
    for replay in subject.replays:
        gone.update(verdict.divergence for _, verdict in replay.differences if verdict.kind == VerdictKind.RESOLVED)
    for identity, count in gone.items():
        place = next(entry.rule.place for entry in subject.divergences if entry.id == identity)
        yield subject.problem(
            place, f"{count} recorded outcomes are as the rules say and not as {identity!r} does; narrow its condition"
        )


def measured(subject: Subject) -> Iterator[Problem]:
    """every rule decides a recorded outcome, or says on what else it rests"""
    if not subject.sets:
        return
    for rule in subject.rules:
        if rule.id not in subject.decided and all(one.kind == "observed" for one in rule.evidence):
            yield subject.problem(
                rule.place,
                f"{rule.id!r} rests on recorded outcomes alone and decides none; add a source, or delete the rule",
            )


def unmeasured(subject: Subject) -> list[Rule]:
    """The rules that decide no recorded outcome, in the order of the file."""
    return [rule for rule in subject.rules if rule.id not in subject.decided]


def hosts(subject: Subject) -> Iterator[Problem]:
    """evidence/hosts.json says of every recorded host how it was made to answer, and of no other"""
    place = Place(str(subject.evidence / provenance.NAME))
    system = subject.loaded.os
    try:
        rows = provenance.read(subject.evidence)
    except Problem as problem:
        yield problem
        return
    # a set without a release is literature, and its lines say where they are from
    recorded = {one.host for one in subject.sets if one.release}
    for host in sorted(recorded - set(rows)):
        methods = ", ".join(provenance.EXECUTED)
        yield subject.problem(place, f"expected a row for {host!r} that says by which method it answered: {methods}")
    for host, row in rows.items():
        if host.partition("-")[0] != system:
            continue
        if host not in recorded:
            yield subject.problem(place, f"{host!r} is no recorded host{unknown_word(host, sorted(recorded))}")
        for release in row.releases:
            try:
                releases.parse(release)
            except releases.ReleaseError as error:
                yield subject.problem(place, f"{host!r}: {error}")
        for function in [name for listed in row.functions.values() for name in listed]:
            if not any(provenance.names(rule, function) for rule in subject.rules):
                yield subject.problem(place, f"{host!r}: no rule names {function!r} as its source")


def written(subject: Subject) -> Iterator[Problem]:
    """evidence/decided.json says what the rules decide now"""
    if not subject.at_home or not subject.sets:
        return
    path = subject.evidence / "decided.json"
    try:
        known = rule_coverage.read(path).get(subject.loaded.os, {})
    except Problem as problem:
        yield problem
        return
    if known != subject.decided:
        rules = sorted(rule for rule in {*known, *subject.decided} if known.get(rule) != subject.decided.get(rule))
        shown = ", ".join(rules[:3]) + ("..." if len(rules) > 3 else "")
        yield subject.problem(
            Place(str(path)),
            f"out of date for {len(rules)} rules of {subject.loaded.os} ({shown}); run 'bindmatrix regenerate'",
        )
