"""``bindmatrix misuse``: the patterns and their proofs, and where programs follow them."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest
from bindmatrix.advice.misuse import findings, harms
from bindmatrix.advice.misuse_patterns import FACTS, MARKS, SETS, MisusePattern, facts_of, load, patterns
from bindmatrix.cli.main import main
from bindmatrix.errors import Problems
from bindmatrix.execute.local import LocalHost
from bindmatrix.notation import parse
from bindmatrix.programs.program_input import programs
from bindmatrix.rules import catalog

from tests.programs.recordings import DATA

Capture = pytest.CaptureFixture[str]


def found(word: str, *systems: str) -> dict[str, list[str]]:
    """Pattern -> systems that it hurts, in a program."""
    return {one.pattern.id: sorted({harm.os for harm in one.harms}) for one in findings(programs(word), systems)}


def hurt(id: str) -> list[str]:  # noqa: A002  the word of the file
    (pattern,) = [one for one in patterns() if one.id == id]
    return sorted({harm.os for harm in harms(pattern)})


# -- the patterns


def test_there_are_those_that_people_met() -> None:
    assert len(patterns()) == 24
    assert patterns()[0].id == "v6only-default"


@pytest.mark.parametrize("pattern", patterns(), ids=lambda one: one.id)
def test_every_pattern_hurts_a_system_and_every_scenario_shows_it(pattern: MisusePattern) -> None:
    hurting = harms(pattern)
    assert hurting
    shown = {harm.check for harm in hurting if harm.check is not None}
    assert shown == set(pattern.proof)
    for harm in hurting:
        assert harm.os in catalog.names()
        assert (harm.check is None) == (not pattern.proof)


@pytest.mark.parametrize(
    ("id", "systems"),
    [
        ("v6only-default", ["dragonfly", "freebsd", "netbsd", "openbsd", "windows", "wine"]),
        ("reuseaddr-opens-the-port", ["gvisor", "windows"]),
        ("reuseport-does-not-balance", ["freebsd", "macos", "netbsd", "openbsd"]),
        ("reuseport-lb-on-dual-stack", ["freebsd"]),
        ("v6only-error-is-fatal", ["dragonfly", "openbsd"]),
        ("exclusive-and-reuseaddr", ["windows", "wine"]),
        ("reuseaddr-on-the-second-only", ["gvisor", "linux"]),
        ("reuseport-on-unix", ["linux"]),
        ("listen-error-ignored", ["gvisor", "linux", "lwip", "wine"]),
        ("wildcard-is-not-exclusive", ["windows"]),
    ],
)
def test_which_systems_are_hurt(id: str, systems: list[str]) -> None:  # noqa: A002
    assert hurt(id) == systems


@pytest.mark.skipif(sys.platform != "linux", reason="the harms that can be run are those of Linux")
def test_what_hurts_linux_does_so_here() -> None:
    checks = [harm.check for pattern in patterns() for harm in harms(pattern, ["linux"]) if harm.check is not None]
    with LocalHost(1) as host:
        if host.facts["os"] != "linux":
            pytest.skip(f"this is {host.facts['os']}")
        answers = [json.loads(line) for lines in host.run([one.scenario.text for one in checks]) for line in lines]
    outcomes = {answer["scenario"]: answer.get("outcomes") for answer in answers}
    ran = [one for one in checks if outcomes[one.scenario.text] is not None]
    assert len(ran) >= 5
    assert [one.scenario.text for one in ran if one.met(outcomes[one.scenario.text]) is not True] == []


def test_the_file_is_checked(tmp_path: Path) -> None:
    path = tmp_path / "misuse.yaml"
    path.write_text(
        "- id: one\n  what: x\n  match: {protocoll: tcp, address: wildcart}\n"
        "  proof:\n    - {scenario: a=tcp5, wanted: ok, shows: y}\n"
        "    - {wanted: denied b, scenario: a=tcp4, shows: y}\n  instead: z\n  seen: [t]\n"
        "- id: two\n  what: x\n  match: {}\n  instead: z\n  seen: [t]\n",
        encoding="utf-8",
    )
    with pytest.raises(Problems) as caught:
        load(path)
    text = str(caught.value)
    assert "misuse.yaml:3:11: unknown 'protocoll' as a fact; did you mean 'protocol'?" in text
    assert "misuse.yaml:3:36: unknown 'wildcart' as address; did you mean 'wildcard'?" in text
    assert "misuse.yaml:5:18: unknown kind of socket 'tcp5'" in text
    assert "misuse.yaml:6:16: expected one of 'ok', 'refused SOCKET'," in text
    assert "misuse.yaml:9:3: expected either 'proof' or" in text


# -- facts


def test_facts_of_sockets() -> None:
    text = (
        "a=tcp6 a.reuseaddr=1 a.v6only=0 a.bind=:: a.reuseport=1 a.reuseaddr=0 a.listen "
        "b=tcp6 b.reuseport=1 b.bind=:: c=udp4 c.bind=224.0.0.251 c.join=224.0.0.251"
    )
    a, b, c = facts_of(parse(text).steps, ["v6only"])
    assert (a.on, a.after, a.cleared, a.later_only) == ({"reuseaddr"}, {"reuseport"}, {"reuseaddr"}, set())
    assert (a.words["v6only"], a.words["listens"], a.words["group"], a.words["address"]) == (
        "off",
        "yes",
        "yes",
        "wildcard",
    )
    assert a.words["forgives-v6only"] == "yes"
    assert (b.later_only, b.words["listens"]) == ({"reuseport"}, "no")
    assert (c.words["address"], c.words["joins"], c.words["group"]) == ("multicast", "yes", "no")
    assert set(a.words) == set(FACTS)
    assert all(a.holds(fact, ()) in (True, False) for fact in [*FACTS, *SETS])


@pytest.mark.parametrize(
    ("text", "pattern", "harmless"),
    [
        ("a=tcp6 a.bind=:: a.listen", "v6only-default", "a=tcp6 a.v6only=1 a.bind=:: a.listen"),
        (
            "a=tcp4 a.bind=::1 a.listen".replace("tcp4", "tcp6"),
            "no-reuseaddr",
            "a=tcp6 a.reuseaddr=1 a.bind=::1 a.listen",
        ),
        ("a=tcp4 a.reuseport=1 a.bind=0.0.0.0 a.listen", "reuseport-second-instance", "a=tcp4 a.bind=0.0.0.0 a.listen"),
        ("a=udp4 a.reuseaddr=1 a.bind=0.0.0.0", "udp-reuseaddr", "a=udp4 a.bind=0.0.0.0"),
        (
            "a=tcp4 a.bind=0.0.0.0 a.reuseaddr=1 a.listen",
            "option-after-bind",
            "a=tcp4 a.reuseaddr=1 a.bind=0.0.0.0 a.listen",
        ),
        (
            "a=tcp4 a.reuseport=1 a.bind=127.0.0.1 a.reuseport=0",
            "option-cleared-as-protection",
            "a=tcp4 a.bind=127.0.0.1",
        ),
        (
            "a=tcp4 a.exclusive=1 a.reuseaddr=1 a.bind=0.0.0.0",
            "exclusive-and-reuseaddr",
            "a=tcp4 a.exclusive=1 a.bind=0.0.0.0",
        ),
        (
            "a=tcp4 a.bind=0.0.0.0 a.listen b=tcp4 b.reuseaddr=1 b.bind=0.0.0.0 b.listen",
            "reuseaddr-on-the-second-only",
            "a=tcp4 a.reuseaddr=1 a.bind=0.0.0.0 a.listen b=tcp4 b.reuseaddr=1 b.bind=0.0.0.0 b.listen",
        ),
        (
            "a=tcp4 a.reuseport=1 a.bind=0.0.0.0 b=tcp4 b.reuseport=1 b.bind=0.0.0.0 b.listen",
            "bound-without-listening",
            "a=tcp4 a.reuseport=1 a.bind=0.0.0.0 a.listen b=tcp4 b.reuseport=1 b.bind=0.0.0.0 b.listen",
        ),
        (
            "a=tcp4 a.reuseport=1 a.bind=0.0.0.0 user=1001 b=tcp4 b.reuseport=1 b.bind=0.0.0.0 user=0",
            "reuseport-across-users",
            "a=tcp4 a.reuseport=1 a.bind=0.0.0.0 b=tcp4 b.reuseport=1 b.bind=0.0.0.0",
        ),
        (
            "a=udp4 a.bind=0.0.0.0 a.join=224.0.0.251",
            "multicast-on-wildcard",
            "a=udp4 a.bind=224.0.0.251 a.join=224.0.0.251",
        ),
        ("a=unix a.reuseport=1 a.bind=/x a.listen", "reuseport-on-unix", "a=unix a.bind=/x a.listen"),
    ],
)
def test_a_scenario_follows_a_pattern_and_the_remedy_does_not(text: str, pattern: str, harmless: str) -> None:
    assert pattern in found(text)
    assert pattern not in found(harmless)


def test_a_runtime_is_looked_at_as_it_is_on_each_system() -> None:
    # http.server sets SO_REUSEADDR on Windows too, Go does not
    assert "windows" in found("py-http.server")["reuseaddr-opens-the-port"]
    assert "windows" not in found("go-tcp4")["reuseaddr-opens-the-port"]


def test_an_error_that_is_ignored_is_not_fatal() -> None:
    assert "v6only-error-is-fatal" in found("a=tcp6 a.v6only=0 a.bind=:: a.listen")
    assert "v6only-error-is-fatal" not in found("dotnet-TcpListener-dual")


# -- sources

SOURCE = """\
import socket
import sys


