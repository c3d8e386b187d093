"""Reads the parts of rules: releases and named changes, conditions and named conditions, evidence.

A name is defined once, at the top of the file, and can be used in place of what it names::

    changes:
      linux.reuseport-inet-only: {mainline: "6.13", "6.12": "6.12.9"}     # since: linux.reuseport-inet-only
    define:
      both-reuseport: {both.reuseport: yes, existing.user: same}          # unless: [both-reuseport, ...]
"""

from __future__ import annotations

import re
from collections.abc import Mapping

import yaml

from bindmatrix.rules import releases, vocabulary
from bindmatrix.rules.facts import EXISTING, FACTS
from bindmatrix.rules.model import Condition, Evidence, NamedCondition, Points
from bindmatrix.rules.releases import EVER, MAINLINE, Span
from bindmatrix.rules.yaml_source import Reader

_NAME = re.compile(r"[a-z][a-z0-9.]*(-[a-z0-9.]+)*\Z")


class TermReader(Reader):
    """Reads releases, conditions and evidence from nodes."""

    def __init__(self, text: str, name: str) -> None:
        super().__init__(text, name)
        #: name -> the alternatives that it stands for
        self.definitions: dict[str, tuple[Condition, ...]] = {}
        #: name -> branch -> first release that has the change
        self.changes: dict[str, dict[str, str]] = {}
        #: id of a rule -> its evidence, from the section ``evidence``; and the nodes of the ids
        self.evidence_of: dict[str, tuple[Evidence, ...]] = {}
        self._evidence_nodes: dict[str, yaml.Node] = {}
        self._unused: dict[str, yaml.Node] = {}

    def terms(self, top: Mapping[str, yaml.Node]) -> None:
        """Read the sections ``changes``, ``define`` and ``evidence``, which the rules refer to."""
        if "changes" in top:
            for name, node, value in self._named(top["changes"], "changes"):
                self.changes[name] = self.bound(value)
                self._unused[name] = node
        if "define" in top:
            for name, node, value in self._named(top["define"], "named conditions"):
                found = self.conditions(value, existing=True)
                self.definitions[name] = tuple(
                    NamedCondition(one, name if len(found) == 1 else f"{name} {number}")
                    for number, one in enumerate(found, 1)
                )
                self._unused[name] = node
        if "evidence" in top:
            for identity, node, value in self.mapping(top["evidence"], "evidence by the id of a rule"):
                self.evidence_of[identity] = self.evidence(value)
                self._evidence_nodes[identity] = node

    def _named(self, node: yaml.Node, what: str) -> list[tuple[str, yaml.Node, yaml.Node]]:
        rows = list(self.mapping(node, what))
        for name, key_node, _ in rows:
            if not _NAME.match(name):
                self.problem(key_node, f"expected a name such as 'both-reuseport', got {name!r}")
        return rows

    def check_terms(self, ids: Mapping[str, object]) -> None:
        """Note names that no rule uses, and evidence of rules that do not exist; ``ids`` are those of all rules."""
        # a rule that could not be read may have meant it
        for name, node in self._unused.items() if not self.problems else ():
            self.problem(node, f"no rule uses {name!r}; delete it")
        for identity, node in self._evidence_nodes.items():
            if identity not in ids:
                self.unknown(node, identity, list(ids), "as the id of a rule")

    # -- releases

    def release(self, node: yaml.Node) -> str:
        text = self.text(node, "a release")
        try:
            releases.parse(text)
        except releases.ReleaseError as error:
            self.problem(node, str(error))
            return "0"
        return text

    def span(self, found: Mapping[str, yaml.Node]) -> Span:
        if "since" not in found and "until" not in found:
            return EVER
        return Span(*(self.bound(found[key]) if key in found else {} for key in ("since", "until")))

    def bound(self, node: yaml.Node) -> dict[str, str]:
        if isinstance(node, yaml.MappingNode):
            return {key: self.release(value) for key, _, value in self.mapping(node, "releases by branch")}
        text = self.text(node, "a release")
        if text in self.changes:
            self._unused.pop(text, None)
            return self.changes[text]
        if _NAME.match(text) and not releases.is_release(text):
            listed = ", ".join(self.changes) or "none"
            self.problem(node, f"expected a release such as '6.12.43', or one of 'changes' ({listed}), got {text!r}")
            return {MAINLINE: "0"}
        return {MAINLINE: self.release(node)}

    # -- conditions

    def points(self, node: yaml.Node) -> Points:
        found = self.known(node, "a row of 'closest'", ("points", "when"))
        points = self.number(found["points"], "'points'") if "points" in found else 0
        when = self.condition(found["when"], existing=True) if "when" in found else ()
        if not points or not when:
            self.problem(node, "expected '{points: 1, when: {...}}'")
        return Points(points, when, self.place(node))

    def conditions(self, node: yaml.Node, *, existing: bool) -> tuple[Condition, ...]:
        """The alternatives at ``node``: one or a list, each in full or by its name."""
        nodes = node.value if isinstance(node, yaml.SequenceNode) else [node]
        found: list[Condition] = []
        for one in nodes:
            named = self.definition(one, existing=existing) if isinstance(one, yaml.ScalarNode) else None
            found += [self.condition(one, existing=existing)] if named is None else named
        return tuple(found)

    def condition(self, node: yaml.Node, *, existing: bool) -> Condition:
        """The one condition at ``node``, in full or by its name."""
        if isinstance(node, yaml.ScalarNode):
            named = self.definition(node, existing=existing)
            if named is not None:
                if len(named) != 1:
                    self.problem(node, f"{node.value!r} is {len(named)} alternatives; expected one condition")
                return named[0]
        terms = []
        for name, key_node, value in self.mapping(node, "facts"):
            fact = FACTS.get(name)
            if fact is None:
                self.unknown(key_node, name, FACTS, "as a fact")
                continue
            if fact.scope == EXISTING and not existing:
                self.problem(key_node, f"{name!r} is about an existing socket; the rule needs 'ask'")
            values = []
            for word, one in self.words(value, f"a value of {name}"):
                if word in fact.values:
                    values.append(word)
                else:
                    self.unknown(one, word, fact.values, f"as a value of {name}")
            if len(values) == len(fact.values):
                self.problem(key_node, f"{name!r} with every value says nothing; drop it")
            terms.append((name, tuple(values)))
        return tuple(terms)

    def definition(self, node: yaml.ScalarNode, *, existing: bool) -> tuple[Condition, ...] | None:
        """What the name at ``node`` stands for; None for a text that is no name."""
        name = node.value
        if name not in self.definitions:
            if not self.definitions or not _NAME.match(name):
                return None
            self.unknown(node, name, self.definitions, "as a name of 'define'")
            return ((),)
        self._unused.pop(name, None)
        about = {fact for condition in self.definitions[name] for fact, _ in condition}
        if not existing and any(FACTS[fact].scope == EXISTING for fact in about):
            self.problem(node, f"{name!r} is about an existing socket; the rule needs 'ask'")
        return self.definitions[name]

    # -- evidence

    def evidence(self, node: yaml.Node) -> tuple[Evidence, ...]:
        rows = []
        for one in self.items(node, "evidence"):
            found = self.known(one, "evidence", (*vocabulary.EVIDENCE, "release"))
            kinds = [kind for kind in vocabulary.EVIDENCE if kind in found]
            if len(kinds) != 1:
                self.problem(one, f"expected exactly one of {', '.join(vocabulary.EVIDENCE)}")
                continue
            release = self.release(found["release"]) if "release" in found else ""
            text = " ".join(self.text(found[kinds[0]], "a reference").split())
            rows.append(Evidence(kinds[0], text, release, self.place(found[kinds[0]])))
        return tuple(rows)
