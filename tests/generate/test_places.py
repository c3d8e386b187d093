"""Places are the inverse of the matrix: every scenario is found where it was generated."""

from __future__ import annotations

import pytest
from bindmatrix.generate import locate
from bindmatrix.generate.matrix import matrix


def parts(label: str) -> list[str]:
    """A plan, whatever the order of options that do not meet in a moment."""
    return sorted(label.split("+"))


def test_every_scenario_of_the_matrix_is_found_at_its_place() -> None:
    for group in matrix("pairs", users=True):
        scenarios = iter(group.scenarios)
        for plan, seconds in group.cells:
            for options in seconds:
                text = next(scenarios)
                head, _, tail = text.partition(" b=")
                first, second = locate.first(head), locate.second(tail)
                assert first is not None, text
                assert second is not None, text
                state = "late-listening" if second.late else first.state
                found = (first.protocol, state, first.endpoint, second.endpoint, first.users)
                assert found == tuple(group.key)
                assert (parts(first.plan), second.plan) == (parts(plan.label), options.label)


@pytest.mark.parametrize(
    ("head", "plan"),
    [
        ("a=tcp4 a.bind=0.0.0.0", "none"),
        ("a=tcp4 a.reuseport=1 a.reuseaddr=1 a.reuseport=0 a.bind=0.0.0.0", "reuseport:10+reuseaddr:1"),
        ("a=tcp4 a.reuseaddr=1 a.bind=0.0.0.0 a.listen a.reuseaddr=0", "reuseaddr:1||0"),
    ],
)
def test_the_plan_names_option_and_moment(head: str, plan: str) -> None:
    place = locate.first(head)
    assert place is not None
    assert place.plan == plan


@pytest.mark.parametrize(
    "head",
    [
        "",
        "no scenario",
        "a=tcp4 a.bind=10.0.0.1",
        "a=tcp4 a.bind=0.0.0.0 c=tcp4",
        "a=tcp4 a.bind=0.0.0.0 a.listen a.reuseaddr=1 c=tcp4 c.connect=127.0.0.1 x=a.accept a.close",
    ],
)
def test_what_is_not_of_the_matrix_has_no_place(head: str) -> None:
    assert locate.first(head) is None


@pytest.mark.parametrize(
    "tail", ["", "tcp4 b.bind=0.0.0.0 b.reuseaddr=1", "tcp4 b.bind=0.0.0.0 c=tcp4", "udp4 b.listen"]
)
def test_a_second_part_from_elsewhere_has_no_place(tail: str) -> None:
    assert locate.second(tail) is None
