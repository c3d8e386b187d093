"""What each call does to the sockets of a scenario, once the rules have said what it returns.

This is the part that all systems share, because the socket interface is the same: a successful bind() gives an
address, the end of a connection that closes first waits, a listener that is closed resets what was not accepted.
Everything on which systems differ is asked of the rules through ``decide``.

A step leads to one or several :class:`Branch`: several where the file says ``unknown`` or cannot tell who received a
connection.  Whoever follows a recorded run takes the branch that agrees with what was observed.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple, Protocol

from conformance.notation import Step
from conformance.oracle import delivery
from conformance.oracle.expectation import ALLOW, ANY_ERROR, REFUSE, UNKNOWN, Condition, Expectations, Rule
from conformance.oracle.ports import (
    ALL,
    ANY,
    BITS,
    NOTHING,
    OTHER_PORT,
    SCENARIO_PORT,
    Address,
    Call,
    Memory,
    Sock,
    State,
    address,
    plain,
)


class Evaluator(Protocol):
    """Decides with the rules of one release."""

    expectations: Expectations

    def holds(
        self, conditions: tuple[Condition, ...], call: Call, new: Sock, sock: Sock | None, space: str, state: State
    ) -> bool:
        """Whether one of ``conditions`` holds; none at all holds always."""

    def decide(self, section: str, call: Call, new: Sock, state: State) -> tuple[Rule, ...]:
        """The rules that decide; empty where the section is missing or none holds."""


class Branch(NamedTuple):
    """One way a step can go: ``outcome`` is ``ok``, an errno name, or ``refused`` for any error."""

    outcome: str
    rules: tuple[Rule, ...]
    state: State
    #: the outcome is not claimed: any other would do as well
    unknown: bool = False


def _api(name: str, why: str, action: str = ALLOW, error: str = "") -> tuple[Rule, ...]:
    return (Rule(id=f"api.{name}", section="api", action=action, errors=(error,) if error else (), why=why),)


#: what the socket interface itself says, on every system; these are no rules of any file
API = {
    "closed": _api("closed", "the socket is closed or was never made", REFUSE, "EBADF"),
    "absent": _api("absent-option", "the platform has no such option", REFUSE, "ENOPROTOOPT"),
    "plain": _api("plain", "nothing can go wrong here"),
    "refused": _api("nobody-listens", "no socket listens at that address", REFUSE, "ECONNREFUSED"),
    "listener": _api("listener", "a listener covers the address"),
    "queue": _api("queue", "a connection waits to be accepted"),
    "empty": _api("empty-queue", "nothing waits to be accepted", REFUSE, "timeout"),
    "end": _api("end-of-file", "the other end has closed"),
    "silent": _api("silence", "the other end is open and sends nothing", REFUSE, "timeout"),
    "reset": _api("reset", "the listener was closed before it accepted", REFUSE, "ECONNRESET"),
    "unknown": _api("not-described", "the expectation file does not describe this", UNKNOWN),
}

_TIME_WAIT_MS = 60_000


class Calls:
    """Applies steps to states, with the rules of one release of one system."""

    def __init__(self, evaluator: Evaluator) -> None:
        self.evaluator = evaluator
        self.decide = evaluator.decide
        self.stack = evaluator.expectations.stack
        self.sections = evaluator.expectations.rules.keys()
        times = self.stack.options
        #: bits worth remembering; leaving the others out lets more states be equal
        self._at_bind = sum(bit for option, bit in BITS.items() if times.get(option) == "at-bind")
        self._ever = sum(bit for option, bit in BITS.items() if times.get(option) == "ever")
        self._steps: dict[str, Callable[[State, Step], list[Branch]]] = {
            "socket": self._socket,
            "set": self._set,
            "bind": self._bind,
            "listen": self._listen,
            "connect": self._connect,
            "accept": self._accept,
            "read": self._read,
            "close": self._close,
            "user": self._user,
            "wait": self._wait,
            "join": self._join,
            "deliver": self._deliver,
            "deliver_flow": self._deliver,
        }

    def apply(self, state: State, step: Step) -> list[Branch]:
        """The ways in which ``step`` can go in ``state``."""
        if step.socket and step.kind not in ("socket", "accept") and _find(state, step.socket) is None:
            return [Branch("EBADF", API["closed"], state)]
        handler = self._steps.get(step.kind)
        return handler(state, step) if handler else [Branch("ok", API["unknown"], state, unknown=True)]

    # -- calls

    def _socket(self, state: State, step: Step) -> list[Branch]:
        protocol, family = step.what[:-1], "ipv6" if step.what.endswith("6") else "ipv4"
        v6only = BITS["v6only"] if family == "ipv6" and self.stack.v6only_default else 0
        sock = Sock(step.socket, protocol, family, state.user, now=v6only)
        return [Branch("ok", API["plain"], state._replace(socks=(*state.socks, sock)))]

    def _set(self, state: State, step: Step) -> list[Branch]:
        sock = _get(state, step.socket)
        if self.stack.options.get(step.what) == "absent":
            return [Branch("ENOPROTOOPT", API["absent"], state)]
        call = Call("set", state.user, step.what, step.value)
        bit = BITS[step.what]
        now = sock.now | bit if step.value else sock.now & ~bit
        ever = (sock.ever | now if sock.port else now) & self._ever
        at_bind = sock.at_bind if sock.port else now & self._at_bind
        done = sock._replace(now=now, at_bind=at_bind, ever=ever)
        return self._branches(self.decide("set", call, sock, state), state, _put(state, sock, done))

    def _bind(self, state: State, step: Step) -> list[Branch]:
        sock = _get(state, step.socket)
        at = address(step.address, self.stack.local)
        new = self._addressed(sock, at)
        call = Call("bind", state.user, needs_scope=at.needs_scope, fits=_fits(sock, at))
        if not call.fits:
            return self._refusals(self.decide("bind", call, new, state), state)
        if step.value:
            rules = self.decide("bind", call, new, _elsewhere(state))
            done = _put(state, sock, new._replace(port=OTHER_PORT, state="bound"))
        else:
            rules = self.decide("bind", call, new, state)
            bound = new._replace(port=SCENARIO_PORT, state="bound")
            done = self._remember(call, bound, state, self._chained(call, state, sock, bound))
        return self._branches(rules, state, done)

    def _listen(self, state: State, step: Step) -> list[Branch]:
        sock = _get(state, step.socket)
        call = Call("listen", state.user)
        rules = self.decide("listen", call, sock, state if sock.port == SCENARIO_PORT else _elsewhere(state))
        done = sock._replace(state="listening", port=sock.port or OTHER_PORT)
        after = _put(state, sock, done)
        if done.port == SCENARIO_PORT and sock.state != "listening":
            after = self._rechained(call, state, after, done)
            after = self._remember(call, done, after, after)
        refused = state
        if any(rule.effect.get("then") == "dead" for rule in rules):
            dead = sock._replace(state="dead", port=OTHER_PORT)
            refused = self._forget(_put(state, sock, dead))
        return self._branches(rules, refused, after)

    def _connect(self, state: State, step: Step) -> list[Branch]:
        sock = _get(state, step.socket)
        at = address(step.address, self.stack.local)
        destination = "ipv6" if at.form == "dual" else at.form
        call = Call("connect", state.user, fits=_fits(sock, at), destination=destination, ends=_ends(sock, at))
        rules = self.decide("connect", call, sock, state)
        if rules and rules[0].action != ALLOW:
            refused = state
            if not sock.port and any(rule.effect.get("then") == "autobound" for rule in rules):
                refused = _put(state, sock, sock._replace(port=OTHER_PORT, state="bound"))
            return self._branches(rules, refused, state)
        if at.kind != "specific" or sock.state not in ("open", "bound") or not call.fits:
            return [Branch("ok", API["unknown"], state, unknown=True)]
        number = 1 + max(one.connection for one in state.socks)
        done = self._connected(sock, at, number)
        if sock.protocol == "udp":
            return [Branch("ok", rules or API["plain"], self._put_connected(state, sock, done))]
        return self._offer(state, sock, done, at, number)

    def _offer(self, state: State, sock: Sock, done: Sock, at: Address, number: int) -> list[Branch]:
        """A TCP connection looks for a listener."""
        if "deliver" in self.sections:
            return self._delivered(state, sock, done, at, number)
        covering = [
            one for one in state.socks if one.port == SCENARIO_PORT and one.protocol == "tcp" and _receives(one, at)
        ]
        listeners = [one for one in covering if one.state == "listening"]
        # a socket that is bound and does not listen swallows or refuses connections on some systems
        deaf = [one for one in covering if one.state == "bound"]
        if not listeners and not deaf:
            return [Branch("ECONNREFUSED", API["refused"], _put(state, sock, self._failed(sock, sock.state, "dead")))]
        branches = [
            Branch("ok", API["listener"], self._established(state, sock, done, listener, at, number), bool(deaf))
            for listener in listeners
        ]
        if deaf:
            branches.append(Branch(ANY_ERROR, API["unknown"], state, unknown=True))
        return branches

    def _delivered(self, state: State, sock: Sock, done: Sock, at: Address, number: int) -> list[Branch]:
        """A TCP connection goes where the rules of ``deliver`` say."""
        others = state._replace(socks=tuple([one for one in state.socks if one is not sock]))
        found = delivery.receivers(self.evaluator, Call("deliver", state.user), delivery.target("tcp", at), others)
        rules = found.rules or API["unknown"]
        branches = [
            Branch("ok", rules, self._established(state, sock, done, listener, at, number))
            for listener in found.receivers
        ]
        failed = _put(state, sock, self._failed(sock, sock.state, "dead"))
        if found.word == "unknown" or not found.rules:
            # whoever listens there may get it
            return [
                Branch("ok", rules, _put(state, sock, done), unknown=True),
                Branch(ANY_ERROR, rules, failed, unknown=True),
            ]
        if found.word:
            branches.append(Branch({"refused": "ECONNREFUSED"}.get(found.word, found.word), rules, failed))
        return branches

    def _established(self, state: State, sock: Sock, done: Sock, listener: Sock, at: Address, number: int) -> State:
        """``state`` once ``listener`` has the connection: its end waits in the queue."""
        child = self._child(listener, at, number)._replace(ends=">".join(reversed(done.ends.split(">"))))
        after = self._put_connected(state, sock, done)
        return after._replace(socks=(child, *after.socks))

    def _deliver(self, state: State, step: Step) -> list[Branch]:
        at = address(step.address, self.stack.local)
        protocol = "tcp" if any(sock.name and sock.protocol == "tcp" for sock in state.socks) else "udp"
        found = delivery.receivers(self.evaluator, Call(step.kind, state.user), delivery.target(protocol, at), state)
        expected = found.expected(flow=step.kind == "deliver_flow")
        if expected is None:
            return [Branch("ok", found.rules or API["unknown"], state, unknown=True)]
        classes = expected if isinstance(expected, tuple) else (expected,)
        return [Branch(one, found.rules, state) for one in classes]

    def _join(self, state: State, step: Step) -> list[Branch]:
        sock = _get(state, step.socket)
        if sock.protocol != "udp" or step.address in sock.joined:
            return [Branch("ok", API["unknown"], state, unknown=True)]
        return [Branch("ok", API["plain"], _put(state, sock, sock._replace(joined=(*sock.joined, step.address))))]

    def _accept(self, state: State, step: Step) -> list[Branch]:
        listener = _find(state, step.what)
        if listener is None:
            return [Branch("EBADF", API["closed"], state)]
        if listener.state != "listening":
            rules = self.decide("accept", Call("accept", state.user), listener, state)
            return self._branches(rules, state, state)
        waiting = [one for one in state.socks if one.queued and one.listener == step.what]
        if not waiting:
            return [Branch("timeout", API["empty"], state)]
        child = waiting[-1]
        return [Branch("ok", API["queue"], _put(state, child, child._replace(name=step.socket, queued=False)))]

    def _read(self, state: State, step: Step) -> list[Branch]:
        sock = _get(state, step.socket)
        if sock.state == "close-wait":
            return [Branch("ok", API["end"], state)]
        if sock.state == "reset":
            return [Branch("ECONNRESET", API["reset"], state)]
        if sock.state == "connected" and sock.protocol == "tcp":
            return [Branch("timeout", API["silent"], state)]
        return [Branch("ok", API["unknown"], state, unknown=True)]

    def _user(self, state: State, step: Step) -> list[Branch]:
        call = Call("user", state.user, next_user=step.value)
        nobody = Sock("", "", "", state.user)
        rules = self.decide("user", call, nobody, state) or API["plain"]
        return self._branches(rules, state, state._replace(user=step.value))

    def _wait(self, state: State, step: Step) -> list[Branch]:
        socks = [
            sock._replace(left=sock.left - step.value) if sock.left else sock
            for sock in state.socks
            if not sock.left or sock.left > step.value
        ]
        return [Branch("ok", API["plain"], self._forget(state._replace(socks=tuple(socks))))]

    def _close(self, state: State, step: Step) -> list[Branch]:
        sock = _get(state, step.socket)
        socks: list[Sock] = []
        for one in state.socks:
            if one is sock:
                socks += _left_behind(sock)
            elif one.queued and one.listener == step.socket:
                continue
            elif one.accepted and one.listener == step.socket:
                socks.append(one._replace(listener="closed"))
            elif one.connection and self._was_reset(one, sock, state):
                if one.name:
                    socks.append(self._failed(one, "reset", "reset"))
            elif sock.connection and one.connection == sock.connection and sock.protocol == "tcp":
                socks += self._other_end(one, state)
            else:
                socks.append(one)
        return [Branch("ok", API["plain"], self._forget(state._replace(socks=tuple(socks))))]

    # -- the life of a connection

    @staticmethod
    def _was_reset(one: Sock, closed: Sock, state: State) -> bool:
        """Whether ``one`` is the client of a connection that waits in the queue of the listener being closed."""
        return any(
            other.queued and other.listener == closed.name and other.connection == one.connection
            for other in state.socks
        )

    def _other_end(self, one: Sock, state: State) -> list[Sock]:
        """What becomes of the other end of a TCP connection when one end is closed."""
        if one.state == "connected":
            return [one._replace(state="close-wait")]
        if one.state != "fin-wait":
            return [one]
        waiting = one._replace(state="time-wait", left=_TIME_WAIT_MS)
        rules = self.decide("time-wait", Call("close", state.user), waiting, state)
        if not rules:
            return [waiting]
        effect = rules[0].effect
        if effect["leaves"] == "nothing":
            return []
        return [waiting._replace(left=int(effect.get("milliseconds", _TIME_WAIT_MS)))]

    def _failed(self, sock: Sock, kept: str, lost: str) -> Sock:
        """A client whose connection came to nothing: in state ``kept``, or ``lost`` and without its port."""
        if self.stack.reset == "loses":
            return sock._replace(state=lost, connection=0, ends="", port=OTHER_PORT)
        return sock._replace(state=kept, connection=0, ends="")

    def _put_connected(self, state: State, sock: Sock, done: Sock) -> State:
        if self.stack.newest == "bind":
            return _put(state, sock, done)
        return state._replace(socks=(done, *[one for one in state.socks if one is not sock]))

    def _connected(self, sock: Sock, at: Address, number: int) -> Sock:
        """``sock`` as the client end of connection ``number`` to ``at``."""
        port = sock.port or OTHER_PORT
        done = sock._replace(state="connected", connection=number, port=port, ends=_ends(sock, at))
        if sock.port != SCENARIO_PORT:
            return done
        if self.stack.connect == "keeps":
            return _in_space(done, at, ANY if sock.kind == "wildcard" else plain(sock.v4 or sock.v6))
        if sock.kind != "wildcard":
            return done
        own = self.stack.source if at.form != "ipv6" else ""
        return self._narrowed(done, at._replace(value=own or at.value))

    def _narrowed(self, sock: Sock, at: Address) -> Sock:
        """``sock``, bound to a wildcard, once a connection gave it the one address ``at``."""
        value = at.value
        if at.form == "ipv6":
            v4 = self.stack.connected_dual or None if sock.form == "dual" else None
            return sock._replace(kind="specific", v4=v4, v6=value, form="dual" if v4 else "ipv6")
        form = "ipv4" if sock.family == "ipv4" else "mapped"
        spaces = self.stack.occupies[sock.protocol][form]
        v6 = f"::ffff:{value}" if "ipv6" in spaces else None
        return sock._replace(kind="specific", form=form, v4=value if "ipv4" in spaces else None, v6=v6)

    def _child(self, listener: Sock, at: Address, number: int) -> Sock:
        """The server's end of a connection to ``at``."""
        child = listener._replace(
            name="", state="connected", connection=number, accepted=True, listener=listener.name, queued=True
        )
        keep = sum(BITS[option] for option in self.stack.inherits)
        child = child._replace(now=child.now & keep, at_bind=child.at_bind & keep, ever=child.ever & keep)
        if self.stack.children == "wildcard":
            return _in_space(child._replace(kind="wildcard"), at, ANY)
        return self._narrowed(child, at) if listener.kind == "wildcard" else child

    # -- helpers

    def _addressed(self, sock: Sock, at: Address) -> Sock:
        """``sock`` with the address ``at``, as bind() looks at it."""
        form = "ipv6" if at.form == "dual" and sock.now & BITS["v6only"] else at.form
        spaces = self.stack.occupies[sock.protocol][form]
        value = ALL if form == "dual" and self.stack.dual == "wider" else at.value
        v6 = value
        if form == "mapped":
            # where mapped addresses live in the IPv6 space, their wildcard is another one than `::`
            v6 = ALL if at.value == ANY else f"::ffff:{at.value}"
        return sock._replace(
            form=form,
            kind=at.kind,
            v4=value if "ipv4" in spaces else None,
            v6=v6 if "ipv6" in spaces else None,
            at_bind=sock.now & self._at_bind,
        )

    def _chained(self, call: Call, state: State, sock: Sock, bound: Sock) -> State:
        rules = self.decide("chain", call, bound, state)
        others = tuple(one for one in state.socks if one is not sock)
        tail = rules and rules[0].effect["place"] == "tail"
        return state._replace(socks=(*others, bound) if tail else (bound, *others))

    def _rechained(self, call: Call, state: State, after: State, sock: Sock) -> State:
        """``after`` with a new listener where a rule of ``chain`` about listen() puts it; else where it was."""
        rules = self.decide("chain", call, sock, state)
        if not rules or not any(name == "call" for name, _ in rules[0].when):
            return after
        others = tuple(one for one in after.socks if one is not sock)
        tail = rules[0].effect["place"] == "tail"
        return after._replace(socks=(*others, sock) if tail else (sock, *others))

    def _remember(self, call: Call, sock: Sock, before: State, after: State) -> State:
        """``after`` with what the port remembers of this bind() or listen()."""
        if sock.port != SCENARIO_PORT or sock.protocol != "tcp" or "remember" not in self.sections:
            return after
        memory = before.memory
        for rule in self.decide("remember", call, sock, before):
            slot, write = rule.effect["memory"], rule.effect["write"]
            if write == "keep":
                continue
            if slot == "reuseaddr":
                memory = memory._replace(reuseaddr=write)
            elif write == "nothing":
                memory = Memory(reuseaddr=memory.reuseaddr)
            else:
                memory = Memory(memory.reuseaddr, write, sock.user, sock.form, sock.v4, sock.v6)
        return after._replace(memory=memory)

    def _forget(self, state: State) -> State:
        """A port that nobody has remembers nothing."""
        if state.memory != NOTHING and not any(
            sock.port == SCENARIO_PORT and sock.protocol == "tcp" for sock in state.socks
        ):
            return state._replace(memory=NOTHING)
        return state

    def _refusals(self, rules: tuple[Rule, ...], state: State) -> list[Branch]:
        """The branches of a call that cannot succeed: a file that allows it has only not thought of it."""
        if rules and all(rule.action == REFUSE for rule in rules):
            return self._branches(rules, state, state)
        return [Branch("ok", API["unknown"], state, unknown=True)]

    def _branches(self, rules: tuple[Rule, ...], refused: State, done: State) -> list[Branch]:
        """One branch where the rules say what happens, two where they do not."""
        if not rules:
            rules = API["unknown"]
        if any(rule.action == UNKNOWN for rule in rules):
            if any(rule.action == REFUSE for rule in rules):
                return [Branch(ANY_ERROR, rules, refused)]
            return [Branch("ok", rules, done, unknown=True), Branch(ANY_ERROR, rules, refused, unknown=True)]
        if rules[0].action == ALLOW:
            return [Branch("ok", rules, done)]
        errors = sorted({error for rule in rules for error in rule.errors})
        return [Branch(error, rules, refused) for error in errors]


