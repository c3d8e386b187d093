"""Summaries as Markdown, made for a file beside the results and for the summary page of a CI job.

What needs attention comes first; the rest is folded.  Such a page holds a megabyte: of each kind the largest groups are
shown and the others counted.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from bindmatrix.judge.summary import Summary, VerdictGroup
from bindmatrix.judge.verdicts import VerdictKind
from bindmatrix.quoting import markdown, markdown_code
from bindmatrix.report.terminal import how, report_command
from bindmatrix.report.words import counted

#: groups of a kind that are shown
_MOST = 40
#: characters of a host's word that are shown
_LONGEST = 2000
#: kinds that are folded because they need no action
_FOLDED = (VerdictKind.KNOWN, VerdictKind.UNKNOWN)


def render(summary: Summary, level: int = 1) -> str:
    """The whole text; scenario texts stand in code, everything else that a host said is escaped."""
    mark = "#" * level
    verdict = "✅" if summary.conforms and summary.total else "❌"
    lines = [f"{mark} {verdict} {escape(summary.headline)}", "", escape(how(summary)), "", *_counts(summary), ""]
    lines += [text for note in summary.notes for text in (f"> {escape(note)}", "")]
    for kind in VerdictKind:
        groups = summary.of(kind)
        if groups:
            title = "open questions" if kind == VerdictKind.UNKNOWN else kind
            lines += _section(
                mark, f"{title}: {kind.meaning}", _groups(groups, summary.recording), folded=kind in _FOLDED
            )
    for lack, reasons in summary.reasons.items():
        if reasons:
            rows = [f"| {count:,} | {escape(reason)} |" for reason, count in list(reasons.items())[:_MOST]]
            lines += _section(mark, lack, ["| scenarios | reason |", "|---:|---|", *rows], folded=True)
    rules = summary.system_rules
    if rules:
        rows = [f"| {count:,} | `{_code(rule)}` |" for rule, count in rules.items()]
        lines += _section(
            mark, f"{len(rules)} rules, by the steps that each decided", ["| steps | rule |", "|---:|---|", *rows]
        )
    facts = ", ".join(f"{key} {value}" for key, value in summary.host.items() if isinstance(value, str | bool | int))
    lines += [f"Host: {escape(facts)}", ""]
    return "\n".join(lines)


def render_all(summaries: Mapping[str, Summary]) -> str:
    """The text for hosts by name: one row a host, then each of them."""
    if len(summaries) == 1:
        return render(next(iter(summaries.values())))
    return "\n".join([*_table(summaries), "", *(render(one, level=2) for one in summaries.values())])


def overview(summaries: Mapping[str, Summary], problems: Iterable[str], most: int) -> str:
    """The text for many hosts in ``most`` bytes: first what went wrong, then what diverges, then the rest."""
    lines = [*_table(summaries), "", *(text for one in problems for text in (f"> {escape(one)}", ""))]
    size = sum(len(line.encode()) + 1 for line in lines)
    left_out = []
    for name, one in sorted(summaries.items(), key=lambda item: item[1].conforms):
        text = f"## {escape(name)}\n\n" + render(one, level=3)
        size += len(text.encode()) + 1
        if size > most:
            left_out.append(name)
        else:
            lines.append(text)
    if left_out:
        lines.append(f"> left out, as this page holds no more: {escape(', '.join(left_out))}")
    return "\n".join([*lines, ""])


def _table(summaries: Mapping[str, Summary]) -> list[str]:
    """One row a host."""
    kinds = [kind for kind in VerdictKind if any(one.verdicts.get(kind) for one in summaries.values())]
    lines = [
        "# bindmatrix",
        "",
        f"| | host | scenarios | {' | '.join(kinds)} |",
        f"|---|---|---:|{'---:|' * len(kinds)}",
    ]
    for name, one in summaries.items():
        counts = " | ".join(f"{one.verdicts.get(kind, 0):,}" for kind in kinds)
        verdict = "✅" if one.conforms and one.total else "❌"
        lines.append(f"| {verdict} | {escape(name)} | {one.total:,} | {counts} |")
    return lines


def _counts(summary: Summary) -> list[str]:
    rows = [f"| {kind} | {count:,} | {kind.meaning} |" for kind, count in summary.counted.items()]
    return ["| verdict | scenarios | meaning |", "|---|---:|---|", *rows]


def _section(mark: str, title: str, body: Iterable[str], *, folded: bool = True) -> list[str]:
    if folded:
        return ["<details>", f"<summary>{escape(title)}</summary>", "", *body, "", "</details>", ""]
    return [f"{mark}# {escape(title)}", "", *body, ""]


def _groups(groups: list[VerdictGroup], recording: str | None) -> list[str]:
    lines = [text for group in groups[:_MOST] for text in _group(group, recording)]
    if len(groups) > _MOST:
        lines += ["", f"... and {counted(len(groups) - _MOST, 'more group')}"]
    return lines


def _group(group: VerdictGroup, recording: str | None) -> list[str]:
    name = group.divergence or group.rule or group.kind
    lines = [f"- **{group.count:,} × `{_code(name)}`**  ", f"  `{_code(group.shortest)}`  "]
    if group.call:
        actual = escape(group.actual)
        lines.append(f"  {escape(group.call)}: expected {escape(group.wanted)}, got **{actual}**  ")
    lines += [f"  {escape(text)}  " for text in (group.gloss, group.reason) if text]
    if group.kind in (VerdictKind.DIVERGES, VerdictKind.FLAKY):
        lines.append(f"  reproduce: `bindmatrix observe '{_code(group.shortest)}'`  ")
        if recording is not None:
            lines.append(f"  programs and a bug report: `{_code(report_command(group, recording))}`  ")
    return lines


def escape(text: str) -> str:
    """``text`` on one line and not too long, with nothing in it that is markup."""
    return markdown(text[:_LONGEST])


def _code(text: str) -> str:
    return markdown_code(text[:_LONGEST])
