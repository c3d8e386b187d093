"""What a recorded host stands for, where it is not simply a run of the release in its name.

A network stack can be made to answer with parts of a newer one in it.  ``expectations/evidence/hosts.json`` says so::

    {"demo-2.0": {"why": "...", "release": "1.0", "functions": {"2.0": ["demo_bind()"]}, "alike": ["1.0"]}}

The host ran ``release``, but for the ``functions``, which are those of another one.  A rule is of such a function when
its ``source`` evidence names it; what the recording says of any other rule, it says of ``release``.  ``alike`` (may be
left out) are releases on which the same scenarios gave the same outcomes, without a recording of their own.  A host
that is not listed ran the release in its name, all of it.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

from bindmatrix.errors import Place, Problem
from bindmatrix.rules.model import Rule

NAME = "hosts.json"


class RecordedHost(NamedTuple):
    """One row.  ``functions``: release -> the functions that the host had from it."""

    why: str
    release: str
    functions: Mapping[str, tuple[str, ...]]
    alike: tuple[str, ...]

    @property
    def releases(self) -> tuple[str, ...]:
        """All that its recording is evidence for, with some rule or other."""
        return tuple(dict.fromkeys([*self.functions, self.release, *self.alike]))


@lru_cache(maxsize=32)
def read(folder: Path) -> Mapping[str, RecordedHost]:
    """The rows of ``hosts.json`` in the folder of the evidence, none without the file; raises :class:`Problem`."""
    path = folder / NAME
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
        return {
            host: RecordedHost(
                row["why"],
                row["release"],
                {release: tuple(functions) for release, functions in row["functions"].items()},
                tuple(row.get("alike", ())),
            )
            for host, row in data.items()
        }
    except FileNotFoundError:
        return {}
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise Problem(
            Place(str(path)),
            f'expected {{HOST: {{"why": ..., "release": ..., "functions": {{RELEASE: [...]}}}}}}: {error!r}',
        ) from error


def releases_of(host: str, rule: Rule, hosts: Mapping[str, RecordedHost]) -> tuple[str, ...]:
    """The releases that the recording of ``host`` is evidence for, as far as ``rule`` is concerned."""
    row = hosts.get(host)
    if row is None:
        return (host.partition("-")[2],)
    for release, functions in row.functions.items():
        if any(names(rule, function) for function in functions):
            return (release, *row.alike)
    return (row.release, *row.alike)


def names(rule: Rule, function: str) -> bool:
    """Whether the ``source`` evidence of ``rule`` names ``function``."""
    words = [word.strip(",") for one in rule.evidence if one.kind == "source" for word in one.reference.split()]
    return function in words
