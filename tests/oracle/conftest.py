"""Shared by the tests of the expectation files."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

import pytest
from bindmatrix.oracle.oracle import Oracle
from bindmatrix.rules import catalog


@cache
def oracle_of(os: str, release: str) -> Oracle:
    return Oracle(catalog.expectations(os).at(release))


@pytest.fixture
def not_ok() -> Callable[[str, str, str], str]:
    """For an OS, a release and a scenario the steps that are not ok: ``b.bind=EADDRINUSE``.

    A step that may end in several ways is ``b.bind=EACCES|EADDRINUSE``, one that is not known ``b.bind=?``.
    """

    def steps(os: str, release: str, scenario: str) -> str:
        words = []
        outcomes = oracle_of(os, release).predict(scenario).outcomes
        for step, outcome in zip(scenario.split(), outcomes, strict=True):
            if outcome != "ok":
                text = "?" if outcome is None else outcome if isinstance(outcome, str) else "|".join(outcome)
                words.append(f"{step.partition('=')[0]}={text}")
        return " ".join(words)

    return steps
