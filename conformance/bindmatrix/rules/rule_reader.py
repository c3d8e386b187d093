"""Reads the rules of a file: their keys, the blocks of a call, and the rules that two calls share."""

from __future__ import annotations

import errno
import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import yaml

from bindmatrix.outcomes import ANY_ERROR
from bindmatrix.rules import vocabulary
from bindmatrix.rules.model import (
    ALLOW,
    CALL_SECTIONS,
    KINDS,
    PICKED,
    REFUSE,
    UNKNOWN,
    Condition,
    Evidence,
    Rule,
)
from bindmatrix.rules.term_reader import TermReader

_RULE_KEYS = ("id", "when", "unless", "ask", "in", "among", "gloss", "why", "evidence", "since", "until")
_CALL_KEYS = ("refuse", "allow", "unknown", "otherwise", "also", "repeat")
#: blocks of a call in the order in which they are asked, and what each is about
BLOCKS: dict[str, str] = {
    "unix": "Unix sockets; `new.protocol: unix` is part of every condition",
    "vsock": "vsocks, likewise",
    "socket": "the new socket alone: a table of checks that come before any conflict",
    "tcp": "TCP; `new.protocol: tcp` is part of every condition",
    "udp": "UDP, likewise",
    "any": "whatever the protocol; it ends with `otherwise`",
}
#: what a block adds to the condition of its rules
_PROTOCOL: dict[str, Condition] = {block: (("new.protocol", (block,)),) for block in ("unix", "vsock", "tcp", "udp")}
#: section -> key that only its rules have -> the words that it takes
_OWN_KEYS: dict[str, dict[str, tuple[str, ...]]] = {
    **{section: {"then": ("dead", "autobound", "tried", "lost")} for section in CALL_SECTIONS},
    "chain": {"place": ("head", "tail")},
    "groups": {"group": ("joined", "own", "left")},
    "remember": {"memory": ("reuseaddr", "reuseport"), "write": ("yes", "address", "anywhere", "nothing", "keep")},
    "time-wait": {"leaves": ("time-wait", "nothing"), "milliseconds": ()},
    "deliver": {
        "pick": (
            *PICKED,
            "none",
            "refused",
            "timeout",
            "unknown",
        ),
        "deaf": ("refused", "timeout"),
        "order": ("socket",),
        "lists": ("family",),
        "moves": ("front",),
    },
}
#: keys of ``deliver`` that are conditions about an existing socket
_OWN_CONDITIONS = ("share", "stop")
_REQUIRED = ("place", "group", "memory", "write", "leaves", "pick")
#: keys with another name in the model, where ``place`` is the position of the rule in its file
_FIELDS = {"place": "end"}
_ID = re.compile(r"[a-z][a-z0-9]*(\.[a-z0-9]+(-[a-z0-9]+)*)+\Z")
_ERRNOS = frozenset(errno.errorcode.values()) | {"EOPNOTSUPP", "ENOTSUP"}


