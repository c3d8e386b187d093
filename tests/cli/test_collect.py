"""``bindmatrix collect``: what it refuses, and the limits of what it writes.  tests/workflows has the rest."""

from __future__ import annotations

import gzip
import json
import os
from pathlib import Path

import pytest
from bindmatrix.cli import inputs
from bindmatrix.cli.main import main
from bindmatrix.judge.host_table import HostTable
from bindmatrix.judge.summary import VerdictGroup
from bindmatrix.observe import recordings
from bindmatrix.report import markdown

from tests.cli.test_report import results
from tests.report.pages import BOUND, CLASSIC, predicted, two_hosts


def collect(*arguments: str, capsys: pytest.CaptureFixture[str]) -> tuple[int, list[str]]:
    status = main(["collect", *arguments])
    err = capsys.readouterr().err
    assert "Traceback" not in err
    return status, err.splitlines()


def test_the_summaries_as_json(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    results(tmp_path / "all" / "observations-a", predicted("linux", "6.18.44", [CLASSIC]))
    assert main(["collect", str(tmp_path / "all"), "--out", str(tmp_path / "out"), "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == json.loads(
        (tmp_path / "out" / "verdicts.json").read_text(encoding="utf-8")
    )


def test_what_is_no_folder_of_machines(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "file").write_text("", encoding="utf-8")
    out = str(tmp_path / "out")
    for name in ("file", "missing"):
        status, err = collect(str(tmp_path / name), "--out", out, capsys=capsys)
        assert (status, len(err)) == (2, 1)
        assert "expected a folder with a folder for each machine" in err[0]


def test_no_machine_came(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Failed first: status 2 without a word."""
    (tmp_path / "all").mkdir()
    status, err = collect(str(tmp_path / "all"), "--out", str(tmp_path / "out"), capsys=capsys)
    assert (status, err) == (2, [f"{tmp_path / 'all'}: no machine came; expected a folder with a folder for each"])


@pytest.mark.skipif(not hasattr(os, "fork"), reason="the processes would not have the reader that dies")
def test_a_machine_whose_reader_dies(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Failed first: a traceback of BrokenProcessPool, and no machine was judged."""
    here, read = os.getpid(), inputs.of_recordings

    def dies(recordings: list[recordings.Recording], **more: dict[str, str]) -> HostTable:
        if os.getpid() != here and "observations-a" in recordings[0].name:
            os._exit(9)
        return read(recordings, **more)

    monkeypatch.setattr(inputs, "of_recordings", dies)
    monkeypatch.setattr(inputs, "_LARGE", 0)
    monkeypatch.setattr(os, "cpu_count", lambda: 3)
    for name in "abcd":
        results(tmp_path / "all" / f"observations-{name}", predicted("linux", "6.18.44", [CLASSIC]))
    status, err = collect(str(tmp_path / "all"), "--out", str(tmp_path / "out"), capsys=capsys)
    assert status == 2
    (line,) = err
    assert line.startswith("a: ")
    assert line.endswith("the process that read it died; was it ended, or is memory short?")
    judged = json.loads((tmp_path / "out" / "verdicts.json").read_text(encoding="utf-8"))
    assert [one["total"] for one in judged] == [1, 1, 1]


def test_a_machine_whose_folder_may_not_be_entered(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Root enters every folder, so the refusal is played."""
    for name in "ab":
        results(tmp_path / "all" / f"observations-{name}", predicted("linux", "6.18.44", [CLASSIC]))
    find = inputs.find

    def refuse(words: list[str]) -> list[inputs.Source]:
        if words[0].endswith("-a"):
            raise PermissionError(13, "Permission denied", words[0])
        return find(words)

    monkeypatch.setattr(inputs, "find", refuse)
    status, err = collect(str(tmp_path / "all"), "--out", str(tmp_path / "out"), capsys=capsys)
    assert (status, err) == (2, [f"a: {tmp_path / 'all' / 'observations-a'}: Permission denied"])
    assert (tmp_path / "out" / "site" / "index.html").exists()


@pytest.mark.parametrize("text", ["{", "[]", '{"release": 5}'])
def test_facts_beside_that_are_none(text: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = results(tmp_path / "all" / "observations-a", predicted("linux", "6.18.44", [CLASSIC]))
    (folder / "facts.json").write_text(text, encoding="utf-8")
    results(tmp_path / "all" / "observations-b", predicted("linux", "6.18.44", [CLASSIC]))
    status, err = collect(str(tmp_path / "all"), "--out", str(tmp_path / "out"), capsys=capsys)
    assert (status, len(err)) == (2, 1)
    assert err[0].startswith(f"a: {folder / 'facts.json'}: ")
    assert len(json.loads((tmp_path / "out" / "verdicts.json").read_text(encoding="utf-8"))) == 1
    assert main(["report", str(folder)]) == 2


def test_facts_beside_win(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = results(tmp_path / "run", predicted("linux", "6.18.44", [CLASSIC]))
    (folder / "facts.json").write_text('{"release": "6.1.150"}', encoding="utf-8")
    assert main(["report", str(folder), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)[0]["release"] == "6.1.150"


def test_whose_release_cannot_be_read(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Failed first: an option was blamed that nobody gave and that `collect` does not have."""
    folder = results(tmp_path / "all" / "observations-a", predicted("linux", "6.18.44", [CLASSIC]), release="six")
    _, err = collect(str(tmp_path / "all"), "--out", str(tmp_path / "out"), capsys=capsys)
    assert err[0].startswith("a: the host's release: expected a release such as '6.12.43', got 'six'")
    (file,) = folder.glob("*.gz")
    assert main(["judge", str(file)]) == 2
    assert capsys.readouterr().err.startswith(f"{file}: the host's release: expected a release")
    assert main(["judge", str(file), "--release", "seven"]) == 2
    assert capsys.readouterr().err.startswith("--release: expected a release")


@pytest.mark.skipif(os.name != "posix", reason="a folder that is a file")
def test_out_that_cannot_be_written(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    results(tmp_path / "all" / "observations-a", predicted("linux", "6.18.44", [CLASSIC]))
    (tmp_path / "file").write_text("", encoding="utf-8")
    status, err = collect(str(tmp_path / "all"), "--out", str(tmp_path / "file" / "below"), capsys=capsys)
    assert (status, len(err)) == (2, 1)
    assert "cannot be written" in err[0]


def test_proposed_recordings_are_the_same_bytes_for_the_same_run(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    results(
        tmp_path / "all" / "observations-a", predicted("linux", "6.11.3", [CLASSIC, BOUND]), release="6.11.3-1-azure"
    )
    evidence = tmp_path / "evidence"
    (evidence / "linux-6.12").mkdir(parents=True)
    found = []
    for out in ("one", "two"):
        collect(str(tmp_path / "all"), "--out", str(tmp_path / out), "--evidence", str(evidence), capsys=capsys)
        (path,) = (tmp_path / out / "evidence").rglob("*.gz")
        assert path.relative_to(tmp_path / out) == Path("evidence/linux-6.11.3/ci.jsonl.gz")
        found.append(path.read_bytes())
    assert found[0] == found[1]
    assert {one.scenario for one in recordings.read(path)} == {CLASSIC, BOUND}
    # what is recorded under another name of the same release, in another set, is not proposed again
    recorded = evidence / "linux-6.11.3-somebody"
    recorded.mkdir()
    (one, other) = gzip.decompress(found[0]).splitlines(keepends=True)
    (recorded / "pairs.jsonl.gz").write_bytes(gzip.compress(one))
    collect(str(tmp_path / "all"), "--out", str(tmp_path / "three"), "--evidence", str(evidence), capsys=capsys)
    proposed = tmp_path / "three" / "evidence" / recorded.name / "ci.jsonl.gz"
    assert gzip.decompress(proposed.read_bytes()) == other
    assert "| linux-6.11.3-somebody | 1 | a |" in (tmp_path / "three" / "evidence.md").read_text(encoding="utf-8")


def test_a_summary_holds_what_fits_and_what_diverges_first() -> None:
    bad, good = (one.summary for one in two_hosts())
    bad.groups += [VerdictGroup("diverges", f"rule-{n}", "bind", "ok", "EINVAL", 1, BOUND, 4) for n in range(100)]
    summaries = {f"good {n}": good for n in range(30)} | {"bad": bad}
    text = markdown.overview(summaries, ["x: did not come"], 20_000)
    assert len(text.encode()) < 20_500
    assert text.count("| ✅ |") == 30
    assert "\n> x: did not come\n" in text
    lines = text.rstrip().splitlines()
    assert next(line for line in lines if line.startswith("## ")) == "## bad"
    assert lines[-1].startswith("> left out, as this page holds no more: good")
