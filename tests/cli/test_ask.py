"""``ask``: rows of releases, the short form, what goes wrong in one line."""

from __future__ import annotations

import io
import json
from dataclasses import replace
from pathlib import Path

import pytest
from bindmatrix.answers import ask
from bindmatrix.answers.common_questions import COMMON_QUESTIONS
from bindmatrix.answers.headline import headline
from bindmatrix.answers.questions import LISTED_PRESETS, PRESETS, scenario_text
from bindmatrix.cli.main import main
from bindmatrix.cli.short_form import read
from bindmatrix.errors import Problem
from bindmatrix.notation import GLOBALS, OPTIONS, SOCKET_KINDS, VERBS, parse
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
    assert lines[0].startswith("Every call succeeds on 9 of 11 systems. b.bind fails with EADDRINUSE on Linux.")
    assert CLASSIC in " ".join(out.split())
    head = next(line for line in lines if line.startswith("system "))
    assert head.split() == ["system", "b.bind=127.0.0.1", "known", "by"]
    rows = [line.split()[0] for line in lines[lines.index(head) :] if not line.startswith(" ")]
    assert rows[1:4] == ["linux", "macos", "windows"]
    assert any(line.startswith("linux 5.10 - 7.3.4") and " EADDRINUSE " in line for line in lines)
    assert any(line.startswith("freebsd") and " ok " in line for line in lines)
    assert "(linux.tcp-conflict)" in out
    assert max(map(len, lines)) <= 80
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


@pytest.mark.parametrize(
    "question", ["tcp reuseport 0.0.0.0 4 workers", "tcp reuseaddr 0.0.0.0 restart", "udp reuseport_lb :: receives"]
)
def test_a_wide_table_stays_a_table_in_80_columns(question: str) -> None:
    scenario = read(question).scenario
    found = ask.answers(scenario)
    lines = ["".join(word for word, _ in line) for line in ask_text.lines(scenario, found, 80)]
    assert max(map(len, lines)) <= 80
    head = next(index for index, line in enumerate(lines) if line.startswith("system "))
    rows = [line for line in lines[head + 1 :] if line and not line.startswith((" ", "note:"))]
    assert len(rows) == len(found)
    assert not any("[" in line for line in rows)
    known = lines[head].index("known by")
    assert all(line[known - 1] == " " and line[known:].strip() for line in rows)


def test_the_headline_says_who_receives_and_who_lacks_the_option() -> None:
    scenario = read("tcp reuseport 0.0.0.0 receives").scenario
    said = headline(scenario, ask.answers(scenario, ["linux", "macos", "windows"]))
    assert said.startswith("Every call succeeds on Linux and macOS. Windows has no SO_REUSEPORT.")
    assert "Received by a and b, shared between them on Linux; by " in said
    same = read("tcp 127.0.0.1").scenario
    group = parse("a=udp4 a.reuseaddr=1 a.bind=0.0.0.0 b=udp4 b.reuseaddr=1 b.bind=0.0.0.0 deliver=224.0.0.1")
    said = headline(group, ask.answers(group, ["linux", "windows"]))
    assert said.endswith("Received by nobody on Linux. Who receives on Windows is not known.")
    assert headline(same, ask.answers(same)) == "b.bind fails with EADDRINUSE on all 11 systems."


def test_a_lacking_option_is_said(capsys: pytest.CaptureFixture[str]) -> None:
    _, out, _ = run_ask(capsys, "tcp", "reuseport_lb", "0.0.0.0")
    assert "has no SO_REUSEPORT_LB" in out
    assert any(line.startswith("freebsd") and "ENOPROTOOPT" not in line for line in out.splitlines())


def test_a_known_divergence_is_marked(capsys: pytest.CaptureFixture[str]) -> None:
    words = ["tcp6", "dual", "::ffff:0.0.0.0", "::ffff:127.0.0.1", "--os", "linux", "--release", "6.1.192"]
    _, out, _ = run_ask(capsys, *words)
    assert "linux 6.1.192  ok*" in out
    assert "known divergence (linux.mapped-wildcard-overlooked): the rules say EADDRINUSE" in " ".join(out.split())
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
    assert read(question).scenario.text == scenario


