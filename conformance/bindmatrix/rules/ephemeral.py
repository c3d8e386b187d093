"""Ports that the kernel chooses: the facts of ``expectations/ephemeral.yaml``, one table of questions and systems.

They are not rules, because they say which number a kernel picks and not what a call returns; the probe
(``execute/ephemeral_probe.py``) asks a Linux kernel the same questions, under the same ids.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bindmatrix.errors import Place, Problem
from bindmatrix.rules import catalog
from bindmatrix.rules.provenance import EXECUTED
from bindmatrix.rules.vocabulary import EVIDENCE
from bindmatrix.rules.yaml_source import plain

#: what an answer says -> words for a person; errno names stand for themselves
WORDS: dict[str, str] = {
    "never": "two sockets never get the same port",
    "shares": "two sockets get the same port",
    "reuses": "a port that is in use is taken again",
    "no-reuse": "it fails: every port is in use",
}

PortAnswer = str | tuple[str, ...]


@dataclass(frozen=True)
class Cell:
    """What one system does, with its evidence: ``(kind, reference)`` each."""

    answer: PortAnswer
    evidence: tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class PortQuestion:
    """A row: the answers of the systems; a system that is missing is unknown."""

    id: str
    text: str
    cells: Mapping[str, Cell]


@dataclass(frozen=True)
class Table:
    """The whole file.  ``also`` has what the answers leave out, by system."""

    systems: tuple[str, ...]
    questions: tuple[PortQuestion, ...]
    also: Mapping[str, str]

    @property
    def methods(self) -> dict[str, str]:
        """System -> how its answers were obtained: ``compiled: 13.0, ...``; a line for all its questions."""
        found: dict[str, dict[str, None]] = {}
        for question in self.questions:
            for os, cell in question.cells.items():
                found.setdefault(os, {}).update(dict.fromkeys(f"{kind}: {text}" for kind, text in cell.evidence))
        return {os: "; ".join(texts) for os, texts in found.items()}

    def answers(self, os: str) -> dict[str, PortAnswer]:
        """Id -> answer for one system, without the unknown ones."""
        return {one.id: one.cells[os].answer for one in self.questions if os in one.cells}

    def unknown(self, question: PortQuestion) -> tuple[str, ...]:
        """The systems whose answer is not known."""
        return tuple(os for os in self.systems if os not in question.cells)


def read(path: Path | None = None) -> Table:
    """The table; raises :class:`Problem` that names the question with what was expected."""
    path = path or catalog.folder() / "ephemeral.yaml"
    data = plain(path)
    try:
        systems = tuple(data["systems"])
        questions = tuple(_question(one, systems, path) for one in data["questions"])
        also = dict(data.get("also") or {})
    except (KeyError, TypeError, AttributeError) as error:
        raise Problem(
            Place(str(path)), f"expected 'systems' and 'questions' with 'id', 'question', 'cells': {error}"
        ) from None
    return Table(systems, questions, also)


def _question(data: Mapping[str, Any], systems: tuple[str, ...], path: Path) -> PortQuestion:
    cells = {os: _cell(cell, f"{path}: {data['id']}: {os}") for os, cell in data["cells"].items()}
    for os in cells:
        if os not in systems:
            raise Problem(Place(f"{path}: {data['id']}"), f"{os!r} is not among 'systems': {', '.join(systems)}")
    return PortQuestion(data["id"], data["question"], cells)


def _cell(data: Mapping[str, Any], where: str) -> Cell:
    answer = data["answer"]
    if isinstance(answer, str) and answer not in WORDS and not (answer.isupper() and answer.startswith("E")):
        raise Problem(Place(where), f"expected an errno name, a list or one of {', '.join(WORDS)}, got {answer!r}")
    evidence = tuple((kind, text) for one in data.get("evidence") or () for kind, text in one.items())
    kinds = (*EXECUTED, *EVIDENCE)
    if not evidence or any(kind not in kinds for kind, _ in evidence):
        raise Problem(Place(where), f"expected 'evidence': a list of {', '.join(kinds)}")
    return Cell(answer if isinstance(answer, str) else tuple(answer), evidence)
