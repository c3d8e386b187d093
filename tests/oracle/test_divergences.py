"""Known divergences: written as rules, applied exactly, in force where they say."""

from __future__ import annotations

import pytest
from bindmatrix.errors import Problems
from bindmatrix.notation import parse
from bindmatrix.observe.recordings import read
from bindmatrix.oracle.oracle import Oracle
from bindmatrix.rules import catalog, divergences
from bindmatrix.rules.loader import loads

from tests.lint.conftest import GOOD

CHILD = "a=tcp4 a.bind=127.0.0.1 a.listen c=tcp4 c.connect=127.0.0.1 x=a.accept a.close b=tcp4{option} b.bind=127.0.0.1"


def test_what_is_said_of_the_port_holds_from_the_start_or_never() -> None:
    expectations = catalog.expectations("netbsd")
    entries = divergences.of(expectations, "7.99.34")
    assert entries
    model = expectations.at("7.99.34")
    assert divergences.possible(entries, model.on_port(20480)) == entries
    assert divergences.possible(entries, model) == ()
    others = divergences.of(catalog.expectations("macos"), "15.5")
    assert others
    assert divergences.possible(others, model) == others


@pytest.mark.parametrize(
    ("port", "option", "last"), [(20001, "", "ok"), (20480, "", "EADDRINUSE"), (20480, " b.reuseaddr=1", "ok")]
)
def test_netbsd_finds_children_on_multiples_of_128(port: int, option: str, last: str) -> None:
    expectations = catalog.expectations("netbsd")
    entries = divergences.of(expectations, "7.99.34")
    oracle = Oracle(divergences.apply(expectations.at("7.99.34").on_port(port), entries))
    assert oracle.predict(CHILD.format(option=option)).outcomes[-1] == last


def test_netbsd_leftovers_on_port_20480() -> None:
    """The sheet: 96 of the 512 recorded leftover connections are refused there, none elsewhere."""
    expectations = catalog.expectations("netbsd")
    entries = divergences.of(expectations, "7.99.34")
    oracle = Oracle(divergences.apply(expectations.at("7.99.34").on_port(20480), entries))
    path = catalog.folder() / "evidence" / "netbsd-7.99.34" / "states.jsonl.gz"
    refused = sum("EADDRINUSE" in oracle.predict(one.scenario).outcomes for one in read(path))
    assert refused == 96


def test_a_divergence_changes_only_what_it_is_about() -> None:
    expectations = catalog.expectations("linux")
    plain = Oracle(expectations.at("6.1.192"))
    diverged = Oracle(divergences.apply(expectations.at("6.1.192"), divergences.of(expectations, "6.1.192")))
    path = catalog.folder() / "evidence" / "linux-6.1.192" / "pairs.jsonl.gz"
    changed = [
        one.scenario
        for one in read(path)
        if plain.predict(one.scenario).outcomes != diverged.predict(one.scenario).outcomes
    ]
    assert len(changed) == 21
    for text in changed:
        addresses = [step.address for step in parse(text).steps if step.kind == "bind"]
        assert addresses == ["::ffff:0.0.0.0", "::ffff:127.0.0.1"]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("- {id: linux.x, refuse: EINVAL}", "instead-of"),
        ("- {id: linux.x, before: linux.nothing, refuse: EINVAL}", "unknown 'linux.nothing'"),
        ("hello: 1", "expected divergences as a list"),
        ("- {id: linux.x, before: linux.cache, when: {new.bound: yes}, refuse: EINVAL, why: x}", "no evidence"),
    ],
)
def test_a_bad_entry_is_pointed_at(text: str, words: str) -> None:
    with pytest.raises(Problems) as caught:
        divergences.loads(text, "test.yaml", catalog.expectations("linux"))
    assert words in str(caught.value)
    assert str(caught.value).startswith("test.yaml:1:")


def test_one_entry_stands_before_a_rule_that_another_replaces() -> None:
    expectations = loads(GOOD, "demo.yaml")
    replaces = "{id: demo.replaced, instead-of: demo.conflict, ask: every, when: {both.reuseport: no}, refuse: EACCES"
    before = "{id: demo.before, before: demo.conflict, when: {new.protocol: udp}, refuse: EPERM"
    rest = ", why: x, evidence: [{documentation: x}]}"
    for entries in ([replaces, before], [before, replaces]):
        text = "".join(f"- {one}{rest}\n" for one in entries)
        found = divergences.loads(text, "test.yaml", expectations)
        ids = [rule.id for rule in divergences.apply(expectations.at("1.0"), found).rules["bind"]]
        assert ids == ["demo.bound-twice", "demo.before", "demo.replaced", "demo.free"]
