"""What to record next: scenarios that would notice a mutant."""

from __future__ import annotations

from bindmatrix.lint import mutation_score
from bindmatrix.lint.mutants import Mutant, of_section
from bindmatrix.lint.suggest import Proposals, outcomes
from bindmatrix.oracle.oracle import Oracle
from bindmatrix.rules.loader import loads

from tests.lint.conftest import GOOD, Folder


def mutant(section: str, identity: str, change: str) -> Mutant:
    rules = loads(GOOD, "demo.yaml").rules[section]
    [found] = [one for one in of_section(section, rules) if (one.original.id, one.change) == (identity, change)]
    return found


def test_the_shortest_scenario_that_tells_them_apart(folder: Folder) -> None:
    score = mutation_score.score(folder.subject(), propose=200)
    found = {f"{one.mutant.original.id}: {one.mutant.change}": one.proposal for one in score.survivors}
    assert found == {
        "demo.bound-twice: dropped": "a=tcp4 a.listen a.bind=127.0.0.1",
        "demo.bound-twice: allow": "a=tcp4 a.listen a.bind=127.0.0.1",
        "demo.bound-twice: EACCES": "a=tcp4 a.listen a.bind=127.0.0.1",
        "demo.listen: EADDRINUSE": "a=tcp4 a.listen",
    }
    assert [one["proposal"] for one in score.as_dict()["survivors"]] == [one.proposal for one in score.survivors]


def test_nothing_is_looked_for_unless_asked(folder: Folder) -> None:
    assert {one.proposal for one in mutation_score.score(folder.subject()).survivors} == {""}


def test_a_change_that_changes_nothing_gets_no_proposal(folder: Folder) -> None:
    same = mutant("bind", "demo.conflict", "EACCES")
    nothing = same._replace(rule=same.original)
    assert Proposals(folder.subject(), pool=100).scenario(nothing) is None


def test_what_a_host_that_does_as_the_rules_say_returns() -> None:
    oracle = Oracle(loads(GOOD, "demo.yaml").at("1.0"))
    assert outcomes(oracle, "a=tcp4 a.bind=127.0.0.1 b=tcp4 b.bind=127.0.0.1") == ("ok", "ok", "ok", "EADDRINUSE")
