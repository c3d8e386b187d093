"""Far sides that die, hang, flood and lie: what arrived is kept, the rest has a reason, nothing of theirs runs here."""

from __future__ import annotations

import json
import sys
import textwrap
import time
import tracemalloc
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from bindmatrix.execute.hosts import HostSpec, open_host
from bindmatrix.execute.local import HostError
from bindmatrix.execute.remote import RemoteHost
from bindmatrix.execute.remote_worker import _MARK

#: speaks like execnet and the executor as far as it likes; ``SNIPPET`` decides
FAR_SIDE = (
    f"""
import json, os, struct, sys, time
MARK = {_MARK!r}
"""
    """
out = os.fdopen(os.dup(1), "wb", 0)
def frame(code, payload=b"", channel=1, length=None):
    out.write(struct.pack("!bii", code, channel, len(payload) if length is None else length) + payload)
def say(data):
    frame(4, b"A" + struct.pack("!i", len(data)) + data + b"Q")
def header(**changes):
    host = {"os": "linux", "release": "6.1", "machine": "x", "ipv6": True, "privileged": True, "options": [],
            "addresses": ["127.0.0.1"], **changes}
    say(json.dumps({"format": "bindmatrix-observations/1", "host": host}).encode() + b"\\n")
def given():
    while True:
        head = sys.stdin.buffer.read(9)
        if len(head) < 9:
            sys.exit()
        code, channel, length = struct.unpack("!bii", head)
        payload = sys.stdin.buffer.read(length)
        if code == 4:
            return payload[5:-1].decode().splitlines()
def answer(text, outcomes=None):
    return json.dumps({"scenario": text, "outcomes": outcomes or ["ok"] * len(text.split())}).encode() + b"\\n"
def start():
    sys.stdin.buffer.readline(), sys.stdin.buffer.readline()
    out.write(MARK + b"\\n")
    sys.stdin.buffer.readline()
    out.write(b"1")
def honest(count):
    start()
    header()
    for text in given()[:count]:
        say(answer(text))
"""
)

SCENARIOS = [f"a=tcp4 a.bind=127.0.0.1 wait={i}" for i in range(1, 701)]
RESOURCES = 48 << 20


@pytest.fixture
def far_side(tmp_path: Path) -> Any:
    """A host whose far side is ``snippet``."""

    def make(snippet: str, **settings: Any) -> RemoteHost:
        path = tmp_path / "far.py"
        path.write_text(FAR_SIDE + textwrap.dedent(snippet), encoding="utf-8")
        host = open_host(HostSpec("far", via=f"{sys.executable} -I -S {path}", **settings))
        assert isinstance(host, RemoteHost)
        return host

    return make


def answers(host: RemoteHost, scenarios: list[str]) -> list[dict[str, Any]]:
    return [json.loads(line) for batch in host.run(scenarios) for line in batch]


def kept_and_lost(host: RemoteHost) -> tuple[int, str]:
    """How many answers were kept, and why all others were not given; each scenario is answered once."""
    with host:
        found = answers(host, SCENARIOS)
        assert Counter(one["scenario"] for one in found) == Counter(SCENARIOS)
        reasons = Counter(one["no_verdict"] for one in found if one["outcomes"] is None)
        after = answers(host, ["a=udp4"])[0]["no_verdict"]  # it is not asked again
        assert reasons.total() == 0 or after == reasons.most_common()[0][0]
        return sum(one["outcomes"] is not None for one in found), after


