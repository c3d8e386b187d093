"""A small folder of expectations: one system, its recorded runs made by its own rules."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable
from pathlib import Path

import pytest
from bindmatrix.lint import checks, rule_coverage
from bindmatrix.lint.context import Subject
from bindmatrix.oracle.oracle import Oracle
from bindmatrix.rules.loader import loads

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
  - id: demo.bound-twice
    when: {new.bound: yes}
    refuse: EINVAL
    why: it has a port already
    evidence: [{source: "demo.c bind()", release: "1.0"}]
  - id: demo.conflict
    ask: every
    when: {existing.overlaps: yes}
    unless: [{both.reuseaddr: yes}, {both.reuseport: yes, existing.user: same}]
    refuse: EADDRINUSE
    why: it is taken
    evidence: [{observed: demo-1.0/pairs}]
  - id: demo.free
    otherwise: allow
    why: nobody is in the way
    evidence: [{observed: demo-1.0/pairs}]
listen:
  - id: demo.listen
    otherwise: allow
    why: nothing is checked
    evidence: [{documentation: "listen(2)"}]
"""

SCENARIOS = [
    f"a=tcp4{first} a.bind={one} b=tcp4{second} b.bind={other}"
    for first in ("", " a.reuseaddr=1", " a.reuseport=1")
    for second in ("", " b.reuseaddr=1", " b.reuseport=1")
    for one in ("0.0.0.0", "127.0.0.1")
    for other in ("0.0.0.0", "127.0.0.1", "127.0.0.2")
] + ["user=1001 a=tcp4 a.reuseport=1 a.bind=0.0.0.0 user=0 user=1002 b=tcp4 b.reuseport=1 b.bind=0.0.0.0"]

#: (path of the expectation file) -> the names of the checks that found something, with the problems' texts
Found = list[tuple[str, str]]


class Folder:
    """``expectations/`` of the demo system."""

    def __init__(self, root: Path) -> None:
        self.file = root / "demo.yaml"
        self.evidence = root / "evidence"
        self.divergences = root / "divergences" / "demo.yaml"
        self.host = self.evidence / "demo-1.0"
        self.host.mkdir(parents=True)
        self.describe("demo-1.0")
        self.divergences.parent.mkdir()
        oracle = Oracle(loads(GOOD, "demo.yaml").at("1.0"))
        self.record("pairs", {scenario: oracle.predict(scenario).outcomes for scenario in SCENARIOS})
        self.write(GOOD)

    def record(self, name: str, rows: dict[str, object], host: str = "demo-1.0") -> Path:
        """Write a recorded set."""
        path = self.evidence / host / f"{name}.jsonl.gz"
        path.parent.mkdir(exist_ok=True)
        self.describe(host)
        with gzip.open(path, "wt", encoding="utf-8") as stream:
            for scenario, outcomes in rows.items():
                stream.write(json.dumps({"scenario": scenario, "outcomes": outcomes}) + "\n")
        return path

    def describe(self, host: str, **row: object) -> None:
        """Say in hosts.json how a host was made to answer: the release in its name, run, where ``row`` has no more."""
        path = self.evidence / "hosts.json"
        rows = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
        rows[host] = {"method": "run", "why": "a machine", "release": host.partition("-")[2], **row}
        path.write_text(json.dumps(rows), encoding="utf-8")

    def write(self, text: str, *, update: bool = True) -> None:
        """Write the expectation file and, where it can be read, what its rules decide."""
        self.file.write_text(text, encoding="utf-8")
        subject = self.subject()
        if update and subject.expectations is not None:
            path = self.evidence / "decided.json"
            path.write_text(rule_coverage.text({subject.expectations.os: subject.decided}), encoding="utf-8")

    def change(self, old: str, new: str, count: int = 1) -> None:
        """Replace a part of the good file."""
        assert old in GOOD
        self.write(GOOD.replace(old, new, count))

    def subject(self) -> Subject:
        """The file, read again."""
        return Subject(self.file)

    def lint(self) -> Found:
        """What the checks find: (check, place and message)."""
        return [(name, f"{problem.place}: {problem.message}") for name, problem in checks.run(self.subject())]


@pytest.fixture(autouse=True)
def _no_cache_of_the_user(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BINDMATRIX_CACHE", str(tmp_path / "cache"))


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Folder:
    """Its file is in the older form, in which evidence stands with the rule; ``lint`` is not to tell of that."""
    monkeypatch.setattr(checks, "CHECKS", tuple([check for check in checks.CHECKS if check.name != "in-form"]))
    return Folder(tmp_path)


@pytest.fixture
def only(folder: Folder) -> Callable[[str], str]:
    """The one problem that is found, which must be of the check named."""

    def found(check: str) -> str:
        problems = folder.lint()
        assert [name for name, _ in problems] == [check], problems
        return problems[0][1]

    return found
