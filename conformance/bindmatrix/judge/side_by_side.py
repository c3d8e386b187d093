"""Several hosts side by side: which of their results each scenario has.

Hosts that behave alike give the same vectors of results again and again, so a row is a scenario and the number of a
vector; a few thousand vectors stand for hundreds of thousands of scenarios on eight hosts.
"""

from __future__ import annotations

from array import array
from collections.abc import Sequence
from dataclasses import dataclass

from bindmatrix.judge.host_table import HostTable
from bindmatrix.judge.results import Result

#: where a host did not run a scenario
NOT_RUN = -1


@dataclass
class SideBySide:
    """Row i is the scenario of ``heads[head[i]]`` and ``tails[tail[i]]`` with ``vectors[vector[i]]``.

    A vector has an index into ``hosts[k].results`` for each host k, or NOT_RUN.  The rows are in the order of heads,
    then tails.
    """

    hosts: Sequence[HostTable]
    heads: list[str]
    tails: list[str]
    head: array[int]
    tail: array[int]
    vector: array[int]
    vectors: list[tuple[int, ...]]

    def results(self, vector: int) -> list[Result | None]:
        """The results of a vector, None where a host did not run it."""
        return [
            None if number == NOT_RUN else host.results[number]
            for host, number in zip(self.hosts, self.vectors[vector], strict=True)
        ]


def side_by_side(hosts: Sequence[HostTable]) -> SideBySide:
    """The rows of all hosts together."""
    heads: dict[str, int] = {}
    tails: dict[str, int] = {}
    for host in hosts:
        for text in host.heads:
            heads.setdefault(text, len(heads))
        for text in host.tails:
            tails.setdefault(text, len(tails))
    width = len(tails)
    keys_of = _Keys(heads, tails, width)
    keys: dict[int, None] = {}
    last: list[int] = []
    for host in hosts:
        theirs = keys_of(host)
        if theirs is not last:
            keys.update(dict.fromkeys(theirs))
        last = theirs
    order = sorted(keys)
    columns = []
    last, rows = [], []
    for host in hosts:
        theirs = keys_of(host)
        if theirs is not last:
            index_of = dict(zip(theirs, range(len(theirs)), strict=True))
            rows = [index_of.get(key, len(theirs)) for key in order]
        last = theirs
        results = [*host.result, NOT_RUN]
        columns.append(list(map(results.__getitem__, rows)))
    numbers: dict[tuple[int, ...], int] = {}
    vector = array("I", [numbers.setdefault(one, len(numbers)) for one in zip(*columns, strict=True)])
    return SideBySide(
        hosts,
        list(heads),
        list(tails),
        array("I", [key // width for key in order]),
        array("I", [key % width for key in order]),
        vector,
        list(numbers),
    )


class _Keys:
    """The keys of a host's rows; hosts that ran the same scenarios in the same order share them."""

    def __init__(self, heads: dict[str, int], tails: dict[str, int], width: int) -> None:
        self._heads = heads
        self._tails = tails
        self._width = width
        self._last: tuple[HostTable, list[int]] | None = None

    def __call__(self, host: HostTable) -> list[int]:
        if self._last is not None and _same_rows(self._last[0], host):
            return self._last[1]
        heads = [self._heads[text] * self._width for text in host.heads]
        tails = [self._tails[text] for text in host.tails]
        keys = [heads[head] + tails[tail] for head, tail in zip(host.head, host.tail, strict=True)]
        self._last = (host, keys)
        return keys


def _same_rows(one: HostTable, other: HostTable) -> bool:
    if one is other:
        return True
    same = one.head == other.head and one.tail == other.tail
    return same and one.heads == other.heads and one.tails == other.tails
