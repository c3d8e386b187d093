"""The closed vocabulary of the expectation files: one table of facts, and the names of everything else.

A *fact* is a named property with a few values.  Conditions (``when``, ``unless``, ``among``) are mappings of facts to
a value or a list of values; there are no other expressions.  This table is the only place where a fact is defined:
the documentation is printed from it, ``lint`` enumerates it, and the compiler (``compiled.py``) pastes the expressions
together.  The naive evaluator (``naive.py``) states each fact a second time in its own words; a test compares the two.

In the expressions ``n`` is the new socket (the one that makes the call), ``x`` an existing one on the port, ``r`` how
the address of ``x`` lies to that of ``n``, ``c`` the call, ``m`` the memory of the port, ``S`` all sockets, ``p`` those
on the port (``n`` among them), ``PORT`` its number.  ``{n.OPTION}`` and ``{x.OPTION}`` become the test of that option
at the time at which it counts.
"""

from __future__ import annotations

from typing import NamedTuple

from bindmatrix.notation import OPTIONS, PROTOCOLS
from bindmatrix.rules.sockets import BITS

#: facts of the new socket and the call; of one existing socket; of the port's memory
CALL, EXISTING = "call", "existing"


class Fact(NamedTuple):
    """``values`` maps each value to the expression that is true when the fact has it."""

    name: str
    scope: str
    doc: str
    values: dict[str, str]


def _yes_no(name: str, scope: str, doc: str, expression: str) -> Fact:
    return Fact(name, scope, doc, {"yes": expression, "no": f"not ({expression})"})


def _one_of(name: str, scope: str, doc: str, subject: str, words: str) -> Fact:
    return Fact(name, scope, doc, {word: f"{subject} == {word!r}" for word in words.split()})


def _option_facts() -> list[Fact]:
    facts = []
    for option, constant in OPTIONS.items():
        facts.append(_yes_no(f"new.{option}", CALL, f"the new socket has {constant}", f"{{n.{option}}}"))
        if option == "v6only":
            continue
        facts += [
            _yes_no(f"existing.{option}", EXISTING, f"the existing socket has {constant}", f"{{x.{option}}}"),
            _yes_no(f"both.{option}", EXISTING, f"both have {constant}", f"{{n.{option}}} and {{x.{option}}}"),
            _yes_no(
                f"either.{option}", EXISTING, f"one or both have {constant}", f"({{n.{option}}} or {{x.{option}}})"
            ),
            _yes_no(
                f"existing.{option}-at-bind",
                EXISTING,
                f"the existing socket had {constant} when it was bound, whenever the option counts elsewhere",
                f"x.at_bind & {BITS[option]}",
            ),
        ]
    return facts


_FORMS = "ipv4 mapped dual ipv6"
_OTHER_FORMS = f"{_FORMS} path abstract cid"
_FAMILIES = "ipv4 ipv6 unix vsock"

