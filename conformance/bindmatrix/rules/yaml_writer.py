"""Writes YAML as expectation files have it: short mappings in one line, no line over 120 characters, few quotes.

Our reader takes every scalar as a string. A scalar that another reader would take for a number is quoted; ``yes`` and
``no`` are not.
"""

from __future__ import annotations

import re
import textwrap
from functools import lru_cache

import yaml

#: the longest line
WIDTH = 120

_WORDS = ("yes", "no")
#: keys whose values are numbers; any other number is a release
_NUMBERS = ("value", "points")
_RELEASE = re.compile(r"\d+(\.\d+)*")


@lru_cache(maxsize=4096)
def scalar(text: str, *, flow: bool = True) -> str:
    """``text``, quoted where it has to be; ``flow``: inside ``{}`` or ``[]``."""
    return text if _is_plain(text, flow=flow) else '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def _is_plain(text: str, *, flow: bool) -> bool:
    if _RELEASE.fullmatch(text) or any(word.startswith("#") for word in text.split(" ")):
        return False
    try:
        node = yaml.compose(f"{{key: {text}}}" if flow else f"key: {text}", yaml.SafeLoader)
    except yaml.YAMLError:
        return False
    if not isinstance(node, yaml.MappingNode) or len(node.value) != 1:
        return False
    value = node.value[0][1]
    if not isinstance(value, yaml.ScalarNode) or value.value != text or value.style is not None:
        return False
    return value.tag == "tag:yaml.org,2002:str" or text in _WORDS


def flow(node: yaml.Node) -> str:
    """``node`` in one line."""
    if isinstance(node, yaml.MappingNode):
        return "{" + ", ".join(pairs(node)) + "}"
    if isinstance(node, yaml.SequenceNode):
        return "[" + ", ".join(flow(one) for one in node.value) + "]"
    return scalar(" ".join(str(node.value).split()))


def pairs(node: yaml.MappingNode) -> list[str]:
    """``key: value`` of each pair."""
    return [
        f"{scalar(str(key.value))}: {value.value if key.value in _NUMBERS else flow(value)}"
        for key, value in node.value
    ]


def wrapped(start: str, parts: list[str], end: str) -> list[str]:
    """``start``, ``parts`` with commas between them and ``end``, in lines that are aligned after ``start``.

    A part that is too long for a line of its own is folded at its spaces, which ends in a quoted scalar alone.
    """
    indent = " " * len(start)
    lines = []
    line = start
    for index, part in enumerate(parts):
        tail = end if index == len(parts) - 1 else ","
        if line not in (start, indent) and len(line) + 1 + len(part) + len(tail) > WIDTH:
            lines.append(line.rstrip())
            line = indent
        gap = "" if line in (start, indent) else " "
        if len(line) + len(gap) + len(part) + len(tail) > WIDTH:
            *full, line = folded(line + gap, part + tail, indent + "  ")
            lines += full
        else:
            line += gap + part + tail
    return [*lines, line]


def folded(start: str, text: str, indent: str) -> list[str]:
    """``start`` and ``text`` in lines that begin with ``indent``: a line break within a scalar reads as a space."""
    return textwrap.wrap(
        text,
        WIDTH,
        initial_indent=start,
        subsequent_indent=indent,
        break_long_words=False,
        break_on_hyphens=False,
    )


def comment(lines: list[str], indent: int) -> list[str]:
    """Comment lines at ``indent``; a paragraph with too long a line is rewrapped."""
    start = " " * indent + "# "
    paragraphs: list[list[str]] = [[]]
    for line in lines:
        if line:
            paragraphs[-1].append(line)
        else:
            paragraphs.append([])
    out: list[str] = []
    for index, paragraph in enumerate(paragraphs):
        if index:
            out.append(start.rstrip())
        if any(len(start + line) > WIDTH for line in paragraph):
            out += textwrap.wrap(" ".join(paragraph), WIDTH, initial_indent=start, subsequent_indent=start)
        else:
            out += [start + line for line in paragraph]
    return out
