"""A summary as Markdown, made for a file beside the results and for the summary page of a CI job."""

from __future__ import annotations

from conformance.judge.summary import Group, Summary
from conformance.judge.verdicts import DIVERGES, FLAKY, KNOWN, RESOLVED, UNKNOWN, VERDICTS
from conformance.report.terminal import expected_text, heading


def render(summary: Summary) -> str:
    """The whole text; scenario texts stand in code, everything else that a host said is escaped."""
    lines = [f"# {_escape(heading(summary))}", "", "| verdict | scenarios | meaning |", "|---|---:|---|"]
    lines += [f"| {kind} | {summary.verdicts.get(kind, 0):,} | {meaning} |" for kind, meaning in VERDICTS.items()]
    lines.append("")
    lines += [f"> {_escape(note)}" for note in summary.notes]
    for kind in (DIVERGES, FLAKY, RESOLVED, KNOWN, UNKNOWN):
        groups = summary.of(kind)
        if groups:
            lines += ["", f"## {kind}", ""]
            lines += [text for group in groups for text in _group(group)]
    for kind, reasons in summary.reasons.items():
        if reasons:
            lines += ["", f"## {kind}", "", "| scenarios | reason |", "|---:|---|"]
            lines += [f"| {count:,} | {_escape(reason)} |" for reason, count in reasons.items()]
    rules = [(rule, count) for rule, count in summary.rules.items() if not rule.startswith("api.")]
    lines += ["", "## Rules", "", "| steps decided | rule |", "|---:|---|"]
    lines += [f"| {count:,} | `{rule}` |" for rule, count in rules]
    facts = ", ".join(f"{key} {value}" for key, value in summary.host.items() if isinstance(value, str | bool | int))
    lines += ["", f"Host: {_escape(facts)}", ""]
    return "\n".join(lines)


def _group(group: Group) -> list[str]:
    name = group.divergence or group.rule or group.kind
    lines = [f"- **{group.count:,} x `{name}`**", f"  `{_code(group.shortest)}`"]
    if group.call:
        lines.append(f"  {group.call}: expected {expected_text(group.expected)}, got {_escape(group.actual)}")
    lines += [f"  {_escape(text)}" for text in (group.why, group.reason) if text]
    return lines


def _escape(text: str) -> str:
    table = str.maketrans({char: f"\\{char}" for char in "\\`*_[]<>|#"})
    return text.replace("\n", " ").translate(table)


def _code(text: str) -> str:
    return text.replace("`", "'").replace("\n", " ")
