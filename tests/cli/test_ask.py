"""``ask``: rows of releases, the short form, what goes wrong in one line."""

from __future__ import annotations

import io
import json
import re
from dataclasses import replace
from pathlib import Path

import pytest
from bindmatrix.answers import ask
from bindmatrix.cli.main import main
from bindmatrix.cli.short_form import plain_words, short_form
from bindmatrix.errors import Problem
from bindmatrix.notation import GLOBALS, VERBS, parse
from bindmatrix.oracle.variants import variants
from bindmatrix.report import ask_text
from bindmatrix.report.console import show
from bindmatrix.rules import catalog, loader
from bindmatrix.rules.boundaries import ranges, stretches

CLASSIC = "a=tcp4 a.reuseaddr=1 a.bind=0.0.0.0 a.listen b=tcp4 b.reuseaddr=1 b.bind=127.0.0.1"

#: a system whose rules change on the main branch, on a stable one and on one with a name
TOY = """\
os: toy
title: Toy
covers: {from: "5.10", to: "7.3"}
names: {old: "5.10"}
stack:
  local: [127.0.0.0/8]
  v6only-default: 0
  options: {reuseaddr: now, reuseport: absent, reuseport_lb: absent, exclusive: absent, exclbind: absent, v6only: now}
  occupies: {ipv4: [ipv4], mapped: [ipv4], dual: [ipv6, ipv4], ipv6: [ipv6]}
set:
  - {id: toy.set, otherwise: allow, why: bits, evidence: [{documentation: "set(2)"}]}
bind:
  - id: toy.forked
    since: {fork: "6.2"}
    ask: every
    when: {existing.overlaps: yes}
    refuse: EACCES
    why: the fork says it otherwise
    evidence: [{documentation: "bind(2)"}]
  - id: toy.taken
    until: {mainline: "7.0", "6.1": "6.1.5"}
    ask: every
    when: {existing.overlaps: yes}
    refuse: EADDRINUSE
    why: somebody is there
    evidence: [{documentation: "bind(2)"}]
  - {id: toy.free, otherwise: allow, why: nobody is there, evidence: [{documentation: "bind(2)"}]}
listen:
  - {id: toy.listen, otherwise: allow, why: nothing is asked, evidence: [{documentation: "listen(2)"}]}
"""


@pytest.fixture
def toy(tmp_path: Path) -> str:
    path = tmp_path / "toy.yaml"
    path.write_text(TOY, encoding="utf-8")
    return str(path)


def run_ask(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, str, str]:
    status = main(["ask", *words])
    out, err = capsys.readouterr()
    return status, out, err


# -- releases


def test_stretches_begin_where_a_rule_or_a_branch_does(toy: str) -> None:
    found = stretches(loader.load(Path(toy)))
    assert [(one.branch, one.first, one.last) for one in found] == [
        ("", "5.10", "6.0"),
        ("", "6.1", "6.1.4"),
        ("", "6.1.5", "6.1.x"),
        ("", "6.2", "6.x"),
        ("", "7.0", "7.3"),
        ("fork", "5.10", "6.0"),
        ("fork", "6.1", "6.1.4"),
        ("fork", "6.1.5", "6.1.x"),
        ("fork", "6.2", "7.3"),
    ]


def test_no_stretch_begins_after_the_last_release_of_a_number(toy: str) -> None:
    loaded = loader.load(Path(toy))
    assert loaded.last == ()
    found = stretches(replace(loaded, last=("6.1",)))
    assert [(one.first, one.last) for one in found if not one.branch] == [
        ("5.10", "6.0"),
        ("6.1", "6.1.4"),
        ("6.1.5", "6.x"),
        ("7.0", "7.3"),
    ]


def test_ranges_join_neighbours_and_use_names(toy: str) -> None:
    expectations = loader.load(Path(toy))
    every = stretches(expectations)
    assert ranges(expectations, every, every) == ["old - 7.3", "fork-5.10 - 7.3"]
    assert ranges(expectations, [every[0], every[1], every[3]], every) == ["old - 6.1.4", "6.2 - 6.x"]


