"""The data files beside the expectation files: the catalogue of runtimes, claims, misuse, automatic ports, the list of
systems.

Each is read by what uses it, which says what is wrong in it and where.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

from bindmatrix.advice import misuse_patterns
from bindmatrix.errors import Place, Problem, Problems, file_problems
from bindmatrix.judge import claim_check
from bindmatrix.programs import runtimes
from bindmatrix.rules import catalog, ephemeral, systems


def _systems(path: Path) -> None:
    """Read the list of systems; each needs its file, and each file of the folder its row."""
    listed = systems.read(path)
    there = {file.stem for file in path.parent.glob("*.yaml")} - {Path(name).stem for name in _READERS}
    for name in sorted(there ^ set(listed)):
        message = f"there is no {name}.yaml beside it" if name in listed else f"{name}.yaml has no row"
        raise Problem(Place(str(path)), message)


_READERS: Mapping[str, Callable[[Path], object]] = {
    "claims.yaml": claim_check.read,
    "ephemeral.yaml": ephemeral.read,
    "misuse.yaml": misuse_patterns.load,
    systems.NAME: _systems,
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
