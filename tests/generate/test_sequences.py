"""Sequences from plain random numbers, and the writer that both kinds of sequences share."""

from __future__ import annotations

import re
from collections import Counter
from itertools import pairwise

import pytest
from bindmatrix.generate.axes import ENDPOINT, ENDPOINTS, ODD_ENDPOINTS
from bindmatrix.generate.sequences import MOVES, WEIGHTS, Arrival, Move, Vocabulary, random_sequences, render
from bindmatrix.notation import Scenario, parse

LO4 = ENDPOINT["lo4"]
ANY4 = ENDPOINT["any4"]


@pytest.fixture(scope="module")
def drawn() -> list[str]:
    return random_sequences(0, 4_000, users=True)


def blocked(scenario: Scenario) -> str:
    """The first step that may wait for ever, or "": accept comes right after a connect, read after the peer's close."""
    peer: dict[str, str] = {}
    closed: set[str] = set()
    before = ""
    for step in scenario.steps:
        if step.kind == "accept":
            if not before:
                return step.text
            peer[step.socket], peer[before] = before, step.socket
        if step.kind == "read" and peer.get(step.socket) not in closed:
            return step.text
        if step.kind == "close":
            closed.add(step.socket)
        if step.kind in ("socket", "accept"):
            closed.discard(step.socket)
        if not (step.kind == "connect" or (before and step.kind == "accept")):
            before = ""
        elif step.kind == "connect":
            before = step.socket
    return ""


def test_deterministic_and_distinct(drawn: list[str]) -> None:
    assert len(drawn) == len(set(drawn)) == 4_000
    assert random_sequences(0, 4_000, users=True) == drawn
    assert random_sequences(0, 100, users=True) == drawn[:100]
    assert random_sequences(1, 100, users=True) != drawn[:100]


def test_every_sequence_prints_to_itself_and_does_not_block(drawn: list[str]) -> None:
    for text in drawn:
        scenario = parse(text)
        assert scenario.text == text
        assert blocked(scenario) == ""


def test_number_of_sockets(drawn: list[str]) -> None:
    counts = Counter(len(set(re.findall(r"(\w+)\.bind=", text))) for text in drawn)
    assert max(counts) == 6
    # a socket made again bears an old name, so there may be fewer names than sockets
    assert {2, 3, 4, 5, 6} <= set(counts)
    for text in random_sequences(0, 200, min_sockets=3, max_sockets=3, connections=False):
        assert sum(step.kind == "socket" for step in parse(text).steps) == 3


def test_every_value_occurs(drawn: list[str]) -> None:
    text = "\n".join(drawn)
    for endpoint in (*ENDPOINTS, *ODD_ENDPOINTS):
        assert f".bind={endpoint.address}" in text
    for step in (
        r"\.reuseaddr=0",
        r"\.reuseport=0",
        r"\.listen",
        r"\.accept",
        r"\.read",
        r"\.close",
        "user=1001",
        "user=0",
    ):
        assert re.search(step, text)
    # set and cleared after bind, v6only after bind, a second bind, a name made again, protocols mixed
    assert re.search(r"a\.bind=\S+ .*a\.reuseport=0", text)
    assert re.search(r"a\.bind=\S+ .*a\.v6only=", text)
    assert re.search(r"a\.bind=\S+ .*a\.bind=", text)
    assert re.search(r"a=tcp.* a=tcp", text)
    assert re.search(r"^a=tcp4.* b=udp", text, re.MULTILINE)


def test_what_is_left_out() -> None:
    plain = "\n".join(random_sequences(0, 500, connections=False, ipv6=False, options=["exclusive"]))
    assert not re.search(r"connect|accept|read|user=|tcp6|udp6|v6only|:|reuse", plain)
    assert "exclusive=1" in plain
    assert "127.0.0.2" in plain
    lacking = "\n".join(random_sequences(0, 500, lacking=["127.0.0.2", "multicast"]))
    assert not re.search(r"127\.0\.0\.2|224\.|ff02", lacking)


def test_a_small_vocabulary_ends() -> None:
    found = random_sequences(0, 10_000, options=[], max_sockets=2, connections=False, ipv6=False, lacking=["multicast"])
    assert 0 < len(found) == len(set(found))


def test_users_change_by_way_of_root(drawn: list[str]) -> None:
    for text in drawn:
        users = ["0", *re.findall(r"user=(\d+)", text)]
        assert all("0" in pair and pair[0] != pair[1] for pair in pairwise(users))


