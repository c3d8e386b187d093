"""All combinations of facts that can occur together, and sets of them.

Facts are not independent: ``new.form: dual`` goes with one family and one kind of address, ``both.reuseaddr`` follows
from two others.  So facts that have to do with each other form a *group*; a group lists the combinations of values that
can occur (its *worlds*), found by looking at samples of sockets.  Between groups anything goes with anything.

A set of combinations is a *box*, one bit mask of worlds for each group, or a list of disjoint boxes.  A condition is
a box, its negation a list of boxes; so whether rules leave anything to a later rule is a matter of subtraction.

More combinations than really occur are harmless: a proof that a rule can never decide then fails, nothing is claimed
wrongly.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import product
from typing import NamedTuple

from bindmatrix.notation import OPTIONS, SOCKET_KINDS
from bindmatrix.rules import vocabulary
from bindmatrix.rules.facts import EXISTING, FACTS, SPACED
from bindmatrix.rules.model import Condition, SocketProfile, Stack
from bindmatrix.rules.sockets import ALL, ANY, RELATIONS, Sock, relation_in

#: one mask for each group
Box = tuple[int, ...]

#: a list of boxes longer than this is given up on
MAX_BOXES = 2000

#: facts that have a value only where the group that lists them says so
_ELSEWHERE = ("destination", "option")


class Group(NamedTuple):
    """``masks`` has the worlds of each (key of a fact, value); ``all`` are all of them."""

    masks: dict[tuple[str, str], int]
    all: int


def _group(vectors: Iterable[dict[str, str]]) -> Group:
    distinct = dict.fromkeys(tuple(vector.items()) for vector in vectors)
    # as binary digits first: setting bits of large numbers one by one copies them each time
    digits: dict[tuple[str, str], bytearray] = {}
    for index, vector in enumerate(distinct):
        for pair in vector:
            if pair not in digits:
                digits[pair] = bytearray(b"0") * len(distinct)
            digits[pair][~index] = ord("1")
    return Group({pair: int(found, 2) for pair, found in digits.items()}, (1 << len(distinct)) - 1)


class Worlds:
    """What can occur when a section is asked; ``asks`` whether any of its rules look at existing sockets."""

    def __init__(self, section: str, stack: Stack, *, asks: bool, grouped: bool = False) -> None:
        self.section = section
        groups = [
            _group(_addresses(section, stack, asks=asks)),
            _group(_states()),
            _group(_existing_states(grouped=grouped)),
            _group(_users()),
            _group(_memories()),
            _group(_ports()),
            _group(_calls(section, stack)),
            *(_group(_option(option, stack)) for option in OPTIONS if option != "v6only"),
        ]
        known = {key.partition("@")[0] for group in groups for key, _ in group.masks}
        groups += [
            _group({name: value} for value in fact.values)
            for name, fact in FACTS.items()
            if name not in known and name not in _ELSEWHERE and (asks or fact.scope != EXISTING)
        ]
        self.groups = groups
        self.everything: Box = tuple(group.all for group in groups)
        self._place = {key: index for index, group in enumerate(groups) for key, _ in group.masks}

    def box(self, condition: Condition, space: str) -> Box:
        """The combinations of which ``condition`` holds."""
        masks = list(self.everything)
        for name, values in condition:
            key = f"{name}@{space}" if name in SPACED else name
            index = self._place.get(key)
            if index is None:
                # a fact that never has a value here, such as one of an existing socket where none is looked at
                return tuple(0 for _ in masks)
            found = 0
            for value in values:
                found |= self.groups[index].masks.get((key, value), 0)
            masks[index] &= found
        return tuple(masks)


def both(one: Box, other: Box) -> Box | None:
    """The intersection, None when it is empty."""
    masks = tuple([mask & mask2 for mask, mask2 in zip(one, other, strict=True)])
    return masks if all(masks) else None


def subtract(boxes: Iterable[Box], away: Box) -> list[Box]:
    """``boxes`` without ``away``."""
    left = []
    for box in boxes:
        common = both(box, away)
        if common is None:
            left.append(box)
            continue
        rest = list(box)
        for index, mask in enumerate(common):
            outside = rest[index] & ~mask
            if outside:
                left.append((*rest[:index], outside, *rest[index + 1 :]))
                rest[index] = mask
    return left


def within(boxes: Iterable[Box], other: Box) -> list[Box]:
    """The part of ``boxes`` that lies in ``other``."""
    return [found for box in boxes if (found := both(box, other)) is not None]


# -- samples of what the facts are about

_KINDS4 = (
    ("wildcard", ANY, ""),
    ("specific", "127.0.0.1", "127.0.0.2"),
    ("multicast", "224.0.0.251", "224.0.0.1"),
    ("broadcast", "255.255.255.255", ""),
    ("not-local", "192.0.2.1", ""),
)
_KINDS6 = (
    ("wildcard", ANY, ""),
    ("specific", "::1", "::2"),
    ("multicast", "ff02::fb", "ff05::2"),
    ("not-local", "fe80::1", ""),
)


def _values(stack: Stack, protocol: str, form: str, value: str) -> tuple[str | None, str | None]:
    """What an address takes in the two spaces; as ``Transitions._addressed``."""
    spaces = stack.occupies[protocol][form]
    if form == "dual":
        value = ALL if stack.dual == "wider" else ANY
    v6 = value
    if form == "mapped":
        v6 = ALL if value == ANY else f"::ffff:{value}"
    return (value if "ipv4" in spaces else None, v6 if "ipv6" in spaces else None)


def _socks(stack: Stack, protocol: str, *, second: bool) -> Iterator[Sock]:
    """Sockets with every kind of address; with the ``second`` address of a kind where there is one, too."""
    for base in [Sock("", protocol, "ipv6", 0, socket=made) for made in _made_as(stack, protocol)]:
        yield from _addressed(stack, base, second=second)


def _made_as(stack: Stack, protocol: str) -> list[str]:
    """The protocols of the notation that are ``protocol`` to the rules; "" for itself."""
    return ["", *[one for one, row in stack.sockets.items() if row.role == protocol]]


def _addressed(stack: Stack, base: Sock, *, second: bool) -> Iterator[Sock]:
    for form, kinds in (("ipv4", _KINDS4), ("mapped", _KINDS4), ("dual", _KINDS6[:1]), ("ipv6", _KINDS6)):
        for kind, first, other in kinds:
            for value in (first, other) if second and other else (first,):
                v4, v6 = _values(stack, base.protocol, form, value)
                sock = base._replace(form=form, kind=kind, v4=v4, v6=v6)
                if form == "ipv4":
                    yield sock._replace(family="ipv4")
                yield sock


def _connected_socks(stack: Stack, protocol: str) -> Iterator[Sock]:
    """Addresses that only connect() and accept() make."""
    for base in [Sock("", protocol, "ipv6", 0, socket=made) for made in _made_as(stack, protocol)]:
        if stack.connected_dual:
            for v6 in ("::1", "::2"):  # of this host, and the one on which another host reached it
                yield base._replace(form="dual", kind="specific", v4=stack.connected_dual, v6=v6)
        yield base._replace(form="ipv4", kind="wildcard", v4=ANY)
        yield base._replace(form="ipv6", kind="wildcard", v6=ANY)
        yield base._replace(form="ipv4", kind="specific", v4="127.0.0.1")
        yield base._replace(form="ipv6", kind="specific", v6="::1")


def _halves(sock: Sock) -> Iterator[Sock]:
    """The sock, and each of its two halves (``ask: each-address`` looks at them)."""
    yield sock
    if sock.v4 is not None and sock.v6 is not None:
        yield sock._replace(v6=None)
        yield sock._replace(v4=None)


def _addresses(section: str, stack: Stack, *, asks: bool) -> Iterator[dict[str, str]]:
    yield from _other_addresses(section, stack, asks=asks)
    for protocol in ("tcp", "udp"):
        existing = dict.fromkeys(
            half
            for sock in (*_socks(stack, protocol, second=True), *_connected_socks(stack, protocol))
            if sock.kind != "not-local"
            for half in _halves(sock)
        )
        relations: dict[Sock, list[dict[str, str]]] = {}
        for new, fixed in _new_addresses(section, stack, protocol):
            if not asks:
                yield fixed
                continue
            if new not in relations:
                relations[new] = _distinct(_relations(new, sock) for sock in existing)
            for one in relations[new]:
                yield fixed | one


def _distinct(vectors: Iterable[dict[str, str]]) -> list[dict[str, str]]:
    return list({tuple(vector.values()): vector for vector in vectors}.values())


_OTHER_ADDRESSES = {
    "unix": (
        ("path", "specific", "/x"),
        ("path", "specific", "/y"),
        ("abstract", "specific", "@x"),
        ("abstract", "specific", "@y"),
    ),
    "vsock": (("cid", "wildcard", ANY), ("cid", "specific", "cid:own"), ("cid", "specific", "cid:local")),
}


def _other_addresses(section: str, stack: Stack, *, asks: bool) -> Iterator[dict[str, str]]:
    """Those of the kinds that are neither TCP nor UDP to the rules, and of a socket() of any kind."""
    if section == "socket":
        for kind in SOCKET_KINDS.values():
            role = stack.sockets.get(kind.protocol, SocketProfile(kind.protocol)).role
            facts = {"new.protocol": role, "new.socket": kind.protocol, "new.family": kind.family}
            yield facts | {"new.v6only": "no", "new.needs-scope-id": "no", "new.fits-family": "yes"}
        return
    for role, places in _OTHER_ADDRESSES.items():
        kinds = [protocol for protocol, row in stack.sockets.items() if row.role == role]
        socks = [
            Sock("", role, role, 0, form=form, kind=kind, v4=value, socket=socket)
            for socket, (form, kind, value) in product(kinds, places)
        ]
        # of a call on a socket without an address
        bare = [Sock("", role, role, 0, socket=socket) for socket in kinds]
        for new in socks if section in ("bind", "chain", "remember") else [*socks, *bare]:
            facts = {"new.protocol": role, "new.family": role, "new.socket": new.socket, "new.v6only": "no"}
            facts |= {"new.needs-scope-id": "no", "new.fits-family": "yes"}
            if new.form:
                facts |= {"new.form": new.form, "new.address": new.kind}
            targets = dict.fromkeys(form for form, _, _ in places) if section == "connect" else [""]
            for target in targets:
                call = facts | {"destination": target} if target else facts
                if not asks:
                    yield call
                for sock in socks if asks else ():
                    yield call | _relations(new, sock)


def _new_addresses(section: str, stack: Stack, protocol: str) -> Iterator[tuple[Sock, dict[str, str]]]:
    binds = section in ("bind", "chain", "groups", "remember")
    socks = list(_socks(stack, protocol, second=False))
    if stack.connected_dual:  # the address itself can be asked for, too
        its = Sock("", protocol, "ipv4", 0, form="ipv4", kind="specific", v4=stack.connected_dual)
        socks += [its._replace(socket=made) for made in _made_as(stack, protocol)]
    if not binds or section == "groups":  # the last is asked by connect() too
        socks += _connected_socks(stack, protocol)
        socks += [
            Sock("", protocol, family, 0, socket=made)
            for family, made in product(("ipv4", "ipv6"), _made_as(stack, protocol))
        ]
    for sock in socks:
        facts = {"new.protocol": protocol, "new.family": sock.family, "new.socket": sock.made_as}
        if sock.form:
            facts |= {"new.form": sock.form, "new.address": sock.kind}
        scopes = ("yes", "no") if sock.form == "ipv6" and sock.kind in ("multicast", "not-local") and binds else ("no",)
        v6only = ("no",) if sock.form == "dual" and binds else ("no", "yes")
        for scope, only, call in product(scopes, v6only, _fits(section, sock)):
            yield sock, facts | {"new.needs-scope-id": scope, "new.v6only": only} | call


def _fits(section: str, sock: Sock) -> Iterator[dict[str, str]]:
    if section == "connect":
        for destination in ("ipv4", "mapped", "ipv6"):
            fits = (destination == "ipv4") == (sock.family == "ipv4")
            yield {"new.fits-family": "yes" if fits else "no", "destination": destination}
    elif section == "bind":
        yield {"new.fits-family": "yes" if (sock.form == "ipv4") == (sock.family == "ipv4") else "no"}
        if sock.family == "ipv6" and sock.form != "ipv4":
            # the address of a call that does not fit its AF_INET socket
            yield {"new.fits-family": "no", "new.family": "ipv4"}
    else:
        yield {"new.fits-family": "yes"}


def _relations(new: Sock, sock: Sock) -> dict[str, str]:
    facts = {
        "existing.form": sock.form,
        "existing.socket": "same" if sock.made_as == new.made_as else "other",
        "existing.same-form": _yes(sock.form == new.form),
        "existing.family": sock.family,
        "existing.kind": sock.kind,
        "either.wildcard": _yes("wildcard" in (new.kind, sock.kind)),
        "existing.space": "same" if (new.v4 and sock.v4) or (new.v6 and sock.v6) else "other",
    }
    for space in vocabulary.SPACES:
        found = relation_in(space, sock.v4, sock.v6, new.v4, new.v6)
        facts[f"existing.address@{space}"] = found
        facts[f"existing.overlaps@{space}"] = _yes(found != "apart")
    return facts


#: states of a Unix socket that connected without a name of its own
_UNNAMED = ("connected", "close-wait", "reset")


def _states() -> Iterator[dict[str, str]]:
    for accepted in ("yes", "no"):
        for state in FACTS["new.state"].values:
            for bound in ("no",) if state == "open" else ("yes", "no") if state in _UNNAMED else ("yes",):
                yield {"new.state": state, "new.bound": bound, "new.accepted": accepted}


def _existing_states(*, grouped: bool) -> Iterator[dict[str, str]]:
    for state in FACTS["existing.state"].values:
        connection = state not in ("bound", "listening", "reset", "file")
        connected = {_yes(connection), "no"} if grouped else {_yes(connection)}
        listeners = ["none", "open", "closed"] if connection or state == "reset" else ["none"]
        for has, listener, same in product(sorted(connected), listeners, ("yes", "no") if connection else ("no",)):
            yield {
                "existing.state": state,
                "existing.listening": _yes(state == "listening"),
                "existing.connected": has,
                "existing.accepted": _yes(listener != "none"),
                "existing.listener": listener,
                "existing.same-connection": same,
            }


def _users() -> Iterator[dict[str, str]]:
    users = (0, 1001, 1002)
    for new, now, following, existing, memory in product(users, repeat=5):
        yield {
            "new.privileged": _yes(new == 0),
            "user.now": "ordinary" if now else "root",
            "user.next": "same" if following == now else "ordinary" if following else "root",
            "existing.user": "same" if existing == new else "other",
            "existing.privileged": _yes(existing == 0),
            "memory.user": "same" if memory == new else "other",
        }


def _memories() -> Iterator[dict[str, str]]:
    for reuseaddr in ("yes", "no"):
        yield {"memory.reuseaddr": reuseaddr, "memory.reuseport": "nothing", "memory.address": "apart"}
        for port, form, address in product(("address", "anywhere"), FACTS["memory.form"].values, RELATIONS):
            yield {
                "memory.reuseaddr": reuseaddr,
                "memory.reuseport": port,
                "memory.form": form,
                "memory.address": address,
            }


def _ports() -> Iterator[dict[str, str]]:
    yield {"port.empty": "yes", "port.crowded": "no", "port.unconnected": "none", "port.wildcards": "one"}
    counts = FACTS["port.unconnected"].values
    for crowded, unconnected, wildcards in product(("no", "yes"), counts, FACTS["port.wildcards"].values):
        yield {
            "port.empty": "no",
            "port.crowded": crowded,
            "port.unconnected": unconnected,
            "port.wildcards": wildcards,
        }


#: section -> the calls that ask it, where that is not the one it is named after
_CALLS = {
    "chain": ("bind", "listen"),
    "groups": ("bind", "listen", "connect"),
    "remember": ("bind", "listen"),
    "time-wait": ("close",),
    "deliver": ("deliver", "deliver_flow"),
}


def _calls(section: str, stack: Stack) -> Iterator[dict[str, str]]:
    if section == "set":
        for option, value in product(OPTIONS, ("0", "1")):
            if stack.options.get(option) != "absent":
                yield {"call": "set", "option": option, "value": value}
        return
    for call in _CALLS.get(section, (section,)):
        yield {"call": call, "value": "0"}


def _option(option: str, stack: Stack) -> Iterator[dict[str, str]]:
    absent = stack.options.get(option, "absent") == "absent"
    ours = (False,) if absent else (False, True)
    theirs = (False, True) if not absent or stack.connections.get(option) else (False,)
    for new, existing in product(ours, theirs):
        yield {
            f"new.{option}": _yes(new),
            f"existing.{option}": _yes(existing),
            f"both.{option}": _yes(new and existing),
            f"either.{option}": _yes(new or existing),
        }


def _yes(truth: bool) -> str:
    return "yes" if truth else "no"
