"""The comments of a YAML text and the names of its anchors, which a YAML parser drops."""

from __future__ import annotations

import re
from bisect import bisect_left, bisect_right
from collections import defaultdict
from typing import NamedTuple

import yaml

_COMMENT = re.compile(r"(?:^|\s)# ?(.*)$")


class Comment(NamedTuple):
    """``text`` without the ``#``; ``alone`` when the line has nothing else.  Lines count from 0."""

    line: int
    text: str
    alone: bool


def comments(text: str) -> list[Comment]:
    """Every comment, in order."""
    ends: dict[int, int] = {}
    inside: set[int] = set()
    for token in yaml.scan(text, yaml.SafeLoader):
        start, end = token.start_mark, token.end_mark
        if isinstance(token, yaml.ScalarToken) and token.style in ("|", ">"):
            inside.update(range(start.line + 1, end.line))
        elif (start.line, start.column) != (end.line, end.column):
            inside.update(range(start.line, end.line))
            ends[end.line] = max(ends.get(end.line, 0), end.column)
    found = []
    for number, line in enumerate(text.splitlines()):
        match = _COMMENT.search(line, ends.get(number, 0)) if number not in inside else None
        if match:
            found.append(Comment(number, match[1].rstrip(), not line[: match.start()].strip()))
    return found


class Owners:
    """Gives each comment to what it is about: in its own line, else what comes next."""

    def __init__(self) -> None:
        self._owners: dict[int, object] = {}

    def add(self, node: yaml.Node) -> None:
        """``node`` may have comments; of several that begin in a line the first that was added has them."""
        self._owners.setdefault(node.start_mark.line, id(node))

    def assign(self, found: list[Comment]) -> tuple[dict[object, list[str]], list[str]]:
        """(``id(node)`` -> its comments, those after everything)."""
        lines = sorted(self._owners)
        owned: dict[object, list[str]] = defaultdict(list)
        rest: list[str] = []
        for one in found:
            index = bisect_left(lines, one.line) if one.alone else bisect_right(lines, one.line) - 1
            if index < len(lines):
                owned[self._owners[lines[max(index, 0)]]].append(one.text)
            else:
                rest.append(one.text)
        return owned, rest


class AnchorLoader(yaml.SafeLoader):
    """Composes nodes and keeps the names of anchors: ``anchor_names[id(node)]``."""

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self.anchor_names: dict[int, str] = {}

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        """As the base class."""
        event = self.peek_event()  # type: ignore[no-untyped-call]
        node = super().compose_node(parent, index)
        if node is not None and not isinstance(event, yaml.AliasEvent) and getattr(event, "anchor", None):
            self.anchor_names[id(node)] = event.anchor
        return node
