"""Assertions of documents and tests: about releases, never repeats of one host."""

from __future__ import annotations

import gzip
import json
import os
from pathlib import Path

import pytest
from bindmatrix.cli.main import main
from bindmatrix.errors import Problem
from bindmatrix.judge import literature
from bindmatrix.rules import catalog

EVIDENCE = catalog.folder() / "evidence"
WINDOWS = EVIDENCE / "windows" / "evidence.jsonl.gz"
SCENARIO = "a=udp4 a.bind=0.0.0.0 b=udp4 b.bind=0.0.0.0"


def write(path: Path, *rows: dict[str, object]) -> Path:
    good = {"scenario": SCENARIO, "source": "a page", "strength": "documented", "windows": "all"}
    with gzip.open(path, "wt", encoding="utf-8") as stream:
        stream.writelines(json.dumps(good | row) + "\n" for row in rows)
    return path


@pytest.mark.parametrize("release", ["", "server-2025", "xp", "server-2003", "7"])
def test_nothing_diverges_and_nothing_is_flaky(release: str, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["judge", str(WINDOWS), "--os", "windows", "--json"]
    assert main([*words, *(["--release", release] if release else [])]) == 0
    [summary] = json.loads(capsys.readouterr().out)
    assert summary["verdicts"]["diverges"] == summary["verdicts"]["flaky"] == 0
    assert summary["method"].startswith("assertions, no host: ")
    assert any("not outcomes of a host" in note for note in summary["notes"])
    assert summary["total"] > 30


def test_report_reads_it_beside_hosts(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["report", str(EVIDENCE / "windows"), str(EVIDENCE / "macos-15.5" / "users.jsonl.gz"), "--json"]) == 0
    windows, macos = json.loads(capsys.readouterr().out)
    assert windows["verdicts"]["flaky"] == 0
    assert macos["method"] == "compiled from 11.5 with parts of 15.5"


def test_every_recorded_host_is_none() -> None:
    assert literature.is_literature(WINDOWS)
    for folder in EVIDENCE.glob("*-*"):
        assert not literature.is_literature(next(folder.glob("*.jsonl.gz")))


def test_a_pipe_is_not_read_to_find_out(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    assert not literature.is_literature(pipe)


@pytest.mark.parametrize(
    ("about", "release", "expected"),
    [
        ("<=XP", "xp", True),
        ("<=XP", "server-2003", False),
        (">=Vista", "vista", True),
        (">=Vista", "xp", False),
        (">=Vista", "10.0.26100", True),
        ("7..11", "8.1", True),
        ("7..11", "vista", False),
        ("7..11", "server-2025", False),
        ("Server 2025", "10.0.26100", True),
        ("10", "11", False),
        ("CI (>=10)", "10.0.26100", True),
        ("CI (>=10)", "10", False),
        ("all", "server-2025", True),
        ("2021", "7", False),
    ],
)
def test_what_an_assertion_is_about(about: str, release: str, expected: bool) -> None:
    assert literature.is_about(about, release, catalog.expectations("windows")) == expected


def test_several_assertions_are_one_observation_and_contradicted_ones_none(tmp_path: Path) -> None:
    file = write(
        tmp_path / "said.jsonl.gz",
        {"outcomes": ["ok", None, "ok", "refused"]},
        {"outcomes": [None, "ok", None, "EADDRINUSE"], "strength": "measured-by-others"},
        {"outcomes": ["ok", "ok", "ok", "ok"], "contradicted": True},
        {"outcomes": ["ok", "ok", "ok", "ok"], "windows": "<=XP"},
    )
    recording = literature.recording(file, {"os": "windows"})
    [found] = recording
    assert found.outcomes == ("ok", "ok", "ok", "EADDRINUSE")
    assert found.repeats == ()
    assert recording.host["method"] == "assertions, no host: tested elsewhere, documentation"
    assert "2 assertions (1 tested elsewhere, 1 documentation)" in recording.host["literature"]
    assert "1 about other releases" in recording.host["literature"]


def test_what_is_wrong_with_a_file_is_said(tmp_path: Path) -> None:
    file = write(tmp_path / "said.jsonl.gz", {"outcomes": ["ok"], "strength": "rumour"})
    with pytest.raises(Problem, match="cannot be read as an assertion: KeyError"):
        literature.recording(file, {"os": "windows"})
    file = write(tmp_path / "said.jsonl.gz", {"outcomes": ["ok"], "windows": "<=XP"})
    with pytest.raises(Problem, match="asserts nothing about Windows vista"):
        literature.recording(file, {"os": "windows", "release": "vista"})