class Server:
    def __init__(self, host):
        self.sock = socket.socket(socket.AF_INET6, socket.SOCK_STREAM)
        self.sock.bind((host, 80))

    def run(self):
        try:
            self.sock.listen(5)
        except OSError:
            pass


def datagrams():
    s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR | socket.SO_REUSEPORT, 1)
    s.bind(("", 53))


def careful():
    with socket.socket() as t:
        if sys.platform != "win32":
            t.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        t.bind(("127.0.0.1", 8080))
        t.listen()


async def serve(loop, factory):
    await loop.create_server(factory, "0.0.0.0", 80, reuse_port=True)


def client():
    socket.create_connection(("127.0.0.1", 80))
"""


@pytest.fixture
def source(tmp_path: Path) -> Path:
    path = tmp_path / "server.py"
    path.write_text(SOURCE, encoding="utf-8")
    return path


def test_a_source_becomes_scenarios(source: Path) -> None:
    made = {one.name.rpartition(", ")[2]: one for one in programs(str(source))}
    assert {name: one.does.text for name, one in made.items()} == {
        "Server": "a=tcp6 a.bind=:: a.listen",
        "datagrams": "a=udp4 a.bind=0.0.0.0",
        "careful": "a=tcp4 a.reuseaddr=1 a.bind=127.0.0.1 a.listen",
        "serve": "a=tcp4 a.reuseaddr=1 a.reuseport=1 a.bind=0.0.0.0 a.listen",
    }
    windows = made["careful"].on("windows")
    assert windows is not None
    assert windows.text == "a=tcp4 a.bind=127.0.0.1 a.listen"


def test_findings_point_into_the_source(source: Path, capsys: Capture) -> None:
    assert main(["misuse", "--json", str(source)]) == 1
    rows = json.loads(capsys.readouterr().out)
    places = {row["pattern"]: row["place"].removeprefix(f"{source}:") for row in rows}
    assert places["v6only-default"] == "8:9"
    assert places["listen-error-ignored"] == "12:13"
    assert places["options-in-one-call"] == "19:5"
    assert places["reuseport-does-not-balance"] == "32:65"
    assert [row["place"] for row in rows] == [
        row["place"] for row in sorted(rows, key=lambda row: _order(row["place"]))
    ]
    assert not any(
        harm["os"] == "windows" for row in rows if row["pattern"] == "reuseaddr-opens-the-port" for harm in row["hurts"]
    )


def _order(place: str) -> tuple[int, int]:
    _, line, column = place.rsplit(":", 2)
    return int(line), int(column)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("def f(:\n", "bad.py:1:7: not Python"),
        ("x = 1\n", "bad.py: no bind() was found in this source"),
        ("\0", "bad.py: not Python"),
    ],
)
def test_a_bad_source_is_one_line(text: str, message: str, tmp_path: Path, capsys: Capture) -> None:
    path = tmp_path / "bad.py"
    path.write_text(text, encoding="utf-8")
    assert main(["misuse", str(path)]) == 2
    err = capsys.readouterr().err
    assert message in err
    assert err.count("\n") == 1


def test_every_mark_is_used_by_a_pattern() -> None:
    used = {mark for one in patterns() for fact, marks in one.match if fact == "marks" for mark in marks}
    assert used == set(MARKS)


# -- the command


def test_the_command(capsys: Capture) -> None:
    assert main(["misuse", "a=tcp6 a.reuseaddr=1 a.bind=:: a.listen", "--os", "windows"]) == 1
    out = capsys.readouterr().out
    assert out.startswith("scenario:1:8: reuseaddr-opens-the-port: SO_REUSEADDR on a TCP listener, for a restart\n")
    assert "scenario:1:22: v6only-default: IPV6_V6ONLY is left to the system\n    a.bind=::\n    windows: IPv4 " in out
    assert out.endswith("2 findings\n")


def test_nothing_found(capsys: Capture) -> None:
    assert main(["misuse", "a=udp4 a.bind=127.0.0.1"]) == 0
    assert capsys.readouterr().out == "nothing found\n"


def test_a_pattern_can_be_left_out(capsys: Capture) -> None:
    arguments = ["misuse", "a=tcp6 a.bind=::1 a.listen"]
    assert main(arguments) == 1
    assert main([*arguments, "--ignore", "no-reuseaddr"]) == 0
    capsys.readouterr()


def test_a_trace_and_a_file_of_scenarios(tmp_path: Path, capsys: Capture) -> None:
    assert main(["misuse", str(DATA / "cases" / "misc.txt")]) in (0, 1)
    path = tmp_path / "scenarios.txt"
    path.write_text("# one\n\n  a=tcp6  a.bind=:: a.listen\n", encoding="utf-8")
    assert main(["misuse", str(path), "--os", "windows"]) == 1
    assert f"{path}:3:9: v6only-default" in capsys.readouterr().out