def _find(state: State, name: str) -> Sock | None:
    for sock in state.socks:
        if sock.name == name:
            return sock
    return None


def _get(state: State, name: str) -> Sock:
    sock = _find(state, name)
    if sock is None:
        raise LookupError(name)
    return sock


def _fits(sock: Sock, at: Address) -> bool:
    return (at.form == "ipv4") == (sock.family == "ipv4")


def _ends(sock: Sock, at: Address) -> str:
    """The two ends of a connection of ``sock`` to ``at`` where both are on the scenario's port, else ""."""
    if sock.port != SCENARIO_PORT or at.kind != "specific":
        return ""
    own = at.value if sock.kind == "wildcard" else plain(sock.v4 or sock.v6)
    return f"{own}>{at.value}"


def _elsewhere(state: State) -> State:
    """``state`` as a call on another port sees it: only rules about the new socket alone can decide."""
    return state._replace(socks=tuple([sock for sock in state.socks if sock.port != SCENARIO_PORT]))


def _put(state: State, old: Sock, new: Sock) -> State:
    """``state`` with ``new`` in the place of ``old``."""
    return state._replace(socks=tuple([new if sock is old else sock for sock in state.socks]))


def _in_space(sock: Sock, at: Address, value: str | None) -> Sock:
    """``sock`` with the address ``value`` in the space of ``at`` alone."""
    if at.form == "ipv6":
        return sock._replace(form="ipv6", v4=None, v6=value)
    return sock._replace(form="ipv4", v4=value, v6=None)


def _receives(sock: Sock, at: Address) -> bool:
    """Whether a packet to ``at`` may find ``sock``, by its address and family alone."""
    wanted = ("ipv6", "dual") if at.form == "ipv6" else ("ipv4", "mapped", "dual")
    if sock.form not in wanted:
        return False
    own = sock.v6 if at.form == "ipv6" else sock.v4 or (sock.v6 or "").removeprefix("::ffff:")
    return sock.kind == "wildcard" or own == at.value


def _left_behind(sock: Sock) -> list[Sock]:
    """What stays on the port of a socket that is closed: the end that closes first waits for the other one."""
    if sock.state == "connected" and sock.protocol == "tcp" and sock.port == SCENARIO_PORT:
        return [sock._replace(name="", state="fin-wait")]
    return []
