"""Expectation files that cannot be read: every problem with its place, what was expected, all of them at once."""

from __future__ import annotations

from pathlib import Path

import pytest
from bindmatrix.cli.main import main
from bindmatrix.errors import Problems
from bindmatrix.rules import divergences
from bindmatrix.rules.loader import load, loads

GOOD = """\
os: demo
title: Demo
covers: {from: "1.0", to: "2.0"}
stack:
  local: [127.0.0.0/8, "::1/128"]
  v6only-default: 0
  options: {reuseaddr: now, reuseport: now, reuseport_lb: absent, exclusive: absent, exclbind: absent, v6only: now}
  occupies: {ipv4: [ipv4], mapped: [ipv4], dual: [ipv6, ipv4], ipv6: [ipv6]}
set:
  - id: demo.set
    otherwise: allow
    why: plain bits
    evidence: [{documentation: "setsockopt(2)"}]
bind:
  - id: demo.conflict
    ask: every
    when: {existing.overlaps: yes}
    unless: {both.reuseaddr: yes}
    refuse: EADDRINUSE
    why: it is taken
    evidence: [{source: "demo.c bind()", release: "1.0"}]
  - id: demo.free
    otherwise: allow
    why: nobody is in the way
    evidence: [{documentation: "bind(2)"}]
listen:
  - id: demo.listen
    otherwise: allow
    why: nothing is checked
    evidence: [{documentation: "listen(2)"}]
"""

CONFLICT = """\
    ask: every
    when: {existing.overlaps: yes}
    unless: {both.reuseaddr: yes}
    refuse: EADDRINUSE
"""

#: what is wrong, what to replace by what in GOOD, where it is reported (line:column), words of the message
BAD = [
    (
        "duplicate-key",
        "    ask: every\n",
        "    ask: every\n    ask: first\n",
        "17:5",
        "'ask' stands twice; the first is in line 16",
    ),
    ("unknown-fact", "existing.overlaps", "existing.overlap", "17:12", "did you mean 'existing.overlaps'?"),
    (
        "unknown-value",
        "both.reuseaddr: yes",
        "both.reuseaddr: maybe",
        "18:30",
        "unknown 'maybe' as a value of both.reuseaddr",
    ),
    ("every-value", "both.reuseaddr: yes", "both.reuseaddr: [yes, no]", "18:14", "says nothing; drop it"),
    (
        "no-evidence",
        '    evidence: [{source: "demo.c bind()", release: "1.0"}]\n',
        "",
        "15:5",
        "'demo.conflict' has no evidence",
    ),
    ("unknown-kind", '{source: "demo.c bind()"', '{sauce: "demo.c bind()"', "21:17", "did you mean 'source'?"),
    ("no-why", "    why: it is taken\n", "", "15:5", "does not say why"),
    ("duplicate-id", "demo.free", "demo.conflict", "22:9", "taken by the rule in line 15"),
    ("bad-id", "demo.free", "Free", "22:9", "expected an id such as"),
    (
        "no-otherwise",
        "    otherwise: allow\n    why: nobody",
        "    when: {new.bound: no}\n    allow: yes\n    why: nobody",
        "22:5",
        "must be 'otherwise",
    ),
    ("early-otherwise", CONFLICT, "    otherwise: EADDRINUSE\n", "15:5", "can never decide; move it to the end"),
    ("no-outcome", "    refuse: EADDRINUSE\n", "", "15:5", "expected one of 'refuse', 'allow'"),
    (
        "two-outcomes",
        "    refuse: EADDRINUSE\n",
        "    refuse: EADDRINUSE\n    allow: yes\n",
        "15:5",
        "expected one of 'refuse', 'allow'",
    ),
    ("unknown-errno", "EADDRINUSE", "EADDRINUS", "19:13", "did you mean 'EADDRINUSE'?"),
    ("unknown-ask", "ask: every", "ask: nearest", "16:10", "expected every, closest, first, each-address"),
    ("no-ask", "    ask: every\n", "", "16:12", "is about an existing socket; the rule needs 'ask'"),
    ("unknown-key", "    ask: every\n", "    asks: every\n", "16:5", "did you mean 'ask'?"),
    ("unknown-section", "listen:", "listens:", "26:1", "did you mean 'listen'?"),
    ("missing-section", "title: Demo\n", "", "1:1", "'title' is missing"),
    ("missing-option", ", v6only: now}", "}", "7:12", "'v6only' is missing in 'options'; write 'v6only: absent'"),
    ("unknown-time", "reuseport: now", "reuseport: later", "7:40", "unknown 'later' as when reuseport counts"),
    ("bad-network", "127.0.0.0/8", "127.0.0.1/8", "5:11", "expected a network such as 127.0.0.0/8"),
    ("bad-release", 'from: "1.0"', "from: first", "3:16", "expected a release such as '6.12.43', got 'first'"),
    ("bad-evidence-release", 'release: "1.0"', 'release: "the first"', "21:51", "expected a release"),
    (
        "not-a-list",
        "bind:\n  - id: demo.conflict\n    ask: every\n",
        "bind:\n    id: demo.conflict\n    ask: every\n",
        "22:3",
        "not YAML",
    ),
    (
        "a-word",
        "unless: {both.reuseaddr: yes}",
        "unless: both.reuseaddr",
        "18:13",
        "expected facts as 'key: value' pairs",
    ),
    ("nothing", "why: it is taken", "why:", "20:9", "expected the reason, got nothing"),
    ("tab", "    ask: every", "\task: every", "16:1", "not YAML"),
    ("garbage", "bind:\n", "bind: }{\n", "14:7", "not YAML"),
    ("unclosed", 'covers: {from: "1.0", to: "2.0"}', 'covers: {from: "1.0", to: "2.0"', "4:", "not YAML"),
    ("no-release", 'to: "2.0"}', 'to: "2.0", last: [six]}', "3:", "expected a release"),
    ("no-list", 'to: "2.0"}', 'to: "2.0", last: 6}', "3:", "expected 'last' as a list"),
    ("several-documents", "listen:", "---\nlisten:", "26:1", "not YAML"),
]


