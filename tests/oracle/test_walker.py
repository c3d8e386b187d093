"""The walker says what the automaton says: free sequences, any steps in any order, random rules."""

from __future__ import annotations

import random
from collections.abc import Iterable
from functools import cache

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from conformance.generate.calls import random_calls
from conformance.generate.crowds import random_crowds
from conformance.generate.deliveries import random_deliveries
from conformance.generate.sequences import other_sequences, random_sequences
from conformance.notation import GLOBALS, OPTIONS, SOCKET_KINDS, VERBS, parse
from conformance.oracle import catalog, vocabulary
from conformance.oracle.automaton import Oracle
from conformance.oracle.classes import crowd
from conformance.oracle.compiled import Code
from conformance.oracle.expectation import Expectations
from conformance.oracle.pieces import Position
from conformance.oracle.walker import Walker, is_scenario
from tests.oracle.test_evaluators import FILES, STACKS

RELEASES = [(os, release) for os in catalog.names() for release in dict.fromkeys(catalog.expectations(os).covers)]


@cache
def walker_of(os: str, release: str) -> Walker:
    return Walker(Oracle(catalog.expectations(os).at(release)))


def compare(walker: Walker, text: str, chance: random.Random) -> None:
    """Observe what the automaton expects, sometimes something else, sometimes nothing; and ask both about it."""
    oracle = walker.oracle
    steps = parse(text).steps
    outcomes: list[str | None] = []
    node = oracle.start
    for one in steps:
        edge = oracle.edge(node, one)
        some = [edge.expected] if isinstance(edge.expected, str) else [*(edge.expected or ("ok", "EINVAL"))]
        outcome = chance.choice([*some * 6, "EADDRINUSE", "ok", None])
        outcomes.append("EACCES" if outcome == "refused" else outcome)
        node = edge.node if outcome is None else edge.after(outcome)
    expected = oracle.follow(steps, outcomes)
    found = walker.follow(Position(), text, outcomes, text)
    assert found is not None
    said = [(answer.expected, answer.rules, answer.delivers) for answer in found]
    assert said == [(edge.expected, edge.rules, edge.delivers) for edge in expected], (text, outcomes)


@pytest.mark.parametrize(("os", "release"), RELEASES)
def test_free_sequences(os: str, release: str) -> None:
    walker = walker_of(os, release)
    chance = random.Random(8)
    texts = random_sequences(8, 600, users=True, options=tuple(list(OPTIONS)[:5]))
    texts += random_calls(8, 300, users=True) + random_crowds(8, 40, users=True)
    texts += other_sequences(8, 100, users=True) + random_deliveries(8, 50)
    for text in texts:
        compare(walker, text, chance)


#: arguments of the calls, those that meet first
ADDRESSES = ["0.0.0.0", "127.0.0.1", "::", "::1", "::ffff:127.0.0.1", "127.0.0.2", "224.0.0.251", "192.0.2.1"]
CALLS = [
    *[f"{option}={value}" for option in OPTIONS for value in "01"],
    *[f"bind={address}" for address in ADDRESSES * 3],
    *[f"connect={address}" for address in ADDRESSES],
    *[f"{call}={address}" for call in ("bind", "connect") for address in ("/x", "@x", "cid:any")],
    "bind=127.0.0.1,0",
    *["listen", "close", "read"] * 3,
    "join=224.0.0.251",
]
ANYWHERE = ["user=0", "user=1001", "user=1002", "wait=60000", "deliver=127.0.0.1", "deliver_flow=127.0.0.1"]


def soup(words: Iterable[int]) -> str:
    """Whatever steps, mostly a scenario: each number is a choice among what can stand there."""
    steps: list[str] = []
    open_now: dict[str, bool] = {}
    for number in words:
        fresh = [name for name in "abcd" if not open_now.get(name)]
        choices = [f"{name}={kind}" for name in fresh for kind in SOCKET_KINDS]
        choices += [f"{fresh[0]}={name}.accept" for name in open_now if fresh]
        choices += [f"{name}.{call}" for name in open_now for call in CALLS] + (ANYWHERE if steps else [])
        word = choices[number % len(choices)]
        steps.append(word)
        name = word.partition("=")[0].partition(".")[0]
        if name not in GLOBALS:
            open_now[name] = not word.endswith(".close") and ("." not in word.partition("=")[0] or open_now[name])
    return " ".join(steps)


