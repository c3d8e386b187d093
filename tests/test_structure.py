"""One name, one meaning: what keeps a reader from taking one thing for another."""

from __future__ import annotations

import ast
import re
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import bindmatrix
import pytest

ROOT = Path(__file__).parents[1]
PACKAGE = Path(bindmatrix.__file__).parent
MODULES = sorted(PACKAGE.rglob("*.py"))


def test_no_class_and_no_type_alias_has_the_name_of_another() -> None:
    places: dict[str, list[str]] = defaultdict(list)
    for path in MODULES:
        for name in types_in(ast.parse(path.read_text(encoding="utf-8"))):
            places[name].append(path.relative_to(PACKAGE).as_posix())
    assert len(places) > 100
    assert {name: found for name, found in places.items() if len(found) > 1} == {}


def types_in(module: ast.Module) -> Iterator[str]:
    """Names of the classes, nested ones too, and of the module's aliases of types."""
    for node in ast.walk(module):
        if isinstance(node, ast.ClassDef):
            yield node.name
    for node in module.body:
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
            name = node.targets[0].id
            if name.lstrip("_")[:1].isupper() and not name.isupper() and not isinstance(node.value, ast.Call):
                yield name


def test_no_module_has_the_name_of_another() -> None:
    """A verb of the command may be called like the module that does its work."""
    places: dict[str, list[str]] = defaultdict(list)
    for path in MODULES:
        if path.name != "__init__.py" and path.parent.name != "cli":
            places[path.stem].append(path.relative_to(PACKAGE).as_posix())
    assert len(places) > 80
    assert {name: found for name, found in places.items() if len(found) > 1} == {}


@pytest.mark.parametrize("room", sorted(path.parent.name for path in PACKAGE.glob("*/__init__.py")))
def test_every_room_says_what_happens_there(room: str) -> None:
    docstring = ast.get_docstring(ast.parse((PACKAGE / room / "__init__.py").read_text(encoding="utf-8")))
    assert docstring
    assert docstring[0].isupper()


def test_the_layers_name_every_room() -> None:
    """``exhaustive = true`` of import-linter does, where it is installed; this does everywhere."""
    project = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    layers = project.split("layers = [")[1].split("]")[0].replace('"', " ").replace("|", " ").replace(",", " ").split()
    rooms = {path.stem for path in PACKAGE.iterdir() if path.suffix == ".py" or (path / "__init__.py").is_file()}
    assert set(layers) == rooms - {"__init__"}


def test_modules_that_are_named_in_texts_are_there() -> None:
    there = {path.as_posix() for path in MODULES}
    gone = {
        f"{path.relative_to(PACKAGE).as_posix()}: {name}"
        for path in MODULES
        for name in re.findall(r"``([\w/]+\.py)``", path.read_text(encoding="utf-8"))
        if not any(one.endswith(f"/{name}") for one in there) and not (ROOT / name).is_file()
    }
    assert gone == set()
