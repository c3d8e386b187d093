"""Files of scenarios: what is passed over, what is told, and that the rest counts."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import pytest
from bindmatrix.cli.main import main
from bindmatrix.errors import Problem
from bindmatrix.observe import scenario_input

TEXT = "a=tcp4 a.bind=127.0.0.1"
SEEN = json.dumps({"scenario": TEXT, "outcomes": ["ok", "ok"]})


def given(path: Path, data: bytes) -> tuple[list[str], list[str]]:
    """The scenarios in a file of these bytes, and what is wrong with it."""
    path.write_bytes(data)
    found = list(scenario_input.given(str(path)))
    wrong = [str(line.problem).removeprefix(f"{path}") for line in found if line.problem is not None]
    return [line.scenario().text for line in found if line.problem is None], wrong


def test_empty_lines_and_comments_are_passed_over(tmp_path: Path) -> None:
    assert given(tmp_path / "file", f"# é\r\n\r\n{TEXT}\r\n".encode()) == ([TEXT], [])


def test_the_mark_of_an_editor_on_windows(tmp_path: Path) -> None:
    assert given(tmp_path / "file", b"\xef\xbb\xbf" + TEXT.encode()) == ([TEXT], [])


@pytest.mark.parametrize("data", [b"\x7fELF\0\0\n\0\n\0", b"\x8f\x9e\n\x8f\n", f"{TEXT}\n".encode("utf-16")])
def test_what_is_no_text_is_told_once(data: bytes, tmp_path: Path) -> None:
    """Failed first: two or three lines of complaint for every line of a program."""
    assert given(tmp_path / "file", f"{TEXT}\n".encode() + data) == (
        [TEXT],
        [":2: not text in UTF-8; expected a scenario a line, or JSON Lines"],
    )


def test_lines_after_a_bad_one_count(tmp_path: Path) -> None:
    """Failed first: the scenarios before it were lost as well."""
    deep = '{"a":' * 100_000
    data = f'{SEEN}\n{{"scenario"\n{{"scenario": 5}}\n{deep}\n{SEEN}\n'
    found, wrong = given(tmp_path / "file.jsonl", data.encode())
    assert found == [TEXT, TEXT]
    assert [text.partition(": ")[0] for text in wrong] == [":2", ":3", ":4"]


@pytest.mark.parametrize("keep", [0, -9])
def test_a_compressed_file_that_is_damaged(keep: int, tmp_path: Path) -> None:
    """Failed first: it was taken for a shorter one, or for an empty one."""
    data = gzip.compress(f"{SEEN}\n".encode() * 3) if keep else b"no gzip"
    found, wrong = given(tmp_path / "seen.jsonl.gz", data[: keep or None])
    assert len(wrong) == 1
    assert found == ([TEXT] * 3 if keep else [])


def test_a_bad_line_raises_its_problem(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("{\n", encoding="utf-8")
    (line,) = scenario_input.given(str(tmp_path / "file"))
    with pytest.raises(Problem, match="not JSON"):
        line.scenario()


@pytest.mark.parametrize("verb", [["predict", "--os", "linux"], ["ask", "--os", "linux"], ["observe"], ["scenarios"]])
def test_every_verb_tells_and_goes_on(
    verb: list[str], tmp_path: Path, capsysbinary: pytest.CaptureFixture[bytes]
) -> None:
    (tmp_path / "file").write_text(f"{SEEN}\n{{\n{TEXT}\n", encoding="utf-8")
    assert main([*verb, str(tmp_path / "file")]) == 2
    captured = capsysbinary.readouterr()
    assert captured.out.count(TEXT.encode()) == 2
    assert captured.err.startswith(f"{tmp_path / 'file'}:2: not JSON".encode())
