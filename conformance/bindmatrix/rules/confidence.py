"""How an expectation is known. It is computed from the evidence, never written by hand.

For a rule and a release it is the best evidence. Recordings of exactly that release come first, then recordings of
other releases, then evidence that is no recording, in the order of the methods (``provenance.Method``). For several
rules the weakest counts. A confidence names the method, the release on which the outcome was obtained, and how that
release differs from the one that was asked about.

Which rules a recorded host confirms is in ``evidence/decided.json`` beside the expectation file (``bindmatrix
regenerate`` writes it). Evidence that only claims ``observed`` does not count. For a release that the file does not
cover everything is ``assumed``. A rule that a known divergence contradicts was not observed on that release.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Iterator, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

from bindmatrix.rules import catalog, provenance, releases
from bindmatrix.rules.model import Expectations, Model, Rule
from bindmatrix.rules.provenance import Method

ASSUMED, NOT_KNOWN = "assumed", "unknown"

#: the words of a confidence, the strongest first: the methods, and what is known by none of them
WORDS: dict[str, str] = {
    **{str(method): method.meaning for method in Method},
    ASSUMED: "the expectation file does not cover the release; the nearest release that it covers stands in",
    NOT_KNOWN: "nothing speaks for it, or the rule itself says unknown",
}

#: rules of the socket interface itself begin with this; they do not weaken
_INTERFACE = "api."

_EXACT, _STRETCHED, _NOT_RECORDED, _NOT_COVERED, _NOTHING = range(5)


class Confidence(NamedTuple):
    """How an outcome is known; the greater is the weaker.

    ``release``: of the code that gave or says it.  ``parts``: releases from which functions were put into that code.
    ``stretched``: how the release that was asked about differs, "" where it does not.
    """

    rank: tuple[int, int, bool]
    method: str
    release: str = ""
    parts: tuple[str, ...] = ()
    stretched: str = ""

    @property
    def exact(self) -> bool:
        """Whether the code of the release itself was executed."""
        return self.rank[0] == _EXACT

    @property
    def obtained(self) -> str:
        """The method and the release: ``compiled from 13.0``."""
        if self.method in (ASSUMED, NOT_KNOWN):
            return self.method
        return provenance.obtained(self.method, self.release, self.parts)

    @property
    def text(self) -> str:
        """The same with how far it is stretched: ``compiled from 13.0 (14.0 is newer)``."""
        if self.method == ASSUMED:
            return f"{ASSUMED}, release not covered"
        return f"{self.obtained} ({self.stretched})" if self.stretched else self.obtained

    def text_for(self, *, several: bool) -> str:
        """As ``text``; where it stands for several releases, that the others follow by the rules."""
        return f"{self.text}, rest by rule" if self.exact and several else self.text

    def as_dict(self) -> dict[str, Any]:
        """For JSON: ``method``, and ``release``, ``parts`` and ``stretched`` where there is something to say."""
        data: dict[str, Any] = {"method": str(self.method)}
        for key in ("release", "parts", "stretched"):
            if getattr(self, key):
                data[key] = getattr(self, key)
        return data


UNKNOWN_CONFIDENCE = Confidence((_NOTHING, 0, False), NOT_KNOWN)
#: the confidence of what the socket interface itself defines
_BY_INTERFACE = Confidence((-1, 0, False), Method.DOCUMENTATION)


def of_rules(rules: Iterable[Rule], model: Model, contradicted: Collection[Rule] = ()) -> Confidence:
    """The weakest confidence over ``rules`` of ``model``.

    ``contradicted``: the rules that a known divergence contradicts on this release.  Where the socket
    interface alone decides, that is ``documentation``.
    """
    weakest = _BY_INTERFACE
    for rule in rules:
        if rule.is_unknown:
            return UNKNOWN_CONFIDENCE
        if not rule.id.startswith(_INTERFACE):
            expectations = model.expectations
            weakest = max(weakest, _of_rule(rule, expectations, model.release, rule in contradicted))
    return weakest


def weakest(found: Iterable[Confidence]) -> Confidence:
    """The weakest of several; ``documentation`` for none."""
    return max(found, default=_BY_INTERFACE)


def first_exact(found: Sequence[Confidence]) -> int:
    """The index of the first of ``found`` for which the release itself was executed, 0 where there is none."""
    return next((index for index, one in enumerate(found) if one.exact), 0)


def of_rule(rule: Rule, model: Model) -> Confidence:
    """The confidence of one rule."""
    return of_rules([rule], model)


@lru_cache(maxsize=16384)
def _of_rule(rule: Rule, expectations: Expectations, release: str, contradicted: bool) -> Confidence:
    limit = catalog.limit(expectations, release)
    version = expectations.resolve(release)
    found = list(_candidates(rule, expectations, version, contradicted))
    # of equals the newest
    best = min(found, key=lambda one: (one[0].rank, [-part for part in one[1]]), default=None)
    if best is None:
        return UNKNOWN_CONFIDENCE
    if limit:
        return Confidence((_NOT_COVERED, 0, False), ASSUMED, stretched=limit)
    return best[0]


def _candidates(
    rule: Rule, expectations: Expectations, version: str, contradicted: bool
) -> Iterator[tuple[Confidence, tuple[int, ...]]]:
    """All evidence for ``rule`` in the release ``version``, each with its own version."""
    asked = expectations.named(version)
    for one in rule.evidence:
        method = provenance.OF_EVIDENCE.get(one.kind)
        if method is not None:
            release = one.release if _is_release(one.release) else ""
            stretched = "" if not release or _within(version, release) else _stretch(release, version, asked)
            rank = (_NOT_RECORDED, method.strength, bool(stretched))
            yield Confidence(rank, method, one.release, (), stretched), _parts(release)[1] if release else ()
    folder = Path(expectations.file).parent / "evidence"
    rows = provenance.read(folder)
    for host in _decided(folder / "decided.json").get(expectations.os, {}).get(rule.id, {}):
        stands_for = [one for one in provenance.releases_of(host, rule, rows) if one]
        # what a compiled stack did in code of an older release is no evidence for a later rule
        stands_for = [one for one in stands_for if rule.span.holds(one)]
        if not stands_for:
            continue
        row = provenance.row_of(host, rows)
        exact = not contradicted and any(_parts(release) == _parts(version) for release in stands_for)
        stretched = "" if exact else _stretch(stands_for[0], version, asked)
        if stretched and any(_parts(release) == _parts(version) for release in row.functions) and not contradicted:
            stretched = f"what decides here is of {row.release}"
        recorded = row.method in provenance.EXECUTED
        level = (_EXACT if exact else _STRETCHED) if recorded else _NOT_RECORDED
        confidence = Confidence(
            (level, row.method.strength, bool(stretched)), row.method, row.release, tuple(row.functions), stretched
        )
        yield confidence, _parts(stands_for[0])[1]


def _within(version: str, release: str) -> bool:
    """Whether ``version`` is one of ``release``: 7.3.4 is one of 7.3."""
    branch, known = releases.parse(release)
    its, asked = releases.parse(version)
    return branch == its and (asked + (0,) * len(known))[: len(known)] == known


def _stretch(obtained: str, version: str, asked: str) -> str:
    """How ``version``, requested as ``asked``, relates to the release ``obtained``."""
    branch, known = _parts(obtained)
    its, numbers = _parts(version)
    if branch != its:
        return f"{asked} is another branch"
    if numbers == known:
        return f"a known divergence of {asked} says otherwise"
    return f"{asked} is {'older' if numbers < known else 'newer'}"


@lru_cache(maxsize=8)
def _decided(path: Path) -> dict[str, dict[str, Any]]:
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return {}
    return data if isinstance(data, dict) else {}


def _is_release(text: str) -> bool:
    try:
        releases.parse(text)
    except releases.ReleaseError:
        return False
    return True


def _parts(release: str) -> tuple[str, tuple[int, ...]]:
    """Branch and version; "15" is "15.0"."""
    branch, version = releases.parse(release)
    while version and version[-1] == 0:
        version = version[:-1]
    return branch, version
