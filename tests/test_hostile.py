"""Recordings and settings of strangers are data: nothing of them runs, crashes a command or speaks to a terminal."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import pytest
from bindmatrix.cli.main import DEFECT, main
from bindmatrix.execute.executor import Folder
from bindmatrix.observe.run_folder import NAME, give_back
from bindmatrix.rules.releases import ReleaseError, parse

HOSTILE = Path(__file__).parent / "hostile"
PAIR = "a=tcp4 a.bind=0.0.0.0 b=tcp4 b.bind=0.0.0.0"
HEADER = {"format": "bindmatrix-observations/1", "host": {"os": "linux", "release": "6.18.44"}}


@pytest.mark.parametrize("name", ["outcome.jsonl", "release.jsonl"])
@pytest.mark.parametrize("lang", ["c", "winsock", "python"])
def test_nothing_of_a_recording_becomes_code(
    name: str, lang: str, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    """Failed first: `*\\` ended the comment of the C program, and what followed was compiled."""
    main(["reproduce", PAIR, "--host", str(HOSTILE / name), "--lang", lang])
    program = capsys.readouterr().out
    code = re.sub(r"/\*.*?\*/", "", program, flags=re.DOTALL)
    code = re.sub(r'"""\n.*?"""', "", code, flags=re.DOTALL)
    assert "system" not in code
    assert "__attribute__" not in code


def recording(path: Path, *lines: object, host: dict[str, object] | None = None) -> str:
    header = {**HEADER, "host": {**HEADER["host"], **(host or {})}}  # type: ignore[dict-item]
    path.write_text("".join(f"{one if isinstance(one, str) else json.dumps(one)}\n" for one in (header, *lines)))
    return str(path)


LINES = [
    '{"scenario":' + "[" * 50_000,
    '{"scenario": "a=tcp4", "outcomes": ["ok"], "repeats": true}',
    '{"scenario": "a=tcp4", "outcomes": ["ok\\u001b[2J"]}',
    '{"scenario": "a=tcp4", "outcomes": ["*\\\\ int x;"]}',
    '{"scenario": "a=tcp4", "outcomes": ["\\ud800"]}',
    '{"scenario": "\\ud800", "outcomes": ["ok"]}',
    '{"scenario": "a=tcp4", "outcomes": ' + "9" * 5000 + "}",
    '{"scenario": "user=' + "9" * 5000 + '", "outcomes": ["ok"]}',
]


@pytest.mark.parametrize("line", LINES, ids=range(len(LINES)))
@pytest.mark.parametrize("verb", ["judge", "report", "claims --observed", "diff"])
def test_a_hostile_line_is_told_in_one_line(
    verb: str, line: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = recording(tmp_path / "x.jsonl", line)
    words = [*verb.split(), path, *([path] if verb == "diff" else [])]
    if verb == "report":
        words += ["--json", str(tmp_path / "out.json")]
    if verb == "diff":
        words[-1] = recording(tmp_path / "y.jsonl", {"scenario": "a=tcp4", "outcomes": ["ok"]})
    try:
        status = main(words)
    except SystemExit as error:
        status = int(error.code or 0)
    err = capsys.readouterr().err
    assert status != DEFECT, err
    assert "Traceback" not in err
    assert "\x1b" not in err


@pytest.mark.parametrize("release", ["9" * 5000, "1." * 400 + "1", "6.1\x1b[2J", "\ud800", "v", ""])
def test_a_hostile_release(release: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with suppress(ReleaseError):
        assert len(str(parse(release))) < 300
    path = recording(
        tmp_path / "x.jsonl", {"scenario": PAIR, "outcomes": ["ok"] * 3 + ["EADDRINUSE"]}, host={"release": release}
    )
    assert main(["judge", path]) != DEFECT
    assert "\x1b" not in capsys.readouterr().err


def test_an_exception_that_nothing_expects_is_no_divergence(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Failed first: Python's status for a traceback is 1, which stands for "diverges"."""

    def fails(_: object) -> int:
        raise RuntimeError("what\x1bever\n::error::x")

    monkeypatch.delenv("BINDMATRIX_TRACEBACK", raising=False)
    monkeypatch.setattr("bindmatrix.cli.judge.run", fails)
    assert main(["judge", "x"]) == DEFECT
    err = capsys.readouterr().err
    assert err.startswith("bindmatrix: defect: RuntimeError: what")
    assert err.count("\n") == 1
    assert "\x1b" not in err


def test_a_lack_of_memory_is_no_defect(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """Failed first: it asked to be reported."""

    def fails(_: object) -> int:
        raise MemoryError

    monkeypatch.delenv("BINDMATRIX_TRACEBACK", raising=False)
    monkeypatch.setattr("bindmatrix.cli.judge.run", fails)
    assert main(["judge", "x"]) == DEFECT
    err = capsys.readouterr().err
    assert err.startswith("bindmatrix: memory is short")
    assert "report" not in err


linux = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="needs Linux's ids")
root = pytest.mark.skipif(getattr(os, "geteuid", lambda: 1)() != 0, reason="needs root")


