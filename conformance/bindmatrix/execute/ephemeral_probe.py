"""Asks this kernel about the ports that it chooses, in a separate program and network namespace.

The range of ports to choose from is narrowed to 64, so that "never" and "always" can be distinguished by counting: of
80 sockets on 64 ports two must share, or one must fail.  The namespace ends with the process, and with it every socket,
every TIME_WAIT and the narrowed range; the sysctl of the host is never touched.

``probe()`` starts the program and returns what it found; ``python -m bindmatrix.execute.ephemeral_probe`` prints it as
JSON: ``{"host": {...}, "answers": {id: answer}}``.  The ids are those of ``expectations/ephemeral.yaml``; an answer is
a word (``never shares reuses no-reuse``, an errno name) or a list of words.
"""

from __future__ import annotations

import errno
import json
import os
import socket
import struct
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from bindmatrix.errors import BindmatrixError
from bindmatrix.execute import executor

#: the only ports that the kernel may choose, and how many sockets ask for one
LOW, HIGH = 20_000, 20_063
COUNT = 80
#: where listeners stand, outside that range
_SERVERS = (10_001, 10_003)
_SECONDS = 30

ProbeAnswer = str | list[str]
_OPTIONS = {"none": (), "reuseaddr": (socket.SO_REUSEADDR,), "reuseport": (getattr(socket, "SO_REUSEPORT", 15),)}
_TCP, _UDP = socket.SOCK_STREAM, socket.SOCK_DGRAM
_V4, _V6 = socket.AF_INET, socket.AF_INET6
_RESET = struct.pack("ii", 1, 0)


class ProbeError(BindmatrixError):
    """The probe cannot run here; the message says why."""


def probe() -> dict[str, Any]:
    """What this kernel does, found by a process of its own; raises :class:`ProbeError`."""
    if not sys.platform.startswith("linux"):
        raise ProbeError("the range of ports is narrowed in a network namespace, which Linux alone has")
    command = [sys.executable, "-m", "bindmatrix.execute.ephemeral_probe", str(os.getpid())]
    package = str(Path(__file__).parents[2])
    path = os.pathsep.join([package, *filter(None, [os.environ.get("PYTHONPATH")])])
    try:
        done = subprocess.run(  # noqa: S603 - our own program
            command,
            capture_output=True,
            text=True,
            timeout=_SECONDS,
            check=False,
            env={**os.environ, "PYTHONPATH": path},
        )
    except subprocess.TimeoutExpired:
        raise ProbeError(f"no answer in {_SECONDS} seconds") from None
    if done.returncode:
        raise ProbeError((done.stderr.strip() or f"it ended with {done.returncode}").splitlines()[-1])
    found: dict[str, Any] = json.loads(done.stdout)
    return found


# --- inside the process -------------------------------------------------------------------------------------------


def _socket(stack: ExitStack, family: int, kind: int, option: str = "none", *, dual: bool = False) -> socket.socket:
    """A socket that ends with ``stack`` and leaves no TIME_WAIT."""
    made = stack.enter_context(socket.socket(family, kind))
    made.settimeout(2)
    if kind == _TCP:
        made.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
    if family == _V6:
        made.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0 if dual else 1)
    for number in _OPTIONS[option]:
        made.setsockopt(socket.SOL_SOCKET, number, 1)
    return made


def _error(call: Callable[[Any], object], address: tuple[str, int]) -> str:
    """The name of the error of a call, "" for none."""
    try:
        call(address)
    except OSError as error:
        return errno.errorcode.get(error.errno or 0, str(error))
    return ""


@contextmanager
def _filled(family: int, kind: int, address: str, option: str = "none", *, dual: bool = False) -> Iterator[ExitStack]:
    """Every port of the range is bound on ``address``, each once."""
    with ExitStack() as stack:
        for port in range(LOW, HIGH + 1):
            _socket(stack, family, kind, option, dual=dual).bind((address, port))
        yield stack


def _again(kind: int, options: tuple[str, ...]) -> str:
    """80 times bind(127.0.0.1, 0): do two sockets get one port?"""
    for option in options:
        with ExitStack() as stack:
            ports = []
            for _ in range(COUNT):
                made = _socket(stack, _V4, kind, option)
                if not _error(made.bind, ("127.0.0.1", 0)):
                    ports.append(made.getsockname()[1])
            if len(set(ports)) < len(ports):
                return "shares"
    return "never"


def _beside(kind: int, first: tuple[int, str], second: tuple[int, str], options: tuple[str, ...] = ("none",)) -> str:
    """Every port is bound on ``first``: does the kernel choose one of them for ``second``?"""
    for option in options:
        with _filled(first[0], kind, first[1], option, dual=True) as stack:
            if not _error(_socket(stack, second[0], kind, option, dual=True).bind, (second[1], 0)):
                return "shares"
    return "never"


def _full_bind(family: int, address: str) -> str:
    with _filled(family, _TCP, address) as stack:
        return _error(_socket(stack, family, _TCP).bind, (address, 0)) or "ok"


