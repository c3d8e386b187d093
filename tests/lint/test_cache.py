"""A lint with a cache finds what one without finds, whatever was edited since and whatever became of the cache."""

from __future__ import annotations

import re
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from bindmatrix.lint import cache, checks, replay, replay_index
from bindmatrix.lint.context import Subject
from bindmatrix.rules import catalog

from tests.lint.conftest import GOOD, Folder

#: what a contributor may do to a line of a file -> the line afterwards
EDITS: dict[str, Callable[[re.Match[str]], str]] = {
    r"refuse: E\w+": lambda match: "refuse: EPERM",
    r"otherwise: allow": lambda match: "otherwise: unknown",
    r"ask: every": lambda match: "ask: first",
    r"(when|among): \{": lambda match: f"{match[0]}new.protocol: udp, ",
    r"unless: \[\{": lambda match: f"{match[0]}new.family: ipv6, ",
    r"(?<=unless: \[)\{": lambda match: "{existing.reuseaddr-at-bind: no, ",
    r"- id: (\w+)\.(\S+)": lambda match: f"- id: {match[1]}.other-{match[2]}",
    r"why: ": lambda match: "why: indeed ",
    r"pick: newest": lambda match: "pick: oldest",
    r"children: \w+": lambda match: "children: wildcard",
}


def linted(path: Path, *, cached: bool) -> object:
    """Everything that a lint says."""
    subject = Subject(path, cached=cached)
    found = [(name, str(problem)) for name, problem in checks.run(subject)]
    if subject.expectations is None:
        return found
    verdicts = [(one.recorded.reference, one.verdicts, one.known) for one in subject.replays]
    return found, subject.decided, verdicts


