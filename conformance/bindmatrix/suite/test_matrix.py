"""The exhaustive matrix on this kernel, one item a group: protocol, state, first and second endpoint, users."""

from __future__ import annotations

import pytest

from bindmatrix.generate.matrix import ScenarioGroup, matrix
from bindmatrix.run.plan import lacking
from bindmatrix.run.session import Session
from bindmatrix.suite import failures, settings


@pytest.mark.parametrize("group", list(matrix(settings.PROFILE, users=True)), ids=lambda group: group.id)
def test_pairs(session: Session, group: ScenarioGroup) -> None:
    """Every scenario of the group returns what the expectation file of this system says."""
    missing = group.needs & lacking(session.host.facts).keys()
    if missing:
        pytest.skip(", ".join(lacking(session.host.facts)[feature] for feature in sorted(missing)))
    found = session.check(group.scenarios)
    failures.fail(found)
    unsupported = found.reasons()["unsupported"]
    if unsupported:
        pytest.skip("; ".join(unsupported))
