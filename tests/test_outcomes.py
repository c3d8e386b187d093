"""What an outcome is, and which of them an expected one accepts."""

from __future__ import annotations

import pytest
from bindmatrix import outcomes
from bindmatrix.outcomes import Expected, accepts, alike, compatible, counts, delivery_class, in_words


@pytest.mark.parametrize(
    ("outcome", "expected"),
    [
        ("a:32", {"a": 32}),
        ("a:15,b:17", {"a": 15, "b": 17}),
        ("a:16,refused:16", {"a": 16, "refused": 16}),
        ("a:32,b:0", {"a": 32}),
        ("refused", {}),
        ("ok", {}),
        ("a:", {}),
        ("a:x", {}),
        ("", {}),
    ],
)
def test_counts(outcome: str, expected: dict[str, int]) -> None:
    assert counts(outcome) == expected


@pytest.mark.parametrize(
    ("expected", "outcome", "accepted"),
    [
        ("a", "a:32", True),
        ("a", "b:32", False),
        ("a", "a:31", False),
        ("a", "a:31,b:1", False),
        ("a", "a:32,b:32", False),
        ("a", "refused", False),
        ("spread:a,b", "a:15,b:17", True),
        ("spread:a,b", "a:31,b:1", True),
        ("spread:a,b", "a:32", False),
        ("spread:a,b", "a:16,c:16", False),
        ("spread:a,b", "a:32,b:32", False),
        ("spread:a,b,c", "a:16,c:16", True),
        ("spread:a,b,c", "c:32", False),
        ("spread:a,refused", "a:16,refused:16", True),
        ("spread:a,refused", "a:32", False),
        ("spread:a,refused", "refused", False),
        ("every:a,b", "a:32,b:32", True),
        ("every:a,b", "a:32", False),
        ("every:a,b", "a:32,b:31", False),
        ("every:a,b", "a:32,b:32,c:32", False),
        ("none", "none", True),
        ("none", "a:32", False),
        ("timeout", "refused", False),
        ("refused", "refused", True),
    ],
)
def test_a_class_accepts(expected: str, outcome: str, accepted: bool) -> None:
    assert accepts(expected, outcome, delivers=True) is accepted


@pytest.mark.parametrize(
    ("expected", "outcome", "accepted"),
    [
        (None, "EBADF", True),
        ("ok", "ok", True),
        ("ok", "refused", False),
        ("ok", "EADDRINUSE", False),
        ("EADDRINUSE", "EACCES", False),
        ("EADDRINUSE", "refused", True),
        ("refused", "EACCES", True),
        ("refused", "ok", False),
        (("EADDRINUSE", "EACCES"), "EACCES", True),
        (("EADDRINUSE", "EACCES"), "refused", True),
        (("EADDRINUSE", "EACCES"), "EINVAL", False),
        (("ok", "refused"), "EINVAL", True),
        (("ok", "EACCES"), "EINVAL", False),
    ],
)
def test_a_call_accepts(expected: Expected, outcome: str, accepted: bool) -> None:
    assert accepts(expected, outcome, delivers=False) is accepted


def test_refused_is_any_error_of_a_call_and_one_word_of_a_delivery() -> None:
    assert accepts("refused", "timeout", delivers=False)
    assert not accepts("refused", "timeout", delivers=True)
    assert compatible("refused", "EACCES", delivers=False)
    assert not compatible("refused", "timeout", delivers=True)
    assert in_words("refused") == "any error"
    assert in_words("refused", delivers=True) == "refused"


@pytest.mark.parametrize(
    ("one", "other", "compatible_"),
    [
        (None, "ok", True),
        ("ok", "EACCES", False),
        ("refused", "ok", False),
        ("refused", ("ok", "EACCES"), True),
        (("ok", "EINVAL"), ("EACCES", "EINVAL"), True),
        (("ok", "EINVAL"), ("EACCES", "EBADF"), False),
    ],
)
def test_two_expectations_of_a_call(one: Expected, other: Expected, compatible_: bool) -> None:
    assert compatible(one, other, delivers=False) is compatible_
    assert compatible(other, one, delivers=False) is compatible_


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("ok", "ok", True),
        (None, None, True),
        (None, "ok", False),
        ("EACCES", "refused", True),
        ("ok", "refused", False),
        ("EACCES", "EINVAL", False),
        ("a:32", "a:30", True),
        ("a:32", "b:32", False),
        ("a:15,b:17", "a:20,b:12", True),
        ("a:15,b:17", "a:32,b:32", False),
        ("a:15,b:17", "a:10,b:12,c:10", True),
        ("a:32", "a:15,b:17", False),
        ("a:10,b:10,c:12", "a:20,c:12", True),
        ("a:32", "timeout", False),
    ],
)
def test_two_observed_outcomes(one: str | None, other: str | None, same: bool) -> None:
    assert alike(one, other) is same
    assert alike(other, one) is same


def test_the_class_of_counts() -> None:
    assert delivery_class("a:15,b:17") == "spread:a,b"
    assert delivery_class("a:32") == "a"
    assert delivery_class("a:32,b:32") == "every:a,b"
    assert delivery_class("a:30,refused:2") == "spread:a,refused"
    assert delivery_class("a:30") == "a:30"
    assert delivery_class("a:32,b:31") == "a:32,b:31"
    assert delivery_class("timeout") == "timeout"


def test_a_false_alarm_about_a_spread_is_rarer_than_one_in_a_billion() -> None:
    for sockets in range(2, 8):
        alone = sockets * (1 / sockets) ** outcomes.DELIVERIES
        assert alone < 1e-9
    assert "2 / 2**32 = 4.7e-10" in (outcomes.__doc__ or "")
    assert f"{2 / 2**outcomes.DELIVERIES:.1e}" == "4.7e-10"
