"""Which releases have the same rules in an expectation file.

Rules can change only at certain releases: the ends of ``covers``, every ``since`` or ``until`` of a rule, a known
divergence or an option, and the first and last release of a stable branch with its own bound. Between two of them
nothing changes; a *stretch* is such a range of releases.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from bindmatrix.rules import catalog, divergences, provenance, releases
from bindmatrix.rules.divergences import Divergence
from bindmatrix.rules.model import Expectations
from bindmatrix.rules.releases import MAINLINE, Span

Version = tuple[int, ...]


class Stretch(NamedTuple):
    """The releases of ``branch`` ("" for the main one) from ``first`` to ``last``; ``last`` may be ``6.1.x``."""

    branch: str
    first: str
    last: str
    #: the release that stands for it: the newest that was recorded, else one that the file names
    probe: str


def recorded(expectations: Expectations) -> list[str]:
    """The releases that evidence was recorded on, oldest first."""
    prefix = f"{expectations.os}-"
    folder = catalog.folder() / "evidence"
    rows = provenance.read(folder)
    found: dict[str, None] = {}
    for path in folder.glob(f"{prefix}*"):
        if path.is_dir():
            row = rows.get(path.name)
            found.update(dict.fromkeys(row.releases if row else [path.name.removeprefix(prefix)]))
    return sorted((name for name in found if _readable(name)), key=releases.sort_key)


def _readable(release: str) -> bool:
    try:
        releases.parse(release)
    except releases.ReleaseError:
        return False
    return True


def stretches(expectations: Expectations) -> list[Stretch]:
    """The stretches of a file, including its known divergences: the main branch first, each branch from its oldest
    release."""
    return split(expectations, divergences.known(expectations), recorded(expectations))


def split(expectations: Expectations, known: Sequence[Divergence], measured: Sequence[str]) -> list[Stretch]:
    """As :func:`stretches`, for the divergences ``known`` and the recorded releases ``measured``, oldest first."""
    #: branch -> releases at which something can change, as written
    bounds: dict[str, set[str]] = {"": set()}
    for release in measured:
        bounds.setdefault(releases.parse(release)[0], set())
    stable: set[str] = set()
    for branch, release in _bounds(expectations, known):
        if branch[0].isdigit():
            prefix = releases.parse(branch)[1]
            stable |= {branch, release, _text((*prefix[:-1], prefix[-1] + 1))}
        else:
            bounds.setdefault("" if branch == MAINLINE else branch, set()).add(release)
    # a branch with a name has stable branches of its own, with the same bounds (``releases.Span``)
    bounds = {branch: found | stable for branch, found in bounds.items()}
    return [one for branch in sorted(bounds) for one in _stretches(expectations, branch, bounds[branch], measured)]


def covered(expectations: Expectations, release: str) -> bool:
    """Whether the file covers ``release``."""
    first, last = (releases.parse(one)[1] for one in expectations.covers)
    version = releases.parse(release)[1]
    return first <= version and (version <= last or version[: len(last)] == last)


def probes(expectations: Expectations, known: Sequence[Divergence] = (), measured: Sequence[str] = ()) -> list[str]:
    """One release of each stretch, oldest first; together they represent every release that the file covers."""
    found = {stretch.probe for stretch in split(expectations, known, measured)}
    return sorted((one for one in found if covered(expectations, one)), key=releases.sort_key)


def _bounds(expectations: Expectations, known: Sequence[Divergence]) -> Iterator[tuple[str, str]]:
    spans: list[Span] = [rule.span for rule in expectations.all_rules()]
    spans += [one.rule.span for one in known]
    spans += [span for rows in expectations.options.values() for span, _ in rows]
    for span in spans:
        for bound in (span.since, span.until):
            yield from bound.items()


def _stretches(
    expectations: Expectations, branch: str, bounds: Iterable[str], measured: Sequence[str]
) -> Iterator[Stretch]:
    oldest, newest = expectations.covers
    first, last = releases.parse(oldest)[1], releases.parse(newest)[1]
    written = {releases.parse(release)[1]: release for release in sorted(bounds)}
    ends = [releases.parse(one)[1] for one in expectations.last]
    starts = [first, *sorted(one for one in written if first < one <= last and not _past(one, ends))]
    written[first] = oldest
    for start, end in zip(starts, [*starts[1:], None], strict=True):
        inside = [one for one in measured if _lies(one, branch, start, end)]
        shown = _before(end, start, written[start]) if end else newest
        standing = written[start] if end else newest
        probe = inside[-1] if inside else f"{branch}-{standing}" if branch else standing
        yield Stretch(branch, written[start], shown, probe)


def _past(version: Version, ends: Iterable[Version]) -> bool:
    """Whether there is no such release, because one of ``ends`` was the last that begins like it."""
    return any(version[: len(end) - 1] == end[:-1] and version[: len(end)] > end for end in ends)


def _lies(release: str, branch: str, start: Version, end: Version | None) -> bool:
    its, version = releases.parse(release)
    return its == branch and version >= start and (end is None or version < end)


def _text(version: Version) -> str:
    return ".".join(str(part) for part in version)


def _before(end: Version, start: Version, text: str) -> str:
    """The last release before ``end`` in a stretch from ``start``, written ``text``: 6.7 before 6.8, 6.x before 7.0."""
    parts = list(end)
    while len(parts) > 1 and parts[-1] == 0:
        parts.pop()
    open_ended = len(parts) < len(end) or len(parts) == 1
    parts[-1] -= 1
    before = tuple(parts)
    if before == start:
        return text
    if open_ended or before < start:
        return _text(before) + ".x"
    return _text(before)


def ranges(expectations: Expectations, chosen: Iterable[Stretch], every: Sequence[Stretch]) -> list[str]:
    """``chosen`` of the stretches in ``every`` as text, neighbours joined: ``["5.10 - 6.1.167", "6.2 - 7.3.4"]``."""
    wanted = set(chosen)
    runs: list[list[Stretch]] = []
    previous: Stretch | None = None
    for stretch in every:
        if stretch in wanted:
            if previous in wanted and previous is not None and previous.branch == stretch.branch:
                runs[-1].append(stretch)
            else:
                runs.append([stretch])
        previous = stretch
    return [_range(expectations, run[0], run[-1]) for run in runs]


def _range(expectations: Expectations, first: Stretch, last: Stretch) -> str:
    start, end = first.first, last.last
    if not first.branch:
        start, end = _named(expectations, start), _named(expectations, end)
    text = start if start == end else f"{start} - {end}"
    return f"{first.branch}-{text}" if first.branch else text


def _named(expectations: Expectations, release: str) -> str:
    """The name of a release (``xp``), or the release where it has none; ``5.x`` has that of the newest 5."""
    if release.endswith(".x"):
        inside = [one for one in expectations.names.values() if one.startswith(release[:-1])]
        release = max(inside, key=releases.sort_key, default=release)
    return expectations.named(release)
