"""Claims on the terminal: each with where it holds, and with the scenario that refutes it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from bindmatrix.answers.claims import ClaimResult, tally
from bindmatrix.judge import claim_check
from bindmatrix.judge.claim_check import ClaimVerdict
from bindmatrix.outcomes import NOBODY, in_words
from bindmatrix.report.console import PLAIN_WIDTH, StyledLine, wrapped

_STYLES = {
    claim_check.HOLDS: "green",
    claim_check.REFUTED: "red",
    claim_check.UNKNOWN: "yellow",
    claim_check.LACKING: "dim",
}
_INDENT = " " * 18


def lines(found: Sequence[ClaimResult], name: str = "", width: int = PLAIN_WIDTH) -> list[StyledLine]:
    """All claims; ``name`` is the name of this kernel."""
    out: list[StyledLine] = []
    for result in found:
        out += _claim(result, name, width)
        out.append([])
    out += [[(line, "")] for line in summary(found, name)]
    return out


def _claim(result: ClaimResult, name: str, width: int) -> list[StyledLine]:
    claim = result.claim
    out: list[StyledLine] = [[(claim.id, "bold")]]
    about = f" (of {', '.join(claim.about)})" if claim.about else ""
    out += [[(line, "")] for line in wrapped(claim.says + about, "  ", width)]
    out += [[(line, "dim")] for source in claim.sources for line in wrapped(f"[{source}]", "  ", width)]
    out += [[(line, "dim")] for line in wrapped(claim.note, "  ", width)]
    for verdict in claim_check.VERDICTS:
        # systems with the same reason stand together
        groups: dict[str, list[str]] = {}
        for row in result.rows:
            if row.finding.verdict == verdict:
                reason = _finding_text(row.finding) if verdict == claim_check.REFUTED else ""
                groups.setdefault(reason, []).append(f"{row.label} [{row.confidence_text}]")
        for reason, labels in groups.items():
            out += _verdict(verdict, "; ".join(labels), reason, width)
    if result.here is not None:
        surprise = "; the expectations of this system say otherwise" if result.surprising else ""
        reason = _finding_text(result.here) if result.here.verdict != claim_check.LACKING else ""
        out += _verdict(result.here.verdict, f"here, {name}{surprise}", reason, width)
    return out


def _verdict(verdict: str, who: str, reason: str, width: int) -> list[StyledLine]:
    first, *rest = wrapped(who, _INDENT, width)
    out: list[StyledLine] = [[(f"  {verdict:<16}", _STYLES[verdict]), (first[len(_INDENT) :], "")]]
    out += [[(line, "")] for line in rest]
    out += [[(line, "dim")] for line in wrapped(reason, _INDENT + "  ", width)]
    return out


def summary(found: Sequence[ClaimResult], name: str = "") -> list[str]:
    """How many claims hold on the newest release of each system, and on this kernel."""
    out = [f"{os:<10} {_counts(counts)}" for os, counts in tally(found).items()]
    if any(result.here for result in found):
        out.append(f"here       {_counts(Counter(result.here.verdict for result in found if result.here))}  ({name})")
    return out


def _finding_text(finding: ClaimVerdict) -> str:
    """What decided, in a line: ``b.bind=127.0.0.1 is ok: a=tcp4 ...``; "" if no call decides."""
    case = finding.case
    if case is None or finding.verdict == claim_check.HOLDS:
        return ""
    if finding.step < 0:
        return f"not run: {case.scenario.text}"
    step = case.scenario.steps[finding.step]
    outcome = in_words(finding.outcome, delivers=step.delivers)
    received = step.delivers and finding.outcome is not None and outcome not in NOBODY
    return f"{step.text} {'goes to' if received else 'is'} {outcome}: {case.scenario.text}"


def _counts(counted: Counter[str]) -> str:
    return ", ".join(f"{counted[verdict]} {verdict}" for verdict in claim_check.VERDICTS if counted[verdict])
