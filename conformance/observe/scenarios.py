"""Scenarios as input: one on the command line, or a file of them.

A file holds a scenario a line, or JSON Lines with a ``scenario`` each (so that observations can be used as they are);
empty lines and lines that begin with ``#`` are passed over.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from conformance.errors import Place, Problem
from conformance.observe import observations


class Line(NamedTuple):
    """A scenario as it is written, and where."""

    text: str
    place: Place


def given(word: str | None) -> Iterator[Line]:
    """The scenarios that ``word`` means: a scenario itself, a file, or standard input when None or ``-``.

    Raises :class:`Problem` when it is neither.
    """
    if word is None or word == "-":
        return _lines(sys.stdin, "<stdin>")
    if not word.strip():
        raise Problem(Place("scenario"), "expected a scenario such as 'a=tcp4 a.bind=::' or a file, got nothing")
    if "=" in word and not is_there(word):
        return iter([Line(word, Place("scenario", 1))])
    return _file(Path(word))


def is_there(word: str) -> bool:
    """Whether ``word`` names a file; a long scenario is too long for the name of one."""
    try:
        return Path(word).exists()
    except OSError:
        return False


def _file(path: Path) -> Iterator[Line]:
    if path.suffix == ".gz":
        for observation in observations.read(path):
            yield Line(observation.scenario, Place(str(path)))
        return
    try:
        with path.open(encoding="utf-8", errors="replace") as stream:
            yield from _lines(stream, str(path))
    except OSError as error:
        raise Problem(
            Place(str(path)),
            f"cannot be read: {error.strerror}; expected a scenario such as 'a=tcp4 a.bind=::' or a file",
        ) from error


def _lines(stream: Iterator[str], name: str) -> Iterator[Line]:
    for number, line in enumerate(stream, 1):
        text = line.strip()
        if not text or text.startswith("#"):
            continue
        if text.startswith("{"):
            try:
                data = json.loads(text)
            except ValueError as error:
                raise Problem(Place(name, number), f"not JSON: {error}") from error
            if "format" in data:
                continue
            text = data.get("scenario", "")
            if not isinstance(text, str) or not text:
                raise Problem(Place(name, number), "expected a 'scenario'")
        yield Line(text, Place(name, number))
