"""The parts of an expectation file in the current or an older form: rules, names, evidence and comments, as nodes."""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass, field

import yaml

from bindmatrix.rules import blocks, form_settings, yaml_comments
from bindmatrix.rules.loader import TOP_KEYS
from bindmatrix.rules.model import CALL_SECTIONS, Expectations

#: keys of a rule whose values are conditions
CONDITIONS = ("among", "when", "unless", "share", "stop")
#: the order in which blocks are written; that in which they are asked is ``BLOCKS``
WRITTEN = ("socket", "tcp", "udp", "unix", "vsock", "any")
#: a condition gets a name when this many rules have it
_SHARED = 3
_MAX_NAME = 44

CommentKey = frozenset[tuple[str, frozenset[str]]]


@dataclass
class Item:
    """A rule as it is written: its nodes by key, where it stands, and the comments above it."""

    node: yaml.MappingNode
    keys: dict[str, yaml.Node]
    section: str
    block: str
    also: list[str] = field(default_factory=list)

    @property
    def id(self) -> str:
        """The id of the rule."""
        return str(self.keys["id"].value)


class CommentedSource:
    """``sections``: section -> rules as they are to be written; ``definitions``, ``changes``, ``evidence``: by name."""

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
        self.head, inside = form_settings.paragraphs(
            self.lines, {name: key.start_mark.line for name, key in self.top_keys.items()}
        )
        self.owned, self.tail = self._owners().assign(
            [one for one in yaml_comments.comments(text) if one.line not in inside]
        )

    # -- what there is

    def _sections(self) -> dict[str, list[Item]]:
        """Section -> rules, each where it is written."""
        if self.expectations is None:
            listed = self.top.get("divergences", self.root)
            return {"divergences": [item_at(node, "divergences", "") for node in listed.value]}
        sections = {}
        repeats: dict[str, list[str]] = defaultdict(list)
        for section in (key for key in TOP_KEYS if key in self.expectations.rules):
            node = self.top[section]
            items = []
            if isinstance(node, yaml.MappingNode):
                for key, listed in node.value:
                    items += [item_at(one, section, str(key.value)) for one in listed.value]
            else:
                for one in node.value:
                    keys = {str(key.value): value for key, value in one.value}
                    if "repeat" in keys:
                        for identity in words(keys["repeat"]):
                            repeats[identity].append(section)
                    else:
                        items.append(item_at(one, section, ""))
                self._into_blocks(section, items)
            sections[section] = sorted(items, key=lambda item: WRITTEN.index(item.block) if item.block else 0)
        for item in (item for items in sections.values() for item in items):
            item.also += [section for section in repeats[item.id] if section not in item.also]
        return sections

    def _into_blocks(self, section: str, items: list[Item]) -> None:
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
        known = {branches(node): name for name, node in self.changes.items()}
        for item in self.items:
            for key in ("since", "until"):
                node = item.keys.get(key)
                if not isinstance(node, yaml.MappingNode):
                    continue
                found = branches(node)
                if {branch for branch, _ in found} == {"mainline"}:
                    item.keys[key] = node.value[0][1]
                    continue
                anchor = self.anchors.get(id(node))
                if found not in known:
                    name = f"{self._system()}.{anchor}" if anchor else item.id + ("" if key == "since" else "-until")
                    while name in self.changes:
                        name += "-again"
                    known[found] = name
                    self.changes[name] = node
                item.keys[key] = word(known[found])

    def _system(self) -> str:
        return self.expectations.os if self.expectations else self.items[0].id.partition(".")[0]

    def _find_definitions(self) -> None:
        """Named conditions: those that there are, anchors, and what several rules have."""
        if "define" in self.top:
            for key, value in self.top["define"].value:
                self._define(str(key.value), value)
        counts: Counter[CommentKey] = Counter()
        found: dict[CommentKey, yaml.Node] = {}
        for item in self.items:
            for name in CONDITIONS:
                node = item.keys.get(name)
                if node is None or isinstance(node, yaml.ScalarNode):
                    continue
                for one in (node, *alternatives(node)):
                    if id(one) in self.anchors:
                        self._define(self.anchors[id(one)], one)
                if name != "when" and whole(node) not in self.names:
                    for one in alternatives(node):
                        key = key_of(one)
                        counts[key] += 1
                        found.setdefault(key, one)
        taken = set(self.definitions)
        for key, count in counts.items():
            name = _derived(found[key]) if count >= _SHARED and len(key) > 1 and (key,) not in self.names else ""
            if name and name not in taken:
                self._define(name, found[key])

    def _define(self, name: str, node: yaml.Node) -> None:
        if name not in self.definitions and whole(node) not in self.names:
            self.definitions[name] = node
            self.names[whole(node)] = name

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

    def about(self, *nodes: yaml.Node) -> list[str]:
        """The comments about ``nodes``."""
        return [line for node in nodes for line in self.owned.get(id(node), ())]

    # -- the file


def item_at(node: yaml.MappingNode, section: str, block: str) -> Item:
    """The rule at ``node``."""
    keys: dict[str, yaml.Node] = {str(key.value): value for key, value in node.value}
    return Item(node, keys, section, block, words(keys["also"]) if "also" in keys else [])


def words(node: yaml.Node) -> list[str]:
    """The one word at ``node``, or those of a list."""
    return [str(one.value) for one in node.value] if isinstance(node, yaml.SequenceNode) else [str(node.value)]


def word(text: str) -> yaml.ScalarNode:
    """A node for a word."""
    return yaml.ScalarNode("tag:yaml.org,2002:str", text)


def alternatives(node: yaml.Node) -> list[yaml.Node]:
    """The conditions at ``node``: one or a list."""
    return list(node.value) if isinstance(node, yaml.SequenceNode) else [node]


def key_of(node: yaml.Node) -> CommentKey:
    """What a condition says, whatever the order of its terms; a name says itself."""
    if isinstance(node, yaml.ScalarNode):
        return frozenset({(str(node.value), frozenset())})
    return frozenset((str(name.value), frozenset(words(value))) for name, value in node.value)


def whole(node: yaml.Node) -> tuple[CommentKey, ...]:
    """What all alternatives at ``node`` say."""
    return tuple(key_of(one) for one in alternatives(node))


def branches(node: yaml.Node) -> frozenset[tuple[str, str]]:
    """(branch, release) of a bound."""
    if not isinstance(node, yaml.MappingNode):
        return frozenset({("mainline", str(node.value))})
    return frozenset((str(branch.value), str(release.value)) for branch, release in node.value)


def _derived(node: yaml.Node) -> str:
    """A name for a condition: ``both-reuseport-same-user``; "" where that is no help."""
    parts = []
    for name, value in node.value:
        fact = str(name.value).replace("reuseport_lb", "reuseport-lb")
        values = words(value)
        _, _, last = fact.rpartition(".")
        if values == ["yes"]:
            parts.append(fact.replace("existing.", "").replace(".", "-"))
        elif values == ["no"]:
            parts.append("not-" + fact.replace("existing.", "").replace(".", "-"))
        elif last in ("protocol", "state", "form"):
            parts.append("-or-".join(values))
        else:
            parts.append("-or-".join(values) + "-" + last)
    name = "-".join(parts)
    return name if len(name) <= _MAX_NAME else ""
