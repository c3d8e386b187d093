"""The one form of a file and of the divergences beside it: what ``lint`` compares and ``lint --fix`` writes."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import zip_longest
from pathlib import Path
from typing import NamedTuple

from bindmatrix.errors import Place, Problem
from bindmatrix.lint.context import Subject
from bindmatrix.rules import divergences
from bindmatrix.rules.formatter import formatted
from bindmatrix.rules.loader import loads
from bindmatrix.rules.model import Rule


class Formed(NamedTuple):
    """A file, its text, and that text in the form."""

    path: Path
    text: str
    form: str


def formed(subject: Subject) -> Iterator[Formed]:
    """The expectation file, and its divergences; raises ``ValueError`` for what the form cannot say."""
    text = subject.path.read_text(encoding="utf-8")
    yield Formed(subject.path, text, formatted(text, lambda text: loads(text, str(subject.path))))
    beside = subject.path.parent / "divergences" / f"{subject.loaded.os}.yaml"

    def read(text: str) -> list[Rule]:
        return [one.rule for one in divergences.loads(text, str(beside), subject.loaded)]

    if beside.exists():
        text = beside.read_text(encoding="utf-8")
        yield Formed(beside, text, formatted(text, read))


def in_form(subject: Subject) -> Iterator[Problem]:
    """the file, and the divergences beside it, are as 'bindmatrix lint --fix' writes them"""
    try:
        for path, text, form in formed(subject):
            if text != form:
                both = zip_longest(text.splitlines(), form.splitlines())
                line = next((number for number, (is_, to_be) in enumerate(both, 1) if is_ != to_be), 1)
                message = f"not in its form from here on; run 'bindmatrix lint --fix {subject.path}'"
                yield subject.problem(Place(str(path), line, 1), message)
    except ValueError as error:
        yield subject.problem(Place(str(subject.path)), f"cannot be put into its form: {error}")