@pytest.mark.parametrize(
    ("question", "exact"),
    [
        ("TCP SO_REUSEADDR [::]:8080 0.0.0.0:8080", "tcp reuseaddr :: 0.0.0.0"),
        ("udp reuseaddr,reuseport 0.0.0.0", "udp reuseaddr reuseport 0.0.0.0"),
        ("0.0.0.0 reuseport udp", "udp reuseport 0.0.0.0"),
        ("tcp localhost", "tcp 127.0.0.1"),
        ("tcp6 localhost:80", "tcp6 ::1"),
        ("tcp *:80 any", "tcp 0.0.0.0"),
        ("tcp6 *", "tcp6 ::"),
        ("udp [::1] / SO_REUSEPORT=1", "udp ::1 / reuseport"),
        ("udp 0.0.0.0:0", "udp 0.0.0.0,0"),
        ("tcp 8080", "tcp 0.0.0.0"),
        ("tcp6 8080", "tcp6 ::"),
        ("tcp :::8080", "tcp ::"),
        ("TCP", "tcp 0.0.0.0"),
        ("SO_REUSEPORT udp", "udp reuseport 0.0.0.0"),
        ("udp v6only", "udp v6only ::"),
        ("tcp reuseport :: workers=3", "tcp reuseport :: 3 workers"),
    ],
)
def test_what_people_type_first_is_read(question: str, exact: str) -> None:
    assert read(question).scenario == read(exact).scenario


def test_how_a_word_was_read_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    status, out, _ = run_ask(capsys, "tcp", "[::]:8080", "--os", "linux")
    assert status == 0
    assert "note: '[::]:8080' is read as '::'" in out
    assert "number of the port does not matter" in out
    _, out, _ = run_ask(capsys, "tcp", "::", "--os", "linux")
    assert "note:" not in out


@pytest.mark.parametrize(
    ("question", "scenario"),
    [
        (
            "tcp reuseaddr 0.0.0.0 restart",
            (
                "a=tcp4 a.reuseaddr=1 a.bind=0.0.0.0 a.listen c=remote4 c.connect=192.0.2.1 x=a.accept x.close c.read "
                "c.close a.close b=tcp4 b.reuseaddr=1 b.bind=0.0.0.0 b.listen"
            ),
        ),
        (
            "tcp :: restart local",
            (
                "a=tcp6 a.bind=:: a.listen c=tcp6 c.connect=::1 x=a.accept x.close c.read c.close a.close "
                "b=tcp6 b.bind=:: b.listen"
            ),
        ),
        (
            "udp 0.0.0.0 / reuseaddr 127.0.0.1 other-user receives",
            "user=1001 a=udp4 a.bind=0.0.0.0 user=0 user=1002 b=udp4 b.reuseaddr=1 b.bind=127.0.0.1 deliver=127.0.0.1",
        ),
        (
            "tcp reuseport 127.0.0.1 3 workers",
            " ".join(f"{one}=tcp4 {one}.reuseport=1 {one}.bind=127.0.0.1 {one}.listen" for one in "abc")
            + " deliver=127.0.0.1",
        ),
        ("tcp reuseport ::1 after-bind", "a=tcp6 a.bind=::1 a.reuseport=1 b=tcp6 b.bind=::1 b.reuseport=1"),
        (
            "udp 224.0.0.251 receives",
            (
                "a=udp4 a.bind=224.0.0.251 a.join=224.0.0.251 b=udp4 b.bind=224.0.0.251 b.join=224.0.0.251 "
                "deliver=224.0.0.251"
            ),
        ),
    ],
)
def test_the_short_form_knows_situations(question: str, scenario: str) -> None:
    assert read(question).scenario.text == scenario


@pytest.mark.parametrize(
    ("question", "message"),
    [
        ("tcp SO_LINGER ::", "'SO_LINGER' is not modelled: it changes how close() ends a connection"),
        ("a=tcp4 a.bindtodevice=1", "'bindtodevice' is not modelled: the sockets of a scenario are on one interface"),
        ("udp reuseaddr 0.0.0.0 restart", "a restart is about TIME_WAIT, which connections leave; expected 'tcp'"),
        ("tcp reuseport :: 9 workers", "expected 2 to 8 workers, got 9"),
    ],
)
def test_what_cannot_be_asked_says_why(capsys: pytest.CaptureFixture[str], question: str, message: str) -> None:
    status, _, err = run_ask(capsys, *question.split()) if "=" not in question else run_ask(capsys, question)
    assert status == 2
    assert message in err
    assert "did you mean" not in err