def _connected(kind: int, option: str, *, bound: bool = False) -> tuple[str, str]:
    """Clients connect to one server until the range is full: that error, and whether another server has room."""
    with ExitStack() as stack:
        for port in _SERVERS:
            server = _socket(stack, _V4, kind)
            server.bind(("127.0.0.1", port))
            if kind == _TCP:
                server.listen(2 * COUNT)
        full = ""
        for _ in range(HIGH - LOW + 2):
            full = _connect(stack, kind, option, _SERVERS[0], bound=bound)
        other = _connect(stack, kind, option, _SERVERS[1], bound=bound)
        return full or "ok", "no-reuse" if other else "reuses"


def _connect(stack: ExitStack, kind: int, option: str, port: int, *, bound: bool) -> str:
    client = _socket(stack, _V4, kind, option)
    if bound:
        error = _error(client.bind, ("127.0.0.1", 0))
        if error:
            return error
    return _error(client.connect, ("127.0.0.1", port))


def _taken(kind: int, *, client: bool) -> list[str]:
    """Which pairs ``first/second`` of options let a second socket bind the port that the kernel gave to the first."""
    found = []
    for first in _OPTIONS:
        for second in _OPTIONS:
            with ExitStack() as stack:
                server = _socket(stack, _V4, kind)
                server.bind(("127.0.0.1", _SERVERS[0]))
                if kind == _TCP:
                    server.listen()
                one, two = _socket(stack, _V4, kind, first), _socket(stack, _V4, kind, second)
                if client:
                    one.connect(("127.0.0.1", _SERVERS[0]))
                else:
                    one.bind(("127.0.0.1", 0))
                if not _error(two.bind, ("127.0.0.1", one.getsockname()[1])):
                    found.append(f"{first}/{second}")
    return found


_LO4, _LO4B, _ANY4, _DUAL = (_V4, "127.0.0.1"), (_V4, "127.0.0.2"), (_V4, "0.0.0.0"), (_V6, "::")
_SHARING = ("reuseaddr", "reuseport")

#: id -> how it is found out
QUESTIONS: dict[str, Callable[[], ProbeAnswer]] = {
    "same-address-tcp": lambda: _again(_TCP, tuple(_OPTIONS)),
    "same-address-udp": lambda: _again(_UDP, ("none",)),
    "same-address-udp-reuseaddr": lambda: _again(_UDP, ("reuseaddr",)),
    "same-address-udp-reuseport": lambda: _again(_UDP, ("reuseport",)),
    "full-ipv4": lambda: _full_bind(_V4, "127.0.0.1"),
    "full-ipv6": lambda: _full_bind(_V6, "::1"),
    "other-address-tcp": lambda: _beside(_TCP, _LO4, _LO4B),
    "other-address-udp": lambda: _beside(_UDP, _LO4, _LO4B),
    "wildcard-tcp": lambda: _beside(_TCP, _LO4, _ANY4),
    "wildcard-udp": lambda: _beside(_UDP, _LO4, _ANY4),
    "wildcard-tcp-options": lambda: _beside(_TCP, _LO4, _ANY4, _SHARING),
    "wildcard-udp-options": lambda: _beside(_UDP, _LO4, _ANY4, _SHARING),
    "dual-after-ipv4": lambda: _beside(_TCP, _ANY4, _DUAL),
    "ipv4-after-dual": lambda: _beside(_TCP, _DUAL, _ANY4),
    "connect-tcp": lambda: _connected(_TCP, "none")[1],
    "connect-udp": lambda: _connected(_UDP, "none")[1],
    "connect-udp-options": lambda: _connected(_UDP, "reuseaddr")[1],
    "connect-udp-same": lambda: "shares" if _connected(_UDP, "reuseaddr")[0] == "ok" else "never",
    "bind-before-connect-tcp": lambda: _connected(_TCP, "none", bound=True)[1],
    "full-connect-tcp": lambda: _connected(_TCP, "none")[0],
    "full-connect-udp": lambda: _connected(_UDP, "none")[0],
    "chosen-port-tcp": lambda: _taken(_TCP, client=False),
    "chosen-port-udp": lambda: _taken(_UDP, client=False),
    "client-port-tcp": lambda: _taken(_TCP, client=True),
    "client-port-udp": lambda: _taken(_UDP, client=True),
}

_IPV6 = ("full-ipv6", "dual-after-ipv4", "ipv4-after-dual")


def main(arguments: list[str]) -> int:
    """Run the probe in this process, which it moves into a namespace; for no other process than its own."""
    try:
        if arguments:
            executor._die_with(int(arguments[0]))
        ports = executor._make_ports("own")
        Path("/proc/sys/net/ipv4/ip_local_port_range").write_text(f"{LOW} {HIGH}", encoding="utf-8")
    except OSError as error:
        print(f"no network namespace with a range of its own: {error.strerror or error}", file=sys.stderr)
        return 1
    host = executor.host_facts(ports.kind)
    asked = {name: ask for name, ask in QUESTIONS.items() if host["ipv6"] or name not in _IPV6}
    print(json.dumps({"host": host, "answers": {name: ask() for name, ask in asked.items()}}))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
