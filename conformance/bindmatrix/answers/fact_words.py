"""Facts about two sockets in plain words, for reasons: ``a and b both set SO_REUSEADDR``."""

from __future__ import annotations

from bindmatrix.notation import OPTIONS

_STATES = {
    "bound": "{old} does not listen",
    "listening": "{old} listens",
    "connected": "{old} is connected",
    "close-wait": "the peer of {old} has closed",
    "fin-wait": "{old} is closed on this side only",
    "time-wait": "{old} is in TIME_WAIT",
    "reset": "{old} was reset",
    "file": "{old} is closed",
}
_FORMS = {
    "ipv4": "{old} is an IPv4 socket",
    "mapped": "{old} is bound to an IPv4-mapped address",
    "dual": "{old} is a dual `::`",
    "ipv6": "{old} takes IPv6 only",
    "path": "{old} has a file name",
    "abstract": "{old} has an abstract name",
    "cid": "{old} is a vsock",
}
_ADDRESSES = {
    "wildcard": "{%s} is bound to a wildcard",
    "specific": "{%s} is bound to a specific address",
    "multicast": "{%s} is bound to a multicast group",
    "broadcast": "{%s} is bound to a broadcast address",
}

#: fact -> value -> what is true of the sockets ``{new}`` and ``{old}`` then
_WORDS: dict[str, dict[str, str]] = {
    "new.privileged": {"yes": "{new} was made by root", "no": "{new} was not made by root"},
    "new.address": {value: text % "new" for value, text in _ADDRESSES.items()},
    "existing.kind": {value: text % "old" for value, text in _ADDRESSES.items()},
    "existing.state": _STATES,
    "existing.listening": {"yes": _STATES["listening"], "no": _STATES["bound"]},
    "existing.connected": {"yes": "connections do not count", "no": "{old} has no connection"},
    "existing.accepted": {"yes": "{old} was accepted from a listener", "no": "{old} was not accepted from a listener"},
    "existing.queued": {"yes": "{old} waits for accept()", "no": "{old} does not wait for accept()"},
    "existing.listener": {
        "open": "the listener of {old} is open",
        "closed": "the listener of {old} is closed",
        "none": "{old} was not accepted from a listener",
    },
    "existing.user": {"same": "{old} and {new} have the same user", "other": "{old} belongs to another user"},
    "existing.privileged": {"yes": "{old} was made by root", "no": "{old} was not made by root"},
    "existing.address": {
        "same": "their addresses are the same",
        "wider": "their addresses differ ({old} covers {new})",
        "narrower": "their addresses differ ({new} covers {old})",
        "apart": "their addresses differ",
    },
    "existing.form": _FORMS,
    "existing.same-form": {
        "yes": "their addresses have the same form",
        "no": "their addresses do not have the same form",
    },
    "existing.family": {
        "ipv4": "{old} is an IPv4 socket",
        "ipv6": "{old} is an IPv6 socket",
        "unix": "{old} is a Unix socket",
        "vsock": "{old} is a vsock",
    },
    "existing.socket": {"same": "{old} and {new} are of one type", "other": "{old} and {new} are of different types"},
    "either.wildcard": {
        "yes": "one of {old} and {new} is bound to a wildcard",
        "no": "neither {old} nor {new} is bound to a wildcard",
    },
    "existing.joined": {
        "group": "{old} has joined the group",
        "other": "{old} has joined another group",
        "none": "{old} has joined no group",
    },
}
for _option, _constant in OPTIONS.items():
    _WORDS |= {
        f"new.{_option}": {"yes": f"{{new}} sets {_constant}", "no": f"{{new}} does not set {_constant}"},
        f"existing.{_option}": {"yes": f"{{old}} sets {_constant}", "no": f"{{old}} does not set {_constant}"},
        f"existing.{_option}-at-bind": {
            "yes": f"{{old}} was bound with {_constant}",
            "no": f"{{old}} was bound without {_constant}",
        },
        f"both.{_option}": {
            "yes": f"both set {_constant}",
            "no": f"{{old}} and {{new}} do not both set {_constant}",
        },
        f"either.{_option}": {
            "yes": f"one of {{old}} and {{new}} sets {_constant}",
            "no": f"neither {{old}} nor {{new}} sets {_constant}",
        },
    }


def in_words(fact: str, value: str, new: str, old: str) -> str:
    """What ``fact`` says of two sockets called ``new`` and ``old`` when it has ``value``.

    Raises ``KeyError`` for a fact that is about no two sockets.
    """
    return _WORDS[fact][value].format(new=new, old=old)
