"""``bindmatrix report``: what it reads, what it writes, and its exit status."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest
from bindmatrix.cli.main import main
from bindmatrix.observe.recordings import Observation, header, line
from bindmatrix.rules import catalog

from tests.report.pages import BOUND, CLASSIC, predicted

EVIDENCE = catalog.folder() / "evidence"


def results(folder: Path, observations: list[Observation], **facts: object) -> Path:
    """A folder as ``run`` writes it."""
    folder.mkdir(parents=True)
    data = header({"os": "linux", "release": "6.18.44", **facts}) + b"".join([line(one) for one in observations])
    (folder / "observations.jsonl.gz").write_bytes(gzip.compress(data))
    return folder


def test_every_report_of_two_hosts(tmp_path: Path) -> None:
    good = results(tmp_path / "runs" / "good", predicted("linux", "6.18.44", [CLASSIC, BOUND]))
    results(tmp_path / "runs" / "bad", [Observation(BOUND, ("ok", "ok", "ok", "ok", "ok"))])
    files = {kind: tmp_path / f"out.{kind}" for kind in ("html", "markdown", "junit", "json")}
    options = [word for kind, file in files.items() for word in (f"--{kind}", str(file))]
    assert main(["report", str(good), *options]) == 0
    assert main(["report", str(tmp_path / "runs"), *options]) == 1
    assert "2 hosts, 2 scenarios" in files["html"].read_text(encoding="utf-8")
    assert "linux 6.18.44 (bad)" in files["markdown"].read_text(encoding="utf-8")
    assert ET.parse(files["junit"]).getroot().get("failures") == "1"
    assert [one["total"] for one in json.loads(files["json"].read_text(encoding="utf-8"))] == [1, 2]


def test_the_files_of_a_folder_are_one_host(capsys: pytest.CaptureFixture[str]) -> None:
    folder = EVIDENCE / "linux-6.12.43"
    assert main(["report", str(folder), "--json"]) == 0
    (summary,) = json.loads(capsys.readouterr().out)
    assert summary["total"] == sum(len(gzip.decompress(file.read_bytes()).splitlines()) for file in folder.iterdir())


def test_two_runs_of_a_host_that_disagree_are_flaky(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (once,) = predicted("linux", "6.18.44", [BOUND])
    other = once._replace(outcomes=("ok",) * 5)
    results(tmp_path / "run", [once, other])
    assert main(["report", str(tmp_path / "run"), "--json"]) == 0
    (summary,) = json.loads(capsys.readouterr().out)
    assert summary["verdicts"]["flaky"] == summary["total"] == 1
    assert summary["groups"][0]["reason"] == "of 2 runs 1 gave EADDRINUSE and 1 gave ok"


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["no-such-folder"], "cannot be read"),
        (["{empty}"], "a folder without observations.jsonl.gz"),
        (["{newer}", "--html", "{empty}/x.html"], "written by a newer bindmatrix: update this one"),
        (["{good}", "--html", "{empty}/no/x.html"], "cannot be written"),
        (["{good}", "-"], "standard input is the results of one host"),
        (["{good}", "--html", "-", "--json", "-"], "only one of the reports"),
        (["{good}", "--html", "{empty}/x", "--junit", "{empty}/../empty/x"], "two reports have the same file"),
        (["{nameless}"], "nameless/observations.jsonl.gz: does not say which system it is from"),
        (["{garbage}"], "garbage:1: not JSON"),
        (["{garbage}.nothing"], "garbage.nothing: holds no observations"),
        ([""], "'': expected the name of a file or folder, got nothing"),
    ],
)
def test_bad_input_is_one_clear_line_and_status_2(
    tmp_path: Path, arguments: list[str], words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    observations = predicted("linux", "6.18.44", [BOUND])
    places = {name: tmp_path / name for name in ("empty", "newer", "good", "nameless", "garbage")}
    places["garbage"].write_text("no observation\n")
    places["garbage"].with_suffix(".nothing").touch()
    places["empty"].mkdir()
    results(places["good"], observations)
    newer = results(places["newer"], observations) / "observations.jsonl.gz"
    newer.write_bytes(newer.read_bytes() and gzip.compress(b'{"format":"bindmatrix-observations/2","host":{}}\n'))
    places["nameless"].mkdir()
    (places["nameless"] / "observations.jsonl.gz").write_bytes(gzip.compress(line(observations[0])))
    assert main(["report", *(word.format(**places) for word in arguments)]) == 2
    captured = capsys.readouterr()
    assert words in captured.err
    assert len(captured.err.splitlines()) == 1
    assert not captured.out


def test_what_could_be_read_of_a_damaged_file_is_reported(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = results(tmp_path / "run", predicted("linux", "6.18.44", [BOUND, CLASSIC] * 50))
    file = folder / "observations.jsonl.gz"
    file.write_bytes(file.read_bytes()[:-12])
    assert main(["report", str(folder), "--json"]) == 2
    captured = capsys.readouterr()
    assert "breaks off" in captured.err
    assert json.loads(captured.out)[0]["total"] == 2


def test_a_host_that_cannot_be_read_leaves_the_others_theirs(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """What the help says; failed first: nothing was reported."""
    good = results(tmp_path / "good", predicted("linux", "6.18.44", [BOUND]))
    assert main(["report", str(tmp_path / "gone.jsonl"), str(good), "--json"]) == 2
    captured = capsys.readouterr()
    assert [one["total"] for one in json.loads(captured.out)] == [1]
    assert captured.err == f"{tmp_path / 'gone.jsonl'}: cannot be read: No such file or directory\n"


def test_a_host_without_observations_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = results(tmp_path / "run", [])
    assert main(["report", str(folder)]) == 2
    assert capsys.readouterr().err == f"{folder}: holds no observations\n"


def test_the_plain_summary_has_no_colours(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = results(tmp_path / "run", predicted("linux", "6.18.44", [BOUND]))
    assert main(["report", str(folder)]) == 0
    out = capsys.readouterr().out
    assert out.startswith("Linux 6.18.44: 1 scenario, all as expected\nmethod not recorded\n")
    assert "\x1b" not in out
