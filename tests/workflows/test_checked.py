"""The workflows against GitHub's schema, zizmor and shellcheck, and what those tools do not know."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.workflows.workflow import PATHS, ROOT, SCRIPTS, jobs, load, steps

STEPS = list(steps())
RUN_STEPS = [(place, job, step) for place, job, step in STEPS if "run" in step]
#: every permission to write that a job has; all others read at most
WRITES = {
    ("release.yml", "publish"): {"id-token"},
    ("weekly.yml", "pages"): {"pages", "id-token"},
    ("weekly.yml", "issues"): {"issues"},
    ("weekly.yml", "propose"): {"contents", "pull-requests"},
}


def tool(name: str) -> str:
    """The path of a tool, of this Python's environment first; skips without it."""
    beside = shutil.which(name, path=str(Path(sys.executable).parent))
    found = beside or shutil.which(name)
    if found is None:
        pytest.skip(f"needs {name}: it is in the dependency group workflows; tox -e lint has it")
    return found


def checked(*command: str | Path, text: str | None = None) -> str:
    done = subprocess.run(command, capture_output=True, text=True, input=text, timeout=120)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


# --- by tools


@pytest.mark.parametrize("schema", ["vendor.github-workflows", "custom.github-workflows-require-timeout"])
def test_the_workflows_follow_the_schema(schema: str) -> None:
    paths = (
        PATHS
        if schema.startswith("vendor")
        else [path for path in PATHS if path.name not in ("release.yml", "weekly.yml")]
    )
    checked(tool("check-jsonschema"), "--builtin-schema", schema, *paths)


def test_the_forms_and_the_citation_follow_their_schemas() -> None:
    forms = ROOT / ".github" / "ISSUE_TEMPLATE"
    config = forms / "config.yml"
    others = sorted(set(forms.glob("*.yml")) - {config})
    assert len(others) == 4
    for schema, paths in (
        ("vendor.github-issue-forms", others),
        ("vendor.github-issue-config", [config]),
        ("vendor.citation-file-format", [ROOT / "CITATION.cff"]),
    ):
        checked(tool("check-jsonschema"), "--builtin-schema", schema, *paths)


def test_the_schema_check_can_fail(tmp_path: Path) -> None:
    path = tmp_path / "wrong.yml"
    path.write_text("on: push\njobs: {a: {runs-on: x, stesp: []}}\n", encoding="utf-8")
    command = [tool("check-jsonschema"), "--builtin-schema", "vendor.github-workflows", path]
    assert subprocess.run(command, capture_output=True).returncode == 1


def test_zizmor_has_nothing_to_say() -> None:
    checked(tool("zizmor"), "--offline", "--persona=pedantic", "--no-progress", "--strict-collection", *PATHS)


def test_zizmor_would_see_an_injection(tmp_path: Path) -> None:
    text = (ROOT / ".github" / "workflows" / "conformance.yml").read_text(encoding="utf-8")
    path = tmp_path / ".github" / "workflows" / "conformance.yml"
    path.parent.mkdir(parents=True)
    path.write_text(text.replace("plan.py >>", "plan.py ${{ inputs.systems }} >>"), encoding="utf-8")
    done = subprocess.run([tool("zizmor"), "--offline", "--no-progress", path], capture_output=True, text=True)
    assert done.returncode != 0
    assert "template-injection" in done.stdout


@pytest.mark.parametrize(("place", "job", "step"), RUN_STEPS, ids=[place for place, _, _ in RUN_STEPS])
def test_every_run_block_passes_shellcheck(place: str, job: dict[str, Any], step: dict[str, Any]) -> None:
    shell = step.get("shell") or job.get("defaults", {}).get("run", {}).get("shell") or "bash"
    kind = "sh" if shell.startswith("cpa.sh") else shell
    checked(tool("shellcheck"), "--shell", kind, "-", text=step["run"])


