"""The profiles of Hypothesis, one of which HYPOTHESIS_PROFILE names: ``dev`` (default), ``ci`` or ``nightly``.

None has a deadline or looks how fast examples are drawn: both measure how busy the machine is.
"""

from __future__ import annotations

import os

import pytest
from hypothesis import HealthCheck, settings

_ANY_MACHINE = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])

PROFILES = {
    "dev": settings(_ANY_MACHINE, max_examples=100),
    # the same examples in each run: a change fails for what it changed
    "ci": settings(_ANY_MACHINE, max_examples=100, derandomize=True, print_blob=True),
    "nightly": settings(_ANY_MACHINE, max_examples=2000, print_blob=True),
}
for _name, _profile in PROFILES.items():
    settings.register_profile(_name, _profile)


def pytest_configure(config: pytest.Config) -> None:
    """Load the profile, unless --hypothesis-profile names one."""
    name = os.environ.get("HYPOTHESIS_PROFILE", "dev")
    if name not in PROFILES:
        raise pytest.UsageError(f"HYPOTHESIS_PROFILE: expected dev, ci or nightly, got {name!r}")
    if not config.getoption("--hypothesis-profile"):
        settings.load_profile(name)
