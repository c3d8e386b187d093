"""The results of the scenarios of a host, each built when it is read.

A full run has some ten thousand different results, mostly of random sequences, and a report shows few of them. So an
expected result is kept as the numbers of the answers to its steps; only unexpected ones are kept in full.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, overload

from bindmatrix.judge.verdicts import VerdictKind
from bindmatrix.observe.recordings import Outcomes
from bindmatrix.outcomes import Expected
from bindmatrix.rules import confidence
from bindmatrix.rules.confidence import Confidence


class Result(NamedTuple):
    """The outcomes of a scenario and their verdict. ``outcomes`` is None if there are none, for a ``reason``.

    ``expected`` and ``rules`` (ids) align with the steps, as far as they were as expected; ``step`` is the one to
    blame, -1 for none.
    """

    kind: VerdictKind
    outcomes: Outcomes | None
    expected: tuple[Expected, ...] = ()
    rules: tuple[tuple[str, ...], ...] = ()
    step: int = -1
    #: how the expectation is known, in words
    confidence: str = ""
    divergence: str = ""
    reason: str = ""
    repeats: tuple[Outcomes | None, ...] = ()


class Followed(NamedTuple):
    """A result that is as expected, with the first fields of :class:`Result`.  ``said``: a number for each step."""

    kind: VerdictKind
    outcomes: Outcomes
    said: tuple[int, ...]


class Said(NamedTuple):
    """What the rules say to a step: the outcomes that they expect, their ids, and how well that is known."""

    expected: Expected
    rules: tuple[str, ...]
    confidence: Confidence


class Results(Sequence[Result]):
    """Results by number.  ``said`` is what the numbers of a :class:`Followed` stand for."""

    def __init__(self, kept: list[Result | Followed], said: Sequence[Said]) -> None:
        self._kept = kept
        self._said = said

    def __len__(self) -> int:
        return len(self._kept)

    @overload
    def __getitem__(self, index: int) -> Result: ...
    @overload
    def __getitem__(self, index: slice) -> list[Result]: ...
    def __getitem__(self, index: int | slice) -> Result | list[Result]:
        if isinstance(index, slice):
            return [self[one] for one in range(len(self))[index]]
        one = self._kept[index]
        return one if isinstance(one, Result) else result(one, self._said)

    def kinds(self) -> list[VerdictKind]:
        """The verdict of each."""
        return [one[0] for one in self._kept]

    def outcomes(self) -> list[Outcomes | None]:
        """The outcomes of each."""
        return [one[1] for one in self._kept]


def result(one: Followed, said: Sequence[Said]) -> Result:
    """All that is known of a result."""
    if not one.said:
        return Result(one.kind, one.outcomes)
    expected, rules, known = zip(*[said[number] for number in one.said], strict=True)
    same = one.outcomes if one.outcomes == expected else expected
    return Result(one.kind, one.outcomes, same, rules, confidence=confidence.weakest(known).text)
