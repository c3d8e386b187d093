"""A kernel with nothing but the C executor in it, on a machine whose QEMU runs the initramfs instead of booting it."""

from __future__ import annotations

import json
import os
import platform
import stat
import sys
import time
from pathlib import Path

import pytest
from bindmatrix.cli.main import main
from bindmatrix.execute import executor, initramfs
from bindmatrix.execute.initramfs import InitramfsHost
from bindmatrix.execute.kernel_images import Image, read
from bindmatrix.execute.local import HostError

from tests.execute.test_images import bzimage

pytestmark = pytest.mark.skipif(not executor.LINUX, reason="kernel images are booted on Linux")

SCENARIOS = ["a=tcp4 a.listen", "a=tcp4 a=tcp4", "a=udp4 a.bind=127.0.0.1"]
#: unpacks what the kernel would, and starts what it would start
_QEMU = """\
#!{python}
import os, pathlib, subprocess, sys, time
words = dict(zip(sys.argv, sys.argv[1:]))
console = pathlib.Path(sys.argv[sys.argv.index("-serial") + 1].removeprefix("file:"))
how = pathlib.Path(words["-kernel"]).name.partition("-")[2]
archive, at, files = pathlib.Path(words["-initrd"]).read_bytes(), 0, {{}}
while True:
    fields = [int(archive[at + 6 + 8 * i : at + 14 + 8 * i], 16) for i in range(13)]
    assert archive[at : at + 6] == b"070701"
    start = at + 110
    name = archive[start : start + fields[11] - 1].decode()
    start += fields[11] + -(110 + fields[11]) % 4
    if name == "TRAILER!!!":
        break
    files[name] = (fields[1], archive[start : start + fields[6]])
    at = start + fields[6] + -fields[6] % 4
    assert at % 4 == 0
if how == "silent":
    time.sleep(100)
if how == "broken":
    sys.exit("qemu: no memory")
if how == "panic":
    console.write_text("booting\\nKernel panic - not syncing\\n")
    sys.exit(0)
root = console.parent
for name, (mode, data) in files.items():
    if mode >> 12 == 8:
        (root / name).write_bytes(data)
        (root / name).chmod(mode & 0o777)
lines = (root / "scenarios").read_text().splitlines(keepends=True)
(root / "scenarios").write_text("".join(lines[:1] if how == "short" else lines))
console.write_text("Kernel panic - late\\n")
sys.exit(subprocess.run([root / "init", "--namespace", "none", root / "scenarios"]).returncode)
"""


@pytest.fixture(autouse=True)
def qemu(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The program in front of PATH."""
    if platform.machine() != "x86_64":
        pytest.skip("the images are those of x86-64")
    path = tmp_path / "bin" / "qemu-system-x86_64"
    path.parent.mkdir()
    path.write_text(_QEMU.format(python=sys.executable), encoding="utf-8")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv("PATH", f"{path.parent}{os.pathsep}{os.environ['PATH']}")
    if initramfs.missing():
        pytest.skip(f"missing: {', '.join(initramfs.missing())}")


def image(folder: Path, how: str) -> Image:
    """An image whose name tells the machine what to do."""
    path = folder / f"vmlinuz-{how}"
    path.write_bytes(bzimage("7.2.13 (me) #1 SMP"))
    return read(path)


def test_every_scenario_is_answered_in_order(tmp_path: Path) -> None:
    with InitramfsHost(image(tmp_path, "whole")) as host:
        answers = [json.loads(line) for lines in host.run(SCENARIOS) for line in lines]
        assert host.facts["executor"] == "c"
    assert [answer["scenario"] for answer in answers] == SCENARIOS
    assert answers[0]["outcomes"] == ["ok", "ok"]
    assert "no_verdict" in answers[1]


def test_facts_without_a_scenario_are_those_of_a_boot(tmp_path: Path) -> None:
    assert InitramfsHost(image(tmp_path, "whole")).facts["os"] == "linux"


def test_what_a_kernel_that_stops_did_not_answer_has_no_verdict(tmp_path: Path) -> None:
    with InitramfsHost(image(tmp_path, "short")) as host:
        answers = [json.loads(line) for lines in host.run(SCENARIOS) for line in lines]
    assert [answer["scenario"] for answer in answers] == SCENARIOS
    assert answers[0]["outcomes"] == ["ok", "ok"]
    assert {one["no_verdict"] for one in answers[1:]} == {"the kernel stopped before it answered: Kernel panic - late"}


@pytest.mark.parametrize(("how", "why"), [("broken", "qemu: no memory"), ("panic", "Kernel panic - not syncing")])
def test_a_kernel_that_does_not_start_says_why(tmp_path: Path, how: str, why: str) -> None:
    with InitramfsHost(image(tmp_path, how)) as host, pytest.raises(HostError, match=f"did not start: {why}"):
        list(host.run(SCENARIOS))


def test_a_kernel_that_says_nothing_is_ended(tmp_path: Path) -> None:
    start = time.monotonic()
    with InitramfsHost(image(tmp_path, "silent"), patience=0.5) as host, pytest.raises(HostError, match="no word"):
        list(host.run(SCENARIOS))
    assert time.monotonic() - start < 30


def test_cancelled_it_does_not_wait(tmp_path: Path) -> None:
    with InitramfsHost(image(tmp_path, "silent")) as host:
        host.cancel()
        with pytest.raises(KeyboardInterrupt):
            list(host.run(SCENARIOS))


def test_the_command_takes_it_where_it_can_be_had(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = image(tmp_path, "whole").path
    main(["kernels", "a=tcp4 a.listen", "--image", str(path), "--no-here", "--json"])
    (answer,) = [
        one for one in json.loads(capsys.readouterr().out)["scenarios"][0]["answers"] if one["how"] == "booted"
    ]
    assert answer["outcomes"] == ["ok", "ok"]


def test_without_a_compiler_it_is_refused_in_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("CC", "no-such-compiler")
    path = image(tmp_path, "whole").path
    words = ["--image", str(path), "--no-here", "--executor", "c"]
    assert main(["kernels", "a=tcp4 a.listen", *words]) == 2
    err = capsys.readouterr().err
    assert err.startswith("--executor c: kernels cannot be booted with it here, missing: a C compiler")
    assert err.count("\n") == 1
