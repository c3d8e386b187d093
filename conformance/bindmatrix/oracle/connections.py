"""The life of a connection: its two ends, how closing one affects the other, and what stays on the port.

The socket interface and TCP make most of this the same on all systems. Differences are in the settings of the stack and
in the rules of ``time-wait``.
"""

from __future__ import annotations

from typing import cast

from bindmatrix.notation import HERE, REMOTE
from bindmatrix.oracle.evaluator import Decide, Evaluator
from bindmatrix.rules.model import TIME_WAIT_MS, SocketProfile
from bindmatrix.rules.sockets import (
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
    plain,
    put,
    with_socks,
)


class Connections:
    """Makes, closes and resets the ends of connections, by the settings and rules of one release."""

    def __init__(self, evaluator: Evaluator) -> None:
        self.decide = cast(Decide, evaluator.decide)
        self.stack = evaluator.model.stack

    def closed(self, sock: Sock, state: State) -> State:
        """``state`` once ``sock`` is closed, with the effects on its peer, its accept queue and its children."""
        socks: list[Sock] = []
        for one in state.socks:
            if one is sock and sock.protocol == "tcp" and to_itself(sock.ends) and sock.state == "connected":
                # both ends close at the same time, so this end enters TIME_WAIT
                socks += self.other_end(sock._replace(name="", state="fin-wait"), state)
            elif one is sock:
                socks += _left_behind(sock)
            elif one.queued and one.listener == sock.name:
                continue
            elif one.accepted and one.listener == sock.name:
                socks.append(one._replace(listener="closed"))
            elif one.connection and _was_reset(one, sock, state):
                if one.name:
                    read = self._unaccepted(one)
                    socks.append(self.failed(one, read, read))
            elif sock.connection and one.connection == sock.connection and sock.is_stream:
                socks += self.other_end(one, state)
            else:
                socks.append(one)
        return with_socks(state, tuple(socks))

    def _unaccepted(self, client: Sock) -> str:
        """The state of a client whose listener is closed before it accepted."""
        profile = self.stack.sockets.get(client.made_as, SocketProfile(""))
        return "dead" if profile.unaccepted == "unknown" else "reset"

    def closes_later(self, sock: Sock, state: State) -> bool:
        """Whether the kernel ends the connection of ``sock`` some time after close(), so that later outcomes depend on
        timing."""
        ended = {sock.connection} - {0} | {
            one.connection for one in state.socks if one.queued and one.listener == sock.name
        }
        ends_of = [one for one in state.socks if one.connection in ended]
        return any(self.stack.sockets.get(one.made_as, SocketProfile("")).closes == "later" for one in ends_of)

    def other_end(self, one: Sock, state: State) -> list[Sock]:
        """What becomes of the other end of a TCP connection when one end is closed."""
        if one.state == "connected":
            return [one._replace(state="close-wait")]
        if one.state != "fin-wait":
            return [one]
        waiting = one._replace(state="time-wait", left=TIME_WAIT_MS)
        rules = self.decide("time-wait", Call("close", state.user), waiting, state)
        if not rules:
            return [waiting]
        if rules[0].leaves == "nothing":
            return []
        return [waiting._replace(left=rules[0].milliseconds)]

    def failed(self, sock: Sock, kept: str, lost: str) -> Sock:
        """A client whose connect() failed: it stays in state ``kept``, or it is in state ``lost`` and loses its
        port."""
        if self.stack.reset == "keeps-asked" and sock.port == OTHER_PORT:
            state = "open" if sock.state == "bound" else kept
            return sock._replace(state=state, connection=0, ends="", port=NO_PORT)
        if self.stack.reset == "loses" and sock.family != "unix":
            return sock._replace(state=lost, connection=0, ends="", port=OTHER_PORT)
        return sock._replace(state=kept, connection=0, ends="")

    def destination(self, sock: Sock, at: Address) -> Address:
        """The destination of a connect() of ``sock`` to ``at``: an address of the host if ``at`` is unspecified.

        Its form is never ``dual``: what is sent to ``::`` is IPv6.
        """
        if sock.protocol == REMOTE:
            return address(at.text, (*self.stack.local, *HERE))
        if at.form == "dual":
            at = at._replace(form="ipv6")
        if at.kind != "wildcard" or at.form not in self.stack.unspecified:
            return at
        if at.form == "ipv6" and sock.form != "mapped":
            return address("::1", self.stack.local)
        own = self.stack.unspecified[at.form] == "own" and sock.kind == "specific" and sock.form in ("ipv4", "mapped")
        value = plain(sock.v4 or sock.v6) if own else "127.0.0.1"
        return address(value if at.form == "ipv4" else f"::ffff:{value}", self.stack.local)

    def ends(self, sock: Sock, at: Address) -> str:
        """Both endpoints of a connection of ``sock`` to ``at`` if both use the scenario's port, otherwise ""."""
        if sock.port != SCENARIO_PORT or at.kind != "specific" or sock.family not in ("ipv4", "ipv6"):
            return ""
        own = plain(sock.v4 or sock.v6)
        if sock.kind != "specific":
            own = self.stack.source if self.stack.source and at.form != "ipv6" else at.value
        return f"{own}>{at.value}"

    def put_connected(self, state: State, sock: Sock, done: Sock) -> State:
        if self.stack.newest == "bind":
            return put(state, sock, done)
        return with_socks(state, (done, *[one for one in state.socks if one is not sock]))

    def connected(self, sock: Sock, at: Address, number: int) -> Sock:
        """``sock`` as the client end of connection ``number`` to ``at``."""
        port = sock.port if sock.family == "unix" else sock.port or OTHER_PORT
        done = sock._replace(state="connected", connection=number, port=port, ends=self.ends(sock, at))
        if sock.port != SCENARIO_PORT or self.stack.connect == "stays":
            return done
        if self.stack.connect == "keeps":
            return _in_space(done, at, ANY if sock.kind == "wildcard" else plain(sock.v4 or sock.v6))
        if sock.kind != "wildcard":
            return done
        own = self.stack.source if at.form in ("ipv4", "mapped") else ""
        return self._narrowed(done, at._replace(value=own or at.value))

    def _narrowed(self, sock: Sock, at: Address) -> Sock:
        """``sock``, which was bound to a wildcard, once a connection has narrowed it to the address ``at``."""
        value = at.value
        if at.form == "ipv6":
            v4 = self.stack.connected_dual or None if sock.form == "dual" else None
            return sock._replace(kind="specific", v4=v4, v6=value, form="dual" if v4 else "ipv6")
        form = "ipv4" if sock.family == "ipv4" else "mapped"
        spaces = self.stack.occupies[sock.protocol][form]
        v6 = f"::ffff:{value}" if "ipv6" in spaces else None
        return sock._replace(kind="specific", form=form, v4=value if "ipv4" in spaces else None, v6=v6)

    def child(self, listener: Sock, at: Address, number: int, *, remote: bool) -> Sock:
        """The server's end of a connection to ``at``; ``remote``: the client is on another host."""
        child = listener._replace(
            name="",
            state="connected",
            connection=number,
            accepted=True,
            listener=listener.name,
            queued=True,
            group=0,
            remote=remote,
        )
        keep = sum(BITS[option] for option in self.stack.inherits)
        child = child._replace(now=child.now & keep, at_bind=child.at_bind & keep, ever=child.ever & keep)
        if self.stack.children == "wildcard":
            return _in_space(child._replace(kind="wildcard"), at, ANY)
        return self._narrowed(child, at) if listener.kind == "wildcard" else child


