"""The contents of an expectation file as plain data: settings and ordered rules.

A file (:class:`Expectations`) describes one operating system over a range of releases.  ``Expectations.at(release)``
gives the :class:`Model` of one release: the rules and settings that hold there.  The oracle accepts models only.

The loader is ``loader.py``; the facts are in ``facts.py``, the other words in ``vocabulary.py``.
"""

from __future__ import annotations

import re
from collections.abc import Hashable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import NamedTuple

from bindmatrix.errors import NOWHERE, Place
from bindmatrix.notation import OPTIONS
from bindmatrix.rules import releases, vocabulary
from bindmatrix.rules.releases import EVER, Span

#: a conjunction: each fact has one of its values
Condition = tuple[tuple[str, tuple[str, ...]], ...]


class NamedCondition(Condition):
    """A condition that stands in ``define``; equal to the same condition without a name."""

    name: str

    def __new__(cls, terms: Condition, name: str) -> NamedCondition:
        """``terms``, called ``name``."""
        made = super().__new__(cls, terms)
        made.name = name
        return made


def label(condition: Condition, number: int) -> str:
    """What messages call an alternative: its name, else its ``number`` among the others."""
    return condition.name if isinstance(condition, NamedCondition) else str(number)


ALLOW, REFUSE, UNKNOWN = "allow", "refuse", "unknown"

#: how long a TIME_WAIT lasts where the file does not say
TIME_WAIT_MS = 60_000

#: values of ``pick`` that choose among existing sockets; the others say what happens to the sender
PICKED = ("newest", "oldest", "newest-group", "every", "one")


@dataclass(frozen=True, slots=True)
class Evidence:
    """One piece of evidence for a rule. ``kind`` is a key of ``vocabulary.EVIDENCE``."""

    kind: str
    reference: str
    release: str = ""
    place: Place = NOWHERE


@dataclass(frozen=True, slots=True, eq=False)
class Rule:
    """The fields that the rules of every section have. What a rule decides is in the class of its section (``KINDS``).

    A rule holds if ``when`` holds and no alternative of ``unless`` does; with ``ask``, for an existing socket that
    matches one of ``among`` (every socket matches if that is empty). ``why`` is the reason for readers of the kernel's
    source. ``gloss`` is the reason for everybody else, "" if ``why`` serves both.
    """

    id: str
    section: str
    when: Condition = ()
    unless: tuple[Condition, ...] = ()
    ask: str = ""
    space: str = "any"
    among: tuple[Condition, ...] = ()
    span: Span = EVER
    gloss: str = ""
    why: str = ""
    evidence: tuple[Evidence, ...] = ()
    place: Place = NOWHERE

    @property
    def reason(self) -> str:
        """The reason in plain language."""
        return self.gloss or self.why

    @property
    def action(self) -> str:
        """``allow``, ``refuse`` or ``unknown``: what it makes of the call.  Only a :class:`CallRule` can refuse it."""
        return ALLOW

    @property
    def errors(self) -> tuple[str, ...]:
        """The errno names of a refusal."""
        return ()

    @property
    def memory(self) -> str:
        """The slot of the port's memory that it writes, "" for none."""
        return ""

    @property
    def is_unknown(self) -> bool:
        """Whether it says that nothing is known."""
        return self.action == UNKNOWN

    @property
    def asks(self) -> bool:
        """Whether it is about an existing socket."""
        return bool(self.ask) or bool(self.among)

    @property
    def conditions(self) -> tuple[Condition, ...]:
        """Every condition in it."""
        return (self.when, *self.unless, *self.among)

    @property
    def facts(self) -> frozenset[str]:
        """The facts that its conditions speak of."""
        return frozenset(name for condition in self.conditions for name, _ in condition)

    @property
    def outcome(self) -> str | tuple[str, ...] | None:
        """What a call returns when this rule decides: ``ok``, an errno name, several, ``refused``, None for unknown."""
        if self.action == UNKNOWN:
            return None
        if self.action == ALLOW:
            return "ok"
        return self.errors[0] if len(self.errors) == 1 else self.errors


