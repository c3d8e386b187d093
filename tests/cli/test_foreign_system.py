"""A recording comes from anywhere: the system that it names is a word, never a file to be judged by."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from bindmatrix.cli.main import main
from bindmatrix.rules import catalog

OBSERVED = '{"scenario":"a=tcp4 a.bind=127.0.0.1","outcomes":["ok","ok"]}\n'


@pytest.fixture
def rules(tmp_path: Path) -> Path:
    """An expectation file that somebody would like to be judged by."""
    file = tmp_path / "rules.yaml"
    file.write_text((catalog.folder() / "netbsd.yaml").read_text(encoding="utf-8"), encoding="utf-8")
    return file


def recorded(folder: Path, os: object) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    header = {"format": "bindmatrix-observations/1", "host": {"os": os, "release": "9.0"}}
    file = folder / "observations.jsonl"
    file.write_text(json.dumps(header) + "\n" + OBSERVED, encoding="utf-8")
    return file


@pytest.mark.parametrize("verb", [("judge",), ("report",), ("scenarios", "--diverging")])
def test_a_recording_does_not_choose_its_rules(
    verb: tuple[str, ...], rules: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([*verb, str(recorded(tmp_path / "here", str(rules)))]) == 2
    shown = capsys.readouterr()
    assert "expected the name of a system" in shown.err
    assert "conforms" not in shown.out


def test_nor_two_of_them(rules: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = str(recorded(tmp_path / "here", str(rules)))
    assert main(["diff", file, file]) == 2
    assert "expected the name of a system" in capsys.readouterr().err


def test_nor_what_came_as_an_artefact(rules: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    recorded(tmp_path / "machines" / "observations-x", str(rules))
    assert main(["collect", str(tmp_path / "machines"), "--out", str(tmp_path / "out")]) == 2
    assert "expected the name of a system" in capsys.readouterr().err


def test_nor_the_facts_beside_it(rules: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = recorded(tmp_path / "machines" / "observations-x", "netbsd").parent
    (folder / "facts.json").write_text(json.dumps({"os": str(rules)}), encoding="utf-8")
    assert main(["collect", str(tmp_path / "machines"), "--out", str(tmp_path / "out")]) == 2
    assert "expected the name of a system" in capsys.readouterr().err


@pytest.mark.parametrize("os", ["../linux", "linux.yaml", "a b", ["linux"], 7])
def test_what_is_no_name(os: object, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["judge", str(recorded(tmp_path / "here", os))]) == 2
    assert "expected the name of a system" in capsys.readouterr().err


@pytest.mark.parametrize("verb", ["judge", "report"])
def test_whoever_types_the_command_may_name_a_file(verb: str, rules: Path, tmp_path: Path) -> None:
    assert main([verb, str(recorded(tmp_path / "here", "netbsd")), "--os", str(rules)]) == 0
