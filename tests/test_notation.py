"""The notation: parsing and printing are inverse, and what is wrong is pointed at."""

from __future__ import annotations

import gzip
import json

import pytest
from bindmatrix.errors import Problem
from bindmatrix.notation import GLOBALS, MAX_USER, MAX_WAIT, OPTIONS, SOCKET_KINDS, VERBS, Step, parse, step
from bindmatrix.rules import catalog
from hypothesis import given
from hypothesis import strategies as st

NAMES = st.from_regex(r"[a-z][a-z0-9_]{0,4}", fullmatch=True).filter(lambda name: name not in GLOBALS)
IP = st.one_of(st.ip_addresses(v=4), st.ip_addresses(v=6)).map(str)
ADDRESSES = {
    "ip": IP,
    "unix": st.from_regex(r"[/@][a-z0-9_]{1,32}", fullmatch=True),
    "vsock": st.sampled_from(["cid:any", "cid:local", "cid:own"]),
}
MULTICAST = st.sampled_from(["224.0.0.251", "ff02::fb", "239.1.2.3"])


@st.composite
def addressed(draw: st.DrawFn, socket: str, verb: str, kind: str) -> list[str]:
    """A step with an address of the kind of the socket; nothing where there is none."""
    if verb == "join":
        return [f"{socket}.join={draw(MULTICAST)}"] if kind == "ip" else []
    chosen = draw(st.sampled_from(["", ",0"])) if verb == "bind" and kind != "unix" else ""
    return [f"{socket}.{verb}={draw(ADDRESSES[kind])}{chosen}"]


@st.composite
def texts(draw: st.DrawFn) -> str:
    """Scenarios with every kind of step, whatever a kernel would say to them."""
    words: list[str] = []
    made: dict[str, bool] = {}
    kinds: dict[str, str] = {}
    for _ in range(draw(st.integers(1, 12))):
        free = draw(NAMES)
        verb = draw(st.sampled_from(["make", *VERBS, "set", "user", "wait", "deliver", "deliver_flow", "accept"]))
        if verb in ("user", "wait"):
            words.append(f"{verb}={draw(st.integers(0, 9999))}")
        elif verb.startswith("deliver"):
            words.append(f"{verb}={draw(st.one_of(*ADDRESSES.values()))}")
        elif verb == "make" or not made:
            if not made.get(free):
                kind = draw(st.sampled_from(sorted(SOCKET_KINDS)))
                words.append(f"{free}={kind}")
                made[free], kinds[free] = True, SOCKET_KINDS[kind].addresses
        elif verb == "accept":
            if not made.get(free):
                listener = draw(st.sampled_from(sorted(made)))
                words.append(f"{free}={listener}.accept")
                made[free], kinds[free] = True, kinds[listener]
        else:
            socket = draw(st.sampled_from(sorted(made)))
            if verb in ("bind", "connect", "join"):
                words += draw(addressed(socket, verb, kinds[socket]))
            elif verb == "set":
                words.append(f"{socket}.{draw(st.sampled_from(sorted(OPTIONS)))}={draw(st.integers(0, 1))}")
            else:
                words.append(f"{socket}.{verb}")
                if verb == "close":
                    made[socket] = False
    return " ".join(words) or "a=tcp4"


@given(texts())
def test_printing_is_the_inverse_of_parsing(text: str) -> None:
    scenario = parse(text)
    assert parse(scenario.text) == scenario
    assert parse(scenario.text).text == scenario.text
    assert len(scenario.steps) == len(text.split())


@given(texts(), st.sampled_from([" ", "  ", "\t", "\n"]))
def test_white_space_does_not_matter(text: str, space: str) -> None:
    assert parse(space.join(text.split())) == parse(text)


def problem_of(text: str) -> Problem | None:
    try:
        parse(text)
    except Problem as problem:
        return problem
    return None


@given(st.text(alphabet="abx=.01:,tcpudpbindlisten46 ", max_size=40))
def test_anything_else_is_a_problem_with_a_place(text: str) -> None:
    problem = problem_of(text)
    assert problem is None or (problem.place.column >= 1 and problem.message)


@pytest.mark.parametrize(
    ("text", "same"),
    [
        ("a=tcp6 a.bind=0:0:0:0:0:0:0:1", "a=tcp6 a.bind=::1"),
        ("a=tcp6 a.bind=::FFFF:7f00:1", "a=tcp6 a.bind=::ffff:127.0.0.1"),
        ("a=tcp6 a.bind=::ffff:0.0.0.0,0", "a=tcp6 a.bind=::ffff:0.0.0.0,0"),
        ("user=01001 a=udp4", "user=1001 a=udp4"),
    ],
)
def test_canonical_form(text: str, same: str) -> None:
    assert parse(text).text == same


