"""Observation files: the fast reader against a JSON parser, and everything that can be wrong with a file."""

from __future__ import annotations

import gzip
import io
import json
from pathlib import Path

import pytest
from bindmatrix.errors import Problem
from bindmatrix.observe.recordings import FORMAT, Observation, Recording, header, line, read
from hypothesis import given
from hypothesis import strategies as st

OUTCOMES = st.one_of(st.none(), st.sampled_from(["ok", "EADDRINUSE", "a:15,b:17", "errno 71", "a", "EAGAIN:3"]))
OBSERVATIONS = st.builds(
    Observation,
    scenario=st.one_of(st.just("a=tcp4 a.bind=::"), st.text(max_size=20)),
    outcomes=st.lists(OUTCOMES, max_size=5).map(tuple),
    lack=st.just(""),
    reason=st.just(""),
    repeats=st.lists(st.lists(OUTCOMES, max_size=3).map(tuple), max_size=2).map(tuple),
)


def recording(data: bytes) -> Recording:
    return Recording(io.BytesIO(data), "test")


@given(st.lists(OBSERVATIONS, max_size=8), st.booleans(), st.integers(0, 3))
def test_reading_is_the_inverse_of_writing(observations: list[Observation], zipped: bool, members: int) -> None:
    lines = [header({"os": "linux"}), *map(line, observations)]
    data = b"".join(lines)
    if zipped:
        cut = min(members, len(lines))
        data = gzip.compress(b"".join(lines[:cut])) + gzip.compress(b"".join(lines[cut:]))
    found = recording(data)
    assert list(found) == observations
    assert found.host == {"os": "linux"}
    assert found.problem is None


#: what lines are made of that are nearly ours
SHREDS = ['{"scenario":"', 'a=tcp4"', "a", '","outcomes":', '["ok"]}', '["ok","EINVAL"]}', '["ok"', "]", "}", ',"x":"']
SHREDS += ['["ok","', 'EINVAL"]}', '["EINVAL"]}', '["a\\\\","ok"]}', '["]"]}']
SHREDS += ['"', ",", "\\", "\\n", ',"repeats":[["ok"]]', '"outcomes":', "null", "\x01", "ü"]


@given(st.lists(st.lists(st.sampled_from(SHREDS), max_size=8).map("".join), max_size=12))
def test_what_is_nearly_a_line_of_ours_is_what_json_says(lines: list[str]) -> None:
    """Whatever ends were remembered from lines before."""
    ours = ['{"scenario":"a","outcomes":["ok"]}', '{"scenario":"a","outcomes":["ok","EINVAL"]}']
    expected = []
    for text in [*ours, *lines, *ours]:
        try:
            data = json.loads(text)
            outcomes = data["outcomes"]
            if isinstance(outcomes, list) and all(one is None or isinstance(one, str) for one in outcomes):
                repeats = tuple([tuple(one) for one in data.get("repeats") or ()])
                expected.append(Observation(data["scenario"], tuple(outcomes), repeats=repeats))
        except (ValueError, KeyError, TypeError):
            continue
    found = recording("\n".join([*ours, *lines, *ours]).encode())
    assert [one for one in found if isinstance(one.scenario, str)] == expected


@given(st.binary(max_size=200))
def test_foreign_bytes_are_no_traceback(data: bytes) -> None:
    found = recording(data)
    assert all(isinstance(one, Observation) for one in found)
    assert found.problem is not None or not data.strip() or data.lstrip().startswith(b"{")


@given(st.integers(1, 400))
def test_a_file_that_was_cut_gives_what_it_still_holds(cut: int) -> None:
    lines = [line(Observation(f"a=tcp4 user={number}", ("ok", "ok"))) for number in range(300)]
    data = gzip.compress(b"".join(lines))
    found = recording(data[: max(20, len(data) - cut)])
    got = list(found)
    assert got == [Observation(f"a=tcp4 user={number}", ("ok", "ok")) for number in range(len(got))]
    assert found.problem is not None
    assert "breaks off" in str(found.problem)


