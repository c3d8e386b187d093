"""The executor may not import notation.py, so it has tables and a parser of its own: they must be twins."""

from __future__ import annotations

import pytest
from bindmatrix import notation
from bindmatrix.errors import Problem
from bindmatrix.execute import executor
from hypothesis import given
from hypothesis import strategies as st

CODES = {
    "socket": executor.SOCKET, "listen": executor.LISTEN, "connect": executor.CONNECT, "accept": executor.ACCEPT,
    "read": executor.READ, "close": executor.CLOSE, "join": executor.JOIN, "user": executor.USER,
    "wait": executor.WAIT, "deliver": executor.DELIVER, "deliver_flow": executor.FLOW,
}  # fmt: skip
FAMILIES = {"ipv4": executor.INET, "ipv6": executor.INET6, "unix": executor.UNIX, "vsock": executor.VSOCK}
TYPES = {"stream": executor.STREAM, "datagram": executor.DGRAM}
PROTOCOLS = {"mptcp": (executor.MPTCP,), "udplite": (executor.UDPLITE,)}

names = st.sampled_from(["a", "b", "c", "x", "a_1"])
addresses = st.one_of(
    st.sampled_from(
        ["0.0.0.0", "127.0.0.1", "::", "::1", "::ffff:127.0.0.1", "224.0.0.251", "ff02::fb", "1.2.3", "::1%lo"]
    ),
    st.ip_addresses().map(str),
    st.sampled_from(["/x", "@x", "/", "@x/y", "/Ä", "cid:any", "cid:own", "cid:local", "cid:", "cid:7"]),
)
words = st.one_of(
    st.builds("{}={}".format, names, st.sampled_from([*notation.SOCKET_KINDS, "tcp5"])),
    st.builds("{}.{}={}".format, names, st.sampled_from([*notation.OPTIONS, "nodelay"]), st.sampled_from("012")),
    st.builds("{}.{}={}".format, names, st.sampled_from(["bind", "connect", "join"]), addresses),
    st.builds("{}.bind={},0".format, names, addresses),
    st.builds("{}.{}".format, names, st.sampled_from(["listen", "read", "close"])),
    st.builds("{}={}.accept".format, names, names),
    st.builds("{}={}".format, st.sampled_from(["user", "wait"]), st.integers(-1, 2**32)),
    st.builds("{}={}".format, st.sampled_from(["deliver", "deliver_flow"]), addresses),
)
noise = st.text(alphabet="ab.=:019,fuserlistnwcdvp_-%é", max_size=14)


def test_tables_have_the_same_rows() -> None:
    assert {
        name: (FAMILIES[kind.family], TYPES[kind.type], *PROTOCOLS.get(kind.protocol, ()))
        for name, kind in notation.SOCKET_KINDS.items()
    } == executor.KINDS
    assert tuple(executor.CIDS) == notation.CIDS
    assert executor.HERE == notation.HERE
    assert (
        tuple(name for name, kind in notation.SOCKET_KINDS.items() if kind.protocol == notation.REMOTE)
        == executor.REMOTE
    )
    assert list(notation.OPTIONS) == list(executor.OPTIONS)
    assert set(notation.VERBS) == set(executor.VERBS)
    assert set(notation.GLOBALS) == set(executor.GLOBALS)
    assert executor.MAXIMUM == {"user": notation.MAX_USER, "wait": notation.MAX_WAIT}


@given(st.lists(st.one_of(words, words, words, noise), max_size=8).map(" ".join))
def test_both_parsers_read_the_same(text: str) -> None:
    compare(text)


@pytest.mark.parametrize("word", ["user", "wait"])
def test_both_parsers_have_the_same_limit(word: str) -> None:
    most = executor.MAXIMUM[word]
    compare(f"{word}={most}")
    compare(f"{word}={most + 1}")
    assert executor.parse(f"{word}={most}")[0][0][2] == most


@given(st.data())
def test_both_parsers_read_well_formed_scenarios_the_same(data: st.DataObject) -> None:
    steps = [f"a={data.draw(st.sampled_from(sorted(notation.SOCKET_KINDS)))}", "b=udp6", "c=unix"]
    for _ in range(data.draw(st.integers(0, 6))):
        word = data.draw(words)
        if readable(" ".join([*steps, word])):
            steps.append(word)
    assert readable(" ".join(steps))
    compare(" ".join(steps))


def compare(text: str) -> None:
    try:
        expected = notation.parse(text).steps
    except Problem:
        with pytest.raises(executor.NotAScenario):
            executor.parse(text)
        return
    steps, _ = executor.parse(text)
    assert steps == [translated(step, word) for step, word in zip(expected, text.split(), strict=True)]


def translated(step: notation.Step, word: str) -> executor.Step:
    """What the executor should make of a step; it keeps an address as it was written."""
    if step.kind == "socket":
        kind = notation.SOCKET_KINDS[step.what]
        plain = executor.ABROAD if kind.protocol == notation.REMOTE else executor.SOCKET
        code = plain if kind.addresses == "ip" else executor.MAKE
        return (code, step.socket, executor.KINDS[step.what])
    if step.kind == "set":
        option = executor.OPTIONS[step.what]
        if option is None:
            return (executor.LACKING, step.socket, step.what)
        return (executor.SET, step.socket, (*option, step.value))
    if step.kind == "bind":
        written = word.partition("=")[2].partition(",")[0]
        mapped = executor.MAPPED if ":" in written and "." in written else executor.BIND
        plain = mapped if notation.addresses_of(step.address) == "ip" else executor.NAMED
        return (executor.CHOSEN if step.value else plain, step.socket, written)
    argument = {"accept": step.what, "user": step.value, "wait": step.value}.get(step.kind)
    if step.address:
        argument = word.partition("=")[2]
    return (CODES[step.kind], step.socket, argument)


def readable(text: str) -> bool:
    try:
        notation.parse(text)
    except Problem:
        return False
    return True
