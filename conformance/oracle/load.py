"""Reads an expectation file into :class:`~conformance.oracle.expectation.Expectations`.

Everything about the form is checked here: words of the vocabulary, duplicate keys and ids, a last rule that decides
what is left, evidence on every rule.  All problems are raised together, each with file, line and column.  What the
rules *mean* is checked by ``lint``.
"""

from __future__ import annotations

import errno
import ipaddress
import re
from collections.abc import Mapping
from pathlib import Path

import yaml

from conformance.errors import Place, Problem, Problems
from conformance.notation import OPTIONS
from conformance.oracle import releases, vocabulary
from conformance.oracle.expectation import (
    ALLOW,
    ANY_ERROR,
    REFUSE,
    UNKNOWN,
    Condition,
    Evidence,
    Expectations,
    Points,
    Rule,
    Stack,
)
from conformance.oracle.nodes import Reader
from conformance.oracle.releases import EVER, MAINLINE, Span

#: sections whose rules decide what a call returns, and which therefore end with `otherwise`
CALL_SECTIONS = ("user", "set", "bind", "listen", "connect", "accept")

_RULE_KEYS = ("id", "when", "unless", "ask", "in", "among", "why", "evidence", "since", "until")
_CALL_KEYS = ("refuse", "allow", "unknown", "otherwise", "then", "repeat")
_EFFECTS: dict[str, dict[str, tuple[str, ...]]] = {
    "chain": {"place": ("head", "tail")},
    "remember": {"memory": ("reuseaddr", "reuseport"), "write": ("yes", "address", "anywhere", "nothing", "keep")},
    "time-wait": {"leaves": ("time-wait", "nothing"), "milliseconds": ()},
    "deliver": {"pick": ("newest", "oldest", "spread", "every", "flow", "none", "refused", "timeout", "unknown")},
}
_STACK_KEYS = (
    "local",
    "v6only-default",
    "options",
    "connections",
    "occupies",
    "dual",
    "children",
    "connected-dual",
    "several",
    "closest",
)
_FORMS = ("ipv4", "mapped", "dual", "ipv6")
_ID = re.compile(r"[a-z][a-z0-9]*(\.[a-z0-9]+(-[a-z0-9]+)*)+\Z")
_ERRNOS = frozenset(errno.errorcode.values()) | {"EOPNOTSUPP", "ENOTSUP"}


def load(path: Path) -> Expectations:
    """The expectations in ``path``; raises :class:`Problems` with everything that is wrong."""
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        message = f"cannot be read: {error.strerror}"
        raise Problems([Problem(Place(str(path)), message)]) from error
    except UnicodeDecodeError as error:
        raise Problems([Problem(Place(str(path)), f"not UTF-8 at byte {error.start}")]) from error
    return loads(text, str(path))


def loads(text: str, name: str) -> Expectations:
    """The expectations in ``text``; ``name`` is what problems call it."""
    return _Loader(text, name).load()


