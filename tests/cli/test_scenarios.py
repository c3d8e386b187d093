"""``bindmatrix scenarios``: what a machine is given that runs the executor by itself."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from bindmatrix.cli.main import main
from bindmatrix.observe.recordings import Observation, header, line
from bindmatrix.run.plan import Plan
from bindmatrix.run.session import REPEATS

from tests.fake_kernel import FACTS
from tests.report.pages import BOUND, CLASSIC, predicted


def printed(capsys: pytest.CaptureFixture[str], *arguments: str, status: int = 0) -> list[str]:
    assert main(["scenarios", *arguments]) == status
    return capsys.readouterr().out.splitlines()


def recording(path: Path, facts: dict[str, object], *observations: Observation) -> str:
    path.write_bytes(header(facts) + b"".join(line(one) for one in observations))
    return str(path)


@pytest.mark.parametrize(
    "facts", [{}, {"users": False, "privileged": False}, {"ipv6": False}, {"options": ["exclbind"]}]
)
def test_a_host_gets_what_run_would_run_there(
    facts: dict[str, object], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    host = {**FACTS, **facts}
    file = recording(tmp_path / "host.jsonl", host)
    given = printed(capsys, "--quick", "--examples", "30", "--seed", "5", "--host", file)
    assert given == Plan("quick", 30, 5, deliveries=100).scenarios(host)


def test_shards_are_the_whole(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    common = ["--quick", "--examples", "20", "--host", recording(tmp_path / "host.jsonl", FACTS)]
    parts = [printed(capsys, *common, "--shard", f"{part}/3") for part in (1, 2, 3)]
    assert sorted(text for part in parts for text in part) == sorted(printed(capsys, *common))


def test_what_diverges_is_to_be_run_again(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (good,) = predicted("linux", "6.18.44", [CLASSIC])
    odd = Observation(BOUND, ("ok",) * 5)
    file = recording(tmp_path / "observations.jsonl", {"os": "linux", "release": "6.18.44"}, good, odd)
    assert printed(capsys, "--diverging", file) == [BOUND] * REPEATS
    assert printed(capsys, "--diverging", str(tmp_path)) == [BOUND] * REPEATS


def test_what_diverges_before_a_file_breaks_off(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = recording(tmp_path / "seen.jsonl", {"os": "linux", "release": "6.18.44"}, Observation(BOUND, ("ok",) * 5))
    with Path(file).open("a", encoding="utf-8") as stream:
        stream.write('{"scenario": "a=')
    assert main(["scenarios", "--diverging", file]) == 2
    captured = capsys.readouterr()
    assert captured.out.splitlines() == [BOUND] * REPEATS
    assert captured.err.startswith(f"{file}:3: not JSON")


def test_what_diverges_depends_on_the_facts_beside(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text = "a=tcp4 a.reuseaddr=1 a.bind=127.0.0.1 a.reuseaddr=0 b=tcp4 b.reuseaddr=1 b.bind=127.0.0.1"
    (old,) = predicted("linux", "6.1.150", [text])
    (new,) = predicted("linux", "7.3.4", [text])
    assert old != new, "these two releases differ here"
    file = recording(tmp_path / "observations.jsonl", {"os": "linux", "release": "7.3.4"}, old)
    assert printed(capsys, "--diverging", file) == [text] * REPEATS
    (tmp_path / "facts.json").write_text(json.dumps({"release": "6.1.150"}), encoding="utf-8")
    assert printed(capsys, "--diverging", file) == []


def test_given_scenarios_are_printed_as_their_ids(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "s.txt"
    file.write_text(
        f"# ours\n  {CLASSIC.replace(' ', '   ')}\na=tcp5\n{json.dumps({'scenario': BOUND})}\n", encoding="utf-8"
    )
    assert printed(capsys, str(file), status=2) == [CLASSIC, BOUND]
    lines = printed(capsys, str(file), "--json", status=2)
    assert [json.loads(line) for line in lines] == [{"scenario": CLASSIC}, {"scenario": BOUND}]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--host", "no-such-file"], "cannot be read"),
        (["--host", "foreign"], "1: not JSON"),
        (["--host", "empty"], "does not say what the host is"),
        (["--diverging", "empty"], "empty: does not say which system it is from"),
        (["--diverging", "foreign"], "1: not JSON"),
        (["--diverging", "", "a=tcp4"], "leave out the option"),
        (["--diverging", "empty", "--quick"], "--quick: says what to generate"),
        (["a=tcp4", "--shard", "1/2"], "--shard: says what to generate"),
        (["--diverging", "two"], "holds the results of 2 hosts"),
        (["--host", "x", "a=tcp4"], "leave out the option"),
    ],
)
def test_bad_input_is_one_clear_line(
    arguments: list[str],
    words: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("empty").write_text("", encoding="utf-8")
    Path("foreign").write_text("root:x:0\n", encoding="utf-8")
    for name in ("a", "b"):
        Path("two", name).mkdir(parents=True)
        recording(Path("two", name, "observations.jsonl"), FACTS)
    assert main(["scenarios", *arguments]) == 2
    captured = capsys.readouterr()
    assert words in captured.err
    assert not captured.out
