"""Standard input, output and error as a shell can leave them: closed, full, not to be read."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from bindmatrix.cli.main import main

from tests.cli.test_verbs import CLASSIC, ENVIRONMENT

pytestmark = pytest.mark.skipif(os.name != "posix", reason="streams as a POSIX shell closes them")
needs_full = pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")


def shell(words: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """Run ``bindmatrix WORDS`` in a shell, which may close its streams."""
    done = subprocess.run(
        ["/bin/sh", "-c", f'exec "$0" -m bindmatrix {words}', sys.executable],
        capture_output=True,
        text=True,
        timeout=120,
        env=ENVIRONMENT,
        cwd=folder,
        check=False,
    )
    assert "Traceback" not in done.stderr
    return done


@needs_full
@pytest.mark.parametrize(
    "words",
    [
        f"predict --os linux '{CLASSIC}'",
        f"ask '{CLASSIC}'",
        f"observe '{CLASSIC}'",
        "diff linux linux --json",
        f"reproduce '{CLASSIC}' --host linux",
        "report seen.jsonl",
        "report seen.jsonl --html -",
        "judge seen.jsonl",
        "scenarios --quick --examples 0 --deliveries 0",
        "--help",
        "--version",
        "run --help",
    ],
)
def test_no_room_for_the_output_is_not_a_divergence(words: str, tmp_path: Path) -> None:
    """Failed first: a traceback, and 1, the status of a divergence."""
    (tmp_path / "seen.jsonl").write_text(
        '{"format":"bindmatrix-observations/1","host":{"os":"linux","release":"6.18.44"}}\n'
        '{"scenario":"a=tcp4 a.bind=127.0.0.1","outcomes":["ok","ok"]}\n',
        encoding="utf-8",
    )
    done = shell(f"{words} > /dev/full", tmp_path)
    assert done.returncode == 2
    assert done.stderr == "standard output: cannot be written: No space left on device\n"


@pytest.mark.parametrize("words", ["predict --os linux", "observe", "ask -", "judge -", "report -", "reproduce -"])
def test_standard_input_that_is_closed(words: str, tmp_path: Path) -> None:
    done = shell(f"{words} <&-", tmp_path)
    assert done.returncode == 2
    assert done.stderr.startswith("<stdin>: cannot be read: ") or words == "report -"
    assert len(done.stderr.splitlines()) == 1
    assert not done.stdout


@pytest.mark.parametrize(
    "words", [f"predict --os linux '{CLASSIC}'", f"observe '{CLASSIC}'", "ports", "kernels --help"]
)
def test_standard_output_that_is_closed(words: str, tmp_path: Path) -> None:
    done = shell(f"{words} >&-", tmp_path)
    assert done.returncode == 0, done.stderr


def test_standard_error_that_is_closed_does_not_spoil_the_output(tmp_path: Path) -> None:
    """Failed first: what is wrong with a scenario stood among the predictions."""
    done = shell("predict --os linux 'a=tcp4 a.bnd=::' 2>&-", tmp_path)
    assert (done.returncode, done.stdout) == (2, "")


@needs_full
@pytest.mark.parametrize(
    "words", ["judge no-such-file", "predict --os linux a=tcp4.", "ask --nothing", "nothing", "report empty"]
)
def test_standard_error_that_is_full(words: str, tmp_path: Path) -> None:
    (tmp_path / "empty").touch()
    assert shell(f"{words} 2>/dev/full", tmp_path).returncode == 2


def test_a_run_without_any_stream(tmp_path: Path) -> None:
    words = "run --quick --examples 0 --deliveries 0 --shard 1/900 --results new <&- >&- 2>&-"
    assert shell(words, tmp_path).returncode == 0
    assert (tmp_path / "new" / "summary.md").exists()


def test_a_folder_that_may_not_be_entered(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """Root enters every folder, so the refusal is played; pathlib raised it through to the person at the keyboard."""

    def refuse(path: Path, **_: object) -> os.stat_result:
        raise PermissionError(13, "Permission denied", str(path))

    with monkeypatch.context() as patched:
        patched.setattr(Path, "stat", refuse)
        assert main(["judge", "closed/seen.jsonl"]) == 2
    captured = capsys.readouterr()
    assert "closed/seen.jsonl" in captured.err
    assert "Permission denied" in captured.err
    assert len(captured.err.splitlines()) == 1


def test_a_scenario_that_the_shell_took_apart(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stopped:
        main(["predict", "--os", "linux", *CLASSIC.split()])
    assert stopped.value.code == 2
    assert "put it in quotes" in capsys.readouterr().err