@pytest.mark.parametrize(
    ("text", "column", "words"),
    [
        ("", 1, "got nothing"),
        ("a=tcp4 a.reusaddr=1", 8, "did you mean 'reuseaddr'"),
        ("a=tpc4", 1, "did you mean 'tcp4'"),
        ("a=tcp4 a.reuseaddr=2", 8, "a.reuseaddr=1"),
        ("a=tcp4 a.bind=127.0.0", 8, "IPv4 or IPv6 address"),
        ("a=tcp4 a.bind=127.0.0.1,80", 8, "',0'"),
        ("a=tcp4 a.listen=5", 8, "takes no value"),
        ("a=tcp4 a.bind", 8, "needs an address"),
        ("a=tcp4 b.listen", 8, "not a socket yet"),
        ("a=tcp4 a=udp4", 8, "still open"),
        ("a=tcp4 x=a.acept", 8, "did you mean 'accept'"),
        ("x=a.accept", 1, "not a socket yet"),
        ("A=tcp4", 1, "small letter"),
        ("a=tcp4 a.join=127.0.0.1", 8, "multicast"),
        ("a=tcp6 a.bind=fe80::1%lo", 8, "scope"),
        ("user=-1 a=tcp4", 1, "from 0 to"),
        ("user=root", 1, "a user number"),
        ("listen", 1, "expected a step"),
        ("user.close", 1, "not a socket"),
    ],
)
def test_a_bad_scenario_is_pointed_at(text: str, column: int, words: str) -> None:
    with pytest.raises(Problem) as caught:
        parse(text)
    assert caught.value.place.column == column
    assert words in str(caught.value)
    if text:
        shown, caret = str(caught.value).splitlines()[1:]
        assert shown.strip() == text
        assert caret.index("^") - 2 == column - 1


@pytest.mark.parametrize(("word", "most"), [("user", MAX_USER), ("wait", MAX_WAIT)])
def test_the_largest_number_is_legal_and_the_next_is_not(word: str, most: int) -> None:
    assert step(f"{word}={most}").value == most
    with pytest.raises(ValueError, match=f"from 0 to {most}, got '{most + 1}'"):
        step(f"{word}={most + 1}")


def test_a_name_may_be_made_again_after_close() -> None:
    assert len(parse("a=tcp4 a.close a=udp6 a.close").steps) == 4


def test_a_step_on_a_closed_socket_is_legal() -> None:
    parse("a=tcp4 a.close a.bind=127.0.0.1")


def test_steps_are_taken_apart() -> None:
    assert step("a.bind=::1,0") == Step("a.bind=::1,0", "bind", "a", "", "::1", 1)
    assert step("x=a.accept") == Step("x=a.accept", "accept", "x", "a")
    assert step("a.v6only=0") == Step("a.v6only=0", "set", "a", "v6only", "", 0)


def test_every_recorded_scenario_is_in_canonical_form() -> None:
    for path in sorted((catalog.folder() / "evidence").glob("*/extra.jsonl.gz")):
        with gzip.open(path, "rt", encoding="utf-8") as lines:
            for row in lines:
                text = json.loads(row)["scenario"]
                assert parse(text).text == text


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a=vsock a.bind=any", "expected a CID (any, local, own) for 'a', as in 'a.bind=cid:any'"),
        ("a=unix b=a.accept b.connect=x", "expected an IPv4 or IPv6 address, got 'x'"),
        ("a=unix a.connect=x", "expected the name of a Unix socket ('/x' a file, '@x' abstract) for 'a', as in"),
        ("a=unix a.bind=/X", "expected a name such as '/x' or '@x'"),
        ("a=tcp4 a.bind=127.0.0.1:80", "got '127.0.0.1:80'; leave out the port: all sockets share one"),
        ("a=tcp6 a.bind=[::1]:80", "got '[::1]:80'; leave out the port: all sockets share one"),
        ("a=tcp4 a.bind=localhost", "expected an IPv4 or IPv6 address, got 'localhost'"),
    ],
)
def test_an_address_of_another_kind(text: str, message: str) -> None:
    """Failed first: a vsock was told to have an IP address."""
    with pytest.raises(Problem) as caught:
        parse(text)
    assert message in caught.value.message
