"""YAML as nodes with places: every scalar stays a string, and every problem names its line and column.

Nothing is converted (``14.10`` stays ``"14.10"``, ``no`` stays ``"no"``), a key may stand once, and all problems of a
file are collected in one pass.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator
from itertools import chain
from pathlib import Path
from typing import Any

import yaml

from bindmatrix.errors import Place, Problem, Problems, file_problems, nearest, parsing, whole_number

#: libyaml where PyYAML was built with it (about ten times faster), else the same in Python
_LOADER: type = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


#: larger numbers are refused
_MOST_NUMBER = 10**18
#: what looks like an alias; inside a text it is not one
_ALIAS = re.compile(r"(?:^|[\s\[{,:-])\*")


#: nodes of a file with aliases, each alias written out
_MOST_NODES = 1_000_000


def _written_out(node: yaml.Node, counts: dict[int, int]) -> int:
    """How many nodes ``node`` has where each alias is written out; too many where one contains itself."""
    known = counts.get(id(node))
    if known is None:
        counts[id(node)] = _MOST_NODES
        parts = chain.from_iterable(node.value) if isinstance(node, yaml.MappingNode) else node.value
        inside = () if isinstance(node, yaml.ScalarNode) else parts
        known = counts[id(node)] = 1 + sum(_written_out(one, counts) for one in inside)
    return known


class Reader:
    """Reads one YAML document and collects what is wrong with it."""

    def __init__(self, text: str, name: str) -> None:
        self.name = name
        self.lines = text.splitlines()
        self.problems: list[Problem] = []
        self.root: yaml.Node | None = None
        try:
            root = yaml.compose(text, Loader=_LOADER)
            if root is not None and _ALIAS.search(text) and _written_out(root, {}) > _MOST_NODES:
                raise yaml.YAMLError("its aliases stand for too much, or for themselves")
            self.root = root
        except yaml.MarkedYAMLError as error:
            mark = error.problem_mark or error.context_mark
            message = f"not YAML: {error.problem or error.context}"
            place = Place(name, mark.line + 1, mark.column + 1) if mark else Place(name)
            self.problems.append(Problem(place, message, source=self._line(place)))
        except RecursionError:
            self.problems.append(Problem(Place(name), "not YAML: nested too deep"))
        except yaml.YAMLError as error:
            self.problems.append(Problem(Place(name), f"not YAML: {error}"))

    def _line(self, place: Place) -> str:
        return self.lines[place.line - 1] if 0 < place.line <= len(self.lines) else ""

    def place(self, node: yaml.Node) -> Place:
        """Where ``node`` begins."""
        return Place(self.name, node.start_mark.line + 1, node.start_mark.column + 1)

    def problem(self, node: yaml.Node, message: str) -> None:
        """Note what is wrong at ``node``."""
        place = self.place(node)
        same_line = node.start_mark.line == node.end_mark.line
        width = node.end_mark.column - node.start_mark.column if same_line else 1
        self.problems.append(Problem(place, message, source=self._line(place), width=width))

    def finish(self) -> None:
        """Raise everything that was noted."""
        if self.problems:
            raise Problems(self.problems)

    def mapping(self, node: yaml.Node, what: str) -> Iterator[tuple[str, yaml.Node, yaml.Node]]:
        """(key, key's node, value's node) of a mapping; a key that stands twice is a problem."""
        if not isinstance(node, yaml.MappingNode):
            self.problem(node, f"expected {what} as 'key: value' pairs")
            return
        seen: dict[str, Place] = {}
        for key_node, value in node.value:
            if not isinstance(key_node, yaml.ScalarNode):
                self.problem(key_node, "expected a word as key")
                continue
            key = key_node.value
            if key in seen:
                self.problem(key_node, f"{key!r} stands twice; the first is in line {seen[key].line}; keep one of them")
                continue
            seen[key] = self.place(key_node)
            yield key, key_node, value

    def known(self, node: yaml.Node, what: str, keys: Collection[str]) -> dict[str, yaml.Node]:
        """A mapping that may have no keys but ``keys``."""
        found = {}
        for key, key_node, value in self.mapping(node, what):
            if key in keys:
                found[key] = value
            else:
                self.unknown(key_node, key, keys, f"in {what}")
        return found

    def unknown(self, node: yaml.Node, word: str, valid: Collection[str], where: str) -> None:
        """Note a word that is none of ``valid``."""
        listed = ", ".join(valid) if len(valid) <= 16 else f"one of the {len(valid)} names of the vocabulary"
        self.problem(node, f"unknown {word!r} {where}{nearest(word, valid)}; expected {listed}")

    def items(self, node: yaml.Node, what: str) -> list[yaml.Node]:
        """The nodes of a list."""
        if not isinstance(node, yaml.SequenceNode):
            self.problem(node, f"expected {what} as a list")
            return []
        return list(node.value)

    def text(self, node: yaml.Node, what: str) -> str:
        """A scalar, as it is written."""
        if not isinstance(node, yaml.ScalarNode):
            self.problem(node, f"expected {what} as one word or text")
            return ""
        if not node.value.strip():
            self.problem(node, f"expected {what}, got nothing")
        return str(node.value)

    def word(self, node: yaml.Node, what: str, valid: Collection[str]) -> str:
        """A scalar that is one of ``valid``; the first of them where it is not."""
        text = self.text(node, what)
        if text in valid:
            return text
        if text.strip():
            self.unknown(node, text, valid, f"as {what}")
        return next(iter(valid))

    def words(self, node: yaml.Node, what: str) -> list[tuple[str, yaml.Node]]:
        """One scalar or a list of them."""
        nodes = self.items(node, what) if isinstance(node, yaml.SequenceNode) else [node]
        if not nodes:
            self.problem(node, f"expected {what}, got an empty list")
        return [(self.text(one, what), one) for one in nodes]

    def number(self, node: yaml.Node, what: str) -> int:
        """A whole number, not negative."""
        text = self.text(node, what)
        number = whole_number(text, _MOST_NUMBER)
        if number is None:
            self.problem(node, f"expected {what} as a whole number, got {text[:80]!r}")
        return number or 0


def plain(path: Path) -> Any:
    """The document of a file as lists, mappings and strings; raises :class:`Problem`."""
    with file_problems(path, "read"), parsing(Place(str(path)), "YAML"):
        text = path.read_text(encoding="utf-8")
        try:
            return yaml.load(text, yaml.BaseLoader)  # noqa: S506 - makes strings alone
        except yaml.YAMLError as error:
            mark = error.problem_mark if isinstance(error, yaml.MarkedYAMLError) else None
            place = Place(str(path), mark.line + 1, mark.column + 1) if mark else Place(str(path))
            raise Problem(place, f"not YAML: {getattr(error, 'problem', None) or error}") from error
