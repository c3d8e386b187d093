"""The questions that the explorer can compose: every scenario is a choice of one label on each axis.

A *family* is a full product of labels.  Two sockets, ``a`` and ``b``, each with an address and options; what ``a`` has
come to; whether ``b`` listens; who makes them; when the options of ``a`` are set; what follows.  Families keep the
number of questions small: what no family holds is asked with ``bindmatrix ask``.  ``report/site/compose.js`` writes the
same scenarios from the same texts and must change with this module; a test compares them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import product
from typing import Any, NamedTuple

from bindmatrix.generate.axes import CONNECTION, ENDINGS, ENDPOINT, USER
from bindmatrix.notation import HERE, OPTIONS, REMOTE

GROUP = "224.0.0.251"


class AskedAddress(NamedTuple):
    """An address with what belongs to it.  ``reached``: destinations that it may receive from, the likeliest first."""

    family: str
    v6only: str
    address: str
    join: str
    gloss: str
    reached: tuple[str, ...]


ADDRESSES: dict[str, AskedAddress] = {
    "any4": AskedAddress("4", "", "0.0.0.0", "", "0.0.0.0 (all of IPv4)", ("127.0.0.1", "127.0.0.2")),
    "lo4": AskedAddress("4", "", "127.0.0.1", "", "127.0.0.1", ("127.0.0.1",)),
    "lo4b": AskedAddress("4", "", "127.0.0.2", "", "127.0.0.2", ("127.0.0.2",)),
    "default6": AskedAddress("6", "", "::", "", ":: (as the system has it)", ("::1", "127.0.0.1")),
    "dual": AskedAddress("6", "0", "::", "", ":: IPv6 and IPv4", ("127.0.0.1", "::1")),
    "any6": AskedAddress("6", "1", "::", "", ":: IPv6 only", ("::1",)),
    "lo6": AskedAddress("6", "", "::1", "", "::1", ("::1",)),
    "member": AskedAddress("4", "", "0.0.0.0", GROUP, f"0.0.0.0, in {GROUP}", (GROUP, "127.0.0.1")),
    "group": AskedAddress("4", "", GROUP, GROUP, GROUP, (GROUP,)),
}
_UNICAST = tuple(name for name, one in ADDRESSES.items() if not one.join)
#: addresses that a client on another host can reach
_WILDCARDS = tuple(name for name in _UNICAST if ADDRESSES[name].address in ("0.0.0.0", "::"))
#: states that clients on another host leave, with the ending of the connection
_REMOTE_STATES = {"remote-time-wait": "time-wait", "remote-child": "child"}

#: the sets of options that a socket can have
OPTION_SETS: dict[str, tuple[str, ...]] = {
    "none": (),
    "ra": ("reuseaddr",),
    "rp": ("reuseport",),
    "ra-rp": ("reuseaddr", "reuseport"),
    "lb": ("reuseport_lb",),
    "ra-lb": ("reuseaddr", "reuseport_lb"),
    "excl": ("exclusive",),
    "exclbind": ("exclbind",),
    "ra-exclbind": ("reuseaddr", "exclbind"),
}

#: axis -> label -> what the reader chooses
AXES: dict[str, dict[str, str]] = {
    "protocol": {"tcp": "TCP", "udp": "UDP"},
    "first": {name: one.gloss for name, one in ADDRESSES.items()},
    "first_options": {
        name: " + ".join(OPTIONS[one] for one in chosen) or "none" for name, chosen in OPTION_SETS.items()
    },
    "timing": {"before": "before bind()", "after": "after bind()"},
    "state": {
        "bound": "bound",
        "listening": "listening",
        "remote-time-wait": "TIME_WAIT, remote client",
        "time-wait": "TIME_WAIT, local client",
        "client-time-wait": "TIME_WAIT at the client",
        "remote-child": "connection, remote client",
        "child": "connection, local client",
    },
    "second": {name: one.gloss for name, one in ADDRESSES.items()},
    "second_options": {},
    "listens": {"no": "only binds", "yes": "binds and listens"},
    "users": {
        "one-user": "same user",
        "other-user": "another user",
        "user-after-root": "user, after root",
        "root-after-user": "root, after a user",
    },
    "then": {
        "nothing": "nothing more",
        "third": "a third socket like the second",
        "first-closes": "the first one closes",
        "second-closes": "the second one closes",
    },
}
AXES["second_options"] = AXES["first_options"]

Choice = Mapping[str, str]


class QuestionFamily(NamedTuple):
    """Labels of each axis, in the order of AXES; the questions are their product, the last axis varying fastest."""

    labels: tuple[tuple[str, ...], ...]

    def __len__(self) -> int:
        """How many questions."""
        count = 1
        for labels in self.labels:
            count *= len(labels)
        return count

    def choices(self) -> Iterator[Choice]:
        """Every question."""
        for labels in product(*self.labels):
            yield dict(zip(AXES, labels, strict=True))


_SETS = tuple(OPTION_SETS)
_TWO = ("other-user", "user-after-root", "root-after-user")


def _family(protocol: str, **narrowed: tuple[str, ...]) -> QuestionFamily:
    addresses = _UNICAST if protocol == "tcp" else tuple(ADDRESSES)
    labels: dict[str, tuple[str, ...]] = {
        "protocol": (protocol,),
        "users": ("one-user",),
        "state": ("bound", "listening") if protocol == "tcp" else ("bound",),
        "timing": ("before",),
        "listens": ("no", "yes") if protocol == "tcp" else ("no",),
        "then": ("nothing",),
        "first": addresses,
        "second": addresses,
        "first_options": _SETS,
        "second_options": _SETS,
    }
    labels |= narrowed
    return QuestionFamily(tuple(labels[axis] for axis in AXES))


FAMILIES: tuple[QuestionFamily, ...] = (
    _family("tcp", state=tuple(state for state in AXES["state"] if state not in _REMOTE_STATES)),
    _family("tcp", state=tuple(_REMOTE_STATES), first=_WILDCARDS, listens=("yes",)),
    _family("tcp", timing=("after",)),
    _family("tcp", users=_TWO),
    _family("tcp", state=("listening",), listens=("yes",), then=tuple(AXES["then"])[1:]),
    _family("udp", then=tuple(AXES["then"])),
    _family("udp", timing=("after",)),
    _family("udp", users=_TWO),
)


def first_part(choice: Choice) -> str:
    """The steps up to the moment when the second socket arrives."""
    steps = _socket("a", choice["protocol"], choice["first"], choice["first_options"], choice["timing"])
    return " ".join(word for word in (USER[choice["users"]].first, steps, state_steps(choice)) if word)


def state_steps(choice: Choice) -> str:
    """What the first socket goes through after its bind."""
    if choice["state"] == "bound":
        return ""
    if choice["state"] == "listening":
        return "a.listen"
    state = choice["state"]
    endpoint = ENDPOINT[choice["first"]]
    kind, client = f"tcp{endpoint.client_family}", endpoint.client
    if state in _REMOTE_STATES:
        six = ADDRESSES[choice["first"]].family == "6"
        kind, client = f"{REMOTE}{6 if six else 4}", HERE[six]
    ending = ENDINGS[_REMOTE_STATES.get(state, state)]
    steps = (CONNECTION + ending).format(a="a", c="c", x="x", kind=kind, client=client)
    return f"a.listen {steps} a.close"


def second_part(choice: Choice, name: str = "b") -> str:
    """The steps of the second socket, or of a third one like it."""
    steps = _socket(name, choice["protocol"], choice["second"], choice["second_options"], "before")
    listens = f"{name}.listen" if choice["listens"] == "yes" else ""
    return " ".join(word for word in (USER[choice["users"]].second, steps, listens) if word)


def last_part(choice: Choice) -> str:
    """What follows, and who receives: "" where nobody could."""
    words = []
    if choice["then"] == "third":
        words.append(second_part(choice, "c"))
    elif choice["then"] != "nothing":
        words.append("a.close" if choice["then"] == "first-closes" else "b.close")
    two_servers = choice["state"] in ("bound", "listening")
    receives = choice["protocol"] == "udp" or choice["state"] == "listening" or choice["listens"] == "yes"
    if two_servers and receives:
        words.append(f"deliver={destination(choice['first'], choice['second'])}")
    return " ".join(words)


def destination(first: str, second: str) -> str:
    """Where the clients send: an address that both sockets cover, else one of the second."""
    mine, theirs = ADDRESSES[first].reached, ADDRESSES[second].reached
    shared = [one for one in (*mine, *theirs) if one in mine and one in theirs]
    return shared[0] if shared else theirs[0]


def scenario_text(choice: Choice) -> str:
    """The whole scenario."""
    return " ".join(part for part in (first_part(choice), second_part(choice), last_part(choice)) if part)


def _socket(name: str, protocol: str, label: str, options: str, timing: str) -> str:
    address = ADDRESSES[label]
    chosen = [f"{name}.{one}=1" for one in OPTION_SETS[options]]
    words = [f"{name}={protocol}{address.family}"]
    words += [f"{name}.v6only={address.v6only}"] if address.v6only else []
    words += (
        [*chosen, f"{name}.bind={address.address}"]
        if timing == "before"
        else [f"{name}.bind={address.address}", *chosen]
    )
    words += [f"{name}.join={address.join}"] if address.join else []
    return " ".join(words)


def grammar() -> dict[str, Any]:
    """What ``compose.js`` needs to write the same scenarios."""
    leftovers = {state: _WILDCARDS if state in _REMOTE_STATES else _UNICAST for state in tuple(AXES["state"])[2:]}
    return {
        "axes": {axis: list(labels.items()) for axis, labels in AXES.items()},
        "families": [family.labels for family in FAMILIES],
        "addresses": {name: [one.family, one.v6only, one.address, one.join] for name, one in ADDRESSES.items()},
        "options": OPTION_SETS,
        "users": {label: [USER[label].first, USER[label].second] for label in AXES["users"]},
        "states": {
            state: {first: state_steps({"state": state, "first": first}) for first in firsts}
            for state, firsts in leftovers.items()
        },
        "destinations": {first: {second: destination(first, second) for second in ADDRESSES} for first in ADDRESSES},
    }


#: what a preset leaves out
PLAIN: Choice = {
    "protocol": "tcp",
    "first": "any4",
    "first_options": "none",
    "timing": "before",
    "state": "listening",
    "second": "any4",
    "second_options": "none",
    "listens": "yes",
    "users": "one-user",
    "then": "nothing",
}


class Preset(NamedTuple):
    """A question that people ask, in their words; ``goal``: of the recipes, what they want of it."""

    topic: str
    question: str
    choice: Choice
    goal: str


def _preset(topic: str, question: str, both: str = "", goal: str = "", **chosen: str) -> Preset:
    options = {"first_options": both, "second_options": both} if both else {}
    plain = PLAIN if chosen.get("protocol") != "udp" else {**PLAIN, "state": "bound", "listens": "no"}
    return Preset(topic, question, {**plain, **options, **chosen}, goal or _GOALS[topic])


_RESTART, _SECOND, _WHO = "Restart", "A second bind", "Who receives"
_SAFE, _V6, _MORE = "Safety", "IPv6 and IPv4", "Several programs"
#: topic -> the goal of a recipe
_GOALS = {
    _RESTART: "restart",
    _SECOND: "workers",
    _WHO: "workers",
    _SAFE: "exclusive",
    _V6: "dual-stack",
    _MORE: "workers",
}
PRESETS: tuple[Preset, ...] = (
    _preset(_RESTART, "Can I restart at once, with SO_REUSEADDR?", "ra", state="remote-time-wait"),
    _preset(_RESTART, "Can I restart at once, without any option?", state="remote-time-wait"),
    _preset(_RESTART, "... when only the new server sets it?", state="remote-time-wait", second_options="ra"),
    _preset(_RESTART, "... when the client was on this machine?", "ra", state="time-wait"),
    _preset(_RESTART, "... while an old connection is still open?", "ra", state="remote-child"),
    _preset(_RESTART, "... while the old server still listens?", "ra"),
    _preset(_SECOND, "Which call fails, and with which error?", listens="no"),
    _preset(_SECOND, "Does a second bind succeed? TCP, SO_REUSEADDR", "ra", state="bound", listens="no"),
    _preset(_SECOND, "Does a second bind succeed? UDP, SO_REUSEADDR", "ra", protocol="udp"),
    _preset(_SECOND, "Is it enough that the second one sets it? UDP", protocol="udp", second_options="ra"),
    _preset(
        _SECOND,
        "One sets SO_REUSEADDR, the other SO_REUSEPORT",
        protocol="udp",
        first_options="ra",
        second_options="rp",
    ),
    _preset(_SECOND, "Option set after bind(): too late?", "rp", timing="after"),
    _preset(_WHO, "Who gets the connection? SO_REUSEPORT", "rp"),
    _preset(_WHO, "Who gets the datagram? SO_REUSEPORT", "rp", protocol="udp"),
    _preset(_WHO, "Who gets the datagram? SO_REUSEADDR", "ra", protocol="udp"),
    _preset(_WHO, "Wildcard and specific address together", first="any4", second="lo4"),
    _preset(_WHO, "... with SO_REUSEADDR on both", "ra", first="any4", second="lo4"),
    _preset(_SAFE, "Can somebody steal my port?", first="any4", second="lo4", second_options="ra", users="other-user"),
    _preset(_SAFE, "Can another user take my datagrams?", "rp", protocol="udp", users="other-user"),
    _preset(_SAFE, "Does SO_EXCLUSIVEADDRUSE protect me?", first_options="excl", second_options="ra"),
    _preset(_V6, "[::] and then 0.0.0.0", first="default6"),
    _preset(_V6, "0.0.0.0 and then [::]", second="default6"),
    _preset(_V6, "[::] for both families, then 0.0.0.0", first="dual"),
    _preset(_V6, "[::] for IPv6 only, then 0.0.0.0", first="any6"),
    _preset(_MORE, "Several workers on one port, SO_REUSEPORT", "rp", then="third"),
    _preset(_MORE, "... what happens when one of them closes?", "rp", then="second-closes"),
    _preset(_MORE, "Several workers, SO_REUSEPORT_LB (FreeBSD)", "lb", then="third"),
    _preset(
        _MORE,
        "mDNS: two programs in one multicast group",
        "ra",
        "multicast",
        protocol="udp",
        first="member",
        second="member",
    ),
    _preset(
        _MORE,
        "mDNS: two programs bound to the group's address",
        "ra",
        "multicast",
        protocol="udp",
        first="group",
        second="group",
    ),
    _preset(_MORE, "mDNS with both options", "ra-rp", "multicast", protocol="udp", first="member", second="member"),
)

#: questions that no family holds: topic, question, scenario
LISTED_PRESETS: tuple[tuple[str, str, str], ...] = (
    (
        _SECOND,
        "Both set the option after bind(): too late?",
        "a=tcp4 a.bind=0.0.0.0 a.reuseport=1 b=tcp4 b.bind=0.0.0.0 b.reuseport=1",
    ),
    (
        _SECOND,
        "Two ports that the kernel chooses: the same one?",
        "a=udp4 a.reuseaddr=1 a.bind=0.0.0.0,0 b=udp4 b.reuseaddr=1 b.bind=0.0.0.0,0",
    ),
)
