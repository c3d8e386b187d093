"""What the rules can tell apart: sockets that a call cannot tell apart are of one class.

A bind() asks the same few questions of every socket on the port: does it overlap, do both have SO_REUSEADDR, does it
listen.  Two sockets that answer all of them alike decide alike, so what a call returns depends on the classes of the
others and their order, of which there are few, and not on the sockets themselves, of which there are as many as
sequences.  A socket that no rule would look at is of class 0, and nothing changes when it is left out.
``walker.py`` rests on that.

The classes of a section are one Python function, text of the expressions of ``vocabulary.py`` as in ``compiled.py``.
For a rule that asks every socket one bit says that it holds for this one; one that asks the first or the closest
needs another bit for being a candidate, and one for each row of ``closest``::

    def classify(c, n, x):
        k = 0
        if n.port != 0:              # a rule about the new socket alone: what comes after it is not asked
            return k
        if n.protocol == 'tcp':
            r = relation_in('any', x.v4, x.v6, n.v4, n.v6)
            if r != 'apart' and not (n.now & 1 and x.now & 1): k |= 1
        return k

A rule with ``ask: each-address`` compares groups of sockets, so the class has all of a candidate that can matter there.
What depends on the memory of the port or on all its sockets is left open: whoever uses the classes has it beside them.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Hashable, Iterable, Iterator

from conformance.oracle.compiled import Code, counted
from conformance.oracle.expectation import Condition, Expectations, Rule
from conformance.oracle.ports import Call, Sock, relation, relation_in

#: one question to the rules: the section, the call, the socket that makes it
Question = tuple[str, Call, Sock]

Classify = Callable[[Call, Sock, Sock], Hashable]

#: facts about the memory or all sockets of the port
_WIDER = ("port.empty", "port.crowded", "memory.", "group.")

_FIELD = re.compile(r"\bx\.(\w+)")


def crowd(number: int) -> int:
    """What ``port.empty`` and ``port.crowded`` can tell of the number of sockets on a port."""
    return number if number < 1 or number > 8 else 1


class Classes:
    """The classes that the rules of one release make; with several sets of rules, what any of them can tell apart."""

    def __init__(self, *expectations: Expectations) -> None:
        self._expectations = expectations
        self._functions: dict[str, list[Classify]] = {}
        #: sections with a rule that speaks of who makes the call
        self.users = self._speaking("user.")
        #: sections with a rule that speaks of the groups of sockets that share deliveries
        self.groups = self._speaking("existing.group")
        #: sections with a rule that looks further than the call and its socket
        self.wide = self._speaking(*_WIDER) | {section for section, rules in self._sections() if any(map(_asks, rules))}

    def _sections(self) -> Iterator[tuple[str, tuple[Rule, ...]]]:
        for one in self._expectations:
            yield from one.rules.items()

    def _speaking(self, *prefixes: str) -> set[str]:
        return {section for section, rules in self._sections() if any(_speaks_of(rule, *prefixes) for rule in rules)}

    def of(self, sock: Sock, questions: Iterable[Question]) -> Hashable:
        """The class of an existing socket of the same protocol for a call that asks ``questions``; 0 for no matter."""
        classes = []
        for section, call, new in questions:
            if section not in self._functions:
                functions = [_Section(one).compiled(section) for one in self._expectations]
                self._functions[section] = [function for function in functions if function is not None]
            classes += [function(call, new, sock) for function in self._functions[section]]
        if len(classes) == 1:
            return classes[0]
        return tuple(classes) if any(classes) else 0


class _Section:
    """Makes functions of the rules of one release."""

    def __init__(self, expectations: Expectations) -> None:
        self._expectations = expectations

    def compiled(self, section: str) -> Classify | None:
        """The classes of a section, None where its rules ask nobody."""
        rules = self._expectations.rules.get(section, ())
        if not any(map(_asks, rules)):
            return None
        source = "\n".join(
            ["def classify(c, n, x):", " k = 0", " g = ()", *self._lines(rules), " return (k, g) if g else k"]
        )
        scope: dict[str, object] = {
            "PORT": self._expectations.stack.port,
            "relation": relation,
            "relation_in": relation_in,
            "counted": self._counted,
        }
        exec(compile(source, f"<classes of {section}>", "exec"), scope)  # noqa: S102 - text of our own tables
        return scope["classify"]  # type: ignore[return-value]

    def _counted(self, sock: Sock) -> int:
        return counted(sock, self._expectations.stack)

    def _lines(self, rules: Iterable[Rule]) -> list[str]:
        code = Code(self._expectations.stack)
        lines = []
        bit = 0
        for rule in rules:
            static = tuple((name, values) for name, values in rule.when if not name.startswith(_WIDER))
            own, pair = code.split(static)
            guard = " and ".join(own) or "True"
            if not rule.ask:
                excused = [f"not ({code.condition(one)})" for one in rule.unless]
                if not _speaks_of(rule, *_WIDER) and not rule.effect.get("memory"):
                    lines.append(f" if {' and '.join([guard, *excused])}: return (k, g) if g else k")
                continue
            among = " or ".join(f"({code.condition(one)})" for one in rule.among) or "True"
            holds = " and ".join([*pair, *(f"not ({code.condition(one)})" for one in rule.unless)]) or "True"
            # what a row says of the new socket alone it says of all candidates
            points = [" and ".join(code.split(row.when)[1]) or "False" for row in self._expectations.stack.closest]
            if rule.ask == "each-address":
                # `when` and `unless` look at the options that all of a group have, and at no connection
                fields = {*_FIELD.findall(holds)} - {"now", "at_bind", "ever", "connection"}
                fields |= {"v4", "v6", *_FIELD.findall(among)}
                if any(map(_wider, rule.among)):
                    among = "True"
                lines.append(f" if {guard} and any({among} for r in (relation(x.v4, n.v4), relation(x.v6, n.v6))):")
                lines.append(f"  g += (counted(x), {', '.join(f'x.{field}' for field in sorted(fields))})")
                continue
            if any(map(_wider, (*rule.unless, *rule.among))):
                # which of them count is for the memory or the port to say, so each is a bit of its own
                conditions = (static, *rule.unless, *rule.among)
                tests = [" and ".join(code.split(one)[1]) or "True" for one in conditions] + points
                if rule.ask != "every" and not rule.among:
                    tests.append("True")
                among = "True"
            elif rule.ask == "every":
                tests = [holds]
            else:
                tests = ["True", holds, *(points if rule.ask == "closest" else ())]
            lines.append(f" if {guard}:")
            if "r" in code.uses(" or ".join(f"({one})" for one in (among, *tests))):
                lines.append(f"  r = {code.relation(rule.space)}")
            lines.append(f"  if {among}:")
            lines += [f"   if {test}: k |= {1 << bit + number}" for number, test in enumerate(tests)]
            bit += len(tests)
        return lines


def _asks(rule: Rule) -> bool:
    return bool(rule.ask)


def _speaks_of(rule: Rule, *prefixes: str) -> bool:
    return any(name.startswith(prefixes) for name in rule.facts)


def _wider(condition: Condition) -> bool:
    return any(name.startswith(_WIDER) for name, _ in condition)
