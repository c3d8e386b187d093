"""The effects of a successful call on the port: the order of its sockets, their groups, and the memory of the port.

Each is decided by the rules of one section: ``chain``, ``groups`` and ``remember``.
"""

from __future__ import annotations

from typing import cast

from bindmatrix.oracle.evaluator import Decide, Evaluator
from bindmatrix.rules.sockets import NOTHING, SCENARIO_PORT, Call, Memory, Sock, State, get, put, with_socks


class PortEffects:
    """The effects, by the rules of one model. ``moves``: whether a lookup moves the socket that it finds."""

    def __init__(self, evaluator: Evaluator, *, moves: bool) -> None:
        self.evaluator = evaluator
        self.decide = cast(Decide, evaluator.decide)
        self.sections = evaluator.model.rules.keys()
        self.moves = moves

    def chained(self, call: Call, state: State, sock: Sock, bound: Sock) -> State:
        """``state`` with ``sock`` at the end of the chain where a rule puts it, as ``bound``."""
        rules = self.decide("chain", call, bound, state)
        others = tuple(one for one in state.socks if one is not sock)
        tail = rules and rules[0].end == "tail"
        if self.moves and any(one.front for one in others):
            bound = bound._replace(front=1 + max(one.front for one in others))
        return with_socks(state, (*others, bound) if tail else (bound, *others))

    def rechained(self, call: Call, state: State, after: State, sock: Sock) -> State:
        """``after`` with the new listener where a rule of ``chain`` about listen() puts it, otherwise where it was."""
        rules = self.decide("chain", call, sock, state)
        if not rules or not any(name == "call" for name, _ in rules[0].when):
            return after
        others = tuple(one for one in after.socks if one is not sock)
        tail = rules[0].end == "tail"
        return with_socks(after, (*others, sock) if tail else (sock, *others))

    def grouped(self, call: Call, sock: Sock, before: State, after: State) -> State:
        """``after`` with ``sock`` in the group that a rule of ``groups`` about this call gives it, where one does."""
        rules = self.decide("groups", call, sock, before)
        if not rules:
            return after
        rule, done = rules[0], get(after, sock.name)
        if rule.group == "left":
            return put(after, done, done._replace(group=0))
        number = 1 + max(one.group for one in after.socks)
        if rule.group == "joined":
            # the socket that matched the rule; it may have had no group so far
            found = self.evaluator.matching(rule, call, sock, before)[0]
            if found.group:
                number = found.group
            else:
                after = put(after, found, found._replace(group=number))
        return put(after, done, done._replace(group=number))

    def remember(self, call: Call, sock: Sock, before: State, after: State) -> State:
        """``after`` with the memory of the port updated for this bind() or listen()."""
        if sock.port != SCENARIO_PORT or sock.protocol != "tcp" or "remember" not in self.sections:
            return after
        memory = before.memory
        for rule in self.decide("remember", call, sock, before):
            slot, write = rule.memory, rule.write
            if write == "keep":
                continue
            if slot == "reuseaddr":
                memory = memory._replace(reuseaddr=write)
            elif write == "nothing":
                memory = Memory(reuseaddr=memory.reuseaddr)
            else:
                memory = Memory(memory.reuseaddr, write, sock.user, sock.form, sock.v4, sock.v6)
        return after._replace(memory=memory)


def forgotten(state: State) -> State:
    """Reset the memory of the port when its last TCP socket leaves."""
    if state.memory != NOTHING and not any(
        sock.port == SCENARIO_PORT and sock.protocol == "tcp" for sock in state.socks
    ):
        return state._replace(memory=NOTHING)
    return state
