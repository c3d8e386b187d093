"""Who receives: the rules of the section ``deliver``.

The rules are asked in order, as if the destination were the new socket.  A rule looks at the existing sockets that
match ``among``; when there are none (and it speaks of any) the next rule is asked.  ``pick`` says who of them gets it:

* ``newest`` or ``oldest``, in the order of the chain; with ``share`` everybody for whom that condition holds
  beside the one that was picked shares with it, by a hash of addresses and ports;
* ``newest-group``: the one of the group (``groups``) that was made last, and who shares with it;
* ``every``: a copy each; with ``stop`` the list ends with the first socket (newest first) for which that holds;
* ``one``: one of them, and which is not known;
* ``none refused timeout`` and errno names: nobody, and how the sender learns it; ``unknown``: nothing is known.

``deaf`` says what a stream socket that is picked and does not listen makes of it.  ``order: socket`` puts the newest
socket() first instead of the newest bind().  ``lists: family``: each address family has a list of its own, and
``stop`` ends that alone.  ``moves: front``: the socket that was picked is the first to be found from then on, before
all that were bound earlier.  ``ask: each-address``: the rule decides when ``when`` holds for every one of them.
"""

from __future__ import annotations

from typing import NamedTuple

from bindmatrix.oracle.branches import Evaluator
from bindmatrix.outcomes import EVERY, SPREAD, Expected, Receivers
from bindmatrix.rules.model import PICKED, DeliverRule, Rule
from bindmatrix.rules.sockets import Address, Call, Sock, State, on_port


class Delivery(NamedTuple):
    """What the rules say: who may receive, and the word for those who do not."""

    rules: tuple[Rule, ...]
    #: who gets it (each a share, or a copy each)
    receivers: tuple[Sock, ...] = ()
    #: a copy each
    copies: bool = False
    #: how the sender learns that nobody, or a picked socket that does not listen, takes it; "" for not at all
    word: str = ""
    #: who stands in front of the others from then on
    moved: Sock | None = None

    def expected(self, *, flow: bool) -> Expected:
        """The class of outcomes; one flow sticks to one of those who share."""
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
    """The destination, in the place of a new socket."""
    if at.form == "ipv6" or at.form == "dual":
        return Sock("", protocol, "ipv6", 0, form="ipv6", kind=at.kind, v6=at.value)
    if at.form in ("path", "abstract", "cid"):
        return Sock("", protocol, "vsock" if at.form == "cid" else "unix", 0, form=at.form, kind=at.kind, v4=at.value)
    return Sock("", protocol, "ipv4", 0, form="ipv4", kind=at.kind, v4=at.value)


def receivers(evaluator: Evaluator, call: Call, destination: Sock, state: State) -> Delivery:
    """Who receives what is sent to ``destination``."""
    port = in_front(on_port(state, destination))
    for rule in evaluator.expectations.deliveries:
        together = rule.ask == "each-address"
        if rule.when and not together and not evaluator.holds((rule.when,), call, destination, None, rule.space, state):
            continue
        pick = rule.pick
        found = [sock for sock in port if _matches(evaluator, rule, call, destination, sock, state)]
        if (rule.among or together or pick in PICKED) and not found:
            continue
        if together and not all(
            evaluator.holds((rule.when,), call, destination, sock, rule.space, state) for sock in found
        ):
            continue
        if pick == "every":
            return Delivery((rule,), tuple(_copies(evaluator, rule, call, destination, found, state)), copies=True)
        if pick == "one":
            hearing = tuple(filter(_hears, found))
            if len(hearing) < len(found):
                return Delivery((rule,), word="unknown")
            return Delivery((rule,), hearing, word="unknown" if len(hearing) > 1 else "")
        if pick not in PICKED:
            return Delivery((rule,), word=pick)
        return _picked(evaluator, rule, call, found, state)
    return Delivery(())


def in_front(socks: list[Sock]) -> list[Sock]:
    """``socks`` in the order of look-ups: the chain, but what was moved to the front."""
    return sorted(socks, key=lambda sock: -sock.front) if any(sock.front for sock in socks) else socks


def _picked(evaluator: Evaluator, rule: DeliverRule, call: Call, found: list[Sock], state: State) -> Delivery:
    def group(leader: Sock) -> list[Sock]:
        return [sock for sock in found if sock is leader or _shares(evaluator, rule, call, leader, sock, state)]

    pick = rule.pick
    if pick == "newest-group":
        members = group(max(found, key=lambda sock: sock.group))
    else:
        members = group(found[0] if pick == "newest" else found[-1])
    hearing = tuple(filter(_hears, members))
    word = rule.deaf if len(hearing) < len(members) else ""
    return Delivery((rule,), hearing, word=word, moved=members[0] if rule.moves else None)


def _hears(sock: Sock) -> bool:
    return not sock.is_stream or sock.state == "listening"


def _matches(evaluator: Evaluator, rule: DeliverRule, call: Call, destination: Sock, sock: Sock, state: State) -> bool:
    if not evaluator.holds(rule.among, call, destination, sock, rule.space, state):
        return False
    return not (rule.unless and evaluator.holds(rule.unless, call, destination, sock, rule.space, state))


def _shares(evaluator: Evaluator, rule: DeliverRule, call: Call, picked: Sock, sock: Sock, state: State) -> bool:
    return bool(rule.share) and evaluator.holds(rule.share, call, picked, sock, rule.space, state)


def _copies(
    evaluator: Evaluator, rule: DeliverRule, call: Call, destination: Sock, found: list[Sock], state: State
) -> list[Sock]:
    if rule.order == "socket":
        found = sorted(found, key=lambda sock: -sock.made)
    listed: list[Sock] = []
    ended: set[str] = set()
    for sock in found:
        of_list = sock.family if rule.lists else ""
        if of_list in ended:
            continue
        listed.append(sock)
        if rule.stop and evaluator.holds(rule.stop, call, destination, sock, rule.space, state):
            ended.add(of_list)
    return listed
