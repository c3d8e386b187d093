"""Releases of an operating system, and when a rule holds.

A release is a string, never a number: ``"14.10"`` is later than ``"14.9"``.  It may carry a branch in front
(``omnios-2021.04``).  ``since`` and ``until`` are either one release, or one for each branch, because kernels get
fixes on stable branches too::

    since: {mainline: "6.8", "6.1": "6.1.168"}

A release belongs to the branch with its own prefix (``omnios``) or with the longest version it starts with (``6.1`` for
``6.1.192``), otherwise to ``mainline``. ``since`` is the first release with the behaviour, ``until`` the first without
it. ``12`` is ``12.0``, and ``release-20221219`` is ``20221219``: that prefix names no branch. OmniOS numbers its
releases ``r151054``.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache

from bindmatrix.errors import BindmatrixError

MAINLINE = "mainline"

_RELEASE = re.compile(r"(?:release-)?(?:(?P<branch>[a-z][a-z0-9]*)-)?[rv]?(?P<version>\d{1,18}(?:\.\d{1,18}){0,9})")


class ReleaseError(BindmatrixError):
    """A release that cannot be read."""


@lru_cache(maxsize=1024)
def parse(text: str) -> tuple[str, tuple[int, ...]]:
    """Branch (often empty) and version numbers of a release; what follows them (``-RELEASE``, ``-rc7``) is dropped."""
    match = _matched(text)
    return match["branch"] or "", tuple(int(part) for part in match["version"].split("."))


def plain(text: str) -> str:
    """Branch and version of a release as they are written: ``6.11.0`` of ``6.11.0-19-generic``, ``omnios-2026.05``."""
    match = _matched(text)
    return "-".join(word for word in (match["branch"], match["version"]) if word)


def _matched(text: str) -> re.Match[str]:
    match = _RELEASE.match(text.strip().lower()[:200])
    if match is None or text.strip()[match.end() : match.end() + 1].isdigit():
        raise ReleaseError(f"expected a release such as '6.12.43', got {text[:80]!r}")
    return match


def is_release(text: str) -> bool:
    """Whether ``text`` can be read as a release."""
    return _RELEASE.match(text.strip().lower()) is not None


def sort_key(text: str) -> tuple[str, tuple[int, ...]]:
    """Sorts releases by branch and then by version."""
    return parse(text)


def before(version: tuple[int, ...], other: tuple[int, ...]) -> bool:
    """Whether ``version`` is earlier than ``other``; numbers that one of them lacks are 0."""
    length = max(len(version), len(other))
    return _padded(version, length) < _padded(other, length)


def _padded(version: tuple[int, ...], length: int) -> tuple[int, ...]:
    return version + (0,) * (length - len(version))


@dataclass(frozen=True, slots=True)
class Span:
    """The releases from ``since`` on, before ``until``; an empty mapping is no bound."""

    since: Mapping[str, str] = field(default_factory=dict)
    until: Mapping[str, str] = field(default_factory=dict)

    def holds(self, release: str) -> bool:
        """Whether ``release`` lies in the span."""
        branch, version = parse(release)
        since = _bound(self.since, branch, version)
        until = _bound(self.until, branch, version)
        return (since is None or not before(version, since)) and (until is None or before(version, until))

    def __str__(self) -> str:
        words = [f"{word} {_show(bound)}" for word, bound in (("since", self.since), ("until", self.until)) if bound]
        return ", ".join(words) or "all releases"


EVER = Span()


def starts_with(release: str, prefix: str) -> bool:
    """Whether the version of ``release`` begins with that of ``prefix``: ``20.6.0`` with ``20``, not with ``2``."""
    version, first = parse(release)[1], parse(prefix)[1]
    return version[: len(first)] == first


def _show(bound: Mapping[str, str]) -> str:
    return ", ".join(version if branch == MAINLINE else f"{version} on {branch}" for branch, version in bound.items())


#: later than any version: the bound of a branch that never got the behaviour
_NEVER = (10**9,)


def _bound(bound: Mapping[str, str], branch: str, version: tuple[int, ...]) -> tuple[int, ...] | None:
    if not bound:
        return None
    if branch and branch in bound:
        return parse(bound[branch])[1]
    best: tuple[int, ...] = ()
    chosen = None
    for name, first in bound.items():
        if name[0].isdigit():
            prefix = parse(name)[1]
            if _padded(version, len(prefix))[: len(prefix)] == prefix and len(prefix) > len(best):
                best, chosen = prefix, parse(first)[1]
    if chosen is not None:
        return chosen
    return parse(bound[MAINLINE])[1] if MAINLINE in bound and not branch else _NEVER
