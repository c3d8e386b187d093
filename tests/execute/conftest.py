"""What the tests of the executor share.  Nothing here moves the test's own process into another namespace."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from bindmatrix.execute.executor import Executor


@pytest.fixture(scope="session")
def executor() -> Iterator[Executor]:
    """An executor in this process, on leased ports."""
    with Executor("none") as made:
        yield made


@pytest.fixture(scope="session")
def python38() -> str:
    """A real Python 3.8, the oldest that the executor promises to run on."""
    candidates = []
    for root in (os.environ.get("PYENV_ROOT"), Path.home() / ".pyenv"):
        candidates += sorted(Path(root).glob("versions/3.8.*/bin/python3.8")) if root else []
    candidates += [Path(path) for path in [shutil.which("python3.8")] if path]
    for path in candidates:  # pyenv's shim stands in PATH even where the version is not selected
        if subprocess.run([path, "-I", "-S", "-c", ""], capture_output=True, check=False).returncode == 0:
            return str(path)
    pytest.skip("no python3.8 that runs, neither among pyenv's versions nor in PATH")
