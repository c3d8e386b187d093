"""``bindmatrix lint``."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from bindmatrix.cli.main import main
from bindmatrix.lint import checks, tables
from bindmatrix.rules import catalog

from tests.lint.conftest import Folder

Capture = pytest.CaptureFixture[str]


def test_clean(folder: Folder, capsys: Capture) -> None:
    assert main(["lint", str(folder.file)]) == 0
    out, err = capsys.readouterr()
    assert out == "1 file, 5 rules, 55 recorded observations of 1 host: no problems\n"
    assert err == ""


def test_a_row_of_the_catalogue_of_runtimes_that_is_wrong(tmp_path: Path, capsys: Capture) -> None:
    row = (catalog.folder() / "runtimes" / "compiled.yaml").read_text("utf-8").partition("\n- id:")
    file = tmp_path / "runtimes" / "compiled.yaml"
    file.parent.mkdir()
    file.write_text(row[0] + row[1] + row[2].replace("does:", "dose:", 1), encoding="utf-8")
    assert main(["lint", str(file)]) == 2
    out, err = capsys.readouterr()
    assert re.search(rf"^{re.escape(str(file))}:\d+:\d+: .*'dose'", err, re.MULTILINE)
    assert out.endswith("1 other data file: 2 problems\n")
    assert main(["lint", "--json", str(file)]) == 2
    found = json.loads(capsys.readouterr().out)
    assert found["problems"] == len(found["tables"]["problems"]) == 2


@pytest.mark.parametrize("name", ["claims.yaml", "misuse.yaml", "ephemeral.yaml"])
def test_the_other_data_files(name: str, tmp_path: Path, capsys: Capture) -> None:
    file = tmp_path / name
    file.write_bytes((catalog.folder() / name).read_bytes())
    assert main(["lint", str(file)]) == 0
    file.write_text("- {id: x}\n", encoding="utf-8")
    assert main(["lint", str(file), str(tmp_path / "missing" / name)]) == 2
    err = capsys.readouterr().err
    assert str(file) in err
    assert "missing" in err


def test_a_system_needs_a_row_and_a_file(tmp_path: Path, capsys: Capture) -> None:
    file = tmp_path / "systems.yaml"
    (tmp_path / "demo.yaml").write_text("os: demo\n", encoding="utf-8")
    for rows, problem in (
        ("linux: {}\ndemo: {}", "there is no linux.yaml beside it"),
        ("{}", "expected systems, such as 'linux: {also-called: [ubuntu]}'"),
        ("other: {}", "demo.yaml has no row"),
        ("demo: {emulated: maybe}", "expected {also-called: [WORD...], mistaken-for:"),
        ("demo: [ubuntu]", "expected {also-called: [WORD...], mistaken-for:"),
    ):
        file.write_text(rows, encoding="utf-8")
        assert main(["lint", str(file)]) == 2
        assert problem in capsys.readouterr().err
    file.write_text("demo: {}", encoding="utf-8")
    assert main(["lint", str(file)]) == 0


def test_without_a_file_the_other_data_files_are_those_of_the_project() -> None:
    names = {path.name for path in tables.tables()}
    assert {"claims.yaml", "misuse.yaml", "ephemeral.yaml", "systems.yaml", "servers.yaml", "python.yaml"} <= names
    assert tables.problems(tables.tables()) == []


def test_a_file_that_is_named_twice_is_checked_once(folder: Folder, capsys: Capture) -> None:
    assert main(["lint", str(folder.file), str(folder.file)]) == 0
    assert capsys.readouterr().out.startswith("1 file, 5 rules")


def test_problems_have_place_line_and_the_name_of_the_check(folder: Folder, capsys: Capture) -> None:
    folder.change("why: it is taken", "why: " + "x" * 201)
    assert main(["lint", str(folder.file)]) == 2
    out, err = capsys.readouterr()
    assert f"{folder.file}:20:5: 'why' of 'demo.conflict' has 201 characters" in err
    assert "[why]\n    - id: demo.conflict\n      ^" in err
    assert out.endswith(": 1 problem\n")


def test_all_files_are_checked_when_one_cannot_be_read(folder: Folder, capsys: Capture) -> None:
    bad = folder.file.with_name("bad.yaml")
    bad.write_text("os: [", encoding="utf-8")
    missing = folder.file.with_name("missing.yaml")
    folder.change("demo.bound-twice", "dm.bound-twice")
    assert main(["lint", str(bad), str(missing), str(folder.file)]) == 2
    out, err = capsys.readouterr()
    assert f"{bad}:2:1: not YAML" in err
    assert f"{missing}: cannot be read: No such file or directory" in err
    assert "[ids]" in err
    assert out == "3 files, 5 rules, 55 recorded observations of 1 host: 3 problems\n"


def test_a_file_out_of_form(tmp_path: Path, capsys: Capture) -> None:
    file = Folder(tmp_path).file
    assert main(["lint", str(file)]) == 2
    err = capsys.readouterr().err
    assert f"{file}:4:1: not in its form from here on; run 'bindmatrix lint --fix {file}' [in-form]" in err
    assert main(["lint", "--fix", str(file)]) == 0
    beside = tmp_path / "divergences" / "demo.yaml"
    entry = "before: demo.conflict\n  when: {new.family: ipv6}\n  why: odd\n  evidence: [{report: x}]"
    beside.write_text(f"- refuse: EACCES\n  id: demo.odd\n  {entry}\n", encoding="utf-8")
    capsys.readouterr()
    main(["lint", str(file)])
    assert f"{beside}:1:1: not in its form" in capsys.readouterr().err


def test_unknown_system(capsys: Capture) -> None:
    assert main(["lint", "--os", "linus"]) == 2
    assert "--os: no expectations for 'linus'; did you mean 'linux'?; there are" in capsys.readouterr().err


def test_a_broken_decided_file(folder: Folder, capsys: Capture) -> None:
    (folder.evidence / "decided.json").write_text("{", encoding="utf-8")
    assert main(["lint", str(folder.file)]) == 2
    assert "write it again with 'bindmatrix regenerate'" in capsys.readouterr().err


def test_decides(folder: Folder, capsys: Capture) -> None:
    assert main(["lint", "--decides", str(folder.file)]) == 0
    rows = {line.split()[0]: line.split()[1:] for line in capsys.readouterr().out.splitlines()[1:-1]}
    assert rows["demo.bound-twice"] == ["0", "0", "source", "of", "1.0", "(2.0", "is", "newer)"]
    assert int(rows["demo.conflict"][0]) > 10
    assert " ".join(rows["demo.conflict"][2:]) == "run on 1.0 (2.0 is newer)"


def test_verbose_lists_what_is_not_measured(folder: Folder, capsys: Capture) -> None:
    assert main(["lint", "-v", str(folder.file)]) == 0
    out = capsys.readouterr().out
    assert f"{folder.file}:15:5: demo.bound-twice decides no recorded outcome; it rests on: source" in out
    assert "demo.conflict" not in out


def test_mutate(folder: Folder, capsys: Capture) -> None:
    assert main(["lint", "--mutate", "--strict", str(folder.file)]) == 0
    out = capsys.readouterr().out
    assert "demo.yaml: 7 of 11 mutants noticed by recorded outcomes (64 %)" in out
    assert f"    {folder.file}:15:5: demo.bound-twice in bind: dropped" in out


def test_strict(folder: Folder, capsys: Capture) -> None:
    folder.change("{both.reuseaddr: yes}, ", "{both.reuseaddr: yes}, {existing.user: other, new.protocol: udp}, ")
    assert main(["lint", "--mutate", str(folder.file)]) == 0
    assert main(["lint", "--mutate", "--strict", str(folder.file)]) == 2
    assert "not noticed, though the rule is observed:" in capsys.readouterr().out


def test_json(folder: Folder, capsys: Capture) -> None:
    folder.change("demo.bound-twice", "dm.bound-twice")
    assert main(["lint", "--json", "--mutate", str(folder.file)]) == 2
    data = json.loads(capsys.readouterr().out)
    [file] = data["files"]
    assert data["problems"] == 1
    [problem] = file["problems"]
    assert (problem["check"], problem["line"], problem["column"]) == ("ids", 15, 5)
    assert file["os"] == "demo"
    assert file["recorded"] == 55
    assert file["unmeasured"] == ["dm.bound-twice", "demo.listen"]
    assert file["mutation"]["mutants"] == 11
    assert file["decides"]["demo.conflict"]["demo-1.0"]["pairs"] > 10


def test_help_lists_the_checks(capsys: Capture) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["lint", "--help"])
    assert ended.value.code == 0
    out = " ".join(capsys.readouterr().out.split())  # long lines are wrapped
    for check in checks.CHECKS:
        assert f" {check.name} {' '.join(check.description.split())}" in out


def test_a_copy_elsewhere_is_checked_against_the_installed_evidence(capsys: Capture, tmp_path: Path) -> None:
    copy = tmp_path / "mine.yaml"
    copy.write_text(
        (catalog.folder() / "openbsd.yaml")
        .read_text(encoding="utf-8")
        .replace("refuse: EADDRINUSE", "refuse: EACCES", 1),
        encoding="utf-8",
    )
    assert main(["lint", str(copy)]) == 2
    err = capsys.readouterr().err
    assert "recorded outcomes contradict openbsd." in err
