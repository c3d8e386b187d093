"""Patterns of misuse: the data of ``expectations/misuse.yaml``, and what of a program they look at.

A pattern matches a socket by its facts (:class:`SocketFacts`), and its scenarios show on which systems it hurts.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path

import yaml

from bindmatrix.advice.parts import WILDCARDS
from bindmatrix.advice.recipe_goals import WANTED, GoalCheck
from bindmatrix.errors import Problem
from bindmatrix.notation import OPTIONS, SOCKET_KINDS, Step, addresses_of, parse
from bindmatrix.rules import catalog
from bindmatrix.rules.yaml_source import Reader

#: what only a source shows, and no scenario
MARKS = ("bind-error-ignored", "listen-error-ignored", "options-in-one-call")
_YES_NO = ("yes", "no")
_OPTION_WORDS = tuple(OPTIONS)
#: fact that a pattern may name -> its values
FACTS: dict[str, tuple[str, ...]] = {
    "protocol": tuple(dict.fromkeys(kind.protocol for kind in SOCKET_KINDS.values())),
    "family": tuple(dict.fromkeys(kind.family for kind in SOCKET_KINDS.values())),
    "address": ("wildcard", "specific", "multicast", "none"),
    "listens": _YES_NO,
    "connects": _YES_NO,
    "joins": _YES_NO,
    "v6only": ("unset", "on", "off"),
    "group": _YES_NO,
    "users": ("one", "several"),
    "forgives-v6only": _YES_NO,
}
#: fact that is a set -> its members; ``off`` and ``any-on`` are other ways to look at ``on``
SETS: dict[str, tuple[str, ...]] = {
    "on": _OPTION_WORDS,
    "off": _OPTION_WORDS,
    "any-on": _OPTION_WORDS,
    "after": _OPTION_WORDS,
    "cleared": _OPTION_WORDS,
    "later-only": _OPTION_WORDS,
    "marks": MARKS,
}
_KEYS = ("id", "what", "match", "proof", "hurts", "shows", "instead", "seen")
_PROOF = ("scenario", "wanted", "shows")


@dataclass(frozen=True)
class MisusePattern:
    """A row of the file.

    ``match``: (fact, values).  ``proof``: its ``what`` says what the scenario shows.  ``hurts``: where there is none.
    """

    id: str
    what: str
    match: tuple[tuple[str, tuple[str, ...]], ...]
    proof: tuple[GoalCheck, ...]
    hurts: tuple[str, ...]
    shows: str
    instead: str
    seen: tuple[str, ...]

    def matches(self, facts: SocketFacts) -> bool:
        """Whether a socket is used so."""
        return all(facts.holds(fact, values) for fact, values in self.match)


@dataclass
class SocketFacts:
    """What is known of one socket of a program.

    ``words`` has the facts of FACTS.  ``on``: options that are set at bind(); ``after``: set to 1 after it;
    ``cleared``: set at bind() and not any more; ``later_only``: set here, and not by an earlier socket at the place.
    ``step``: the index of the step in the scenario that a fact is about, by fact or option.
    """

    socket: str
    words: dict[str, str]
    on: set[str] = field(default_factory=set)
    after: set[str] = field(default_factory=set)
    cleared: set[str] = field(default_factory=set)
    later_only: set[str] = field(default_factory=set)
    marks: set[str] = field(default_factory=set)
    step: dict[str, int] = field(default_factory=dict)

    def holds(self, fact: str, values: Collection[str]) -> bool:
        """Whether a condition of a pattern holds."""
        if fact in FACTS:
            return self.words[fact] in values
        if fact == "off":
            return self.on.isdisjoint(values)
        if fact == "on":
            return self.on.issuperset(values)
        chosen = {
            "any-on": self.on,
            "after": self.after,
            "cleared": self.cleared,
            "later-only": self.later_only,
            "marks": self.marks,
        }
        return not chosen[fact].isdisjoint(values)


def facts_of(
    steps: Sequence[Step], forgiven: Collection[str] = (), marks: Mapping[str, Collection[str]] | None = None
) -> list[SocketFacts]:
    """The facts of each socket that is made, in order.

    ``forgiven``: options whose errors the program ignores.  ``marks``: socket -> what its source shows.
    """
    found: dict[str, SocketFacts] = {}
    addresses: dict[str, str] = {}
    users = {step.value for step in steps if step.kind == "user"}
    for index, step in enumerate(steps):
        if step.kind == "socket":
            found[step.socket] = _made(step, index, "several" if len(users) > 1 else "one", forgiven)
        elif step.socket in found:
            _note(found[step.socket], step, index, addresses)
    for facts in found.values():
        facts.marks |= set((marks or {}).get(facts.socket, ()))
    _compare(list(found.values()), addresses)
    return list(found.values())


def _made(step: Step, index: int, users: str, forgiven: Collection[str]) -> SocketFacts:
    kind = SOCKET_KINDS[step.what]
    words = {fact: values[-1] for fact, values in FACTS.items() if values == _YES_NO}
    words |= {"protocol": kind.protocol, "family": kind.family, "address": "none", "v6only": "unset", "users": users}
    words["forgives-v6only"] = "yes" if "v6only" in forgiven else "no"
    return SocketFacts(step.socket, words, step={"socket": index})


def _note(facts: SocketFacts, step: Step, index: int, addresses: dict[str, str]) -> None:
    bound = "bind" in facts.step
    if step.kind == "set":
        facts.step[step.what] = index
        if step.what == "v6only":
            facts.words["v6only"] = "on" if step.value else "off"
        elif not bound:
            (facts.on.add if step.value else facts.on.discard)(step.what)
        elif step.value and step.what not in facts.on:
            facts.after.add(step.what)
        elif not step.value and step.what in facts.on:
            facts.cleared.add(step.what)
        return
    facts.step.setdefault(step.kind, index)
    if step.kind == "bind":
        facts.words["address"] = _relation(step.address)
        addresses[facts.socket] = step.address
    for kind, fact in (("listen", "listens"), ("connect", "connects"), ("join", "joins")):
        if step.kind == kind:
            facts.words[fact] = "yes"


def _relation(address: str) -> str:
    if address in WILDCARDS:
        return "wildcard"
    if addresses_of(address) == "ip" and ipaddress.ip_address(address).is_multicast:
        return "multicast"
    return "specific"


def _compare(sockets: Sequence[SocketFacts], addresses: Mapping[str, str]) -> None:
    """``group`` and ``later_only``: what concerns several sockets at the same place."""
    for number, one in enumerate(sockets):
        beside = [
            other
            for other in sockets
            if other is not one
            and other.words["protocol"] == one.words["protocol"]
            and one.socket in addresses
            and addresses.get(other.socket) == addresses[one.socket]
        ]
        if beside:
            one.words["group"] = "yes"
        earlier = [other for other in sockets[:number] if other in beside]
        if earlier:
            one.later_only = one.on.difference(*(other.on for other in earlier))


# -- the file


@lru_cache(maxsize=1)
def patterns() -> tuple[MisusePattern, ...]:
    """All of them; raises :class:`~bindmatrix.errors.Problems`."""
    return load(catalog.folder() / "misuse.yaml")


def load(path: Path) -> tuple[MisusePattern, ...]:
    """The patterns of a file; raises :class:`~bindmatrix.errors.Problems` that point at everything that is wrong."""
    reader = Reader(path.read_text(encoding="utf-8"), str(path))
    found: dict[str, MisusePattern] = {}
    for node in reader.items(reader.root, "patterns") if reader.root is not None else ():
        one = _pattern(reader, node)
        if one is not None and one.id in found:
            reader.problem(node, f"{one.id!r} stands twice")
        elif one is not None:
            found[one.id] = one
    reader.finish()
    return tuple(found.values())


def _pattern(reader: Reader, node: yaml.Node) -> MisusePattern | None:
    before = len(reader.problems)
    keys = reader.known(node, "a pattern", _KEYS)
    for key in ("id", "what", "match", "instead", "seen"):
        if key not in keys:
            reader.problem(node, f"expected {key!r} in the pattern")
    if ("proof" in keys) == ("hurts" in keys):
        reader.problem(node, "expected either 'proof' or, where no scenario can show it, 'hurts' and 'shows'")
    if len(reader.problems) > before:
        return None
    match = {}
    for fact, key_node, value in reader.mapping(keys["match"], "facts"):
        if fact not in FACTS and fact not in SETS:
            reader.unknown(key_node, fact, [*FACTS, *SETS], "as a fact")
            continue
        nodes = reader.items(value, fact) if isinstance(value, yaml.SequenceNode) else [value]
        match[fact] = tuple(reader.word(one, fact, FACTS.get(fact) or SETS[fact]) for one in nodes)
    return MisusePattern(
        id=reader.text(keys["id"], "an id"),
        what=reader.text(keys["what"], "what the program does"),
        match=tuple(match.items()),
        proof=_proof(reader, keys.get("proof")),
        hurts=tuple(reader.word(one, "a system", catalog.names()) for one in _items(reader, keys.get("hurts"))),
        shows=reader.text(keys["shows"], "what happens") if "shows" in keys else "",
        instead=reader.text(keys["instead"], "what to do"),
        seen=tuple(text for text, _ in reader.words(keys["seen"], "where it was seen")),
    )


def _items(reader: Reader, node: yaml.Node | None) -> list[yaml.Node]:
    return reader.items(node, "a list") if node is not None else []


def _proof(reader: Reader, node: yaml.Node | None) -> tuple[GoalCheck, ...]:
    found = []
    for one in _items(reader, node):
        keys = reader.known(one, "a scenario of a pattern", _PROOF)
        missing = [key for key in _PROOF if key not in keys]
        if missing:
            reader.problem(one, f"expected {', '.join(missing)}")
            continue
        said = {key: reader.text(keys[key], key) for key in _PROOF}
        if said["wanted"] != "ok" and said["wanted"].rpartition(" ")[0] not in WANTED:
            words = ", ".join(["'ok'", *(f"'{one} SOCKET'" for one in WANTED)])
            reader.problem(keys["wanted"], f"expected one of {words}, got {said['wanted']!r}")
        try:
            found.append(GoalCheck(said["shows"], parse(said["scenario"]), said["wanted"]))
        except Problem as problem:
            reader.problem(keys["scenario"], problem.message)
    return tuple(found)
