"""The words of the expectation files that are not facts: sections, values of ``ask``, spaces, times, kinds of evidence.

The facts are in ``facts.py``.  The tables in ``docs/expectations.md`` are printed from these.
"""

from __future__ import annotations

#: part of an expectation file -> what its rules decide
SECTIONS: dict[str, str] = {
    "socket": "what socket() returns",
    "user": "what a change of the effective user returns",
    "set": "what setsockopt() returns",
    "bind": "what bind() returns",
    "listen": "what listen() returns",
    "connect": "what connect() returns before a receiver is looked up",
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