def to_itself(both: str) -> bool:
    """Whether a socket connects to itself (a simultaneous open, RFC 9293 section 3.5)."""
    here, _, there = both.partition(">")
    return bool(both) and here == there


def _in_space(sock: Sock, at: Address, value: str | None) -> Sock:
    """``sock`` with the address ``value`` in the space of ``at`` alone."""
    if at.form == "ipv6":
        return sock._replace(form="ipv6", v4=None, v6=value)
    return sock._replace(form="ipv4", v4=value, v6=None)


def receives(sock: Sock, at: Address) -> bool:
    """Whether ``sock`` can receive a packet to ``at``, judged by its address and family alone."""
    wanted = ("ipv6", "dual") if at.form == "ipv6" else ("ipv4", "mapped", "dual")
    if sock.form not in wanted:
        return False
    own = sock.v6 if at.form == "ipv6" else sock.v4 or (sock.v6 or "").removeprefix("::ffff:")
    return sock.kind == "wildcard" or own == at.value


def _left_behind(sock: Sock) -> list[Sock]:
    """What stays on the port after close(): the end that closes first waits for the other end.

    A Unix socket leaves its file on every system; only unlink() removes it.
    """
    if sock.form == "path" and not sock.accepted:
        return [sock._replace(name="", state="file", connection=0)]
    if sock.state == "connected" and sock.protocol == "tcp" and sock.port == SCENARIO_PORT:
        return [sock._replace(name="", state="fin-wait")]
    return []


def _was_reset(one: Sock, closed: Sock, state: State) -> bool:
    """Whether ``one`` is the client of a connection that waits in the queue of the listener being closed."""
    return any(
        other.queued and other.listener == closed.name and other.connection == one.connection for other in state.socks
    )
