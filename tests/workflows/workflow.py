"""Workflows as data, and their ``run:`` steps executed here, as a runner does it."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import bindmatrix
import pytest
import yaml

ROOT = Path(__file__).parent.parent.parent
FOLDER = ROOT / ".github" / "workflows"
SCRIPTS = ROOT / ".github" / "conformance"

if not FOLDER.is_dir():
    pytest.skip("the workflows are in the repository alone", allow_module_level=True)

PATHS = sorted(FOLDER.glob("*.yml"))
#: what a fresh container has, beside what a test puts there
BARE_PATH = ("/usr/local/bin", "/usr/bin", "/bin")
#: how a runner starts the shells: https://docs.github.com/actions/reference/workflows-and-actions/workflow-syntax
SHELLS = {"": ["bash", "-e"], "bash": ["bash", "--noprofile", "--norc", "-eo", "pipefail"]}


def load(name: str) -> dict[str, Any]:
    """A workflow; YAML 1.1 reads the key ``on`` as true."""
    data = yaml.safe_load((FOLDER / name).read_text(encoding="utf-8"))
    data["on"] = data.pop(True)
    assert isinstance(data, dict)
    return data


def jobs() -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Workflow, job, and what the job says, of all workflows."""
    for path in PATHS:
        for name, job in load(path.name)["jobs"].items():
            yield path.name, name, job


def steps() -> Iterator[tuple[str, dict[str, Any], dict[str, Any]]]:
    """Where it stands, the job, and the step, of all workflows."""
    for workflow, name, job in jobs():
        for index, step in enumerate(job.get("steps", ())):
            yield f"{workflow}: {name}: {step.get('name') or step.get('id') or index}", job, step


@dataclass
class Runner:
    """Runs the ``run:`` steps of a job in ``folder``; programs in ``folder/bin`` are found before all others.

    Nothing of the environment of the tests is there: no HOME, and of PATH what every system has.
    """

    folder: Path
    #: what `${{ ... }}` stands for
    values: dict[str, str] = field(default_factory=dict)
    environment: dict[str, str] = field(default_factory=dict)
    #: folder that holds the package bindmatrix which `bindmatrix` runs
    package: Path = Path(bindmatrix.__file__).parent.parent
    #: what a virtual machine runs its steps with
    machine_shell: tuple[str, ...] = ("sh",)

    def __post_init__(self) -> None:
        self.program("python3", f'exec "{sys.executable}" "$@"\n')
        self.program("bindmatrix", f'export PYTHONPATH="{self.package}"\nexec "{sys.executable}" -m bindmatrix "$@"\n')

    def program(self, name: str, text: str) -> None:
        """Put a shell script into the path."""
        path = self.folder / "bin" / name
        path.parent.mkdir(exist_ok=True, parents=True)
        path.write_text(f"#!/bin/sh\n{text}", encoding="utf-8")
        path.chmod(0o755)

    def step(self, workflow: str, job: str, name: str) -> subprocess.CompletedProcess[str]:
        """Run one step with its ``env:``; the outputs are in ``folder/output``, the summary in ``folder/summary``."""
        described = load(workflow)["jobs"][job]
        (step,) = [one for one in described["steps"] if one.get("name") == name]
        shell = step.get("shell") or described.get("defaults", {}).get("run", {}).get("shell", "")
        environment = {
            "PATH": os.pathsep.join([str(self.folder / "bin"), *BARE_PATH]),
            "GITHUB_OUTPUT": str(self.folder / "output"),
            "GITHUB_STEP_SUMMARY": str(self.folder / "summary"),
            "GITHUB_WORKSPACE": str(self.folder),
            "GITHUB_SERVER_URL": "https://github.example",
            "GITHUB_REPOSITORY": "somebody/bindmatrix",
            "GITHUB_RUN_ID": "123",
            "GITHUB_REF_NAME": "main",
            **self.environment,
            **{key: self._value(value) for key, value in step.get("env", {}).items()},
        }
        script = self.folder / "script.sh"
        script.write_text(step["run"], encoding="utf-8")
        command = [*(self.machine_shell if shell.startswith("cpa.sh") else SHELLS[shell]), str(script)]
        return subprocess.run(command, cwd=self.folder, env=environment, capture_output=True, text=True, timeout=300)

    def _value(self, text: object) -> str:
        words = str(text)
        if not words.startswith("${{"):
            return words
        return self.values[words.removeprefix("${{").removesuffix("}}").strip()]

    def outputs(self) -> Mapping[str, str]:
        """What the steps so far gave out."""
        return dict(line.split("=", 1) for line in (self.folder / "output").read_text(encoding="utf-8").splitlines())