@pytest.mark.parametrize("os", catalog.names())
def test_stretches_are_alike_inside(os: str) -> None:
    """Each release of a row has the rules that the row was answered with; every recorded release is in one."""
    expectations = catalog.expectations(os)
    for variant in variants(expectations):
        for stretch in variant.stretches:
            release = f"{stretch.branch}-{stretch.first}" if stretch.branch else stretch.first
            at = expectations.at(release)
            assert at.rules == variant.model.rules
            assert at.stack.options == variant.model.stack.options
    every = [stretch for variant in variants(expectations) for stretch in variant.stretches]
    assert sorted(every) == sorted(stretches(expectations))


def test_releases_that_answer_alike_share_a_row(toy: str) -> None:
    rows = ask.answers(parse("a=udp4 a.bind=0.0.0.0 b=udp4 b.bind=0.0.0.0"), [toy])
    assert [(row.label, row.outcomes[-1]) for row in rows] == [
        ("toy old - 6.1.4, 6.2 - 6.x, fork-5.10 - 6.1.4", "EADDRINUSE"),
        ("toy 6.1.5 - 6.1.x, 7.0 - 7.3, fork-6.1.5 - 6.1.x", "ok"),
        ("toy fork-6.2 - 7.3", "EACCES"),
    ]


# -- answers


def test_every_system_answers(capsys: pytest.CaptureFixture[str]) -> None:
    status, out, err = run_ask(capsys, "--json", CLASSIC)
    assert (status, err) == (0, "")
    rows = json.loads(out)
    assert {row["os"] for row in rows} == set(catalog.names())
    linux = next(row for row in rows if row["os"] == "linux")
    assert linux["outcomes"] == ["ok"] * 6 + ["EADDRINUSE"]
    assert (linux["step"], linux["rule"], linux["rules"][6]) == (6, "linux.tcp-conflict", "linux.tcp-conflict")
    assert linux["reason"]
    assert linux["confidence"]
    assert linux["releases"] == ["5.10 - 7.3.4"]


def test_a_system_that_is_named_twice_has_one_row(capsys: pytest.CaptureFixture[str]) -> None:
    _, once, _ = run_ask(capsys, "tcp", "0.0.0.0", "--os", "linux")
    assert run_ask(capsys, "tcp", "0.0.0.0", "--os", "linux", "--os", "linux") == (0, once, "")


def test_text_has_a_row_and_a_reason_for_each(capsys: pytest.CaptureFixture[str]) -> None:
    status, out, _ = run_ask(capsys, CLASSIC)
    assert status == 0
    lines = out.splitlines()
    assert lines[0] == CLASSIC
    assert lines[2].split() == ["system", "b.bind=127.0.0.1", "confidence"]
    assert any(line.startswith("linux 5.10 - 7.3.4") and " EADDRINUSE " in line for line in lines)
    assert any(line.startswith("freebsd") and " ok " in line for line in lines)
    assert "(linux.tcp-conflict)" in out
    assert max(map(len, lines)) <= 100
    assert "\x1b" not in out


def test_colours_on_a_terminal_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    scenario = parse(CLASSIC)
    text = ask_text.lines(scenario, ask.answers(scenario, ["linux"]))
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("TERM", "xterm-256color")
    coloured, plain = Terminal(), Terminal()
    show(text, coloured)
    monkeypatch.setenv("NO_COLOR", "1")
    show(text, plain)
    assert "\x1b[" in coloured.getvalue()
    assert "\x1b[" not in plain.getvalue()
    assert "EADDRINUSE" in plain.getvalue()


def test_many_columns_get_numbers() -> None:
    text = " ".join(f"{name}=udp4 {name}.bind=127.0.0.1" for name in "abcdefgh")
    scenario = parse(text)
    lines = ["".join(word for word, _ in line) for line in ask_text.lines(scenario, ask.answers(scenario))]
    assert "[4] b.bind=127.0.0.1" in lines
    assert max(map(len, lines)) <= 100


def test_a_lacking_option_is_said(capsys: pytest.CaptureFixture[str]) -> None:
    _, out, _ = run_ask(capsys, "tcp", "reuseport_lb", "0.0.0.0")
    assert "has no SO_REUSEPORT_LB" in out
    assert any(line.startswith("freebsd") and "ENOPROTOOPT" not in line for line in out.splitlines())