def test_a_file_that_was_damaged_gives_what_comes_before() -> None:
    lines = [line(Observation(f"a=tcp4 user={number}", ("ok", "ok"))) for number in range(3000)]
    data = bytearray(gzip.compress(b"".join(lines)))
    data[-20:-8] = b"\xff" * 12
    found = recording(bytes(data))
    assert len(list(found)) > 2900
    assert found.problem is not None


def test_a_plain_file_that_was_cut_in_a_line() -> None:
    data = b"".join(line(Observation("a=tcp4", ("ok",))) for _ in range(3))
    found = recording(data[:-5])
    assert len(list(found)) == 2
    assert found.problem is not None
    assert found.problem.place.line == 3
    assert found.bad_lines == 1


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("hello", "not JSON"),
        ("[1]", "expected an object"),
        ('{"scenario": 5, "outcomes": []}', "expected an object with a 'scenario'"),
        ('{"scenario": "a=tcp4", "outcomes": "ok"}', "expected 'outcomes'"),
        ('{"scenario": "a=tcp4", "outcomes": [1]}', "expected 'outcomes'"),
        ('{"scenario": "a=tcp4"}', "expected 'outcomes'"),
    ],
)
def test_a_bad_line_is_told_and_passed_over(text: str, words: str) -> None:
    good = '{"scenario":"a=tcp4","outcomes":["ok"]}'
    found = recording(f"{good}\n{text}\n{good}\n".encode())
    assert len(list(found)) == 2
    assert found.problem is not None
    assert (found.problem.place.line, words in str(found.problem)) == (2, True)


def test_a_newer_format_says_so() -> None:
    with pytest.raises(Problem, match="newer bindmatrix"):
        list(recording(b'{"format": "bindmatrix-observations/2", "host": {}}\n'))
    with pytest.raises(Problem, match="expected format"):
        list(recording(b'{"format": "something else"}\n'))


def test_reasons_are_kept() -> None:
    data = b'{"scenario":"a=tcp4","outcomes":null,"no_verdict":"the host died"}\n'
    data += b'{"scenario":"user=1","outcomes":null,"unsupported":"needs root"}\n'
    died, lacks = recording(data)
    assert (died.lack, died.reason) == ("no-verdict", "the host died")
    assert (lacks.lack, lacks.reason) == ("unsupported", "needs root")


def test_a_long_line_is_no_observation() -> None:
    found = recording(b"x" * (3 << 20) + b"\n" + line(Observation("a=tcp4", ("ok",))))
    assert len(list(found)) == 1
    assert found.problem is not None


def test_the_folder_names_the_host_of_recorded_evidence(tmp_path: Path) -> None:
    folder = tmp_path / "evidence" / "illumos-omnios-2021.04"
    folder.mkdir(parents=True)
    (folder / "pairs.jsonl").write_bytes(line(Observation("a=tcp4", ("ok",))))
    found = read(folder / "pairs.jsonl").host
    assert found == {"os": "illumos", "release": "omnios-2021.04", "recorded": folder.name}


def test_a_recording_cannot_say_by_which_method_it_was_made() -> None:
    """Its first line is anybody's; only the folder of the evidence makes it one of the evidence."""
    found = recording(header({"os": "macos", "release": "15.5", "recorded": "linux-6.18.44", "method": "run on 15.5"}))
    list(found)
    assert found.host == {"os": "macos", "release": "15.5"}


@pytest.mark.parametrize("name", ["nothing.jsonl", "."])
def test_what_cannot_be_read_is_a_problem(tmp_path: Path, name: str) -> None:
    with pytest.raises(Problem):
        read(tmp_path / name)


def test_header_is_the_documented_one() -> None:
    assert json.loads(header({"os": "x"})) == {"format": FORMAT, "host": {"os": "x"}}
