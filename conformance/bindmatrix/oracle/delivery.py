"""Which socket receives: the rules of the section ``deliver``.

The rules are tried in order, with the destination in place of the new socket. A rule looks at the existing sockets that
match ``among``. If it needs one and there is none, the next rule is tried. ``pick`` says who receives:

* ``newest`` or ``oldest``, in the order of the chain; with ``share`` the sockets for which that condition holds share
  with it, by a hash of addresses and ports;
* ``newest-group``: the socket of the group (``groups``) that was made last, and those that share with it;
* ``every``: a copy each; with ``stop`` the first socket (newest first) for which that condition holds is the last to
  receive;
* ``one``: one of them, and it is not known which one;
* ``none refused timeout`` and errno names: nobody, and what the sender sees; ``unknown``: not known.

``deaf`` is the result if the picked stream socket does not listen. ``order: socket`` orders by socket() instead of
bind(). ``lists: family``: each address family has its own list, and ``stop`` ends only that list. ``moves: front``:
later lookups find the picked socket before all that were bound earlier. ``ask: each-address``: the rule decides if
``when`` holds for all of them.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from bindmatrix.oracle.conditions import (
    Existing,
    Questions,
    Relate,
    Select,
    Test,
    always,
    conjunction,
    disjunction,
    relater,
    selection,
    without,
)
from bindmatrix.outcomes import EVERY, SPREAD, Expected, Receivers
from bindmatrix.rules.facts import Question
from bindmatrix.rules.model import PICKED, DeliverRule, Rule
from bindmatrix.rules.sockets import Address, Call, Sock, State


class Delivery(NamedTuple):
    """The decision of the rules: which sockets may receive, and the outcome if none does."""

    rules: tuple[Rule, ...]
    #: the sockets that receive (each a share, or each a copy)
    receivers: tuple[Sock, ...] = ()
    #: each gets a copy
    copies: bool = False
    #: what the sender observes if no socket receives or the picked one does not listen; "" for nothing
    word: str = ""
    #: the socket that later lookups find first
    moved: Sock | None = None

    def expected(self, *, flow: bool) -> Expected:
        """The outcome as a class; of sockets that share, one flow reaches only one."""
        if self.word == "unknown" or not self.rules:
            return None
        names = sorted({sock.name for sock in self.receivers})
        if any(not name for name in names):
            return None
        if self.word:
            names.append(self.word)
        if len(names) == 1:
            return names[0]
        if self.copies:
            return str(Receivers(EVERY, tuple(names)))
        return tuple(names) if flow else str(Receivers(SPREAD, tuple(names)))


def target(protocol: str, at: Address) -> Sock:
    """The destination, in place of a new socket."""
    if at.form == "ipv6" or at.form == "dual":
        return Sock("", protocol, "ipv6", 0, form="ipv6", kind=at.kind, v6=at.value)
    if at.form in ("path", "abstract", "cid"):
        return Sock("", protocol, "vsock" if at.form == "cid" else "unix", 0, form=at.form, kind=at.kind, v4=at.value)
    # a client sends to a mapped address from an AF_INET6 socket, and on some systems that cannot reach IPv4
    family = "ipv6" if at.form == "mapped" else "ipv4"
    return Sock("", protocol, family, 0, form="ipv4", kind=at.kind, v4=at.value)


class _DeliveryRule(NamedTuple):
    """A rule as closures."""

    rule: DeliverRule
    #: its conditions on the destination alone
    guard: Test
    #: the condition that must hold for every socket that it finds
    each: Test
    #: whether it has conditions on sockets; the next rule is tried if there are none
    needs_sockets: bool
    find: Select
    #: which sockets share with the picked one
    share: Select | None
    #: which socket is the last of a list to get a copy
    stop: Select | None
    relate: Relate | None


class Deliveries:
    """Decides which sockets receive, by the rules of ``deliver``."""

    def __init__(self, rules: Sequence[DeliverRule], questions: Questions) -> None:
        self._questions = questions
        self._rules = [_compiled(rule) for rule in rules]

    def receivers(self, call: Call, destination: Sock, state: State) -> Delivery:
        """Which sockets receive what is sent to ``destination``, which takes the place of the new socket
        (:func:`target`)."""
        question = self._questions.question(call, destination, state)
        port = self._questions.counted(in_front(question.on_port))
        for compiled in self._rules:
            if not compiled.guard(question):
                continue
            found = compiled.find(question, port)
            if compiled.needs_sockets and not found:
                continue
            if compiled.each is always or len(selection(compiled.each, compiled.relate)(question, found)) == len(found):
                return self._delivery(compiled, found, question, state)
        return Delivery(())

    def _delivery(self, compiled: _DeliveryRule, found: list[Existing], question: Question, state: State) -> Delivery:
        """The decision of the matching rule for the sockets that match it."""
        rule, pick = compiled.rule, compiled.rule.pick
        socks = [sock for sock, _ in found]
        if pick == "every":
            return Delivery((rule,), tuple(_copies(compiled, found, question)), copies=True)
        if pick == "one":
            hearing = tuple(filter(_hears, socks))
            if len(hearing) < len(socks):
                return Delivery((rule,), word="unknown")
            return Delivery((rule,), hearing, word="unknown" if len(hearing) > 1 else "")
        if pick not in PICKED:
            return Delivery((rule,), word=pick)
        if pick == "newest-group":
            leader = max(socks, key=lambda sock: sock.group)
        else:
            leader = socks[0] if pick == "newest" else socks[-1]
        members = [leader]
        if compiled.share is not None:
            sharing = compiled.share(self._questions.question(question.call, leader, state), found)
            shares = [sock for sock, _ in sharing]
            members = [sock for sock in socks if sock is leader or sock in shares]
        hearing = tuple(filter(_hears, members))
        word = rule.deaf if len(hearing) < len(members) else ""
        return Delivery((rule,), hearing, word=word, moved=members[0] if rule.moves else None)


def _copies(compiled: _DeliveryRule, found: list[Existing], question: Question) -> list[Sock]:
    """The sockets that get a copy: all matching ones, up to the end of each list."""
    rule = compiled.rule
    last = [sock for sock, _ in compiled.stop(question, found)] if compiled.stop is not None else []
    socks = [sock for sock, _ in found]
    if rule.order == "socket":
        socks.sort(key=lambda sock: -sock.made)
    listed: list[Sock] = []
    ended: set[str] = set()
    for sock in socks:
        of_list = sock.family if rule.lists else ""
        if of_list in ended:
            continue
        listed.append(sock)
        if sock in last:
            ended.add(of_list)
    return listed


def _compiled(rule: DeliverRule) -> _DeliveryRule:
    together = rule.ask == "each-address"
    when = conjunction(rule.when)
    relate = relater(rule.conditions, rule.space)
    share, stop = disjunction(rule.share), disjunction(rule.stop)
    return _DeliveryRule(
        rule,
        guard=always if together else when,
        each=when if together else always,
        needs_sockets=bool(rule.among) or together or rule.pick in PICKED,
        find=selection(without(disjunction(rule.among) or always, disjunction(rule.unless)), relate),
        share=share and selection(share, relate),
        stop=stop and selection(stop, relate),
        relate=relate,
    )


def in_front(socks: list[Sock]) -> list[Sock]:
    """``socks`` in lookup order: those that were moved to the front, then the others in chain order."""
    return sorted(socks, key=lambda sock: -sock.front) if any(sock.front for sock in socks) else socks


def _hears(sock: Sock) -> bool:
    return not sock.is_stream or sock.state == "listening"