def test_a_known_divergence_is_marked(capsys: pytest.CaptureFixture[str]) -> None:
    words = ["tcp6", "dual", "::ffff:0.0.0.0", "::ffff:127.0.0.1", "--os", "linux", "--release", "6.1.192"]
    _, out, _ = run_ask(capsys, *words)
    assert "linux 6.1.192  ok*" in out
    assert "known divergence (linux.mapped-wildcard-overlooked): the rules say EADDRINUSE" in out
    _, out, _ = run_ask(capsys, *words, "--json")
    row = json.loads(out)[0]
    assert (row["outcomes"][-1], row["by_rules"][-1]) == ("ok", "EADDRINUSE")
    assert row["divergences"] == ["linux.mapped-wildcard-overlooked"]


def test_a_release_past_the_newest_is_answered_with_the_limit(capsys: pytest.CaptureFixture[str]) -> None:
    status, out, _ = run_ask(capsys, CLASSIC, "--os", "linux", "--release", "99.1")
    assert status == 0
    assert "linux 99.1" in out
    assert "note: 99.1 is past 7.3.4" in out


def test_names_of_releases_are_taken(capsys: pytest.CaptureFixture[str]) -> None:
    status, out, _ = run_ask(capsys, CLASSIC, "--os", "windows", "--release", "vista")
    assert status == 0
    assert "windows vista" in out


def test_a_file_of_scenarios_is_answered_one_by_one(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    path = tmp_path / "scenarios"
    path.write_text(f"# two\n{CLASSIC}\na=tcp4 a.bnd=::\na=udp4 a.bind=::1\n", encoding="utf-8")
    status, out, err = run_ask(capsys, str(path), "--os", "linux", "--json")
    assert status == 2
    assert [row["scenario"] for row in json.loads(out)] == [CLASSIC, "a=udp4 a.bind=::1"]
    assert err.startswith(f"{path}:3:8: unknown call or option 'bnd'")


# -- the short form


@pytest.mark.parametrize(
    ("question", "scenario"),
    [
        ("udp reuseport 0.0.0.0", "a=udp4 a.reuseport=1 a.bind=0.0.0.0 b=udp4 b.reuseport=1 b.bind=0.0.0.0"),
        ("tcp4 reuseaddr listen 0.0.0.0 127.0.0.1", CLASSIC),
        ("tcp ::1", "a=tcp6 a.bind=::1 b=tcp6 b.bind=::1"),
        ("tcp dual :: / 127.0.0.1", "a=tcp6 a.v6only=0 a.bind=:: b=tcp4 b.bind=127.0.0.1"),
        ("udp 0.0.0.0 / reuseaddr", "a=udp4 a.bind=0.0.0.0 b=udp4 b.reuseaddr=1 b.bind=0.0.0.0"),
        ("tcp listen :: / listen ::1", "a=tcp6 a.bind=:: a.listen b=tcp6 b.bind=::1 b.listen"),
        ("tcp4 0.0.0.0 / tcp6 v6only ::", "a=tcp4 a.bind=0.0.0.0 b=tcp6 b.v6only=1 b.bind=::"),
        (
            "udp reuseaddr reuseport 0.0.0.0 :: ",
            "a=udp4 a.reuseaddr=1 a.reuseport=1 a.bind=0.0.0.0 b=udp6 b.reuseaddr=1 b.reuseport=1 b.bind=::",
        ),
    ],
)
def test_short_form(question: str, scenario: str) -> None:
    assert short_form(question).text == scenario


@pytest.mark.parametrize(
    ("question", "meant", "noted"),
    [
        ("TCP SO_REUSEADDR 0.0.0.0", "tcp reuseaddr 0.0.0.0", 0),
        ("tcp reuseaddr,reuseport ::", "tcp reuseaddr reuseport ::", 0),
        ("tcp SO_EXCLUSIVEADDRUSE,listen ::1", "tcp exclusive listen ::1", 0),
        ("udp6 IPV6_V6ONLY ::", "udp6 v6only ::", 0),
        ("tcp 0.0.0.0:8080 127.0.0.1:80", "tcp 0.0.0.0 127.0.0.1", 2),
        ("tcp [::]:8080 [::1]", "tcp :: ::1", 2),
        ("tcp localhost", "tcp 127.0.0.1", 1),
        ("tcp6 localhost any", "tcp6 ::1 ::", 2),
        ("udp * / reuseport :53", "udp 0.0.0.0 / reuseport 0.0.0.0", 2),
        # these say what they mean
        ("tcp 127.0.0.1,0 ::1", "tcp 127.0.0.1,0 ::1", 0),
        ("unix /x @X", "unix /x @X", 0),
        ("tcp ::ffff:127.0.0.1", "tcp ::ffff:127.0.0.1", 0),
    ],
)
def test_what_people_type_is_read(question: str, meant: str, noted: int) -> None:
    words, notes = plain_words(question.split())
    assert (" ".join(words), len(notes)) == (meant, noted)


def test_an_address_that_was_written_in_another_way_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["ask", "tcp", "[::]:8080", "--os", "linux"]) == 0
    out, err = capsys.readouterr()
    assert out.startswith("a=tcp6 a.bind=:: b=tcp6 b.bind=::\n")
    assert err == "bindmatrix: [::]:8080 is read as ::; a scenario has one port, which is left out\n"
    assert main(["ask", "0.0.0.0:8080"]) == 2
    assert "expected a protocol first" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "why"),
    [
        (["tcp", "SO_BINDTODEVICE", "::"], "'SO_BINDTODEVICE' is not modelled: every scenario has the loopback"),
        (["a=tcp4 a.linger=1"], "'linger' is not modelled: connections end by close()"),
        (["a=udp4 a.sendto=127.0.0.1"], "'sendto' is not modelled: who receives is asked by deliver=ADDRESS"),
    ],
)
def test_what_no_scenario_has_is_said_with_its_reason(
    words: list[str], why: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["ask", *words]) == 2
    assert why in capsys.readouterr().err


