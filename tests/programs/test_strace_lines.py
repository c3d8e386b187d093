"""The lines of strace: decorations, halves of calls, and whatever else may stand in a file."""

from __future__ import annotations

import gzip
import tracemalloc
from collections.abc import Iterator

import pytest
from bindmatrix.programs.port_scenarios import scenarios_of
from bindmatrix.programs.socket_calls import NAMES, SocketCalls
from bindmatrix.programs.strace_lines import Lines, SystemCall, ThreadExit, arguments
from hypothesis import example, given
from hypothesis import strategies as st

from tests.programs.recordings import CASES, RECORDINGS

BIND = 'bind(3, {sa_family=AF_INET, sin_port=htons(80), sin_addr=inet_addr("0.0.0.0")}, 16) = 0'


def read(*lines: str) -> tuple[list[SystemCall | ThreadExit], Lines]:
    found = Lines(NAMES)
    return list(found.read(lines)), found


@pytest.mark.parametrize(
    ("prefix", "pid"),
    [
        ("", 0),
        ("4711  ", 4711),
        ("[pid 4711] ", 4711),
        ("4711<python3> ", 4711),
        ("4711<two words> ", 4711),
        ("4711 21:48:40.870860 ", 4711),
        ("4711 21:48:40 ", 4711),
        ("21:48:40.870860 ", 0),
        ("4711  1795988920.948789 ", 4711),
        ("1795988920.948789 ", 0),
        ("4711       0.000141 ", 4711),
        ("     0.000141 ", 0),
        ("4711 1795988920.948789 (+     0.000141) ", 4711),
        ("4711 [  49] [00007fed3556e787] ", 4711),
        ("[  49] ", 0),
    ],
)
def test_what_may_stand_before_a_call(prefix: str, pid: int) -> None:
    calls, lines = read(prefix + BIND + " <0.000020>")
    assert [(call.pid, call.name, call.result) for call in calls] == [(pid, "bind", 0)]
    assert lines.not_understood == 0


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("3, 16) = 0", ["3", "16"]),
        (") = 0", []),
        (r'3, "a\"),(", {x=[1, 2], y={z}}, 0) = 0', ["3", r'"a\"),("', "{x=[1, 2], y={z}}", "0"]),
        ("3</srv/a,b(c>, F_GETFD) = 0", ["3</srv/a,b(c>", "F_GETFD"]),
        ("3<TCP:[127.0.0.1:80->127.0.0.1:9]>, 1) = 0", ["3<TCP:[127.0.0.1:80->127.0.0.1:9]>", "1"]),
        ("3, 0x1021 /* SO_??? */, [1], 4) = 0", ["3", "0x1021 /* SO_??? */", "[1]", "4"]),
        ("1</run/#21>(deleted), 2) = 2", ["1</run/#21>(deleted)", "2"]),
        ('"cut"..., 1<<20, 0) = 0', ['"cut"...', "1<<20", "0"]),
    ],
)
def test_arguments_are_split_where_they_end(text: str, expected: list[str]) -> None:
    found = arguments(text)
    assert found is not None
    assert found[0] == expected
    assert text[found[1] :].startswith(" = ")


@pytest.mark.parametrize("text", ["3, 16", "3, {a", '3, "abc', "3, [1, 2)", ""])
def test_a_cut_call_has_no_arguments(text: str) -> None:
    assert arguments(text) is None


def test_two_halves_of_a_call() -> None:
    calls, _ = read(
        "1 listen(3 <unfinished ...>", "2 close(4) = 0", "1 <... listen resumed>, 16) = 0", "1 +++ exited with 0 +++"
    )
    assert [(call.pid, getattr(call, "name", "exit")) for call in calls] == [(2, "close"), (1, "listen"), (1, "exit")]
    assert calls[1].arguments == ("3", "16")  # type: ignore[union-attr]


def test_a_close_counts_when_it_begins() -> None:
    """The number is free then, and another thread may get it before the first half's line goes on."""
    calls, lines = read(
        "1 close(4 <unfinished ...>",
        "2 socket(AF_INET, SOCK_STREAM, IPPROTO_IP) = 4",
        "1 <... close resumed>) = 0",
    )
    assert [call.name for call in calls if isinstance(call, SystemCall)] == ["close", "socket"]
    assert lines.not_understood == 0


def test_words_of_strace_inside_a_call() -> None:
    calls, lines = read(
        "clone(child_stack=NULL, flags=SIGCHLDstrace: Process 9 attached",
        ", child_tidptr=0x7f) = 9",
        "strace: Process 9 detached",
    )
    assert [(call.name, call.result) for call in calls if isinstance(call, SystemCall)] == [("clone", 9)]
    assert lines.not_understood == 0


def test_a_word_without_a_parenthesis_is_no_call() -> None:
    _, lines = read("1 1795988920.94 clone", "1 liste", "write")
    assert (lines.calls, lines.not_understood) == (0, 3)


def test_what_is_not_understood_is_counted_and_shown() -> None:
    calls, lines = read("Serving HTTP on port 80", BIND[:40], BIND, "", '1 write(1, "", 0) = 0')
    assert len(calls) == 1
    assert (lines.not_understood, lines.calls) == (2, 2)
    assert lines.examples == [(1, "Serving HTTP on port 80"), (2, BIND[:40])]


