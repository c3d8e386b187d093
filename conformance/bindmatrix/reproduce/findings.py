"""``findings/``: a folder for each known surprise, and the index that tells which systems show which.

``findings/findings.yaml`` lists them; ``bindmatrix regenerate`` writes the rest from it and from the expectation files,
never from what this machine does.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from bindmatrix.answers.ask import SystemAnswer, answers
from bindmatrix.errors import Place, Problem, file_problems
from bindmatrix.notation import Scenario, parse
from bindmatrix.outcomes import Expected, in_words
from bindmatrix.reproduce.cases import Case, build, given_outcomes
from bindmatrix.reproduce.files import files
from bindmatrix.rules import catalog
from bindmatrix.rules.yaml_source import Reader

_KEYS = ("title", "os", "release", "scenario", "expect", "because", "contrast", "port", "recorded")
_OPTIONAL = ("contrast", "port", "recorded")

#: marks of the index
SHOWS, CLEAR, LACKS, UNKNOWN = "shows it", "behaves as expected", "an earlier step fails", "unknown"
ALWAYS = "does so in both forms"


@dataclass(frozen=True)
class KernelFinding:
    """One entry of the list; the last step of ``scenario`` is the surprise."""

    name: str
    title: str
    os: str
    release: str
    scenario: Scenario
    contrast: Scenario | None
    expect: str
    because: str
    port: int
    #: release of ``os`` -> what the scenario returned there, of surprises that the rules leave unknown
    recorded: Mapping[str, tuple[str, ...]]

    def case(self, os: str = "", release: str = "") -> Case:
        """The case on the host that the entry names, or on another; only the last step is expected to be otherwise."""
        facts = {"os": os or self.os, "release": release or self.release}
        plain = build(self.scenario, facts, port=self.port)
        seen = self.recorded.get(facts["release"]) if facts["os"] == self.os else None
        first: list[Expected] = [line.observed or line.expected for line in plain.lines[:-1]]
        if seen is not None:
            first = list(seen[:-1])
            facts["recorded"] = f"{self.os}-{facts['release']}"  # whose method it is: a host of the evidence
        last = given_outcomes("? " * len(first) + self.expect, self.scenario)[-1]
        return build(
            self.scenario,
            facts,
            expect=[*first, last],
            observed=seen,
            port=self.port,
            because=self.because,
            about=self.title,
            recorded=self.recorded if seen else {},
        )


def findings(path: Path) -> list[KernelFinding]:
    """The entries of ``path``; raises :class:`~bindmatrix.errors.Problem` or ``Problems``."""
    with file_problems(path, "read"):
        reader = Reader(path.read_text(encoding="utf-8"), str(path))
    reader.finish()
    if reader.root is None:
        raise Problem(Place(str(path)), "expected findings, got nothing")
    found = []
    for name, _, node in reader.mapping(reader.root, "findings"):
        nodes = reader.known(node, "a finding", _KEYS)
        for key in _KEYS:
            if key not in nodes and key not in _OPTIONAL:
                reader.problem(node, f"{name!r} needs {key!r}")
        reader.finish()
        words = {key: reader.text(value, key) for key, value in nodes.items() if key != "recorded"}
        recorded = reader.mapping(nodes["recorded"], "releases") if "recorded" in nodes else []
        line = reader.place(nodes["scenario"]).line
        found.append(
            KernelFinding(
                name=name,
                title=words["title"],
                os=words["os"],
                release=words["release"],
                scenario=parse(words["scenario"], name=str(path), line=line),
                contrast=parse(words["contrast"], name=str(path), line=line) if "contrast" in words else None,
                expect=words["expect"],
                because=words["because"],
                port=reader.number(nodes["port"], "a port") if "port" in nodes else 0,
                recorded={release: tuple(reader.text(value, "outcomes").split()) for release, _, value in recorded},
            )
        )
        for release, outcomes in found[-1].recorded.items():
            if len(outcomes) != len(found[-1].scenario.steps):
                reader.problem(nodes["recorded"], f"{release}: expected an outcome for each step of 'scenario'")
    reader.finish()
    return found


def render(listed: list[KernelFinding]) -> dict[str, str]:
    """Path below the folder -> text, for all that is generated."""
    made = {"README.md": index(listed)}
    for one in listed:
        made.update({f"{one.name}/{name}": text for name, text in files(one.case()).items()})
    return made


def index(listed: list[KernelFinding]) -> str:
    """Which releases of which systems show which finding, by their rules and recorded divergences."""
    text = (
        "# Findings\n\n"
        "Surprising behaviour of kernels.  Each folder has a bug report, a C program, a Python program and the\n"
        "scenario.  The programs exit with 1 if the kernel does what the finding describes, 0 if it does what one\n"
        "would expect, 2 if the set-up failed.  1 is no surprise if the kernel does the same in the other form: see\n"
        "the tables.  Generated by `bindmatrix regenerate` from `findings.yaml` and the expectation files: the\n"
        "tables are predictions, and the confidence says how they are known.\n"
    )
    rows = [table_rows(one) for one in listed]
    text += "\n| finding | shown by |\n|---|---|\n"
    for one, its in zip(listed, rows, strict=True):
        shown = "; ".join(label for label, mark, *_ in its if mark == SHOWS)
        text += f"| [{one.title}]({one.name}/report.txt) | {shown or 'none that is described'} |\n"
    for one, its in zip(listed, rows, strict=True):
        text += f"\n## [{one.title}]({one.name}/report.txt)\n\n`{_short(one.scenario.text)}`\n\n"
        text += f"Expected: {one.expect}, because {one.because.rstrip('.')}.\n\n"
        if one.contrast is not None:
            text += f"The other form: `{_short(one.contrast.text)}`\n\n"
        if one.port:
            text += f"The other form: any port that is no multiple of 128.  Here it is {one.port}.\n\n"
        text += "| system | | last step | confidence |\n|---|---|---|---|\n"
        text += "".join(f"| {' | '.join(row)} |\n" for row in its)
    return text


def _short(text: str) -> str:
    return text if len(text) < 300 else text[:120] + " ... " + text[-60:]


def table_rows(one: KernelFinding) -> list[tuple[str, str, str, str]]:
    """System with releases, whether it shows the finding, what the last step returns, how that is known."""
    if one.port:
        return [_row_on_port(one, os) for os in catalog.names()]
    rows = _recorded_rows(one)
    delivers = one.scenario.steps[-1].delivers
    for answer in answers(one.scenario, [os for os in catalog.names() if not one.recorded or os != one.os]):
        mark = _mark(one, answer)
        rows.append((answer.label, mark, in_words(answer.outcomes[-1], delivers=delivers), answer.confidence_text))
    return rows


def _recorded_rows(one: KernelFinding) -> list[tuple[str, str, str, str]]:
    """A row for each outcome of the releases on which the finding itself was recorded."""
    by_outcome: dict[str, list[str]] = {}
    for release, outcomes in one.recorded.items():
        by_outcome.setdefault(outcomes[-1], []).append(release)
    return [
        (f"{one.os} {', '.join(releases)}", CLEAR if outcome == one.expect else SHOWS, outcome, "recorded")
        for outcome, releases in by_outcome.items()
    ]


def _mark(one: KernelFinding, answer: SystemAnswer) -> str:
    contrast = None
    if one.contrast is not None:
        contrast = answers(one.contrast, [answer.os], answer.release)[0].outcomes
    return _judged(one, answer.outcomes, contrast)


def _judged(one: KernelFinding, outcomes: tuple[Expected, ...], contrast: tuple[Expected, ...] | None) -> str:
    """Whether the last step is the surprise: everything before it works, and the contrast behaves as expected."""
    last = outcomes[-1]
    if last is None or not isinstance(last, str):
        return UNKNOWN
    if any(outcome != "ok" for outcome in outcomes[:-1]):
        return LACKS
    if last == one.expect:
        return CLEAR
    if contrast is not None and contrast[-1] != one.expect:
        return ALWAYS if contrast[-1] == last else UNKNOWN
    return SHOWS


def _row_on_port(one: KernelFinding, os: str) -> tuple[str, str, str, str]:
    """The newest release of a system that is described, on the port of the finding and on an ordinary one."""
    release = one.release if os == one.os else catalog.expectations(os).covers[1]
    facts = {"os": os, "release": release}
    here = tuple(line.observed or None for line in build(one.scenario, facts, port=one.port).lines)
    elsewhere = tuple(line.observed or None for line in build(one.scenario, facts).lines)
    return (
        f"{os} {release}",
        _judged(one, here, elsewhere),
        in_words(here[-1], delivers=one.scenario.steps[-1].delivers),
        f"on port {one.port}",
    )
