"""The compiled evaluator: each section of an expectation file becomes one Python function.

The function is text pasted together from the expressions of ``vocabulary.py`` and then compiled; names and values
come from those tables alone, never from the file, so nothing that a file says is executed.  A rule costs a few
comparisons.  The naive evaluator decides the same and is compared with this one by the tests.

Generated for a section::

    def decide(c, n, state):
        m = state.memory
        p = [x for x in state.socks if x.port == 1 and x.protocol == n.protocol and x.ports == n.ports]
        e = [x for x in p if not (x.name and x.name == n.name)]
        if n.kind == 'not-local':
            return R[0]
        for x in e:
            r = relation_in('any', x.v4, x.v6, n.v4, n.v6)
            if r != 'apart' and not (...):
                return R[1]
        return R[2]
"""

from __future__ import annotations

from collections.abc import Callable

from bindmatrix.rules import vocabulary
from bindmatrix.rules.model import ALLOW, Condition, Expectations, Points, Rule, Stack
from bindmatrix.rules.sockets import BITS, Call, Sock, State, on_port, relation, relation_in

Decide = Callable[[Call, Sock, State], tuple[Rule, ...]]

_ALL_BITS = sum(BITS.values())


class CompiledEvaluator:
    """Decides with the rules of ``expectations``, which must be those of one release (``Expectations.at``)."""

    def __init__(self, expectations: Expectations) -> None:
        self.expectations = expectations
        self.stack = expectations.stack
        self._tests: dict[tuple[tuple[Condition, ...], str], Callable[..., bool]] = {}
        self._functions = {
            section: self._compile(section, rules)
            for section, rules in expectations.rules.items()
            if section != "deliver"
        }

    def decide(self, section: str, call: Call, new: Sock, state: State) -> tuple[Rule, ...]:
        """As :meth:`NaiveEvaluator.decide`."""
        function = self._functions.get(section)
        return function(call, new, state) if function else ()

    def holds(
        self, conditions: tuple[Condition, ...], call: Call, new: Sock, sock: Sock | None, space: str, state: State
    ) -> bool:
        """As :meth:`NaiveEvaluator.holds`."""
        if not conditions:
            return True
        test = self._tests.get((conditions, space))
        if test is None:
            code = Code(self.stack)
            text = " or ".join(f"({code.condition(one) or 'True'})" for one in conditions)
            relate = code.relation(space) if "r" in code.uses(text) else "''"
            source = f"lambda c, n, x, m, p, S: [({text}) for r in ({relate},)][0]"
            scope = {"relation": relation, "relation_in": relation_in, "PORT": self.stack.port}
            test = self._tests[conditions, space] = eval(source, scope)  # noqa: S307 - text of our own tables
        return bool(test(call, new, sock, state.memory, on_port(state, new), state.socks))

    def _compile(self, section: str, rules: tuple[Rule, ...]) -> Decide:
        source = section_source(rules, self.stack)
        scope: dict[str, object] = {
            "PORT": self.stack.port,
            "relation": relation,
            "relation_in": relation_in,
            "by_address": self._by_address,
            "R": [(rule,) for rule in rules],
        }
        exec(compile(source, f"<rules of {section}>", "exec"), scope)  # noqa: S102 - text of our own tables, see above
        return scope["decide"]  # type: ignore[return-value]

    def _by_address(
        self, new: Sock, existing: list[Sock], among: Callable[[Sock, str], bool]
    ) -> list[tuple[Sock, str]]:
        """One answer for each address and space: an option counts when all sockets there have it."""
        groups: dict[tuple[str, str], tuple[Sock, int]] = {}
        for sock in existing:
            bits = counted(sock, self.stack)
            for space, value, ours in (("ipv4", sock.v4, new.v4), ("ipv6", sock.v6, new.v6)):
                if value is None or ours is None or not among(sock, relation(value, ours)):
                    continue
                key = (space, value)
                first, common = groups.get(key, (sock, _ALL_BITS))
                groups[key] = (first, common & bits)
        return [
            (
                first._replace(now=bits, at_bind=bits, ever=bits, connection=0),
                relation(value, new.v4 if space == "ipv4" else new.v6),
            )
            for (space, value), (first, bits) in groups.items()
        ]


def counted(sock: Sock, stack: Stack) -> int:
    bits = 0
    for option, bit in BITS.items():
        time = stack.options.get(option, "absent")
        values = sock.at_bind if time == "at-bind" else sock.ever if time == "ever" else sock.now
        bits |= bit if stack.counts_as_set(option, sock) else values & bit
    return bits


def holds_on_port(condition: Condition, stack: Stack) -> bool:
    """Whether what ``condition`` says of the number of the port holds; it does for every call or for none."""
    text = Code(stack).condition(tuple(term for term in condition if term[0] == "port.number"))
    return not text or bool(eval(text, {"PORT": stack.port}))  # noqa: S307 - text of our own tables


