"""Which socket receives a connection or a datagram that arrives at the port.

If the file has rules of ``deliver``, they decide. Otherwise any listener that covers the address may receive a
connection, and nothing is known about datagrams.
"""

from __future__ import annotations

from bindmatrix.notation import REMOTE, Step, addresses_of
from bindmatrix.oracle import delivery
from bindmatrix.oracle.branches import ANYTHING, API, Branch
from bindmatrix.oracle.connections import Connections, receives
from bindmatrix.oracle.delivery import Delivery
from bindmatrix.oracle.evaluator import Evaluator
from bindmatrix.oracle.unknown import failures
from bindmatrix.outcomes import ANY_ERROR, DELIVERIES, alternatives
from bindmatrix.rules.model import Rule
from bindmatrix.rules.sockets import SCENARIO_PORT, Address, Call, Sock, State, address, on_port, put, with_socks

#: forms of IP addresses
_IP = ("ipv4", "mapped", "dual", "ipv6")


class Arrivals:
    """Decides which sockets of a state receive, by the rules of one release of one system."""

    def __init__(self, evaluator: Evaluator, connections: Connections) -> None:
        self.evaluator = evaluator
        self.connections = connections
        self.stack = evaluator.model.stack
        self.sections = evaluator.model.rules.keys()
        self._moves = any(rule.moves for rule in evaluator.model.deliveries)

    def offer(self, state: State, sock: Sock, done: Sock, at: Address, number: int) -> list[Branch]:
        """The branches of a connect() from ``sock`` to ``at``: a listener receives it, or it fails."""
        if "deliver" in self.sections or at.form not in _IP:
            return self._delivered(state, sock, done, at, number)
        covering = [one for one in state.socks if one.port == SCENARIO_PORT and one.is_stream and receives(one, at)]
        listeners = [one for one in covering if one.state == "listening"]
        # a socket that is bound and does not listen swallows or refuses connections on some systems
        deaf = [one for one in covering if one.state == "bound"]
        failed = put(state, sock, self.connections.failed(sock, sock.state, "dead"))
        if not listeners and not deaf:
            # systems differ in the error; without rules of `deliver` it is not known
            return [Branch(ANY_ERROR, API["refused"], failed)]
        branches = [
            Branch("ok", API["listener"], self._established(state, sock, done, listener, at, number), bool(deaf))
            for listener in listeners
        ]
        return [*branches, *failures([failed])] if deaf else branches

    def _delivered(self, state: State, sock: Sock, done: Sock, at: Address, number: int) -> list[Branch]:
        """A connection goes where the rules of ``deliver`` say."""
        others = state
        if sock.family != "unix":
            others = with_socks(state, tuple([one for one in state.socks if one is not sock]))
        if sock.protocol == REMOTE:
            target = delivery.target("tcp", at)
        else:
            target = delivery.target(sock.protocol, at)._replace(socket=sock.socket, ports=sock.ports)
        found = self.evaluator.receivers(Call("deliver", state.user), target, others)
        rules = found.rules or API["unknown"]
        if not found.rules or (found.word == "unknown" and not found.receivers):
            return self._by_anybody(state, others, sock, done, at, number, target, rules)
        state = _in_front(state, found.moved)
        branches = [
            Branch("ok", rules, self._established(state, sock, done, listener, at, number))
            for listener in found.receivers
        ]
        failed = put(state, sock, self.connections.failed(sock, sock.state, "dead"))
        # unknown: one of them receives it, and it is not known which one
        if found.word not in ("", "unknown"):
            branches.append(Branch({"refused": "ECONNREFUSED"}.get(found.word, found.word), rules, failed))
        return branches

    def _by_anybody(
        self,
        state: State,
        others: State,
        sock: Sock,
        done: Sock,
        at: Address,
        number: int,
        target: Sock,
        rules: tuple[Rule, ...],
    ) -> list[Branch]:
        """A connection whose receiver is not known: any listener at the address, or it fails."""
        branches: list[Branch] = []
        for one in self._reordered(state, on_port(others, target)):
            receivers = [
                other
                for other in on_port(one, target)
                if other.state == "listening" and (at.form not in _IP or receives(other, at))
            ]
            if not sock.is_stream:
                receivers = [sock]  # a connected datagram socket is the same whoever receives what it sends
            branches += [
                Branch("ok", rules, self._established(one, sock, done, receiver, at, number)) for receiver in receivers
            ]
            # one branch that is unknown makes the step unknown
            branches += failures([put(one, sock, self.connections.failed(sock, sock.state, "dead"))], rules)
        return branches

    def _reordered(self, state: State, socks: list[Sock]) -> list[State]:
        """``state`` after a lookup has found one of ``socks``, which may change the order of later lookups."""
        if not self._moves:
            return [state]
        return list(dict.fromkeys([state, *[_in_front(state, sock) for sock in socks]]))

    def _established(self, state: State, sock: Sock, done: Sock, listener: Sock, at: Address, number: int) -> State:
        """``state`` once ``listener`` has the connection: the server's end waits in the accept queue."""
        if not sock.is_stream:
            return self.connections.put_connected(state, sock, done)
        remote = sock.protocol == REMOTE
        child = self.connections.child(listener, at, number, remote=remote)
        child = child._replace(ends=">".join(reversed(done.ends.split(">"))))
        if child.made_as != sock.made_as:
            child = child._replace(socket="")  # MPTCP falls back to TCP if one end lacks it
        after = self.connections.put_connected(state, sock, done)
        return with_socks(after, (child, *after.socks))

    def deliver(self, state: State, step: Step) -> list[Branch]:
        at = address(step.address, self.stack.local)
        at = self.connections.destination(delivery.target("", at)._replace(kind=""), at)
        client = _client(state, step, at)
        found, after = self._in_turn(Call(step.kind, state.user), client, state)
        expected = found.expected(flow=step.kind == "deliver_flow")
        if expected is None:
            rules = found.rules or API["unknown"]
            return [
                Branch(ANYTHING, rules, one, unknown=True) for one in self._reordered(state, on_port(state, client))
            ]
        return [Branch(one, found.rules, after) for one in alternatives(expected)]

    def _in_turn(self, call: Call, client: Sock, state: State) -> tuple[Delivery, State]:
        """Which sockets receive what is sent. A system may move the socket that a lookup found to the front of the
        chain."""
        found = self.evaluator.receivers(call, client, state)
        if found.moved is None:
            return found, state
        receivers: dict[Sock, None] = {}
        for _ in range(DELIVERIES):
            found = self.evaluator.receivers(call, client, state)
            receivers.update(dict.fromkeys(sock._replace(front=0) for sock in found.receivers))
            state = _in_front(state, found.moved)
        return found._replace(receivers=tuple(receivers)), state


