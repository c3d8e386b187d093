"""The command as a person types it: exit status, one clear line for what is wrong, no traceback ever."""

from __future__ import annotations

import errno
import gzip
import json
import os
import re
import shlex
import subprocess
import sys
import time
from pathlib import Path

import bindmatrix
import pytest
from bindmatrix.cli.main import DEFECT, VERBS, _wrapped, main
from bindmatrix.execute.hosts import HostSpec, open_host
from bindmatrix.rules import catalog

from tests.interruptible import interruptible

CLASSIC = "a=tcp4 a.bind=0.0.0.0 a.listen b=tcp4 b.reuseaddr=1 b.bind=127.0.0.1"
EVIDENCE = catalog.folder() / "evidence"
#: the package that is tested is the one that the command finds, wherever it is started
ENVIRONMENT = {**os.environ, "PYTHONPATH": str(Path(bindmatrix.__file__).parent.parent)}
# with it nothing is left to be written at exit, where a stream that cannot be written is told of once more
ENVIRONMENT.pop("PYTHONUNBUFFERED", None)


def lines(capsys: pytest.CaptureFixture[str]) -> tuple[list[str], list[str]]:
    captured = capsys.readouterr()
    assert "Traceback" not in captured.err
    return captured.out.splitlines(), captured.err.splitlines()


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_has_help(verb: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stopped:
        main([verb, "--help"])
    assert stopped.value.code == 0
    out, _ = lines(capsys)
    assert out[0].startswith(f"usage: bindmatrix {verb}")
    assert [line for line in out if len(line) > 80] == []


def test_help_names_every_verb(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["--help"])
    out, _ = lines(capsys)
    assert all(any(line.strip().startswith(verb) for line in out) for verb in VERBS)
    assert [line for line in out if len(line) > 80] == []


LONG = "python3 server.py " + "--option " * 5 + "--last"


@pytest.mark.parametrize(
    ("line", "shown"),
    [
        ("  name   " + "word " * 15 + "end", ["  name   " + "word " * 13 + "word", "         word end"]),
        (f"  {LONG}  what it does", [f"  {LONG}", "      what it does"]),
        (f"  {LONG} {LONG}", [f"  {LONG} python3", f"      {LONG[8:]}"]),
        ("  " + "x" * 90, ["  " + "x" * 90]),
    ],
)
def test_a_row_of_a_help_that_is_too_long_is_wrapped_in_its_column(line: str, shown: list[str]) -> None:
    assert _wrapped(f"head\n{line}").split("\n") == ["head", *shown]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["jugde", "x"], "did you mean 'judge'"),
        (["predict", "--os", "linx", CLASSIC], "did you mean 'linux'"),
        (["predict", "--os", "linux", "--release", "new", CLASSIC], "expected a release"),
        (["predict", "--os", "linux", "--release", "new", CLASSIC], "Linux is described from 5.10 to "),
        (["predict", "--os", "windows", "--release", "new", CLASSIC], ", by name "),
        (["predict", "--os", "linux", "a=tcp4 a.bnd=::"], "did you mean 'bind'"),
        (["predict", "--os", "linux", "no-such-file"], "cannot be read"),
        (["judge", "no-such-file"], "cannot be read"),
        (["observe", "a=tcp4 b.listen"], "not a socket yet"),
        (["run", "--resume", "no-such-folder"], "nothing to resume"),
    ],
)
def test_bad_input_is_one_clear_line_and_status_2(
    arguments: list[str], words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(arguments) == 2
    out, err = lines(capsys)
    assert words in err[0]
    assert not out


@pytest.mark.parametrize(
    "arguments",
    [
        ["run", "--shard", "3/2"],
        ["run", "--examples", "many"],
        ["run", "--seed", "-1"],
        ["predict", CLASSIC],
        ["predict", "--os", "linux", "--port", "-5", CLASSIC],
        ["predict", "--os", "linux", "--port", "65536", CLASSIC],
        ["observe", "--workers", "-3", CLASSIC],
        ["kernels", "--jobs", "-1", CLASSIC],
        ["ask", "--no-such-option"],
        ["audit", "x", "--no-such-option"],
    ],
)
def test_bad_options_are_one_clear_line_and_status_2(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stopped:
        main(arguments)
    assert stopped.value.code == 2
    _, (err,) = lines(capsys)
    assert err.startswith(f"bindmatrix {arguments[0]}: ")
    assert err.endswith(f"; see 'bindmatrix {arguments[0]} --help'")


def test_predict_prints_json_lines(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["predict", "--os", "linux", CLASSIC]) == 0
    (out,), _ = lines(capsys)
    data = json.loads(out)
    assert data["scenario"] == CLASSIC
    assert data["outcomes"] == ["ok", "ok", "ok", "ok", "ok", "EADDRINUSE"]
    assert data["rules"][-1] == "linux.tcp-conflict"
    assert data["confidence"]


def test_predict_says_where_a_release_is_known_to_do_otherwise(capsys: pytest.CaptureFixture[str]) -> None:
    text = "a=tcp6 a.v6only=0 a.bind=::ffff:0.0.0.0 b=tcp6 b.v6only=0 b.bind=::ffff:127.0.0.1"
    assert main(["predict", "--os", "linux", "--release", "6.1.192", text]) == 0
    (out,), _ = lines(capsys)
    data = json.loads(out)
    assert data["outcomes"][-1] == "EADDRINUSE"
    assert (data["divergence"], data["actual"][-1]) == ("linux.mapped-wildcard-overlooked", "ok")


def test_predict_reads_files_and_tells_bad_lines_with_their_place(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "scenarios.txt"
    file.write_text(f'# a comment\n\n{CLASSIC}\na=tcp4 a.bind\n{{"scenario": "a=udp4"}}\n', encoding="utf-8")
    assert main(["predict", "--os", "linux", str(file)]) == 2
    out, err = lines(capsys)
    assert [json.loads(line)["scenario"] for line in out] == [CLASSIC, "a=udp4"]
    assert err[0].startswith(f"{file}:4:8: ")


def test_a_release_past_the_newest_tested_one_is_answered_with_that_limit(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["predict", "--os", "linux", "--release", "9.9", CLASSIC]) == 0
    out, err = lines(capsys)
    assert len(out) == 1
    assert "past 7.3.4" in err[0]


def test_judge_recorded_evidence(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["judge", str(EVIDENCE / "linux-6.18.44" / "users.jsonl.gz")]) == 0
    out, _ = lines(capsys)
    assert out[0] == "Linux 6.18.44: 512 scenarios, all as expected"


def test_judge_the_evidence_of_another_release_diverges(capsys: pytest.CaptureFixture[str]) -> None:
    file = str(EVIDENCE / "linux-5.10.218" / "options-after-bind.jsonl.gz")
    assert main(["judge", "--release", "6.18.44", "--json", file]) == 1
    out, _ = lines(capsys)
    (summary,) = json.loads("\n".join(out))
    assert summary["verdicts"]["diverges"] == 12


def test_judge_goes_as_far_as_a_broken_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    whole = (EVIDENCE / "linux-6.18.44" / "users.jsonl.gz").read_bytes()
    file = tmp_path / "cut.jsonl.gz"
    file.write_bytes(whole[: len(whole) // 2])
    assert main(["judge", "--os", "linux", "--release", "6.18.44", str(file)]) == 2
    out, err = lines(capsys)
    assert "breaks off" in err[0]
    assert 0 < int(out[0].partition(": ")[2].split()[0].replace(",", "")) < 512


@pytest.mark.parametrize(("text", "words"), [("", "holds no observations"), ("root:x:0:0\n", "1: not JSON")])
def test_judge_of_what_is_no_recording(
    text: str, words: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "foreign"
    file.write_text(text, encoding="utf-8")
    assert main(["judge", "--os", "linux", str(file)]) == 2
    out, err = lines(capsys)
    assert words in err[0]
    assert not out


def test_judge_needs_to_know_the_system(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "x.jsonl"
    file.write_text('{"scenario":"a=tcp4","outcomes":["ok"]}\n', encoding="utf-8")
    assert main(["judge", str(file)]) == 2
    _, err = lines(capsys)
    assert "--os" in err[0]


def bindmatrix(*arguments: str, **options: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "bindmatrix", *arguments],
        capture_output=True,
        text=True,
        timeout=120,
        env=ENVIRONMENT,
        **options,
    )  # type: ignore[call-overload,no-any-return]


def test_observe_and_judge_in_a_pipe() -> None:
    observed = bindmatrix("observe", "a=tcp4 a.bind=127.0.0.1 b=udp4 b.bind=127.0.0.1")
    assert observed.returncode == 0, observed.stderr
    judged = bindmatrix("judge", "-", input=observed.stdout)
    assert judged.returncode == 0, judged.stderr
    assert ": 1 scenario, all as expected" in judged.stdout


def test_run_quick_writes_its_results(tmp_path: Path) -> None:
    folder = tmp_path / "results"
    done = bindmatrix("run", "--quick", "--examples", "50", "--results", str(folder), cwd=tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    assert {path.name for path in folder.iterdir()} == {"observations.jsonl.gz", "summary.md", "verdicts.json"}
    verdicts = json.loads((folder / "verdicts.json").read_text(encoding="utf-8"))
    assert verdicts["format"] == "bindmatrix-verdicts/1"
    assert verdicts["verdicts"]["diverges"] == 0
    assert verdicts["total"] > 3000
    assert main(["judge", str(folder)]) == 0
    again = bindmatrix("run", "--quick", "--results", str(folder), cwd=tmp_path)
    assert again.returncode == 2
    assert "--resume" in again.stderr


@pytest.mark.skipif(os.name != "posix", reason="pipes and shells of POSIX")
@pytest.mark.parametrize(("arguments", "status"), [(["predict", "--os", "linux", "-"], 0), (["judge", "-"], 2)])
def test_a_reader_that_goes_away_is_neither_a_traceback_nor_a_divergence(arguments: list[str], status: int) -> None:
    """Failed first: rich ended the program with 1, the status of a divergence; and 2 where nothing is judged."""
    recorded = gzip.decompress((EVIDENCE / "linux-6.18.44" / "pairs.jsonl.gz").read_bytes())
    recorded = b'{"format":"bindmatrix-observations/1","host":{"os":"linux","release":"6.18.44"}}\n' + recorded
    process = subprocess.Popen(
        [sys.executable, "-m", "bindmatrix", *arguments],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=ENVIRONMENT,
    )
    assert process.stdout is not None
    process.stdout.close()
    _, err = process.communicate(recorded, timeout=60)
    assert process.returncode == status
    assert b"Traceback" not in err


def test_a_reader_that_goes_away_on_windows(monkeypatch: pytest.MonkeyPatch) -> None:
    """There write() says EINVAL (bpo-19612); anywhere else that is a bug of ours and must be seen."""

    def gone(_: object) -> None:
        raise OSError(errno.EINVAL, "Invalid argument")

    null = os.open(os.devnull, os.O_WRONLY)
    monkeypatch.setattr("sys.stdout", os.fdopen(null, "w", encoding="utf-8"))
    monkeypatch.setattr("bindmatrix.cli.judge.run", gone)
    assert main(["judge", "-"]) == DEFECT
    monkeypatch.setattr("bindmatrix.cli.main.os.name", "nt")
    assert main(["judge", "-"]) == 2


def test_no_more_workers_than_scenarios(monkeypatch: pytest.MonkeyPatch, capsysbinary: object) -> None:
    """Failed first: as many processes as were asked for, for one scenario."""
    asked = []

    def opened(spec: HostSpec) -> object:
        asked.append(spec.workers)
        return open_host(spec)

    monkeypatch.setattr("bindmatrix.cli.observe.open_host", opened)
    assert main(["observe", "--workers", "64", "a=tcp4"]) == 0
    assert asked == [1]


def test_a_run_of_nothing_says_so(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["--quick", "--examples", "0", "--deliveries", "0", "--shard", "99999999999/99999999999"]
    assert main(["run", *words, "--results", str(tmp_path / "new")]) == 2
    assert "there was no scenario to run" in lines(capsys)[1][0]


@pytest.mark.parametrize("hosts", [[], ["--on", "local", "--on", "local"]])
def test_a_summary_that_cannot_be_written_is_status_2(
    hosts: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Failed first: it was told, and the status was 0."""
    (tmp_path / "new" / "summary.md").mkdir(parents=True)
    words = ["--quick", "--examples", "0", "--deliveries", "0", "--shard", "1/900", *hosts]
    assert main(["run", *words, "--results", str(tmp_path / "new")]) == 2
    out, err = lines(capsys)
    assert err == [f"{tmp_path / 'new' / 'summary.md'}: cannot be written: Is a directory"]
    assert f"results: {tmp_path / 'new'}" in out


def test_a_run_ends_with_what_one_does_next(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["--quick", "--examples", "0", "--deliveries", "0", "--shard", "1/900"]
    folder = tmp_path / "new one"
    assert main(["run", *words, "--results", str(folder)]) == 0
    out, _ = lines(capsys)
    assert re.fullmatch(r"\S+ \S+: \d+ scenarios?, all as expected", out[0])
    assert not any("linux." in line for line in out)  # rules are for --verbose
    steps = out[out.index("next:") + 1 :]
    assert [step.split("  ")[1] for step in steps] == [
        "read it",
        "see it as a page",
        "compare it with another",
        "contribute it",
    ]
    commands = [step.split("  ")[-1].strip() for step in steps[1:]]
    assert [shlex.split(command)[1:3] for command in commands] == [
        ["report", str(folder)],
        ["diff", str(folder)],
        ["contribute", str(folder)],
    ]
    assert main(["run", *words, "--results", str(tmp_path / "again"), "--verbose"]) == 0
    assert "Rules used (steps decided)" in lines(capsys)[0]


def test_run_into_a_folder_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("", encoding="utf-8")
    done = bindmatrix("run", "--quick", "--results", str(tmp_path / "file" / "below"), cwd=tmp_path)
    assert done.returncode == 2
    assert "cannot be written" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.skipif(os.name != "posix", reason="signals and process groups are POSIX")
def test_ctrl_c_keeps_what_was_observed_and_says_how_to_go_on(tmp_path: Path) -> None:
    import signal

    folder = tmp_path / "results"
    command = [sys.executable, "-m", "bindmatrix", "run", "--examples", "200", "--results", str(folder)]
    process = subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=tmp_path,
        env=ENVIRONMENT,
        start_new_session=True,
        preexec_fn=interruptible,
    )
    path = folder / "observations.jsonl.gz"
    while process.poll() is None and not (path.exists() and path.stat().st_size > 5000):
        time.sleep(0.01)
    os.killpg(process.pid, signal.SIGINT)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 130, out + err
    assert f"bindmatrix run --resume {folder} --examples 200" in out
    assert "Traceback" not in err
    assert main(["judge", str(folder)]) == 0