def edited(text: str) -> Iterator[str]:
    """``text`` with one edit, each kind at some places."""
    for pattern, edit in EDITS.items():
        places = list(re.finditer(pattern, text))
        for match in places[:: max(1, len(places) // 3)]:
            yield text[: match.start()] + edit(match) + text[match.end() :]


@pytest.mark.parametrize("os", ["demo", "windows"])
def test_any_edit_of_a_rule_is_noticed(
    os: str, folder: Folder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(replay_index, "MOST_DIFFERENCES", 1_000_000)
    path = folder.file if os == "demo" else tmp_path / "elsewhere" / f"{os}.yaml"
    path.parent.mkdir(exist_ok=True)
    text = GOOD if os == "demo" else (catalog.folder() / f"{os}.yaml").read_text(encoding="utf-8")
    path.write_text(text, encoding="utf-8")
    assert linted(path, cached=True) == linted(path, cached=False)
    edits = list(edited(text))
    assert len(edits) > 8
    for one in edits:
        path.write_text(one, encoding="utf-8")
        cold = linted(path, cached=False)
        assert linted(path, cached=True) == cold, one
    path.write_text(text, encoding="utf-8")
    assert linted(path, cached=True) == linted(path, cached=False)


def judged(path: Path, monkeypatch: pytest.MonkeyPatch) -> int:
    """How many runs a lint with a cache judges."""
    count = 0
    run = replay.Replay.run

    def counting(self: replay.Replay, line: replay.Line) -> object:
        nonlocal count
        count += 1
        return run(self, line)

    with monkeypatch.context() as patch:
        patch.setattr(replay.Replay, "run", counting)
        linted(path, cached=True)
    return count


def test_only_runs_that_the_edit_touches_are_judged_again(folder: Folder, monkeypatch: pytest.MonkeyPatch) -> None:
    assert judged(folder.file, monkeypatch) == 55
    assert judged(folder.file, monkeypatch) == 0
    folder.file.write_text(GOOD.replace("both.reuseport: yes, ", "both.reuseport: no, "), encoding="utf-8")
    assert 0 < judged(folder.file, monkeypatch) < 55


def test_a_new_name_of_a_rule_touches_no_run(folder: Folder, monkeypatch: pytest.MonkeyPatch) -> None:
    """Failed first: every run was judged again that the rule had decided, and the last rule of bind() decides most."""
    linted(folder.file, cached=True)
    folder.file.write_text(GOOD.replace("demo.free", "demo.no-conflict"), encoding="utf-8")
    assert judged(folder.file, monkeypatch) == 0
    assert Subject(folder.file, cached=True).decided == Subject(folder.file, cached=False).decided
    swapped = (
        GOOD.replace("demo.free", "demo.x")
        .replace("demo.bound-twice", "demo.free")
        .replace("demo.x", "demo.bound-twice")
    )
    folder.file.write_text(swapped, encoding="utf-8")
    assert linted(folder.file, cached=True) == linted(folder.file, cached=False)


def test_an_edit_of_one_of_two_releases_with_the_same_rules_is_noticed(folder: Folder) -> None:
    """Failed first: both were judged by one oracle before the edit, and only the first was compared."""
    folder.record("pairs", {"a=tcp4 a.bind=127.0.0.1 b=tcp4 b.bind=127.0.0.1": ["ok"] * 3 + ["EADDRINUSE"]}, "demo-2.0")
    linted(folder.file, cached=True)
    later = (
        "  - {id: demo.new, since: '2.0', refuse: EPERM, ask: every, when: {existing.overlaps: yes}, why: it is so,\n"
    )
    later += "     evidence: [{source: demo.c}]}\n  - id: demo.conflict\n"
    folder.file.write_text(GOOD.replace("  - id: demo.conflict\n", later), encoding="utf-8")
    cold = linted(folder.file, cached=False)
    assert "recorded outcomes contradict demo.new" in str(cold)
    assert linted(folder.file, cached=True) == cold


def test_an_edit_that_contradicts_much_is_not_followed_to_the_end(
    folder: Folder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(replay_index, "MOST_DIFFERENCES", 3)
    linted(folder.file, cached=True)
    folder.file.write_text(GOOD.replace("refuse: EADDRINUSE", "refuse: EACCES"), encoding="utf-8")
    assert judged(folder.file, monkeypatch) == 3
    subject = Subject(folder.file, cached=True)
    [(name, problem)] = checks.run(subject)
    assert name == "agreement"
    assert problem.message.startswith("at least 3 recorded outcomes contradict")
    assert sum(one.observations for one in subject.replays) == 55


def test_another_recording_makes_everything_start_anew(folder: Folder, monkeypatch: pytest.MonkeyPatch) -> None:
    linted(folder.file, cached=True)
    folder.record("pairs", {"a=tcp4 a.bind=127.0.0.1": ["ok", "EACCES"]})
    assert judged(folder.file, monkeypatch) == 1
    assert linted(folder.file, cached=True) == linted(folder.file, cached=False)


def test_other_code_makes_everything_start_anew(folder: Folder, monkeypatch: pytest.MonkeyPatch) -> None:
    linted(folder.file, cached=True)
    monkeypatch.setattr(cache, "sources", lambda: "other")
    assert judged(folder.file, monkeypatch) == 55


@pytest.mark.parametrize("damage", ["empty", "cut", "other", "no pickle"])
def test_a_damaged_cache_counts_as_none(damage: str, folder: Folder, monkeypatch: pytest.MonkeyPatch) -> None:
    linted(folder.file, cached=True)
    [path] = cache.folder().iterdir()
    data = path.read_bytes()
    if damage == "no pickle":
        with zipfile.ZipFile(path) as archive:
            parts = {name: archive.read(name) for name in archive.namelist()}
        with zipfile.ZipFile(path, "w") as archive:
            for name, content in parts.items():
                archive.writestr(name, content if name in ("key", "released") else b"nonsense")
    else:
        path.write_bytes({"empty": b"", "cut": data[: len(data) // 2], "other": b"x" * len(data)}[damage])
    assert judged(folder.file, monkeypatch) == 55
    assert linted(folder.file, cached=True) == linted(folder.file, cached=False)


def test_questions_that_are_lost_make_everything_start_anew(folder: Folder, monkeypatch: pytest.MonkeyPatch) -> None:
    linted(folder.file, cached=True)
    [path] = cache.folder().iterdir()
    with zipfile.ZipFile(path) as archive:
        parts = {name: archive.read(name) for name in archive.namelist()}
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in parts.items():
            archive.writestr(name, b"nonsense" if name == "asked bind" else content)
    folder.file.write_text(GOOD.replace("refuse: EADDRINUSE", "refuse: EACCES"), encoding="utf-8")
    cold = linted(folder.file, cached=False)
    assert judged(folder.file, monkeypatch) == 55
    assert linted(folder.file, cached=True) == cold


def test_the_oldest_files_go(folder: Folder, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cache, "MOST", 2)
    for name in ("one", "two", "three"):
        path = folder.file.with_name(f"{name}.yaml")
        path.write_text(GOOD, encoding="utf-8")
        linted(path, cached=True)
    assert sorted(path.name.partition("-")[0] for path in cache.folder().iterdir()) == ["three", "two"]
