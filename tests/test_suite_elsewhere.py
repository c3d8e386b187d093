"""The live suite on other machines, by pytest-xdist's ``--tx``."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import bindmatrix
import pytest


@pytest.mark.skipif(os.name == "nt", reason="a shell script stands for ssh")
def test_xdist_takes_the_suite_to_another_machine(tmp_path: Path) -> None:
    """One node here, one over an ssh that stays here and starts a shell with nothing of our environment."""
    package = Path(bindmatrix.__file__).parents[1]
    ssh = tmp_path / "ssh"
    ssh.write_text(
        f'#!/bin/sh\necho "$*" >> {tmp_path}/log\nfor last; do :; done\n'
        f'exec env -i PATH="$PATH" HOME={tmp_path} PYTHONPATH={package} /bin/sh -c "$last"\n',
        encoding="utf-8",
    )
    ssh.chmod(0o755)
    settings = {"BINDMATRIX_PROFILE": "quick", "BINDMATRIX_EXAMPLES": "5"}
    there = "//".join(["ssh=me@box", f"python={sys.executable}", *(f"env:{key}={settings[key]}" for key in settings)])
    xdist = ["-d", "--tx", there, "--tx", "popen"]
    items = ["--pyargs", "bindmatrix.suite", "-k", "udp and bound and any4 or drawn"]
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-q", *xdist, *items],
        cwd=tmp_path,
        env={
            **os.environ,
            **settings,
            "PATH": f"{tmp_path}{os.pathsep}{os.environ['PATH']}",
            "PYTHONPATH": str(package),
        },
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert " passed" in done.stdout
    assert "me@box" in (tmp_path / "log").read_text(encoding="utf-8")
