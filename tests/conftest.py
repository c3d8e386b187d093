"""The profiles of Hypothesis, one of which HYPOTHESIS_PROFILE names: ``dev`` (default), ``ci`` or ``nightly``.

None has a deadline or looks how fast examples are drawn: both measure how busy the machine is.  Each says itself
whether examples are drawn anew, because Hypothesis decides otherwise where the environment has CI.
"""

from __future__ import annotations

import os

import pytest
from hypothesis import HealthCheck, settings

_ANY_MACHINE = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])

PROFILES = {
    "dev": settings(_ANY_MACHINE, max_examples=100, derandomize=False),
    # the same examples in each run: a change fails for what it changed
    "ci": settings(_ANY_MACHINE, max_examples=100, derandomize=True, print_blob=True),
    "nightly": settings(_ANY_MACHINE, max_examples=2000, derandomize=False, print_blob=True),
}
# start.py sets it for the commands that it starts; the tests compare what the command says when it is started by itself
os.environ.pop("BINDMATRIX_COMMAND", None)

for _name, _profile in PROFILES.items():
    settings.register_profile(_name, _profile)


def pytest_configure(config: pytest.Config) -> None:
    """Load the profile, unless --hypothesis-profile names one."""
    name = os.environ.get("HYPOTHESIS_PROFILE", "dev")
    if name not in PROFILES:
        raise pytest.UsageError(f"HYPOTHESIS_PROFILE: expected dev, ci or nightly, got {name!r}")
    if not config.getoption("--hypothesis-profile"):
        settings.load_profile(name)