class _Loader:
    def __init__(self, text: str, name: str) -> None:
        self.reader = Reader(text, name)
        self.ids: dict[str, Rule] = {}
        self.options: dict[str, tuple[tuple[Span, str], ...]] = {}

    def load(self) -> Expectations:
        reader = self.reader
        reader.finish()
        if reader.root is None:
            raise Problems([Problem(Place(reader.name), "expected an expectation file, got an empty one")])
        top = reader.known(
            reader.root, "an expectation file", ("os", "title", "covers", "names", "stack", *vocabulary.SECTIONS)
        )
        for key in ("os", "title", "covers", "stack", "bind", "listen", "set"):
            if key not in top:
                reader.problem(reader.root, f"{key!r} is missing")
        names = self.names(top["names"]) if "names" in top else {}
        covers = self.covers(top["covers"]) if "covers" in top else ("0", "0")
        stack = self.stack(top["stack"]) if "stack" in top else Stack()
        rules = {section: self.section(section, top[section]) for section in vocabulary.SECTIONS if section in top}
        os = reader.text(top["os"], "the name of the system") if "os" in top else ""
        title = reader.text(top["title"], "the title") if "title" in top else ""
        reader.finish()
        return Expectations(os, title, covers, stack, rules, names, self.options, reader.name)

    # -- settings

    def names(self, node: yaml.Node) -> dict[str, str]:
        return {key: self.release(value) for key, _, value in self.reader.mapping(node, "names of releases")}

    def covers(self, node: yaml.Node) -> tuple[str, str]:
        found = self.reader.known(node, "'covers'", ("from", "to"))
        for key in ("from", "to"):
            if key not in found:
                self.reader.problem(node, f'{key!r} is missing; write \'covers: {{from: "1.0", to: "2.0"}}\'')
        return tuple(self.release(found[key]) if key in found else "0" for key in ("from", "to"))  # type: ignore[return-value]

    def release(self, node: yaml.Node) -> str:
        text = self.reader.text(node, "a release")
        try:
            releases.parse(text)
        except releases.ReleaseError as error:
            self.reader.problem(node, str(error))
            return "0"
        return text

    def stack(self, node: yaml.Node) -> Stack:
        reader = self.reader
        found = reader.known(node, "'stack'", _STACK_KEYS)
        for key in ("local", "v6only-default", "options", "occupies"):
            if key not in found:
                reader.problem(node, f"{key!r} is missing in 'stack'")
        return Stack(
            local=self.networks(found["local"]) if "local" in found else (),
            v6only_default=int(reader.word(found["v6only-default"], "a default", ("0", "1")))
            if "v6only-default" in found
            else 0,
            options=self.option_times(found["options"]) if "options" in found else {},
            connections=self.connections(found["connections"]) if "connections" in found else {},
            occupies=self.occupies(found["occupies"]) if "occupies" in found else {},
            dual=reader.word(found["dual"], "'dual'", ("equal", "wider")) if "dual" in found else "equal",
            children=reader.word(found["children"], "'children'", ("connection", "wildcard"))
            if "children" in found
            else "connection",
            connected_dual=reader.text(found["connected-dual"], "an address") if "connected-dual" in found else "",
            several=reader.word(found["several"], "'several'", ("first-rule", "any"))
            if "several" in found
            else "first-rule",
            closest=tuple(self.points(one) for one in reader.items(found["closest"], "'closest'"))
            if "closest" in found
            else (),
        )

    def networks(self, node: yaml.Node) -> tuple[str, ...]:
        networks = []
        for text, one in self.reader.words(node, "networks"):
            try:
                networks.append(str(ipaddress.ip_network(text)))
            except ValueError as error:
                self.reader.problem(one, f"expected a network such as 127.0.0.0/8: {error}")
        return tuple(networks)

    def option_times(self, node: yaml.Node) -> dict[str, str]:
        times = {}
        for key, value in self.reader.known(node, "'options'", OPTIONS).items():
            if not isinstance(value, yaml.SequenceNode):
                times[key] = self.reader.word(value, f"when {key} counts", vocabulary.TIMES)
                continue
            rows = []
            for row in value.value:
                found = self.reader.known(row, "a row of an option", ("since", "until", "counts"))
                if "counts" not in found:
                    self.reader.problem(row, "'counts' is missing")
                    continue
                rows.append(
                    (self.span(found), self.reader.word(found["counts"], f"when {key} counts", vocabulary.TIMES))
                )
            self.options[key] = tuple(rows)
            times[key] = rows[-1][1] if rows else "absent"
        for option in OPTIONS:
            if option not in times:
                self.reader.problem(
                    node, f"{option!r} is missing in 'options'; write '{option}: absent' where there is none"
                )
        return times

    def connections(self, node: yaml.Node) -> dict[str, str]:
        found = self.reader.known(node, "'connections'", OPTIONS)
        return {key: self.reader.word(value, "'connections'", ("always",)) for key, value in found.items()}

    def occupies(self, node: yaml.Node) -> dict[str, dict[str, tuple[str, ...]]]:
        keys = [key for key, _, _ in Reader.mapping(self.reader, node, "'occupies'")]
        if "tcp" in keys or "udp" in keys:
            found = self.reader.known(node, "'occupies'", ("tcp", "udp"))
            return {protocol: self.spaces(value) for protocol, value in found.items()}
        spaces = self.spaces(node)
        return {"tcp": spaces, "udp": spaces}

    def spaces(self, node: yaml.Node) -> dict[str, tuple[str, ...]]:
        spaces = {}
        for form, value in self.reader.known(node, "'occupies'", _FORMS).items():
            words = self.reader.words(value, "spaces")
            for word, one in words:
                if word not in ("ipv4", "ipv6"):
                    self.reader.unknown(one, word, ("ipv4", "ipv6"), "as a space")
            spaces[form] = tuple(word for word, _ in words)
        for form in _FORMS:
            if form not in spaces:
                self.reader.problem(node, f"{form!r} is missing in 'occupies'")
        return spaces

    def points(self, node: yaml.Node) -> Points:
        found = self.reader.known(node, "a row of 'closest'", ("points", "when"))
        points = self.reader.number(found["points"], "'points'") if "points" in found else 0
        when = self.condition(found["when"], existing=True) if "when" in found else ()
        if not points or not when:
            self.reader.problem(node, "expected '{points: 1, when: {...}}'")
        return Points(points, when, self.reader.place(node))

    # -- rules

    def section(self, section: str, node: yaml.Node) -> tuple[Rule, ...]:
        nodes = self.reader.items(node, f"the rules of {section!r}")
        rules = [rule for one in nodes for rule in self.rule(section, one)]
        if section in CALL_SECTIONS and nodes:
            for one, is_last in [(one, one is nodes[-1]) for one in nodes]:
                has = isinstance(one, yaml.MappingNode) and any(key.value == "otherwise" for key, _ in one.value)
                if is_last and not has:
                    self.reader.problem(
                        one, f"the last rule of {section!r} must be 'otherwise: allow', an errno name or unknown"
                    )
                if has and not is_last:
                    self.reader.problem(one, "rules after 'otherwise' can never decide; move it to the end")
        return tuple(rules)

    def rule(self, section: str, node: yaml.Node) -> list[Rule]:
        reader = self.reader
        call = section in CALL_SECTIONS
        keys = (*_RULE_KEYS, *(_CALL_KEYS if call else _EFFECTS[section]))
        found = reader.known(node, "a rule", keys)
        if "repeat" in found:
            return self.repeated(section, found)
        identity = self.identity(node, found)
        action, errors = self.action(node, found) if call else (ALLOW, ())
        otherwise = "otherwise" in found
        ask = reader.word(found["ask"], "'ask'", vocabulary.ASKS) if "ask" in found else ""
        for key in ("in", "among"):
            if key in found and not ask and section != "deliver":
                reader.problem(found[key], f"{key!r} needs 'ask: every', 'closest', 'first' or 'each-address'")
        if otherwise and (ask or "when" in found or "unless" in found):
            reader.problem(node, "'otherwise' decides what is left; it takes no condition")
        asks = bool(ask) or section == "deliver"
        rule = Rule(
            id=identity,
            section=section,
            action=action,
            errors=errors,
            when=self.condition(found["when"], existing=asks) if "when" in found else (),
            unless=self.unless(found["unless"], existing=asks) if "unless" in found else (),
            ask=ask,
            space=reader.word(found["in"], "a space", vocabulary.SPACES) if "in" in found else "any",
            among=self.condition(found["among"], existing=True) if "among" in found else (),
            effect=self.effect(section, node, found),
            span=self.span(found),
            why=" ".join(reader.text(found["why"], "the reason").split()) if "why" in found else "",
            evidence=self.evidence(found["evidence"]) if "evidence" in found else (),
            place=reader.place(node),
        )
        if "why" not in found:
            reader.problem(node, f"rule {identity!r} does not say why; add 'why: ...' in one line")
        if not rule.evidence:
            reader.problem(
                node, f"rule {identity!r} has no evidence; add 'evidence: [{{observed: HOST/SET}}]' or a source"
            )
        if not (otherwise or rule.when or ask or rule.among) and section in CALL_SECTIONS:
            reader.problem(node, f"rule {identity!r} has no condition; the rest is decided by 'otherwise'")
        self.ids.setdefault(identity, rule)
        return [rule]

    def identity(self, node: yaml.Node, found: Mapping[str, yaml.Node]) -> str:
        if "id" not in found:
            self.reader.problem(node, "a rule needs an 'id'")
            return f"line-{node.start_mark.line + 1}"
        identity = self.reader.text(found["id"], "an id")
        if not _ID.match(identity):
            self.reader.problem(found["id"], f"expected an id such as 'fb.same-address', got {identity!r}")
        if identity in self.ids:
            first = self.ids[identity].place.line
            self.reader.problem(
                found["id"],
                f"id {identity!r} is taken by the rule in line {first}; to use that again write 'repeat: {identity}'",
            )
        return identity

    def repeated(self, section: str, found: Mapping[str, yaml.Node]) -> list[Rule]:
        rules = []
        for word, node in self.reader.words(found["repeat"], "ids of rules"):
            if word in self.ids:
                first = self.ids[word]
                rules.append(Rule(**{**{f: getattr(first, f) for f in Rule.__slots__}, "section": section}))
            else:
                self.reader.unknown(node, word, list(self.ids), "as the id of an earlier rule")
        return rules

    def action(self, node: yaml.Node, found: Mapping[str, yaml.Node]) -> tuple[str, tuple[str, ...]]:
        given = [key for key in ("refuse", "allow", "unknown", "otherwise") if key in found]
        if len(given) != 1:
            self.reader.problem(
                node, f"expected one of 'refuse', 'allow', 'unknown', 'otherwise', got {given or 'none'}"
            )
            return ALLOW, ()
        key = given[0]
        if key in (ALLOW, UNKNOWN):
            self.reader.word(found[key], f"'{key}'", ("yes",))
            return key, ()
        words = self.reader.words(found[key], "errno names")
        if key == "otherwise" and words and words[0][0] in (ALLOW, UNKNOWN):
            return words[0][0], ()
        for word, one in words:
            if word not in _ERRNOS and word != ANY_ERROR:
                self.reader.unknown(one, word, (*_ERRNOS, ANY_ERROR), "as an errno name")
        return REFUSE, tuple(word for word, _ in words)

    def effect(self, section: str, node: yaml.Node, found: Mapping[str, yaml.Node]) -> dict[str, str]:
        if section in CALL_SECTIONS:
            return {"then": self.reader.word(found["then"], "'then'", ("dead",))} if "then" in found else {}
        effect = {}
        for key, words in _EFFECTS[section].items():
            if key not in found:
                if key != "milliseconds":
                    self.reader.problem(node, f"{key!r} is missing; expected one of {', '.join(words)}")
            elif words:
                effect[key] = self.reader.word(found[key], f"'{key}'", words)
            else:
                effect[key] = str(self.reader.number(found[key], f"'{key}'"))
        return effect

    def span(self, found: Mapping[str, yaml.Node]) -> Span:
        if "since" not in found and "until" not in found:
            return EVER
        return Span(*(self.bound(found[key]) if key in found else {} for key in ("since", "until")))

    def bound(self, node: yaml.Node) -> dict[str, str]:
        if isinstance(node, yaml.MappingNode):
            return {key: self.release(value) for key, _, value in self.reader.mapping(node, "releases by branch")}
        return {MAINLINE: self.release(node)}

    def unless(self, node: yaml.Node, *, existing: bool) -> tuple[Condition, ...]:
        nodes = node.value if isinstance(node, yaml.SequenceNode) else [node]
        return tuple(self.condition(one, existing=existing) for one in nodes)

    def condition(self, node: yaml.Node, *, existing: bool) -> Condition:
        terms = []
        for name, key_node, value in self.reader.mapping(node, "facts"):
            fact = vocabulary.FACTS.get(name)
            if fact is None:
                self.reader.unknown(key_node, name, vocabulary.FACTS, "as a fact")
                continue
            if fact.scope == vocabulary.EXISTING and not existing:
                self.reader.problem(key_node, f"{name!r} is about an existing socket; the rule needs 'ask'")
            values = []
            for word, one in self.reader.words(value, f"a value of {name}"):
                if word in fact.values:
                    values.append(word)
                else:
                    self.reader.unknown(one, word, fact.values, f"as a value of {name}")
            if len(values) == len(fact.values):
                self.reader.problem(key_node, f"{name!r} with every value says nothing; drop it")
            terms.append((name, tuple(values)))
        return tuple(terms)

    def evidence(self, node: yaml.Node) -> tuple[Evidence, ...]:
        rows = []
        for one in self.reader.items(node, "evidence"):
            found = self.reader.known(one, "evidence", (*vocabulary.EVIDENCE, "release"))
            kinds = [kind for kind in vocabulary.EVIDENCE if kind in found]
            if len(kinds) != 1:
                self.reader.problem(one, f"expected exactly one of {', '.join(vocabulary.EVIDENCE)}")
                continue
            release = self.release(found["release"]) if "release" in found else ""
            text = self.reader.text(found[kinds[0]], "a reference")
            rows.append(Evidence(kinds[0], text, release, self.reader.place(found[kinds[0]])))
        return tuple(rows)