def test_a_port_that_the_kernel_chooses_points_at_ports(capsys: pytest.CaptureFixture[str]) -> None:
    assert "bindmatrix ports" in run_ask(capsys, "udp", "reuseaddr", "0.0.0.0:0", "--os", "linux")[1]


# -- what people ask


def test_without_arguments_it_opens_with_what_people_ask(capsys: pytest.CaptureFixture[str]) -> None:
    status, out, _ = run_ask(capsys)
    assert status == 0
    assert max(map(len, out.splitlines())) <= 80
    assert [line.removeprefix("    bindmatrix ask ") for line in out.splitlines() if line.startswith("    ")] == [
        one.line for one in COMMON_QUESTIONS
    ]


def test_every_common_question_is_one_line_and_one_preset() -> None:
    """The fifteen questions of the issue trackers: a line that a person would type, and one click in the explorer."""
    assert len(COMMON_QUESTIONS) == 15
    presets = {one.question: scenario_text(one.choice) for one in PRESETS}
    presets |= {question: text for _, question, text in LISTED_PRESETS}
    for one in COMMON_QUESTIONS:
        scenario = read(one.line.partition(" --os")[0]).scenario
        # the explorer asks who receives, too
        assert presets[one.preset].partition(" deliver=")[0] == scenario.text.partition(" deliver=")[0], one.question
        found = ask.answers(scenario, ["linux", "freebsd"])
        assert headline(scenario, found), one.question


def test_help_explains_the_notation(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["help", "notation"]) == 0
    out = capsys.readouterr().out
    assert max(map(len, out.splitlines())) <= 80
    for word in (*VERBS, *GLOBALS, *OPTIONS, *SOCKET_KINDS):
        assert word in out, word
    assert main(["help", "notaton"]) == 2
    assert "did you mean 'notation'?" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("question", "message", "column"),
    [
        ("udp reusport ::", "did you mean 'reuseport'?", 5),
        ("upd reuseport ::", "did you mean 'udp'?", 1),
        ("unix reuseaddr", "expected an address, as in 'unix /x'", 15),
        ("udp / ::", "expected one '/'", 5),
        ("udp :: / ::1 / ::", "expected one '/'", 14),
        ("udp :: ::1 127.0.0.1", "two addresses at the most", 12),
        ("udp :: ::1 / ::", "one address before the '/'", 1),
        ("udp :: / :: ::1", "two addresses at the most", 13),
        ("reuseport ::", "say 'bindmatrix ask tcp reuseport ::' or 'bindmatrix ask udp reuseport ::'", 0),
        ("restart [::]:8080", "say 'bindmatrix ask tcp restart [::]:8080'", 0),
        ("tcp :: linux", "say '--os linux'", 8),
        ("go-http", "say 'bindmatrix ask --runtime go-http'", 1),
        ("can I restart at once", "'bindmatrix ask' prints what people ask", 1),
    ],
)
def test_short_form_points_at_what_is_wrong(question: str, message: str, column: int) -> None:
    with pytest.raises(Problem) as caught:
        read(question)
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
        (["no-such-file.txt"], "no-such-file.txt: cannot be read"),
        (["./no-such-file"], "no-such-file: cannot be read"),
        (["[::]:8080"], "say 'bindmatrix ask tcp [::]:8080'"),
        (["localhost"], "say 'bindmatrix ask tcp localhost'"),
        (["8080"], "say 'bindmatrix ask tcp 8080'"),
        (["SO_REUSEADDR"], "say 'bindmatrix ask tcp SO_REUSEADDR'"),
        (["why"], "unknown word 'why'"),
        (["tcp", "0.0.0.0", "--os", "no-such.yaml"], "no-such.yaml: cannot be read"),
    ],
)
def test_bad_input(capsys: pytest.CaptureFixture[str], words: list[str], message: str) -> None:
    status, out, err = run_ask(capsys, *words)
    assert status == 2
    assert message in err
    assert "Traceback" not in err
    assert out == ""
