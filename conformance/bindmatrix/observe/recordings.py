"""Observation files: JSON Lines, plain or gzip.

The first line of a file that a run wrote names its format and its host::

    {"format": "bindmatrix-observations/1", "host": {"os": "linux", "release": "6.18.44", ...}}

Beside ``host``, a file that a kit recorded has ``kit``: what the kit says of itself (``kit/program.py``).  A kit runs
its ``witnesses`` twice, first of all and once more: the two lines of one are read as one observation with a repeat.

Every other line is one scenario with the outcome of each step, ``null`` where none is asserted::

    {"scenario": "a=tcp4 a.bind=127.0.0.1", "outcomes": ["ok", "ok"]}

``repeats`` holds outcomes of further runs of the same scenario, ``null`` for a run that had none; ``no_verdict`` or
``unsupported`` say why there are no outcomes.  A file may lack the first line (recorded evidence does); then its folder
names the host.

A file that is truncated or holds invalid lines is read as far as possible: unreadable lines are counted, the first is
described in ``Recording.problem``, and every readable line is kept.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import sys
import zlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import IO, Any, NamedTuple

from bindmatrix.errors import Place, Problem, file_problems

FORMAT = "bindmatrix-observations/1"
_FORMAT_NAME = "bindmatrix-observations/"

Outcomes = tuple[str | None, ...]

#: what a run says of its observations beside them
VERDICTS = "verdicts.json"
#: the longest line that is accepted
MAX_LINE = 1 << 18
#: bytes of a recording, unpacked: twenty full runs; a gzip file can hold a thousand times its size
MAX_BYTES = 1 << 30
#: its lines: forty full runs; and those of them that cannot be read
MAX_LINES, MAX_BAD_LINES = 10_000_000, 100_000
#: bytes that the observations take, about, for whoever keeps all of them: two full runs
MOST_HELD = 200_000_000
_BATCH = 1 << 16
#: witnesses of a kit, at most
_MOST_WITNESSES = 10_000
#: bytes of ``verdicts.json`` that are read, and where a run says in it what it wrote
_MOST_VERDICTS = 1 << 26
_OF_FILE = re.compile(rb'"observations":\s*(\{[^{}]{0,1000000}\})')
#: further runs of one scenario that count
MOST_REPEATS = 100
#: lists of outcomes that are remembered, at most
_MOST = 100_000
_START, _OUTCOMES = '{"scenario":', '","outcomes":'
#: facts that a recording cannot give itself: ``provenance`` and ``judge/literature.py`` say them
_OURS = ("recorded", "method", "literature")
#: what JSON writes as it is
_PLAIN = re.compile(r"[ -!#-\[\]-~]*\Z")
#: the characters of an outcome: "EADDRINUSE", "errno 71", "a:15,b:17"
_OUTCOME = re.compile(r"[A-Za-z0-9_:, ]{1,1000}\Z")
_SYSTEM = re.compile(r"[a-z][a-z0-9_-]*\Z")


class Observation(NamedTuple):
    """One scenario on one host.  ``outcomes`` is None when there is a ``reason``."""

    scenario: str
    outcomes: Outcomes | None
    #: "" or ``no-verdict`` or ``unsupported``
    lack: str = ""
    reason: str = ""
    #: outcomes of further runs, None for one that had none
    repeats: tuple[Outcomes | None, ...] = ()

    def again(self, later: Observation) -> Observation:
        """What this and a ``later`` observation of its scenario say together; a line with repeats completes an earlier.

        More repeats than ``MOST_REPEATS`` are left out.
        """
        if self.outcomes is None:
            return later
        if later.repeats and later.outcomes == self.outcomes:
            return later
        repeats = (*self.repeats, later.outcomes, *later.repeats)
        return self._replace(repeats=repeats[:MOST_REPEATS])


def check_system(os: object, place: Place) -> None:
    """Raise :class:`Problem` unless ``os`` is a word such as ``linux``, or empty where nothing is said.

    What a host says of itself chooses the rules that it is judged by.  A path would let it bring its own.
    """
    if not isinstance(os, str) or not (os == "" or _SYSTEM.match(os)):
        raise Problem(place, f"expected the name of a system, such as 'linux', got {str(os)[:80]!r}")


class Recording:
    """The observations of one host, read once from the front.

    ``host`` is complete when the first batch was read.
    """

    def __init__(self, stream: IO[bytes], name: str, host: Mapping[str, Any] | None = None) -> None:
        self.name = name
        self.host: dict[str, Any] = dict(host or {})
        #: what the first line says of the kit that wrote the file (``kit/program.py``), {} for any other file
        self.kit: dict[str, Any] = {}
        self.problem: Problem | None = None
        self.bad_lines = 0
        #: whether it holds more than was read
        self.left_off = False
        self._stream = stream
        self._line = 0
        #: end of a line, from the list of outcomes on -> the tuple; a matrix has a few dozen different ones
        self._outcomes: dict[str, Outcomes] = {}
        #: what the run said of the file, to be checked at its end
        self._written: dict[str, Any] = {}
        #: outcomes that came before and are written in JSON as they are
        self._words: dict[str, str] = {}

    def __iter__(self) -> Iterator[Observation]:
        for batch in self.batches():
            yield from batch

    def held(self, most: int = MOST_HELD) -> Iterator[Observation]:
        """The observations for a caller that keeps them all: at most about ``most`` bytes of them."""
        size = 0
        for batch in self.batches():
            size += sum(
                [250 + len(one.scenario) + 8 * len(one.outcomes or ()) + 150 * len(one.repeats) for one in batch]
            )
            if size > most:
                self.leave_off("holds more than is kept in memory")
                return
            yield from batch

    def leave_off(self, why: str) -> None:
        """Record that the rest of the file is not read, which is the problem of the recording from now on."""
        self.left_off = True
        first = f" (the first problem: {self.problem})" if self.problem else ""
        self.bad_lines += 1
        self.problem = Problem(Place(self.name, self._line), f"{why}; what comes after this line is not read{first}")

    def batches(self) -> Iterator[list[Observation]]:
        """The observations in pieces of some hundred lines; the two runs of a kit's witness are one observation."""
        twice = -1
        waiting: dict[str, Observation] = {}
        for batch in self._batches():
            if twice < 0:  # the first line is known now
                twice = _witnesses(self.kit)
            if twice:
                waiting.update((one.scenario, one) for one in batch[:twice])
                batch, twice = batch[twice:], max(0, twice - len(batch))
            if waiting:
                batch = [waiting.pop(one.scenario).again(one) if one.scenario in waiting else one for one in batch]
            if batch:
                yield batch
        if waiting:  # the kit was ended before it ran them again
            yield list(waiting.values())

    def _batches(self) -> Iterator[list[Observation]]:
        """The observations in pieces, one for each line."""
        known = self._outcomes
        for lines in self._lines():
            batch = []
            number = self._line
            for line in lines:
                number += 1
                # the form that we write ourselves; splitting it without a JSON parser is five times as fast
                front, _, end = line.partition(_OUTCOMES)
                outcomes = known.get(end) or self._of_words(end)
                if outcomes is not None and "\\" not in front:
                    start, _, scenario = front.rpartition('"')
                    if start == _START:
                        batch.append(Observation(scenario, outcomes))
                        continue
                self._line = number
                observation = self._observation(line)
                if observation is not None:
                    batch.append(observation)
            self._line = number
            if batch:
                yield batch
            if self.bad_lines > MAX_BAD_LINES:
                self.leave_off(f"{self.bad_lines:,} lines could not be read")
                return
            if self._line > MAX_LINES:
                self.leave_off(f"holds more than {MAX_LINES:,} lines")
                return

    def _lines(self) -> Iterator[list[str]]:
        """The lines without their ends, in pieces; what a damaged file still holds comes before the complaint."""
        left = b""
        try:
            for data in self._pieces():
                whole, end, rest = data.rpartition(b"\n")
                if end:
                    yield _decoded(left + whole).split("\n")
                    left = b""
                left = (left + rest)[: MAX_LINE + 1]
        except (EOFError, zlib.error) as error:
            self._complain(self._line, f"the file breaks off after this line ({error}); what came before counts")
            return
        except _TooLong:
            self.leave_off(f"holds more than {MAX_BYTES:,} bytes")
            return
        except OSError as error:
            self._complain(self._line, f"cannot be read: {error.strerror or error}")
        if left:
            yield [_decoded(left)]

    def _pieces(self) -> Iterator[bytes]:
        """The bytes of the stream, unpacked; raises EOFError, zlib.error or _TooLong where they break off."""
        given = 0
        for data in _unpacked(self._packed()):
            given += len(data)
            if given > MAX_BYTES:
                raise _TooLong
            yield data

    def _packed(self) -> Iterator[bytes]:
        """The bytes of the stream; at its end they are compared with what the run wrote."""
        sha256, size = hashlib.sha256(), 0
        while piece := self._stream.read(_BATCH):
            sha256.update(piece)
            size += len(piece)
            yield piece
        self._compare({"bytes": size, "sha256": sha256.hexdigest()})

    def check(self, written: Mapping[str, Any]) -> None:
        """Read to the end without parsing; raises :class:`Problem` unless the file is what was ``written``."""
        self._written = dict(written)
        with self._stream:
            for _ in self._packed():
                pass
        if self.problem is not None:
            raise self.problem

    def _compare(self, found: Mapping[str, Any]) -> None:
        for key, expected in self._written.items():
            if found[key] != expected:
                message = f"is not what the run wrote: {key} {found[key]}, and {VERDICTS} beside it says {expected}"
                self._complain(0, message)
                return

    def _of_words(self, end: str) -> Outcomes | None:
        """The outcomes at the end of a line, where each of them came before; None for JSON to say."""
        if not (end.startswith('["') and end.endswith('"]}')):
            return None
        words = self._words
        try:
            outcomes = tuple([words[word] for word in end[2:-3].split('","')])
        except KeyError:
            return None
        if len(self._outcomes) < _MOST:
            self._outcomes[end] = outcomes
        return outcomes

    def _header(self, line: str) -> bool:
        if not line.startswith('{"format"'):
            return False
        try:
            header = json.loads(line)
            name, host, kit = header["format"], _whole(header.get("host", {})), _whole(header.get("kit", {}))
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
            return False
        if name != FORMAT:
            newer = isinstance(name, str) and name.startswith(_FORMAT_NAME)
            advice = "; it was written by a newer bindmatrix: update this one" if newer else ""
            raise Problem(Place(self.name, 1), f"expected format {FORMAT!r}, got {name!r}{advice}")
        self.kit = kit if isinstance(kit, dict) else {}
        if not isinstance(host, dict):
            raise Problem(Place(self.name, 1), "expected 'host' to hold the facts of the host")
        check_system(host.get("os", ""), Place(self.name, 1))
        # a recording cannot claim to be one of the evidence
        self.host = {**{key: value for key, value in host.items() if key not in _OURS}, **self.host}
        return True

    def _observation(self, line: str) -> Observation | None:
        """Any line, whatever its form; the end of one of our own is remembered, and its words."""
        if self._line == 1 and self._header(line):
            return None
        observation = self._parsed(line)
        if observation is not None and observation.outcomes is not None and not observation.repeats:
            front, _, end = line.partition(_OUTCOMES)
            if front.startswith(_START) and end.count("]") == 1 and end.endswith("]}") and len(self._outcomes) < _MOST:
                self._outcomes[end] = observation.outcomes
                for word in observation.outcomes:
                    if word is not None and _PLAIN.match(word) and len(self._words) < _MOST:
                        self._words[word] = word
        return observation

    def _parsed(self, line: str) -> Observation | None:
        if not line.strip(" \t\r"):
            return None
        if len(line) > MAX_LINE:
            self._complain(self._line, f"a line of {len(line)} characters is no observation")
            return None
        try:
            data = json.loads(line)
        except (ValueError, RecursionError):
            self._complain(self._line, 'not JSON; expected {"scenario": ..., "outcomes": [...]}')
            return None
        if not isinstance(data, dict) or not isinstance(data.get("scenario"), str):
            self._complain(self._line, "expected an object with a 'scenario'")
            return None
        scenario = _whole(data["scenario"])
        for lack in ("no_verdict", "unsupported"):
            if data.get(lack):
                if not isinstance(data[lack], str):
                    self._complain(self._line, f"expected {lack!r} to be the reason, a text")
                    return None
                return Observation(scenario, None, lack.replace("_", "-"), _whole(data[lack]))
        outcomes = _outcomes(data.get("outcomes"))
        if outcomes is None:
            self._complain(self._line, "expected 'outcomes' as a list of errno names, 'ok' or null")
            return None
        listed = data.get("repeats") or []
        if not isinstance(listed, list) or not all(one is None or _outcomes(one) is not None for one in listed):
            self._complain(self._line, "expected 'repeats' as a list of lists of outcomes, null for a run without any")
            return None
        return Observation(scenario, outcomes, repeats=tuple(map(_outcomes, listed[:MOST_REPEATS])))

    def _complain(self, line: int, message: str) -> None:
        self.bad_lines += 1
        if self.problem is None:
            self.problem = Problem(Place(self.name, line), message)


