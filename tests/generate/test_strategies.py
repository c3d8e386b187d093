"""The Hypothesis strategies: what they draw, and above all what a failure shrinks to.

``minimal``, ``find_any`` and ``assert_all_examples`` are in the style of Hypothesis' own tests.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from pathlib import Path

import pytest
from bindmatrix.generate.strategies import pairs, sequences
from bindmatrix.notation import Scenario, parse
from bindmatrix.oracle.oracle import Oracle
from bindmatrix.rules.loader import load
from hypothesis import HealthCheck, Phase, find, given, settings
from hypothesis import strategies as st

from tests.generate.test_sequences import blocked

LINUX = Path(__file__).parents[2] / "expectations" / "linux.yaml"
Predicate = Callable[[Scenario], bool]


def minimal(strategy: st.SearchStrategy[Scenario], condition: Predicate = lambda _: True) -> str:
    """What a failure of ``condition`` shrinks to."""
    found = find(
        strategy,
        condition,
        settings=settings(
            max_examples=20_000,
            deadline=None,
            database=None,
            derandomize=True,
            phases=(Phase.generate, Phase.shrink),
            suppress_health_check=list(HealthCheck),
        ),
    )
    return found.text


def find_any(strategy: st.SearchStrategy[Scenario], condition: Predicate) -> Scenario:
    return find(
        strategy,
        condition,
        settings=settings(
            max_examples=20_000, deadline=None, database=None, derandomize=True, phases=(Phase.generate,)
        ),
    )


def assert_all_examples(strategy: st.SearchStrategy[Scenario], condition: Predicate, examples: int = 200) -> None:
    @settings(
        max_examples=examples,
        deadline=None,
        database=None,
        derandomize=True,
        suppress_health_check=list(HealthCheck),
    )
    @given(strategy)
    def check(scenario: Scenario) -> None:
        assert condition(scenario), scenario.text

    check()


@cache
def linux() -> Oracle:
    return Oracle(load(LINUX).at("6.18.44"))


def outcomes(scenario: Scenario, kind: str) -> list[tuple[str, object]]:
    """The address and the outcome of each step of that kind, on Linux."""
    expected = linux().predict(scenario).outcomes
    return [(step.text, outcome) for step, outcome in zip(scenario.steps, expected, strict=True) if step.kind == kind]


def some(kind: str, outcome: str) -> Predicate:
    return lambda scenario: any(found == outcome for _, found in outcomes(scenario, kind))


def has(*words: str) -> Predicate:
    return lambda scenario: all(word in scenario.text for word in words)


BOTH = pytest.mark.parametrize("strategy", [pairs(users=True), sequences(users=True)], ids=["pairs", "sequences"])


@BOTH
def test_every_example_prints_to_itself_and_does_not_block(strategy: st.SearchStrategy[Scenario]) -> None:
    def good(scenario: Scenario) -> bool:
        return parse(scenario.text) == scenario and not blocked(scenario)

    assert_all_examples(strategy, good)


@BOTH
@pytest.mark.parametrize(
    "words",
    [
        ("224.0.0.251",),
        ("ff02::fb",),
        ("::ffff:127.0.0.1", "v6only=0"),
        ("user=1001", "user=0"),
        (".accept", ".read"),
        ("a=udp4", "a.connect=127.0.0.1"),
        ("a.reuseaddr=1", "a.reuseaddr=0"),
    ],
    ids=" ".join,
)
def test_can_find(strategy: st.SearchStrategy[Scenario], words: tuple[str, ...]) -> None:
    find_any(strategy, has(*words))


@BOTH
def test_the_plainest(strategy: st.SearchStrategy[Scenario]) -> None:
    assert minimal(strategy) == "a=tcp4 a.bind=0.0.0.0 b=tcp4 b.bind=0.0.0.0"


@BOTH
def test_a_conflict(strategy: st.SearchStrategy[Scenario]) -> None:
    assert minimal(strategy, some("bind", "EADDRINUSE")) == "a=tcp4 a.bind=0.0.0.0 b=tcp4 b.bind=0.0.0.0"


@BOTH
def test_a_conflict_of_datagrams(strategy: st.SearchStrategy[Scenario]) -> None:
    def udp(scenario: Scenario) -> bool:
        return any(text.startswith("b") and found == "EADDRINUSE" for text, found in outcomes(scenario, "bind")) and (
            "b=udp" in scenario.text
        )

    assert minimal(strategy, udp) == "a=udp4 a.bind=0.0.0.0 b=udp4 b.bind=0.0.0.0"


@BOTH
def test_two_on_one_address(strategy: st.SearchStrategy[Scenario]) -> None:
    def shared(scenario: Scenario) -> bool:
        if has(".close")(scenario):
            return False
        four = {step.socket for step in scenario.steps if step.kind == "socket" and step.what == "tcp4"}
        bound = {text for text, found in outcomes(scenario, "bind") if found == "ok" and text.endswith("=127.0.0.1")}
        return len({text for text in bound if text.partition(".")[0] in four}) >= 2

    assert minimal(strategy, shared) == "a=tcp4 a.reuseaddr=1 a.bind=127.0.0.1 b=tcp4 b.reuseaddr=1 b.bind=127.0.0.1"


def test_listen_that_is_refused() -> None:
    # without reuseport: one cleared after bind gives a second minimum of as many steps
    plain = sequences(options=("reuseaddr",), connections=False, ipv6=False)
    assert minimal(plain, some("listen", "EADDRINUSE")) == (
        "a=tcp4 a.reuseaddr=1 a.bind=0.0.0.0 b=tcp4 b.reuseaddr=1 b.bind=0.0.0.0 b.listen a.listen"
    )


def test_an_address_that_is_refused() -> None:
    assert minimal(sequences(ipv6=False), some("bind", "EINVAL")) == (
        "a=tcp4 a.bind=0.0.0.0 a.bind=0.0.0.0 b=tcp4 b.bind=0.0.0.0"
    )


def test_a_third_socket() -> None:
    def third(scenario: Scenario) -> bool:
        return any(text.startswith("c.") for text, _ in outcomes(scenario, "bind"))

    assert minimal(sequences(), third) == "a=tcp4 a.bind=0.0.0.0 b=tcp4 b.bind=0.0.0.0 c=tcp4 c.bind=0.0.0.0"


def test_a_leftover() -> None:
    assert minimal(pairs(), has(".read", "c.close", "x.close")) == (
        "a=tcp4 a.bind=0.0.0.0 a.listen c=tcp4 c.connect=127.0.0.1 x=a.accept x.close c.read c.close a.close "
        "b=tcp4 b.bind=0.0.0.0"
    )
    assert minimal(sequences(ipv6=False), has(".read")) == (
        "a=tcp4 a.bind=0.0.0.0 a.listen b=tcp4 b.connect=127.0.0.1 c=a.accept b.close c.read d=tcp4 d.bind=0.0.0.0"
    )


def test_users() -> None:
    assert minimal(pairs(users=True), has("user=1002")) == (
        "user=1001 a=tcp4 a.bind=0.0.0.0 user=0 user=1002 b=tcp4 b.bind=0.0.0.0"
    )
    assert minimal(sequences(users=True), has("user=1002")) == ("user=1002 a=tcp4 a.bind=0.0.0.0 b=tcp4 b.bind=0.0.0.0")


def test_a_name_made_again() -> None:
    def again(scenario: Scenario) -> bool:
        return scenario.text.count("a=tcp") == 2

    assert minimal(sequences(), again) == "a=tcp4 a.bind=0.0.0.0 a.close a=tcp4 a.bind=0.0.0.0"


def test_what_is_left_out() -> None:
    without = {"users": False, "ipv6": False, "lacking": ("127.0.0.2", "multicast")}
    for strategy in (pairs(**without), sequences(connections=False, **without)):
        assert_all_examples(
            strategy,
            lambda scenario: not any(word in scenario.text for word in ("user=", "::", "127.0.0.2", "224.")),
        )
    assert_all_examples(sequences(connections=False), lambda scenario: ".connect" not in scenario.text)


def test_number_of_sockets() -> None:
    def three(scenario: Scenario) -> bool:
        return sum(step.kind == "socket" for step in scenario.steps) == 3

    assert_all_examples(sequences(min_sockets=3, max_sockets=3, connections=False), three, 50)
