"""The one form of expectation files: what ``lint --fix`` writes says what the file said, and is written once."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from bindmatrix.cli.main import main
from bindmatrix.rules import blocks, catalog, divergences
from bindmatrix.rules.formatter import formatted
from bindmatrix.rules.loader import loads
from bindmatrix.rules.model import Expectations, Rule
from hypothesis import given
from hypothesis import strategies as st

HEAD = """\
# Demo.  A system for tests.
os: demo
title: Demo
covers: {from: "1.0", to: "2.0"}

stack:
  local: [127.0.0.0/8, "::1/128"]
  v6only-default: 0                    # a sysctl
  options: {reuseaddr: now, reuseport: now, reuseport_lb: absent, exclusive: absent, exclbind: absent, v6only: now}
  occupies: {ipv4: [ipv4], mapped: [ipv4], dual: [ipv6, ipv4], ipv6: [ipv6]}
  sockets:
    unix: {as: unix}
"""

OLD = (
    HEAD
    + """
set:
  - id: demo.set
    otherwise: allow
    why: plain bits, at any time
    evidence: [{documentation: "setsockopt(2)"}]

bind:
  - id: demo.unix
    refuse: EADDRINUSE
    when: {new.form: path, existing.address: same}
    ask: every
    why: the file is there
    evidence: [{source: "unix.c bind()"}]
  - id: demo.bound-twice
    when: {new.bound: yes}
    refuse: EINVAL
    why: it has a port already
    evidence: [{source: "demo.c bind()", release: "1.0"}]
  # what conflicts
  - id: demo.conflict
    ask: every
    when: {new.protocol: tcp, existing.overlaps: yes}
    unless: [&shared {both.reuseaddr: yes, existing.listening: no}, {both.reuseport: yes}]   # the options
    refuse: EADDRINUSE
    why: it is taken
    evidence: &proof [{source: "demo.c bind()", release: "1.0"}, {test: "conflict.c"}]
  - id: demo.strict
    since: {mainline: "2.0", "1.0": "1.0.7"}
    ask: every
    when: {new.protocol: udp, existing.overlaps: yes}
    unless: *shared
    refuse: EADDRINUSE
    why: it is taken
    evidence: *proof
  - id: demo.free
    otherwise: allow
    why: nobody is in the way
    evidence: [{documentation: "bind(2)"}]
listen:
  - repeat: demo.conflict
  - id: demo.listen
    otherwise: allow
    why: nothing is checked
    evidence: [{documentation: "listen(2)"}]
"""
)

NEW = (
    HEAD
    + """
changes:
  demo.strict: {mainline: "2.0", "1.0": "1.0.7"}

define:
  shared: {both.reuseaddr: yes, existing.listening: no}

bind:
  socket:
    - {id: demo.bound-twice, when: {new.bound: yes}, refuse: EINVAL, why: it has a port already}
  tcp:
    # what conflicts
    - id: demo.conflict
      also: listen
      ask: every
      when: {existing.overlaps: yes}
      # the options
      unless:
        - shared
        - {both.reuseport: yes}
      refuse: EADDRINUSE
      why: it is taken
  udp:
    - id: demo.strict
      since: demo.strict
      ask: every
      when: {existing.overlaps: yes}
      unless: shared
      refuse: EADDRINUSE
      why: it is taken
  unix:
    - id: demo.unix
      ask: every
      when: {new.form: path, existing.address: same}
      refuse: EADDRINUSE
      why: the file is there
  any:
    - {id: demo.free, otherwise: allow, why: nobody is in the way}

listen:
  - {id: demo.listen, otherwise: allow, why: nothing is checked}

set:
  - {id: demo.set, otherwise: allow, why: "plain bits, at any time"}

evidence:
  demo.bound-twice: [{source: demo.c bind(), release: "1.0"}]
  demo.conflict:
    - {source: demo.c bind(), release: "1.0"}
    - {test: conflict.c}
  demo.strict:
    - {source: demo.c bind(), release: "1.0"}
    - {test: conflict.c}
  demo.unix: [{source: unix.c bind()}]
  demo.free: [{documentation: bind(2)}]
  demo.listen: [{documentation: listen(2)}]
  demo.set: [{documentation: setsockopt(2)}]
