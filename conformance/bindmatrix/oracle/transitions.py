"""What each call does to the sockets of a scenario, after the rules have decided what it returns.

This part is the same on all systems, because the socket interface is the same: a successful bind() gives an address,
the end of a connection that closes first enters TIME_WAIT, closing a listener resets connections that were not
accepted. Everything that differs between systems is decided by the rules, through ``decide``.

A step leads to one or more :class:`Branch`: more than one if the file says ``unknown`` or if the receiver of a
connection is not known. Following a recorded run keeps the branches that agree with the observed outcomes. The branches
of an unknown outcome lead to every state that any rule of the section may leave (``unknown.py``).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import cast

from bindmatrix.notation import REMOTE, SOCKET_KINDS, Step
from bindmatrix.oracle.arrivals import Arrivals
from bindmatrix.oracle.branches import ANYTHING, API, Branch
from bindmatrix.oracle.connections import Connections, to_itself
from bindmatrix.oracle.evaluator import Decide, Evaluator
from bindmatrix.oracle.layout import Layout
from bindmatrix.oracle.port_effects import PortEffects, forgotten
from bindmatrix.oracle.unknown import beside, failures, lost, not_described, reason
from bindmatrix.outcomes import ANY_ERROR
from bindmatrix.rules.model import ALLOW, REFUSE, UNKNOWN, CallRule, SocketProfile
from bindmatrix.rules.sockets import (
    ALL,
    ANY,
    BITS,
    NO_PORT,
    OTHER_PORT,
    SCENARIO_PORT,
    Address,
    Call,
    Sock,
    State,
    address,
    find,
    get,
    put,
    with_socks,
)


class Transitions:
    """Applies steps to states, with the rules of one release of one system."""

    def __init__(self, evaluator: Evaluator) -> None:
        self.evaluator = evaluator
        self.decide = cast(Decide, evaluator.decide)
        self.stack = evaluator.model.stack
        self.connections = Connections(evaluator)
        self.arrivals = Arrivals(evaluator, self.connections)
        self._at_bind, self._ever, moves, self._counts_sockets, self._leaves = Layout.of(evaluator.model)
        self.effects = PortEffects(evaluator, moves=moves)

    def apply(self, state: State, step: Step) -> list[Branch]:
        """The possible results of ``step`` in ``state``."""
        sock = find(state, step.what if step.kind == "accept" else step.socket)
        if step.socket and step.kind != "socket" and sock is None:
            return [Branch("EBADF", API["closed"], state)]
        if step.kind not in ("socket", "user", "wait"):
            why = reason(state)
            if why:
                return beside(state, step, why)
            if step.kind not in _ABROAD and sock is not None and sock.protocol == REMOTE:
                return [Branch(ANYTHING, API["abroad"], state, unknown=True)]
        return _HANDLERS[step.kind](self, state, step)

    # -- calls

    def _socket(self, state: State, step: Step) -> list[Branch]:
        kind = SOCKET_KINDS[step.what]
        family = kind.family
        plain = kind.protocol in ("tcp", "udp", REMOTE)
        protocol, ports, *_ = self.stack.sockets.get(kind.protocol, SocketProfile(kind.protocol if plain else ""))
        v6only = BITS["v6only"] if family == "ipv6" and self.stack.v6only_default else 0
        made = 1 + max([0, *[one.made for one in state.socks]]) if self._counts_sockets else 0
        sock = Sock(step.socket, protocol, family, state.user, now=v6only, made=made)
        if not plain or kind.protocol in self.stack.sockets:
            sock = sock._replace(socket=kind.protocol, ports=kind.protocol if ports == "own" else "")
            rules = self.decide("socket", Call("socket", state.user), sock, state)
            if kind.protocol not in self.stack.sockets and not any(rule.action == REFUSE for rule in rules):
                return not_described(lost(state, "kind", made=step.socket), state, rules=API["kind"])
            return self._branches(rules or API["plain"], [state], with_socks(state, (*state.socks, sock)))
        return [Branch("ok", API["plain"], with_socks(state, (*state.socks, sock)))]

    def _set(self, state: State, step: Step) -> list[Branch]:
        sock = get(state, step.socket)
        if self.stack.options.get(step.what) == "absent":
            return [Branch("ENOPROTOOPT", API["absent"], state)]
        call = Call("set", state.user, step.what, step.value, ends=sock.ends)
        bit = BITS[step.what]
        now = sock.now | bit if step.value else sock.now & ~bit
        ever = (sock.ever | now if sock.port else now) & self._ever
        at_bind = sock.at_bind if sock.port else now & self._at_bind
        done = sock.with_options(now, at_bind, ever)
        return self._branches(self.decide("set", call, sock, state), [state], put(state, sock, done))

    def _bind(self, state: State, step: Step) -> list[Branch]:
        sock = get(state, step.socket)
        at = self._bind_address(sock, step.address)
        new = self._addressed(sock, at)
        again = sock.port == SCENARIO_PORT and (sock.form, sock.v4, sock.v6) == (new.form, new.v4, new.v6)
        call = Call("bind", state.user, needs_scope=at.needs_scope, fits=_fits(sock, at), again=again, ends=sock.ends)
        if not call.fits:
            return self._refusals(self.decide("bind", call, new, state), state)
        rules = self.decide("bind", call, new, _elsewhere(state) if step.value else state)
        tried = sock.tried or ("dual" if new.form == "dual" else "")
        if at.kind != "wildcard":
            tried = "ipv6" if at.form == "ipv6" else "ipv4"
        left = self._left(
            "bind",
            rules,
            state,
            tried=lambda: put(state, sock, sock._replace(tried=tried)),
            lost=lambda: lost(state, "lost"),
        )
        if _fails(rules):
            return self._branches(rules, left, state)
        if _loses(rules):
            return self._branches(rules, left, lost(state, "lost"))
        if step.value:
            return self._branches(rules, left, put(state, sock, new._replace(port=OTHER_PORT, state="bound")))
        # a Unix socket may get a name when it is connected already
        state_after = sock.state if sock.connection else "bound"
        kept = "dual" if sock.tried == "dual" else ""  # a stack that keeps this keeps it for the life of the socket
        bound = new._replace(port=SCENARIO_PORT, state=state_after, tried=kept)
        done = self.effects.remember(call, bound, state, self.effects.chained(call, state, sock, bound))
        return self._branches(rules, left, self.effects.grouped(call, bound, state, done))

    def _listen(self, state: State, step: Step) -> list[Branch]:
        sock = get(state, step.socket)
        call = Call("listen", state.user)
        seen = state if sock.port == SCENARIO_PORT else _elsewhere(state)
        if sock.port == NO_PORT and self.stack.unbound_listen == "zero":
            seen = _on_port_zero(state)
        rules = self.decide("listen", call, sock, seen)
        left = self._left(
            "listen",
            rules,
            state,
            dead=lambda: forgotten(put(state, sock, sock._replace(state="dead", port=OTHER_PORT))),
        )
        if _fails(rules):
            return self._branches(rules, left, state)
        done = sock._replace(state="listening", port=sock.port or OTHER_PORT)
        after = put(state, sock, done)
        if done.port == SCENARIO_PORT and sock.state != "listening":
            after = self.effects.rechained(call, state, after, done)
            after = self.effects.remember(call, done, after, after)
            after = self.effects.grouped(call, done, state, after)
        return self._branches(rules, left, after)

    def _connect(self, state: State, step: Step) -> list[Branch]:
        sock = get(state, step.socket)
        asked = address(step.address, self.stack.local)
        at = self.connections.destination(sock, asked)
        if sock.protocol == REMOTE:
            return self._connected(state, step, at, Call("connect", state.user, fits=_fits(sock, at)), (), set())
        both = self.connections.ends(sock, at)
        again = sock.port == SCENARIO_PORT and (sock.form, sock.v4, sock.v6) == (at.form, at.value, None)
        call = Call("connect", state.user, fits=_fits(sock, at), again=again, destination=at.form, ends=both)
        call = call._replace(destination_kind=asked.kind)
        rules = self.decide("connect", call, sock, state)
        if _loses(rules) and rules[0].action != ALLOW:
            gone = lost(state, "lost")
            return self._branches(rules, [gone], gone)
        left = self._left(
            "connect",
            rules,
            state,
            autobound=lambda: _autobound(state, sock),
            tried=lambda: put(state, sock, sock._replace(tried="ipv6" if at.form == "ipv6" else "ipv4")),
            lost=lambda: lost(state, "lost"),
        )
        if _fails(rules):
            return self._branches(rules, left, state)
        foreseen = {name for rule in rules for name, _ in rule.when}
        if not any(rule.action == UNKNOWN for rule in rules):
            return self._connected(left[0], step, at, call, rules, foreseen)
        ways = [
            branch._replace(unknown=True)
            for one in left
            for branch in self._connected(one, step, at, call, rules, foreseen)
        ]
        return [*ways, *failures(left, rules)]

    def _connected(
        self, state: State, step: Step, at: Address, call: Call, rules: tuple[CallRule, ...], foreseen: set[str]
    ) -> list[Branch]:
        """A connect() that no rule refuses: it needs a receiver."""
        sock = get(state, step.socket)
        failed = put(state, sock, self.connections.failed(sock, sock.state, "dead"))
        fits = call.fits or "new.fits-family" in foreseen
        # a datagram socket may be connected to a broadcast address of the host's networks, where a rule says so
        broadcast = at.kind == "broadcast" and at.own and not sock.is_stream and "destination.address" in foreseen
        if (
            sock.family == "ipv4"
            and not sock.is_stream
            and sock.state == "connected"
            and at.kind == "specific"
            and fits
        ):
            # what the second connect() makes of the socket's own address is not modelled
            return [Branch("ok", API["again"], lost(state))]
        if not (at.kind == "specific" or broadcast) or sock.state not in ("open", "bound") or not fits:
            return not_described(lost(state), state, failed, _autobound(state, sock))
        number = 1 + max(one.connection for one in state.socks)
        done = self.connections.connected(sock, at, number)
        if not sock.is_stream and sock.family != "unix":
            after = self.connections.put_connected(state, sock, done)
            # rules of groups look at sockets only, not at the address of the call
            asked = call._replace(fits=True)
            return [Branch("ok", rules or API["plain"], self.effects.grouped(asked, sock, state, after))]
        if to_itself(call.ends):
            if "new.to-itself" not in foreseen:
                return not_described(lost(state), state, failed)
            return [Branch("ok", rules, self.connections.put_connected(state, sock, done))]
        return self.arrivals.offer(state, sock, done, at, number)

    def _join(self, state: State, step: Step) -> list[Branch]:
        sock = get(state, step.socket)
        done = put(state, sock, sock._replace(joined=(*sock.joined, step.address)))
        if step.address in sock.joined:
            return [Branch(ANYTHING, API["unknown"], state, unknown=True)]
        if sock.protocol != "udp" or (":" in step.address) != (sock.family == "ipv6"):
            # an AF_INET6 socket takes IPv4 options on some systems
            return not_described(done, state)
        return [Branch("ok", API["plain"], done)]

    def _accept(self, state: State, step: Step) -> list[Branch]:
        listener = get(state, step.what)
        if listener.state != "listening":
            rules = self.decide("accept", Call("accept", state.user), listener, state)
            return self._branches(rules, [state], lost(state, made=step.socket))
        waiting = [one for one in state.socks if one.queued and one.listener == step.what]
        if not waiting:
            return [Branch("timeout", API["empty"], state)]
        child = waiting[-1]
        user = state.user if self.stack.owner == "acceptor" else child.user
        return [
            Branch("ok", API["queue"], put(state, child, child._replace(name=step.socket, queued=False, user=user)))
        ]

    def _read(self, state: State, step: Step) -> list[Branch]:
        sock = get(state, step.socket)
        if sock.state == "close-wait":
            return [Branch("ok", API["end"], state)]
        if sock.state == "reset" and self.stack.reset_told == "yes":
            return [Branch("ECONNRESET", API["reset"], state)]
        if sock.state == "connected" and sock.is_stream:
            return [Branch("timeout", API["silent"], state)]
        # if a refused client stays usable, its state does not tell that it tried, and read() may fail in another way
        tried = sock.state != "listening" and self.stack.reset == "keeps"
        if sock.state in ("open", "bound", "listening") and sock.protocol == "tcp" and not tried:
            return [Branch("ENOTCONN", API["unconnected"], state)]
        return [Branch(ANYTHING, API["unknown"], state, unknown=True)]

    def _user(self, state: State, step: Step) -> list[Branch]:
        call = Call("user", state.user, next_user=step.value)
        nobody = Sock("", "", "", state.user)
        rules = self.decide("user", call, nobody, state) or API["plain"]
        return self._branches(rules, [state], state._replace(user=step.value))

    def _wait(self, state: State, step: Step) -> list[Branch]:
        socks = [
            sock._replace(left=sock.left - step.value) if sock.left else sock
            for sock in state.socks
            if not sock.left or sock.left > step.value
        ]
        return [Branch("ok", API["plain"], forgotten(with_socks(state, tuple(socks))))]

    def _close(self, state: State, step: Step) -> list[Branch]:
        sock = get(state, step.socket)
        done = self.connections.closed(sock, state)
        if self.connections.closes_later(sock, state):
            done = lost(done, "later")
        return [Branch("ok", API["plain"], forgotten(done))]

    def _deliver(self, state: State, step: Step) -> list[Branch]:
        return self.arrivals.deliver(state, step)

    # -- helpers

    def _bind_address(self, sock: Sock, text: str) -> Address:
        """The address that bind() of ``sock`` to ``text`` is about."""
        at = address(text, self.stack.local)
        for row in self.stack.becomes_wildcard:
            if sock.family == at.form == "ipv4" and sock.protocol == row.protocol and at.kind != "wildcard":
                return at if address(text, row.networks).own else address("0.0.0.0", self.stack.local)
        return at

    def _addressed(self, sock: Sock, at: Address) -> Sock:
        """``sock`` with the address ``at``, as bind() looks at it."""
        form = "ipv6" if at.form == "dual" and sock.now & BITS["v6only"] else at.form
        if form in ("path", "abstract", "cid"):
            at_bind = sock.now & self._at_bind
            return sock._replace(form=form, kind=at.kind, v4=at.value, v6=None, at_bind=at_bind)
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

    def _left(
        self, section: str, rules: tuple[CallRule, ...], state: State, **variants: Callable[[], State]
    ) -> list[State]:
        """The states that a failing call may leave: the one that the rules name (``then``), or any that a rule of the
        section names if the outcome is unknown.

        ``variants`` make the state for each word of ``then``.
        """
        if any(rule.action == UNKNOWN for rule in rules) or not rules:
            return [state, *[variants[word]() for word in sorted(self._leaves.get(section, ())) if word in variants]]
        return [next((variants[rule.then]() for rule in rules if rule.then in variants), state)]

    def _refusals(self, rules: tuple[CallRule, ...], state: State) -> list[Branch]:
        """The branches of a call that cannot succeed, even if a file allows it."""
        if rules and all(rule.action == REFUSE for rule in rules):
            return self._branches(rules, [state], state)
        return not_described(lost(state), state)

    def _branches(self, rules: tuple[CallRule, ...], refused: list[State], done: State) -> list[Branch]:
        """The branches of a call that succeeds with ``done`` or fails with one of ``refused``, as ``rules`` decide."""
        if len(rules) == 1 and rules[0].action == ALLOW:
            return [Branch("ok", rules, done)]
        if not rules:
            rules = API["unknown"]
        if any(rule.action == UNKNOWN for rule in rules):
            if _fails(rules):
                return [Branch(ANY_ERROR, rules, state) for state in refused]
            return [Branch("ok", rules, done, unknown=True), *failures(refused, rules)]
        if rules[0].action == ALLOW:
            return [Branch("ok", rules, done)]
        errors = sorted({error for rule in rules for error in rule.errors})
        return [Branch(error, rules, refused[0]) for error in errors]


#: what a socket of another host can do
_ABROAD = ("socket", "connect", "read", "close")

#: functions, not bound methods: a table of those in ``self`` would be a cycle, which only the garbage collector frees
_HANDLERS: dict[str, Callable[[Transitions, State, Step], list[Branch]]] = {
    "socket": Transitions._socket,
    "set": Transitions._set,
    "bind": Transitions._bind,
    "listen": Transitions._listen,
    "connect": Transitions._connect,
    "accept": Transitions._accept,
    "read": Transitions._read,
    "close": Transitions._close,
    "user": Transitions._user,
    "wait": Transitions._wait,
    "join": Transitions._join,
    "deliver": Transitions._deliver,
    "deliver_flow": Transitions._deliver,
}


def _fails(rules: tuple[CallRule, ...]) -> bool:
    """Whether the call cannot succeed: the first rule refuses it."""
    return bool(rules) and rules[0].action == REFUSE


def _loses(rules: tuple[CallRule, ...]) -> bool:
    """Whether the kernel's record of the port becomes inconsistent, so that nothing after it is described."""
    return any(rule.then == "lost" for rule in rules)


def _autobound(state: State, sock: Sock) -> State:
    return state if sock.port else put(state, sock, sock._replace(port=OTHER_PORT, state="bound"))


def _fits(sock: Sock, at: Address) -> bool:
    return (at.form == "ipv4") == (sock.family == "ipv4")


def _on_port_zero(state: State) -> State:
    """``state`` for a listen() on port 0: only sockets that listen without an address are on that port."""
    others = [sock for sock in state.socks if sock.state == "listening" and not sock.kind]
    return with_socks(state, tuple([sock._replace(port=SCENARIO_PORT) for sock in others]))


def _elsewhere(state: State) -> State:
    """``state`` for a call on another port: no socket is on it, so only rules about the new socket alone can decide."""
    return with_socks(state, tuple([sock for sock in state.socks if sock.port != SCENARIO_PORT]))
