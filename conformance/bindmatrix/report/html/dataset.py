"""The data of the HTML page: JSON for what is small, numbers in columns for what is many, all of it deflated.

Layout before compression, little-endian::

    u32   length of the JSON, padded with spaces so that what follows is aligned
    ...   JSON: hosts, rules, first and second parts, tables of outcomes and results (``_header``)
    u32   rows of each first part                     (one number a first part)
    u32   second part of each row                     (rows in the order of the first parts)
    u32   vector of each row
    i32   result of each host, for each vector        (-1: not run)

Each column is written byte by byte (all lowest bytes, then the next), which halves what deflate makes of it.
``data.js`` reads this and must change with it.
"""

from __future__ import annotations

import base64
import json
import sys
import zlib
from array import array
from collections import Counter
from collections.abc import Callable, Hashable
from itertools import chain
from typing import Any, Generic, TypeVar

from bindmatrix.judge.matrix_view import MatrixView
from bindmatrix.judge.results import Result
from bindmatrix.judge.side_by_side import NOT_RUN
from bindmatrix.judge.verdicts import VerdictKind
from bindmatrix.notation import OPTIONS

T = TypeVar("T", bound=Hashable)


def encode(view: MatrixView) -> str:
    """The data as base64 text."""
    both = view.both
    heads, head_column = _numbered([both.head[row] for row in view.rows])
    tails, tail_column = _numbered([both.tail[row] for row in view.rows])
    vectors, vector_column = _numbered([both.vector[row] for row in view.rows])
    rows = Counter(head_column)
    header, numbers = _header(
        view,
        [both.vectors[vector] for vector in vectors],
        [[both.heads[head], *(view.firsts[head] or ())] for head in heads],
        [[both.tails[tail], *(view.seconds[tail] or ())] for tail in tails],
    )
    text = json.dumps(header, separators=(",", ":"), ensure_ascii=True).encode()
    text += b" " * (-len(text) % 4)
    pieces = [
        len(text).to_bytes(4, "little"),
        text,
        _bytes(array("I", [rows[number] for number in range(len(heads))])),
        _bytes(array("I", tail_column)),
        _bytes(array("I", vector_column)),
        _bytes(numbers),
    ]
    return base64.b64encode(zlib.compress(b"".join(pieces), 6)).decode("ascii")


class _Table(Generic[T]):
    """Values and their numbers, in the order of the first use."""

    def __init__(self) -> None:
        self._numbers: dict[T, int] = {}

    def number(self, value: T) -> int:
        """The number of ``value``; a new value gets the next number."""
        return self._numbers.setdefault(value, len(self._numbers))

    @property
    def values(self) -> list[T]:
        """All values, by number."""
        return list(self._numbers)


def _numbered(values: list[int]) -> tuple[list[int], list[int]]:
    """The different values in the order in which they come, and for each value its number in that list."""
    different = list(dict.fromkeys(values))
    numbers = dict(zip(different, range(len(different)), strict=True))
    return different, [numbers[value] for value in values]


def _bytes(column: array[int]) -> bytes:
    """The numbers in planes: all lowest bytes first."""
    raw = array("i" if column.typecode == "i" else "I", column)
    if raw.itemsize != 4:
        raise AssertionError("expected an array of 4 bytes a number")
    if sys.byteorder == "big":
        raw.byteswap()
    data = raw.tobytes()
    return b"".join([data[plane::4] for plane in range(4)])


# -- the tables


def _header(
    view: MatrixView, vectors: list[tuple[int, ...]], heads: list[list[Any]], tails: list[list[Any]]
) -> tuple[dict[str, Any], array[int]]:
    """The JSON, and the results of the vectors by their new numbers."""
    both = view.both
    strings = _Table[str]()
    outcomes = _Table[tuple[str | None, ...]]()
    rules = _Table[tuple[tuple[str, ...], ...]]()
    results: list[list[list[Any]]] = []
    numbers = array("i", [NOT_RUN]) * (len(vectors) * len(both.hosts))
    for index, host in enumerate(both.hosts):
        column = [vector[index] for vector in vectors]
        used = [number for number in dict.fromkeys(column) if number != NOT_RUN]
        renumbered = {NOT_RUN: NOT_RUN, **dict(zip(used, range(len(used)), strict=True))}
        numbers[index :: len(both.hosts)] = array("i", [renumbered[number] for number in column])
        results.append([_result(host.results[one], strings.number, outcomes.number, rules.number) for one in used])
    described = {name: list(described) for host in both.hosts for name, described in host.rules.items()}
    sets = list(dict.fromkeys(chain.from_iterable(rules.values)))
    set_number = {one: number for number, one in enumerate(sets)}
    listed = sorted({name for one in sets for name in one})
    rule_number = {name: number for number, name in enumerate(listed)}
    header: dict[str, Any] = {
        "hosts": [
            {
                "name": host.name,
                "os": host.os,
                "headline": host.summary.headline,
                "summary": host.summary.as_dict(),
                "problems": host.problems,
            }
            for host in both.hosts
        ],
        "verdicts": {kind: kind.meaning for kind in VerdictKind},
        "options": OPTIONS,
        "endpoints": view.endpoints,
        "states": view.states,
        "users": view.users,
        "rules": {name: described.get(name, ["", "", []]) for name in listed},
        "divergences": {name: what for name, what in described.items() if name not in rule_number},
        "rule_ids": listed,
        "rule_sets": [[rule_number[name] for name in one] for one in sets],
        "rule_lists": [list(map(set_number.__getitem__, steps)) for steps in rules.values],
        "outcomes": [list(one) for one in outcomes.values],
        "results": results,
        "strings": strings.values,
        "heads": heads,
        "tails": tails,
        "left_out": view.left_out,
        "chosen": view.chosen,
    }
    return header, numbers


def _result(
    one: Result,
    string: Callable[[str], int],
    outcomes: Callable[[tuple[str | None, ...]], int],
    rules: Callable[[tuple[tuple[str, ...], ...]], int],
) -> list[Any]:
    """``[kind, outcomes or -1, rules, confidence, step]`` and, where there is more to say, an object."""
    row: list[Any] = [
        string(one.kind),
        -1 if one.outcomes is None else outcomes(one.outcomes),
        rules(one.rules),
        string(one.confidence),
        one.step,
    ]
    more: dict[str, Any] = {}
    if one.outcomes is None or one.expected != one.outcomes:
        more["expected"] = one.expected
    for key in ("divergence", "reason"):
        if getattr(one, key):
            more[key] = getattr(one, key)
    if any(one.repeats):
        more["repeats"] = list(filter(None, one.repeats))
    return [*row, more] if more else row
