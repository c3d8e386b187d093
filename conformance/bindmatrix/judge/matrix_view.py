"""The view-model of the page: the position of each scenario in the matrix, and which scenarios are shown.

The whole matrix is shown. Of the scenarios outside of it the most informative ones are shown and the others counted.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from bindmatrix.generate import locate
from bindmatrix.generate.axes import ENDPOINTS, STATES, USERS
from bindmatrix.judge.host_table import HostTable
from bindmatrix.judge.side_by_side import NOT_RUN, SideBySide, side_by_side
from bindmatrix.judge.verdicts import VerdictKind

#: scenarios outside of the matrix that are shown, at most
MOST_OTHERS = 4000


@dataclass(frozen=True)
class MatrixView:
    """The view-model of the page.  ``rows`` are those of ``both`` that are shown."""

    both: SideBySide
    #: the place of each head, and of each tail, in the matrix; None for one that has none
    firsts: Sequence[locate.First | None]
    seconds: Sequence[locate.Second | None]
    rows: Sequence[int]
    #: how many rows are not shown
    left_out: int
    #: whether the reader chose the scenarios, so that each is listed
    chosen: bool = False

    @property
    def endpoints(self) -> list[tuple[str, str]]:
        """``(label, what a column shows)`` of the axis."""
        return [(one.label, _shown(one.address, one.v6only, one.family)) for one in ENDPOINTS]

    @property
    def states(self) -> dict[str, str]:
        """Label -> gloss of the axis."""
        return {one.label: one.gloss for one in STATES}

    @property
    def users(self) -> dict[str, str]:
        """Label -> gloss of the axis."""
        return {one.label: one.gloss for one in USERS}


def matrix_view(hosts: Sequence[HostTable], *, chosen: bool = False) -> MatrixView:
    """The view of these hosts; ``chosen``: they ran scenarios of the reader's, not those of ``run``."""
    both = side_by_side(hosts)
    firsts = [locate.first(text) for text in both.heads]
    seconds = [locate.second(text) for text in both.tails]
    rows: list[int] = []
    others: list[tuple[int, int, int]] = []
    ranks = _Ranks(both)
    for row, (head, tail) in enumerate(zip(both.head, both.tail, strict=True)):
        if firsts[head] is not None and seconds[tail] is not None:
            rows.append(row)
            continue
        rank = ranks[both.vector[row]]
        if "deliver" in both.tails[tail]:
            rank = min(rank, 1)
        others.append((rank, len(both.heads[head]) + len(both.tails[tail]), row))
    others.sort()
    rows += [row for _, _, row in others[:MOST_OTHERS]]
    return MatrixView(both, firsts, seconds, sorted(rows), max(len(others) - MOST_OTHERS, 0), chosen)


class _Ranks(dict[int, int]):
    """What a reader wants to see first: 0 what is not as expected, 2 hosts that differ, 3 the rest; by vector."""

    def __init__(self, both: SideBySide) -> None:
        super().__init__()
        self._vectors = both.vectors
        fine = (VerdictKind.CONFORMS, VerdictKind.UNKNOWN)
        # the last of each is for hosts that did not run it
        self._fine = [[kind in fine for kind in host.results.kinds()] + [True] for host in both.hosts]
        self._outcomes = [host.results.outcomes() for host in both.hosts]

    def __missing__(self, vector: int) -> int:
        numbers = self._vectors[vector]
        if not all(map(list.__getitem__, self._fine, numbers)):
            rank = 0
        else:
            seen = zip(self._outcomes, numbers, strict=True)
            rank = 2 if len({outcomes[number] for outcomes, number in seen if number != NOT_RUN}) > 1 else 3
        self[vector] = rank
        return rank


def _shown(address: str, v6only: str, family: str) -> str:
    """An endpoint as a column shows it."""
    if family == "6" and address == "::":
        return {"0": ":: dual", "1": ":: v6only"}.get(v6only, ":: default")
    return address
