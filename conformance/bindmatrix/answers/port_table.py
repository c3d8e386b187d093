"""The table of ports that the kernel chooses, beside what this kernel answered: the view-model of ``ports``."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from bindmatrix.rules.ephemeral import PortAnswer, Table


@dataclass(frozen=True)
class PortRow:
    """One question."""

    text: str
    #: answer -> the systems that give it
    systems: Mapping[PortAnswer, tuple[str, ...]]
    #: systems whose answer is not known
    unknown: tuple[str, ...]
    #: what this kernel answered, and what its system was expected to; None where it was not asked, or is not known
    here: PortAnswer | None
    expected: PortAnswer | None

    @property
    def differs(self) -> bool:
        """Whether this kernel contradicts the answer for its system."""
        return self.here is not None and self.expected is not None and self.here != self.expected


def port_rows(table: Table, here: Mapping[str, PortAnswer], os: str) -> list[PortRow]:
    """A row a question; ``here`` are the answers of this kernel by id, of a system that the table calls ``os``."""
    expected = table.answers(os)
    rows = []
    for question in table.questions:
        systems: dict[PortAnswer, tuple[str, ...]] = {}
        for name, cell in question.cells.items():
            systems[cell.answer] = (*systems.get(cell.answer, ()), name)
        unknown = table.unknown(question)
        rows.append(PortRow(question.text, systems, unknown, here.get(question.id), expected.get(question.id)))
    return rows
