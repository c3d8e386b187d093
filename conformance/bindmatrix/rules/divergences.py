"""Known divergences: measured behaviour of a kernel that is a bug or a quirk, and that the rules leave out on purpose.

Each entry of ``expectations/divergences/<os>.yaml`` is written as the rule that the kernel follows in place of one of
the file's own, with the releases in which it does.  ``changes``, ``define`` and ``evidence`` are as in that file::

    divergences:
      - id: linux.mapped-wildcard-overlooked
        instead-of: linux.tcp-conflict
        since: "6.1"
        ask: every
        when: {...}
        unless: [...]
        refuse: EADDRINUSE
        why: what the kernel does and why that is no rule

    evidence:
      linux.mapped-wildcard-overlooked: [{observed: linux-6.1.192/pairs}]

So a divergence is exact: it predicts an outcome for every scenario, and :func:`apply` returns the model of a kernel
that has it. ``before: RULE`` puts the entry in front of that rule and keeps the rule.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import yaml

from bindmatrix.rules.facts import port_class
from bindmatrix.rules.model import Expectations, Model, Rule
from bindmatrix.rules.rule_reader import RuleReader


@dataclass(frozen=True)
class Divergence:
    """One entry: ``rule`` stands ``before`` or ``instead-of`` the rule called ``target``."""

    rule: Rule
    target: str
    keeps: bool

    @property
    def id(self) -> str:
        """The name of the entry."""
        return self.rule.id


def load(path: Path, expectations: Expectations) -> tuple[Divergence, ...]:
    """The entries of ``path`` for the rules of ``expectations``; none when there is no such file."""
    if not path.exists():
        return ()
    return loads(path.read_text(encoding="utf-8"), str(path), expectations)


def loads(text: str, name: str, expectations: Expectations) -> tuple[Divergence, ...]:
    """The entries in ``text``; raises :class:`Problems`."""
    reader = RuleReader(text, name)
    reader.finish()
    root = reader.root
    if root is None:
        return ()
    rules = expectations.by_id
    found = []
    listed = root
    if isinstance(root, yaml.MappingNode):
        top = reader.known(root, "a file of divergences", ("changes", "define", "divergences", "evidence"))
        reader.terms(top)
        listed = top.get("divergences", root)
    for node in reader.items(listed, "divergences"):
        keys = {key: value for key, _, value in reader.mapping(node, "a divergence")}
        targets = [key for key in ("instead-of", "before") if key in keys]
        if len(targets) != 1:
            reader.problem(node, "expected 'instead-of: RULE' or 'before: RULE'")
            continue
        target = reader.text(keys[targets[0]], "the id of a rule")
        if target not in rules:
            reader.unknown(keys[targets[0]], target, list(rules), "as the id of a rule")
            continue
        rule = reader.rule(rules[target].section, node, extra=("instead-of", "before"))[0]
        found.append(Divergence(rule, target, targets[0] == "before"))
    reader.check_terms(reader.ids)
    reader.finish()
    return tuple(found)


def known(expectations: Expectations) -> tuple[Divergence, ...]:
    """The known divergences of a system in all its releases, from the folder beside its file."""
    return load(Path(expectations.file).parent / "divergences" / f"{expectations.os}.yaml", expectations)


def of(expectations: Expectations, release: str) -> tuple[Divergence, ...]:
    """The known divergences of a system that are in force in ``release``."""
    return in_force(known(expectations), expectations, release)


def in_force(divergences: Sequence[Divergence], expectations: Expectations, release: str) -> tuple[Divergence, ...]:
    """The entries that hold for ``release``."""
    version = expectations.resolve(release)
    return tuple(one for one in divergences if one.rule.span.holds(version))


def possible(divergences: Sequence[Divergence], model: Model) -> tuple[Divergence, ...]:
    """The entries that can apply on the model's port: an entry with a condition on the port number applies only to that
    number."""
    number = port_class(model.port)
    return tuple(
        one for one in divergences if all(number in values for name, values in one.rule.when if name == "port.number")
    )


def apply(model: Model, divergences: Sequence[Divergence]) -> Model:
    """The model of a kernel that has all of ``divergences``."""
    rules = dict(model.rules)
    # an entry before a rule needs that rule, which another entry may replace
    for one in sorted(divergences, key=lambda entry: not entry.keeps):
        for section, listed in rules.items():
            place = next((index for index, rule in enumerate(listed) if rule.id == one.target), None)
            if place is not None:
                rest = listed[place:] if one.keeps else listed[place + 1 :]
                rules[section] = (*listed[:place], replace(one.rule, section=section), *rest)
    return replace(model, rules=rules)