@dataclass(frozen=True, slots=True, eq=False)
class CallRule(Rule):
    """What a call returns.  ``then``: what else a refused call leaves: ``dead``, ``autobound``, ``tried`` or ``lost``.

    ``lost``: the kernel's record of the port is inconsistent, and nothing that happens afterwards is described.
    """

    action: str = ALLOW
    errors: tuple[str, ...] = ()
    then: str = ""


@dataclass(frozen=True, slots=True, eq=False)
class ChainRule(Rule):
    """Where a socket is added to the chain of its port: at the ``head`` or the ``tail``."""

    end: str = "head"


@dataclass(frozen=True, slots=True, eq=False)
class GroupRule(Rule):
    """The group of sockets that share deliveries: ``joined``, a new one of its ``own``, or ``left``."""

    group: str = "own"


@dataclass(frozen=True, slots=True, eq=False)
class MemoryRule(Rule):
    """What the port remembers: ``write`` (yes, address, anywhere, nothing, keep) goes to the slot ``memory``."""

    memory: str = "reuseaddr"
    write: str = "keep"


@dataclass(frozen=True, slots=True, eq=False)
class TimeWaitRule(Rule):
    """What a connection ``leaves`` on the port once both ends are closed: ``time-wait`` or ``nothing``."""

    leaves: str = "time-wait"
    milliseconds: int = TIME_WAIT_MS


@dataclass(frozen=True, slots=True, eq=False)
class DeliverRule(Rule):
    """Which socket receives. The fields are those of the file; the docstring of ``oracle/delivery.py`` explains
    them."""

    pick: str = "unknown"
    deaf: str = ""
    order: str = ""
    lists: str = ""
    moves: str = ""
    share: tuple[Condition, ...] = ()
    stop: tuple[Condition, ...] = ()

    @property
    def is_unknown(self) -> bool:
        """Whether it says that nothing is known."""
        return self.pick == "unknown"

    @property
    def asks(self) -> bool:
        """Whether it is about an existing socket; one that picks a receiver is."""
        return bool(self.ask) or bool(self.among) or self.pick in PICKED

    @property
    def conditions(self) -> tuple[Condition, ...]:
        """Every condition in it."""
        return (self.when, *self.unless, *self.among, *self.share, *self.stop)


#: the class of the rules of each section; the sections of calls end with ``otherwise``
KINDS: dict[str, type[Rule]] = {
    **dict.fromkeys(("socket", "user", "set", "bind", "listen", "connect", "accept"), CallRule),
    "chain": ChainRule,
    "groups": GroupRule,
    "remember": MemoryRule,
    "time-wait": TimeWaitRule,
    "deliver": DeliverRule,
}
CALL_SECTIONS = tuple(section for section, kind in KINDS.items() if kind is CallRule)


@dataclass(frozen=True, slots=True)
class Points:
    """A row of ``closest``: ``points`` for an existing socket of which ``when`` holds."""

    points: int
    when: Condition
    place: Place = NOWHERE


class SocketProfile(NamedTuple):
    """What a kind of socket is to the rules: a row of ``sockets``, see :class:`Stack`."""

    role: str
    ports: str = "shared"
    closes: str = "now"
    unaccepted: str = "reset"


