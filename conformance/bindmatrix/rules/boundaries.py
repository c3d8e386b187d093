"""Which releases an expectation file treats alike.

The releases that count are those where something can change: the ends of ``covers``, every release that a ``since``
or ``until`` of a rule, a known divergence or an option names, and the first and the last of a stable branch that has a
bound of its own.  Between two of them nothing changes, so a *stretch* stands for all releases in it, named or not;
stretches with the same rules share one :class:`Variant`, which is compiled once.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import NamedTuple

from bindmatrix.oracle.oracle import Oracle
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


@dataclass
class Variant:
    """What an expectation file says for some stretches, with the divergences that are known there."""

    expectations: Expectations
    divergences: tuple[Divergence, ...] = ()
    stretches: list[Stretch] = field(default_factory=list)

    @cached_property
    def oracle(self) -> Oracle:
        """Answers as the rules say."""
        return Oracle(self.expectations)

    @cached_property
    def diverged(self) -> Oracle | None:
        """Answers with the known divergences; None where there are none."""
        if not self.divergences:
            return None
        return Oracle(divergences.apply(self.expectations, self.divergences))

    def responsible(self, scenario: str) -> list[Divergence]:
        """The known divergences that, each alone, change an outcome of ``scenario``; all where none does alone."""
        ours = self.oracle.predict(scenario).outcomes
        alone = [(one, Oracle(divergences.apply(self.expectations, [one]))) for one in self.divergences]
        found = [one for one, oracle in alone if oracle.predict(scenario).outcomes != ours]
        return found or list(self.divergences)


def known_divergences(expectations: Expectations) -> tuple[Divergence, ...]:
    """Those of all releases, from the folder beside the expectation file."""
    path = Path(expectations.file).parent / "divergences" / f"{expectations.os}.yaml"
    return divergences.load(path, expectations)


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


def variant_of(expectations: Expectations, release: str) -> Variant:
    """The variant of one release, which must be readable (``catalog.release_of``)."""
    at = expectations.at(release)
    in_force = divergences.in_force(known_divergences(expectations), expectations, release)
    return Variant(at, in_force, [Stretch("", release, release, release)])


def variants(expectations: Expectations) -> list[Variant]:
    """Every variant of a file, that of the oldest release first; stretches are in order of release."""
    known = known_divergences(expectations)
    found: dict[object, Variant] = {}
    for stretch in stretches(expectations, known):
        at = expectations.at(stretch.probe)
        in_force = divergences.in_force(known, expectations, stretch.probe)
        key = (tuple(at.rules.values()), tuple(at.stack.options.items()), tuple(one.id for one in in_force))
        found.setdefault(key, Variant(at, in_force)).stretches.append(stretch)
    return list(found.values())


def stretches(expectations: Expectations, known: Sequence[Divergence] = ()) -> list[Stretch]:
    """The stretches of a file, the main branch first, each branch from its oldest release on."""
    measured = recorded(expectations)
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
    return next((name for name, version in expectations.names.items() if version == release), release)