_FACTS: list[Fact] = [
    _one_of(
        "new.protocol",
        CALL,
        "the protocol; of a socket that is listed in `stack: sockets`, what it is listed `as`",
        "n.protocol",
        "tcp udp unix vsock",
    ),
    _one_of("new.socket", CALL, "the protocol as the notation has it", "(n.socket or n.protocol)", " ".join(PROTOCOLS)),
    _one_of("new.family", CALL, "the address family of the socket, whatever its address", "n.family", _FAMILIES),
    _one_of(
        "new.form",
        CALL,
        "the form of the address: of an AF_INET socket; IPv4-mapped; `::` without V6ONLY; any other IPv6; "
        "a Unix socket's file or abstract name; a CID",
        "n.form",
        _OTHER_FORMS,
    ),
    _one_of(
        "new.address",
        CALL,
        "the kind of the address; a mapped address is what its IPv4 part is; not-local: none of this host's",
        "n.kind",
        "wildcard specific multicast broadcast not-local",
    ),
    _yes_no("new.needs-scope-id", CALL, "a link-local address, which the notation gives no scope id", "c.needs_scope"),
    _yes_no("new.fits-family", CALL, "the address of the call has the family of the socket", "c.fits"),
    _one_of(
        "destination",
        CALL,
        "the form of the address of a connect()",
        "c.destination",
        "ipv4 mapped ipv6 path abstract cid",
    ),
    _yes_no(
        "new.to-itself",
        CALL,
        "a connect() to the address and port that the socket itself has; of other calls: it has such a connection",
        "c.ends and c.ends.partition('>')[0] == c.ends.partition('>')[2]",
    ),
    _yes_no("new.bound", CALL, "it has a port already", "n.port != 0"),
    _yes_no(
        "new.again",
        CALL,
        "a bind() to the address that it has already; a connect() to it, of an IPv4 or Unix socket",
        "c.again",
    ),
    _one_of(
        "new.state",
        CALL,
        "its state before the call; dead: a failed call left it unusable",
        "n.state",
        "open bound listening connected close-wait fin-wait time-wait reset dead",
    ),
    Fact(
        "new.tried",
        CALL,
        "what a bind() that failed, or a connect(), has left in it: the space of its address",
        {"nothing": "not n.tried", "ipv4": "n.tried == 'ipv4'", "ipv6": "n.tried == 'ipv6'"},
    ),
    _yes_no("new.accepted", CALL, "made by accept()", "n.accepted"),
    _yes_no("new.privileged", CALL, "made by root (effective user at socket())", "n.user == 0"),
    Fact("user.now", CALL, "who makes the step", {"root": "c.user == 0", "ordinary": "c.user != 0"}),
    Fact(
        "user.next",
        CALL,
        "whom a `user=` step asks for",
        {
            "same": "c.next_user == c.user",
            "root": "c.next_user == 0 and c.user != 0",
            "ordinary": "c.next_user != 0 and c.next_user != c.user",
        },
    ),
    _one_of("option", CALL, "the option of a setsockopt()", "c.option", " ".join(OPTIONS)),
    Fact("value", CALL, "the value of a setsockopt()", {"0": "c.value == 0", "1": "c.value == 1"}),
    _one_of(
        "call", CALL, "the call", "c.kind", "socket set bind listen connect accept read close user deliver deliver_flow"
    ),
    _yes_no("port.empty", CALL, "no socket has the port, the new one included", "not p"),
    _yes_no("port.crowded", CALL, "more than ten sockets of the protocol have the port", "len(p) > 10"),
    Fact(
        "port.unconnected",
        CALL,
        "how many sockets of the protocol have the port and no connection",
        {
            "none": "all(y.connection for y in p)",
            "one": "sum(not y.connection for y in p) == 1",
            "several": "sum(not y.connection for y in p) > 1",
        },
    ),
    Fact(
        "port.number",
        CALL,
        "the number of the scenario's port, as far as a rule may care; runs keep away from multiples of 128",
        {"multiple-of-128": "PORT % 128 == 0", "other": "PORT % 128 != 0"},
    ),
    _yes_no(
        "group.joined",
        CALL,
        "some socket of the host has joined the multicast group of the address",
        "any((n.v4 or n.v6) in y.joined for y in S)",
    ),
    Fact(
        "memory.reuseport",
        CALL,
        "what the port remembers of an earlier bind with SO_REUSEPORT: its address, or that any address will do",
        {word: f"m.reuseport == {word!r}" for word in ("nothing", "address", "anywhere")},
    ),
    _yes_no("memory.reuseaddr", CALL, "the port remembers that all its binds had SO_REUSEADDR", "m.reuseaddr == 'yes'"),
    Fact(
        "memory.user",
        CALL,
        "whose bind the port remembers",
        {"same": "m.user == n.user", "other": "m.user != n.user"},
    ),
    Fact(
        "memory.address",
        CALL,
        "how the remembered address lies to the new one",
        {
            word: f"relation_in('any', m.v4, m.v6, n.v4, n.v6) == {word!r}"
            for word in ("same", "wider", "narrower", "apart")
        },
    ),
    _one_of("memory.form", CALL, "the form of the remembered address", "m.form", _FORMS),
    Fact(
        "existing.address",
        EXISTING,
        "how the existing address lies to the new one, in the space the rule looks `in`: wider is a wildcard over it",
        {word: f"r == {word!r}" for word in ("same", "wider", "narrower", "apart")},
    ),
    _yes_no("existing.overlaps", EXISTING, "their addresses are the same or one covers the other", "r != 'apart'"),
    Fact(
        "existing.space",
        EXISTING,
        "whether it takes one of the spaces (IPv4, IPv6) that the new one takes",
        {
            "same": "((x.v4 and n.v4) or (x.v6 and n.v6))",
            "other": "not ((x.v4 and n.v4) or (x.v6 and n.v6))",
        },
    ),
    Fact(
        "existing.socket",
        EXISTING,
        "whether the notation has the same protocol for both",
        {
            "same": "(x.socket or x.protocol) == (n.socket or n.protocol)",
            "other": "(x.socket or x.protocol) != (n.socket or n.protocol)",
        },
    ),
    _one_of("existing.form", EXISTING, "the form of its address", "x.form", _OTHER_FORMS),
    _yes_no("existing.same-form", EXISTING, "its address has the form of the new one's", "x.form == n.form"),
    Fact(
        "existing.joined",
        EXISTING,
        "which multicast groups it joined: that of the address in question, only others, none",
        {
            "group": "(n.v4 or n.v6) in x.joined",
            "other": "x.joined and (n.v4 or n.v6) not in x.joined",
            "none": "not x.joined",
        },
    ),
    _one_of("existing.family", EXISTING, "its address family", "x.family", _FAMILIES),
    _one_of("existing.kind", EXISTING, "the kind of its address", "x.kind", "wildcard specific multicast broadcast"),
    _yes_no(
        "either.wildcard", EXISTING, "one or both are on a wildcard", "(n.kind == 'wildcard' or x.kind == 'wildcard')"
    ),
    _one_of(
        "existing.state",
        EXISTING,
        "its state: fin-wait: closed here, not yet by the other side; file: closed, the name of a Unix socket stays",
        "x.state",
        "bound listening connected close-wait fin-wait time-wait reset file",
    ),
    _yes_no("existing.listening", EXISTING, "it listens", "x.state == 'listening'"),
    _yes_no(
        "existing.connected", EXISTING, "it has, or had, another end: connected, TIME_WAIT...", "x.connection != 0"
    ),
    _yes_no(
        "existing.same-connection",
        EXISTING,
        "its connection, TIME_WAIT too, has the addresses and ports of the one that a connect() asks for",
        "c.ends != '' and x.ends == c.ends",
    ),
    _yes_no("existing.accepted", EXISTING, "it came to a listener: accepted, or waiting for accept()", "x.accepted"),
    _yes_no("existing.queued", EXISTING, "it waits for accept()", "x.queued"),
    Fact(
        "existing.listener",
        EXISTING,
        "of an accepted socket: whether its listener is still open; none: it was not accepted",
        {
            "open": "x.listener not in ('', 'closed')",
            "closed": "x.listener == 'closed'",
            "none": "x.listener == ''",
        },
    ),
    Fact("existing.user", EXISTING, "whose it is", {"same": "x.user == n.user", "other": "x.user != n.user"}),
    _yes_no("existing.privileged", EXISTING, "made by root", "x.user == 0"),
    Fact(
        "existing.group",
        EXISTING,
        "of a deliver rule: whether it is in the group (`groups`) of the socket that was picked, in another, in none",
        {"same": "x.group and x.group == n.group", "other": "x.group and x.group != n.group", "none": "not x.group"},
    ),
    *_option_facts(),
]