@root
def test_under_sudo_no_link_gives_a_file_away(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Failed first: chown() followed a link in the results folder."""
    monkeypatch.setenv("SUDO_UID", "1001")
    monkeypatch.setenv("SUDO_GID", "1001")
    secret = tmp_path / "secret"
    secret.write_text("")
    other = tmp_path / "other"
    other.write_text("")
    folder = tmp_path / "results"
    folder.mkdir()
    (folder / NAME).symlink_to(secret)
    os.link(other, folder / "verdicts.json")
    os.mkfifo(folder / "pipe")
    (folder / "summary.md").write_text("")
    (folder / "theirs").write_text("")
    give_back(folder, (NAME, "verdicts.json", "summary.md", "pipe", "missing"))
    assert [path.stat().st_uid for path in (secret, other, folder / "theirs")] == [0, 0, 0]
    assert (folder / "summary.md").stat().st_uid == 1001
    assert folder.stat().st_uid == 1001
    link = tmp_path / "link"
    real = tmp_path / "real"
    real.mkdir()
    link.symlink_to(real)
    give_back(link, ())
    assert real.stat().st_uid == 0


@pytest.mark.parametrize("word", ["abc", "", "-1", "1" * 30])
def test_a_number_of_sudo_that_is_none(word: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Failed first: SUDO_UID=abc ended a run in a traceback."""
    monkeypatch.setenv("SUDO_UID", word)
    monkeypatch.delenv("SUDO_GID", raising=False)
    give_back(tmp_path, ())
    assert tmp_path.stat().st_uid == os.geteuid()


@root
def test_no_file_of_another_user_is_swept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Failed first: a folder called bindmatrix-... among the temporary files was emptied whoever it belonged to."""
    monkeypatch.setattr("tempfile.gettempdir", lambda: str(tmp_path))
    theirs = tmp_path / f"{Folder.PREFIX}theirs"
    theirs.mkdir()
    (theirs / "precious").write_text("x")
    os.chown(theirs, 1001, 1001)
    target = tmp_path / "target"
    target.mkdir()
    (target / "precious").write_text("x")
    (tmp_path / f"{Folder.PREFIX}link").symlink_to(target)
    ours = tmp_path / f"{Folder.PREFIX}ours"
    ours.mkdir()
    for folder in (theirs, ours):
        monkeypatch.chdir(folder)  # the name of a socket has to be short
        with socket.socket(socket.AF_UNIX) as sock:
            sock.bind("x")
    for path in sorted(tmp_path.iterdir()):
        if path.name.startswith(Folder.PREFIX):
            Folder._sweep(str(path))
    assert (theirs / "precious").exists()
    assert (theirs / "x").exists()
    assert (target / "precious").exists()
    assert not ours.exists()


@linux
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_while_python_ends_does_not_change_the_exit_status(number: signal.Signals) -> None:
    """Failed first: Python has given back its handlers by then, so one more Ctrl-C killed a run that was over."""
    text = f"""
import os, signal, sys
signal.signal(signal.SIGINT, signal.default_int_handler)
for one in (signal.SIGTERM, signal.SIGHUP):
    signal.signal(one, signal.SIG_DFL)
from bindmatrix.cli.main import main
class Late:
    def __del__(self, kill=os.kill, number=os.getpid()):
        kill(number, {int(number)})
late = Late()
sys.exit(main(["nope"]))
"""
    done = subprocess.run([sys.executable, "-c", text], capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 2, done


@linux
@pytest.mark.parametrize(
    ("number", "pauses"),
    [
        (signal.SIGTERM, []),
        (signal.SIGHUP, []),
        (signal.SIGINT, []),
        (signal.SIGINT, [0.005, 0.005]),
        (signal.SIGINT, [0.018, 0.018]),
        (signal.SIGINT, [0.001, 0.001]),
    ],
)
def test_a_signal_ends_a_run_with_its_summary(number: signal.Signals, pauses: list[float], tmp_path: Path) -> None:
    """Failed first: SIGTERM and SIGHUP left no summary, and three Ctrl-C within 40 ms a traceback."""
    folder = tmp_path / "results"
    command = [sys.executable, "-m", "bindmatrix", "run", "--examples", "100", "--results", str(folder)]
    default = (
        "import os, signal, sys\n"
        "for number in (1, 2, 15): signal.signal(number, signal.SIG_DFL)\n"
        "os.execv(sys.argv[1], sys.argv[1:])"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", default, *command], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    try:
        deadline = time.monotonic() + 60
        while not (folder / NAME).exists() or (folder / NAME).stat().st_size < 20_000:
            assert time.monotonic() < deadline
            time.sleep(0.05)
        process.send_signal(number)
        for pause in pauses:
            time.sleep(pause)
            process.send_signal(number)
        out, err = process.communicate(timeout=60)
    finally:
        process.kill()
        process.wait()
    assert process.returncode == 130, err
    assert "Traceback" not in err
    assert "--resume" in out
    assert (folder / "summary.md").exists()
