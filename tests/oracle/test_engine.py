"""The engine apart from any system: what it accepts, and facts that no shipped file uses outside one section."""

from __future__ import annotations

from pathlib import Path

import pytest
from bindmatrix.generate.sequences import random_sequences
from bindmatrix.judge.verdicts import Judge, VerdictKind
from bindmatrix.notation import parse
from bindmatrix.observe.recordings import Observation
from bindmatrix.oracle import oracle, prediction, variants
from bindmatrix.oracle.layout import Layout
from bindmatrix.oracle.oracle import Answer, Edge, Node, Oracle
from bindmatrix.oracle.prediction import Predictor
from bindmatrix.rules import catalog, divergences
from bindmatrix.rules.loader import loads

from tests.lint.conftest import GOOD


def test_the_rules_of_all_releases_at_once_are_no_model() -> None:
    with pytest.raises(TypeError, match=r"expected a Model, such as expectations\.at\('1\.0'\); got Expectations"):
        Oracle(loads(GOOD, "demo.yaml"))  # type: ignore[arg-type]


def test_states_keep_what_some_rule_asks_for() -> None:
    layouts = {}
    for os in ("linux", "gvisor", "netbsd", "freebsd"):
        expectations = catalog.expectations(os)
        layouts[os] = Layout.of(expectations.at(expectations.covers[1]))
    assert [os for os, one in layouts.items() if one.moves] == ["netbsd"]
    assert [os for os, one in layouts.items() if one.counts_sockets] == ["netbsd", "freebsd"]
    assert {section: left for section, left in layouts["linux"].leaves.items() if left} == {"connect": {"autobound"}}
    assert layouts["gvisor"].leaves["listen"] == {"dead"}
    assert layouts["freebsd"].leaves["listen"] == set()


def test_any_error_is_a_refused_call_but_not_a_refused_delivery() -> None:
    assert Answer("refused", (), 0).accepts("EACCES")
    assert not Answer("refused", (), 0, delivers=True).accepts("EACCES")


def test_what_was_observed_decides_where_a_run_goes_on() -> None:
    """An error that no branch names goes where any error goes; an ``ok`` that none names tells nothing."""
    whole, bound, failed, other = Node(()), Node(()), Node(()), Node(())

    def after(branches: dict[str, Node], *outcomes: str) -> list[Node]:
        edge = Edge(None, (), 0, whole, branches, delivers=False)
        return [edge.after(outcome) for outcome in outcomes]

    assert after({"EINVAL": other, "refused": failed}, "ok", "EINVAL", "EACCES") == [whole, other, failed]
    assert after({"ok": bound, "EINVAL": other}, "ok", "EACCES") == [bound, whole]
    assert after({}, "EACCES") == [whole]


@pytest.mark.parametrize(("before", "outcome"), [("a.reuseaddr=1 ", "ok"), ("", "EADDRINUSE")])
def test_a_bind_rule_may_ask_what_an_option_was_at_bind(before: str, outcome: str) -> None:
    """Everywhere else the option counts as it is now."""
    text = GOOD.replace("both.reuseaddr: yes", "existing.reuseaddr-at-bind: yes")
    model = loads(text, "demo.yaml").at("1.0")
    after = "a.reuseaddr=0 " if before else "a.reuseaddr=1 "
    scenario = f"a=tcp4 {before}a.bind=0.0.0.0 {after}b=tcp4 b.bind=0.0.0.0"
    assert Oracle(model).predict(scenario).outcomes[-1] == outcome


def test_a_step_is_worked_out_once_and_equal_states_are_one_node() -> None:
    model = catalog.expectations("linux").at("6.18.44")
    known = Oracle(model)
    first, second = parse("a=tcp4 a.close").steps
    made = known.edge(known.start, first)
    assert known.edge(known.start, first) is made
    closed = known.edge(made.node, second)
    assert closed.node is known.start
    assert not made.branches, "one way to go"
    either = "a=tcp4 a.reuseport=1 a.bind=127.0.0.1 a.listen b=tcp4 b.reuseport=1 b.bind=127.0.0.1 b.listen"
    node = known.start
    for step in parse(f"{either} c=tcp4 c.connect=127.0.0.1").steps:
        node = known.edge(node, step).node
    accepted = known.edge(node, parse(f"{either} c=tcp4 c.connect=127.0.0.1 x=a.accept").steps[-1])
    assert set(accepted.branches) == {"ok", "timeout"}
    assert accepted.after("ok") is not accepted.after("timeout")