def test_unfinished_calls_are_bounded() -> None:
    lines = Lines(NAMES)
    for _ in lines.read(f"{pid} accept4(3 <unfinished ...>" for pid in range(1, 10)):
        pass
    assert not lines.pending  # not a call that is read
    list(lines.read(f"{pid} listen(3 <unfinished ...>" for pid in range(1, 150_000)))
    assert len(lines.pending) == 100_000


def test_a_long_trace_keeps_only_what_is_open() -> None:
    """Ten thousand clients and as many unknown threads leave a count."""
    calls = SocketCalls()
    server = '{sa_family=AF_INET, sin_port=htons(80), sin_addr=inet_addr("127.0.0.1")}'
    for inode in range(10_000):
        one = f"3<socket:[{inode + 100}]>"
        calls.read([f"{inode + 1} socket(AF_INET, SOCK_STREAM, IPPROTO_IP) = {one}"])
        calls.read([f"{inode + 1} connect({one}, {server}, 16) = 0", f"{inode + 1} close({one}) = 0"])
    assert calls.folded == {"client": 10_000}
    assert not calls.sockets
    assert not calls.descriptors._by_inode


def _peak(connections: int) -> int:
    """Bytes at most in use while the trace of a server is read that accepts, and asks a database each time."""

    def lines() -> Iterator[str]:
        yield "1 socket(AF_INET, SOCK_STREAM, IPPROTO_IP) = 3<TCP:[1]>"
        yield "1 " + BIND.replace("bind(3", "bind(3<TCP:[1]>")
        yield "1 listen(3<TCP:[1]>, 128) = 0"
        for number in range(connections):
            peer = f'{{sa_family=AF_INET, sin_port=htons({number % 60000}), sin_addr=inet_addr("127.0.0.1")}}'
            child, client = f"4<TCP:[{10 + number}]>", f"5<TCP:[{10**7 + number}]>"
            yield f"{1 + number % 5} accept4(3<TCP:[1]>, {peer}, [16], SOCK_CLOEXEC) = {child}"
            yield f"{1 + number % 5} close({child}) = 0"
            yield f"1 socket(AF_INET, SOCK_STREAM, IPPROTO_IP) = {client}"
            yield f"1 connect({client}, {peer}, 16) = 0"
            yield f"1 close({client}) = 0"

    calls = SocketCalls()
    tracemalloc.start()
    try:
        calls.read(lines())
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def test_the_memory_of_a_trace_does_not_grow_with_it() -> None:
    """2 GB were read in 28 MB on 2026-11-30, the interpreter included."""
    _peak(100)  # fills the caches of patterns
    assert _peak(1_200) < _peak(200) + 50_000


def test_listeners_without_end_are_bounded() -> None:
    calls = SocketCalls()
    for number in range(3, 3_003):
        made = f"1 socket(AF_INET, SOCK_STREAM, IPPROTO_IP) = {number}"
        calls.read([made, "1 " + BIND.replace("bind(3", f"bind({number}")])
    assert len(calls.sockets) == 2_000
    assert calls.folded["too many"] == 1_000


# -- nothing that stands in a file raises


def lines_of_files() -> list[str]:
    found = {line for path in CASES for line in path.read_text("latin-1").splitlines()}
    for path in RECORDINGS[::9]:
        found |= set(gzip.decompress(path.read_bytes()).decode("latin-1").splitlines())
    return sorted(found)


ALL_LINES = lines_of_files()
PIECES = (
    *("<unfinished ...>", "<... bind resumed>", "= ?", "= -1 EBADF", "socket(", "=> ", "+++", "/*", "*/", "0x", "\0"),
    *("strace: Process 1 attached", "\x85", "9" * 5_000, *'{}[]()"\\,<>-|01'),
)
DAMAGE = st.tuples(
    st.sampled_from(["cut", "start", "put", "double"]), st.integers(0), st.integers(0), st.sampled_from(PIECES)
)


def damaged(line: str, damage: list[tuple[str, int, int, str]]) -> str:
    """A line cut, with pieces moved, doubled or put in."""
    for how, first, second, piece in damage:
        at, until = sorted((first % (len(line) + 1), second % (len(line) + 1)))
        put = line[:at] + piece + line[until:]
        line = {"cut": line[:at], "start": line[at:], "put": put, "double": line + line[at:until]}[how]
    return line


LINES = st.builds(damaged, st.sampled_from(ALL_LINES), st.lists(DAMAGE, max_size=3))


@example(["14299 close(10) = 01", f"1 close({'9' * 5_000}) = 0"])
@given(st.lists(LINES, max_size=20))
def test_damaged_traces_never_raise(lines: list[str]) -> None:
    calls = SocketCalls()
    calls.read(lines)
    found = scenarios_of(calls.sockets, calls.folded)
    assert calls.lines.count == len(lines)
    for one in found.scenarios:
        assert len(one.outcomes) == len(one.scenario.steps)


@given(st.lists(st.text() | st.binary().map(lambda data: data.decode("latin-1"))))
def test_foreign_text_never_raises(lines: list[str]) -> None:
    calls = SocketCalls()
    calls.read(lines)
    assert not scenarios_of(calls.sockets, calls.folded).scenarios
