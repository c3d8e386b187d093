"""``kernels``: the images that are here, one scenario on each, between which versions the answer changes."""

from __future__ import annotations

import json
import os
import platform
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from bindmatrix.cli.main import main
from bindmatrix.execute import executor, vng

from tests import fake_vng
from tests.cli.test_verbs import ENVIRONMENT
from tests.interruptible import interruptible

pytestmark = pytest.mark.skipif(not executor.LINUX, reason="kernel images are booted on Linux")

DEBIAN = "6.1.0-56-amd64 (debian) #1 SMP Debian 6.1.192-2 (2026-11-16)"
#: the same on every Linux, so that it conforms whatever kernel the tests run on
PAIR = "a=tcp4 a.bind=127.0.0.1 b=tcp4 b.bind=127.0.0.1 b.listen"
#: recorded on every release; EADDRINUSE on 6.12 and later, ok before
CHANGED = "a=tcp4 a.reuseaddr=1 a.bind=127.0.0.1 a.reuseaddr=0 b=tcp4 b.reuseaddr=1 b.bind=127.0.0.1"


@pytest.fixture
def boot(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder for images on a machine that seems to boot them."""
    monkeypatch.setattr(platform, "machine", lambda: "x86_64")
    return fake_vng.install(tmp_path, monkeypatch, "x86_64")


def run(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, str, str]:
    """Exit status, output, complaints."""
    status = main(["kernels", "--executor", "python", *words])
    captured = capsys.readouterr()
    return status, captured.out, captured.err


def test_a_list_of_the_images(boot: Path, capsys: pytest.CaptureFixture[str]) -> None:
    fake_vng.image(boot, "new", "7.2.13 (me) #1 SMP")
    fake_vng.image(boot, "old", DEBIAN)
    (boot / "vmlinuz-none").write_bytes(b"nothing")
    status, out, err = run(capsys, "--image", str(boot))
    assert (status, err) == (0, "")
    assert [line.split()[0] for line in out.splitlines()] == ["6.1.192", "7.2.13"]
    _, out, _ = run(capsys, "--image", str(boot), "--json")
    assert [one["uname"] for one in json.loads(out)["images"]] == ["6.1.0-56-amd64", "7.2.13"]


def test_a_scenario_on_each(boot: Path, capsys: pytest.CaptureFixture[str]) -> None:
    old = fake_vng.image(boot, "old", DEBIAN)
    fake_vng.image(boot, "new", "7.2.13 (me) #1 SMP")
    status, out, err = run(capsys, PAIR, "--image", str(boot), "--json")
    assert (status, err) == (0, "")
    (scenario,) = json.loads(out)["scenarios"]
    booted = [one for one in scenario["answers"] if one["how"] == "booted"]
    assert [one["release"] for one in booted] == ["6.1.192", "7.2.13"]
    assert booted[0]["source"] == str(old)
    assert {one["verdict"] for one in scenario["answers"]} == {"conforms"}
    assert {one["how"] for one in scenario["answers"]} == {"booted", "this kernel", "recorded"}
    assert scenario["changes"] == []


def test_between_which_versions_the_answer_changes(boot: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The kernels that seem to be booted are this one; the recordings are real."""
    status, out, err = run(capsys, CHANGED, "--image", str(fake_vng.image(boot, "x", "7.2.13 (me) #1")), "--no-here")
    assert err == ""
    assert "7.2.13" in out
    assert "changes between 6.1.192 and 6.12.117 at b.bind=127.0.0.1: ok, then EADDRINUSE" in out
    assert "linux.cache-reuseaddr (until 6.8)" in out
    assert status in (0, 1)  # what this kernel is, nobody knows


def test_a_kernel_that_does_otherwise_diverges(boot: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """This kernel under two names: on one side of 6.8 it must be wrong."""
    fake_vng.image(boot, "old", DEBIAN)
    fake_vng.image(boot, "new", "7.2.13 (me) #1 SMP")
    status, out, _ = run(capsys, CHANGED, "--image", str(boot), "--no-here")
    assert status == 1
    assert out.count("diverges, expected") == 1


def test_a_kernel_that_does_not_start_says_why(boot: Path, capsys: pytest.CaptureFixture[str]) -> None:
    fake_vng.image(boot, "broken", DEBIAN)
    fake_vng.image(boot, "new", "7.2.13 (me) #1 SMP")
    status, out, _ = run(capsys, PAIR, "--image", str(boot), "--no-here")
    assert status == 2
    assert "6.1.192, booted: " in out
    assert "qemu-system: no memory" in " ".join(out.split())
    assert "7.2.13" in out


@pytest.mark.skipif(platform.machine() != "x86_64", reason="the images are those of x86_64")
def test_ctrl_c_does_not_wait_for_kernels_that_boot(boot: Path) -> None:
    """Failed first: it was heard when the last of them had answered.

    In a process of its own: whatever runs in this one may swallow an interrupt.
    """
    for name in ("slow-1", "slow-2", "slow-3"):
        fake_vng.image(boot, name, DEBIAN)
    process = subprocess.Popen(
        [
            sys.executable,
            "-m",
            "bindmatrix",
            "kernels",
            "--executor",
            "python",
            PAIR,
            "--image",
            str(boot),
            "--no-here",
        ],
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": ENVIRONMENT["PYTHONPATH"]},
        start_new_session=True,
        preexec_fn=interruptible,
    )
    while process.poll() is None and not boot.with_name("began").exists():
        time.sleep(0.01)
    os.kill(process.pid, signal.SIGINT)
    try:
        _, err = process.communicate(timeout=60)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        raise
    assert (process.returncode, err) == (130, "interrupted\n")


def test_kvm_only_when_asked_for(boot: Path) -> None:
    from bindmatrix.execute.kernel_images import read

    image = read(fake_vng.image(boot, "x", DEBIAN))
    assert "--disable-kvm" in vng.host_spec(image).via
    assert "--disable-kvm" not in vng.host_spec(image, kvm=True).via


def test_without_the_tools_what_is_known_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    path = fake_vng.image(tmp_path, "x", DEBIAN)
    monkeypatch.setattr(vng, "_which", lambda _: None)
    status, out, err = run(capsys, CHANGED, "--image", str(path), "--no-here")
    assert status == 2
    assert "cannot be booted here, missing: vng (pip install virtme-ng)" in err
    assert len(err.splitlines()) == 1
    assert "changes between 6.1.192 and 6.12.117" in out


@pytest.mark.parametrize("words", [(), (PAIR,)])
def test_without_an_image(tmp_path: Path, capsys: pytest.CaptureFixture[str], words: tuple[str, ...]) -> None:
    status, _, err = run(capsys, *words, "--image", str(tmp_path), "--no-here")
    assert status == 2
    assert err.startswith(f"{tmp_path}: no kernel image there")


def test_nothing_is_booted_for_no_scenario(boot: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Failed first: every kernel was booted, to be asked nothing."""
    fake_vng.image(boot, "old", DEBIAN)
    (boot / "empty.txt").write_text("", encoding="utf-8")
    status, out, err = run(capsys, str(boot / "empty.txt"), "--image", str(boot))
    assert (status, out, err) == (2, "", f"{boot / 'empty.txt'}: holds no scenario: nothing is booted\n")