class Substitution(NamedTuple):
    """Addresses that bind() replaces by 0.0.0.0: a row of ``becomes-wildcard``, see :class:`Stack`."""

    span: Span
    protocol: str
    networks: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Stack:
    """Settings of a network stack that are not rules. This docstring documents the section ``stack`` of the file.

    ``local``: networks whose addresses are the host's own. ``v6only_default``: V6ONLY of a new AF_INET6 socket, 0 or 1.
    ``options``: option -> when its value counts (``vocabulary.TIMES``). ``connections``: option -> ``always`` where it
    counts as set on every connection, whatever its value, ``accepted`` where it does on those that came to a listener.
    ``occupies``: protocol -> form of address -> the spaces it takes. ``dual``: how the address of a dual ``::`` relates
    to 0.0.0.0: ``equal`` or ``wider``. ``children``: the address of an accepted socket, as later binds see it:
    ``connection`` or ``wildcard``. ``inherits``: the options that an accepted socket has from its listener. ``owner``:
    who owns an accepted socket: the owner of its ``listener``, or the user who called accept() (``acceptor``).
    ``connect``: what connect() makes of a wildcard that a socket is bound to, as later binds see it: it ``narrows`` to
    the address of the connection, ``keeps``, in the space of the connection, or ``stays`` as bind() made it in both.
    ``unbound_listen``: the port of a socket that listens without bind(): one that the stack has ``chosen``, or
    ``zero``, where the rules of listen() are asked about the others that do so.
    ``newest``: the call that makes a socket the newest on its port: ``bind``, or ``connect`` for bind() and connect().
    ``reset``: what becomes of a client whose connection was refused or reset: it ``keeps`` its port and its use,
    ``keeps-asked``: after a refusal it has only the port that a bind() asked for, or it ``loses`` both. ``reset_told``:
    whether read() says that the connection was reset: ``yes``, or ``unknown``. ``source``: the IPv4 source that a
    connection within the host gets, "" where it is the destination. ``unspecified``: which address of the host a
    connect() to 0.0.0.0 (``ipv4``), ``::ffff:0.0.0.0`` (``mapped``) or ``::`` (``ipv6``) means: ``loopback``, or the
    socket's ``own`` where it is bound to one, else loopback.  A form that is not listed is not described.
    ``becomes_wildcard``: rows of ``{protocol: udp, except: [127.0.0.1/32], since: ..., until: ...}``: bind() of an
    AF_INET socket of that protocol to an address outside of these networks binds it to 0.0.0.0. ``connected_dual``:
    what the IPv4 half of a dual socket holds once it is connected over IPv6, "" for nothing. ``several``: when several
    existing sockets refuse with different errors: ``first-rule`` or ``any``. ``closest``: points, for ``ask: closest``.
    ``sockets``: protocol beside TCP and UDP -> ``{as: PROTOCOL, ports: shared, closes: now, unaccepted: reset}``.
    PROTOCOL is what the rules see (tcp udp unix vsock). Its ports are those of that protocol, or its ``own``. What
    close() leaves of a connection is there ``now``, or ``later``, and is not known until then. A client whose listener
    is closed before it accepted reads a ``reset``, or what is ``unknown``. A kind that is not listed is not described:
    everything beside it is unknown, unless a rule of the section ``socket`` refuses it.
    """

    local: tuple[str, ...] = ("127.0.0.1/32", "::1/128")
    v6only_default: int = 0
    options: Mapping[str, str] = field(default_factory=dict)
    connections: Mapping[str, str] = field(default_factory=dict)
    occupies: Mapping[str, Mapping[str, tuple[str, ...]]] = field(default_factory=dict)
    dual: str = "equal"
    children: str = "connection"
    inherits: tuple[str, ...] = tuple(OPTIONS)
    connect: str = "narrows"
    unbound_listen: str = "chosen"
    newest: str = "bind"
    reset: str = "keeps"
    reset_told: str = "yes"
    source: str = ""
    unspecified: Mapping[str, str] = field(default_factory=dict)
    becomes_wildcard: tuple[Substitution, ...] = ()
    connected_dual: str = ""
    owner: str = "listener"
    several: str = "first-rule"
    closest: tuple[Points, ...] = ()
    sockets: Mapping[str, SocketProfile] = field(default_factory=dict)


def all_rules(sections: Iterable[tuple[Rule, ...]]) -> Iterator[Rule]:
    """Every rule of ``sections`` once, in order; a repeated rule is the one of the first section."""
    seen = set()
    for rules in sections:
        for rule in rules:
            if rule.id not in seen:
                seen.add(rule.id)
                yield rule


