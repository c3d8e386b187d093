"""``bindmatrix diff``: what differs between expectation files or recordings, and which rules make the difference."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path

from bindmatrix.cli.main import DIVERGES, OK, WRONG
from bindmatrix.errors import Place, Problem, nearest
from bindmatrix.generate.axes import DEFAULT_OPTIONS
from bindmatrix.generate.matrix import matrix
from bindmatrix.judge import diff
from bindmatrix.judge.diff import Comparison, RecordedSide, Side
from bindmatrix.notation import OPTIONS
from bindmatrix.observe import recordings
from bindmatrix.observe.recordings import Observation, Recording
from bindmatrix.report import diff_text
from bindmatrix.report.console import show, width_of
from bindmatrix.rules import catalog, divergences
from bindmatrix.rules.model import Model

_EPILOG = """\
Give two or three of one kind:

  expectation files   names or files: freebsd (its newest release), freebsd@13.0, expectations/macos.yaml, ./new.yaml@15
  recordings          observation files, result folders, or a folder of expectations/evidence; - for standard input

Expectation files are compared on the pair matrix (pairs of sockets bound, listening, connected, and what connections
leave), with the options that all sides have.  Recordings are compared on the scenarios that all of them have.
Differences are grouped by the rules that decide the first step that differs, the biggest group first, each with its
shortest scenario.

  bindmatrix diff freebsd macos
  bindmatrix diff freebsd@13.0 freebsd@15
  bindmatrix diff expectations/evidence/linux-{5.10.218,6.1.192,7.3.4}/pairs.jsonl.gz

--json prints one object: sides, compared, differ, unknown, only (scenarios that some sides lack), notes, and groups:
count, scenario, step (counted from 0) and sides, in the order of the arguments: outcome, rules (ids), why, note.

Exit status: 0 no difference, 1 differences, 2 bad input.
"""


def configure(parser: argparse.ArgumentParser) -> None:
    """The arguments of the verb."""
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.epilog = _EPILOG
    parser.add_argument("first", metavar="A", help="an expectation file or a recording")
    parser.add_argument("others", nargs="+", metavar="B", help="one or two more of the same kind")
    parser.add_argument("--json", action="store_true", help="one object, see below")


def run(arguments: argparse.Namespace) -> int:
    """Compare, print; exit status 1 when there are differences."""
    words = [arguments.first, *arguments.others]
    if len(words) > 3:
        raise Problem(Place("diff"), f"expected two or three things to compare, got {len(words)}")
    kinds = [_is_expectations(word) for word in words]
    problems: list[Problem] = []
    if all(kinds):
        result = _expectations(words)
    elif any(kinds):
        named = words[kinds.index(True)]
        advice = "to compare a recording with the rules use 'bindmatrix judge'"
        raise Problem(Place("diff"), f"{named!r} is an expectation file and the others are not; {advice}")
    else:
        result, problems = _recordings(words)
    if arguments.json:
        print(json.dumps(result.as_dict(), indent=1))
    else:
        show(diff_text.lines(result, width_of(sys.stdout)))
    for problem in problems:
        print(problem, file=sys.stderr)
    if problems:
        return WRONG
    return DIVERGES if result.differ else OK


# -- expectation files


def _split(word: str) -> tuple[str, str]:
    """The name or file of a system, and its release ("" for the newest)."""
    name, at, release = word.rpartition("@")
    return (name, release) if at and not Path(word).exists() else (word, "")


def _is_expectations(word: str) -> bool:
    """Whether ``word`` means an expectation file; raises :class:`Problem` when it means nothing."""
    name, _ = _split(word)
    if name.endswith((".yaml", ".yml")) or name in catalog.names():
        return True
    if word == "-" or Path(word).exists():
        return False
    hint = nearest(name, catalog.names())
    raise Problem(
        Place("diff"),
        f"{word!r} is neither a file nor a system{hint}; there are {', '.join(catalog.names())}",
    )


def _expectations(words: Sequence[str]) -> Comparison:
    sides = []
    notes = []
    for word in words:
        name, release = _split(word)
        expectations = catalog.expectations(name)
        try:
            release = catalog.release_of(expectations, release)
        except Problem as problem:
            problem.place = Place(word)
            raise
        limit = catalog.limit(expectations, release)
        if limit:
            notes.append(f"{expectations.os}: {limit}")
        sides.append(Side(f"{expectations.os} {release}", expectations.at(release)))
    sides = [
        side._replace(name=name)
        for side, name in zip(sides, _distinct([one.name for one in sides], words), strict=True)
    ]
    having = {option: [side for side in sides if _has(side.model, option)] for option in OPTIONS}
    options = [option for option, some in having.items() if len(some) == len(sides) and option != "v6only"]
    for option in DEFAULT_OPTIONS:
        lacking = [side.name for side in sides if side not in having[option]]
        if lacking:
            notes.append(f"{' and '.join(lacking)} lacks {OPTIONS[option]}: scenarios with it are left out")
    texts = (text for group in matrix("pairs", options=options) for text in group.scenarios)
    result = diff.of_expectations(sides, texts)
    result.notes = notes
    return result


def _has(model: Model, option: str) -> bool:
    return model.stack.options.get(option, "absent") != "absent"


def _distinct(names: Sequence[str], words: Sequence[str]) -> list[str]:
    """``names``, with the word of the command line added if two are equal."""
    return [f"{name} ({word})" if names.count(name) > 1 else name for name, word in zip(names, words, strict=True)]


# -- recordings


def _recordings(words: Sequence[str]) -> tuple[Comparison, list[Problem]]:
    if words.count("-") > 1:
        raise Problem(Place("diff"), "standard input can be read once")
    sides = []
    notes: list[str] = []
    problems: list[Problem] = []
    for word in words:
        recordings = _read(word)
        found: dict[str, Observation] = {}
        for recording in recordings:
            for observation in recording.held():
                found.setdefault(observation.scenario, observation)
            if recording.problem is not None:
                problems.append(recording.problem)
                notes.append(f"{recording.name}: lines that could not be read: {recording.bad_lines}")
        sides.append(_recorded(word, recordings[0], found, notes))
    names = _distinct([side.name for side in sides], words)
    result = diff.of_recordings([side._replace(name=name) for side, name in zip(sides, names, strict=True)])
    result.notes = notes
    if not result.compared:
        problems.append(Problem(Place("diff"), "the recordings have no scenario in common: nothing was compared"))
    return result, problems


def _read(word: str) -> list[Recording]:
    """The recording that ``word`` means, or those of a folder of evidence."""
    folder = Path(word)
    inside = sorted(folder.glob("*.jsonl.gz")) if folder.is_dir() else []
    if inside and not (folder / "observations.jsonl.gz").exists():
        return [recordings.read(path) for path in inside]
    return [recordings.read(word)]


def _recorded(word: str, recording: Recording, found: dict[str, Observation], notes: list[str]) -> RecordedSide:
    try:
        expectations, release = catalog.of_host(recording.host)
    except Problem as problem:
        notes.append(f"{word}: no rules are named for it: {problem.message}")
        return RecordedSide(_host_name(recording) or word, found, None)
    known = divergences.of(expectations, release)
    model = catalog.model_of_host(expectations, release, recording.host)
    return RecordedSide(f"{expectations.os} {release}", found, model, known)


def _host_name(recording: Recording) -> str:
    return " ".join(str(recording.host[key]) for key in ("os", "release") if recording.host.get(key))