def tcp(endpoint: str = "lo4", *options: str, again: bool = False) -> Arrival:
    return Arrival("tcp", ENDPOINT[endpoint], options, again)


TCP = tcp()
CLOSE = Move("close")
LISTEN = Move("listen")
CONNECTION = Move("connect", 0, "child")
TIME_WAIT = Move("connect", 0, "time-wait")


def user(number: str) -> Move:
    return Move("user", 0, number)


@pytest.mark.parametrize(
    ("events", "text"),
    [
        ([TCP, tcp("dual")], "a=tcp4 a.bind=127.0.0.1 b=tcp6 b.v6only=0 b.bind=::"),
        (
            [TCP, CLOSE, tcp("lo4", "reuseaddr=1", again=True)],
            "a=tcp4 a.bind=127.0.0.1 a.close a=tcp4 a.reuseaddr=1 a.bind=127.0.0.1",
        ),
        ([tcp(again=True)], "a=tcp4 a.bind=127.0.0.1"),
        # targets count from the newest, and no further than the oldest
        ([TCP, TCP, LISTEN], "a=tcp4 a.bind=127.0.0.1 b=tcp4 b.bind=127.0.0.1 b.listen"),
        ([TCP, TCP, Move("listen", 1)], "a=tcp4 a.bind=127.0.0.1 b=tcp4 b.bind=127.0.0.1 a.listen"),
        ([TCP, TCP, Move("listen", 5)], "a=tcp4 a.bind=127.0.0.1 b=tcp4 b.bind=127.0.0.1 a.listen"),
        (
            [TCP, user("1001"), TCP, user("1002"), user("1002")],
            "a=tcp4 a.bind=127.0.0.1 user=1001 b=tcp4 b.bind=127.0.0.1 user=0 user=1002",
        ),
        (
            [tcp("mapped-lo"), LISTEN, TIME_WAIT],
            (
                "a=tcp6 a.v6only=0 a.bind=::ffff:127.0.0.1 a.listen "
                "b=tcp4 b.connect=127.0.0.1 c=a.accept c.close b.read b.close"
            ),
        ),
        # nothing to work on: a v4 socket has no v6only, an address of the other family, a socket that does not listen
        ([TCP, Move("set", 0, "v6only=1"), Move("bind", 0, "::1"), CONNECTION], "a=tcp4 a.bind=127.0.0.1"),
        ([LISTEN, TCP, CLOSE, CLOSE, LISTEN], "a=tcp4 a.bind=127.0.0.1 a.close"),
    ],
)
def test_render(events: list[Arrival | Move], text: str) -> None:
    assert render(events) == text
    assert parse(text).text == text


@pytest.mark.parametrize(
    "events",
    [
        [TCP, LISTEN, CONNECTION],
        [TCP, Arrival("udp", LO4), Move("listen", 1), Move("connect", 1, "child")],
        # the other one is gone: the listener is alone again
        [TCP, LISTEN, TCP, CLOSE, CONNECTION],
    ],
)
def test_when_a_connection_is_certain(events: list[Arrival | Move]) -> None:
    assert ".accept" in render(events)


@pytest.mark.parametrize(
    "events",
    [
        [TCP, CONNECTION],
        # who is connected to, and on a BSD even whether, is the other one's doing
        [TCP, LISTEN, TCP, Move("connect", 1, "child")],
        # bound while another was there: perhaps it is not bound at all, and listens on a port of its own
        [TCP, TCP, Move("close", 1), LISTEN, CONNECTION],
        # listened while another was there: perhaps refused
        [TCP, TCP, Move("listen", 1), CLOSE, CONNECTION],
    ],
)
def test_when_a_connection_is_not_certain(events: list[Arrival | Move]) -> None:
    assert ".accept" not in render(events)


def test_a_leftover_may_be_in_the_way_of_the_next_listener() -> None:
    assert render([TCP, LISTEN, TIME_WAIT, CLOSE, TCP, LISTEN, CONNECTION]).count(".accept") == 1


def test_a_datagram_socket_connects_once() -> None:
    assert render([Arrival("udp", ANY4), CONNECTION, CONNECTION]) == "a=udp4 a.bind=0.0.0.0 a.connect=127.0.0.1"


def test_every_kind_of_move_has_a_weight() -> None:
    kinds = set(Vocabulary(users=True).details)
    assert kinds == set(MOVES) == set(WEIGHTS["tcp"])
    # a datagram socket does not listen
    assert kinds - set(WEIGHTS["udp"]) == {"listen"}
