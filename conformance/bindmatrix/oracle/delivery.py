"""Who receives: the rules of the section ``deliver``, and when an observed delivery is as expected.

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

Expected outcomes are classes: ``a`` (all to a), ``spread:a,b``, ``every:a,b``, ``spread:a,refused``, or a word.
Observed ones are counts: ``a:15,b:17``.  A spread is as expected when nobody got anything but those named and **at
least two of them got something**.  Of 32 deliveries that two sockets share evenly, all go to one of them with the
probability 2 / 2**32 = 4.7e-10; with more sockets it is less.  That is the chance of a false alarm.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from bindmatrix.oracle.conditions import Questions, Relate, Test, always, conjunction, disjunction, relater, without
from bindmatrix.rules.facts import Question
from bindmatrix.rules.model import Rule
from bindmatrix.rules.sockets import Address, Call, Sock, State

#: sends of one ``deliver`` step
DELIVERIES = 32

_PICKED = ("newest", "oldest", "newest-group", "every", "one")


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

    def expected(self, *, flow: bool) -> str | tuple[str, ...] | None:
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
            return "every:" + ",".join(names)
        return tuple(names) if flow else "spread:" + ",".join(names)


def target(protocol: str, at: Address) -> Sock:
    """The destination, in the place of a new socket."""
    if at.form == "ipv6" or at.form == "dual":
        return Sock("", protocol, "ipv6", 0, form="ipv6", kind=at.kind, v6=at.value)
    if at.form in ("path", "abstract", "cid"):
        return Sock("", protocol, "vsock" if at.form == "cid" else "unix", 0, form=at.form, kind=at.kind, v4=at.value)
    return Sock("", protocol, "ipv4", 0, form="ipv4", kind=at.kind, v4=at.value)


class _Compiled(NamedTuple):
    """A rule of ``deliver`` as closures; the conditions that it has not are None."""

    rule: Rule
    #: of the destination alone, or with ``ask: each-address`` of every socket found
    when: Test
    together: bool
    #: whether it speaks of sockets, so that the next rule is asked when there are none
    needs_sockets: bool
    matches: Test
    share: Test | None
    stop: Test | None
    relate: Relate | None


class Deliveries:
    """Answers who receives, by the rules of ``deliver``."""

    def __init__(self, rules: Sequence[Rule], questions: Questions) -> None:
        self._questions = questions
        self._rules = [_compiled(rule) for rule in rules]

    def receivers(self, call: Call, destination: Sock, state: State) -> Delivery:
        """Who receives what is sent to ``destination``, a socket in the place of the new one (:func:`target`)."""
        question = self._questions.question(call, destination, state)
        port = in_front(question.on_port)
        for compiled in self._rules:
            if not compiled.together and not compiled.when(question):
                continue
            found = self._filter(compiled.matches, port, question, compiled.relate)
            if compiled.needs_sockets and not found:
                continue
            if compiled.together and len(self._filter(compiled.when, found, question, compiled.relate)) < len(found):
                continue
            return self._delivery(compiled, found, call, question, state)
        return Delivery(())

    def _filter(self, test: Test, socks: list[Sock], question: Question, relate: Relate | None) -> list[Sock]:
        """Those of ``socks`` for which ``test`` holds."""
        found = []
        for sock in socks:
            self._questions.about(question, sock, relate)
            if test(question):
                found.append(sock)
        return found

    def _delivery(
        self, compiled: _Compiled, found: list[Sock], call: Call, question: Question, state: State
    ) -> Delivery:
        """What the rule that decides makes of the sockets that match it."""
        rule = compiled.rule
        pick = rule.effect["pick"]
        if pick == "every":
            return Delivery((rule,), tuple(self._copies(compiled, found, question)), copies=True)
        if pick == "one":
            hearing = tuple(filter(_hears, found))
            if len(hearing) < len(found):
                return Delivery((rule,), word="unknown")
            return Delivery((rule,), hearing, word="unknown" if len(hearing) > 1 else "")
        if pick not in _PICKED:
            return Delivery((rule,), word=pick)
        if pick == "newest-group":
            leader = max(found, key=lambda sock: sock.group)
        else:
            leader = found[0] if pick == "newest" else found[-1]
        sharing: list[Sock] = []
        if compiled.share is not None:
            with_leader = self._questions.question(call, leader, state)
            sharing = self._filter(compiled.share, found, with_leader, compiled.relate)
        members = [sock for sock in found if sock is leader or sock in sharing]
        hearing = tuple(filter(_hears, members))
        word = rule.effect.get("deaf", "") if len(hearing) < len(members) else ""
        return Delivery((rule,), hearing, word=word, moved=members[0] if "moves" in rule.effect else None)

    def _copies(self, compiled: _Compiled, found: list[Sock], question: Question) -> list[Sock]:
        rule = compiled.rule
        if rule.effect.get("order") == "socket":
            found = sorted(found, key=lambda sock: -sock.made)
        last = self._filter(compiled.stop, found, question, compiled.relate) if compiled.stop is not None else []
        listed: list[Sock] = []
        ended: set[str] = set()
        for sock in found:
            of_list = sock.family if "lists" in rule.effect else ""
            if of_list in ended:
                continue
            listed.append(sock)
            if sock in last:
                ended.add(of_list)
        return listed


def _compiled(rule: Rule) -> _Compiled:
    together = rule.ask == "each-address"
    needs_sockets = bool(rule.among) or together or rule.effect["pick"] in _PICKED
    matches = without(disjunction(rule.among) or always, disjunction(rule.unless))
    share, stop = disjunction(rule.share), disjunction(rule.stop)
    relate = relater((rule.when, *rule.unless, *rule.among, *rule.share, *rule.stop), rule.space)
    return _Compiled(rule, conjunction(rule.when), together, needs_sockets, matches, share, stop, relate)


def in_front(socks: list[Sock]) -> list[Sock]:
    """``socks`` in the order of look-ups: that of the chain, but first those that were moved to the front."""
    return sorted(socks, key=lambda sock: -sock.front) if any(sock.front for sock in socks) else socks


def _hears(sock: Sock) -> bool:
    return not sock.is_stream or sock.state == "listening"


def accepts(expected: str, outcome: str) -> bool:
    """Whether the counts of ``outcome`` belong to the class ``expected``."""
    if ":" not in outcome:
        return outcome == expected
    got = counts(outcome)
    if not got:
        return False
    kind, colon, listed = expected.partition(":")
    names = set(listed.split(",")) if colon else {expected}
    if kind == "every" and colon:
        return got.keys() == names and set(got.values()) == {DELIVERIES}
    if sum(got.values()) != DELIVERIES:
        return False
    return got.keys() <= names and len(got) >= min(2, len(names))


def counts(outcome: str) -> dict[str, int]:
    """``{"a": 15, "b": 17}`` of ``a:15,b:17``; empty when it is not of that form."""
    got = {}
    for part in outcome.split(","):
        name, _, number = part.partition(":")
        if not number.isdigit():
            return {}
        got[name] = int(number)
    return {name: number for name, number in got.items() if number}
