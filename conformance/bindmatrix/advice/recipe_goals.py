"""What authors want of a port, as scenarios that must come out: positive ones, and attempts that must fail.

A goal has places (``TCP on 0.0.0.0``), and a place has checks that are made from an :class:`OptionSet`.  A check is a
scenario and what is wanted of it:

====================  =======================================================================================
``ok``                every step succeeds
``refused b``         bind() or listen() of ``b`` fails, everything before succeeds
``listen refused b``  listen() of ``b`` fails, everything before succeeds
``to a``              every step succeeds, and ``a`` receives everything
``spread a,b,d``      every step succeeds, and each of these receives a part
``every a,b``         every step succeeds, and each of these receives a copy
``keeps out b``       ``b`` is refused, or receives nothing
====================  =======================================================================================
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from bindmatrix.advice.audit_questions import NEWCOMERS, OTHER, OWNER, REMOTE
from bindmatrix.errors import Place, Problem, nearest
from bindmatrix.notation import OPTIONS, SOCKET_KINDS, STREAMS, Scenario, parse
from bindmatrix.outcomes import EVERY, SPREAD, Expected, Receivers, alternatives, delivery_class

_GROUP = "224.0.0.251"
#: the second address of the loopback interface, from which a client binds a port that a listener has on 127.0.0.1
_SOURCE = "127.0.0.2"

#: where the clients of a restart are; those of most servers are on another host
_CLIENTS = ("another host", "this machine")


class OptionSet(NamedTuple):
    """Options that every socket of the goal sets to 1, by when it does."""

    before: tuple[str, ...] = ()
    #: before bind(), and back to 0 after it
    cleared: tuple[str, ...] = ()
    #: after bind() alone
    after: tuple[str, ...] = ()

    @property
    def options(self) -> frozenset[str]:
        """All of them."""
        return frozenset(self.before + self.cleared + self.after)

    @property
    def words(self) -> str:
        """``SO_REUSEADDR and SO_REUSEPORT``, ``no option``."""
        parts = [OPTIONS[one] for one in self.before]
        parts += [f"{OPTIONS[one]} cleared after bind()" for one in self.cleared]
        parts += [f"{OPTIONS[one]} after bind()" for one in self.after]
        return " and ".join(parts) or "no option"


class GoalSocket(NamedTuple):
    """A socket of a goal, but for its options."""

    kind: str
    address: str
    listens: bool = True
    v6only: int | None = None
    joins: str = ""

    def steps(self, name: str, options: OptionSet) -> str:
        """The calls on it."""
        words = [f"{name}={self.kind}"]
        words += [f"{name}.v6only={self.v6only}"] if self.v6only is not None else []
        words += [f"{name}.{option}=1" for option in options.before + options.cleared]
        words += [f"{name}.bind={self.address}"]
        words += [f"{name}.{option}=0" for option in options.cleared]
        words += [f"{name}.{option}=1" for option in options.after]
        words += [f"{name}.listen"] if self.listens and SOCKET_KINDS[self.kind].protocol in STREAMS else []
        words += [f"{name}.join={self.joins}"] if self.joins else []
        return " ".join(words)


#: what may be wanted of sockets, see above; beside it there is ``ok``
WANTED = ("refused", "listen refused", "to", SPREAD, EVERY, "keeps out")
#: what is wanted -> the calls that may fail for it
_REFUSING = {"refused": ("bind", "listen"), "listen refused": ("listen",)}


@dataclass(frozen=True)
class GoalCheck:
    """A scenario and what is wanted of it, see above."""

    what: str
    scenario: Scenario
    wanted: str

    def met(self, outcomes: Sequence[Expected]) -> bool | None:
        """Whether ``outcomes``, predicted or observed, are as wanted; None where that is not known."""
        verb, _, names = self.wanted.rpartition(" ")
        for step, outcome in zip(self.scenario.steps, outcomes, strict=True):
            if step.delivers:
                return _delivered(verb, names, outcome)
            if outcome == "ok":
                continue
            if outcome is None or "ok" in alternatives(outcome):
                return None
            if step.socket != names:
                return False
            return verb == "keeps out" or step.kind in _REFUSING.get(verb, ())
        return not verb


def _delivered(verb: str, names: str, outcome: Expected) -> bool | None:
    if outcome is None:
        return None
    found = {_received(verb, names, Receivers.of(delivery_class(one))) for one in alternatives(outcome)}
    return found.pop() if len(found) == 1 else None


def _received(verb: str, names: str, got: Receivers) -> bool:
    wanted = set(names.split(","))
    if verb == "keeps out":
        return not wanted.intersection(got.names)
    kind = {"to": "", "spread": SPREAD, "every": EVERY}.get(verb)
    return got.kind == kind and set(got.names) == wanted


@dataclass(frozen=True)
class GoalPlace:
    """Where a goal is wanted: the sockets that the program makes, and what must come out of them."""

    title: str
    sockets: tuple[GoalSocket, ...]
    checks: Callable[[OptionSet], Iterator[GoalCheck]]


@dataclass(frozen=True)
class Goal:
    """What an author wants.  ``note`` says what to know beside the options."""

    id: str
    title: str
    note: str
    places: tuple[GoalPlace, ...]


def _check(what: str, wanted: str, *parts: str) -> GoalCheck:
    return GoalCheck(what, parse(" ".join(part for part in parts if part)), wanted)


# -- restart


def _restart(socket: GoalSocket, client: str) -> Callable[[OptionSet], Iterator[GoalCheck]]:
    def checks(options: OptionSet) -> Iterator[GoalCheck]:
        first, second = socket.steps("a", options), socket.steps("b", options)
        for where in _CLIENTS:
            kind, address = ("remote4", REMOTE["remote4"]) if where == "another host" else ("tcp4", client)
            served = f"{first} c={kind} c.connect={address} x=a.accept"
            ended = "x.close c.read c.close a.close"
            yield _check(f"it starts again, the port in TIME_WAIT (client on {where})", "ok", served, ended, second)
            yield _check(
                f"it starts again beside an open connection (client on {where})", "ok", served, "a.close", second
            )
        yield _check("a second instance is refused", "refused b", first, second)

    return checks


# -- workers


def _workers(socket: GoalSocket, destination: str) -> Callable[[OptionSet], Iterator[GoalCheck]]:
    def checks(options: OptionSet) -> Iterator[GoalCheck]:
        three = " ".join(socket.steps(name, options) for name in "abd")
        yield _check("three workers start", "ok", three)
        yield _check("each receives a part", "spread a,b,d", three, f"deliver={destination}")

    return checks


# -- nobody else


def _exclusive(socket: GoalSocket, *, same_user: bool) -> Callable[[OptionSet], Iterator[GoalCheck]]:
    protocol = SOCKET_KINDS[socket.kind].protocol

    def checks(options: OptionSet) -> Iterator[GoalCheck]:
        own = socket.steps("a", options)
        yield _check("it starts", "ok", own)
        for kind, address, v6only in (
            (f"{protocol}4", "0.0.0.0", None),
            (f"{protocol}4", "127.0.0.1", None),
            (f"{protocol}6", "::", 0),
        ):
            for setting in NEWCOMERS:
                newcomer = GoalSocket(kind, address, v6only=v6only).steps("b", OptionSet(setting))
                what = f"on {address} with {OptionSet(setting).words} gets nothing"
                deliver = "deliver=127.0.0.1"
                yield _check(f"another user {what}", "keeps out b", OWNER, own, OTHER, newcomer, "user=0", deliver)
                if same_user:
                    yield _check(f"the same user {what}", "keeps out b", own, newcomer, deliver)

    return checks


def _both(*several: Callable[[OptionSet], Iterator[GoalCheck]]) -> Callable[[OptionSet], Iterator[GoalCheck]]:
    return lambda options: (check for checks in several for check in checks(options))


# -- the rest


def _multicast(socket: GoalSocket, *, users: bool) -> Callable[[OptionSet], Iterator[GoalCheck]]:
    def checks(options: OptionSet) -> Iterator[GoalCheck]:
        first, second = socket.steps("a", options), socket.steps("b", options)
        two = f"{OWNER} {first} {OTHER} {second} user=0" if users else f"{first} {second}"
        yield _check("both start", "ok", two)
        yield _check("each receives a copy", "every a,b", two, f"deliver={_GROUP}")

    return checks


def _dual(socket: GoalSocket) -> Callable[[OptionSet], Iterator[GoalCheck]]:
    def checks(options: OptionSet) -> Iterator[GoalCheck]:
        for family, address in (("IPv4", "127.0.0.1"), ("IPv6", "::1")):
            yield _check(f"{family} clients reach it", "to a", socket.steps("a", options), f"deliver={address}")

    return checks


def _separate(v4: GoalSocket, v6: GoalSocket) -> Callable[[OptionSet], Iterator[GoalCheck]]:
    def checks(options: OptionSet) -> Iterator[GoalCheck]:
        first, second = v4.steps("a", options), v6.steps("b", options)
        yield _check("IPv4 clients reach the first", "to a", first, second, "deliver=127.0.0.1")
        yield _check("IPv6 clients reach the second", "to b", first, second, "deliver=::1")
        yield _check("in the other order too", "to a", second, first, "deliver=127.0.0.1")
        yield _check("a second instance is refused on IPv4", "refused d", first, second, v4.steps("d", options))
        yield _check("a second instance is refused on IPv6", "refused d", first, second, v6.steps("d", options))

    return checks


def _source_port(client: GoalSocket) -> Callable[[OptionSet], Iterator[GoalCheck]]:
    def checks(options: OptionSet) -> Iterator[GoalCheck]:
        served = "l=tcp4 l.bind=127.0.0.1 l.listen " + client.steps("c", options) + " c.connect=127.0.0.1 x=l.accept"
        second = client.steps("d", options)
        yield _check("the port can be bound while it has a connection", "ok", served, second)
        yield _check("the port can be bound in TIME_WAIT", "ok", served, "c.close x.read x.close", second)

    return checks


def _handed(parent: GoalSocket) -> Callable[[OptionSet], Iterator[GoalCheck]]:
    def checks(options: OptionSet) -> Iterator[GoalCheck]:
        child = parent._replace(listens=True)
        held = parent.steps("a", options)
        yield _check("the child receives", "to b", held, child.steps("b", options), "deliver=127.0.0.1")
        yield _check("a stranger is refused meanwhile", "refused b", held, child.steps("b", OptionSet()))

    return checks


_ANY4, _LOCAL4 = GoalSocket("tcp4", "0.0.0.0"), GoalSocket("tcp4", "127.0.0.1")
_DUAL, _ANY6 = GoalSocket("tcp6", "::", v6only=0), GoalSocket("tcp6", "::", v6only=1)
_UDP4 = GoalSocket("udp4", "0.0.0.0")
_GROUP_WIDE, _GROUP_ONLY = GoalSocket("udp4", "0.0.0.0", joins=_GROUP), GoalSocket("udp4", _GROUP, joins=_GROUP)
_FROM, _HELD = GoalSocket("tcp4", _SOURCE, listens=False), GoalSocket("tcp4", "127.0.0.1", listens=False)
_HELD_WIDE = GoalSocket("tcp4", "0.0.0.0", listens=False)

GOALS: tuple[Goal, ...] = (
    Goal(
        "restart",
        "restart at once",
        f"The old program and the new one need the same options. Tried with clients on {' and on '.join(_CLIENTS)}.",
        (
            GoalPlace("TCP on 0.0.0.0", (_ANY4,), _restart(_ANY4, "127.0.0.1")),
            GoalPlace("TCP on dual-stack ::", (_DUAL,), _restart(_DUAL, "127.0.0.1")),
            GoalPlace(
                "TCP on 0.0.0.0, and no other user takes anything",
                (_ANY4,),
                _both(_restart(_ANY4, "127.0.0.1"), _exclusive(_ANY4, same_user=False)),
            ),
        ),
    ),
    Goal(
        "workers",
        "several workers, balanced",
        "Where nothing works, one process binds and the workers inherit or receive the socket.",
        (
            GoalPlace("TCP on 0.0.0.0", (_ANY4,), _workers(_ANY4, "127.0.0.1")),
            GoalPlace("TCP on 127.0.0.1", (_LOCAL4,), _workers(_LOCAL4, "127.0.0.1")),
            GoalPlace("TCP on IPv6-only ::", (_ANY6,), _workers(_ANY6, "::1")),
            GoalPlace("TCP on dual-stack ::", (_DUAL,), _workers(_DUAL, "127.0.0.1")),
            GoalPlace("UDP on 0.0.0.0", (_UDP4,), _workers(_UDP4, "127.0.0.1")),
        ),
    ),
    Goal(
        "exclusive",
        "a port that nobody else can take",
        "Tried are newcomers on 0.0.0.0, 127.0.0.1 and dual-stack :: with each option and the usual pair.",
        tuple(
            GoalPlace(
                f"{title}, {'programs of the same user too' if same_user else 'other users'}",
                (socket,),
                _exclusive(socket, same_user=same_user),
            )
            for title, socket in (
                ("TCP on 0.0.0.0", _ANY4),
                ("TCP on 127.0.0.1", _LOCAL4),
                ("TCP on dual-stack ::", _DUAL),
                ("UDP on 0.0.0.0", _UDP4),
            )
            for same_user in (False, True)
        ),
    ),
    Goal(
        "multicast",
        "a shared multicast port",
        "",
        (
            GoalPlace("bound to 0.0.0.0, one user", (_GROUP_WIDE,), _multicast(_GROUP_WIDE, users=False)),
            GoalPlace("bound to 0.0.0.0, two users", (_GROUP_WIDE,), _multicast(_GROUP_WIDE, users=True)),
            GoalPlace("bound to the group, two users", (_GROUP_ONLY,), _multicast(_GROUP_ONLY, users=True)),
        ),
    ),
    Goal(
        "dual-stack",
        "one dual-stack socket",
        "IPV6_V6ONLY is cleared before bind(): the default of systems differs.",
        (GoalPlace("TCP on ::", (_DUAL,), _dual(_DUAL)),),
    ),
    Goal(
        "separate",
        "IPv4 and IPv6 in sockets of their own",
        "IPV6_V6ONLY is set on the IPv6 socket before bind().",
        (GoalPlace("TCP on 0.0.0.0 and ::", (_ANY4, _ANY6), _separate(_ANY4, _ANY6)),),
    ),
    Goal(
        "source-port",
        "a fixed source port",
        "One port towards several peers: each connection needs another destination.",
        (GoalPlace("TCP client", (_FROM,), _source_port(_FROM)),),
    ),
    Goal(
        "handover",
        "a port that is handed to a child",
        "The parent binds and does not listen, the child binds the same port. Passing the socket works everywhere.",
        (
            GoalPlace("TCP on 127.0.0.1", (_HELD,), _handed(_HELD)),
            GoalPlace("TCP on 0.0.0.0", (_HELD_WIDE,), _handed(_HELD_WIDE)),
        ),
    ),
)


def ids() -> Iterable[str]:
    """The names of the goals."""
    return [goal.id for goal in GOALS]


def named(word: str) -> Goal:
    """The goal called ``word``; raises :class:`~bindmatrix.errors.Problem`."""
    found = next((goal for goal in GOALS if goal.id == word), None)
    if found is None:
        raise Problem(Place("goal"), f"unknown goal {word!r}{nearest(word, ids())}; there are {', '.join(ids())}")
    return found
