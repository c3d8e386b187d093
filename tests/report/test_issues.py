"""Issues: known again by their key, and nothing of what a host said is markup."""

from __future__ import annotations

import re
from dataclasses import replace

from bindmatrix.judge.summary import Summary, VerdictGroup
from bindmatrix.report.issues import MARKER, _fenced, issues, key
from hypothesis import given
from hypothesis import strategies as st

from tests.report.pages import BOUND, two_hosts

EVIL = st.text(alphabet=st.sampled_from("`~#@<>!-[]()\n\r\t \\*_|&;:a0é\x00\x1b\u2028\u202e\U0001f600"), max_size=30)
HOSTS = two_hosts()


def summary(actual: str, facts: dict[str, str], scenario: str = BOUND) -> Summary:
    outcomes = ("ok", "ok", "ok", actual, "ok")
    group = VerdictGroup(
        "diverges", "linux.tcp-conflict", "bind", "EADDRINUSE", actual, 7, scenario, 3, outcomes, "why"
    )
    return replace(HOSTS[0].summary, groups=[group], host=facts)


def test_one_issue_a_group_that_diverges() -> None:
    found = HOSTS[0].summary
    (issue,) = issues("ubuntu-24.04", found, "https://example.org/runs/1")
    assert issue.key == key("ubuntu-24.04", BOUND)
    assert issue.title == "ubuntu-24.04: bind gave ok where linux.tcp-conflict expects EADDRINUSE"
    assert issue.body.startswith(MARKER.format(issue.key) + "\n")
    assert "b.bind=127.0.0.1  ok    <-- expected EADDRINUSE" in issue.body
    assert f"bindmatrix reproduce '{BOUND}'" in issue.body
    assert issue.body.endswith("Found by https://example.org/runs/1\n")
    assert issues("x", HOSTS[1].summary) == []


def test_the_key_is_of_the_host_and_the_scenario_alone() -> None:
    one = issues("a", summary("ok", {"release": "6.11.0-1018"}))[0]
    other = issues("a", summary("EINVAL", {"release": "6.11.0-1019"}))[0]
    assert one.key == other.key
    assert one.key != issues("b", summary("ok", {}))[0].key
    assert one.key != issues("a", summary("ok", {}, "a=udp4 a.bind=::1"))[0].key
    assert re.fullmatch("[0-9a-f]{16}", one.key)


@given(EVIL, EVIL, EVIL)
def test_what_a_host_said_stays_in_its_block(actual: str, name: str, value: str) -> None:
    (issue,) = issues("host", summary(actual, {name: value}))
    (plain,) = issues("host", summary("ok", {}))
    assert outside(issue.body) == outside(plain.body)
    assert issue.title.isprintable()
    assert not set(issue.title) & set("`~#@<>![]()\\*|&;")
    assert all(char == "\n" or char.isprintable() for char in issue.body)


@given(st.one_of(EVIL, st.lists(st.sampled_from(["```", "`" * 9, "~~~", "x"]), max_size=9).map("\n".join)))
def test_no_text_ends_its_block(text: str) -> None:
    assert outside(_fenced(text)) == []


@given(st.integers(0, 30_000))
def test_a_host_that_talks_much_is_cut(count: int) -> None:
    (issue,) = issues("host", summary("`" * count, {"version": "`" * count}))
    assert len(issue.body) < 65_536, "what GitHub takes"
    assert outside(issue.body) == outside(issues("host", summary("ok", {}))[0].body)


def outside(text: str) -> list[str]:
    """The lines that are in no fenced block, by CommonMark: a fence is closed by one at least as long."""
    lines, fence = [], ""
    for line in text.split("\n"):
        match = re.match(r" {0,3}(`{3,}|~{3,})(.*)$", line)
        if fence:
            if match and match[1][0] == fence[0] and len(match[1]) >= len(fence) and not match[2].strip():
                fence = ""
        elif match and "`" not in match[2]:
            fence = match[1]
        else:
            lines.append(line)
    assert not fence, "a block that never ends"
    return lines