def section_source(rules: tuple[Rule, ...], stack: Stack) -> str:
    """The text of the function that decides by ``rules``."""
    lines = ["def decide(c, n, state):", " m = state.memory", " S = state.socks"]
    asks = any(rule.ask for rule in rules)
    if asks or any(name.startswith("port.") for rule in rules for name, _ in _terms(rule)):
        lines.append(" p = [x for x in state.socks if x.port == 1 and x.protocol == n.protocol and x.ports == n.ports]")
    if asks:
        lines.append(" e = [x for x in p if not (x.name and x.name == n.name)]")
    lines.append(" got = ()")
    slots = {rule.memory for rule in rules}
    for index, rule in enumerate(rules):
        collects = bool(rule.memory) or (stack.several == "any" and bool(rule.ask) and rule.action != ALLOW)
        if rule.memory:
            found = [f"got += R[{index}]"]
            guard = f"all(one.memory != {rule.memory!r} for one in got)" if len(slots) > 1 else "not got"
            block = [f" if {guard}:", *(" " + line for line in _rule_lines(rule, stack, found))]
        elif collects:
            block = _rule_lines(rule, stack, [f"got += R[{index}]"])
        else:
            block = _rule_lines(rule, stack, [f"return got or R[{index}]"])
        lines += block
    lines.append(" return got")
    return "\n".join(lines) + "\n"


def _terms(rule: Rule) -> Condition:
    """All terms of a rule's own conditions, whatever they are there for."""
    return tuple(term for condition in (rule.when, *rule.unless) for term in condition)


def _rule_lines(rule: Rule, stack: Stack, found: list[str]) -> list[str]:
    """``found`` is what to do when the rule holds; a rule holds once, however many sockets it holds for."""
    code = Code(stack)
    call_terms, pair_terms = code.split(rule.when)
    excuses = [code.condition(excuse) for excuse in rule.unless]
    applies = " and ".join([*pair_terms, *(f"not ({excuse})" for excuse in excuses)]) or "True"
    guard = " and ".join(call_terms) or "True"
    lines = [f" if {guard}:"]
    if not rule.ask:
        return [*lines, f"  if {applies}:", *("   " + line for line in found)]
    among = " or ".join(f"({code.condition(one)})" for one in rule.among) or "True"
    if rule.ask == "each-address":
        return [
            *lines,
            f"  for x, r in by_address(n, e, lambda x, r: {among}):",
            f"   if {applies}:",
            *("    " + line for line in found),
            "    break",
        ]
    lines.append(f"  for x in {_candidates(code, rule, among, stack.closest)}:")
    if "r" in code.uses(applies):
        lines.append(f"   r = {code.relation(rule.space)}")
    lines += [f"   if {applies}:", *("    " + line for line in found), "    break"]
    if rule.ask == "first":
        lines.append("   break")
    return lines


def _candidates(code: Code, rule: Rule, among: str, closest: tuple[Points, ...]) -> str:
    relate = code.relation(rule.space)
    bind = f" for r in ({relate},)"
    matching = f"[x for x in e{bind if 'r' in code.uses(among) else ''} if {among}]" if among != "True" else "e"
    if rule.ask != "closest":
        return matching
    points = " + ".join(f"({row.points} if {code.condition(row.when)} else 0)" for row in closest) or "0"
    return f"sorted({matching}, key=lambda x: [{points}{bind}][0])[:1]"


class Code:
    """Conditions as Python expressions for one stack."""

    def __init__(self, stack: Stack) -> None:
        self.options: dict[str, str] = {}
        for option, bit in BITS.items():
            time = stack.options.get(option, "absent")
            for who in ("n", "x"):
                values = "at_bind" if time == "at-bind" else "ever" if time == "ever" and who == "x" else "now"
                test = f"{who}.{values} & {bit}"
                if who == "x" and option in stack.connections:
                    which = "x.connection" if stack.connections[option] == "always" else "x.connection and x.accepted"
                    test = f"({test} or {which})"
                self.options[f"{{{who}.{option}}}"] = test

    def term(self, name: str, values: tuple[str, ...]) -> str:
        expressions = [f"({vocabulary.FACTS[name].values[value]})" for value in values]
        text = expressions[0] if len(expressions) == 1 else "(" + " or ".join(expressions) + ")"
        for placeholder, test in self.options.items():
            text = text.replace(placeholder, test)
        return text

    def condition(self, condition: Condition) -> str:
        return " and ".join(self.term(name, values) for name, values in condition)

    def split(self, condition: Condition) -> tuple[list[str], list[str]]:
        """Terms about the call alone, and terms about the existing socket."""
        call: list[str] = []
        pair: list[str] = []
        for name, values in condition:
            (pair if vocabulary.FACTS[name].scope == vocabulary.EXISTING else call).append(self.term(name, values))
        return call, pair

    @staticmethod
    def uses(expression: str) -> set[str]:
        """The one-letter names in an expression."""
        names = compile(expression, "<expression>", "eval").co_names
        return {name for name in names if len(name) == 1}

    @staticmethod
    def relation(space: str) -> str:
        if space == "ipv4":
            return "relation(x.v4, n.v4)"
        if space == "ipv6":
            return "relation(x.v6, n.v6)"
        return f"relation_in({space!r}, x.v4, x.v6, n.v4, n.v6)"
