"""What another host may send: the header and the observations of an executor, and nothing else.

Everything that comes from another machine is checked here first.  A line must answer the next scenario, with one
outcome a step; a fact must have the type that its readers expect; no text may hold terminal control characters.
Anything else is :class:`Misconduct`, and the host is not asked again.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from typing import Any

from bindmatrix.execute.executor import FORMAT

MAX_HEADER = 64 << 10
#: letters of a reason or a fact that are kept
_MAX_TEXT = 400
_MAX_ITEMS = 200
#: different lists of outcomes that are remembered
_MOST_KNOWN = 2000
#: an outcome, and one of a step that asks who receives: ``a:15,b:17``
_OUTCOME = re.compile(r"[A-Za-z0-9_ -]{1,40}\Z")
_SHARES = re.compile(r"[A-Za-z0-9_ -]{1,40}:\d{1,4}(,[A-Za-z0-9_ -]{1,40}:\d{1,4}){0,99}\Z")
#: different outcomes, and different reasons, that are believed of one executor; systems have about 130 errors
_MOST_OUTCOMES, _MOST_REASONS = 300, 5000
#: the name of a system finds the expectation file
_NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,39}\Z")
_TYPES: dict[str, type] = {
    **dict.fromkeys(("os", "kernel", "release", "version", "machine", "python", "namespace", "container"), str),
    **dict.fromkeys(("privileged", "ipv6", "users", "abstract"), bool),
    **dict.fromkeys(("addresses", "options", "kinds", "cids"), list),
    "sysctls": dict,
}
_PLAIN = (str, bool, int, type(None))


class Misconduct(Exception):
    """The far side does not do what an executor does; the message says what, after "it"."""


def facts(line: bytes) -> dict[str, Any]:
    """The facts in the first line of an executor; raises :class:`Misconduct`."""
    if len(line) > MAX_HEADER:
        raise Misconduct(f"introduced itself with {len(line):,} bytes")
    try:
        data = json.loads(line)
        spoken, host = data["format"], data["host"]
    except (ValueError, KeyError, TypeError, RecursionError):
        raise Misconduct("did not introduce itself as an executor does") from None
    if spoken != FORMAT:
        raise Misconduct(
            f"speaks {plain(spoken)[:60]!r}, this bindmatrix {FORMAT!r}: use the executor of the same version"
        )
    if not isinstance(host, dict):
        raise Misconduct("did not say what it is")
    found = {plain(key)[:60]: _fact(plain(key), value) for key, value in list(host.items())[:_MAX_ITEMS]}
    if not _NAME.match(str(found.get("os"))):
        raise Misconduct(f"calls its system {found.get('os')!r}")
    return found


def _fact(name: str, value: object) -> object:
    expected = _TYPES.get(name)
    if expected is not None and not isinstance(value, expected):
        raise Misconduct(f"has a fact {name!r} that is no {expected.__name__}")
    if isinstance(value, list):
        return [_simple(name, item) for item in value[:_MAX_ITEMS]]
    if isinstance(value, dict):
        return {plain(key)[:60]: _simple(name, item) for key, item in list(value.items())[:_MAX_ITEMS]}
    return _simple(name, value)


def _simple(name: str, value: object) -> object:
    if not isinstance(value, _PLAIN):
        raise Misconduct(f"has a fact {name!r} that is no plain value")
    return plain(value) if isinstance(value, str) else value


def plain(text: object) -> str:
    """``text`` on one line, without what a terminal would obey, and no longer than is read."""
    return "".join(letter if letter.isprintable() else " " for letter in str(text)[:_MAX_TEXT]).strip()


class Answers:
    """Checks lines against the scenarios they answer."""

    def __init__(self) -> None:
        #: text behind a scenario -> how many outcomes; there are a few hundred different ones
        self._known: dict[bytes, int] = {}
        #: what was met: else a host that invents a new one each time would fill reports and memory
        self._outcomes: set[str] = set()
        self._reasons: set[str] = set()

    def check(self, lines: Sequence[bytes], scenarios: Sequence[str]) -> list[bytes]:
        """``lines``, each with its newline, as they are kept; line n answers scenario n.

        Raises :class:`Misconduct`.
        """
        return [self._line(line, text) for line, text in zip(lines, scenarios, strict=True)]

    def _line(self, line: bytes, scenario: str) -> bytes:
        # the form of nearly every line, taken apart without a JSON parser
        start = b'{"scenario":"%b","outcomes":' % scenario.encode("ascii", "replace")
        if line.startswith(start):
            rest = line[len(start) :]
            if self._known.get(rest) == scenario.count(" ") + 1:
                return line
            if self._plain(line, scenario):
                if len(self._known) > _MOST_KNOWN:
                    self._known.clear()
                self._known[rest] = scenario.count(" ") + 1
                return line
        return self._parsed(line, scenario)

    def _plain(self, line: bytes, scenario: str) -> bool:
        """Whether the line is in the form that is kept, and its outcomes may come from any scenario as long."""
        if b"\\" in line or b":" in line.partition(b'"outcomes":')[2]:
            return False
        kept = self._parsed(line, scenario)
        return kept == line

    def _parsed(self, line: bytes, scenario: str) -> bytes:
        record = _record(line)
        text, outcomes = record["scenario"], record["outcomes"]
        if text != scenario and (not isinstance(text, str) or text.split() != scenario.split()):
            raise Misconduct(f"answered a scenario that it was not given: {plain(text)[:80]!r}")
        kept: dict[str, Any] = {"scenario": " ".join(scenario.split()), "outcomes": outcomes}
        if outcomes is None:
            reasons = [key for key in ("no_verdict", "unsupported") if isinstance(record.get(key), str)]
            if len(reasons) != 1:
                raise Misconduct("gave neither outcomes nor a reason")
            kept["scenario"] = scenario
            kept[reasons[0]] = self._reason(record[reasons[0]])
        else:
            self._check_outcomes(outcomes, scenario.split())
        codes = record.get("codes")
        if isinstance(codes, list) and len(codes) <= len(scenario):
            kept["codes"] = [code if isinstance(code, int) and abs(code) < 1 << 31 else None for code in codes]
        return json.dumps(kept, separators=(",", ":")).encode() + b"\n"

    def _check_outcomes(self, outcomes: object, words: Sequence[str]) -> None:
        if not isinstance(outcomes, list) or len(outcomes) != len(words):
            raise Misconduct(f"answered with what are no outcomes: {plain(outcomes)[:80]!r}")
        for word, outcome in zip(words, outcomes, strict=True):
            if outcome is not None and not (isinstance(outcome, str) and self._is_outcome(outcome, word)):
                raise Misconduct(f"answered with what is no outcome: {plain(outcome)[:80]!r}")

    def _is_outcome(self, outcome: str, word: str) -> bool:
        if outcome not in self._outcomes and _OUTCOME.match(outcome) and len(self._outcomes) < _MOST_OUTCOMES:
            self._outcomes.add(outcome)
        return outcome in self._outcomes or (word.startswith("deliver") and bool(_SHARES.match(outcome)))

    def _reason(self, reason: str) -> str:
        text = plain(reason) or "no reason given"
        if len(self._reasons) < _MOST_REASONS:
            self._reasons.add(text)
        return text if text in self._reasons else "another reason"


def _record(line: bytes) -> dict[str, Any]:
    try:
        record = json.loads(line)
        record["scenario"], record["outcomes"]
    except (ValueError, KeyError, TypeError, RecursionError):
        raise Misconduct(f"answered with {plain(line[:80].decode('utf-8', 'replace'))!r}") from None
    return dict(record)
