"""Any call on any socket: short programs in which a second bind(), a listen() on a datagram socket or an address of the
other family is as likely as a call that a sensible program makes.

The pairs, sequences and deliveries of this package do what sensible programs do. These programs test the other rules:
those that refuse a call because of the new socket alone, and the effects of a failed call.

A datagram socket connects once. A stream socket does not connect after a bind() to a group or to the broadcast address,
or after an IPv6 bind() to port 0: which part of such an address Linux keeps after a refusal is not described by a rule.

No call blocks: accept() is only called on a socket that never listened, read() is never called, and connect() goes to
loopback. An AF_INET6 TCP socket connects either to IPv6 or to mapped addresses, because Linux 6.18 sends nothing to
``::1`` from a socket whose connection to a mapped address was refused.
"""

from __future__ import annotations

import random
from collections.abc import Collection, Sequence

from bindmatrix.generate.axes import DEFAULT_OPTIONS, ENDPOINTS, FEATURES, USER_IDS

_KINDS: tuple[str, ...] = ("tcp4", "udp4", "tcp6", "udp6")
#: documentation addresses (RFC 5737, RFC 3849), the broadcast address, and one that needs a scope
_ODD_ADDRESSES = ("192.0.2.1", "255.255.255.255", "2001:db8::1", "fe80::1")
_IPV4, _IPV6, _MAPPED = ("127.0.0.1", "127.0.0.2"), ("::1",), ("::ffff:127.0.0.1",)
#: how often each call is drawn, relative to each other
_WEIGHTS = {"bind": 8, "set": 6, "listen": 5, "connect": 5, "new": 5, "close": 3, "user": 2, "chosen": 1, "accept": 1}
_NOT_UNICAST = {"255.255.255.255", *[one.address for one in ENDPOINTS if "multicast" in one.needs]}
_NAMES = "abcdefghijkl"
_MOST_CALLS = len(_NAMES) - 1


def random_calls(
    seed: int,
    count: int,
    *,
    options: Sequence[str] = DEFAULT_OPTIONS,
    users: bool = False,
    lacking: Collection[str] = (),
) -> list[str]:
    """``count`` distinct scenarios of up to 12 steps, the same for the same arguments on every machine.

    ``lacking``: features (rows of ``axes.FEATURES``) to do without.  A longer list starts with the shorter one.
    """
    source = random.Random(f"calls {seed}")  # noqa: S311 - not for secrets
    vocabulary = _Vocabulary(options, users=users and "users" not in lacking, lacking=lacking)
    found: dict[str, None] = {}
    for _ in range(20 * count):
        if len(found) == count:
            break
        found[_CallSequence(source, vocabulary).write()] = None
    return list(found)


class _Vocabulary:
    """The values that programs for one kind of host draw from."""

    def __init__(self, options: Sequence[str], *, users: bool, lacking: Collection[str]) -> None:
        ipv6 = "ipv6" not in lacking
        plain = [one.address for one in ENDPOINTS if not one.needs & set(lacking)]
        # the plain addresses twice, so that sockets often share one
        self.addresses = [one for one in (*plain, *plain, *_ODD_ADDRESSES) if ipv6 or ":" not in one]
        self.kinds = [kind for kind in _KINDS if ipv6 or kind.endswith("4")]
        self.options = [*options, "v6only"]
        self.calls = [call for call, weight in _WEIGHTS.items() if users or call != "user" for _ in range(weight)]
        self.ipv4 = tuple(one for one in _IPV4 if one not in lacking or one not in FEATURES)
        self.ipv6 = ipv6


class _CallSequence:
    """One program while it is written."""

    def __init__(self, source: random.Random, vocabulary: _Vocabulary) -> None:
        self.source = source
        self.pick = source.choice
        self.vocabulary = vocabulary
        #: open socket -> its kind
        self.open: dict[str, str] = {}
        self.closed: list[str] = []
        #: sockets on which a further call would block, or would test something other than ports
        self.listened: set[str] = set()
        self.done: set[tuple[str, str]] = set()
        self.user = 0
        self.far = self.pick((_IPV6, _MAPPED))

    def write(self) -> str:
        """The scenario."""
        steps: list[str] = []
        for _ in range(self.source.randint(2, _MOST_CALLS)):
            call = self.pick(self.vocabulary.calls) if self.open else "new"
            if call == "new":
                steps.append(self._new())
            elif call == "user":
                self.user = self.pick([one for one in (0, 0, *USER_IDS) if one != self.user])
                steps.append(f"user={self.user}")
            else:
                steps += self._on_socket(call)
        return " ".join(steps)

    def _new(self) -> str:
        again = self.closed and self.source.random() < 0.5
        name = self.closed.pop() if again else _NAMES[len(self.open) + len(self.closed)]
        self.listened.discard(name)
        self.done.discard(("connect", name))
        self.open[name] = self.pick(self.vocabulary.kinds)
        return f"{name}={self.open[name]}"

    def _on_socket(self, call: str) -> list[str]:
        if self.closed and self.source.random() < 0.05:
            return [f"{self.pick(self.closed)}.{self.pick(('listen', 'close', 'reuseaddr=1'))}"]
        # squared, so that the newest is chosen most often
        names = list(self.open)
        name = names[-1 - int(self.source.random() ** 2 * len(names))]
        kind = self.open[name]
        if call == "set":
            return [f"{name}.{self.pick(self.vocabulary.options)}={self.pick('1110')}"]
        if call in ("bind", "chosen"):
            address = self._of_family(kind, self.vocabulary.addresses)
            if (kind == "tcp4" and address in _NOT_UNICAST) or (kind == "tcp6" and call == "chosen"):
                self.done.add(("connect", name))
            return [f"{name}.bind={address}{',0' if call == 'chosen' else ''}"]
        if call in ("accept", "connect") and (call, name) in self.done:
            return []
        if call == "connect":
            if kind.startswith("udp"):
                self.done.add((call, name))
            far = self.far if self.vocabulary.ipv6 else ()
            return [f"{name}.connect={self._of_family(kind, (*self.vocabulary.ipv4, *far))}"]
        if call == "accept":
            self.done.add((call, name))
            return [f"x{name}={name}.accept"] if name not in self.listened else []
        if call == "listen":
            self.listened.add(name)
        if call == "close":
            del self.open[name]
            self.closed.append(name)
        return [f"{name}.{call}"]

    def _of_family(self, kind: str, addresses: Sequence[str]) -> str:
        """Mostly an address of the socket's own family."""
        address = self.pick(addresses)
        while (":" in address) != kind.endswith("6") and self.source.random() < 0.9:
            address = self.pick(addresses)
        return address