@dataclass(frozen=True, eq=False)
class Expectations:
    """An expectation file: one system, all releases.  ``rules`` maps each section to its rules in order."""

    os: str
    title: str
    covers: tuple[str, str]
    stack: Stack
    rules: Mapping[str, tuple[Rule, ...]]
    names: Mapping[str, str] = field(default_factory=dict)
    #: option -> rows of (span, when it counts), where that differs between releases
    options: Mapping[str, tuple[tuple[Span, str], ...]] = field(default_factory=dict)
    file: str = ""
    #: ``covers: last``: the last releases before the first number counts on; there is no 6.20 after 6.19
    last: tuple[str, ...] = ()
    #: vendor -> pattern found in the releases of its kernels, whose number does not say which patches they have
    rebased: Mapping[str, re.Pattern[str]] = field(default_factory=dict)
    #: sysctl -> the value that the rules assume, and what differs on a host with another value
    assumes: Mapping[str, tuple[str, str]] = field(default_factory=dict)
    #: the kernel's own release (what it begins with) -> the system's, "" for one that tells none
    kernel_releases: Mapping[str, str] = field(default_factory=dict)

    def all_rules(self) -> Iterator[Rule]:
        """Every rule once, in the order of the file."""
        return all_rules(self.rules.values())

    @cached_property
    def by_id(self) -> dict[str, Rule]:
        """Rules by id; a rule that is repeated in a second section is the one of the first."""
        return {rule.id: rule for rule in self.all_rules()}

    @cached_property
    def sections(self) -> tuple[str, ...]:
        """The sections that the file has, in the order of the vocabulary."""
        return tuple(name for name in vocabulary.SECTIONS if name in self.rules)

    def resolve(self, release: str) -> str:
        """The release that a name such as ``xp`` stands for; anything else is returned as it is."""
        return self.names.get(release.lower(), release)

    def named(self, release: str) -> str:
        """The name of a release (``server-2025``), or the release where it has none: one word for one release."""
        return next((name for name, version in self.names.items() if version == release), release)

    def of_kernel(self, number: str) -> str | None:
        """The release of the system whose kernel calls itself ``number``, "" where that tells none, None if not known.

        A number that is a release of the system as well (macOS 11, Darwin 11) is looked up all the same.
        """
        if not releases.is_release(number):
            return None
        return next((own for kernel, own in self.kernel_releases.items() if releases.starts_with(number, kernel)), None)

    def at(self, release: str) -> Model:
        """The model of ``release``; raises :class:`~bindmatrix.rules.releases.ReleaseError` when that is unreadable."""
        version = self.resolve(release)
        releases.parse(version)
        rules = {
            section: tuple(rule for rule in rules if rule.span.holds(version)) for section, rules in self.rules.items()
        }
        options = dict(self.stack.options)
        for option, rows in self.options.items():
            options[option] = next((time for span, time in rows if span.holds(version)), "absent")
        replaced = tuple(row for row in self.stack.becomes_wildcard if row.span.holds(version))
        return Model(self, release, replace(self.stack, options=options, becomes_wildcard=replaced), rules)


@dataclass(frozen=True, eq=False)
class Model:
    """One system at one release: what the oracle answers from.

    ``release`` is as it was asked for; it may be a name (``xp``).
    """

    expectations: Expectations
    release: str
    stack: Stack
    rules: Mapping[str, tuple[Rule, ...]]
    #: the number of the scenario's port; 1 stands for any that is not special
    port: int = 1

    @property
    def os(self) -> str:
        """The name of the system."""
        return self.expectations.os

    def all_rules(self) -> Iterator[Rule]:
        """Every rule once, in the order of the file."""
        return all_rules(self.rules.values())

    @cached_property
    def deliveries(self) -> tuple[DeliverRule, ...]:
        """The rules of ``deliver``."""
        return tuple(rule for rule in self.rules.get("deliver", ()) if isinstance(rule, DeliverRule))

    @cached_property
    def by_id(self) -> dict[str, Rule]:
        """Rules by id; a rule that is repeated in a second section is the one of the first."""
        return {rule.id: rule for rule in self.all_rules()}

    def on_port(self, port: int) -> Model:
        """The same for scenarios whose port is ``port``."""
        return replace(self, port=port)

    def with_rules(self, section: str, rules: tuple[Rule, ...]) -> Model:
        """The same with other rules in one section."""
        return replace(self, rules={**self.rules, section: rules})

    @property
    def content(self) -> Hashable:
        """Equal for two releases in which the same rules and settings hold, and different for others."""
        replaced = tuple((row.protocol, row.networks) for row in self.stack.becomes_wildcard)
        return tuple(self.rules.items()), tuple(self.stack.options.items()), replaced
