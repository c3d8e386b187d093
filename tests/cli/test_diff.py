"""``diff``: expectation files and recordings against each other, and what goes wrong in one line."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from bindmatrix.cli.main import main
from bindmatrix.judge import diff
from bindmatrix.judge.diff import Side
from bindmatrix.observe.recordings import Observation, header, line
from bindmatrix.report import diff_text
from bindmatrix.rules import catalog, loader

EVIDENCE = catalog.folder() / "evidence"
ONE = "a=tcp4 a.bind=0.0.0.0 b=tcp4 b.bind=0.0.0.0"
LONG = "a=tcp4 a.bind=127.0.0.1 b=tcp4 b.bind=0.0.0.0 b.listen"
PLAIN = "a=tcp4 a.bind=127.0.0.1"


def run_diff(capsys: pytest.CaptureFixture[str], *words: str | Path) -> tuple[int, str, str]:
    status = main(["diff", *map(str, words)])
    out, err = capsys.readouterr()
    return status, out, err


def recording(path: Path, host: dict[str, Any], runs: dict[str, tuple[str | None, ...]]) -> Path:
    lines = [header(host), *(line(Observation(text, outcomes)) for text, outcomes in runs.items())]
    path.write_bytes(b"".join(lines))
    return path


# -- expectation files


def edited(tmp_path: Path, old: str, new: str) -> Path:
    text = Path(catalog.expectations("linux").file).read_text(encoding="utf-8")
    assert old in text
    path = tmp_path / "linux.yaml"
    path.write_text(text.replace(old, new), encoding="utf-8")
    return path


def test_the_same_file_has_no_difference(capsys: pytest.CaptureFixture[str]) -> None:
    status, out, err = run_diff(capsys, "linux", "linux")
    assert (status, err) == (0, "")
    assert "65,664 scenarios compared, 0 differ" in out


def test_groups_are_those_of_the_rules_biggest_first(capsys: pytest.CaptureFixture[str]) -> None:
    folder = catalog.folder()
    status, out, _ = run_diff(capsys, folder / "openbsd.yaml", folder / "dragonfly.yaml", "--json")
    assert status == 1
    data = json.loads(out)
    counts = [group["count"] for group in data["groups"]]
    assert counts == sorted(counts, reverse=True)
    assert sum(counts) == data["differ"]
    keys = [tuple(tuple(side["rules"]) for side in group["sides"]) for group in data["groups"]]
    assert len(set(keys)) == len(keys)
    assert keys[0] == (("openbsd.v6only-cleared",), ("dragonfly.v6only-cleared",))
    first = data["groups"][0]
    assert first["scenario"].split()[first["step"]].endswith("v6only=0")
    assert [side["outcome"] for side in first["sides"]] == ["EINVAL", "EOPNOTSUPP"]
    assert all(side["why"] for side in first["sides"])


def test_a_rule_edit_is_the_one_group(tmp_path: Path) -> None:
    """The example is the shortest that there is."""
    path = edited(
        tmp_path,
        "      unless: {memory.form: mapped, new.form: dual}\n      allow: yes\n",
        "      unless: {memory.form: mapped, new.form: dual}\n      refuse: EACCES\n",
    )
    sides = [Side("old", catalog.expectations("linux").at("7.3.4")), Side("new", loader.load(path).at("7.3.4"))]
    narrower = "a=tcp4 a.reuseport=1 a.bind=127.0.0.1 b=tcp4 b.reuseport=1 b.bind=0.0.0.0"
    same = "a=tcp4 a.reuseport=1 a.bind=0.0.0.0 b=tcp4 b.reuseport=1 b.bind=0.0.0.0"
    result = diff.of_expectations(sides, [same + " b.listen", same, narrower, PLAIN])
    assert (result.compared, result.differ, result.unknown) == (4, 2, 0)
    (group,) = result.groups
    assert (group.count, group.scenario, group.step) == (2, same, 5)
    assert [(one.outcome, one.rules) for one in group.sides] == [
        ("ok", ("linux.cache",)),
        ("EACCES", ("linux.cache",)),
    ]


def test_unknown_is_no_difference() -> None:
    sides = [
        Side("linux", catalog.expectations("linux").at("7.3.4")),
        Side("xp", catalog.expectations("windows").at("xp")),
    ]
    result = diff.of_expectations(sides, ["a=tcp6 a.v6only=0 a.bind=::", PLAIN])
    assert (result.compared, result.differ, result.unknown) == (2, 0, 1)


def test_releases_of_one_system(capsys: pytest.CaptureFixture[str]) -> None:
    status, out, _ = run_diff(capsys, "linux@5.10.218", "linux")
    assert status == 1
    assert out.startswith("linux 5.10.218 and linux 7.3.4: ")
    assert "linux.cache-reuseaddr | linux.tcp-conflict" in out
    assert "ok  (until 6.8)" in out
    assert max(map(len, out.splitlines())) <= 100


def test_an_option_that_one_side_lacks_is_left_out_and_said(capsys: pytest.CaptureFixture[str]) -> None:
    _, out, _ = run_diff(capsys, "linux", "windows", "--json")
    data = json.loads(out)
    assert data["notes"] == ["windows 10.0.26100 lacks SO_REUSEPORT: scenarios with it are left out"]
    assert not any("reuseport" in group["scenario"] for group in data["groups"])


def test_two_files_of_one_system_are_told_apart(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    path = edited(tmp_path, "refuse: EINVAL", "refuse: EINVAL")
    status, out, _ = run_diff(capsys, "linux", path, "--json")
    assert status == 0
    assert json.loads(out)["sides"] == ["linux 7.3.4 (linux)", f"linux 7.3.4 ({path})"]


# -- recordings


def test_three_releases_of_linux(capsys: pytest.CaptureFixture[str]) -> None:
    files = [
        EVIDENCE / f"linux-{release}" / "options-after-bind.jsonl.gz" for release in ("5.10.218", "6.1.192", "7.3.4")
    ]
    status, out, err = run_diff(capsys, *files, "--json")
    assert (status, err) == (1, "")
    data = json.loads(out)
    assert data["sides"] == ["linux 5.10.218", "linux 6.1.192", "linux 7.3.4"]
    assert (data["compared"], data["differ"]) == (384, 12)
    first = data["groups"][0]
    assert [side["rules"] for side in first["sides"]] == [
        ["linux.cache-reuseaddr"],
        ["linux.cache-reuseaddr"],
        ["linux.tcp-conflict"],
    ]
    assert first["sides"][0]["note"] == "until 6.8"
    text = "\n".join(
        "".join(word for word, _ in pieces) for pieces in diff_text.lines(_three_releases_as_result(files))
    )
    assert "linux 5.10.218, linux 6.1.192  ok  (until 6.8)" in text


def _three_releases_as_result(files: list[Path]) -> diff.Comparison:
    from bindmatrix.cli.diff import _recordings

    return _recordings([str(path) for path in files])[0]


def test_a_known_divergence_explains(capsys: pytest.CaptureFixture[str]) -> None:
    status, out, _ = run_diff(
        capsys, EVIDENCE / "linux-6.1.192" / "pairs.jsonl.gz", EVIDENCE / "linux-7.3.4" / "pairs.jsonl.gz"
    )
    assert status == 1
    assert "in 1 group\n" in out
    assert "linux.mapped-wildcard-overlooked | linux.tcp-conflict" in out
    assert "ok  (a known divergence)" in out


def test_deliveries_differ_by_who_received(capsys: pytest.CaptureFixture[str]) -> None:
    """Counts of a balanced delivery vary from run to run; that is no difference."""
    files = [EVIDENCE / f"linux-{release}" / "deliver.jsonl.gz" for release in ("6.18.44", "7.3.4")]
    status, out, _ = run_diff(capsys, *files)
    assert status == 0
    assert "456 scenarios compared, 0 differ" in out


def test_what_no_rule_explains_is_said(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    host = {"os": "linux", "release": "7.3.4"}
    one = recording(tmp_path / "one", host, {ONE: ("ok", "ok", "ok", "EADDRINUSE"), PLAIN: ("ok", "ok")})
    other = recording(tmp_path / "two", host, {ONE: ("ok", "ok", "ok", "EACCES"), LONG: ("ok",) * 5})
    status, out, _ = run_diff(capsys, one, other, "--json")
    assert status == 1
    data = json.loads(out)
    assert (data["compared"], list(data["only"].values())) == (1, [1, 1])
    notes = [side["note"] for side in data["groups"][0]["sides"]]
    assert notes == ["since 6.6, 6.5.4 on 6.5, 6.1.54 on 6.1", "not as expected: the rules say EADDRINUSE"]


def test_not_asserted_and_not_run_are_no_difference(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    host = {"os": "linux", "release": "7.3.4"}
    one = recording(tmp_path / "one", host, {ONE: ("ok", "ok", "ok", None)})
    other = recording(tmp_path / "two", host, {ONE: ("ok", "ok", "ok", "EACCES")})
    status, out, _ = run_diff(capsys, one, other)
    assert status == 0
    assert "0 differ; 1 others unknown" in " ".join(out.split())


@pytest.mark.parametrize(
    ("host", "reason"),
    [({}, "do not say which system"), ({"os": "plan9"}, "'plan9'"), ({"os": "linux", "release": "?"}, "got '?'")],
)
def test_a_host_without_expectations_is_compared_all_the_same(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, host: dict[str, Any], reason: str
) -> None:
    one = recording(tmp_path / "one", host, {ONE: ("ok", "ok", "ok", "ok")})
    other = recording(tmp_path / "two", {"os": "linux", "release": "7.3.4"}, {ONE: ("ok", "ok", "ok", "EADDRINUSE")})
    status, out, _ = run_diff(capsys, one, other)
    assert status == 1
    assert reason in " ".join(out.split())
    assert "(no rule) | linux.tcp-conflict" in out


def test_what_is_no_scenario_is_still_compared(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    host = {"os": "linux", "release": "7.3.4"}
    one = recording(tmp_path / "one", host, {"a=tcp4 a.fly": ("ok", "ok"), ONE: ("ok",)})
    other = recording(tmp_path / "two", host, {"a=tcp4 a.fly": ("ok", "EACCES"), ONE: ("EACCES",)})
    status, out, _ = run_diff(capsys, one, other)
    assert status == 1
    assert "not a scenario" in out


def test_a_folder_of_evidence_is_all_its_files(capsys: pytest.CaptureFixture[str]) -> None:
    status, out, _ = run_diff(capsys, EVIDENCE / "illumos-2021.04", EVIDENCE / "illumos-2021.04", "--json")
    assert status == 0
    assert json.loads(out)["compared"] > 5000


# -- bad input


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["linx", "freebsd"], "did you mean 'linux'?"),
        (["linux@x", "freebsd"], "linux@x: expected a release such as"),
        (["linux", "no-such.yaml"], "no-such.yaml: cannot be read"),
        (["linux", EVIDENCE / "linux-7.3.4" / "pairs.jsonl.gz"], "use 'bindmatrix judge'"),
        (["linux", "macos", "freebsd", "netbsd"], "expected two or three things"),
        (["-", "-"], "standard input can be read once"),
        ([EVIDENCE.parent, EVIDENCE.parent], "a folder without observations.jsonl.gz"),
    ],
)
def test_bad_input(capsys: pytest.CaptureFixture[str], words: list[str | Path], message: str) -> None:
    status, out, err = run_diff(capsys, *words)
    assert status == 2
    assert message in err
    assert "Traceback" not in err
    assert out == ""


def test_broken_recordings(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    path = tmp_path / "broken"
    path.write_text("no observation\n", encoding="utf-8")
    status, out, err = run_diff(capsys, path, EVIDENCE / "linux-7.3.4" / "pairs.jsonl.gz")
    assert status == 2
    assert f"{path}:1: not JSON" in err
    assert "no scenario in common" in err
    assert "lines that could not be read: 1" in " ".join(out.split())