def _witnesses(kit: Mapping[str, Any]) -> int:
    """How many observations at the front of a kit's recording come again later (``executor.run_kit``)."""
    count = kit.get("witnesses")
    return min(max(count, 0), _MOST_WITNESSES) if isinstance(count, int) else 0


def _whole(value: Any) -> Any:
    """``value`` without halves of surrogate pairs, which JSON can write and no file can hold."""
    if isinstance(value, str):
        return value if value.isascii() else value.encode("utf-8", "replace").decode()
    if isinstance(value, dict):
        return {_whole(key): _whole(one) for key, one in value.items()}
    return [_whole(one) for one in value] if isinstance(value, list) else value


def _decoded(data: bytes) -> str:
    """Decoded text; bytes that are not UTF-8 are replaced, because no scenario contains them."""
    return data.decode("utf-8", "replace")


def _outcomes(values: object) -> Outcomes | None:
    """A list of outcomes as a tuple of shared strings, None when it is none."""
    if not isinstance(values, list):
        return None
    for value in values:
        if value is not None and not (isinstance(value, str) and _OUTCOME.match(value)):
            return None
    return tuple([None if value is None else sys.intern(value) for value in values])


def named(path: str | Path) -> Path:
    """A path out of a command line; an empty word would be the current folder.  Raises :class:`Problem`."""
    if not str(path):
        raise Problem(Place("''"), "expected the name of a file or folder, got nothing (is a variable empty?)")
    return Path(path)


