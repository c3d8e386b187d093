"""The jobs that observe, from their first ``run:`` to their last, with nothing there that a fresh container has not.

In place of the actions stand: a folder ``bindmatrix`` with the checkout, one ``caller`` with that of the caller, and
``sh`` in place of a virtual machine.  `pip` and `docker` write down what they are asked.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest
from bindmatrix.cli.main import main

from tests.workflows.workflow import ROOT, SCRIPTS, Runner, load

BUSYBOX, DASH = shutil.which("busybox"), shutil.which("dash")
PYENV = Path.home() / ".pyenv" / "versions"
pytestmark = [
    pytest.mark.skipif(os.name != "posix", reason="runs POSIX shell scripts"),
    pytest.mark.skipif(not shutil.which("bash"), reason="needs bash"),
]
NEEDS = """\
a=tcp4 a.bind=0.0.0.0 a.listen b=tcp4 b.bind=127.0.0.1 => EADDRINUSE
a=udp4 a.bind=127.0.0.1 deliver=127.0.0.1 => a
"""
#: what observe.sh needs of a system, beside a shell and an executor
TOOLS = ("dirname", "uname", "id", "mkdir", "sed", "wc", "cat", "env")


@pytest.mark.parametrize("job", ["native", "machines", "gvisor"])
def test_a_job_that_observes_runs_to_its_end(job: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Every step that has a name, in order; the recording that comes back is judged."""
    runner = Runner(tmp_path)
    (tmp_path / "bindmatrix").symlink_to(ROOT)
    (tmp_path / "caller").mkdir()
    (tmp_path / "caller" / "needs.txt").write_text(NEEDS, encoding="utf-8")
    runner.values |= {
        "inputs.check": "needs.txt",
        "inputs.scenarios": "",
        "inputs.quick": "true",
        "matrix.host.image": "debian:13-slim",
    }
    runner.program("sudo", "exit 1\n")
    runner.program("python", 'echo "$@" >> asked\n')
    runner.program("cpa.sh", 'echo "cpa.sh $*" >> asked\n')
    runner.program("docker", 'case $1 in exec) shift 2; exec "$@" ;; *) echo "docker $*" >> asked ;; esac\n')
    runner.program("apt-get", 'echo "apt-get $*" >> asked\n')
    runner.program("runsc", 'case $1 in --version) echo "runsc version 20240729.0" ;; *) shift 3; exec "$@" ;; esac\n')
    for step in load("conformance.yml")["jobs"][job]["steps"]:
        if "run" in step:
            done = runner.step("conformance.yml", job, step["name"])
            assert done.returncode == 0, (step["name"], done.stdout, done.stderr)
    results = tmp_path / "results"
    lines = (results / "observations.jsonl").read_text(encoding="utf-8").splitlines()
    assert [json.loads(line)["scenario"] for line in lines[1:]] == [row.split(" =>")[0] for row in NEEDS.splitlines()]
    assert (results / "facts.json").exists() == (job == "gvisor")
    asked = (tmp_path / "asked").read_text(encoding="utf-8")
    assert "-m pip install --quiet ./bindmatrix" in asked
    assert ("docker run --detach" in asked) == (job == "gvisor")
    assert ("cpa.sh --sync-files vm-to-runner" in asked) == (job == "machines")
    (results / "facts.json").unlink(missing_ok=True)
    assert (
        main(["check", str(tmp_path / "caller" / "needs.txt"), "--recorded", str(results / "observations.jsonl")]) == 0
    )
    capsys.readouterr()


def interpreters() -> dict[str, str]:
    """The oldest Python that the executor runs on, as far as this machine has it, and this machine's."""
    old = [str(path) for path in PYENV.glob("3.8.*/bin/python3.8")] + [str(shutil.which("python3.8") or "")]
    return {"python3.8": next(filter(None, map(itself, old)), ""), "cc": str(shutil.which("cc") or "")}


def itself(python: str) -> str:
    """The interpreter that ``python`` starts, "" for none: a shim of pyenv finds none in an empty environment."""
    command = [python, "-c", "import sys; print(sys.executable)"]
    return subprocess.run(command, capture_output=True, text=True, check=False).stdout.strip() if python else ""


@pytest.mark.parametrize("shell", [(BUSYBOX, "sh"), (DASH,)], ids=["busybox", "dash"])
@pytest.mark.parametrize("executor", ["python3.8", "cc"])
def test_a_machine_needs_a_shell_and_an_executor(shell: tuple[str | None, ...], executor: str, tmp_path: Path) -> None:
    """A Python, or a compiler where there is no Python; no HOME, and of PATH only what the script needs."""
    program = interpreters()[executor]
    if not shell[0] or not program:
        pytest.skip(f"needs busybox, dash and {executor} here")
    bare = tmp_path / "bare"
    bare.mkdir()
    for name in TOOLS:
        (bare / name).symlink_to(str(shutil.which(name)))
    if executor == "cc":
        # a compiler looks for its parts beside itself
        (bare / "cc").write_text(f'#!/bin/sh\nPATH=/usr/bin:/bin exec "{program}" "$@"\n')
        (bare / "cc").chmod(0o755)
    else:
        (bare / "python3").symlink_to(program)
    text = (SCRIPTS / "observe.sh").read_text(encoding="utf-8")
    # the folders that it adds itself hold the Pythons of this machine
    assert text.count("PATH=$PATH:") == 1
    scripts = tmp_path / "bindmatrix" / ".github" / "conformance"
    scripts.mkdir(parents=True)
    (scripts / "observe.sh").write_text(text.replace("PATH=$PATH:", "echo "), encoding="utf-8")
    (tmp_path / "bindmatrix" / "conformance").symlink_to(ROOT / "conformance")
    (tmp_path / "scenarios.txt").write_text("".join(row.split(" =>")[0] + "\n" for row in NEEDS.splitlines()))
    for words in (["facts"], ["run", "scenarios.txt"], ["run", "scenarios.txt"]):
        command = [*map(str, shell), str(scripts / "observe.sh"), *words]
        done = subprocess.run(
            command, cwd=tmp_path, env={"PATH": str(bare)}, capture_output=True, text=True, timeout=60
        )
        assert (done.returncode, done.stderr) == (0, "")
    host = json.loads((tmp_path / "host.jsonl").read_text(encoding="utf-8"))["host"]
    assert host.get("executor", "python") == ("c" if executor == "cc" else "python")
    assert executor == "cc" or host["python"].startswith("cpython 3.8.")
    recorded = (tmp_path / "results" / "observations.jsonl").read_text(encoding="utf-8").splitlines()
    assert len(recorded) == 1 + 2 * 2
    assert json.loads(recorded[0])["host"] == host
    assert all(json.loads(line)["outcomes"] for line in recorded[1:])
