"""Scenarios as input: one on the command line, or a file of them.

A file holds a scenario a line, or JSON Lines with a ``scenario`` each (so that observations can be used as they are);
empty lines and lines that begin with ``#`` are passed over.  What cannot be read is a :class:`ScenarioLine` with its
problem; the lines before and after it count.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

from bindmatrix.errors import Place, Problem, file_problems, parsing
from bindmatrix.notation import Scenario, parse
from bindmatrix.observe import recordings


class ScenarioLine(NamedTuple):
    """A scenario as it is written, and where; or what is wrong there."""

    text: str
    place: Place
    problem: Problem | None = None

    def scenario(self) -> Scenario:
        """What is written; raises :class:`Problem` when it is no scenario."""
        if self.problem is not None:
            raise self.problem
        return parse(self.text, name=self.place.name, line=self.place.line)


def given(word: str | None) -> Iterator[ScenarioLine]:
    """The scenarios that ``word`` means: a scenario itself, a file, or standard input when None or ``-``.

    Raises :class:`Problem` when it is neither.
    """
    if word is None or word == "-":
        return _input()
    if not word.strip():
        raise Problem(Place("scenario"), "expected a scenario such as 'a=tcp4 a.bind=::' or a file, got nothing")
    if "=" in word and not is_there(word):
        return iter([ScenarioLine(word, Place("scenario", 1))])
    return _file(Path(word))


def is_there(word: str) -> bool:
    """Whether ``word`` names a file; a long scenario is too long for the name of one."""
    try:
        return Path(word).exists()
    except OSError:
        return False


def _file(path: Path) -> Iterator[ScenarioLine]:
    if path.suffix == ".gz":
        recording = recordings.read(path)
        for observation in recording:
            yield ScenarioLine(observation.scenario, Place(str(path)))
        if recording.problem is not None:
            yield ScenarioLine("", recording.problem.place, recording.problem)
        return
    advice = "; expected a scenario such as 'a=tcp4 a.bind=::' or a file"
    # Windows' editors begin a file with a mark
    with file_problems(path, "read", advice), path.open(encoding="utf-8-sig", errors="replace") as stream:
        yield from _lines(stream, str(path))


def _input() -> Iterator[ScenarioLine]:
    if sys.stdin.isatty():
        print("reading scenarios from the terminal, one a line; Ctrl-D ends them", file=sys.stderr)
    with file_problems("<stdin>", "read"):
        yield from _lines(sys.stdin, "<stdin>")


def _lines(stream: Iterable[str], name: str) -> Iterator[ScenarioLine]:
    for number, line in enumerate(stream, 1):
        text = line.strip()
        if not text or text.startswith("#"):
            continue
        place = Place(name, number)
        if "\0" in text or "\N{REPLACEMENT CHARACTER}" in text:
            yield ScenarioLine(
                "", place, Problem(place, "not text in UTF-8; expected a scenario a line, or JSON Lines")
            )
            return
        if not text.startswith("{"):
            yield ScenarioLine(text, place)
            continue
        try:
            with parsing(place, "JSON"):
                data = json.loads(text)
        except Problem as problem:
            yield ScenarioLine("", place, problem)
            continue
        if "format" in data:
            continue
        found = data.get("scenario", "")
        if isinstance(found, str) and found:
            yield ScenarioLine(found, place)
        else:
            yield ScenarioLine("", place, Problem(place, "expected a 'scenario'"))
