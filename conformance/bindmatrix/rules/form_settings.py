"""The settings at the top of an expectation file: written as they are, in one order, no line too long."""

from __future__ import annotations

from bindmatrix.rules import yaml_writer
from bindmatrix.rules.loader import STACK_KEYS, TOP_KEYS
from bindmatrix.rules.yaml_writer import WIDTH

_HEAD = TOP_KEYS[: TOP_KEYS.index("changes")]


def paragraphs(lines: list[str], keys: dict[str, int]) -> tuple[list[list[str]], set[int]]:
    """The paragraphs before ``changes`` (header, settings), and the lines that they take; ``keys``: key -> its line."""
    starts = [*sorted(keys.values()), len(lines)]
    chunks: dict[str, list[str]] = {}
    inside: set[int] = set()
    for name in (name for name in _HEAD if name in keys):
        first = keys[name]
        end = starts[starts.index(first) + 1]
        while end > first and (not lines[end - 1].strip() or lines[end - 1].startswith("#")):
            end -= 1
        inside.update(range(first, end))
        chunks[name] = _short([line.rstrip() for line in lines[first:end] if line.strip()])
    if not chunks:
        return [], inside
    above = [number for number in range(min(inside)) if lines[number].startswith("#")]
    inside.update(above)
    top = yaml_writer.comment([lines[number].removeprefix("#").strip() for number in above], 0)
    stack = chunks.pop("stack", [])
    return [top + [line for chunk in chunks.values() for line in chunk], _ordered(stack)], inside


def _short(lines: list[str]) -> list[str]:
    """``lines`` of settings; a comment that makes its line too long goes above it."""
    out = []
    for line in lines:
        text, hash_, remark = line.rpartition("  # ")
        if len(line) > WIDTH and hash_:
            out += yaml_writer.comment([remark], len(line) - len(line.lstrip()))
            line = text.rstrip()
        out.append(line)
    return out


def _ordered(stack: list[str]) -> list[str]:
    """The lines of ``stack`` with its settings in order; a comment stays with what follows it."""
    settings: dict[str, list[str]] = {}
    pending: list[str] = []
    current = pending
    for line in stack[1:]:
        if line.startswith("  #"):
            pending.append(line)
            continue
        if line[:2] == "  " and line[2] not in " -":
            name = line.strip().partition(":")[0]
            current = settings[name] = pending
            pending = []
        elif pending:
            current += pending
            pending = []
        current.append(line)
    order = [*STACK_KEYS, *settings]
    return [*stack[:1], *[line for name in sorted(settings, key=order.index) for line in settings[name]], *pending]