def read(path: str | Path) -> Recording:
    """The recording in a file, ``-`` for standard input, or a folder of a run; raises :class:`Problem`."""
    if str(path) == "-":
        return Recording(sys.stdin.buffer, "<stdin>")
    path = named(path)
    if path.is_dir():
        inside = path / "observations.jsonl.gz"
        if not inside.exists():
            raise Problem(Place(str(path)), "a folder without observations.jsonl.gz; name an observation file")
        path = inside
    with file_problems(path, "read"):
        stream = path.open("rb")
    recording = Recording(stream, str(path), _host_of_folder(path))
    try:
        recording._written = _written(path)
    except (OSError, ValueError) as error:
        why = getattr(error, "strerror", None) or "it is damaged"
        recording._complain(0, f"cannot be compared with what its run wrote: {VERDICTS} beside it: {why}")
    return recording


def _written(path: Path) -> dict[str, Any]:
    """What the run that wrote ``path`` says of its bytes; nothing where no run says it.

    Raises ValueError or OSError where it says something that cannot be read.
    """
    beside = path.parent / VERDICTS
    if path.name != "observations.jsonl.gz" or not os.path.lexists(beside):
        return {}
    if not beside.is_file():  # a pipe would block
        raise ValueError
    with beside.open("rb") as file:
        data = file.read(_MOST_VERDICTS)
    found = _OF_FILE.search(data)
    if found is None:
        if data.rstrip()[-1:] not in (b"}", b"]"):
            raise ValueError
        return {}
    said = json.loads(found[1])
    return {key: said[key] for key in ("bytes", "sha256") if key in said}


