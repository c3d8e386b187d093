"""What a machine does that is observed: the scripts on this one."""

from __future__ import annotations

import ast
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from bindmatrix.cli.main import main

from tests.workflows.workflow import SCRIPTS, Runner

pytestmark = pytest.mark.skipif(os.name != "posix", reason="runs POSIX shell scripts")

CLASSIC = "a=tcp4 a.bind=0.0.0.0 a.listen b=tcp4 b.reuseaddr=1 b.bind=127.0.0.1"
RUNSC = 'case $1 in --version) echo "runsc version 0.0~20221219.0-2+b3" ;; *) shift 3; exec "$@" ;; esac\n'


def sh(script: str, *words: str, folder: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run a script in ``folder``; nobody becomes root for a test."""
    Runner(folder).program("sudo", "exit 1\n")
    path = os.pathsep.join([str(folder / "bin"), os.environ["PATH"]])
    return subprocess.run(
        ["sh", str(SCRIPTS / script), *words],
        cwd=folder,
        env={**os.environ, "PATH": path, **environment},
        capture_output=True,
        text=True,
        timeout=120,
    )


def test_facts_then_scenarios_then_what_diverges_again(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert sh("observe.sh", "facts", folder=tmp_path).returncode == 0
    host = json.loads((tmp_path / "host.jsonl").read_text(encoding="utf-8"))["host"]
    assert host["os"] in ("linux", "macos", "freebsd")
    done = sh("choose.sh", folder=tmp_path, QUICK="true")
    assert done.returncode == 0, done.stderr
    chosen = (tmp_path / "scenarios.txt").read_text(encoding="utf-8").splitlines()
    assert len(chosen) > 5000
    some = tmp_path / "some.txt"
    some.write_text("\n".join([CLASSIC, *chosen[:40]]) + "\n", encoding="utf-8")
    assert sh("observe.sh", "run", "some.txt", folder=tmp_path).returncode == 0
    recorded = (tmp_path / "results" / "observations.jsonl").read_text(encoding="utf-8").splitlines()
    assert json.loads(recorded[0])["host"] == host
    assert [json.loads(line)["scenario"] for line in recorded[1:]] == [CLASSIC, *chosen[:40]]
    # a further run has no first line of its own, and what it saw is a repeat
    again = tmp_path / "again.txt"
    again.write_text(f"{CLASSIC}\n" * 3, encoding="utf-8")
    assert sh("observe.sh", "run", "again.txt", folder=tmp_path).returncode == 0
    recorded = (tmp_path / "results" / "observations.jsonl").read_text(encoding="utf-8").splitlines()
    assert len(recorded) == 42 + 3
    assert main(["report", str(tmp_path / "results"), "--json"]) in (0, 1)
    (summary,) = json.loads(capsys.readouterr().out)
    assert summary["total"] == len({CLASSIC, *chosen[:40]})


def test_given_scenarios_are_taken_instead(tmp_path: Path) -> None:
    (tmp_path / "caller").mkdir()
    (tmp_path / "caller" / "a b.txt").write_text(f"# ours\n{CLASSIC}\n", encoding="utf-8")
    assert sh("choose.sh", folder=tmp_path, SCENARIOS="a b.txt").returncode == 0
    assert (tmp_path / "scenarios.txt").read_text(encoding="utf-8") == f"{CLASSIC}\n"
    (tmp_path / "caller" / "bad").write_text("a=tcp5\n", encoding="utf-8")
    done = sh("choose.sh", folder=tmp_path, SCENARIOS="bad")
    assert done.returncode == 2
    assert "bad:1:1" in done.stderr


@pytest.mark.parametrize("given", ["--help", "x; touch hit", "$(touch hit)", "`touch hit`", "-rf"])
def test_a_given_file_is_a_name_and_nothing_else(given: str, tmp_path: Path) -> None:
    done = sh("choose.sh", folder=tmp_path, SCENARIOS=given)
    assert done.returncode == 2
    assert "cannot be read" in done.stderr
    assert not (tmp_path / "hit").exists()


def test_a_command_goes_before_python_and_tells_the_release(tmp_path: Path) -> None:
    Runner(tmp_path).program("runsc", RUNSC)
    command = ["runsc", "--platform=ptrace", "--network=none", "do"]
    assert sh("observe.sh", "facts", *command, folder=tmp_path).returncode == 0
    assert json.loads((tmp_path / "results" / "facts.json").read_text(encoding="utf-8")) == {"release": "20221219"}
    assert json.loads((tmp_path / "host.jsonl").read_text(encoding="utf-8"))["host"]["os"]


@pytest.mark.parametrize(("release", "wanted"), [("r151058", "omnios-2026.05"), ("r151056", "omnios-2025.11")])
def test_an_omnios_tells_when_it_came_out(release: str, wanted: str, tmp_path: Path) -> None:
    Runner(tmp_path).program("uname", "echo SunOS\n")
    (tmp_path / "release").write_text(f"  OmniOS v11 {release}\n  Copyright\n", encoding="utf-8")
    text = (SCRIPTS / "observe.sh").read_text(encoding="utf-8")
    (tmp_path / "observe.sh").write_text(text.replace("/etc/release", str(tmp_path / "release")), encoding="utf-8")
    path = os.pathsep.join([str(tmp_path / "bin"), os.environ["PATH"]])
    subprocess.run(["sh", "observe.sh", "facts"], cwd=tmp_path, env={**os.environ, "PATH": path}, check=True)
    assert json.loads((tmp_path / "results" / "facts.json").read_text(encoding="utf-8")) == {"release": wanted}


@pytest.mark.parametrize("words", [(), ("run",), ("run", "missing.txt"), ("rnu", "x"), ("facts", "no-such-command")])
def test_a_machine_always_ends_well(words: tuple[str, ...], tmp_path: Path) -> None:
    done = sh("observe.sh", *words, folder=tmp_path)
    assert done.returncode == 0
    assert done.stderr


def test_scripts_need_the_standard_library_alone() -> None:
    """They run on the Python of the runner, in which nothing is installed."""
    for path in SCRIPTS.glob("*.py"):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        imported = {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
        imported |= {str(node.module) for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
        assert imported
        assert {name.split(".")[0] for name in imported} <= sys.stdlib_module_names