def test_the_soup_has_every_call() -> None:
    text = " ".join(CALLS + ANYWHERE)
    assert all(verb in text for verb in (*VERBS, *OPTIONS, *GLOBALS))


@pytest.mark.parametrize(("os", "release"), RELEASES)
def test_any_steps_in_any_order(os: str, release: str) -> None:
    walker = walker_of(os, release)
    chance = random.Random(9)
    compared = 0
    for _ in range(500):
        text = soup([chance.randrange(1 << 30) for _ in range(chance.randrange(2, 16))])
        if is_scenario(text):
            compare(walker, text, chance)
            compared += 1
        else:
            # an address of another family
            assert walker.follow(Position(), text, (None,) * len(text.split()), text) is None
    assert 100 < compared < 500


@settings(max_examples=100, deadline=None)
@given(FILES, st.integers(0, 1 << 30))
def test_random_files(expectations: Expectations, seed: int) -> None:
    walker = Walker(Oracle(expectations))
    for text in random_sequences(seed, 12, users=True):
        compare(walker, text, random.Random(seed))


@pytest.mark.parametrize("os", catalog.names())
def test_a_crowd_on_the_port(os: str) -> None:
    walker = walker_of(os, catalog.expectations(os).covers[0])
    for first in ("127.0.0.1", "0.0.0.0"):
        names = [f"s{number}" for number in range(13)]
        text = " ".join(f"{name}=udp4 {name}.reuseaddr=1 {name}.bind={first}" for name in names)
        tail = " z=udp4 z.bind=0.0.0.0 s3.close s4.close s5.close y=udp4 y.bind=127.0.0.1 s6.bind=127.0.0.1"
        compare(walker, text + tail, random.Random(1))


@pytest.mark.parametrize(
    "text",
    [
        "a=tcp4 a=tcp4",
        "a.bind=127.0.0.1",
        "a=tcp4 a.close b=tcp4 c.close",
        "a=tcp4 a.bind=127.0.0.1  a.listen",
        "a=tcp6 a.bind=0:0:0:0:0:0:0:1",
        "a=tcp4 a.fly",
        "a=tcp4 b=a.accept b=tcp4",
        "",
    ],
)
def test_what_is_no_scenario_has_no_answers(text: str) -> None:
    walker = walker_of("linux", "6.18.44")
    outcomes = ("ok",) * len(text.split(" "))
    assert not is_scenario(text)
    assert walker.follow(Position(), text, outcomes, text) is None


def test_it_goes_on_from_a_copy_of_a_position() -> None:
    walker = walker_of("linux", "6.18.44")
    first = "a=tcp4 a.bind=127.0.0.1 a.listen"
    start = Position()
    assert walker.follow(start, first, ("ok",) * 3, first) is not None
    for rest in ("b=tcp4 b.bind=127.0.0.1", "b=tcp4 a.close b.bind=127.0.0.1", "c=tcp4 c.connect=127.0.0.1 a.close"):
        at = start.copy()
        key = start.key()
        found = walker.follow(at, rest, (None,) * len(rest.split()), f"{first} {rest}")
        whole = walker.oracle.predict(f"{first} {rest}").outcomes
        assert found is not None
        assert [answer.expected for answer in found] == list(whole[3:])
        assert start.key() == key != at.key()


def test_the_automaton_is_hardly_asked() -> None:
    # what the walker is for: the automaton alone would have ten thousand nodes
    walker = Walker(Oracle(catalog.expectations("linux").at("6.18.44")))
    for text in random_sequences(3, 2000, users=True, connections=False):
        walker.follow(Position(), text, (None,) * len(text.split()), text)
    assert len(walker.oracle._nodes) < 100


def test_facts_about_an_existing_socket_depend_on_two_sockets_and_the_call() -> None:
    # which is what makes classes of sockets possible
    for stack in STACKS.values():
        code = Code(stack)
        for name, fact in vocabulary.FACTS.items():
            if fact.scope == vocabulary.EXISTING:
                for value in fact.values:
                    assert code.uses(code.term(name, (value,))) <= {"n", "x", "r", "c"}


def test_a_crowd_is_what_the_facts_say_it_is() -> None:
    for name in ("port.empty", "port.crowded"):
        for expression in vocabulary.FACTS[name].values.values():
            seen: dict[tuple[int, bool], bool] = {}
            for number in range(15):
                for more in (False, True):
                    p = [None] * (number + more)
                    truth = bool(eval(expression, {"p": p}))
                    assert seen.setdefault((crowd(number), more), truth) == truth
