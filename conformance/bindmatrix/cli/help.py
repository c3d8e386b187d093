"""``bindmatrix help``: the notation of scenarios on one screen, or the help of a verb."""

from __future__ import annotations

import argparse

from bindmatrix.cli.main import OK, VERBS, main
from bindmatrix.errors import Place, Problem, nearest
from bindmatrix.notation import OPTIONS, SOCKET_KINDS
from bindmatrix.report.console import wrapped

_WIDTH = 80
_TOPIC = "notation"

#: how a step is written -> what it is
_STEPS: dict[str, str] = {
    "a=tcp4": "socket(): a is a new socket, of a kind listed below",
    "a.reuseaddr=1": "setsockopt(): 1 sets an option, 0 clears it; see below",
    "a.bind=127.0.0.1": "bind() to that address and the scenario's port",
    "a.bind=::1,0": "bind() to a port that the kernel chooses",
    "a.listen": "listen()",
    "c.connect=127.0.0.1": "connect() to that address and the scenario's port",
    "x=a.accept": "accept(): x is the connection",
    "c.read": "read until end of file",
    "a.close": "close()",
    "a.join=224.0.0.251": "join a multicast group on the loopback interface",
    "user=1001": "the effective user of the steps that follow; 0 is root",
    "wait=100": "wait that many milliseconds",
    "deliver=127.0.0.1": "who receives: 32 clients send a datagram, or connect",
    "deliver_flow=127.0.0.1": "the same from one client socket (UDP)",
}
#: what a delivery returns -> what it means
_RECEIVERS: dict[str, str] = {
    "a": "a receives everything",
    "spread:a,b": "they share what arrives: each gets a part",
    "every:a,b": "each gets a copy",
    "none, refused, timeout": "nobody: no answer, an error, or they wait",
}
_EXAMPLE = "a=tcp4 a.reuseaddr=1 a.bind=0.0.0.0 a.listen b=tcp4 b.bind=127.0.0.1"


def configure(parser: argparse.ArgumentParser) -> None:
    """The arguments of the verb."""
    parser.add_argument("topic", nargs="?", default=_TOPIC, help=f"'{_TOPIC}' (the default), or a verb")


def run(arguments: argparse.Namespace) -> int:
    """Print the help of a topic; raises :class:`Problem` for one that does not exist."""
    if arguments.topic in VERBS:
        return main([arguments.topic, "--help"])
    if arguments.topic != _TOPIC:
        topics = (_TOPIC, *VERBS)
        raise Problem(
            Place("topic"), f"expected 'notation' or a verb, got {arguments.topic!r}{nearest(arguments.topic, topics)}"
        )
    print("A scenario is a line of steps, each one call on a socket with a name. All its")
    print(f"sockets share one port.\n\n  {_EXAMPLE}\n")
    _table("Steps", _STEPS)
    print("Kinds of sockets")
    print("\n".join(wrapped(", ".join(SOCKET_KINDS), "  ", _WIDTH)))
    print("  (remote4 and remote6 are sockets of another host)\n")
    _table("Options", OPTIONS)
    _table("Who receives", _RECEIVERS)
    print("What a step returns: ok, the name of an errno (EADDRINUSE), or who receives.")
    print("'bindmatrix ask --help' has a shorter form for the most common questions.")
    return OK


def _table(title: str, rows: dict[str, str]) -> None:
    width = max(map(len, rows))
    print(title)
    for word, meaning in rows.items():
        print(f"  {word.ljust(width)}  {meaning}")
    print()
