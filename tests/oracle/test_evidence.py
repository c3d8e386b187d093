"""Every recorded observation is replayed: the expectation files agree with all of them, or list the divergence.

`bindmatrix lint` does it, and says which rule is wrong; here each of its checks has to find nothing.
"""

from __future__ import annotations

import gc
from collections.abc import Iterator

import pytest
from bindmatrix.lint import checks
from bindmatrix.lint.context import Subject
from bindmatrix.lint.replay import recorded_sets
from bindmatrix.rules import catalog

EVIDENCE = catalog.folder() / "evidence"


@pytest.fixture(autouse=True)
def _no_collector() -> Iterator[None]:
    """Hundreds of thousands of small lasting objects: looking through them for garbage takes a third of the time."""
    gc.disable()
    yield
    gc.enable()


@pytest.mark.slow
@pytest.mark.parametrize("os", catalog.names())
def test_a_file_agrees_with_what_was_recorded(os: str) -> None:
    subject = Subject(catalog.folder() / f"{os}.yaml", cached=False)
    assert [f"{name}: {problem}" for name, problem in checks.run(subject)] == []
    assert subject.replays
    assert all(one.observations > 0 for one in subject.replays)


def test_every_folder_of_evidence_has_its_system() -> None:
    folders = {path.name for path in EVIDENCE.iterdir() if path.is_dir()}
    assert folders == {recorded.host for os in catalog.names() for recorded in recorded_sets(EVIDENCE, os)}
