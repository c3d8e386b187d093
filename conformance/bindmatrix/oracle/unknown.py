"""What can still be predicted once something is not known.

A step whose outcome is unknown leads to every state that it may leave (``Branch``). Some states cannot be listed: after
a kind of socket that is not described, or a connection to an address that may not belong to the host. Then a socket
without a protocol marks the state, and every later step is unknown. Only the names of the open sockets still matter,
because a call on a closed one is EBADF everywhere.
"""

from __future__ import annotations

from collections.abc import Iterable

from bindmatrix.notation import Step
from bindmatrix.oracle.branches import ANYTHING, API, Branch
from bindmatrix.outcomes import ANY_ERROR
from bindmatrix.rules.model import Rule
from bindmatrix.rules.sockets import Sock, State


def lost(state: State, why: str = "unknown", *, made: str = "") -> State:
    """``state`` marked as one in which nothing is known, because of ``why`` (a key of ``API``).

    ``made``: a socket that may be open now.  The socket without a protocol and a name comes first.
    """
    names = {sock.name for sock in state.socks} | {made}
    marker = Sock("", "", "", 0, state=reason(state) or why)
    return State(state.user, (marker, *[Sock(name, "", "", 0) for name in sorted(names) if name]))


def reason(state: State) -> str:
    """Why nothing is known in ``state``, as a key of ``API``; "" if the state is described."""
    socks = state.socks
    return socks[0].state if socks and not socks[0].protocol and not socks[0].name else ""


def beside(state: State, step: Step, why: str) -> list[Branch]:
    """Any step but socket(), a change of user and a wait, in a ``state`` where nothing is known because of ``why``."""
    if step.kind == "close":
        state = state._replace(socks=tuple([sock for sock in state.socks if sock.name != step.socket]))
    after = lost(state, made=step.socket if step.kind == "accept" else "")
    return [Branch(ANYTHING, API[why], after, unknown=True)]


def not_described(done: State, *failed: State, rules: tuple[Rule, ...] = API["unknown"]) -> list[Branch]:
    """A call that no rule describes: it succeeds with ``done``, or fails with one of ``failed``."""
    return [Branch("ok", rules, done, unknown=True), *failures(failed, rules)]


def failures(states: Iterable[State], rules: tuple[Rule, ...] = API["unknown"]) -> list[Branch]:
    """The failing branches of a call whose error is not known; each leaves one of ``states``."""
    return [Branch(ANY_ERROR, rules, state, unknown=True) for state in dict.fromkeys(states)]
