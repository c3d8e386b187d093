"""The needs of a library in CI: its scenarios are run, and its own needs decide.  The text of the steps is run here."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest
from bindmatrix.notation import parse
from bindmatrix.observe.recordings import Observation, header, line

from tests.workflows.test_plan import planned
from tests.workflows.workflow import ROOT, Runner, load

pytestmark = pytest.mark.skipif(os.name != "posix" or not shutil.which("bash"), reason="runs POSIX shell scripts")

TAKEN = "a=tcp4 a.bind=127.0.0.1 a.listen b=tcp4 b.bind=127.0.0.1"
LENGTH = len(parse(TAKEN).steps)


@pytest.fixture
def runner(tmp_path: Path) -> Runner:
    runner = Runner(tmp_path, {"inputs.check": "tests/needs.txt", "inputs.scenarios": "", "inputs.quick": "false"})
    (tmp_path / "bindmatrix").symlink_to(ROOT)
    (tmp_path / "caller" / "tests").mkdir(parents=True)
    (tmp_path / "caller" / "tests" / "needs.txt").write_text(
        f"systems: linux\n\n# nobody takes it\n{TAKEN} => refused\n", encoding="utf-8"
    )
    return runner


def machine(runner: Runner, name: str, last: str) -> None:
    folder = runner.folder / "artifacts" / f"observations-{name}"
    folder.mkdir(parents=True)
    outcomes = (*["ok"] * (LENGTH - 1), last)
    content = header({"os": "linux", "release": "6.12"}) + line(Observation(TAKEN, outcomes))
    (folder / "observations.jsonl").write_bytes(content)


def verdict(runner: Runner, judged: str) -> int:
    runner.values |= {"steps.judge.outputs.status": judged, "steps.needs.outputs.status": runner.outputs()["status"]}
    return runner.step("conformance.yml", "judge", "verdict").returncode


def needs(runner: Runner) -> None:
    done = runner.step("conformance.yml", "judge", "needs")
    assert done.returncode == 0, done.stderr


def test_the_machines_run_the_scenarios_of_the_needs(runner: Runner) -> None:
    for job in ("native", "machines", "gvisor"):
        assert runner.step("conformance.yml", job, "choose").returncode == 0
        assert (runner.folder / "scenarios.txt").read_text(encoding="utf-8") == f"{TAKEN}\n"


@pytest.mark.parametrize(("last", "status"), [("EADDRINUSE", 0), ("EACCES", 0), ("ok", 1)])
def test_a_need_that_a_machine_does_not_meet_fails_the_run(runner: Runner, last: str, status: int) -> None:
    machine(runner, "ubuntu-24.04", last)
    needs(runner)
    summary = (runner.folder / "summary").read_text(encoding="utf-8")
    assert "nobody takes it" in summary
    assert ("returns ok, needed any error" in summary) == bool(status)
    assert {path.name for path in (runner.folder / "judged").iterdir()} == {
        "needs-rules.md",
        "needs-rules.xml",
        "needs-observed.md",
        "needs-observed.xml",
    }
    # a kernel that does otherwise than our rules say (1) fails no library whose needs are met; a lost machine (2) does
    assert verdict(runner, "1") == status
    assert verdict(runner, "2") == 2


def test_the_rules_fail_the_run_without_a_machine(runner: Runner) -> None:
    path = runner.folder / "caller" / "tests" / "needs.txt"
    path.write_text(f"{TAKEN} => ok\n", encoding="utf-8")
    needs(runner)
    assert verdict(runner, "0") == 1


def test_a_file_that_is_none_fails_the_run(runner: Runner) -> None:
    (runner.folder / "caller" / "tests" / "needs.txt").write_text("a=tcp4 => okay\n", encoding="utf-8")
    needs(runner)
    assert verdict(runner, "0") == 2


def test_without_needs_the_rules_decide_as_ever(runner: Runner) -> None:
    for status in (0, 1, 2):
        runner.values |= {"steps.judge.outputs.status": str(status), "steps.needs.outputs.status": ""}
        assert runner.step("conformance.yml", "judge", "verdict").returncode == status


def test_a_few_machines_unless_they_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CHECK", "needs.txt")
    assert planned("")["names"].split() == ["ubuntu-24.04", "macos-15", "windows-2025", "freebsd-15.1"]
    assert planned("netbsd-9.5")["names"] == "netbsd-9.5"


def test_the_file_of_the_caller_is_there_where_it_is_read() -> None:
    for name, job in load("conformance.yml")["jobs"].items():
        runs = [one for one in job["steps"] if "CHECK" in one.get("env", {}) and name != "plan"]
        checkouts = [one for one in job["steps"] if one.get("with", {}).get("path") == "caller"]
        assert bool(runs) == bool(checkouts), name
        assert all("inputs.check != ''" in one["if"] for one in checkouts)
