"""Errors that are meant for the user.

Everything that can be wrong with the input or the set-up is raised as :class:`Problem` (or several of them as
:class:`Problems`).  The command prints them and exits with status 2; a traceback is always a bug of bindmatrix.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache

from bindmatrix.quoting import terminal


@dataclass(frozen=True, order=True)
class Place:
    """A position in the input: a name (a file, ``<stdin>``, ``scenario``), line and column, both counted from 1."""

    name: str
    line: int = 0
    column: int = 0

    def __str__(self) -> str:
        parts = [self.name]
        if self.line:
            parts.append(str(self.line))
            if self.column:
                parts.append(str(self.column))
        return ":".join(parts)


NOWHERE = Place("")

#: letters of a line of input that are shown, and of a message
_WIDEST = 500
_LONGEST = 1_000


def short(message: str) -> str:
    """The front of a message that repeats what somebody wrote, however long that is."""
    return message if len(message) <= _LONGEST else f"{message[:_LONGEST]} ..."


class BindmatrixError(Exception):
    """Base of all errors of this project."""


class Problem(BindmatrixError):
    """One thing that is wrong: where, what was expected, what to do.

    ``source`` is the line of input it stands in; with it the text form shows a caret under ``width`` characters.
    """

    def __init__(self, place: Place, message: str, *, source: str = "", width: int = 1) -> None:
        super().__init__(place, message)  # both, so that it can be pickled
        self.place = place
        self.message = message
        self.source = source
        self.width = max(1, width)

    def __str__(self) -> str:
        # names of files and words of recordings stand in both
        text = terminal(str(self.place)) + ": " + "\n".join(map(terminal, short(self.message).split("\n")))
        if self.source and self.place.column:
            # a long line is shown from a little before the place
            start = max(0, self.place.column - 60) if len(self.source) > _WIDEST else 0
            shown = self.source[start : start + _WIDEST]
            width = max(1, min(self.width, _WIDEST - (self.place.column - 1 - start)))
            text += f"\n  {terminal(shown)}\n  {' ' * (self.place.column - 1 - start)}{'^' * width}"
        return text


class Problems(BindmatrixError):
    """Several problems found in one pass, in the order of their places."""

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems = sorted(problems, key=lambda problem: problem.place)
        super().__init__(self.problems)

    def __str__(self) -> str:
        return "\n".join(str(problem) for problem in self.problems)


def nearest(word: str, valid: Iterable[str]) -> str:
    """``"; did you mean 'x'?"`` for the valid word closest to ``word``, or an empty string."""
    return _nearest(word.lower()[:100], tuple(valid))


@lru_cache(maxsize=64)  # a scenario that is none is read several times
def _nearest(word: str, valid: tuple[str, ...]) -> str:
    names = {name.lower(): name for name in valid}
    match = difflib.get_close_matches(word, list(names), n=1, cutoff=0.5)
    return f"; did you mean {names[match[0]]!r}?" if match else ""


def defect(error: Exception) -> str:
    """What to say of an exception that nothing expects."""
    if isinstance(error, MemoryError):
        return (
            "bindmatrix: memory is short; what was written so far is kept; allow more (ulimit -v) or read fewer files"
        )
    return (
        f"bindmatrix: defect: {type(error).__name__}: {terminal(str(error))[:300]}; what was written so far is kept; "
        "set BINDMATRIX_TRACEBACK=1 to see where it happens, and report that"
    )


@contextmanager
def parsing(place: Place, form: str, advice: str = "") -> Iterator[None]:
    """Raise as a :class:`Problem` what a parser of ``form`` raises, for too deep a nesting or too long a number too."""
    try:
        yield
    except RecursionError:
        raise Problem(place, f"not {form}: nested too deep{advice}") from None
    except ValueError as error:
        # int() has a limit of its own, and advice for programmers
        said = "a number of thousands of digits" if "set_int_max_str_digits" in str(error) else error
        raise Problem(place, f"not {form}: {said}{advice}") from None


def whole_number(text: str, most: int) -> int | None:
    """The decimal number from 0 to ``most`` that ``text`` is, None for any other text."""
    if not (text.isascii() and text.isdigit()):
        return None
    digits = text.lstrip("0") or "0"
    if len(digits) > len(str(most)):
        return None
    number = int(digits)
    return number if number <= most else None


@contextmanager
def file_problems(path: object, done: str, advice: str = "") -> Iterator[None]:
    """Raise what the system says against a file as a :class:`Problem`; ``done`` is ``read`` or ``written``."""
    try:
        yield
    except OSError as error:
        raise Problem(Place(str(path)), f"cannot be {done}: {error.strerror or error}{advice}") from error