@pytest.mark.parametrize(("old", "new", "where", "words"), [row[1:] for row in BAD], ids=[row[0] for row in BAD])
def test_a_problem_says_where_and_what(old: str, new: str, where: str, words: str) -> None:
    assert GOOD.count(old) >= 1
    text = GOOD.replace(old, new, 1)
    with pytest.raises(Problems) as raised:
        loads(text, "demo.yaml")
    shown = str(raised.value)
    assert words in shown
    at = [str(problem.place) for problem in raised.value.problems if words in problem.message]
    assert any(place.startswith(f"demo.yaml:{where}") for place in at), shown


def test_the_good_file_is_good() -> None:
    assert [rule.id for rule in loads(GOOD, "demo.yaml").all_rules()] == [
        "demo.set",
        "demo.conflict",
        "demo.free",
        "demo.listen",
    ]


def test_scalars_stay_as_they_are_written() -> None:
    expectations = loads(GOOD.replace('to: "2.0"', "to: 14.10"), "demo.yaml")
    assert expectations.covers == ("1.0", "14.10")


def test_a_tag_makes_no_object() -> None:
    assert (
        loads(GOOD.replace("Demo", "!!python/object/apply:os.abort []", 1).replace(" []", " Demo"), "d").title == "Demo"
    )


def test_all_problems_at_once_and_in_order() -> None:
    text = (
        GOOD.replace("existing.overlaps", "existing.overlap")
        .replace("EADDRINUSE", "EADDRINUS")
        .replace("title", "tilte")
    )
    with pytest.raises(Problems) as raised:
        loads(text, "demo.yaml")
    lines = [problem.place.line for problem in raised.value.problems]
    assert lines == sorted(lines)
    assert {1, 2, 17, 19} == set(lines)