FACTS: dict[str, Fact] = {fact.name: fact for fact in _FACTS}

#: part of an expectation file -> what its rules decide
SECTIONS: dict[str, str] = {
    "socket": "what socket() returns",
    "user": "what a change of the effective user returns",
    "set": "what setsockopt() returns",
    "bind": "what bind() returns",
    "listen": "what listen() returns",
    "connect": "what connect() returns, before anybody is looked for to receive it",
    "accept": "what accept() returns on a socket that cannot accept",
    "chain": "where a bound socket goes in the port's chain: head (the default) or tail",
    "groups": "which group of the port a socket makes (own), joins or leaves: those who may share deliveries",
    "remember": "what the port remembers after a successful bind() or listen()",
    "time-wait": "what the end that closed first leaves on its port",
    "deliver": "who receives a connection or a datagram",
}

#: how a rule chooses among the existing sockets that match ``among``
ASKS: dict[str, str] = {
    "every": "all of them; the rule decides as soon as it holds for one",
    "closest": "the one with the fewest points of the list `closest`, the newest bind on ties",
    "first": "the first of the port's chain",
    "each-address": "all that share an address answer together: an option counts when all of them have it",
}

#: the space in which addresses are compared
SPACES: dict[str, str] = {
    "any": "where both are present, the closest relation counts",
    "ipv4": "IPv4 alone, mapped addresses and the IPv4 half of a dual `::` included",
    "ipv6": "IPv6 alone",
    "one": "both as one: a wildcard of either covers all of both, a mapped address is its IPv4 one",
}

#: when the value of an option counts
TIMES: dict[str, str] = {
    "now": "the value at the moment of the call",
    "at-bind": "the value that each socket had when it was bound; before that, the one it has",
    "ever": "of an existing socket: set at its bind or since, whatever it is now; of the new one: now",
    "absent": "the platform has no such option: ENOPROTOOPT",
}

#: kinds of evidence, the strongest first, with the word that a confidence is called by
EVIDENCE: dict[str, str] = {
    "observed": "recorded observations in expectations/evidence/HOST/SET.jsonl.gz",
    "test": "a test of another project that asserts it on the real system",
    "source": "the kernel's source",
    "documentation": "a manual",
    "report": "a bug report, an article or an experiment of somebody else",
}
