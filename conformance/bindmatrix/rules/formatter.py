"""Puts an expectation file into its one form: ``bindmatrix lint --fix``.

What it does, in the order of the file: keys in one order (``loader.TOP_KEYS``, ``KEYS``); releases of several branches
as named ``changes``; anchors and conditions that stand in several rules as ``define``; the rules of a call in blocks,
those about the new socket alone as a table; a rule that a second call repeats with ``also``; evidence at the end.
Comments stay with what they are about.  The result is read again, and must say what the file said.

It reads the older form too: evidence in each rule, anchors, ``repeat``.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import yaml

from bindmatrix.rules import blocks, yaml_comments, yaml_writer
from bindmatrix.rules.loader import STACK_KEYS, TOP_KEYS
from bindmatrix.rules.model import CALL_SECTIONS, Expectations, Rule, Stack
from bindmatrix.rules.rule_reader import BLOCKS
from bindmatrix.rules.yaml_writer import WIDTH

#: keys of a rule, in order: when it holds, for whom, what then, and why
KEYS = (
    *("id", "before", "instead-of", "also", "since", "until", "memory"),
    *("ask", "in", "among", "when", "unless"),
    *("refuse", "allow", "unknown", "otherwise", "then"),
    *("place", "group", "write", "leaves", "milliseconds", "pick", "order", "lists", "share", "stop", "deaf", "moves"),
    "why",
)
_CONDITIONS = ("among", "when", "unless", "share", "stop")
_HEAD = TOP_KEYS[: TOP_KEYS.index("changes")]
#: the order in which blocks are written; that in which they are asked is ``BLOCKS``
_WRITTEN = ("socket", "tcp", "udp", "unix", "vsock", "any")
#: a condition gets a name when this many rules have it
_SHARED = 3
_MAX_NAME = 44

Key = frozenset[tuple[str, frozenset[str]]]


@dataclass
class _Item:
    """A rule as it is written: its nodes by key, where it stands, and the comments above it."""

    node: yaml.MappingNode
    keys: dict[str, yaml.Node]
    section: str
    block: str
    also: list[str] = field(default_factory=list)

    @property
    def id(self) -> str:
        return str(self.keys["id"].value)


def formatted(text: str, read: Callable[[str], Expectations | list[Rule]]) -> str:
    """``text`` in the form; ``read`` gives what it says, of a file of divergences the rule of each.

    Raises :class:`~bindmatrix.errors.Problems` for a file that cannot be read, and ``ValueError`` where the form cannot
    say what it says.
    """
    before = read(text)
    after = _File(text, before if isinstance(before, Expectations) else None).render()
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


class _File:
    def __init__(self, text: str, expectations: Expectations | None) -> None:
        self.expectations = expectations
        self.lines = text.splitlines()
        loader = yaml_comments.AnchorLoader(text)
        self.root = loader.get_single_node() or yaml.MappingNode("tag:yaml.org,2002:map", [])
        self.anchors = loader.anchor_names
        rows = self.root.value if isinstance(self.root, yaml.MappingNode) else []
        self.top: dict[str, yaml.Node] = {str(key.value): value for key, value in rows}
        self.top_keys: dict[str, yaml.Node] = {str(key.value): key for key, _ in rows}
        self.names: dict[object, str] = {}
        self.definitions: dict[str, yaml.Node] = {}
        self.changes: dict[str, yaml.Node] = {}
        self.sections = self._sections()
        self.items = [item for listed in self.sections.values() for item in listed]
        self.evidence: dict[str, yaml.Node] = {}
        self._find_evidence()
        self._find_changes()
        self._find_definitions()
        self.head, inside = self._head()
        self.owned, self.tail = self._owners().assign(
            [one for one in yaml_comments.comments(text) if one.line not in inside]
        )

    # -- what there is

    def _sections(self) -> dict[str, list[_Item]]:
        """Section -> rules, each where it is written."""
        if self.expectations is None:
            listed = self.top.get("divergences", self.root)
            return {"divergences": [_item(node, "divergences", "") for node in listed.value]}
        sections = {}
        repeats: dict[str, list[str]] = defaultdict(list)
        for section in (key for key in TOP_KEYS if key in self.expectations.rules):
            node = self.top[section]
            items = []
            if isinstance(node, yaml.MappingNode):
                for key, listed in node.value:
                    items += [_item(one, section, str(key.value)) for one in listed.value]
            else:
                for one in node.value:
                    keys = {str(key.value): value for key, value in one.value}
                    if "repeat" in keys:
                        for identity in _words(keys["repeat"]):
                            repeats[identity].append(section)
                    else:
                        items.append(_item(one, section, ""))
                self._into_blocks(section, items)
            sections[section] = sorted(items, key=lambda item: _WRITTEN.index(item.block) if item.block else 0)
        for item in (item for items in sections.values() for item in items):
            item.also += [section for section in repeats[item.id] if section not in item.also]
        return sections

    def _into_blocks(self, section: str, items: list[_Item]) -> None:
        """The block of each rule of a call that is a plain list so far."""
        assert self.expectations is not None
        rules = self.expectations.rules[section]
        own = {item.id for item in items}
        if section not in CALL_SECTIONS or not any(rule.asks for rule in rules if rule.id in own):
            return
        for identity, block in blocks.assign(rules, self.expectations.stack).items():
            for item in items:
                if item.id == identity:
                    item.block = block

    def _find_evidence(self) -> None:
        if "evidence" in self.top:
            self.evidence = {str(key.value): value for key, value in self.top["evidence"].value}
        for item in self.items:
            if "evidence" in item.keys:
                self.evidence[item.id] = item.keys["evidence"]

    def _find_changes(self) -> None:
        """Named changes: those that there are, anchors, and any bound of several branches."""
        if "changes" in self.top:
            self.changes = {str(key.value): value for key, value in self.top["changes"].value}
        known = {_branches(node): name for name, node in self.changes.items()}
        for item in self.items:
            for key in ("since", "until"):
                node = item.keys.get(key)
                if not isinstance(node, yaml.MappingNode):
                    continue
                branches = _branches(node)
                if set(branches) == {("mainline", dict(branches).get("mainline"))}:
                    item.keys[key] = node.value[0][1]
                    continue
                anchor = self.anchors.get(id(node))
                if branches not in known:
                    name = f"{self._system()}.{anchor}" if anchor else item.id + ("" if key == "since" else "-until")
                    known[branches] = name
                    self.changes[name] = node
                item.keys[key] = _word(known[branches])

    def _system(self) -> str:
        return self.expectations.os if self.expectations else self.items[0].id.partition(".")[0]

    def _find_definitions(self) -> None:
        """Named conditions: those that there are, anchors, and what several rules have."""
        if "define" in self.top:
            for key, value in self.top["define"].value:
                self._define(str(key.value), value)
        counts: Counter[Key] = Counter()
        found: dict[Key, yaml.Node] = {}
        for item in self.items:
            for name in _CONDITIONS:
                node = item.keys.get(name)
                if node is None or isinstance(node, yaml.ScalarNode):
                    continue
                for one in (node, *_alternatives(node)):
                    if id(one) in self.anchors:
                        self._define(self.anchors[id(one)], one)
                if name != "when" and _whole(node) not in self.names:
                    for one in _alternatives(node):
                        key = _key(one)
                        counts[key] += 1
                        found.setdefault(key, one)
        taken = set(self.definitions)
        for key, count in counts.items():
            name = _derived(found[key]) if count >= _SHARED and len(key) > 1 and (key,) not in self.names else ""
            if name and name not in taken:
                self._define(name, found[key])

    def _define(self, name: str, node: yaml.Node) -> None:
        if name not in self.definitions and _whole(node) not in self.names:
            self.definitions[name] = node
            self.names[_whole(node)] = name

    # -- comments

    def _owners(self) -> yaml_comments.Owners:
        owners = yaml_comments.Owners()
        for name, key in self.top_keys.items():
            if name != "evidence" or not self.top[name].value:
                owners.add(key)
            value = self.top[name]
            if name in ("changes", "define", "evidence"):
                for entry, content in value.value:
                    owners.add(entry)
                    for one in content.value if isinstance(content, yaml.SequenceNode) else ():
                        owners.add(one)
            elif name in CALL_SECTIONS and isinstance(value, yaml.MappingNode):
                for block, _ in value.value:
                    owners.add(block)
        for item in self.items:
            owners.add(item.node)
            for key, value in item.node.value:
                owners.add(key)
                for one in value.value if isinstance(value, yaml.SequenceNode) else ():
                    owners.add(one)
        return owners

    def _about(self, *nodes: yaml.Node) -> list[str]:
        """The comments about ``nodes``."""
        return [line for node in nodes for line in self.owned.get(id(node), ())]

    # -- the file

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
            above = yaml_writer.comment(self._about(key), 0) if key is not None else []
            parts.append([*above, f"{section}:", *self._section(section, items)])
        parts.append(self._evidence())
        if self.tail:
            parts.append(yaml_writer.comment(self.tail, 0))
        return "\n\n".join("\n".join(part) for part in parts if part) + "\n"

    def _named(
        self, name: str, entries: dict[str, yaml.Node], write: Callable[[str, yaml.Node], list[str]]
    ) -> list[str]:
        key = self.top_keys.get(name)
        lines = yaml_writer.comment(self._about(key), 0) if key is not None else []
        lines.append(f"{name}:")
        written = {str(key.value): key for key, _ in self.top[name].value} if name in self.top else {}
        for entry, node in entries.items():
            if entry in written:
                lines += yaml_writer.comment(self._about(written[entry]), 2)
            lines += write(entry, node)
        return lines

    def _change(self, name: str, node: yaml.Node) -> list[str]:
        return _value(f"  {name}: ", node)

    def _definition(self, name: str, node: yaml.Node) -> list[str]:
        listed = _alternatives(node)
        if len(listed) == 1 and not self._about(listed[0]):
            return _value(f"  {name}: ", listed[0])
        lines = [f"  {name}:"]
        for one in listed:
            lines += yaml_writer.comment(self._about(one), 4)
            lines += _value("    - ", one)
        return lines

    def _section(self, section: str, items: list[_Item]) -> list[str]:
        if not any(item.block for item in items):
            return self._rules(items, 2)
        lines = []
        written = {str(key.value): key for key, _ in self.top[section].value} if self._is_blocked(section) else {}
        for block in _WRITTEN:
            listed = [item for item in items if item.block == block]
            if listed:
                if block in written:
                    lines += yaml_writer.comment(self._about(written[block]), 2)
                lines += [f"  {block}:", *self._rules(listed, 4)]
        return lines

    def _is_blocked(self, section: str) -> bool:
        return isinstance(self.top[section], yaml.MappingNode)

    def _rules(self, items: list[_Item], indent: int) -> list[str]:
        lines: list[str] = []
        for item in items:
            above = yaml_writer.comment(self._about(item.node), indent)
            if above and lines:
                lines.append("")
            lines += above
            lines += self._row(item, indent) if self._is_row(item) else self._block(item, indent)
        return lines

    def _is_row(self, item: _Item) -> bool:
        """Whether a rule is a row of a table: it is about the new socket alone."""
        if item.section not in CALL_SECTIONS or "ask" in item.keys:
            return False
        return item.block in ("", "socket", "unix", "vsock") or "otherwise" in item.keys

    def _texts(self, item: _Item) -> Iterator[tuple[str, str | yaml.Node | list[yaml.Node]]]:
        """(key, its value: a text, a node, or the alternatives of a condition that stand in lines of their own)."""
        for key in KEYS:
            if key == "also":
                if item.also:
                    yield key, item.also[0] if len(item.also) == 1 else "[" + ", ".join(item.also) + "]"
            elif key in item.keys:
                node = item.keys[key]
                if key != "why" and not (key == "when" and _is_empty(node, item.block)):
                    yield key, self._condition(item, key, node) if key in _CONDITIONS else self._plain(key, node)

    @staticmethod
    def _plain(key: str, node: yaml.Node) -> str | yaml.Node:
        return str(node.value) if key == "milliseconds" else node

    def _condition(self, item: _Item, key: str, node: yaml.Node) -> str | yaml.Node | list[yaml.Node]:
        if isinstance(node, yaml.ScalarNode):
            return str(node.value)
        name = self.names.get(_whole(node))
        if name:
            return name
        listed = _alternatives(node)
        if key == "when" and isinstance(node, yaml.MappingNode):
            listed = [_without_protocol(node, item.block)]
        if len(listed) == 1 and not self._about(listed[0]):
            return self.names.get(_whole(listed[0])) or listed[0]
        if all(self._is_named(one) for one in listed):
            return "[" + ", ".join(self._alternative(one) for one in listed) + "]"
        return listed

    def _is_named(self, node: yaml.Node) -> bool:
        return isinstance(node, yaml.ScalarNode) or _whole(node) in self.names

    def _alternative(self, node: yaml.Node) -> str:
        if isinstance(node, yaml.ScalarNode):
            return str(node.value)
        return self.names.get(_whole(node)) or yaml_writer.flow(node)

    def _row(self, item: _Item, indent: int) -> list[str]:
        above = [line for key, _ in item.node.value for line in self._about(key)]
        parts = []
        for key, value in self._texts(item):
            if isinstance(value, list):
                value = "[" + ", ".join(self._alternative(one) for one in value) + "]"
            parts.append(f"{key}: {value if isinstance(value, str) else yaml_writer.flow(value)}")
        start = " " * indent + "- {"
        why = "why: " + yaml_writer.scalar(_text(item.keys["why"]))
        line = start + ", ".join([*parts, why]) + "}"
        lines = yaml_writer.comment(above, indent)
        if len(line) <= WIDTH:
            return [*lines, line]
        lines += yaml_writer.wrapped(start, parts, ",")
        return [*lines, *yaml_writer.folded(" " * (indent + 3), why + "}", " " * (indent + 5))]

    def _block(self, item: _Item, indent: int) -> list[str]:
        lines = []
        inner = " " * (indent + 2)
        keys = {str(key.value): key for key, _ in item.node.value}
        for key, value in self._texts(item):
            if key in keys and key != "id":
                lines += yaml_writer.comment(self._about(keys[key]), indent + 2)
            if not isinstance(value, list):
                lines += _value(f"{inner}{key}: ", value)
                continue
            lines.append(f"{inner}{key}:")
            for one in value:
                lines += yaml_writer.comment(self._about(one), indent + 4)
                if self._is_named(one):
                    lines.append(f"{inner}  - {self._alternative(one)}")
                else:
                    lines += _value(f"{inner}  - ", one)
        if "why" in keys:
            lines += yaml_writer.comment(self._about(keys["why"]), indent + 2)
        why = yaml_writer.scalar(_text(item.keys["why"]), flow=False)
        lines += yaml_writer.folded(f"{inner}why: ", why, inner + "  ")
        lines[0] = " " * indent + "- " + lines[0].lstrip()
        return lines

    def _evidence(self) -> list[str]:
        key = self.top_keys.get("evidence")
        lines = yaml_writer.comment(self._about(key), 0) if key is not None else []
        lines.append("evidence:")
        written = {str(key.value): key for key, _ in self.top["evidence"].value} if "evidence" in self.top else {}
        for item in self.items:
            rows = self.evidence[item.id].value
            if item.id in written:
                lines += yaml_writer.comment(self._about(written[item.id]), 2)
            line = f"  {item.id}: " + "[" + ", ".join(yaml_writer.flow(row) for row in rows) + "]"
            if len(rows) == 1 and len(line) <= WIDTH:
                lines.append(line)
                continue
            lines.append(f"  {item.id}:")
            for row in rows:
                lines += yaml_writer.comment(self._about(row), 4)
                lines += _value("    - ", row)
        return lines

    def _head(self) -> tuple[list[list[str]], set[int]]:
        """The paragraphs before ``changes``, as they are written, and the lines that they take, from 0."""
        starts = [*sorted(key.start_mark.line for key in self.top_keys.values()), len(self.lines)]
        chunks: dict[str, list[str]] = {}
        inside: set[int] = set()
        for name in (name for name in _HEAD if name in self.top_keys):
            first = self.top_keys[name].start_mark.line
            end = starts[starts.index(first) + 1]
            while end > first and (not self.lines[end - 1].strip() or self.lines[end - 1].startswith("#")):
                end -= 1
            inside.update(range(first, end))
            chunks[name] = _short([line.rstrip() for line in self.lines[first:end] if line.strip()])
        if not chunks:
            return [], inside
        above = [number for number in range(min(inside)) if self.lines[number].startswith("#")]
        inside.update(above)
        top = yaml_writer.comment([self.lines[number].removeprefix("#").strip() for number in above], 0)
        stack = chunks.pop("stack", [])
        return [top + [line for chunk in chunks.values() for line in chunk], _ordered(stack)], inside


def _item(node: yaml.MappingNode, section: str, block: str) -> _Item:
    keys: dict[str, yaml.Node] = {str(key.value): value for key, value in node.value}
    return _Item(node, keys, section, block, _words(keys["also"]) if "also" in keys else [])


def _words(node: yaml.Node) -> list[str]:
    return [str(one.value) for one in node.value] if isinstance(node, yaml.SequenceNode) else [str(node.value)]


def _word(text: str) -> yaml.ScalarNode:
    return yaml.ScalarNode("tag:yaml.org,2002:str", text)


def _text(node: yaml.Node) -> str:
    return " ".join(str(node.value).split())


def _alternatives(node: yaml.Node) -> list[yaml.Node]:
    return list(node.value) if isinstance(node, yaml.SequenceNode) else [node]


def _key(node: yaml.Node) -> Key:
    """What a condition says, whatever the order of its terms; a name says itself."""
    if isinstance(node, yaml.ScalarNode):
        return frozenset({(str(node.value), frozenset())})
    return frozenset((str(name.value), frozenset(_words(value))) for name, value in node.value)


def _whole(node: yaml.Node) -> tuple[Key, ...]:
    return tuple(_key(one) for one in _alternatives(node))


def _branches(node: yaml.Node) -> frozenset[tuple[str, str]]:
    if not isinstance(node, yaml.MappingNode):
        return frozenset({("mainline", str(node.value))})
    return frozenset((str(branch.value), str(release.value)) for branch, release in node.value)


def _without_protocol(node: yaml.MappingNode, block: str) -> yaml.MappingNode:
    """The condition of a rule in ``block``, which says the protocol already."""
    rest = [
        (name, value)
        for name, value in node.value
        if not (block in BLOCKS and name.value == "new.protocol" and _words(value) == [block])
    ]
    return yaml.MappingNode(node.tag, rest, node.start_mark, node.end_mark)


def _derived(node: yaml.Node) -> str:
    """A name for a condition: ``both-reuseport-same-user``; "" where that is no help."""
    words = []
    for name, value in node.value:
        fact = str(name.value).replace("reuseport_lb", "reuseport-lb")
        values = _words(value)
        _, _, last = fact.rpartition(".")
        if values == ["yes"]:
            words.append(fact.replace("existing.", "").replace(".", "-"))
        elif values == ["no"]:
            words.append("not-" + fact.replace("existing.", "").replace(".", "-"))
        elif last in ("protocol", "state", "form"):
            words.append("-or-".join(values))
        else:
            words.append("-or-".join(values) + "-" + last)
    name = "-".join(words)
    return name if len(name) <= _MAX_NAME else ""


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