MISCONDUCT = {
    "another scenario": ('honest(10); say(answer("a=udp4"))', "answered a scenario that it was not given: 'a=udp4'"),
    "wrong order": (
        "honest(10); texts = given(); say(answer(texts[1]) + answer(texts[0]))",
        "answered a scenario that it was not given",
    ),
    "more than was asked": ("honest(512); texts = given(); say(answer(texts[0]) * 189)", "it gave 1 answers"),
    "unasked": ("honest(512); texts = given(); [say(answer(text)) for text in texts + texts]", "it "),
    "header twice": ("honest(10); header()", "it answered with"),
    "no outcomes": ("honest(10); say(answer('a=tcp4 a.bind=127.0.0.1 wait=11', ['ok', 'ok']))", "no outcomes"),
    "outcomes of a terminal": (
        "honest(10); say(answer('a=tcp4 a.bind=127.0.0.1 wait=11', ['ok', 'ok', '\\x1b[2J']))",
        "no outcome",
    ),
    "neither": ('honest(10); say(b\'{"scenario":"a=tcp4 a.bind=127.0.0.1 wait=11","outcomes":null}\\n\')', "neither"),
    "binary": ("honest(10); say(os.urandom(5000) + b'\\n')", "it "),
    "half a line": ("honest(10); say(b'{\"scenario\":')", "it sent a piece of a line"),
    "nothing in an item": ("honest(10); say(b'')", "it sent a piece of a line"),
    "deep": ("honest(10); say(b'[' * 1000000 + b'\\n')", "it answered with"),
    "long number": ("honest(10); say(b'9' * 1000000 + b'\\n')", "it answered with"),
    "a frame of 2 GB": (
        "honest(10); frame(4, b'x' * 5000, length=2**31 - 1)",
        "it announced 2,147,483,647 bytes at once",
    ),
    "a frame of less than nothing": ("honest(10); frame(4, length=-1)", "it announced"),
    "a list of 2**31": ("honest(10); frame(4, b'K\\x7f\\xff\\xff\\xffQ')", "it sent what no executor sends"),
    "a channel": ("honest(10); frame(4, b'B\\0\\0\\0\\1Q')", "it sent what no executor sends"),
    "code to run": ("honest(10); frame(3, b'N\\0\\0\\0\\0Q')", "it sent what no executor sends"),
    "code to run on a channel of its own": (
        "honest(10); frame(3, b'N\\0\\0\\0\\0Q', 2)",
        "it sent what no executor sends",
    ),
    "data on a channel of its own": ("honest(10); frame(4, b'A\\0\\0\\0\\1xQ', 2)", "it sent what no executor sends"),
    "an error of another channel": ("honest(10); frame(6, b'N\\0\\0\\0\\1xQ', 2)", "it sent what no executor sends"),
    "a question for our status": ("honest(10); frame(0)", "it sent what no executor sends"),
    "other strings": ("honest(10); frame(1, b'CDA\\0\\0\\0\\2Q')", "it sent what no executor sends"),
    "no frames": ("honest(10); out.write(os.urandom(1 << 20))", "it "),
}


@pytest.mark.parametrize(("snippet", "reason"), MISCONDUCT.values(), ids=MISCONDUCT)
def test_misconduct_ends_the_host_and_keeps_what_was_good(far_side: Any, snippet: str, reason: str) -> None:
    kept, why = kept_and_lost(far_side(snippet + "; time.sleep(60)"))
    assert kept in (10, 512, 700)
    assert why.startswith("the host was lost: it ")
    assert reason in why
    assert why.isprintable()
    assert len(why) < 300


FLOODS = {
    "answers": "start(); header(); texts = given()\nwhile True: say(answer(texts[0]))",
    "large items": "start(); header(); texts = given()\nwhile True: say(answer(texts[0]) * 20000)",
    "one large line": "start(); header(); given()\nwhile True: say(b'x' * ((4 << 20) - 100))",
    "before it starts": "while True: out.write(b'x' * 65536)",
    "lines before it starts": "while True: out.write(b'x\\n' * 65536)",
    "a large header": "start(); say(b' ' * 100000 + b'\\n'); time.sleep(60)",
    "complaints": "start(); header(); given()\nwhile True: os.write(2, b'x' * 65536)",
    "errors": "start(); header(); given()\nwhile True: frame(6, b'N' + struct.pack('!i', 60000) + b'x' * 60000 + b'Q')",
}


