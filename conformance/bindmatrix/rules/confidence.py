"""How sure an expectation is: computed from the evidence, never typed.

For a rule and a release, the best of what speaks for it::

    measured          a recorded run of exactly that release has outcomes that the rule decides
    measured-nearby   a recorded run of another release of the system has
    tested            a test of another project asserts it on the real system
    source            the kernel's source
    documented        a manual
    reported          a bug report, an article or an experiment of somebody else
    unknown           nothing speaks for it, or the rule itself says unknown

What was measured is looked up in ``evidence/decided.json`` beside the expectation file (``bindmatrix lint --update``
writes it); a rule that only claims to be observed gets nothing from the claim.  A release that the file does not cover
is never ``measured``, nor is what a known divergence contradicts.  Some recorded hosts are a release with parts of
another in it: ``evidence/hosts.json`` says for which rules they stand for which (``recordings.py``).
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable
from functools import lru_cache
from pathlib import Path
from typing import Any

from bindmatrix.rules import catalog, provenance, releases
from bindmatrix.rules.model import UNKNOWN, Expectations, Model, Rule

MEASURED, NEARBY = "measured", "measured-nearby"

#: the words, the strongest first
WORDS = (MEASURED, NEARBY, "tested", "source", "documented", "reported", "unknown")

#: kind of evidence -> word; ``observed`` is looked up instead
_OF_EVIDENCE = {"test": "tested", "source": "source", "documentation": "documented", "report": "reported"}

#: rules of the socket interface itself begin with this; they do not weaken
_INTERFACE = "api."


def of_rules(rules: Iterable[Rule], model: Model, contradicted: Collection[Rule] = ()) -> str:
    """The weakest word over ``rules`` of ``model``.

    ``contradicted``: the rules of which a known divergence says that the release does otherwise here.  Where the socket
    interface alone decides, that is ``documented``.
    """
    return word(weakness(rules, model, contradicted))


def weakness(rules: Iterable[Rule], model: Model, contradicted: Collection[Rule] = ()) -> int:
    """The same as a number for :func:`word`; of several together the greatest counts."""
    expectations = model.expectations
    weakest = -1
    for rule in rules:
        if rule.action == UNKNOWN:
            return len(WORDS) - 1
        if not rule.id.startswith(_INTERFACE):
            version = "" if rule in contradicted else _version(expectations, model.release)
            weakest = max(weakest, _strength(rule, expectations.os, expectations.file, version))
    return weakest


def word(weakness: int) -> str:
    """The word for what :func:`weakness` said."""
    return WORDS[weakness] if weakness >= 0 else "documented"


def of_rule(rule: Rule, model: Model) -> str:
    """The word for one rule."""
    return of_rules([rule], model)


def _version(expectations: Expectations, release: str) -> str:
    """The release to compare hosts with, "" for one that is not covered."""
    return "" if catalog.limit(expectations, release) else expectations.resolve(release)


@lru_cache(maxsize=8192)
def _strength(rule: Rule, os: str, file: str, version: str) -> int:
    words = [_OF_EVIDENCE[one.kind] for one in rule.evidence if one.kind in _OF_EVIDENCE]
    folder = Path(file).parent / "evidence"
    for host in _decided(folder / "decided.json").get(os, {}).get(rule.id, {}):
        stands_for = [one for one in provenance.releases_of(host, rule, provenance.read(folder)) if one]
        # what a transplanted stack did by other code is no evidence for a rule that came later
        stands_for = [one for one in stands_for if rule.span.holds(one)]
        if stands_for:
            exact = version and any(_same(release, version) for release in stands_for)
            words.append(MEASURED if exact else NEARBY)
    return min((WORDS.index(word) for word in words), default=len(WORDS) - 1)


@lru_cache(maxsize=8)
def _decided(path: Path) -> dict[str, dict[str, Any]]:
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return data if isinstance(data, dict) else {}


def _same(one: str, other: str) -> bool:
    """Whether two releases are the same; "15" is "15.0"."""
    return _parts(one) == _parts(other)


def _parts(release: str) -> tuple[str, tuple[int, ...]]:
    branch, version = releases.parse(release)
    while version and version[-1] == 0:
        version = version[:-1]
    return branch, version
