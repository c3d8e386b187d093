"""Ids of groups: readable, stable, and parsed back into their labels."""

from __future__ import annotations

from typing import NamedTuple

from bindmatrix.errors import Place, Problem, nearest
from bindmatrix.generate.axes import ENDPOINT, MEETINGS, STATE, USER


class GroupId(NamedTuple):
    """The parsed id of a group; every field is a label of ``axes.py``."""

    protocol: str
    state: str
    first: str
    second: str
    users: str = "one-user"

    def __str__(self) -> str:
        """The parts joined by dots; ``one-user`` is left out."""
        return ".".join(self[:4] if self.users == "one-user" else self)

    @classmethod
    def parse(cls, text: str) -> GroupId:
        """The id written in ``text``; raises :class:`Problem` with the nearest valid label."""
        parts = text.split(".")
        if len(parts) not in (4, 5):
            raise _bad(text, 1, "expected PROTOCOL.STATE.FIRST.SECOND or PROTOCOL.STATE.FIRST.SECOND.USERS")
        for position, (part, labels) in enumerate(zip(parts, _LABELS, strict=False)):
            if part not in labels:
                column = 1 + sum(len(before) + 1 for before in parts[:position])
                names = ", ".join(labels)
                raise _bad(
                    text,
                    column,
                    f"unknown {cls._fields[position]} {part!r}; expected one of {names}" + nearest(part, labels),
                    len(part),
                )
        return cls(*parts)


_LABELS = (tuple(MEETINGS), tuple(STATE), tuple(ENDPOINT), tuple(ENDPOINT), tuple(USER))


def _bad(text: str, column: int, message: str, width: int = 1) -> Problem:
    return Problem(Place("group", 1, column), message, source=text, width=width)
