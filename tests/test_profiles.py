"""The profiles of Hypothesis are chosen by HYPOTHESIS_PROFILE."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

ROOT = Path(__file__).parents[1]
SHOWS = """
from hypothesis import settings
def test_shows():
    print(settings.default.max_examples, settings.default.derandomize)
"""


def shown(tmp_path: Path, profile: str | None) -> subprocess.CompletedProcess[str]:
    """Run a test that prints its settings beside a copy of the conftest."""
    (tmp_path / "conftest.py").write_bytes((ROOT / "tests" / "conftest.py").read_bytes())
    (tmp_path / "test_shows.py").write_text(SHOWS, encoding="utf-8")
    environment = {name: value for name, value in os.environ.items() if name != "HYPOTHESIS_PROFILE"}
    environment["CI"] = "true"  # there Hypothesis would choose other defaults
    if profile is not None:
        environment["HYPOTHESIS_PROFILE"] = profile
    command = [sys.executable, "-m", "pytest", "-q", "-s", "-p", "no:cacheprovider", "test_shows.py"]
    return subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)


@pytest.mark.parametrize(
    ("profile", "settings"),
    [(None, "100 False"), ("dev", "100 False"), ("ci", "100 True"), ("nightly", "2000 False")],
)
def test_the_environment_chooses(tmp_path: Path, profile: str | None, settings: str) -> None:
    done = shown(tmp_path, profile)
    assert done.returncode == 0, done.stdout
    assert done.stdout.startswith(settings)


def test_an_unknown_profile_is_told_in_one_line(tmp_path: Path) -> None:
    done = shown(tmp_path, "fast")
    assert done.returncode == pytest.ExitCode.USAGE_ERROR
    assert done.stderr.strip() == "ERROR: HYPOTHESIS_PROFILE: expected dev, ci or nightly, got 'fast'"


def test_a_busy_machine_fails_no_property() -> None:
    assert settings.default.deadline is None
    assert HealthCheck.too_slow in settings.default.suppress_health_check