@pytest.mark.parametrize("snippet", FLOODS.values(), ids=FLOODS)
def test_a_flood_is_ended_in_bounded_memory(far_side: Any, snippet: str) -> None:
    said = ""
    tracemalloc.start()
    started = time.monotonic()
    try:
        with far_side(snippet, start=5.0, patience=0.5) as host:
            said = "".join({one.get("no_verdict", "") for one in answers(host, SCENARIOS)})
    except HostError as error:
        said = str(error)
    finally:
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    assert said.isprintable()
    assert 0 < len(said) < 500
    assert peak < RESOURCES
    assert time.monotonic() - started < 20


def test_a_far_side_that_does_not_read_is_given_up(far_side: Any) -> None:
    long = [f"a=tcp4 a.bind=127.0.0.1 wait={i}" + " a.reuseaddr=1" * 500 for i in range(300)]
    with far_side("start(); header(); time.sleep(60)", patience=0.5) as host:
        found = answers(host, long)
    assert [one["scenario"] for one in sorted(found, key=lambda one: long.index(one["scenario"]))] == long
    assert all("hung" in one["no_verdict"] for one in found)


def test_signs_of_life_are_no_answers(far_side: Any) -> None:
    snippet = """
        start(); header(); given()
        out.write(struct.pack("!bii", 4, 1, 10000))
        while True:
            out.write(b"x")
            time.sleep(0.05)
    """
    with far_side(snippet, patience=0.5) as host:
        assert all("hung" in one["no_verdict"] for one in answers(host, SCENARIOS[:3]))


def test_a_far_side_that_always_dies_is_given_up(far_side: Any, tmp_path: Path) -> None:
    snippet = f"open({str(tmp_path / 'starts')!r}, 'a').write('x'); start(); header(); given(); sys.exit('oh dear')"
    kept, why = kept_and_lost(far_side(snippet))
    assert kept == 0
    assert "oh dear" in why
    assert len((tmp_path / "starts").read_text(encoding="utf-8")) < 10


def test_one_death_costs_one_scenario_at_most(far_side: Any, tmp_path: Path) -> None:
    """It dies on one scenario whenever it meets it, and loses answers that it had not sent yet."""
    snippet = """
        start(); header()
        while True:
            ready = b""
            for text in given():
                if text.endswith("wait=300"):
                    os._exit(3)
                ready += answer(text)
            say(ready)
    """
    with far_side(snippet) as host:
        found = answers(host, SCENARIOS)
        assert Counter(one["scenario"] for one in found) == Counter(SCENARIOS)
        assert [one["scenario"] for one in found if one["outcomes"] is None] == [SCENARIOS[299]]
        assert answers(host, ["a=tcp4"])[0]["outcomes"] == ["ok"]


HEADERS = {
    "another format": (
        'say(b\'{"format": "bindmatrix-observations/9", "host": {}}\\n\')',
        "use the executor of the same version",
    ),
    "no JSON": ("say(b'hello\\n')", "did not introduce itself"),
    "a path as its system": ("header(os='../../etc/passwd.yaml')", "calls its system"),
    "a system of the wrong type": ("header(os=['linux'])", "'os' that is no str"),
    "options of the wrong type": ("header(options=3)", "'options' that is no list"),
    "facts within facts": ("header(extra=[[1]])", "no plain value"),
    "a host of the wrong type": (
        'say(b\'{"format": "bindmatrix-observations/1", "host": 3}\\n\')',
        "did not say what it is",
    ),
}


@pytest.mark.parametrize(("snippet", "reason"), HEADERS.values(), ids=HEADERS)
def test_a_wrong_introduction_is_told_in_one_line(far_side: Any, snippet: str, reason: str) -> None:
    with pytest.raises(HostError) as caught:
        far_side(f"start(); {snippet}; time.sleep(60)").facts  # noqa: B018
    assert reason in str(caught.value)
    assert str(caught.value).startswith("far: it ")
    assert str(caught.value).isprintable()


def test_facts_cannot_write_to_a_terminal(far_side: Any) -> None:
    with far_side("start(); header(release='6.1\\x1b[2J\\nx' + 'y' * 10000); given()") as host:
        assert host.facts["release"].isprintable()
        assert len(host.facts["release"]) <= 400
