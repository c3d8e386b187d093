"""The mutation score: which small changes the recorded outcomes notice."""

from __future__ import annotations

from dataclasses import replace

import pytest
from bindmatrix.lint import mutation_score
from bindmatrix.lint.context import Subject
from bindmatrix.lint.mutants import of_section
from bindmatrix.lint.mutation_score import Score
from bindmatrix.lint.replay import lines
from bindmatrix.notation import step
from bindmatrix.observe.recordings import Outcomes
from bindmatrix.oracle.oracle import Oracle
from bindmatrix.rules import catalog
from bindmatrix.rules.loader import loads

from tests.lint.conftest import GOOD, Folder


def survivors(score: Score) -> set[str]:
    return {f"{one.mutant.original.id}: {one.mutant.change}" for one in score.survivors}


def test_what_the_runs_notice(folder: Folder) -> None:
    score = mutation_score.score(folder.subject())
    # nobody binds twice, nobody listens, nobody sets an option that could fail
    assert survivors(score) == {
        "demo.bound-twice: dropped",
        "demo.bound-twice: allow",
        "demo.bound-twice: EACCES",
        "demo.listen: EADDRINUSE",
    }
    assert score.weak == []
    assert score.killed == score.mutants - 4


def test_a_rule_that_is_observed_and_not_noticed_is_weak(folder: Folder) -> None:
    text = GOOD.replace("{both.reuseaddr: yes}, ", "{both.reuseaddr: yes}, {existing.user: other, new.protocol: udp}, ")
    folder.write(text, update=False)
    score = mutation_score.score(folder.subject())
    assert [(one.mutant.original.id, one.mutant.change) for one in score.weak] == [
        ("demo.conflict", "without unless 2")
    ]
    [shown] = [one for one in score.as_dict()["survivors"] if one["observed"]]
    assert (shown["rule"], shown["section"], shown["line"]) == ("demo.conflict", "bind", 20)


def test_progress_is_told(folder: Folder) -> None:
    told: list[tuple[str, int, int]] = []
    score = mutation_score.score(folder.subject(), lambda *row: told.append(row))
    assert told == [("demo", number, score.mutants) for number in range(score.mutants)]


def test_the_mutants_of_a_section() -> None:
    expectations = loads(GOOD, "demo.yaml")
    changes = [(one.original.id, one.change) for one in of_section("bind", expectations.rules["bind"])]
    assert changes == [
        ("demo.bound-twice", "dropped"),
        ("demo.bound-twice", "allow"),
        ("demo.bound-twice", "EACCES"),
        ("demo.conflict", "dropped"),
        ("demo.conflict", "allow"),
        ("demo.conflict", "EACCES"),
        ("demo.conflict", "without unless 1"),
        ("demo.conflict", "without unless 2"),
        ("demo.free", "EADDRINUSE"),
    ]


@pytest.mark.slow
def test_the_short_way_finds_what_replaying_everything_finds() -> None:
    at = catalog.expectations("openbsd").at("7.9")
    subject = Subject(catalog.folder() / "openbsd.yaml")
    runs = [line.observation for recorded in subject.sets for line in lines(recorded, at, [])]
    found = survivors(mutation_score.score(subject))
    every = [mutant for section, rules in at.rules.items() for mutant in of_section(section, rules)]
    for mutant in every[::9]:
        rules = at.rules[mutant.section]
        index = rules.index(mutant.original)
        changed = (*rules[:index], *([mutant.rule] if mutant.rule else []), *rules[index + 1 :])
        oracle = Oracle(replace(at, rules={**at.rules, mutant.section: changed}))
        survives = all(_as_recorded(oracle, run.scenario, run.outcomes or ()) for run in runs)
        assert survives == (f"{mutant.original.id}: {mutant.change}" in found), mutant


def _as_recorded(oracle: Oracle, scenario: str, outcomes: Outcomes) -> bool:
    """Whether every recorded outcome is claimed (OpenBSD's are, without a change)."""
    node = oracle.start
    for word, outcome in zip(scenario.split(" "), outcomes, strict=True):
        edge = oracle.edge(node, step(word))
        if outcome is None or edge.expected is None or not edge.accepts(outcome):
            return False
        node = edge.after(outcome)
    return True
