"""Outcomes: what a step returned, and what it was expected to return.

An outcome is ``ok`` or an errno name.  ``refused`` is a failure with an unknown error.  The outcome of a step that
delivers is how many each socket received, ``a:15,b:17``, or, when nobody did, ``none``, ``refused`` (the senders got an
error) or ``timeout``.

An expected outcome is one outcome, a tuple of accepted outcomes, or None for unknown.  A delivery is expected to be of
a class: ``a`` (all to a), ``spread:a,b``, ``every:a,b`` (a copy each), ``spread:a,refused``, or a word for nobody.  A
spread is as expected when only the named sockets received and **at least two of them did**.  When two sockets share 32
deliveries evenly, all go to one of them with the probability 2 / 2**32 = 4.7e-10, and more rarely with more sockets:
that is the chance of a false alarm.
"""

from __future__ import annotations

from typing import NamedTuple

#: one outcome, one of several, or None where it is unknown
Expected = str | tuple[str, ...] | None

#: a failure of which the error is not known
ANY_ERROR = "refused"
#: sends of one ``deliver`` step
DELIVERIES = 32
#: outcomes of a delivery that nobody received
NOBODY = frozenset({"none", "refused", "timeout"})

SPREAD, EVERY = "spread", "every"


class Receivers(NamedTuple):
    """A class of deliveries.  ``kind``: SPREAD, EVERY, or "" where ``names`` is one socket or one word."""

    kind: str
    names: tuple[str, ...]

    @classmethod
    def of(cls, outcome: str) -> Receivers:
        """The class that is written in ``outcome``, or that the counts in it belong to."""
        got = counts(outcome)
        if got:
            kind = EVERY if sum(got.values()) > DELIVERIES else SPREAD if len(got) > 1 else ""
            return cls(kind, tuple(got))
        kind, colon, listed = outcome.partition(":")
        return cls(kind, tuple(listed.split(","))) if colon and kind in (SPREAD, EVERY) else cls("", (outcome,))

    def __str__(self) -> str:
        names = ",".join(self.names)
        return f"{self.kind}:{names}" if self.kind else names


def counts(outcome: str) -> dict[str, int]:
    """``{"a": 15, "b": 17}`` of ``a:15,b:17``; empty when it is not of that form."""
    got = {}
    for part in outcome.split(","):
        name, _, number = part.partition(":")
        if not number.isdigit():
            return {}
        got[name] = int(number)
    return {name: number for name, number in got.items() if number}


def delivery_class(outcome: str) -> str:
    """The class of complete counts (``a:15,b:17`` is ``spread:a,b``); anything else is returned as it is."""
    written = str(Receivers.of(outcome))
    return written if accepts(written, outcome, delivers=True) else outcome


def alternatives(expected: Expected) -> tuple[str, ...]:
    """The outcomes that are accepted; () where it is unknown."""
    return (expected,) if isinstance(expected, str) else expected or ()


def accepts(expected: Expected, outcome: str, *, delivers: bool) -> bool:
    """Whether ``outcome`` is as expected; anything is where nothing is known.  ``delivers``: of a delivery."""
    if expected is None or outcome == expected:
        return True
    if delivers:
        return any(_in_class(one, outcome) for one in alternatives(expected))
    failures = [one for one in alternatives(expected) if one != "ok"]
    if outcome == ANY_ERROR:  # evidence may say no more than that a call fails
        return bool(failures)
    return outcome in alternatives(expected) or (outcome != "ok" and ANY_ERROR in failures)


def compatible(one: Expected, other: Expected, *, delivers: bool) -> bool:
    """Whether an outcome could be as both expect."""
    if one is None or other is None:
        return True
    mine, theirs = set(alternatives(one)), set(alternatives(other))
    if delivers or mine & theirs:
        return bool(mine & theirs)
    return (ANY_ERROR in mine and theirs != {"ok"}) or (ANY_ERROR in theirs and mine != {"ok"})


def alike(one: str | None, other: str | None) -> bool:
    """Whether two observed outcomes are the same: errors that may be, deliveries to the same sockets."""
    if one == other or one is None or other is None:
        return one == other
    if ANY_ERROR in (one, other):
        return "ok" not in (one, other)
    if not (counts(one) and counts(other)):
        return False
    kind, names = Receivers.of(one)
    other_kind, other_names = Receivers.of(other)
    if kind != other_kind:
        return False
    mine, theirs = set(names), set(other_names)
    return mine == theirs or (min(len(mine), len(theirs)) > 1 and (mine <= theirs or mine >= theirs))


def in_words(expected: Expected, *, delivers: bool = False) -> str:
    """``ok``, ``EADDRINUSE or EACCES``, ``any error``, ``unknown``."""
    if expected is None:
        return "unknown"
    return " or ".join("any error" if one == ANY_ERROR and not delivers else one for one in alternatives(expected))


def _in_class(expected: str, outcome: str) -> bool:
    got = counts(outcome)
    if not got:
        return outcome == expected
    kind, names = Receivers.of(expected)
    if kind == EVERY:
        return got.keys() == set(names) and set(got.values()) == {DELIVERIES}
    return sum(got.values()) == DELIVERIES and got.keys() <= set(names) and len(got) >= min(2, len(names))
