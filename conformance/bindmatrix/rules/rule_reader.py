"""Reads rules: the part that expectation files and divergences have in common."""

from __future__ import annotations

import errno
import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import yaml

from bindmatrix.outcomes import ANY_ERROR
from bindmatrix.rules import releases, vocabulary
from bindmatrix.rules.facts import EXISTING, FACTS
from bindmatrix.rules.model import (
    ALLOW,
    CALL_SECTIONS,
    KINDS,
    PICKED,
    REFUSE,
    UNKNOWN,
    Condition,
    Evidence,
    Points,
    Rule,
)
from bindmatrix.rules.releases import EVER, MAINLINE, Span
from bindmatrix.rules.yaml_source import Reader

_RULE_KEYS = ("id", "when", "unless", "ask", "in", "among", "why", "evidence", "since", "until")
_CALL_KEYS = ("refuse", "allow", "unknown", "otherwise", "repeat")
#: section -> key that only its rules have -> the words that it takes
_OWN_KEYS: dict[str, dict[str, tuple[str, ...]]] = {
    **{section: {"then": ("dead", "autobound", "tried")} for section in CALL_SECTIONS},
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
            "EHOSTUNREACH",
            "ENETUNREACH",
            "ENOENT",
            "EPERM",
            "EPROTOTYPE",
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
#: keys that the model calls otherwise: there ``place`` is where the rule stands in its file
_FIELDS = {"place": "end"}
_ID = re.compile(r"[a-z][a-z0-9]*(\.[a-z0-9]+(-[a-z0-9]+)*)+\Z")
_ERRNOS = frozenset(errno.errorcode.values()) | {"EOPNOTSUPP", "ENOTSUP"}


class RuleReader(Reader):
    """Reads rules, conditions, releases and evidence from nodes."""

    def __init__(self, text: str, name: str) -> None:
        super().__init__(text, name)
        #: the rules read so far
        self.ids: dict[str, Rule] = {}

    def release(self, node: yaml.Node) -> str:
        text = self.text(node, "a release")
        try:
            releases.parse(text)
        except releases.ReleaseError as error:
            self.problem(node, str(error))
            return "0"
        return text

    def points(self, node: yaml.Node) -> Points:
        found = self.known(node, "a row of 'closest'", ("points", "when"))
        points = self.number(found["points"], "'points'") if "points" in found else 0
        when = self.condition(found["when"], existing=True) if "when" in found else ()
        if not points or not when:
            self.problem(node, "expected '{points: 1, when: {...}}'")
        return Points(points, when, self.place(node))

    # -- rules

    def section(self, section: str, node: yaml.Node) -> tuple[Rule, ...]:
        nodes = self.items(node, f"the rules of {section!r}")
        rules = [rule for one in nodes for rule in self.rule(section, one)]
        if section in CALL_SECTIONS and nodes:
            for one, is_last in [(one, one is nodes[-1]) for one in nodes]:
                has = isinstance(one, yaml.MappingNode) and any(key.value == "otherwise" for key, _ in one.value)
                if is_last and not has:
                    self.problem(
                        one, f"the last rule of {section!r} must be 'otherwise: allow', an errno name or unknown"
                    )
                if has and not is_last:
                    self.problem(one, "rules after 'otherwise' can never decide; move it to the end")
        return tuple(rules)

    def rule(self, section: str, node: yaml.Node, extra: tuple[str, ...] = ()) -> list[Rule]:
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
        rule = KINDS[section](
            id=identity,
            section=section,
            when=self.condition(found["when"], existing=bool(ask)) if "when" in found else (),
            unless=self.conditions(found["unless"], existing=asks) if "unless" in found else (),
            ask=ask,
            space=self.word(found["in"], "a space", vocabulary.SPACES) if "in" in found else "any",
            among=self.conditions(found["among"], existing=True) if "among" in found else (),
            span=self.span(found),
            why=" ".join(self.text(found["why"], "the reason").split()) if "why" in found else "",
            evidence=self.evidence(found["evidence"]) if "evidence" in found else (),
            place=self.place(node),
            **self.decides(section, node, found),
        )
        if "why" not in found:
            self.problem(node, f"rule {identity!r} does not say why; add 'why: ...' in one line")
        if not rule.evidence:
            self.problem(
                node, f"rule {identity!r} has no evidence; add 'evidence: [{{observed: HOST/SET}}]' or a source"
            )
        if not (otherwise or rule.when or ask or rule.among) and section in CALL_SECTIONS:
            self.problem(node, f"rule {identity!r} has no condition; the rest is decided by 'otherwise'")
        self.ids.setdefault(identity, rule)
        return [rule]

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
                value = self.word(one, f"'{key}'", words) if words else self.number(one, f"'{key}'")
                fields[_FIELDS.get(key, key)] = value
            elif key in _REQUIRED:
                self.problem(node, f"{key!r} is missing; expected one of {', '.join(words)}")
        for key in _OWN_CONDITIONS:
            if key in found:
                fields[key] = self.conditions(found[key], existing=True)
        return fields

    def span(self, found: Mapping[str, yaml.Node]) -> Span:
        if "since" not in found and "until" not in found:
            return EVER
        return Span(*(self.bound(found[key]) if key in found else {} for key in ("since", "until")))

    def bound(self, node: yaml.Node) -> dict[str, str]:
        if isinstance(node, yaml.MappingNode):
            return {key: self.release(value) for key, _, value in self.mapping(node, "releases by branch")}
        return {MAINLINE: self.release(node)}

    def conditions(self, node: yaml.Node, *, existing: bool) -> tuple[Condition, ...]:
        nodes = node.value if isinstance(node, yaml.SequenceNode) else [node]
        return tuple(self.condition(one, existing=existing) for one in nodes)

    def condition(self, node: yaml.Node, *, existing: bool) -> Condition:
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

    def evidence(self, node: yaml.Node) -> tuple[Evidence, ...]:
        rows = []
        for one in self.items(node, "evidence"):
            found = self.known(one, "evidence", (*vocabulary.EVIDENCE, "release"))
            kinds = [kind for kind in vocabulary.EVIDENCE if kind in found]
            if len(kinds) != 1:
                self.problem(one, f"expected exactly one of {', '.join(vocabulary.EVIDENCE)}")
                continue
            release = self.release(found["release"]) if "release" in found else ""
            text = self.text(found[kinds[0]], "a reference")
            rows.append(Evidence(kinds[0], text, release, self.place(found[kinds[0]])))
        return tuple(rows)
