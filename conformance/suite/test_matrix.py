"""The exhaustive matrix on this kernel, one item a group: protocol, state, first and second endpoint, users."""

from __future__ import annotations

import pytest

from conformance.generate.matrix import Group, matrix
from conformance.session import Session, lacking
from conformance.suite import failures, settings


@pytest.mark.parametrize("group", matrix(settings.PROFILE, users=True), ids=lambda group: group.id)
def test_pairs(session: Session, group: Group) -> None:
    """Every scenario of the group returns what the expectation file of this system says."""
    missing = group.needs & lacking(session.host.facts).keys()
    if missing:
        pytest.skip(", ".join(lacking(session.host.facts)[feature] for feature in sorted(missing)))
    groups, summary = session.check(group.scenarios)
    if groups:
        pytest.fail(failures.text(groups), pytrace=False)
    if summary.reasons["unsupported"]:
        pytest.skip("; ".join(summary.reasons["unsupported"]))
