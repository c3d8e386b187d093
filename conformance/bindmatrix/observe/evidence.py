"""The recorded outcomes of a scenario: a lookup in the folder ``evidence`` of the expectation files.

``evidence/<os>-<release>/<set>.jsonl.gz``; folders without a release in their name hold statements, not runs.
"""

from __future__ import annotations

import gzip
import json
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import NamedTuple

_SUFFIX = ".jsonl.gz"


class Record(NamedTuple):
    """One recorded observation."""

    release: str
    #: ``HOST/SET``, as evidence names it
    reference: str
    scenario: str
    outcomes: tuple[str | None, ...]


def records(evidence: Path, os: str, scenarios: Collection[str]) -> Iterator[Record]:
    """Every recording of ``scenarios`` (in canonical form) on releases of ``os``; folders in order of name."""
    needles = [json.dumps(text).encode() for text in scenarios]
    for path in sorted(evidence.glob(f"{os}-*/*{_SUFFIX}")):
        host = path.parent.name
        data = gzip.decompress(path.read_bytes())
        if not any(needle in data for needle in needles):
            continue
        for line in data.splitlines():
            if any(needle in line for needle in needles):
                found = json.loads(line)
                if found.get("outcomes") is not None:
                    reference = f"{host}/{path.name.removesuffix(_SUFFIX)}"
                    release = host.removeprefix(f"{os}-")
                    yield Record(release, reference, found["scenario"], tuple(found["outcomes"]))
