"""What the tests of the executor share.  Nothing here moves the test's own process into another namespace."""

from __future__ import annotations

import gzip
import json
import os
import re
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from conformance.execute.executor import Executor

REPOSITORY = Path(__file__).parents[2]
EVIDENCE = REPOSITORY / "expectations" / "evidence" / "linux-6.18.44"


@pytest.fixture(scope="session")
def executor() -> Iterator[Executor]:
    """An executor in this process, on leased ports."""
    with Executor("none") as made:
        yield made


@pytest.fixture(scope="session")
def python38() -> str:
    """A real Python 3.8, the oldest that the executor promises to run on."""
    found = shutil.which("python3.8")
    for root in (os.environ.get("PYENV_ROOT"), Path.home() / ".pyenv"):
        candidates = sorted(Path(root).glob("versions/3.8.*/bin/python3.8")) if root else []
        found = found or next((str(path) for path in candidates), None)
    if not found:
        pytest.skip("no python3.8 in PATH or among pyenv's versions")
    return found


def evidence(name: str) -> list[tuple[str, list[str]]]:
    """The rows (scenario, outcomes) of a recorded file of Linux 6.18.44."""
    with gzip.open(EVIDENCE / f"{name}.jsonl.gz", "rt", encoding="utf-8") as file:
        rows = [json.loads(line) for line in file]
    return [(row["scenario"], row["outcomes"]) for row in rows]


def behaves_like_evidence() -> str:
    """Why the evidence of 6.18.44 says nothing about the running kernel; empty when it does."""
    if sys.platform != "linux":
        return "the evidence is of Linux"
    match = re.match(r"(\d+)\.(\d+)", os.uname().release)
    if match is None or (int(match[1]), int(match[2])) < (6, 12):
        return f"kernel {os.uname().release} is not of the class 6.12 and later"
    return "" if EVIDENCE.is_dir() else "the recorded evidence is not in this checkout"


def delivery_class(outcome: str) -> str:
    """The outcome without what varies from run to run: the counts of a spread delivery."""
    shares = outcome.split(",")
    if len(shares) > 1 and sum(int(share.partition(":")[2]) for share in shares) == 32:
        return ",".join(share.partition(":")[0] + ":n" for share in shares)
    return outcome
