"""Formats an expectation file: ``bindmatrix lint --fix``.

The form: keys in one order (``loader.TOP_KEYS``, ``KEYS``); releases of several branches as named ``changes``; anchors
and conditions that several rules use as ``define``; the rules of a call in blocks, those about the new socket alone as
a table; a rule that a second call repeats with ``also``; evidence at the end. Comments stay with what they describe.
The result is read again and must mean the same as the original.

It reads the older form too: evidence in each rule, anchors, ``repeat``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import yaml

from bindmatrix.rules import blocks, yaml_writer
from bindmatrix.rules.form_source import CONDITIONS, WRITTEN, CommentedSource, Item, alternatives, whole, words
from bindmatrix.rules.model import CALL_SECTIONS, Expectations, Rule, Stack
from bindmatrix.rules.rule_reader import BLOCKS
from bindmatrix.rules.yaml_writer import WIDTH

#: keys of a rule, in order: when it holds, for whom, what then, and why
KEYS = (
    *("id", "before", "instead-of", "also", "since", "until", "memory"),
    *("ask", "in", "among", "when", "unless"),
    *("refuse", "allow", "unknown", "otherwise", "then"),
    *("place", "group", "write", "leaves", "milliseconds", "pick", "order", "lists", "share", "stop", "deaf", "moves"),
    *("gloss", "why"),
)

#: keys whose value is a sentence; they end a rule
_SENTENCES = ("gloss", "why")


def formatted(text: str, read: Callable[[str], Expectations | list[Rule]]) -> str:
    """``text``, formatted. ``read`` parses it: an expectation file, or the rules of a file of divergences.

    Raises :class:`~bindmatrix.errors.Problems` for a file that cannot be read, and ``ValueError`` where the form cannot
    say what it says.
    """
    before = read(text)
    after = _FormWriter(text, before if isinstance(before, Expectations) else None).render()
    again = read(after)
    if isinstance(before, Expectations) and isinstance(again, Expectations):
        difference = blocks.difference(before, again)
    else:
        assert isinstance(before, list)
        assert isinstance(again, list)
        other = [one.id for one, two in zip(before, again, strict=True) if not blocks.same(one, two, Stack())]
        difference = f"{other[0]!r} differs" if other else ""
    if difference:
        raise ValueError(difference)
    return after


class _FormWriter(CommentedSource):
    """Writes what :class:`CommentedSource` found."""

    def render(self) -> str:
        parts = []
        if self.head:
            parts += self.head
        else:
            # divergences: what stands above everything is about the file
            first = next(iter(self.top_keys.values()), self.items[0].node)
            parts.append(yaml_writer.comment(self.owned.pop(id(first), []), 0))
        if self.changes:
            parts.append(self._named("changes", self.changes, self._change))
        if self.definitions:
            parts.append(self._named("define", self.definitions, self._definition))
        for section, items in self.sections.items():
            key = self.top_keys.get(section)
            above = yaml_writer.comment(self.about(key), 0) if key is not None else []
            parts.append([*above, f"{section}:", *self._section(section, items)])
        parts.append(self._evidence())
        if self.tail:
            parts.append(yaml_writer.comment(self.tail, 0))
        return "\n\n".join("\n".join(part) for part in parts if part) + "\n"

    def _named(
        self, name: str, entries: dict[str, yaml.Node], write: Callable[[str, yaml.Node], list[str]]
    ) -> list[str]:
        key = self.top_keys.get(name)
        lines = yaml_writer.comment(self.about(key), 0) if key is not None else []
        lines.append(f"{name}:")
        written = {str(key.value): key for key, _ in self.top[name].value} if name in self.top else {}
        for entry, node in entries.items():
            if entry in written:
                lines += yaml_writer.comment(self.about(written[entry]), 2)
            lines += write(entry, node)
        return lines

    def _change(self, name: str, node: yaml.Node) -> list[str]:
        return _value(f"  {name}: ", node)

    def _definition(self, name: str, node: yaml.Node) -> list[str]:
        listed = alternatives(node)
        if len(listed) == 1 and not self.about(listed[0]):
            return _value(f"  {name}: ", listed[0])
        lines = [f"  {name}:"]
        for one in listed:
            lines += yaml_writer.comment(self.about(one), 4)
            lines += _value("    - ", one)
        return lines

    def _section(self, section: str, items: list[Item]) -> list[str]:
        if not any(item.block for item in items):
            return self._rules(items, 2)
        lines = []
        written = {str(key.value): key for key, _ in self.top[section].value} if self._is_blocked(section) else {}
        for block in WRITTEN:
            listed = [item for item in items if item.block == block]
            if listed:
                if block in written:
                    lines += yaml_writer.comment(self.about(written[block]), 2)
                lines += [f"  {block}:", *self._rules(listed, 4)]
        return lines

    def _is_blocked(self, section: str) -> bool:
        return isinstance(self.top[section], yaml.MappingNode)

    def _rules(self, items: list[Item], indent: int) -> list[str]:
        lines: list[str] = []
        for item in items:
            above = yaml_writer.comment(self.about(item.node), indent)
            if above and lines:
                lines.append("")
            lines += above
            lines += self._row(item, indent) if self._is_row(item) else self._block(item, indent)
        return lines

    def _is_row(self, item: Item) -> bool:
        """Whether a rule is a row of a table: it is about the new socket alone."""
        if item.section not in CALL_SECTIONS or "ask" in item.keys:
            return False
        return item.block in ("", "socket", "unix", "vsock") or "otherwise" in item.keys

    def _texts(self, item: Item) -> Iterator[tuple[str, str | yaml.Node | list[yaml.Node]]]:
        """(key, its value: a text, a node, or the alternatives of a condition that stand in lines of their own)."""
        for key in KEYS:
            if key == "also":
                if item.also:
                    yield key, item.also[0] if len(item.also) == 1 else "[" + ", ".join(item.also) + "]"
            elif key in item.keys:
                node = item.keys[key]
                if key not in _SENTENCES and not (key == "when" and _is_empty(node, item.block)):
                    yield key, self._condition(item, key, node) if key in CONDITIONS else self._plain(key, node)

    @staticmethod
    def _plain(key: str, node: yaml.Node) -> str | yaml.Node:
        return str(node.value) if key == "milliseconds" else node

    def _condition(self, item: Item, key: str, node: yaml.Node) -> str | yaml.Node | list[yaml.Node]:
        if isinstance(node, yaml.ScalarNode):
            return str(node.value)
        name = self.names.get(whole(node))
        if name:
            return name
        listed = alternatives(node)
        if key == "when" and isinstance(node, yaml.MappingNode):
            listed = [_without_protocol(node, item.block)]
        if len(listed) == 1 and not self.about(listed[0]):
            return self.names.get(whole(listed[0])) or listed[0]
        if all(self._is_named(one) for one in listed):
            return "[" + ", ".join(self._alternative(one) for one in listed) + "]"
        return listed

    def _is_named(self, node: yaml.Node) -> bool:
        return isinstance(node, yaml.ScalarNode) or whole(node) in self.names

    def _alternative(self, node: yaml.Node) -> str:
        if isinstance(node, yaml.ScalarNode):
            return str(node.value)
        return self.names.get(whole(node)) or yaml_writer.flow(node)

    def _row(self, item: Item, indent: int) -> list[str]:
        above = [line for key, _ in item.node.value for line in self.about(key)]
        parts = []
        for key, value in self._texts(item):
            if isinstance(value, list):
                value = "[" + ", ".join(self._alternative(one) for one in value) + "]"
            parts.append(f"{key}: {value if isinstance(value, str) else yaml_writer.flow(value)}")
        start = " " * indent + "- {"
        sentences = [f"{key}: {yaml_writer.scalar(_text(item.keys[key]))}" for key in _SENTENCES if key in item.keys]
        line = start + ", ".join([*parts, *sentences]) + "}"
        lines = yaml_writer.comment(above, indent)
        if len(line) <= WIDTH:
            return [*lines, line]
        lines += yaml_writer.wrapped(start, parts, ",")
        for number, sentence in enumerate(sentences, 1):
            end = "," if number < len(sentences) else "}"
            lines += yaml_writer.folded(" " * (indent + 3), sentence + end, " " * (indent + 5))
        return lines

    def _block(self, item: Item, indent: int) -> list[str]:
        lines = []
        inner = " " * (indent + 2)
        keys = {str(key.value): key for key, _ in item.node.value}
        for key, value in self._texts(item):
            if key in keys and key != "id":
                lines += yaml_writer.comment(self.about(keys[key]), indent + 2)
            if not isinstance(value, list):
                lines += _value(f"{inner}{key}: ", value)
                continue
            lines.append(f"{inner}{key}:")
            for one in value:
                lines += yaml_writer.comment(self.about(one), indent + 4)
                if self._is_named(one):
                    lines.append(f"{inner}  - {self._alternative(one)}")
                else:
                    lines += _value(f"{inner}  - ", one)
        for key in (key for key in _SENTENCES if key in keys):
            lines += yaml_writer.comment(self.about(keys[key]), indent + 2)
            sentence = yaml_writer.scalar(_text(item.keys[key]), flow=False)
            lines += yaml_writer.folded(f"{inner}{key}: ", sentence, inner + "  ")
        lines[0] = " " * indent + "- " + lines[0].lstrip()
        return lines

    def _evidence(self) -> list[str]:
        key = self.top_keys.get("evidence")
        lines = yaml_writer.comment(self.about(key), 0) if key is not None else []
        lines.append("evidence:")
        written = {str(key.value): key for key, _ in self.top["evidence"].value} if "evidence" in self.top else {}
        for item in self.items:
            rows = self.evidence[item.id].value
            if item.id in written:
                lines += yaml_writer.comment(self.about(written[item.id]), 2)
            line = f"  {item.id}: " + "[" + ", ".join(yaml_writer.flow(row) for row in rows) + "]"
            if len(rows) == 1 and len(line) <= WIDTH:
                lines.append(line)
                continue
            lines.append(f"  {item.id}:")
            for row in rows:
                lines += yaml_writer.comment(self.about(row), 4)
                lines += _value("    - ", row)
        return lines


def _text(node: yaml.Node) -> str:
    return " ".join(str(node.value).split())


def _without_protocol(node: yaml.MappingNode, block: str) -> yaml.MappingNode:
    """The condition of a rule in ``block``, which says the protocol already."""
    rest = [
        (name, value)
        for name, value in node.value
        if not (block in BLOCKS and name.value == "new.protocol" and words(value) == [block])
    ]
    return yaml.MappingNode(node.tag, rest, node.start_mark, node.end_mark)


def _is_empty(node: yaml.Node, block: str) -> bool:
    """Whether the condition of a rule in ``block`` says no more than the protocol."""
    return isinstance(node, yaml.MappingNode) and not _without_protocol(node, block).value


def _value(start: str, value: str | yaml.Node) -> list[str]:
    """``start`` and ``value``, in one line where it fits; a text is a word or a list of words."""
    if isinstance(value, yaml.MappingNode):
        return yaml_writer.wrapped(start + "{", yaml_writer.pairs(value), "}")
    if isinstance(value, yaml.SequenceNode):
        return yaml_writer.wrapped(start + "[", [yaml_writer.flow(one) for one in value.value], "]")
    text = value if isinstance(value, str) else yaml_writer.flow(value)
    if text.startswith("["):
        return yaml_writer.wrapped(start + "[", text[1:-1].split(", "), "]")
    return yaml_writer.folded(start, text, " " * len(start))