def _client(state: State, step: Step, at: Address) -> Sock:
    """The kind of client that the executor uses for a delivery: the simplest one that fits the sockets there.

    It connects if a stream socket is open, and sends datagrams otherwise. It uses UDP-Lite only if no other protocol is
    open.
    """
    kinds = addresses_of(at.text)
    open_socks = [
        sock
        for sock in state.socks
        if sock.name and sock.protocol != REMOTE and kinds == ("ip" if sock.family in ("ipv4", "ipv6") else sock.family)
    ]
    connects = step.kind == "deliver" and at.kind != "multicast"
    streams = [sock for sock in open_socks if sock.is_stream and connects]
    fitting = streams or [sock for sock in open_socks if not sock.is_stream]
    if not fitting:
        return delivery.target("udp" if kinds == "ip" else kinds, at)
    plainest = min(fitting, key=lambda sock: sock.ports != "")
    return delivery.target(plainest.protocol, at)._replace(socket=plainest.socket, ports=plainest.ports)


def _in_front(state: State, sock: Sock | None) -> State:
    """``state`` with ``sock`` first in the lookup order of its protocol."""
    if sock is None or delivery.in_front(on_port(state, sock))[0] is sock:
        return state
    return put(state, sock, sock._replace(front=1 + max(one.front for one in state.socks)))
