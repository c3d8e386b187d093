"""The live suite in other folders, and on other machines by pytest-xdist's ``--tx``."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import bindmatrix
import pytest

PACKAGE = Path(bindmatrix.__file__).parents[1]
SETTINGS = {"BINDMATRIX_PROFILE": "quick", "BINDMATRIX_EXAMPLES": "5"}
ITEMS = ["--pyargs", "bindmatrix.suite", "-k", "udp and bound and any4 or drawn"]


def run_suite(folder: Path, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """The quick suite, started in ``folder``."""
    return subprocess.run(
        [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-q", *arguments, *ITEMS],
        cwd=folder,
        env={**os.environ, **SETTINGS, "PYTHONPATH": str(PACKAGE), **environment},
        capture_output=True,
        text=True,
        check=False,
    )


def test_a_repository_may_have_a_conformance_package_of_its_own(tmp_path: Path) -> None:
    """Failed first: the package was called conformance, and the one of the repository was imported."""
    (tmp_path / "conformance").mkdir()
    (tmp_path / "conformance" / "__init__.py").write_text("raise ImportError('another project')", encoding="utf-8")
    done = run_suite(tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    assert " passed" in done.stdout


@pytest.mark.skipif(os.name == "nt", reason="a shell script stands for ssh")
def test_xdist_takes_the_suite_to_another_machine(tmp_path: Path) -> None:
    """One node here, one over an ssh that stays here and starts a shell with nothing of our environment."""
    ssh = tmp_path / "ssh"
    ssh.write_text(
        f'#!/bin/sh\necho "$*" >> {tmp_path}/log\nfor last; do :; done\n'
        f'exec env -i PATH="$PATH" HOME={tmp_path} PYTHONPATH={PACKAGE} /bin/sh -c "$last"\n',
        encoding="utf-8",
    )
    ssh.chmod(0o755)
    there = "//".join(["ssh=me@box", f"python={sys.executable}", *(f"env:{key}={SETTINGS[key]}" for key in SETTINGS)])
    path = f"{tmp_path}{os.pathsep}{os.environ['PATH']}"
    done = run_suite(tmp_path, "-d", "--tx", there, "--tx", "popen", PATH=path)
    assert done.returncode == 0, done.stdout + done.stderr
    assert " passed" in done.stdout
    assert "me@box" in (tmp_path / "log").read_text(encoding="utf-8")