"""
)


def read(text: str) -> Expectations:
    return loads(text, "demo.yaml")


def test_the_older_form_becomes_the_new_one() -> None:
    assert formatted(OLD, read) == NEW
    assert blocks.difference(read(OLD), read(NEW)) == ""


def test_the_form_stays_as_it_is() -> None:
    assert formatted(NEW, read) == NEW


@pytest.mark.parametrize("os", catalog.names())
def test_the_files_are_in_the_form(os: str) -> None:
    path = Path(catalog.expectations(os).file)
    text = path.read_text(encoding="utf-8")
    assert formatted(text, read) == text, f"run 'bindmatrix lint --fix {path}'"
    assert max(map(len, text.splitlines())) <= 120
    assert not re.search(r"[&*][a-z-]+[ ,\]]", re.sub(r"#.*|(gloss|why):.*|\".*?\"", "", text)), "an anchor"


@pytest.mark.parametrize("os", ["linux", "macos", "netbsd"])
def test_the_divergences_are_in_the_form(os: str) -> None:
    path = catalog.folder() / "divergences" / f"{os}.yaml"
    text = path.read_text(encoding="utf-8")

    def entries(text: str) -> list[Rule]:
        return [one.rule for one in divergences.loads(text, str(path), catalog.expectations(os))]

    assert formatted(text, entries) == text, "run 'bindmatrix lint --fix'"


# -- any file

FACTS = ["new.bound", "new.reuseaddr", "both.reuseaddr", "both.reuseport", "existing.overlaps", "existing.listening"]
CONDITION = st.dictionaries(st.sampled_from(FACTS), st.sampled_from(["yes", "no"]), min_size=1, max_size=3)
WORDS = st.lists(
    st.sampled_from(["it", "is taken", "a: b", "#1", "`::`", "x, y", '"so"', "yes", "{", "it's", "123456789 " * 9]),
    min_size=1,
    max_size=6,
).map(" ".join)


def flow(condition: dict[str, str]) -> str:
    return "{" + ", ".join(f"{fact}: {value}" for fact, value in condition.items()) + "}"


@st.composite
def files(draw: st.DrawFn) -> tuple[str, int]:
    """A file in the older form with ``n`` rules beside the last; rule i has the comment ``note-i``."""
    text = HEAD + "bind:\n"
    count = draw(st.integers(1, 5))
    for number in range(count):
        protocol = draw(st.sampled_from(["", "new.protocol: tcp, ", "new.protocol: udp, ", "new.form: path, "]))
        asks = draw(st.booleans())
        when = flow(draw(CONDITION if asks else CONDITION.map(lambda one: {"new.bound": one.popitem()[1]})))
        keys = {
            "when": "{" + protocol + when[1:],
            "refuse": "EADDRINUSE",
            "why": "'" + draw(WORDS).replace("'", "''") + "'",
            "evidence": "[{source: 'a, b.c f()', release: '1.0'}]",
        }
        if draw(st.booleans()):
            keys["gloss"] = "'" + draw(WORDS).replace("'", "''") + "'"
        if asks:
            keys["ask"] = "every"
            listed = draw(st.lists(CONDITION.map(flow), max_size=3, unique=True))
            keys |= {"unless": "[" + ", ".join(listed) + "]"} if listed else {}
        if draw(st.booleans()):
            keys["until"] = draw(st.sampled_from(['"2"', "{mainline: 2.0}", "{mainline: 2.0, '1.0': 1.0.3}"]))
        text += f"  # note-{number}\n  - id: demo.r{number}\n"
        text += "".join(f"    {key}: {keys[key]}\n" for key in draw(st.permutations(sorted(keys))))
    last = "otherwise: allow, why: rest, evidence: [{test: t}]"
    return text + "".join(
        f"{section}  - {{id: demo.{name}, {last}}}\n"
        for section, name in (("", "free"), ("listen:\n", "listen"), ("set:\n", "set"))
    ), count


@given(files())
def test_any_file_says_the_same_in_the_form(drawn: tuple[str, int]) -> None:
    text, count = drawn
    before = read(text)
    after = formatted(text, read)
    assert blocks.difference(before, read(after)) == ""
    assert formatted(after, read) == after
    assert max(map(len, after.splitlines())) <= 120
    for number in range(count):
        note = after.index(f"# note-{number}\n")
        assert after[note:].partition("id: ")[2].startswith(f"demo.r{number}"), "a comment stays with its rule"


def test_one_name_stands_for_a_condition_in_any_order() -> None:
    """Three rules have it, so it gets a name; one has its terms, and values, in another order."""
    term, values = "new.reuseaddr: no", "existing.kind: [{}]"
    orders = [
        f"{{{term}, {values.format('specific, multicast')}}}",
        f"{{{term}, {values.format('specific, multicast')}}}",
        f"{{{values.format('multicast, specific')}, {term}}}",
    ]
    rules = "".join(
        f"  - {{id: demo.r{number}, ask: every, when: {{existing.overlaps: yes}}, unless: [{one}],\n"
        "     refuse: EADDRINUSE, why: x, evidence: [{test: t}]}\n"
        for number, one in enumerate(orders)
    )
    text = OLD.replace("  - id: demo.unix\n", rules + "  - id: demo.unix\n", 1)
    after = formatted(text, read)
    assert after.count("unless: not-new-reuseaddr-specific-or-multicast-kind\n") == 3


# -- order


def test_a_rule_moves_past_no_rule_that_it_overlaps() -> None:
    """The check without a protocol would go to the table at the top, past a conflict that comes before it."""
    conflict, check = OLD.index("  # what conflicts"), OLD.index("  - id: demo.bound-twice")
    swapped = OLD[:check] + OLD[conflict : OLD.index("  - id: demo.strict")] + OLD[check:conflict]
    swapped += OLD[OLD.index("  - id: demo.strict") :]
    after = read(formatted(swapped, read))
    order = [rule.id for rule in after.rules["bind"]]
    assert order.index("demo.conflict") < order.index("demo.bound-twice")


SECOND = "- {id: demo.second, when: {new.address: [wildcard, specific]}, refuse: EACCES, why: second}"
THIRD = "- {id: demo.third, when: {new.address: [specific, multicast]}, refuse: EINVAL, why: third}"
FOURTH = "- {id: demo.fourth, when: {new.address: multicast}, refuse: EBADF, why: fourth}"


def with_checks(*checks: str) -> Expectations:
    """The file with more checks of the new socket."""
    listed = "".join(f"    {check}\n" for check in checks)
    proofs = "".join(f"  demo.{name}: [{{test: t}}]\n" for name in ("second", "third", "fourth"))
    return read(NEW.replace("  socket:\n", "  socket:\n" + listed).replace("evidence:\n", "evidence:\n" + proofs))


def test_only_the_order_of_rules_that_exclude_each_other_is_free() -> None:
    written = with_checks(SECOND, THIRD, FOURTH)
    second, third, fourth = [written.by_id[f"demo.{name}"] for name in ("second", "third", "fourth")]
    assert not blocks.disjoint(second, third, written.stack)
    assert blocks.disjoint(second, fourth, written.stack)
    moved = blocks.difference(written, with_checks(THIRD, SECOND, FOURTH))
    assert moved == "'demo.third' is asked before 'demo.second' in 'bind'"
    assert blocks.difference(with_checks(SECOND, FOURTH, THIRD), with_checks(FOURTH, SECOND, THIRD)) == ""


def test_a_difference_is_found() -> None:
    def other(old: str, new: str) -> str:
        assert old in NEW
        return blocks.difference(read(NEW), read(NEW.replace(old, new, 1)))

    assert other("refuse: EINVAL", "refuse: EACCES") == "'demo.bound-twice' differs in 'bind'"
    assert other("{both.reuseport: yes}", "{both.reuseport: no}") == "'demo.conflict' differs in 'bind'"
    assert other("test: conflict.c", "test: other.c") == "'demo.conflict' differs in 'bind'"
    assert other("  socket:\n", "  vsock:\n").startswith("'demo.bound-twice' differs")
    assert other("      also: listen\n", "") == "'listen' has other rules"
    assert other("v6only-default: 0", "v6only-default: 1") == "'stack' differs"


# -- lines


def test_what_looks_like_a_comment_in_a_text_is_none() -> None:
    folded = "why: >-\n      it is\n      taken # 1\n      already\n"
    after = formatted(OLD.replace("why: the file is there\n", folded), read)
    assert 'why: "it is taken # 1 already"\n' in after
    assert not any(line.strip().startswith("# 1") for line in after.splitlines())


def test_a_long_comment_is_filled() -> None:
    words = " ".join(["comment"] * 40)
    after = formatted(OLD.replace("# what conflicts", f"# {words}"), read)
    lines = [line.strip().removeprefix("# ") for line in after.splitlines() if "comment comment" in line]
    assert " ".join(lines) == words
    assert len(lines) == 3


def test_a_setting_with_a_long_comment_has_it_above() -> None:
    after = formatted(OLD.replace("# a sysctl", "# " + "a sysctl " * 12), read)
    assert f"  # {('a sysctl ' * 12).strip()}\n  v6only-default: 0\n" in after


def test_a_new_change_takes_no_name_of_another() -> None:
    text = NEW.replace("since: demo.strict", 'since: demo.strict\n      until: {"1.0": "1.0.9", mainline: "2.0"}')
    text = text.replace("changes:\n", 'changes:\n  demo.strict-until: {"1.0": "1.0.8", mainline: "2.0"}\n')
    text = text.replace("- {id: demo.bound-twice,", "- {id: demo.bound-twice, until: demo.strict-until,")
    assert "until: demo.strict-until-again\n" in formatted(text, read)


# -- the command


def test_fix_writes_the_form_once(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "demo.yaml"
    file.write_text(OLD, encoding="utf-8")
    main(["lint", "--fix", str(file)])
    assert file.read_text(encoding="utf-8") == NEW
    assert f"wrote {file}" in capsys.readouterr().err
    main(["lint", "--fix", str(file)])
    assert "wrote" not in capsys.readouterr().err


def test_fix_leaves_a_file_that_cannot_be_read(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "demo.yaml"
    file.write_text(OLD.replace("EINVAL", "EINVALID"), encoding="utf-8")
    assert main(["lint", "--fix", str(file)]) == 2
    assert file.read_text(encoding="utf-8") == OLD.replace("EINVAL", "EINVALID")
    assert "unknown 'EINVALID' as an errno name" in capsys.readouterr().err