def test_memory_is_bounded_and_predictions_do_not_depend_on_it(monkeypatch: pytest.MonkeyPatch) -> None:
    model = catalog.expectations("linux").at("6.1")
    scenarios = random_sequences(1, 300)
    expected = [Predictor(model).line(text) for text in scenarios]
    monkeypatch.setattr(oracle, "MOST_EDGES", 40)
    monkeypatch.setattr(prediction, "MOST_JSON", 3)
    predictor = Predictor(model)
    assert [predictor.line(text) for text in scenarios] == expected
    known = Oracle(model)
    sizes = []
    for text in scenarios:
        known.predict(text)
        sizes.append(sum(len(node.edges) for node in known._nodes.values()))
    assert 40 < max(sizes) < 40 + max(len(text.split()) for text in scenarios)


def test_the_memo_is_cleared_when_it_has_more_edges_than_the_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    """Before the next scenario, the first time and after each time."""
    monkeypatch.setattr(oracle, "MOST_EDGES", 2)
    known = Oracle(catalog.expectations("linux").at("6.1"))
    for _ in range(3):
        known.predict("a=tcp4 a.close")
        assert set(known.start.edges) == {"a=tcp4"}
        known.predict("b=udp4")
        assert set(known.start.edges) == {"a=tcp4", "b=udp4"}


def test_answers_by_number_say_what_the_edges_say() -> None:
    known = Oracle(catalog.expectations("linux").at("6.18.44"))
    text = "a=udp4 a.bind=127.0.0.1 b=udp4 b.bind=127.0.0.1 deliver=127.0.0.1 c=udp4 deliver_flow=127.0.0.1"
    edges = known.follow(parse(text).steps, [None] * len(text.split()))
    for edge in edges:
        answer = known.answers[edge.number]
        mine = (edge.expected, edge.rules, edge.delivers, edge.number)
        assert (answer.expected, answer.rules, answer.delivers, answer.number) == mine
    assert edges[0].number == edges[2].number == edges[5].number
    assert edges[4].number == edges[6].number
    known.forget()
    assert [edge.number for edge in known.follow(parse(text).steps, [None] * len(edges))] == [
        edge.number for edge in edges
    ]


def test_an_edited_file_is_read_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for folder, title in (("one", "One"), ("two", "Two")):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "demo.yaml").write_text(GOOD.replace("title: Demo", f"title: {title}"), encoding="utf-8")
    monkeypatch.chdir(tmp_path / "one")
    first = catalog.expectations("demo.yaml")
    assert first.title == "One"
    assert catalog.expectations("demo.yaml") is first
    monkeypatch.chdir(tmp_path / "two")
    assert catalog.expectations("demo.yaml").title == "Two"
    Path("demo.yaml").write_text(GOOD.replace("title: Demo", "title: Edited"), encoding="utf-8")
    assert catalog.expectations("demo.yaml").title == "Edited"


def test_a_known_verdict_makes_no_new_oracle(monkeypatch: pytest.MonkeyPatch) -> None:
    """The oracle with one divergence alone is made once for each divergence."""
    linux = catalog.expectations("linux")
    known = divergences.of(linux, "6.1.192")
    judge = Judge(linux.at("6.1.192"), known, {"os": "linux"})
    made = []

    class Counted(Oracle):
        def __init__(self, *arguments: object) -> None:
            made.append(arguments)
            super().__init__(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(variants, "Oracle", Counted)
    text = "a=tcp6 a.v6only=0 a.bind=::ffff:0.0.0.0 b=tcp6 b.v6only=0 b.bind=::ffff:127.0.0.1 b.listen"
    assert judge.diverged is not None
    outcomes = tuple(str(one) for one in judge.diverged.predict(text).outcomes)
    for _ in range(20):
        assert judge.verdict(Observation(text, outcomes)).kind == VerdictKind.KNOWN
    assert 1 <= len(made) <= len(known)
