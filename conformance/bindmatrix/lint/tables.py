"""The data files beside the expectation files: the catalogue of runtimes, claims, misuse, automatic ports.

Each is read by what uses it, which says what is wrong in it and where.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

from bindmatrix.advice import misuse_patterns
from bindmatrix.errors import Problem, Problems, file_problems
from bindmatrix.judge import claim_check
from bindmatrix.programs import runtimes
from bindmatrix.rules import catalog, ephemeral

_READERS: Mapping[str, Callable[[Path], object]] = {
    "claims.yaml": claim_check.read,
    "ephemeral.yaml": ephemeral.read,
    "misuse.yaml": misuse_patterns.load,
}


def is_table(path: Path) -> bool:
    """Whether the file is one of these and no expectation file, by its name or its folder (``runtimes``)."""
    return path.name in _READERS or path.absolute().parent.name == "runtimes"


def tables() -> list[Path]:
    """Those that are there; a folder of expectations may hold the rules alone."""
    beside = (catalog.folder() / name for name in sorted(_READERS))
    return [*(path for path in beside if path.exists()), *sorted(runtimes.folder().glob("*.yaml"))]


def problems(paths: Iterable[Path]) -> list[Problem]:
    """What is wrong with these files; an id of a runtime must be in one of them alone."""
    found: list[Problem] = []
    ids: list[str] = []
    for path in paths:
        try:
            with file_problems(path, "read"):
                if path.name in _READERS:
                    _READERS[path.name](path)
                else:
                    ids += runtimes.load(path.read_text("utf-8"), str(path), ids)
        except Problems as several:
            found += several.problems
        except Problem as one:
            found.append(one)
    return found
