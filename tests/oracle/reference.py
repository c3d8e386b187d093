"""The reference evaluator: reads the rules one by one, the way a person would, and prepares nothing.

It exists to be compared with ``bindmatrix.oracle.evaluator``.  Each fact is stated here in its own words, from its
documentation in ``bindmatrix.rules.facts`` and not from the function there; so is who receives.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from bindmatrix.notation import OPTIONS
from bindmatrix.oracle.delivery import Delivery
from bindmatrix.rules.model import ALLOW, Condition, DeliverRule, Model, Rule
from bindmatrix.rules.sockets import BITS, Call, Sock, State, on_port, relation


class ReferenceEvaluator:
    """Decides by the rules of ``model``."""

    def __init__(self, model: Model) -> None:
        self.model = model
        self.stack = model.stack

    def decide(self, section: str, call: Call, new: Sock, state: State) -> tuple[Rule, ...]:
        """The rule that decides; several only where the file says that any of several refusals may win."""
        collected: list[Rule] = []
        for rule in self.model.rules.get(section, ()):
            if rule.memory and any(rule.memory == done.memory for done in collected):
                continue
            if not self._holds(rule, call, new, state):
                continue
            if rule.memory or (self.stack.several == "any" and rule.ask and rule.action != ALLOW):
                collected.append(rule)
            else:
                return tuple(collected) or (rule,)
        return tuple(collected)

    def matching(self, rule: Rule, call: Call, new: Sock, state: State) -> list[Sock]:
        """The existing sockets that match ``among`` of ``rule``."""
        others = [sock for sock in on_port(state, new) if not (sock.name and sock.name == new.name)]
        return [sock for sock in others if self._among(rule, call, new, sock, state)]

    def receivers(self, call: Call, destination: Sock, state: State) -> Delivery:
        """Who receives, by the first rule of ``deliver`` that holds."""
        port = sorted(on_port(state, destination), key=lambda sock: -sock.front)
        for rule in self.model.deliveries:

            def holds(
                conditions: tuple[Condition, ...], sock: Sock | None, new: Sock = destination, space: str = rule.space
            ) -> bool:
                return any(self._all(one, call, new, sock, space, state) for one in conditions)

            found = [
                sock
                for sock in port
                if self._among(rule, call, destination, sock, state) and not holds(rule.unless, sock)
            ]
            together = rule.ask == "each-address"
            if together and not (found and all(holds((rule.when,), sock) for sock in found)):
                continue
            if not together and not holds((rule.when,), None):
                continue
            pick = rule.pick
            picks = pick in ("newest", "oldest", "newest-group", "every", "one")
            if not found and (picks or rule.among):
                continue
            if not picks:
                return Delivery((rule,), word=pick)
            if pick == "every":
                return Delivery((rule,), tuple(_copies(rule, found, holds)), copies=True)
            if pick == "one":
                deaf = any(sock.is_stream and sock.state != "listening" for sock in found)
                word = "unknown" if deaf or len(found) > 1 else ""
                return Delivery((rule,), () if deaf else tuple(found), word=word)
            first = {"newest": found[0], "oldest": found[-1]}.get(pick) or max(found, key=lambda sock: sock.group)
            members = [sock for sock in found if sock is first or holds(rule.share, sock, first)]
            hearing = [sock for sock in members if not sock.is_stream or sock.state == "listening"]
            word = "" if hearing == members else rule.deaf
            moved = members[0] if rule.moves else None
            return Delivery((rule,), tuple(hearing), word=word, moved=moved)
        return Delivery(())

    def candidates(self, rule: Rule, new: Sock, state: State, call: Call) -> list[Sock]:
        """The existing sockets that the rule is about, before its ``when`` and ``unless``."""
        others = [sock for sock in on_port(state, new) if not (sock.name and sock.name == new.name)]
        if rule.ask == "each-address":
            return self._by_address(rule, new, others, state, call)
        matching = [sock for sock in others if self._among(rule, call, new, sock, state)]
        if rule.ask == "first":
            return matching[:1]
        if rule.ask == "closest" and matching:
            return [min(matching, key=lambda sock: self._points(call, new, sock, rule.space, state))]
        return matching

    def _holds(self, rule: Rule, call: Call, new: Sock, state: State) -> bool:
        if not rule.ask:
            return self._applies(rule, call, new, None, state)
        return any(self._applies(rule, call, new, sock, state) for sock in self.candidates(rule, new, state, call))

    def _applies(self, rule: Rule, call: Call, new: Sock, sock: Sock | None, state: State) -> bool:
        if not self._all(rule.when, call, new, sock, rule.space, state):
            return False
        return not any(self._all(excuse, call, new, sock, rule.space, state) for excuse in rule.unless)

    def _among(self, rule: Rule, call: Call, new: Sock, sock: Sock, state: State) -> bool:
        conditions = rule.among or ((),)
        return any(self._all(condition, call, new, sock, rule.space, state) for condition in conditions)

    def _points(self, call: Call, new: Sock, sock: Sock, space: str, state: State) -> int:
        rows = self.stack.closest
        return sum(row.points for row in rows if self._all(row.when, call, new, sock, space, state))

    def _by_address(self, rule: Rule, new: Sock, others: list[Sock], state: State, call: Call) -> list[Sock]:
        groups: dict[tuple[str, str | None], list[Sock]] = {}
        for sock in others:
            for space, value, ours in (("ipv4", sock.v4, new.v4), ("ipv6", sock.v6, new.v6)):
                if value is None or ours is None:
                    continue
                half = sock._replace(v4=value, v6=None) if space == "ipv4" else sock._replace(v4=None, v6=value)
                if self._among(replace(rule, space=space), call, new, half, state):
                    groups.setdefault((space, value), []).append(half)
        answers = []
        for members in groups.values():
            answer = members[0]._replace(connection=0)
            for option in OPTIONS:
                if not all(self._option(option, member, existing=True) for member in members):
                    keep = ~BITS[option]
                    answer = answer._replace(
                        now=answer.now & keep, at_bind=answer.at_bind & keep, ever=answer.ever & keep
                    )
                else:
                    bit = BITS[option]
                    answer = answer._replace(now=answer.now | bit, at_bind=answer.at_bind | bit, ever=answer.ever | bit)
            answers.append(answer)
        return answers

    def _all(self, condition: Condition, call: Call, new: Sock, sock: Sock | None, space: str, state: State) -> bool:
        return all(self.value(name, call, new, sock, space, state) in values for name, values in condition)

    def _option(self, option: str, sock: Sock, *, existing: bool) -> bool:
        which = self.stack.connections.get(option)
        if existing and sock.connection and (which == "always" or (which == "accepted" and sock.accepted)):
            return True
        time = self.stack.options.get(option, "absent")
        if time == "at-bind":
            bits = sock.at_bind
        elif time == "ever" and existing:
            bits = sock.ever
        else:
            bits = sock.now
        return bool(bits & BITS[option])

    def value(self, name: str, call: Call, new: Sock, sock: Sock | None, space: str, state: State) -> str:
        """The value of the fact ``name``; ``sock`` is the existing socket, None where the fact is about the new one."""
        scope, _, rest = name.partition(".")
        if rest in OPTIONS and scope != "memory":
            return _yes(self._option_fact(scope, rest, new, sock))
        if scope == "new":
            return _new_fact(rest, new, call)
        if scope in ("existing", "either"):
            if sock is None:
                raise LookupError(f"{name} without an existing socket")
            if rest.endswith("-at-bind"):
                return _yes(bool(sock.at_bind & BITS[rest.removesuffix("-at-bind")]))
            return _existing_fact(rest, new, sock, space, call)
        if scope == "memory":
            return _memory_fact(rest, new, state)
        port = on_port(state, new)
        if name == "port.empty":
            return _yes(not port)
        if name == "port.number":
            return "other" if self.model.port % 128 else "multiple-of-128"
        if name == "group.joined":
            group = new.v4 if new.v4 is not None else new.v6
            return _yes(any(group in one.joined for one in state.socks))
        if name == "port.crowded":
            return _yes(len(port) > 10)
        if name in ("port.unconnected", "port.wildcards"):
            return _counted(name, port)
        return _call_fact(name, call)

    def _option_fact(self, scope: str, option: str, new: Sock, sock: Sock | None) -> bool:
        ours = self._option(option, new, existing=False)
        if scope == "new":
            return ours
        if sock is None:
            raise LookupError(f"{scope}.{option} without an existing socket")
        theirs = self._option(option, sock, existing=True)
        if scope == "existing":
            return theirs
        return ours and theirs if scope == "both" else ours or theirs


def _counted(name: str, port: list[Sock]) -> str:
    if name == "port.wildcards":
        wildcards = [one.form for one in port if one.kind == "wildcard"]
        return "several" if len({form.replace("dual", "ipv6") for form in wildcards}) > 1 else "one"
    unconnected = [one for one in port if one.connection == 0]
    return ("none", "one", "several")[min(len(unconnected), 2)]


def _copies(rule: DeliverRule, found: list[Sock], holds: Callable[..., bool]) -> list[Sock]:
    """Who gets a copy; ``stop`` ends the list, or the list of that family."""
    if rule.order:
        found = sorted(found, key=lambda sock: sock.made, reverse=True)
    listed: list[Sock] = []
    ends: list[Sock] = []
    for sock in found:
        if not any(not rule.lists or end.family == sock.family for end in ends):
            listed.append(sock)
            if holds(rule.stop, sock):
                ends.append(sock)
    return listed


def _yes(truth: bool) -> str:
    return "yes" if truth else "no"


def _new_fact(name: str, new: Sock, call: Call) -> str:
    match name:
        case "protocol" | "family" | "form" | "state":
            return str(getattr(new, name))
        case "address":
            return new.kind
        case "needs-scope-id":
            return _yes(call.needs_scope)
        case "fits-family":
            return _yes(call.fits)
        case "to-itself":
            source, _, destination = call.ends.partition(">")
            return _yes(bool(destination) and source == destination)
        case "again":
            return _yes(call.again)
        case "bound":
            return _yes(new.port > 0)
        case "socket":
            return new.socket or new.protocol
        case "accepted" | "privileged":
            return _yes(new.accepted if name == "accepted" else not new.user)
        case "tried":
            return new.tried or "nothing"
        case "peer":
            return _peer(new)
    raise LookupError(f"new.{name}")


def _peer(sock: Sock) -> str:
    if sock.connection == 0:
        return "none"
    return {True: "remote", False: "local"}[sock.remote]


def _joined(new: Sock, sock: Sock) -> str:
    group = new.v4 if new.v4 is not None else new.v6
    if group in sock.joined:
        return "group"
    return "other" if sock.joined else "none"


def _group(new: Sock, sock: Sock) -> str:
    if not sock.group:
        return "none"
    return "same" if sock.group == new.group else "other"


def _existing_fact(name: str, new: Sock, sock: Sock, space: str, call: Call) -> str:
    match name:
        case "form" | "family" | "kind" | "state":
            return str(getattr(sock, name))
        case "address":
            return _closest_relation(new, sock, space)
        case "overlaps":
            return _yes(_closest_relation(new, sock, space) != "apart")
        case "space":
            both = sock.v4 is not None and new.v4 is not None, sock.v6 is not None and new.v6 is not None
            return "same" if any(both) else "other"
        case "same-form":
            return _yes(sock.form == new.form)
        case "joined" | "group":
            return _joined(new, sock) if name == "joined" else _group(new, sock)
        case "socket":
            return "same" if _new_fact("socket", new, call) == _new_fact("socket", sock, call) else "other"
        case "wildcard":
            return _yes("wildcard" in (new.kind, sock.kind))
        case "user":
            return "same" if sock.user == new.user else "other"
        case "privileged":
            return _yes(not sock.user)
    return _state_fact(name, sock, call)


def _state_fact(name: str, sock: Sock, call: Call) -> str:
    match name:
        case "listening":
            return _yes(sock.state == "listening")
        case "connected":
            return _yes(sock.connection > 0)
        case "same-connection":
            return _yes(sock.ends != "" and sock.ends == call.ends)
        case "accepted":
            return _yes(sock.accepted)
        case "peer":
            return _peer(sock)
        case "queued":
            return _yes(sock.queued)
        case "listener":
            if not sock.listener:
                return "none"
            return "closed" if sock.listener == "closed" else "open"
    raise LookupError(f"existing.{name}")


def _closest_relation(new: Sock, sock: Sock, space: str) -> str:
    found = []
    if space in ("any", "ipv4"):
        found.append(relation(sock.v4, new.v4))
    if space in ("any", "ipv6"):
        found.append(relation(sock.v6, new.v6))
    if space == "one":
        values = [value.removeprefix("::ffff:") for value in (sock.v4, sock.v6) if value]
        found = [relation(value, ours.removeprefix("::ffff:")) for value in values for ours in _values(new)]
    return next((one for one in ("same", "wider", "narrower") if one in found), "apart")


def _values(sock: Sock) -> list[str]:
    return [value for value in (sock.v4, sock.v6) if value]


def _memory_fact(name: str, new: Sock, state: State) -> str:
    memory = state.memory
    match name:
        case "reuseport" | "form":
            return str(getattr(memory, name))
        case "reuseaddr":
            return _yes(memory.reuseaddr == "yes")
        case "user":
            return "same" if memory.user == new.user else "other"
        case "address":
            found = [relation(memory.v4, new.v4), relation(memory.v6, new.v6)]
            return next(one for one in ("same", "wider", "narrower", "apart") if one in found)
    raise LookupError(f"memory.{name}")


def _call_fact(name: str, call: Call) -> str:
    match name:
        case "call":
            return call.kind
        case "option":
            return call.option
        case "destination":
            return call.destination
        case "destination.address":
            return call.destination_kind
        case "value":
            return str(call.value)
        case "user.now":
            return "ordinary" if call.user else "root"
        case "user.next":
            if call.next_user == call.user:
                return "same"
            return "ordinary" if call.next_user else "root"
    raise LookupError(name)
