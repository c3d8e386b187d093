"""Free sequences of 2 to 6 sockets, drawn by Hypothesis; a failure shrinks to the shortest scenario."""

from __future__ import annotations

from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings

from bindmatrix.generate.strategies import pairs, sequences
from bindmatrix.notation import Scenario
from bindmatrix.run.plan import lacking
from bindmatrix.run.session import Session
from bindmatrix.suite import failures, settings

_LIVE = hypothesis_settings(
    max_examples=settings.examples(),
    deadline=None,
    derandomize=False,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)


def _check(session: Session, scenario: Scenario) -> None:
    have_not = lacking(session.host.facts)
    if "users" in have_not and any(step.kind == "user" for step in scenario.steps):
        return
    failures.fail(session.check([scenario.text]))


@_LIVE
@given(scenario=sequences(users=True))
def test_sequences(session: Session, scenario: Scenario) -> None:
    """Options toggled, sockets closed, listening and bound again in between."""
    _check(session, scenario)


@_LIVE
@given(scenario=pairs(users=True))
def test_drawn_pairs(session: Session, scenario: Scenario) -> None:
    """A value of every axis: finds what the matrix leaves out, and shrinks it."""
    _check(session, scenario)