def test_the_help_explains_every_step(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["ask", "--help"])
    text = capsys.readouterr().out
    for verb in [*VERBS, *GLOBALS, "accept"]:
        assert re.search(rf"^  .*\b{verb}\b", text, re.MULTILINE), verb


@pytest.mark.parametrize(
    ("question", "message", "column"),
    [
        ("udp reusport ::", "did you mean 'reuseport'?", 5),
        ("upd reuseport ::", "did you mean 'udp'?", 1),
        ("udp reuseport", "expected an address", 14),
        ("udp / ::", "expected one '/'", 5),
        ("udp :: / ::1 / ::", "expected one '/'", 14),
        ("udp :: ::1 127.0.0.1", "two addresses at the most", 12),
        ("udp :: ::1 / ::", "one address before the '/'", 1),
        ("udp :: / :: ::1", "two addresses at the most", 13),
        ("reuseport ::", "expected a protocol first", 1),
    ],
)
def test_short_form_points_at_what_is_wrong(question: str, message: str, column: int) -> None:
    with pytest.raises(Problem) as caught:
        short_form(question)
    assert message in caught.value.message
    assert caught.value.place.column == column


# -- bad input


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["a=tcp4 a.bnd=::"], "scenario:1:8: unknown call or option 'bnd'"),
        (["a=tcp4", "b.bind=::"], "scenario:1:8: 'b' is not a socket yet"),
        ([""], "expected a scenario"),
        (["tcp", "0.0.0.0", "--os", "linx"], "did you mean 'linux'?"),
        (["tcp", "0.0.0.0", "--os", "linux", "--release", "newest"], "expected a release such as"),
        (["tcp", "0.0.0.0", "--release", "5.10"], "needs exactly one --os"),
        (["tcp", "0.0.0.0", "--release", "5.10", "--os", "linux", "--os", "macos"], "needs exactly one --os"),
        (["tcp", "0.0.0.999"], "expected an IPv4 or IPv6 address, got '0.0.0.999'"),
        (["no-such-file"], "no-such-file: cannot be read"),
        (["tcp", "0.0.0.0", "--os", "no-such.yaml"], "no-such.yaml: cannot be read"),
    ],
)
def test_bad_input(capsys: pytest.CaptureFixture[str], words: list[str], message: str) -> None:
    status, out, err = run_ask(capsys, *words)
    assert status == 2
    assert message in err
    assert "Traceback" not in err
    assert out == ""