@pytest.mark.parametrize("path", sorted(SCRIPTS.glob("*.sh")), ids=lambda path: path.name)
def test_every_script_passes_shellcheck(path: Path) -> None:
    checked(tool("shellcheck"), path)


# --- by rules of this project


@pytest.mark.parametrize(("place", "job", "step"), RUN_STEPS, ids=[place for place, _, _ in RUN_STEPS])
def test_no_run_block_holds_an_expression(place: str, job: dict[str, Any], step: dict[str, Any]) -> None:
    """An expression is pasted into the script before a shell reads it; what is given goes through ``env:``."""
    assert "${{" not in step["run"]


def test_what_is_used_is_pinned_to_a_commit_and_says_its_version() -> None:
    used = [one["uses"] for one in (*(step for _, _, step in STEPS), *(job for _, _, job in jobs())) if "uses" in one]
    texts = "".join(path.read_text(encoding="utf-8") for path in PATHS)
    assert len(used) > 20
    for action in used:
        if not action.startswith("./"):
            assert re.fullmatch(r"[\w./-]+@[0-9a-f]{40}", action), f"{action} is not pinned to a commit"
            assert re.search(rf"uses: {action} # v\d+\.\d+\.\d+\n", texts), f"{action} does not say its version"


def test_a_job_reads_at_most_and_writes_where_it_is_said_here() -> None:
    found = {}
    for workflow, name, job in jobs():
        assert load(workflow)["permissions"] == {}
        permissions = job["permissions"]
        writes = {key for key, value in permissions.items() if value == "write"}
        if writes:
            found[workflow, name] = writes
        assert {key: value for key, value in permissions.items() if key not in writes} in ({}, {"contents": "read"})
    assert found == WRITES


def test_no_checkout_leaves_a_token_behind() -> None:
    checkouts = [step for _, _, step in STEPS if step.get("uses", "").startswith("actions/checkout@")]
    assert len(checkouts) > 5
    assert all(step["with"]["persist-credentials"] is False for step in checkouts)


def test_every_job_ends_some_time() -> None:
    assert all("timeout-minutes" in job or "uses" in job for _, _, job in jobs())


def test_what_runs_weekly_calls_what_others_call() -> None:
    called, weekly = load("conformance.yml"), load("weekly.yml")
    assert set(called["on"]) == {"workflow_call", "workflow_dispatch"}
    assert set(weekly["on"]) == {"schedule", "workflow_dispatch"}
    inputs = called["on"]["workflow_call"]["inputs"]
    assert set(called["on"]["workflow_dispatch"]["inputs"]) == set(inputs)
    assert set(weekly["jobs"]["matrix"]["with"]) <= set(inputs)
    assert weekly["on"]["workflow_dispatch"]["inputs"]["issues"]["default"] is False


def test_what_a_machine_recorded_comes_back_whatever_happened() -> None:
    for kind in json.loads((SCRIPTS / "hosts.json").read_text(encoding="utf-8")):
        last = load("conformance.yml")["jobs"][kind]["steps"][-1]
        assert last["uses"].startswith("actions/upload-artifact@")
        assert last["if"] == "always()"


def test_the_documentation_lists_the_pins() -> None:
    used = set()
    for path in PATHS:
        for action, commit, version in re.findall(r"uses: ([\w./-]+)@(\w+) # (v\S+)", path.read_text(encoding="utf-8")):
            used.add((action, commit, version))
    rows = re.findall(r"^\| `([\w./-]+)` \| (v\S+) \| `([0-9a-f]{40})` \|", documentation(), re.MULTILINE)
    assert {(action, commit, version) for action, version, commit in rows} == used
    assert len({action for action, _, _ in used}) == len(used), "one version of each action"


def test_the_documentation_lists_the_machines() -> None:
    hosts = json.loads((SCRIPTS / "hosts.json").read_text(encoding="utf-8"))
    for listed in hosts.values():
        for host in listed:
            assert f"`{host['name']}`" in documentation(), host["name"]


def documentation() -> str:
    return (ROOT / "docs" / "ci.md").read_text(encoding="utf-8")