class _TooLong(Exception):
    """A recording holds more than ``MAX_BYTES``."""


def _unpacked(pieces: Iterator[bytes]) -> Iterator[bytes]:
    """The bytes of a plain or gzip stream; raises EOFError at the end of one that was cut off."""
    piece = next(pieces, b"")
    if piece[:2] != b"\x1f\x8b":
        yield piece
        yield from pieces
        return
    unzip = zlib.decompressobj(31)
    while piece:
        before = unzip.copy()
        try:
            data = unzip.decompress(piece, _BATCH)
        except zlib.error:
            yield from _undamaged(before, piece)
            raise
        if data:
            yield data
        if unzip.eof and unzip.unused_data:
            # a second member: a file that was appended to
            piece, unzip = unzip.unused_data, zlib.decompressobj(31)
        else:
            piece = unzip.unconsumed_tail or next(pieces, b"")
    if not unzip.eof:
        yield unzip.flush()
    if not unzip.eof:
        raise EOFError("it was cut off")


def _undamaged(unzip: Any, piece: bytes) -> Iterator[bytes]:
    """What comes out of ``piece`` before the place where it is damaged."""
    for index in range(len(piece)):
        try:
            data = unzip.decompress(piece[index : index + 1])
        except zlib.error:
            return
        if data:
            yield data


def _host_of_folder(path: Path) -> dict[str, str]:
    """The host whose recorded evidence is kept in a folder named like ``freebsd-13.0``; ``recorded`` is that name."""
    folder = Path(os.path.realpath(path)).parent
    system, dash, release = folder.name.partition("-")
    if not dash or folder.parent.name != "evidence":
        return {}
    return {"os": system, "release": release, "recorded": folder.name}


def header(host: Mapping[str, Any]) -> bytes:
    """The first line of an observation file."""
    return json.dumps({"format": FORMAT, "host": dict(host)}, separators=(",", ":")).encode() + b"\n"


def line(observation: Observation) -> bytes:
    """An observation as a line, in the form that is read fastest."""
    data: dict[str, Any] = {"scenario": observation.scenario, "outcomes": observation.outcomes}
    if observation.repeats:
        data["repeats"] = observation.repeats
    if observation.lack:
        data[observation.lack.replace("-", "_")] = observation.reason
    return json.dumps(data, separators=(",", ":")).encode() + b"\n"