class RuleReader(TermReader):
    """Reads the rules of a section, and who shares them."""

    def __init__(self, text: str, name: str) -> None:
        super().__init__(text, name)
        #: the rules read so far
        self.ids: dict[str, Rule] = {}
        #: rules with ``also``: (section, block, rule, calls); and the ids that each call has got so
        self._shared: list[tuple[str, str, Rule, list[tuple[str, yaml.Node]]]] = []
        self._also: dict[str, set[str]] = {section: set() for section in CALL_SECTIONS}

    # -- rules

    def sections(self, top: Mapping[str, yaml.Node]) -> dict[str, tuple[Rule, ...]]:
        """The rules of every section of a file; a rule with ``also`` is in those sections as well."""
        blocks = {name: self.blocks(name, top[name]) for name in vocabulary.SECTIONS if name in top}
        for section, block, rule, also in self._shared:
            for word, node in also:
                if word not in blocks or word == section:
                    self.unknown(
                        node,
                        word,
                        [one for one in CALL_SECTIONS if one in blocks and one != section],
                        "as another call",
                    )
                    continue
                shared = blocks[word].setdefault(block, [])
                before = sum(one.id in self._also[word] for one in shared)
                shared.insert(before, replace(rule, section=word))
                self._also[word].add(rule.id)
        return {
            section: tuple(rule for block in BLOCKS for rule in listed.get(block, ()))
            for section, listed in blocks.items()
        }

    def blocks(self, section: str, node: yaml.Node) -> dict[str, list[Rule]]:
        """Block -> rules of a section.  A plain list is the block ``socket``, but for its last rule."""
        call = section in CALL_SECTIONS
        if call and isinstance(node, yaml.MappingNode):
            found = self.known(node, f"the blocks of {section!r}", BLOCKS)
            nodes = {block: self.items(found[block], f"the rules of {block!r}") for block in BLOCKS if block in found}
            if "any" not in nodes:
                self.problem(node, "block 'any' is missing; it ends with 'otherwise: allow', an errno name or unknown")
        else:
            nodes = {"any": self.items(node, f"the rules of {section!r}")}
            if call:
                nodes = {"socket": nodes["any"][:-1], "any": nodes["any"][-1:]}
        if call:
            self.check_otherwise(section, [one for block in BLOCKS for one in nodes.get(block, ())])
        return {
            block: [rule for one in listed for rule in self.rule(section, one, block)]
            for block, listed in nodes.items()
        }

    def check_otherwise(self, section: str, nodes: list[yaml.Node]) -> None:
        """The last rule of a call, and no other, is ``otherwise``."""
        for one in nodes:
            has = isinstance(one, yaml.MappingNode) and any(key.value == "otherwise" for key, _ in one.value)
            if one is nodes[-1] and not has:
                self.problem(one, f"the last rule of {section!r} must be 'otherwise: allow', an errno name or unknown")
            if has and one is not nodes[-1]:
                self.problem(one, "rules after 'otherwise' can never decide; move it to the end")

    def rule(self, section: str, node: yaml.Node, block: str = "any", extra: tuple[str, ...] = ()) -> list[Rule]:
        """The rule at ``node``, or the rules that it repeats; ``extra`` keys are read by the caller."""
        call = section in CALL_SECTIONS
        own = (*_OWN_KEYS[section], *(_CALL_KEYS if call else ()), *(_OWN_CONDITIONS if section == "deliver" else ()))
        keys = (*_RULE_KEYS, *own, *extra)
        found = self.known(node, "a rule", keys)
        if "repeat" in found:
            return self.repeated(section, found)
        identity = self.identity(node, found)
        otherwise = "otherwise" in found
        ask = self.word(found["ask"], "'ask'", vocabulary.ASKS) if "ask" in found else ""
        for key in ("in", "among"):
            if key in found and not ask and section != "deliver":
                self.problem(found[key], f"{key!r} needs 'ask: every', 'closest', 'first' or 'each-address'")
        if otherwise and (ask or "when" in found or "unless" in found):
            self.problem(node, "'otherwise' decides what is left; it takes no condition")
        asks = bool(ask) or section == "deliver"
        when = self.condition(found["when"], existing=bool(ask)) if "when" in found else ()
        rule = KINDS[section](
            id=identity,
            section=section,
            when=(*_PROTOCOL.get(block, ()), *when),
            unless=self.conditions(found["unless"], existing=asks) if "unless" in found else (),
            ask=ask,
            space=self.word(found["in"], "a space", vocabulary.SPACES) if "in" in found else "any",
            among=self.conditions(found["among"], existing=True) if "among" in found else (),
            span=self.span(found),
            gloss=self.one_line(found, "gloss", "the reason in plain language"),
            why=self.one_line(found, "why", "the reason"),
            evidence=self.evidence_at(identity, found),
            place=self.place(node),
            **self.decides(section, node, found),
        )
        if "why" not in found:
            self.problem(node, f"rule {identity!r} does not say why; add 'why: ...' in one line")
        if not rule.evidence:
            self.problem(
                node,
                f"rule {identity!r} has no evidence; add '{identity}: [{{observed: HOST/SET}}]' to 'evidence'",
            )
        if not (otherwise or rule.when or ask or rule.among) and section in CALL_SECTIONS:
            self.problem(node, f"rule {identity!r} has no condition; the rest is decided by 'otherwise'")
        self.ids.setdefault(identity, rule)
        if "also" in found:
            self._shared.append((section, block, rule, self.words(found["also"], "calls")))
        return [rule]

    def one_line(self, found: Mapping[str, yaml.Node], key: str, what: str) -> str:
        """The text of ``key`` in one line, "" where there is none."""
        return " ".join(self.text(found[key], what).split()) if key in found else ""

    def evidence_at(self, identity: str, found: Mapping[str, yaml.Node]) -> tuple[Evidence, ...]:
        """The evidence of a rule: at the end of the file, or in the rule itself."""
        if "evidence" not in found:
            return self.evidence_of.get(identity, ())
        if identity in self.evidence_of:
            self.problem(
                found["evidence"], f"{identity!r} has evidence in the section 'evidence' too; keep one of them"
            )
        return self.evidence(found["evidence"])

    def identity(self, node: yaml.Node, found: Mapping[str, yaml.Node]) -> str:
        if "id" not in found:
            self.problem(node, "a rule needs an 'id'")
            return f"line-{node.start_mark.line + 1}"
        identity = self.text(found["id"], "an id")
        if not _ID.match(identity):
            self.problem(found["id"], f"expected an id such as 'fb.same-address', got {identity!r}")
        if identity in self.ids:
            first = self.ids[identity].place.line
            self.problem(
                found["id"],
                f"id {identity!r} is taken by the rule in line {first}; to use that again write 'repeat: {identity}'",
            )
        return identity

    def repeated(self, section: str, found: Mapping[str, yaml.Node]) -> list[Rule]:
        rules = []
        for word, node in self.words(found["repeat"], "ids of rules"):
            if word in self.ids:
                first = self.ids[word]
                rules.append(replace(first, section=section))
            else:
                self.unknown(node, word, list(self.ids), "as the id of an earlier rule")
        return rules

    def action(self, node: yaml.Node, found: Mapping[str, yaml.Node]) -> tuple[str, tuple[str, ...]]:
        given = [key for key in ("refuse", "allow", "unknown", "otherwise") if key in found]
        if len(given) != 1:
            self.problem(node, f"expected one of 'refuse', 'allow', 'unknown', 'otherwise', got {given or 'none'}")
            return ALLOW, ()
        key = given[0]
        if key in (ALLOW, UNKNOWN):
            self.word(found[key], f"'{key}'", ("yes",))
            return key, ()
        words = self.words(found[key], "errno names")
        if key == "otherwise" and words and words[0][0] in (ALLOW, UNKNOWN):
            return words[0][0], ()
        for word, one in words:
            if word not in _ERRNOS and word != ANY_ERROR:
                self.unknown(one, word, (*_ERRNOS, ANY_ERROR), "as an errno name")
        return REFUSE, tuple(word for word, _ in words)

    def decides(self, section: str, node: yaml.Node, found: Mapping[str, yaml.Node]) -> dict[str, Any]:
        """The fields that rules of this section alone have."""
        fields: dict[str, Any] = {}
        if section in CALL_SECTIONS:
            fields["action"], fields["errors"] = self.action(node, found)
        for key, words in _OWN_KEYS[section].items():
            if key in found:
                one = found[key]
                accepted = (*words, *sorted(_ERRNOS)) if key == "pick" else words
                value = self.word(one, f"'{key}'", accepted) if words else self.number(one, f"'{key}'")
                fields[_FIELDS.get(key, key)] = value
            elif key in _REQUIRED:
                more = " or an errno name" if key == "pick" else ""
                self.problem(node, f"{key!r} is missing; expected one of {', '.join(words)}{more}")
        for key in _OWN_CONDITIONS:
            if key in found:
                fields[key] = self.conditions(found[key], existing=True)
        return fields
