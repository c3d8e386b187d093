"""The possible results of a step, and the results that the socket interface defines for every system."""

from __future__ import annotations

from typing import NamedTuple

from bindmatrix.outcomes import ANY_ERROR
from bindmatrix.rules.model import ALLOW, REFUSE, UNKNOWN, CallRule, Rule
from bindmatrix.rules.sockets import State

#: the outcome of a branch that is possible whatever was observed
ANYTHING = "anything"


class Branch(NamedTuple):
    """One possible result of a step. ``outcome`` is ``ok``, an errno name, ``refused`` for any error, or
    ``ANYTHING``."""

    outcome: str
    rules: tuple[Rule, ...]
    state: State
    #: the outcome is not predicted: any other is accepted as well, whatever the other branches of the step say
    unknown: bool = False

    def may_follow(self, outcome: str, *, delivers: bool) -> bool:
        """Whether this branch is possible after ``outcome`` was observed."""
        if self.outcome in (outcome, ANYTHING):
            return True
        return not delivers and ANY_ERROR in (outcome, self.outcome) and "ok" not in (outcome, self.outcome)


def _api(name: str, why: str, action: str = ALLOW, error: str = "") -> tuple[CallRule, ...]:
    return (CallRule(id=f"api.{name}", section="api", action=action, errors=(error,) if error else (), why=why),)


#: rules of the socket interface, the same on every system; they are in no expectation file
API = {
    "closed": _api("closed", "the socket is closed or was never made", REFUSE, "EBADF"),
    "absent": _api("absent-option", "the platform has no such option", REFUSE, "ENOPROTOOPT"),
    "plain": _api("plain", "nothing can go wrong here"),
    "refused": _api("nobody-listens", "no socket listens at that address", REFUSE),
    "listener": _api("listener", "a listener covers the address"),
    "queue": _api("queue", "a connection waits to be accepted"),
    "empty": _api("empty-queue", "nothing waits to be accepted", REFUSE, "timeout"),
    "end": _api("end-of-file", "the other end has closed"),
    "silent": _api("silence", "the other end is open and sends nothing", REFUSE, "timeout"),
    "unconnected": _api("unconnected", "a stream socket that is not connected has nothing to read", REFUSE, "ENOTCONN"),
    "again": _api("connect-again", "a datagram socket may connect again; that changes its other end"),
    "reset": _api("reset", "the listener was closed before it accepted", REFUSE, "ECONNRESET"),
    "unknown": _api("not-described", "the expectation file does not describe this", UNKNOWN),
    "later": _api("closes-later", "when the kernel has worked off a closed connection is not known", UNKNOWN),
    "abroad": _api("socket-of-another-host", "a socket of another host only connects, reads and closes", UNKNOWN),
    "lost": _api(
        "lost-count", "the kernel has lost count of who has the port; nothing after that is described", UNKNOWN
    ),
    "kind": _api("not-described-kind", "nobody described this kind of socket for this system", UNKNOWN),
}
