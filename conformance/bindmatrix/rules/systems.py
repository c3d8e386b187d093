"""The list of the systems that are described: ``expectations/systems.yaml``."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from bindmatrix.errors import Place, Problem
from bindmatrix.rules.yaml_source import plain

NAME = "systems.yaml"


class System(NamedTuple):
    """A row of the list."""

    #: what people call it, in small letters
    also_called: tuple[str, ...] = ()
    #: word -> the title of the system that it names, which is another one and is not described
    mistaken_for: Mapping[str, str] = {}
    #: whether the kernel runs inside something that emulates or sandboxes it
    emulated: bool = False


def read(path: Path) -> dict[str, System]:
    """Name of a system -> its row, in the order of lists; raises :class:`Problem`."""
    data = plain(path)
    if not isinstance(data, dict) or not data:
        raise Problem(Place(str(path)), "expected systems, such as 'linux: {also-called: [ubuntu]}'")
    return {name: _row(path, name, row) for name, row in data.items()}


def _row(path: Path, name: str, row: Any) -> System:
    if isinstance(row, dict) and set(row) <= {"also-called", "mistaken-for", "emulated"}:
        called, mistaken, emulated = row.get("also-called", []), row.get("mistaken-for", {}), row.get("emulated", "no")
        if isinstance(called, list) and isinstance(mistaken, dict) and emulated in ("yes", "no"):
            return System(tuple(called), mistaken, emulated == "yes")
    expected = "{also-called: [WORD...], mistaken-for: {WORD: SYSTEM}, emulated: yes or no}, each optional"
    raise Problem(Place(f"{path}: {name}"), f"expected {expected}")
