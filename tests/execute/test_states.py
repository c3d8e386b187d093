"""The state that a connection is in is looked up before anything follows, and is what the scenario says."""

from __future__ import annotations

import itertools
import sys
from collections.abc import Iterator

import pytest
from bindmatrix.execute import executor as module
from bindmatrix.execute.executor import Executor, Link, NoVerdict, StateTable

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="asks sock_diag(7), which Linux alone has")

CONNECTED = "a=tcp4 a.bind=127.0.0.1 a.listen c=tcp4 c.connect=127.0.0.1 x=a.accept"


class Watching(StateTable):
    """Keeps the states of both ends as they were when each verification was content."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[set[int]] = []

    def _led_to(self, link: Link, low: int, high: int) -> bool:
        good = super()._led_to(link, low, high)
        if good:
            self.seen.append({low, high})
        return good


@pytest.fixture
def watched(monkeypatch: pytest.MonkeyPatch) -> Iterator[Executor]:
    """An executor whose table of states is a Watching, where the kernel answers at all."""
    monkeypatch.setattr(module, "StateTable", Watching)
    with Executor("none") as made:
        made.run(CONNECTED)
        if not made._table_works:
            pytest.skip("this kernel has no sock_diag for TCP")
        yield made


def states(executor: Executor, scenario: str) -> list[set[int]]:
    table = executor._table
    assert isinstance(table, Watching)
    table.seen.clear()
    executor.run(scenario)
    return table.seen


GONE, ESTABLISHED, TIME_WAIT, CLOSE_WAIT = (
    StateTable.GONE,
    StateTable.ESTABLISHED,
    StateTable.TIME_WAIT,
    StateTable.CLOSE_WAIT,
)


@pytest.mark.parametrize(
    ("rest", "last"),
    [
        ("", {ESTABLISHED}),
        ("x.close c.read c.close a.close", {GONE, TIME_WAIT}),
        ("c.close x.read x.close a.close", {GONE, TIME_WAIT}),
        ("a.close", {ESTABLISHED}),
    ],
)
def test_leftovers_are_what_the_scenario_says(watched: Executor, rest: str, last: set[int]) -> None:
    for text in (CONNECTED, CONNECTED.replace("c=tcp4", "c=tcp6 c.v6only=0").replace("connect=", "connect=::ffff:")):
        assert states(watched, f"{text} {rest} b=tcp4 b.bind=127.0.0.1")[-1] == last


def test_one_end_alone_waits(watched: Executor) -> None:
    assert CLOSE_WAIT in states(watched, f"{CONNECTED} c.close x.read b=tcp4 b.bind=127.0.0.1")[-1]


def test_a_backlog_is_reset_with_its_listener(watched: Executor) -> None:
    text = "a=tcp4 a.bind=127.0.0.1 a.listen c=tcp4 c.connect=127.0.0.1 a.close b=tcp4 b.bind=127.0.0.1"
    assert states(watched, text)[-1] == {GONE}


FIN_WAIT = (StateTable.FIN_WAIT1, StateTable.FIN_WAIT2)


@pytest.mark.parametrize(
    ("accepted", "closed", "expected"),
    [
        (False, 0, {(GONE, GONE), (ESTABLISHED, ESTABLISHED)}),
        (True, 0, {(ESTABLISHED, ESTABLISHED)}),
        (True, 1, {(state, CLOSE_WAIT) for state in FIN_WAIT}),
        (False, 1, {(GONE, GONE)} | {(state, CLOSE_WAIT) for state in FIN_WAIT}),
        (True, 2, {(GONE, TIME_WAIT)}),
    ],
)
def test_calls_lead_to_these_states_and_no_others(accepted: bool, closed: int, expected: set[tuple[int, int]]) -> None:
    """Of all pairs of the twelve states of TCP."""
    link = Link(("127.0.0.1", 1), ("127.0.0.1", 2))
    link.accepted, link.closed = accepted, closed
    table = StateTable()
    pairs = itertools.combinations_with_replacement(range(12), 2)
    found = {(low, high) for low, high in pairs if table._led_to(link, low, high)}
    table.close()
    assert found == expected


def test_a_dropped_time_wait_gives_no_verdict(watched: Executor, monkeypatch: pytest.MonkeyPatch) -> None:
    """As if the kernel had no room for one more TIME_WAIT."""
    table = watched._table
    assert table is not None
    real = table.state

    def full(question: bytes) -> int:
        state = real(question)
        return GONE if state == TIME_WAIT else state

    monkeypatch.setattr(table, "state", full)
    with pytest.raises(NoVerdict, match="its ends are gone and gone"):
        watched.run(f"{CONNECTED} x.close c.read c.close a.close b=tcp4 b.bind=127.0.0.1")


def test_a_failed_look_up_is_not_the_outcome_of_a_step(watched: Executor, monkeypatch: pytest.MonkeyPatch) -> None:
    def deaf(question: bytes) -> int:
        raise TimeoutError("timed out")

    monkeypatch.setattr(watched._table, "state", deaf)
    with pytest.raises(NoVerdict, match="cannot be looked up: timed out"):
        watched.run(CONNECTED)


def test_without_the_kernels_help_the_calls_alone_count(monkeypatch: pytest.MonkeyPatch) -> None:
    class Missing(StateTable):
        def state(self, question: bytes) -> int:
            return self.GONE

    monkeypatch.setattr(module, "StateTable", Missing)
    with Executor("none") as made:
        outcomes = made.run(f"{CONNECTED} x.close c.read c.close a.close b=tcp4 b.bind=127.0.0.1")
        assert outcomes == ["ok"] * 11 + ["EADDRINUSE"]
        assert not made._table_works
