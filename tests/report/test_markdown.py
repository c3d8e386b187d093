"""Markdown for the summary page of a CI job: what needs somebody first, nothing that a host said as markup."""

from __future__ import annotations

from bindmatrix.judge.summary import VerdictGroup
from bindmatrix.report import markdown

from tests.report.pages import BOUND, two_hosts


def test_what_diverges_is_open_and_reproducible_and_the_rest_is_folded() -> None:
    text = markdown.render(two_hosts()[0].summary)
    assert text.startswith("# ❌ Linux 6.18.44: 6 scenarios, 1 diverges from what is expected\n\nmethod not recorded\n")
    before, found, after = text.partition("## diverges")
    assert found
    assert "<details>" not in before
    assert f"bindmatrix observe '{BOUND}'" in after
    assert "bind: expected EADDRINUSE, got **ok**" in after
    assert "<summary>" in after


def test_several_hosts_have_a_row_each() -> None:
    hosts = two_hosts()
    text = markdown.render_all({one.name: one.summary for one in hosts})
    assert "| ❌ | linux 6.18.44 | 6 | 1 | 1 | 4 |" in text
    assert "| ✅ | freebsd 13.0 | 6 |" in text
    assert text.count("\n## ") == 2


def test_what_a_host_said_is_no_markup() -> None:
    evil = "</details><script>x</script> | `a` [b](c) &lt; *d*\n# e"
    summary = two_hosts()[0].summary
    summary.notes.append(evil)
    summary.groups.insert(0, VerdictGroup("diverges", evil, evil, evil, evil, 1, evil, 0, (), evil, reason=evil))
    text = markdown.render_all({"a": summary, evil: summary})
    assert "\n# e" not in text
    for line in text.splitlines():
        # inside code spans nothing is markup but a backtick; outside of them everything is escaped
        outside = "".join(line.split("`")[0::2])
        assert "<script" not in outside.replace("\\<", "")


def test_a_thousand_groups_are_counted_not_listed() -> None:
    summary = two_hosts()[0].summary
    summary.groups += [
        VerdictGroup("diverges", f"rule-{n}", "bind", "ok", "EINVAL", 1, BOUND, 4) for n in range(20_000)
    ]
    text = markdown.render(summary)
    assert "... and 19,961 more groups" in text
    assert len(text) < 100_000
