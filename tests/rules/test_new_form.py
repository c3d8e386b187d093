"""What the form means: names, blocks, rules that two calls share, evidence at the end; and what is said of mistakes."""

from __future__ import annotations

import pytest
from bindmatrix.errors import Problems
from bindmatrix.lint.mutants import of_section
from bindmatrix.oracle.oracle import Oracle
from bindmatrix.rules import divergences
from bindmatrix.rules.loader import loads

from tests.rules.test_formatter import NEW, read

CONFLICT = "a=tcp4 a.bind=127.0.0.1 b=tcp4 b.bind=127.0.0.1"


def test_a_block_is_about_its_protocol() -> None:
    at = Oracle(read(NEW).at("1.0"))
    assert at.predict(CONFLICT).outcomes[-1] == "EADDRINUSE"
    assert at.predict(CONFLICT.replace("tcp", "udp")).outcomes[-1] == "ok"


def test_blocks_are_asked_in_one_order_wherever_they_stand() -> None:
    assert [rule.id for rule in read(NEW).rules["bind"]] == [
        "demo.unix",
        "demo.bound-twice",
        "demo.conflict",
        "demo.strict",
        "demo.free",
    ]


def test_a_rule_with_also_is_in_both_calls() -> None:
    rules = read(NEW).rules
    assert [rule.id for rule in rules["listen"]] == ["demo.conflict", "demo.listen"]
    assert rules["listen"][0].section == "listen"
    assert rules["listen"][0].when == rules["bind"][2].when


def test_a_shared_rule_comes_before_the_own_ones_of_its_block() -> None:
    own = "- {id: demo.own, when: {new.bound: no}, refuse: EINVAL, why: own}"
    blocks = f"""listen:
  tcp:
    {own}
  any:
    - {{id: demo.listen, otherwise: allow, why: nothing is checked}}
"""
    old = "listen:\n  - {id: demo.listen, otherwise: allow, why: nothing is checked}\n"
    assert old in NEW
    text = NEW.replace(old, blocks).replace("evidence:\n", "evidence:\n  demo.own: [{test: t}]\n")
    assert [rule.id for rule in read(text).rules["listen"]] == ["demo.conflict", "demo.own", "demo.listen"]


def test_divergences_have_names_and_evidence_at_the_end() -> None:
    text = """\
changes:
  demo.lenient: {"1.0": "1.0.3"}
define:
  reuse: {both.reuseaddr: yes}
divergences:
  - {id: demo.odd, instead-of: demo.conflict, since: demo.lenient, ask: every, unless: reuse, refuse: EACCES, why: odd}
evidence:
  demo.odd: [{observed: demo-1.0/pairs}]
"""
    [entry] = divergences.loads(text, "odd.yaml", read(NEW))
    assert (entry.target, entry.keeps) == ("demo.conflict", False)
    assert entry.rule.unless == ((("both.reuseaddr", ("yes",)),),)
    assert [one.reference for one in entry.rule.evidence] == ["demo-1.0/pairs"]
    assert [entry.rule.span.holds(release) for release in ("1.0.2", "1.0.3", "2.0")] == [False, True, False]
    with pytest.raises(Problems, match="did you mean 'reuse'"):
        divergences.loads(text.replace("unless: reuse", "unless: reus"), "odd.yaml", read(NEW))


def test_a_change_has_a_release_for_each_branch() -> None:
    span = read(NEW).by_id["demo.strict"].span
    assert [span.holds(release) for release in ("1.0.6", "1.0.7", "1.1", "2.0")] == [False, True, False, True]


def test_a_mutant_names_the_condition() -> None:
    changes = [one.change for one in of_section("bind", read(NEW).rules["bind"]) if one.original.id == "demo.conflict"]
    assert changes[-2:] == ["without unless shared", "without unless 2"]


BAD = [
    ("name", "- shared", "- shard", "31:11", "unknown 'shard' as a name of 'define'; did you mean 'shared'?"),
    ("unused", "define:\n", "define:\n  other: {new.bound: yes}\n", "18:3", "no rule uses 'other'; delete it"),
    ("unused-change", "changes:\n", 'changes:\n  demo.x: "1.0"\n', "15:3", "no rule uses 'demo.x'; delete it"),
    ("change", "since: demo.strict", "since: demo.stric", "37:14", "or one of 'changes' (demo.strict)"),
    ("evidence", "  demo.strict:\n    - {s", "  demo.strickt:\n    - {s", "63:3", "did you mean 'demo.strict'?"),
    ("no-evidence", "  demo.unix: [{source: unix.c bind()}]\n", "", "44:7", "'demo.unix' has no evidence"),
    ("also", "also: listen", "also: listens", "26:13", "did you mean 'listen'?"),
    ("itself", "also: listen", "also: bind", "26:13", "unknown 'bind' as another call"),
    ("block", "  socket:\n", "  sockets:\n", "21:3", "did you mean 'socket'?"),
    ("no-any", "  any:\n", "  vsock:\n", "21:3", "block 'any' is missing"),
    ("needs-ask", "when: {new.bound: yes}", "when: shared", "22:36", "'shared' is about an existing socket"),
]


@pytest.mark.parametrize(("old", "new", "where", "words"), [row[1:] for row in BAD], ids=[row[0] for row in BAD])
def test_a_mistake_is_pointed_at(old: str, new: str, where: str, words: str) -> None:
    assert old in NEW
    with pytest.raises(Problems) as raised:
        loads(NEW.replace(old, new, 1), "demo.yaml")
    shown = [f"{problem.place}: {problem.message}" for problem in raised.value.problems]
    assert any(line.startswith(f"demo.yaml:{where}: ") and words in line for line in shown), shown


def test_evidence_stands_in_one_place() -> None:
    text = NEW.replace("      why: the file is there\n", "      why: the file is there\n      evidence: [{test: t}]\n")
    with pytest.raises(Problems, match=r"'demo.unix' has evidence in the section 'evidence' too"):
        read(text)


def test_all_mistakes_at_once() -> None:
    text = NEW.replace("- shared", "- shard").replace("also: listen", "also: listens").replace("EINVAL", "EINVALL")
    with pytest.raises(Problems) as raised:
        read(text)
    assert len(raised.value.problems) == 3
