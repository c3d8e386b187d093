"""Covering arrays: few rows that hold every pair of values of every two axes.

Greedy, like AETG (Cohen, Dalal, Fredman, Patton 1997): a row starts from a pair that no row has yet, and
every other axis takes the value that brings the most new pairs.  Deterministic; no random numbers.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations, product


def covering(sizes: Sequence[int]) -> list[tuple[int, ...]]:
    """Rows of indices, one per axis, below ``sizes``; every two axes' every pair of values stands in some row.

    At least as many rows as the two largest sizes multiplied, and in practice not many more.  All sizes are 1 or more.
    """
    axes = range(len(sizes))
    missing = [[[True] * (sizes[one] * sizes[other]) for other in axes] for one in axes]
    used = [[0] * size for size in sizes]
    by_size = sorted(axes, key=lambda axis: -sizes[axis])
    rows = []
    for one, other in sorted(combinations(axes, 2), key=lambda pair: -sizes[pair[0]] * sizes[pair[1]]):
        for mine, yours in product(range(sizes[one]), range(sizes[other])):
            if not missing[one][other][mine * sizes[other] + yours]:
                continue
            row = {one: mine, other: yours}
            for axis in by_size:
                if axis not in row:
                    row[axis] = _best(axis, row, sizes, missing, used)
            for axis, value in row.items():
                used[axis][value] += 1
                for against, its in row.items():
                    missing[axis][against][value * sizes[against] + its] = False
            rows.append(tuple([row[axis] for axis in axes]))
    return rows


def _best(
    axis: int, row: dict[int, int], sizes: Sequence[int], missing: list[list[list[bool]]], used: list[list[int]]
) -> int:
    """The value of ``axis`` that brings most new pairs with the row so far; of those, the least used."""
    gains = [0] * sizes[axis]
    for against, its in row.items():
        size = sizes[against]
        for value, new in enumerate(missing[axis][against][its::size]):
            gains[value] += new
    counts = used[axis]
    return max(range(sizes[axis]), key=lambda value: (gains[value], -counts[value], -value))
