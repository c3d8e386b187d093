"""Assertions of documents and of other projects' tests: statements that are not observations of a host.

``evidence/<os>/<set>.jsonl.gz``, in a folder without a release.  A line is one assertion::

    {"scenario": "...", "outcomes": ["ok", null, "refused"], "source": "...", "strength": "documented",
     "windows": ">=Vista", "contradicted": true}

``strength`` is a key of :data:`STRENGTHS`.  The key with the name of the system says which releases the assertion is
about.  ``null`` is not asserted, ``refused`` is any error.  Lines marked ``contradicted`` are not used.

Several assertions about one scenario are one observation, in which each outcome is the most exact one that is asserted.
"""

from __future__ import annotations

import gzip
import io
import json
import re
import zlib
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from bindmatrix.errors import Place, Problem, file_problems
from bindmatrix.observe.recordings import Observation, Outcomes, Recording, header, line
from bindmatrix.outcomes import ANY_ERROR
from bindmatrix.rules import catalog, releases
from bindmatrix.rules.model import Expectations
from bindmatrix.rules.provenance import Method

#: what a line calls its strength -> the method
STRENGTHS = {
    "documented": Method.DOCUMENTATION,
    "measured-by-others": Method.TESTED,
    "inferred": Method.REPORT,
}
_ABOUT = re.compile(r"(?P<bound>[<>]=)?\s*(?P<first>[^.<>=]+?)(?:\.\.(?P<last>.+))?\Z")


class Assertion(NamedTuple):
    """One line that is not contradicted; ``about``: the releases, as the line says."""

    scenario: str
    outcomes: Outcomes
    method: Method
    about: str


def is_literature(path: str | Path) -> bool:
    """Whether the file holds assertions: its first line has a source and a strength."""
    if not Path(path).is_file():
        return False  # what is read from a pipe could not be read again
    try:
        with Path(path).open("rb") as raw:
            packed = raw.read(2) == b"\x1f\x8b"
        with gzip.open(path, "rb") if packed else Path(path).open("rb") as stream:
            first = json.loads(stream.readline(1 << 20))
    except (OSError, EOFError, ValueError, RecursionError, zlib.error):
        return False
    return isinstance(first, dict) and {"scenario", "strength", "source"} <= set(first)


def assertions(path: Path, os: str) -> Iterator[Assertion]:
    """Those that are not contradicted; raises :class:`Problem` where the file cannot be read."""
    packed = path.suffix == ".gz"
    try:
        with gzip.open(path, "rt", encoding="utf-8") if packed else path.open(encoding="utf-8") as stream:
            for text in stream:
                data = json.loads(text)
                if not data.get("contradicted"):
                    yield Assertion(
                        data["scenario"], tuple(data["outcomes"]), STRENGTHS[data["strength"]], str(data.get(os, ""))
                    )
    except (OSError, EOFError, ValueError, KeyError, TypeError, AttributeError, RecursionError, zlib.error) as error:
        raise Problem(Place(str(path)), f"cannot be read as an assertion: {error!r}") from error


def is_about(about: str, release: str, expectations: Expectations) -> bool:
    """Whether an assertion about ``about`` is one about ``release``.

    ``<=XP``, ``>=Vista``, ``7..11`` and a name are compared; anything else (``all``, ``CI``, ``2017``) is about the
    newest release.
    """
    match = _ABOUT.match(about.strip())
    first = _named(match["first"], expectations) if match else ""
    version = releases.parse(expectations.resolve(release))[1]
    if match is None or not first:
        return _same(version, releases.parse(expectations.covers[1])[1])
    known = releases.parse(expectations.resolve(first))[1]
    last = _named(match["last"], expectations) if match["last"] else ""
    if last:
        newest = releases.parse(expectations.resolve(last))[1]
        return not releases.before(version, known) and not releases.before(newest, version)
    if match["bound"] == ">=":
        return not releases.before(version, known)
    if match["bound"] == "<=":
        return not releases.before(known, version)
    return _same(version, known)


def _named(text: str, expectations: Expectations) -> str:
    """The name of a release in ``text``, "" for none."""
    word = text.strip().lower().replace(" ", "-")
    return next((name for name in (word, f"server-{word}") if name in expectations.names), "")


def _same(one: tuple[int, ...], other: tuple[int, ...]) -> bool:
    return not releases.before(one, other) and not releases.before(other, one)


def recording(path: str | Path, facts: Mapping[str, Any]) -> Recording:
    """The assertions about one release as the observations of a host that says what it is.

    ``facts`` give the system and the release (the newest, where they give none).  Raises :class:`Problem`.
    """
    path = Path(path)
    os = str(facts.get("os") or path.resolve().parent.name)
    expectations = catalog.expectations(os)
    release = catalog.release_of(expectations, str(facts.get("release") or ""))
    merged: dict[str, Outcomes] = {}
    methods: Counter[Method] = Counter()
    others = 0
    with file_problems(path, "read"):
        for one in assertions(path, os):
            if not is_about(one.about, release, expectations):
                others += 1
                continue
            methods[one.method] += 1
            merged[one.scenario] = _both(merged.get(one.scenario), one.outcomes)
    if not methods:
        raise Problem(Place(str(path)), f"asserts nothing about {expectations.title} {release}")
    kinds = sorted(methods, key=list(Method).index)
    listed = ", ".join(f"{methods[method]} {method}" for method in kinds)
    host = {
        "os": os,
        "release": release,
        "method": f"assertions, no host: {', '.join(kinds)}",
        "literature": (
            f"these are {methods.total()} assertions ({listed}), not outcomes of a host; "
            f"{others} about other releases are left out, and those that others contradict"
        ),
    }
    data = b"".join([line(Observation(scenario, outcomes)) for scenario, outcomes in merged.items()])
    return Recording(io.BytesIO(header({}) + data), str(path), host)


def _both(known: Outcomes | None, other: Outcomes) -> Outcomes:
    """Of each outcome the more exact: an error by name says more than ``refused``, and that more than nothing."""
    if known is None:
        return other
    return tuple(
        theirs if ours is None or (ours == ANY_ERROR and theirs is not None) else ours
        for ours, theirs in zip(known, other, strict=True)
    )