def test_a_problem_shows_the_line_with_a_caret() -> None:
    with pytest.raises(Problems) as raised:
        loads(GOOD.replace("EADDRINUSE", "EADDRINUS"), "demo.yaml")
    assert str(raised.value).splitlines()[1:] == ["      refuse: EADDRINUS", "              ^^^^^^^^^"]


@pytest.mark.parametrize("text", ["", "\n\n", "# nothing but words\n"])
def test_an_empty_file(text: str) -> None:
    with pytest.raises(Problems) as raised:
        loads(text, "demo.yaml")
    assert "expected an expectation file, got an empty one" in str(raised.value)


@pytest.mark.parametrize("text", ["just words", "- a\n- list\n", "3"])
def test_something_else_than_an_expectation_file(text: str) -> None:
    with pytest.raises(Problems) as raised:
        loads(text, "demo.yaml")
    assert "expected an expectation file as 'key: value' pairs" in str(raised.value)


def test_not_utf8(tmp_path: Path) -> None:
    file = tmp_path / "demo.yaml"
    file.write_bytes(GOOD.encode().replace(b"Demo", b"D\xe9mo"))
    with pytest.raises(Problems) as raised:
        load(file)
    assert "not UTF-8 at byte" in str(raised.value)


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(Problems) as raised:
        load(tmp_path / "demo.yaml")
    assert "cannot be read: No such file or directory" in str(raised.value)


@pytest.mark.parametrize("verb", ["lint", "predict"])
def test_the_command_says_it_in_one_go_and_ends_with_2(
    verb: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "demo.yaml"
    file.write_text(
        GOOD.replace("existing.overlaps", "existing.overlap").replace("EADDRINUSE", "EADDRINUS"), encoding="utf-8"
    )
    arguments = ["lint", str(file)] if verb == "lint" else ["predict", "--os", str(file), "a=tcp4"]
    assert main(arguments) == 2
    shown = capsys.readouterr().err
    assert f"{file}:17:12: unknown 'existing.overlap'" in shown
    assert f"{file}:19:13: unknown 'EADDRINUS'" in shown
    assert "Traceback" not in shown


DIVERGENCE = """\
- id: demo.odd
  instead-of: demo.conflict
  ask: every
  when: {existing.overlaps: yes}
  refuse: EACCES
  why: an odd one
  evidence: [{report: "somebody"}]
"""


@pytest.mark.parametrize(
    ("old", "new", "where", "words"),
    [
        ("demo.conflict", "demo.conflicts", "2:15", "did you mean 'demo.conflict'?"),
        ("  instead-of: demo.conflict\n", "", "1:3", "expected 'instead-of: RULE' or 'before: RULE'"),
        ("existing.overlaps", "existing.overlap", "4:10", "did you mean 'existing.overlaps'?"),
        ('  evidence: [{report: "somebody"}]\n', "", "1:3", "has no evidence"),
    ],
)
def test_divergences_that_cannot_be_read(old: str, new: str, where: str, words: str) -> None:
    expectations = loads(GOOD, "demo.yaml")
    assert divergences.loads(DIVERGENCE, "odd.yaml", expectations)
    with pytest.raises(Problems) as raised:
        divergences.loads(DIVERGENCE.replace(old, new), "odd.yaml", expectations)
    assert f"odd.yaml:{where}: " in str(raised.value)
    assert words in str(raised.value)


def test_a_delivery_may_end_with_any_errno() -> None:
    """Failed first: a closed list stood behind the documented errno names, and ECONNRESET was not in it."""
    rule = '  - {id: demo.nobody, pick: ECONNRESET, why: a reset, evidence: [{documentation: "tcp(7)"}]}\n'
    text = f"{GOOD}deliver:\n{rule}"
    assert loads(text, "demo.yaml").by_id["demo.nobody"].pick == "ECONNRESET"  # type: ignore[attr-defined]
    with pytest.raises(Problems, match="unknown 'ECONNREST'"):
        loads(text.replace("ECONNRESET", "ECONNREST"), "demo.yaml")
