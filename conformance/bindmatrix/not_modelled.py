"""Words of socket programming that the notation leaves out, each with the reason."""

from __future__ import annotations

from collections.abc import Mapping

_DEVICE = "the sockets of a scenario are on one interface, the loopback"
_CHOSEN = "a program that picks the receiver replaces the rule of the kernel"
_DATA = "it changes how data is sent, and not who may bind"
_HOST = "a scenario binds to addresses of its host, where this option changes nothing"

#: word, in small letters and without SO_, IP_, TCP_ and underscores -> why it is not modelled
NOT_MODELLED: Mapping[str, str] = {
    "bindtodevice": _DEVICE,
    "boundif": _DEVICE,
    "unicastif": _DEVICE,
    "linger": "it changes how close() ends a connection; the short form's 'restart' asks what a close leaves",
    "freebind": _HOST,
    "transparent": _HOST,
    "bindany": _HOST,
    "attachreuseportcbpf": _CHOSEN,
    "attachreuseportebpf": _CHOSEN,
    "incomingcpu": _CHOSEN,
    "nodelay": _DATA,
    "keepalive": _DATA,
    "rcvbuf": _DATA,
    "sndbuf": _DATA,
    "fastopen": _DATA,
    "deferaccept": _DATA,
    "bindaddressnoport": "the port is then chosen by connect(); see 'bindmatrix ports'",
    "fork": "a child process inherits the same socket, so there is no second bind to ask about",
    "sctp": "no system was recorded with SCTP",
    "dccp": "no system was recorded with DCCP",
    "quic": "QUIC servers bind UDP sockets; ask about 'udp'",
}

_PREFIXES = ("so_", "ip_", "ipv6_", "tcp_")


def plain(word: str) -> str:
    """A name without its prefix, case and separators: ``SO_REUSEPORT_LB`` -> ``reuseportlb``."""
    word = word.lower()
    for prefix in _PREFIXES:
        word = word.removeprefix(prefix)
    return word.replace("_", "").replace("-", "")


def why_not(word: str) -> str:
    """``'linger' is not modelled: ...``, "" for a word that is not on the list."""
    reason = NOT_MODELLED.get(plain(word))
    return f"{word!r} is not modelled: {reason}" if reason else ""
