"""A whole program in one file: standard library only, Python 3.8 or later, imports nothing else of the project.

It runs scenarios (``a=tcp4 a.bind=0.0.0.0 b=tcp4 b.bind=127.0.0.1``) on this kernel and reports what every call
returned.  It knows the platform's constants and no semantics.  The rows of the tables below are also in
``conformance/bindmatrix/notation.py``; a test compares the two.

Ways to use it:

* imported: ``with Executor() as executor: executor.line("a=tcp4 a.bind=127.0.0.1")``;
* as a program: ``python3 executor.py [--namespace own|none|auto] [--parent PID]``, or as the text of ``python3 -c``;
* as a program that comes through its own standard input: ``python3 -c LOADER SIZE [options]`` (``LOADER`` is below)
  reads SIZE bytes of program text, then scenarios follow;
* sent through execnet's ``remote_exec``: the channel gives the header, then lines for lines, as bytes.

In: one scenario a line, as ``{"scenario": "..."}`` or bare.  Out: the line ``{"format": ..., "host": {...}}``, then one
line per scenario, in order: ``{"scenario":"...","outcomes":["ok",...]}``, where ``outcomes`` is null and ``no_verdict``
or ``unsupported`` has the reason when the scenario could not be judged.  Written whenever the input pauses.

Ports.  On Linux the program moves into a network namespace of its own (as root; else into one inside a user namespace);
elsewhere it leases ports that it tried first.  A scenario that connects gets a port that no other scenario meets while
a TIME_WAIT may live there; all others share a round of ports.  Multiples of 128 are never used: NetBSD finds accepted
children on those ports alone.  Nothing is sent to an address that is not this host's loopback.
"""

from __future__ import annotations

import _socket
import errno
import itertools
import json
import os
import re
import select
import stat
import struct
import sys
import time
from _socket import socket
from contextlib import closing
from functools import lru_cache

TYPE_CHECKING = False  # importing typing would cost a third of the start
if TYPE_CHECKING:
    from typing import Any, Callable, Dict, Iterable, Iterator, List, Optional, Tuple

    Step = Tuple[int, str, Any]
    Address = Any  # what bind() and connect() take
    Servers = List[Tuple[str, socket]]

FORMAT = "bindmatrix-observations/1"
#: the program text of ``python3 -c``; its first argument is the size of this file in bytes
LOADER = "import sys;exec(compile(sys.stdin.buffer.read(int(sys.argv.pop(1))),'executor.py','exec'))"
#: seconds that accept, connect, read and deliver may take; Windows goes on for two where a port of its own refuses
#: (libuv pull request 2896; unslothai/unsloth pull request 11213 measured 2.0 s on GitHub's windows-latest)
LIMIT = 3.0 if sys.platform == "win32" else 1.0
DELIVERIES = 32
BACKLOG = 64

LINUX = sys.platform.startswith("linux")
WINDOWS = sys.platform == "win32"
SUN = sys.platform.startswith("sunos")
INET, INET6 = _socket.AF_INET, _socket.AF_INET6
STREAM, DGRAM = _socket.SOCK_STREAM, _socket.SOCK_DGRAM
SOL_SOCKET, SO_ERROR = _socket.SOL_SOCKET, _socket.SO_ERROR
IPPROTO_IP, IPPROTO_IPV6 = 0, 41


def _constant(name: str, linux: int, sun: int, bsd: int) -> int:
    """Python's constant, or where Python was built without it the number of the system's header.

    linux: include/uapi; sun: illumos usr/src/uts/common/netinet/in.h and sys/socket.h; bsd: netinet/in.h,
    netinet6/in6.h and sys/socket.h, from which macOS and Winsock (ws2ipdef.h) have theirs.
    """
    number: int = getattr(_socket, name, linux if LINUX else sun if SUN else bsd)
    return number


V6ONLY = _constant("IPV6_V6ONLY", 26, 0x27, 27)
JOIN6 = _constant("IPV6_JOIN_GROUP", 20, 0x9, 12)
MULTICAST_IF6 = _constant("IPV6_MULTICAST_IF", 17, 0x6, 9)
MULTICAST_HOPS6 = _constant("IPV6_MULTICAST_HOPS", 18, 0x7, 10)
JOIN4 = _constant("IP_ADD_MEMBERSHIP", 35, 0x13, 12)
MULTICAST_IF4 = _constant("IP_MULTICAST_IF", 32, 0x10, 9)
MULTICAST_TTL4 = _constant("IP_MULTICAST_TTL", 33, 0x11, 10)
RESET_ON_CLOSE = struct.pack("hh" if WINDOWS else "ii", 1, 0)  # Winsock's struct linger is of two u_short

UNIX, VSOCK = getattr(_socket, "AF_UNIX", -1), getattr(_socket, "AF_VSOCK", -2)  # below 0: this Python cannot
MPTCP, UDPLITE = 262, 136  # protocol numbers are those of IANA, or Linux's

#: kind of socket -> arguments of socket()
KINDS: Dict[str, Tuple[int, ...]] = {
    "tcp4": (INET, STREAM), "tcp6": (INET6, STREAM), "udp4": (INET, DGRAM), "udp6": (INET6, DGRAM),
    "mptcp4": (INET, STREAM, MPTCP), "mptcp6": (INET6, STREAM, MPTCP),
    "udplite4": (INET, DGRAM, UDPLITE), "udplite6": (INET6, DGRAM, UDPLITE),
    "unix": (UNIX, STREAM), "unixgram": (UNIX, DGRAM), "vsock": (VSOCK, STREAM),
    "remote4": (INET, STREAM), "remote6": (INET6, STREAM),
}  # fmt: skip
#: TCP sockets of another host
REMOTE = ("remote4", "remote6")
#: this host as the other one sees it, and the other one: addresses for documentation (RFC 5737, RFC 3849)
HERE, THERE = ("192.0.2.1", "2001:db8::1"), ("192.0.2.2", "2001:db8::2")

#: word after ``cid:`` -> the CID, None for that of the machine
CIDS: Dict[str, Optional[int]] = {"any": 0xFFFFFFFF, "local": 1, "own": None}

#: option -> (level, number), None where the platform has no such constant
OPTIONS: Dict[str, Optional[Tuple[int, int]]] = {
    "reuseaddr": (SOL_SOCKET, _socket.SO_REUSEADDR),
    # 0x2004: OmniOS's header shows it to the kernel alone; on illumos 0x200 is SO_DGRAM_ERRIND
    "reuseport": None if WINDOWS else (SOL_SOCKET, _constant("SO_REUSEPORT", 15, 0x2004, 0x200)),
    "reuseport_lb": (SOL_SOCKET, 0x10000) if sys.platform.startswith("freebsd") else None,
    "exclusive": (SOL_SOCKET, ~_socket.SO_REUSEADDR) if WINDOWS else None,
    "exclbind": (SOL_SOCKET, 0x1015) if SUN else None,
    "v6only": (IPPROTO_IPV6, V6ONLY),
    "broadcast": (SOL_SOCKET, _constant("SO_BROADCAST", 6, 0x20, 0x20)),
}

SET, BIND, LISTEN, SOCKET, CLOSE = range(5)  # what most scenarios are made of; Executor._steps has them inline
MAPPED = 5  # bind() to an IPv4-mapped address: Python would pass it on to an AF_INET socket as the IPv4 one
CHOSEN, CONNECT, ACCEPT, READ, JOIN, USER, WAIT, DELIVER, FLOW, LACKING = range(6, 16)
MAKE, NAMED = 16, 17  # SOCKET and BIND outside of IP
ABROAD = 18  # SOCKET on another host
BINDS = (BIND, MAPPED, NAMED)
ADDRESSED = (BIND, MAPPED, CHOSEN, CONNECT)
#: steps at which the kernel chooses a port for a socket that has none
PORT_OF_KERNEL = (CHOSEN, LISTEN, CONNECT)
#: what they return where it cannot: bind() and listen(), connect() of TCP, connect() of UDP (which may also hang)
NOT_CHOSEN = ("EADDRINUSE", "EADDRNOTAVAIL", "EAGAIN", "timeout")
VERBS = {"bind": BIND, "listen": LISTEN, "connect": CONNECT, "read": READ, "close": CLOSE, "join": JOIN}
GLOBALS = {"user": USER, "wait": WAIT, "deliver": DELIVER, "deliver_flow": FLOW}
MAXIMUM = {"user": 2**32 - 2, "wait": 600_000}

_NAME = re.compile(r"[a-z][a-z0-9_]*\Z")
_ELSEWHERE = re.compile(r"[/@][a-z0-9_]{1,32}\Z|cid:(%s)\Z" % "|".join(CIDS))
_known: Dict[str, Step] = {}
#: stands for every socket that could not be made: the kernel answers EBADF; the first executor makes it
_CLOSED: Any = None


class NotAScenario(ValueError):
    """The text is no scenario; the message says why."""


class NoVerdict(Exception):
    """The set-up failed, so the outcomes would say nothing about the kernel."""


class Unsupported(Exception):
    """This host lacks what the scenario needs."""


# --- notation -----------------------------------------------------------------------------------------------------


def parse(text: str) -> Tuple[List[Step], bool]:
    """The steps of ``text`` as (code, socket, argument), and whether one is more than options, bind, listen, close."""
    steps = []
    made = {"": True}
    special = False
    for word in text.split():
        step = _known.get(word) or _learn(word)
        code, name, argument = step
        if code in (SOCKET, ACCEPT, MAKE, ABROAD):
            if made.get(name):
                raise NotAScenario("%r makes a socket that is still open" % word)
            if code != SOCKET:
                special = True
                if code == ACCEPT and argument not in made:
                    raise NotAScenario("%r is on a socket that is not made yet" % word)
            made[name] = True
        elif name not in made:
            raise NotAScenario("%r is on a socket that is not made yet" % word)
        elif code > MAPPED:
            special = True
        elif code == CLOSE:
            made[name] = False
        steps.append(step)
    if not steps:
        raise NotAScenario("no step")
    if special:
        _check_families(steps)
    return steps, special


def _check_families(steps: List[Step]) -> None:
    """An IP address is for IP sockets, a name for Unix sockets, a CID for vsocks."""
    families: Dict[str, int] = {}
    for code, name, argument in steps:
        if code in (SOCKET, MAKE, ABROAD):
            families[name] = argument[0] if code == MAKE else 0
        elif code == ACCEPT:
            families[name] = families[argument]
        elif code in (*ADDRESSED, NAMED, JOIN) and _family(argument) != families[name]:
            raise NotAScenario("the address %r is none for %r" % (argument, name))


def _family(address: str) -> int:
    """The address family of an address of the notation; 0 for IP."""
    return UNIX if address[0] in "/@" else VSOCK if address[:4] == "cid:" else 0


def _learn(word: str) -> Step:
    head, equals, value = word.partition("=")
    name, dot, verb = head.partition(".")
    source, accept = value.partition(".")[::2]
    step: Step
    if not dot and head in GLOBALS:
        step = (GLOBALS[head], "", _number(head, value) if head in MAXIMUM else _address(word, value))
    elif not _NAME.match(name) or (dot and name in GLOBALS):
        raise NotAScenario("%r is not a step" % word)
    elif not dot and value in REMOTE:
        step = (ABROAD, name, KINDS[value])
    elif not dot and value in KINDS:
        step = (MAKE if KINDS[value][0] in (UNIX, VSOCK) else SOCKET, name, KINDS[value])
    elif not dot and accept == "accept" and _NAME.match(source):
        step = (ACCEPT, name, source)
    elif verb in OPTIONS and value in ("0", "1"):
        option = OPTIONS[verb]
        step = (SET, name, (*option, int(value))) if option else (LACKING, name, verb)
    elif verb in ("listen", "read", "close") and not equals:
        step = (VERBS[verb], name, None)
    elif verb == "bind" and value.endswith(",0"):
        step = (CHOSEN, name, _address(word, value[:-2], "cid:"))
    elif verb in ("bind", "connect", "join"):
        step = (_bind_code(value) if verb == "bind" else VERBS[verb], name, _address(word, value))
        if verb == "join" and not _multicast(value):
            raise NotAScenario("%r needs a multicast address" % word)
    else:
        raise NotAScenario("%r is not a step" % word)
    if len(_known) > 100_000:
        _known.clear()
    _known[word] = step
    return step


def _bind_code(address: str) -> int:
    if _ELSEWHERE.match(address):
        return NAMED
    return MAPPED if ":" in address and "." in address else BIND


def _number(head: str, value: str) -> int:
    digits = value.lstrip("0")
    if not (value.isascii() and value.isdigit()) or len(digits) > 10 or int(digits or "0") > MAXIMUM[head]:
        raise NotAScenario("%r needs a number from 0 to %d" % (head, MAXIMUM[head]))
    return int(digits or "0")


def _packed(address: str) -> bytes:
    return _socket.inet_pton(INET6 if ":" in address else INET, address)


def _address(word: str, address: str, *elsewhere: str) -> str:
    """``address``, if it is one; ``elsewhere``: how it may begin outside of IP, in any way when nothing is given."""
    if _ELSEWHERE.match(address) and address.startswith(elsewhere or ("",)):
        return address
    try:
        _packed(address)
    except (OSError, ValueError):
        raise NotAScenario("%r needs an IPv4 or IPv6 address" % word) from None
    return address


def _multicast(address: str) -> bool:
    if _family(address):
        return False
    first = _packed(address)[0]
    return first == 0xFF if ":" in address else first >> 4 == 14


def _unspecified(address: str) -> bool:
    return address in ("0.0.0.0", "::", "::ffff:0.0.0.0")


def _loopback(address: str) -> bool:
    packed = _packed(address)
    return packed == bytes(15) + b"\1" or packed[:-3] in (b"\x7f", bytes(10) + b"\xff\xff\x7f")


# --- names of errors ----------------------------------------------------------------------------------------------

_ERRORS = {number: name[3:] if name.startswith("WSAE") else name for number, name in errno.errorcode.items()}
_ERRORS.update({errno.EOPNOTSUPP: "EOPNOTSUPP", errno.EAGAIN: "EAGAIN"})
#: Winsock's codes with another name than the error of the same meaning has elsewhere (winerror.h)
WSAEWOULDBLOCK, WSAENOTSOCK, WSAECONNRESET = 10035, 10038, 10054
if WINDOWS:
    _ERRORS.update({WSAEWOULDBLOCK: "EAGAIN", WSAENOTSOCK: "EBADF"})  # a closed socket is "not a socket" there
#: these say that the machine is at its limits, not what the kernel thinks of the call
_SETUP_ERRORS = {
    "EMFILE": "too many open files", "ENFILE": "too many open files in the whole system",
    "ENOBUFS": "no buffer space available", "ENOMEM": "cannot allocate memory",
}  # fmt: skip


def _error_name(number: int) -> str:
    name = _ERRORS.get(number, "errno %d" % number)
    if name in _SETUP_ERRORS:
        raise NoVerdict(_SETUP_ERRORS[name])
    return name


def _number_of(error: OSError) -> int:
    """The system's own number: on Windows errno has lost what winerror says."""
    return getattr(error, "winerror", None) or error.errno or 0


# --- ports --------------------------------------------------------------------------------------------------------


@lru_cache(maxsize=None)
def _library() -> Any:
    import ctypes  # a third of the start: only where it is needed

    return ctypes.CDLL(None, use_errno=True)


def _libc(name: str, *arguments: int) -> None:
    if getattr(_library(), name)(*arguments) != 0:
        import ctypes

        number = ctypes.get_errno()
        raise OSError(number, "%s: %s" % (name, os.strerror(number)))


def _read(path: str) -> str:
    try:
        with open(path, encoding="utf-8") as file:
            return file.read().strip()
    except (OSError, UnicodeDecodeError):
        return ""


def _write(path: str, text: str) -> bool:
    try:
        with open(path, "w", encoding="utf-8") as file:
            file.write(text)
    except OSError:
        return False
    return True


class NamespacePorts:
    """All ports of a network namespace of our own; a new one as soon as TIME_WAITs could run out of room there.

    ``unshare`` moves the calling thread alone; ``close`` moves it back (a user namespace cannot be left again).
    """

    NEWNET, NEWUSER = 0x40000000, 0x10000000
    EPHEMERAL = (32768, 65535)
    #: connections a namespace carries; each may hold one port of EPHEMERAL for the length of TIME_WAIT
    CONNECTIONS = 8192
    #: settings that outcomes depend on: a new namespace has the kernel's defaults, and gets those of the host
    KEPT = (
        "ipv6/bindv6only", "ipv4/tcp_timestamps", "ipv4/tcp_tw_reuse", "ipv4/ip_autobind_reuse",
        "ipv4/ip_unprivileged_port_start",
    )  # fmt: skip
    #: which namespace this is; sockets that outlive a scenario belong to one
    number = 0

    def __init__(self, user: bool) -> None:
        self.kind = "user" if user else "own"
        self._home: Optional[int] = None
        self._settings = {path: _read(path) for path in ["/proc/sys/net/" + name for name in self.KEPT]}
        if user:
            uid, gid = os.geteuid(), os.getegid()
            _libc("unshare", self.NEWUSER | self.NEWNET)
            _write("/proc/self/setgroups", "deny")
            for path, number in (("/proc/self/uid_map", uid), ("/proc/self/gid_map", gid)):
                if not _write(path, "%d %d 1" % (number, number)):
                    raise OSError(errno.EPERM, "%s cannot be written" % path)
        else:
            home = os.open("/proc/thread-self/ns/net", os.O_RDONLY)
            try:
                _libc("unshare", self.NEWNET)
            except OSError:
                os.close(home)
                raise
            self._home = home
        try:
            self._furnish()
        except OSError:
            self.close()
            raise

    def _furnish(self) -> None:
        import fcntl

        with closing(socket(INET, DGRAM)) as sock:
            try:  # SIOCSIFFLAGS: lo up and running
                fcntl.ioctl(sock.fileno(), 0x8914, struct.pack("16sh22x", b"lo", 0x41))
            except OSError:
                if not _loopback_carries():  # gVisor has no such request, and lo is up from the start
                    raise
        _write("/proc/sys/net/core/somaxconn", "4096")  # more than the clients of a delivery
        for path, value in self._settings.items():
            if value and value != _read(path):
                _write(path, value)
        low, high = self._ephemeral()
        buckets = "/proc/sys/net/ipv4/tcp_max_tw_buckets"
        _write(buckets, "262144")
        self._left = min(self.CONNECTIONS, int(_read(buckets) or 4096) // 2)
        ports = [port for port in range(10_000, 32_000) if port % 128 and not low <= port <= high]
        if len(ports) < 2048:
            raise OSError(errno.EADDRINUSE, "ip_local_port_range leaves no ports")
        self.plain: Callable[[], int] = itertools.cycle(ports[:1024]).__next__
        self._fresh = iter(ports[1024:])
        if _is_gvisor(os.uname()[2]):  # it loses a few reservations for ever: no port is met twice there
            self.plain, self._fresh = self._unused, iter(ports)
        self.number += 1

    def _unused(self) -> int:
        return self.fresh(0)

    def _ephemeral(self) -> Tuple[int, int]:
        """The range of the ports that the kernel chooses here, EPHEMERAL where that can be had."""
        path = "/proc/sys/net/ipv4/ip_local_port_range"
        before = _read(path)
        low, high = self.EPHEMERAL
        if _write(path, "%d %d" % (low, high)):
            if not _is_gvisor(os.uname()[2]):
                return low, high
            _write(
                path, before
            )  # there the file is that of the whole sandbox, and namespaces go by a range of their own
        low, high = (int(word) for word in (before or "0 0").split())
        return low, high

    def fresh(self, connections: int) -> int:
        """A port that no scenario used before in this namespace, for one that makes so many connections."""
        self._left -= connections
        port = next(self._fresh, None)
        if port is None or self._left < 0:
            try:
                _libc("unshare", self.NEWNET)
                self._furnish()
            except OSError as error:
                raise NoVerdict("no further network namespace: %s" % error) from None
            return self.fresh(0)
        return port

    def close(self) -> None:
        if self._home is not None:
            try:
                _libc("setns", self._home, self.NEWNET)
            except OSError:
                if not _is_gvisor(os.uname()[2]):  # there is no way back there
                    raise
            os.close(self._home)
            self._home = None


#: what bind() answers on a port that is somebody else's, and what that means
TAKEN = {"EADDRINUSE": "was taken by another process"}
if WINDOWS:  # an exclusive socket of another process, or "netsh interface ipv4 show excludedportrange"
    TAKEN["EACCES"] = "is excluded by Windows or held exclusively by another process"


class LeasedPorts:
    """Ports among those of everybody else: blocks away from the ephemeral range, each port tried before its use.

    The first port of a block stays bound as the sign to other executors that the block is taken.
    """

    kind = "none"
    number = 0
    BLOCK = 250  # room for 88 executors on one machine
    ROUND = 64
    #: seconds: the longest TIME_WAIT is that of Solaris and Windows, four minutes
    REST = 250.0

    def __init__(self, ipv6: bool) -> None:
        self._families = (INET, INET6) if ipv6 else (INET,)
        # away from the ephemeral ports: FreeBSD takes them from 10000 upwards, OpenBSD from 1024 to 49151
        regions = {"freebsd": (2000, 10_000), "openbsd": (50_000, 65_000)}
        low, high = regions.get(sys.platform.rstrip("0123456789.-"), (10_000, 32_000))
        words = _read("/proc/sys/net/ipv4/ip_local_port_range").split()
        first, last = (int(words[0]), int(words[1])) if len(words) == 2 else (0, 0)
        blocks = [start for start in range(low, high, self.BLOCK) if not first - self.BLOCK < start <= last]
        if not blocks:
            raise OSError(errno.EADDRINUSE, "ip_local_port_range leaves no ports from %d to %d" % (low, high))
        turn = os.getpid() % len(blocks)
        self._blocks = blocks[turn:] + blocks[:turn]
        self._signs: List[socket] = []
        self._fresh: Iterator[int] = iter(())
        self._resting: List[Tuple[float, int]] = []
        self._crowded = False  # whether a port was ever found to be taken
        try:
            self._ring = list(itertools.islice(self._candidates(), self.ROUND))
        except NoVerdict as error:
            self.close()
            raise OSError(str(error)) from None
        if not self._ring:
            self.close()
            raise OSError(errno.EADDRINUSE, "every port from %d to %d is taken" % (low, high))
        self._turn = iter(self._ring)
        self._tried = time.monotonic()

    def plain(self) -> int:
        """A port for a scenario that leaves nothing behind.

        All of them are tried again once a second.  Once one was taken, each is tried before its use too: otherwise a
        scenario and its repeats may all meet sockets of the same neighbour.
        """
        for _ in range(self.ROUND):
            port = next(self._turn, None)
            if port is None:
                if time.monotonic() - self._tried > 1:
                    self._ring = [port for port in self._ring if self.free(port)]
                    self._ring += itertools.islice(self._candidates(), self.ROUND - len(self._ring))
                    self._tried = time.monotonic()
                self._turn = iter(self._ring)
                port = next(self._turn, None)
            if port is None:
                break
            if not self._crowded or self.free(port):
                return port
        raise NoVerdict("every leased port was taken by another process")

    def _candidates(self) -> Iterator[int]:
        while True:
            for port in self._fresh:
                if self.free(port):
                    yield port
            if not self._lease():
                return

    def _lease(self) -> bool:
        while self._blocks:
            start = self._blocks.pop(0)
            sign = socket(INET, STREAM)
            try:
                sign.bind(("127.0.0.1", start + 1))
            except OSError:
                sign.close()
                continue
            self._signs.append(sign)
            self._fresh = iter([port for port in range(start + 2, start + self.BLOCK) if port % 128])
            return True
        return False

    def free(self, port: int) -> bool:
        """Whether a socket of each kind can have the port for itself now."""
        for family in self._families:
            for kind in (STREAM, DGRAM):
                try:
                    sock = socket(family, kind)
                except OSError as error:
                    _error_name(_number_of(error))  # NoVerdict where the machine is at its limits
                    raise  # a sandbox refuses sockets: the port is not to blame
                with closing(sock):
                    try:
                        if WINDOWS:
                            sock.setsockopt(SOL_SOCKET, ~_socket.SO_REUSEADDR, 1)
                        if family == INET6:
                            sock.setsockopt(IPPROTO_IPV6, V6ONLY, 1)
                        sock.bind(("", port))
                    except OSError:
                        self._crowded = True
                        return False
        return True

    def fresh(self, _connections: int) -> int:
        """A port that was free a moment ago and carries no TIME_WAIT of ours."""
        port = next(self._candidates(), None)
        while port is None:
            if not self._resting or time.monotonic() - self._resting[0][0] < self.REST:
                raise NoVerdict("every port is taken or may still carry a TIME_WAIT; run again in four minutes")
            candidate = self._resting.pop(0)[1]
            port = candidate if self.free(candidate) else None
        self._resting.append((time.monotonic(), port))
        return port

    def close(self) -> None:
        for sign in self._signs:
            sign.close()


class SecondAddress:
    """127.0.0.2 on lo0, on systems where 127.0.0.1 stands there alone and root may add another (BSDs, macOS, illumos).

    It is added once for all executors of the machine and taken away by the last of them.  Who needs it holds a shared
    lock on ``LOCK``, a file that exists as long as the address is ours: an address without the file is the machine's
    own and is left alone.  A child of the executor, the keeper, adds the address and, as soon as the executor has ended
    in whatever way, gives its lock back; if it then gets the file for itself, nobody needs the address any more.
    What remains when a keeper itself is killed, or the machine's power fails: address and file, until the next executor
    that runs as root ends.
    """

    ADDRESS = "127.0.0.2"
    LOCK = "/var/run/bindmatrix-127.0.0.2"
    IFCONFIG = "/sbin/ifconfig"
    ADD, REMOVE = ("alias 127.0.0.2 netmask 255.255.255.255", "-alias 127.0.0.2")
    if SUN:
        ADD, REMOVE = ("addif 127.0.0.2/32 up", "removeif 127.0.0.2")
    PATIENCE = 5.0  # seconds that another executor may take to remove the address

    def __init__(self) -> None:
        self._lock = self._end = -1
        self._keeper = 0
        if self._is_of_the_machine() or not os.path.exists(self.IFCONFIG):
            return
        try:
            self._lock = self._hold()
        except OSError:
            return  # the facts will say that the address is not there
        import signal  # noqa: F401 - here, because after a fork among threads nothing should be imported

        reader, self._end = os.pipe()
        ready, done = os.pipe()
        self._keeper = os.fork()
        if self._keeper == 0:
            try:
                self._keep(reader, done)
            finally:
                os._exit(1)
        os.close(reader)
        os.close(done)
        os.read(ready, 1)  # ends when the keeper has added it
        os.close(ready)

    def close(self) -> None:
        """Let the keeper go; whoever is the last takes the address away before this returns."""
        if self._keeper:
            os.close(self._lock)
            os.close(self._end)
            try:
                os.waitpid(self._keeper, 0)
            except ChildProcessError:
                pass  # whoever imported us collects children itself
            self._keeper = 0

    def _is_of_the_machine(self) -> bool:
        # asked twice: between the questions an executor may have ended, which removes the address before the file
        return self._there() and not os.path.exists(self.LOCK) and self._there()

    def _there(self) -> bool:
        return _bindable(INET, self.ADDRESS)

    def _hold(self) -> int:
        """A shared lock on the file, made where it is missing; OSError after PATIENCE."""
        import fcntl

        end = time.monotonic() + self.PATIENCE
        while True:
            lock = os.open(self.LOCK, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600)
            try:
                fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
                if self._is_current(lock):
                    return lock
            except BlockingIOError:
                time.sleep(0.005)  # somebody is taking the address away
            os.close(lock)
            if time.monotonic() > end:
                raise OSError(errno.ETIMEDOUT, "somebody holds %s" % self.LOCK)

    def _is_current(self, lock: int) -> bool:
        """Whether the locked file is still the one that has the name."""
        try:
            there, ours = os.stat(self.LOCK), os.fstat(lock)
        except OSError:
            return False
        return (there.st_dev, there.st_ino) == (ours.st_dev, ours.st_ino)

    def _keep(self, reader: int, done: int) -> None:
        """What the keeper does, in a session of its own: what ends the executor must not end it."""
        import signal

        os.setsid()
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT):
            signal.signal(number, signal.SIG_IGN)
        null = os.open(os.devnull, os.O_RDWR)
        for descriptor in range(3):
            os.dup2(null, descriptor)
        kept = sorted({self._lock, reader, done})
        for low, high in zip([2, *kept], [*kept, 4096]):  # noqa: B905 - Python 3.8 has no strict
            os.closerange(low + 1, high)
        if not self._there():
            self._ifconfig(self.ADD)
        os.close(done)
        os.read(reader, 1)  # ends with the executor
        self._leave()
        os._exit(0)

    def _leave(self) -> None:
        import fcntl

        fcntl.flock(self._lock, fcntl.LOCK_UN)
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            return  # somebody else needs the address and will do the rest
        if self._is_current(self._lock):
            self._ifconfig(self.REMOVE)
            if not self._there():
                os.unlink(self.LOCK)

    def _ifconfig(self, words: str) -> None:
        child = os.fork()
        if child == 0:
            try:
                os.execv(self.IFCONFIG, [self.IFCONFIG, "lo0", *words.split()])  # noqa: S606 - no shell is needed
            finally:
                os._exit(1)
        os.waitpid(child, 0)


def _rehearse() -> None:
    """Let a child try a user namespace: it cannot be left again, and some systems grant it without any right in it."""
    child = os.fork()
    if child == 0:
        status = 1
        try:
            NamespacePorts(True)
            status = 0
        finally:
            os._exit(status)
    if os.waitpid(child, 0)[1] != 0:
        raise OSError(errno.EPERM, "no network namespace: neither as root nor inside a user namespace")


def _make_ports(namespace: str) -> Any:
    if namespace not in ("own", "none", "auto"):
        raise ValueError("namespace is 'own', 'none' or 'auto', not %r" % namespace)
    failure: Optional[OSError] = None
    if namespace != "none" and LINUX:
        for user in (False, True):
            try:
                if user:
                    _rehearse()
                return NamespacePorts(user)
            except OSError as error:
                failure = error
    if namespace == "own":
        raise failure or OSError(errno.ENOTSUP, "network namespaces exist on Linux alone")
    return LeasedPorts(_bindable(INET6, "::1"))


# --- names of Unix sockets ----------------------------------------------------------------------------------------


class Folder:
    """A folder of our own for the names of Unix sockets.

    On Linux it is a file system that is mounted nowhere (fsopen(2), since 5.2) and ends with this process, however
    that ends.  Elsewhere, or where that is not allowed, it is one among the temporary files for each scenario, under a
    lock.  A process that is killed in such a scenario leaves it there; the next that needs one removes it.
    """

    FSOPEN, FSCONFIG, FSMOUNT, NEWNS = 430, 431, 432, 0x20000
    PREFIX = "bindmatrix-unix-"  # short: the names of Unix sockets are limited to about 100 bytes
    _swept = False

    def __init__(self, own_users: bool) -> None:
        self.temporary = ""
        try:
            self._descriptor = self._unmounted(own_users)
            self.path = "/proc/self/fd/%d" % self._descriptor
        except (OSError, AttributeError):
            self._descriptor = self._locked()
            self.path = self.temporary

    def _unmounted(self, own_users: bool) -> int:
        if not LINUX:
            raise OSError(errno.ENOSYS, "only Linux has file systems that are mounted nowhere")
        if own_users:
            _libc("unshare", self.NEWNS)  # root of a user namespace may mount in a mount namespace of its own alone
        context = _syscall(self.FSOPEN, b"tmpfs", 1)
        try:
            _syscall(self.FSCONFIG, context, 6, None, None, 0)  # FSCONFIG_CMD_CREATE
            return _syscall(self.FSMOUNT, context, 1, 0)
        finally:
            os.close(context)

    def _locked(self) -> int:
        import fcntl
        import tempfile

        parent = tempfile.gettempdir()
        if not Folder._swept:
            Folder._swept = True
            for name in os.listdir(parent):
                if name.startswith(self.PREFIX):
                    self._sweep(os.path.join(parent, name))
        self.temporary = tempfile.mkdtemp(prefix=self.PREFIX)
        descriptor = os.open(self.temporary, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        if os.geteuid() == 0:
            os.fchmod(descriptor, 0o1777)  # for the users of a scenario
        return descriptor

    @staticmethod
    def _sweep(path: str) -> None:
        """Remove a folder of this user that no executor holds.

        Anybody may put a folder of that name among the temporary files, and exchange it at any time.  So only a folder
        that belongs to us counts, and only sockets are removed from it, through its descriptor, never by path.  The
        sticky bit of the parent keeps others from exchanging our own.  An empty one stays: an executor may have just
        made it, and lock it next.
        """
        import fcntl

        try:
            descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
        except OSError:
            return
        try:
            if os.fstat(descriptor).st_uid == os.geteuid():
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                names = os.listdir(descriptor)
                for name in names:
                    if stat.S_ISSOCK(os.stat(name, dir_fd=descriptor, follow_symlinks=False).st_mode):
                        os.unlink(name, dir_fd=descriptor)
                if names:
                    os.rmdir(path)
        except OSError:
            pass  # an executor holds it, or it holds what is not ours
        finally:
            os.close(descriptor)

    def clear(self) -> None:
        """Remove what the scenario left."""
        # the descriptor of a file system that is mounted nowhere cannot be listed (O_PATH), and its path is safe
        for name in os.listdir(self._descriptor if self.temporary else self.path):
            os.unlink(name, dir_fd=self._descriptor)

    def close(self) -> None:
        self.clear()
        if self.temporary:
            os.rmdir(self.temporary)
        os.close(self._descriptor)


def _syscall(number: int, *arguments: Any) -> int:
    result: int = _library().syscall(number, *arguments)
    if result < 0:
        import ctypes

        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code))
    return result


def _machine_cid() -> Optional[int]:
    """The CID of this machine, None without a vsock device that tells."""
    try:
        import fcntl

        with open("/dev/vsock", "rb") as device:
            answer = fcntl.ioctl(device.fileno(), 0x7B9, bytes(4))  # IOCTL_VM_SOCKETS_GET_LOCAL_CID
    except (ImportError, OSError):
        return None
    cid: int = struct.unpack("=I", answer)[0]
    return cid if 2 < cid < 0xFFFFFFFF else None


# --- another host -------------------------------------------------------------------------------------------------


class SecondHost:
    """A network namespace that stands for another host, joined to ours by a pair of veth interfaces.

    Made and spoken to by rtnetlink(7); the kernel removes the pair with the namespaces.
    """

    NEWNET = NamespacePorts.NEWNET
    NAMES = (b"bindmatrix0", b"bindmatrix1")
    #: of both ends, which have IFF_NOARP: a first packet that had to ask for it could be lost for a second
    LINK_ADDRESS = b"\x02\0\0\0\0\1"

    def __init__(self) -> None:
        self._home = os.open("/proc/thread-self/ns/net", os.O_RDONLY)
        self._there = -1
        try:
            _libc("unshare", self.NEWNET)
            try:
                self._there = os.open("/proc/thread-self/ns/net", os.O_RDONLY)
            finally:
                _libc("setns", self._home, self.NEWNET)
            self._join()
        except OSError:
            self.close()
            raise

    def socket(self, *arguments: int) -> socket:
        """A socket of the other host."""
        _libc("setns", self._there, self.NEWNET)
        try:
            return socket(*arguments)
        finally:
            _libc("setns", self._home, self.NEWNET)

    def close(self) -> None:
        try:  # closing the namespace would take the interface, and its addresses, away some time later
            index = _socket.if_nametoindex(self.NAMES[0].decode())
            self._ask(17, 0, struct.pack("=BxHiII", 0, 0, index, 0, 0))  # RTM_DELLINK
        except OSError:
            pass  # it was never made, or this is another namespace by now
        for descriptor in (self._home, self._there):
            if descriptor >= 0:
                os.close(descriptor)
        self._home = self._there = -1

    def _join(self) -> None:
        attribute = self._attribute
        same = attribute(1, self.LINK_ADDRESS)
        peer = bytes(16) + same + attribute(3, self.NAMES[1] + b"\0") + attribute(28, struct.pack("=I", self._there))
        kind = attribute(1, b"veth\0") + attribute(2, attribute(1, peer))  # IFLA_INFO_KIND, IFLA_INFO_DATA
        self._ask(
            16, 0x600, bytes(16) + same + attribute(3, self.NAMES[0] + b"\0") + attribute(18, kind)
        )  # RTM_NEWLINK
        addresses = self._furnish(self.NAMES[0], HERE)
        _libc("setns", self._there, self.NEWNET)
        try:
            self._furnish(self.NAMES[1], THERE)
        finally:
            _libc("setns", self._home, self.NEWNET)
        for address in addresses:
            self._wait_until_reached(address)

    def _furnish(self, name: bytes, addresses: Tuple[str, str]) -> List[str]:
        """Set the interface up with its addresses, without duplicate address detection; the addresses that it has."""
        given = []
        index = _socket.if_nametoindex(name.decode())
        for address, family, length in zip(addresses, (INET, INET6), (24, 64)):  # noqa: B905
            packed = _packed(address)
            text = struct.pack("=BBBBI", family, length, 2, 0, index)  # IFA_F_NODAD
            try:
                self._ask(20, 0x600, text + self._attribute(2, packed) + self._attribute(1, packed))  # RTM_NEWADDR
                given.append(address)
            except OSError:
                if family == INET:
                    raise  # a kernel without IPv6 has half of it
        self._ask(16, 0, struct.pack("=BxHiII", 0, 0, index, 0x81, 0x81))  # IFF_UP, IFF_NOARP
        return given

    def _wait_until_reached(self, address: str) -> None:
        """Connect to a port without a listener until it is refused.

        The kernel sees the carrier and puts the routes to an IPv6 address in place some time after it has said yes; a
        packet that comes before is dropped, and sent again after a second only.
        """
        end = time.monotonic() + 2
        while time.monotonic() < end:
            with closing(self.socket(INET6 if ":" in address else INET, _socket.SOCK_STREAM, 0)) as probe:
                probe.settimeout(0.01)
                try:
                    probe.connect((address, 9))
                except ConnectionRefusedError:
                    return
                except OSError:  # timeout, ENETUNREACH
                    time.sleep(0.001)
        raise OSError(errno.ENETDOWN, os.strerror(errno.ENETDOWN))

    @staticmethod
    def _attribute(number: int, value: bytes) -> bytes:
        return struct.pack("=HH", 4 + len(value), number) + value + bytes(-len(value) % 4)

    @staticmethod
    def _ask(kind: int, flags: int, text: bytes) -> None:
        """Make one request of NETLINK_ROUTE; OSError when the kernel refuses it."""
        with closing(socket(16, _socket.SOCK_RAW, 0)) as netlink:
            # NLM_F_REQUEST, NLM_F_ACK
            netlink.send(struct.pack("=IHHII", 16 + len(text), kind, flags | 5, 1, 0) + text)
            number: int = -struct.unpack_from("=i", netlink.recv(65536), 16)[0]  # NLMSG_ERROR, 0 for success
        if number:
            raise OSError(number, os.strerror(number))


# --- what the kernel says of connections --------------------------------------------------------------------------


class Link:
    """A connection of the scenario: its ends, whether its child was accepted, how many of its named ends closed."""

    def __init__(self, local: Address, peer: Address) -> None:
        self.ends = (local, peer)
        self.questions = StateTable.question(local, peer), StateTable.question(peer, local)
        self.accepted = False
        self.closed = 0
        self.remote = local[0] in THERE
        #: of a connection with another host: which end was closed first, "" for none
        self.first = ""

    @staticmethod
    def end(address: Address) -> Tuple[str, int]:
        """An address without what differs between the two ends of one connection."""
        return address[0].rpartition("ffff:")[2] if "." in address[0] else address[0], address[1]


class StateTable:
    """Asks a Linux kernel (sock_diag(7), one question a socket) in which state each end of a connection is.

    The states that the calls of a scenario must have led to are known: this tells a leftover that is there from one
    that is still on its way or that the kernel dropped (TIME_WAIT past ``tcp_max_tw_buckets``).
    """

    ESTABLISHED, FIN_WAIT1, FIN_WAIT2, TIME_WAIT, CLOSE_WAIT, LISTEN = 1, 4, 5, 6, 8, 10
    NAMES = "? ESTABLISHED SYN_SENT SYN_RECV FIN_WAIT1 FIN_WAIT2 TIME_WAIT CLOSE CLOSE_WAIT LAST_ACK LISTEN CLOSING"
    GONE = 0
    PATIENCE = 0.1  # seconds that a packet may be on its way within this host

    def __init__(self) -> None:
        self._netlink: Optional[socket] = socket(16, _socket.SOCK_RAW, 4)  # AF_NETLINK, NETLINK_SOCK_DIAG
        self._netlink.settimeout(0.2)

    def close(self) -> None:
        if self._netlink:
            self._netlink.close()
            self._netlink = None

    @staticmethod
    def question(local: Address, peer: Address) -> bytes:
        """The netlink message that asks for the socket at ``local`` that is connected to ``peer``."""
        family = INET6 if ":" in local[0] else INET
        text = struct.pack("=BBBxI", family, 6, 0, 0xFFFFFFFF) + struct.pack("!HH", local[1], peer[1])
        text += _packed(local[0]).ljust(16, b"\0") + _packed(peer[0]).ljust(16, b"\0")
        text += struct.pack("=III", 0, 0xFFFFFFFF, 0xFFFFFFFF)
        return struct.pack("=IHHII", 16 + len(text), 20, 1, 0, 0) + text

    def state(self, question: bytes) -> int:
        """The state of the socket that was asked for, GONE for none."""
        assert self._netlink
        self._netlink.send(question)
        answer = self._netlink.recv(4096)
        if struct.unpack_from("=H", answer, 4)[0] != 20:
            return self.GONE
        state = answer[17]
        return self.GONE if state == self.LISTEN else state  # where no connection is, its listener answers

    def works(self, link: Link) -> bool:
        """Whether a connection that is certainly there is found: not every kernel has the module."""
        try:
            return self._netlink is not None and self.state(link.questions[link.remote]) == self.ESTABLISHED
        except OSError:
            return False

    def verify(self, link: Link, settle: Callable[[], None]) -> None:
        """Wait until both ends are where the calls have led them; raises NoVerdict when they do not get there."""
        end = time.monotonic() + self.PATIENCE
        while True:
            try:
                there = self.state(link.questions[1])
                here = there if link.remote else self.state(link.questions[0])
            except OSError as error:  # must not be taken for the outcome of the step
                raise NoVerdict("the states of connections cannot be looked up: %s" % error) from None
            if self._led_to(link, *sorted((here, there))):
                return
            if time.monotonic() > end:
                names = self.NAMES.replace("?", "gone").split()
                raise NoVerdict("a connection got stuck: its ends are %s and %s" % (names[here], names[there]))
            settle()

    def _led_to(self, link: Link, low: int, high: int) -> bool:
        if link.remote:
            return low in self._alone(link)
        if (low, high) == (self.GONE, self.GONE):
            return not link.accepted  # reset, because its listener was closed
        if link.closed == 2:
            return (low, high) == (self.GONE, self.TIME_WAIT)
        if link.closed == 1:
            # closed here alone; the other end may delay its acknowledgement for 40 ms, and rules know one such state
            return low in (self.FIN_WAIT1, self.FIN_WAIT2) and high == self.CLOSE_WAIT
        return (low, high) == (self.ESTABLISHED, self.ESTABLISHED)

    def _alone(self, link: Link) -> Tuple[int, ...]:
        """The states of our end of a connection with another host, whose end cannot be asked for from here."""
        if link.closed == 2:
            return (self.TIME_WAIT,) if link.first == "here" else (self.GONE,)
        if link.closed == 1:
            return (self.FIN_WAIT1, self.FIN_WAIT2) if link.first == "here" else (self.CLOSE_WAIT, self.GONE)
        return (self.ESTABLISHED,) if link.accepted else (self.ESTABLISHED, self.GONE)


# --- the executor -------------------------------------------------------------------------------------------------


class Executor:
    """Runs scenarios, one at a time.  ``facts`` describes the host.

    ``namespace``: "own" moves the calling thread into a network namespace of its own (OSError where it may not),
    "none" leaves it where it is, "auto" tries the first and takes the second.  ``adds_address``: give the loopback
    interface 127.0.0.2 meanwhile where it lacks it and root runs this (:class:`SecondAddress`).
    """

    def __init__(self, namespace: str = "none", parent: int = 0, *, adds_address: bool = True) -> None:
        global _CLOSED
        if _CLOSED is None:
            _CLOSED = socket(INET, DGRAM)  # not at the import: a system may refuse every socket
            _CLOSED.close()
        self._ports = _make_ports(namespace)
        self._user = os.geteuid() if hasattr(os, "geteuid") else None
        self._parent = parent
        self._sockets: Dict[str, socket] = {}
        self._port = 0
        self._connected = False
        self._made: Tuple[int, ...] = (INET, STREAM)
        self._folder: Optional[Folder] = None
        self._names = False  # whether the scenario has names in it
        #: what is ours in spaces that we share: the abstract names, the ports of vsocks (their upper half)
        self._mark = struct.unpack("H", os.urandom(2))[0] | 1
        self._cid = _machine_cid() if LINUX and VSOCK > 0 else None
        self._codes: Dict[int, int] = {}
        self._echo: Optional[socket] = None
        self._echo_in = 0
        self._table: Optional[StateTable] = None
        self._table_works = LINUX
        self._links: Dict[Any, Link] = {}  # by their ends, from the side of the client
        self._link_of: Dict[str, Link] = {}
        self._second_host: Optional[SecondHost] = None
        self._abroad: Tuple[str, ...] = ()  # the sockets of the scenario that are of the other host
        lacks_address = adds_address and not (LINUX or WINDOWS) and self._user == 0
        self._second = SecondAddress() if lacks_address else None
        self.facts = host_facts(self._ports.kind, self._cid)
        self._die_with_parent()  # the facts tried another user
        self._addresses = self.facts["addresses"]
        #: why outcomes would say nothing about this kernel; tried here, so that no scenario has to find out
        self._broken = (
            "" if _loopback_carries() else "a datagram over the loopback interface does not arrive: is it up?"
        )
        self._queue: Optional[str] = None  # the same for deliveries to listeners, tried at the first
        self._loopback_index = _loopback_index()
        #: value of SO_SNDTIMEO that limits a connect(); empty where it does not: only Linux documents it, socket(7)
        self._send_timeout = struct.pack("@ll", int(LIMIT), 0) if self.facts["os"] == "linux" else b""
        self._leased = self._ports.kind == "none"
        self._limited = len(self._addresses) < 3
        self._special: Dict[int, Callable[[str, Any], Optional[str]]] = {
            MAPPED: self._mapped, CHOSEN: self._chosen, CONNECT: self._connect, ACCEPT: self._accept,
            READ: self._read, JOIN: self._join,
            USER: self._change_user, WAIT: self._wait, DELIVER: self._deliver, FLOW: self._deliver_flow,
            LACKING: self._lacking, MAKE: self._make, NAMED: self._bind_named,
            ABROAD: self._make_abroad,
        }  # fmt: skip

    def __enter__(self) -> Executor:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        if self._echo:
            self._echo.close()
            self._echo = None
        if self._table:
            self._table.close()
            self._table = None
        if self._folder:
            self._folder.close()
            self._folder = None
        if self._second_host:
            self._second_host.close()
            self._second_host = None
        if self._second:
            self._second.close()
        self._ports.close()

    def header(self) -> str:
        """The first line of the output, without its end."""
        return json.dumps({"format": FORMAT, "host": self.facts})

    def line(self, text: str) -> str:
        """The observation of the scenario ``text`` as a line of JSON, without its end."""
        try:
            outcomes = self.run(text)
        except NotAScenario as error:
            return _unjudged(text, "no_verdict", "not a scenario: %s" % error)
        except NoVerdict as error:
            return _unjudged(text, "no_verdict", str(error))
        except Unsupported as error:
            return _unjudged(text, "unsupported", str(error))
        if not text.isprintable():
            text = " ".join(text.split())
        if self._codes:
            codes = json.dumps([self._codes.get(index) for index in range(len(outcomes))], separators=(",", ":"))
            return '{"scenario":"' + text + '","outcomes":["' + '","'.join(outcomes) + '"],"codes":' + codes + "}"
        return '{"scenario":"' + text + '","outcomes":["' + '","'.join(outcomes) + '"]}'

    def run(self, text: str) -> List[str]:
        """The outcome of every step; raises NotAScenario, NoVerdict or Unsupported."""
        steps, special = parse(text)
        if self._broken:
            raise NoVerdict(self._broken)
        if self._second_host and not any(step[0] == ABROAD for step in steps) and any(one in text for one in HERE):
            # the addresses that only the second host gives this one are nobody's to the other scenarios
            self._second_host.close()
            self._second_host = None
        if special or self._limited:
            return self._run_special(steps)
        sockets = self._sockets
        self._codes.clear()
        try:
            self._port = port = self._ports.plain()
            outcomes = self._steps(steps, port)
        finally:
            for sock in sockets.values():
                sock.close()
            sockets.clear()
        if self._leased and not TAKEN.keys().isdisjoint(outcomes):
            self._first_bind(steps, outcomes)
        return outcomes

    def _first_bind(self, steps: List[Step], outcomes: List[str]) -> None:
        """Nothing of ours was on the port yet, so a refusal of the first bind is somebody else's doing."""
        binds = (outcome for step, outcome in zip(steps, outcomes) if step[0] in BINDS)  # noqa: B905
        first = next(binds, "")
        if first in TAKEN:
            raise NoVerdict("the first bind failed: port %d %s" % (self._port, TAKEN[first]))

    def _steps(self, steps: List[Step], port: int) -> List[str]:
        sockets = self._sockets
        outcomes: List[str] = []
        add = outcomes.append
        coming = iter(steps)
        while True:  # an error leaves the inner loop; the iterator remembers where to go on
            try:
                for code, name, argument in coming:
                    if code == SET:
                        sockets[name].setsockopt(*argument)
                    elif code == BIND:
                        sockets[name].bind((argument, port))
                    elif code == SOCKET:
                        sockets[name] = socket(*argument)
                    elif code == LISTEN:
                        sockets[name].listen(BACKLOG)
                    elif code == CLOSE:
                        self._close(name)
                    else:
                        add(self._special[code](name, argument) or "ok")
                        continue
                    add("ok")
                return outcomes
            except OSError as error:
                if code in (SOCKET, ACCEPT, MAKE, ABROAD):
                    sockets[name] = _CLOSED
                if code in ADDRESSED and _other_family(error):
                    outcome = self._foreign(code, sockets[name], argument, len(outcomes))
                else:
                    outcome = self._outcome(error, len(outcomes))
                if code in PORT_OF_KERNEL and outcome in NOT_CHOSEN:
                    _check_chosen(name, zip(steps, outcomes))  # noqa: B905
                add(outcome)

    def _outcome(self, error: OSError, index: int) -> str:
        raw = getattr(error, "winerror", None)
        if raw:
            self._codes[index] = raw
        number = _number_of(error)
        return _error_name(number) if number else "timeout"

    def _foreign(self, code: int, sock: socket, address: str, index: int) -> str:
        """An address of the other family: Python refuses to pass it on, so a second object on the same socket asks."""
        if sock.fileno() < 0:
            return "EBADF"
        disguised = socket(INET6 if ":" in address else INET, sock.type, 0, sock.fileno())
        try:
            if code == CONNECT:
                self._connect_within_limit(disguised, address)
            else:
                disguised.bind((address, 0 if code == CHOSEN else self._port))
        except OSError as error:
            return self._outcome(error, index)
        finally:
            disguised.detach()
        return "ok"

    def _run_special(self, steps: List[Step]) -> List[str]:
        connections = 0
        self._names = False
        self._abroad = tuple([name for code, name, _ in steps if code == ABROAD])
        for code, name, argument in steps:
            if name in self._abroad:
                self._supported_abroad(code, argument)
            else:
                self._supported(code, argument)
            connections += code in (CONNECT, DELIVER)
        if not any(code == SOCKET and argument[1] == STREAM for code, _, argument in steps):
            connections = 0  # a Unix or vsock connection leaves nothing on a port
        user = any(step[0] == USER for step in steps)
        self._port = port = self._ports.fresh(connections) if connections else self._ports.plain()
        if self._echo_in != self._ports.number:  # these see the namespace that they were made in
            if self._echo:
                self._echo.close()
                self._echo = None
            if self._table:
                self._table.close()
                self._table = None
            if self._second_host:
                self._second_host.close()
                self._second_host = None
            self._echo_in = self._ports.number
        self._made = next((step[2] for step in steps if step[0] in (SOCKET, MAKE)), (INET, STREAM))
        self._codes.clear()
        try:
            if self._names:
                self._need_folder()
            outcomes = self._steps(steps, port)
        finally:
            if user:
                self._restore_user()
            self._close_all(reset=connections > 0)
            # the next scenario may have no connection: nothing of this one may be asked for then
            self._connected = False
            self._links.clear()
            self._link_of.clear()
            if self._names:
                self._clear_folder()
        if self._leased or self._made[0] == VSOCK:  # vsocks know no namespaces before Linux 7.0
            self._first_bind(steps, outcomes)
        return outcomes

    def _need_folder(self) -> None:
        """The folder for names, made as the user that we are: those of a scenario may not mount."""
        if self._folder is None:
            try:
                self._folder = Folder(self._ports.kind == "user")
            except OSError as error:
                raise NoVerdict("no folder for the names of Unix sockets: %s" % (error.strerror or error)) from None

    def _clear_folder(self) -> None:
        """Remove what the scenario left; the folder too, where a process that is killed now would leave it."""
        if self._folder and self._folder.temporary:
            self._folder.close()
            self._folder = None
        elif self._folder:
            self._folder.clear()

    def _supported(self, code: int, argument: Any) -> None:
        if code == SOCKET:
            if argument[0] == INET6 and not self.facts["ipv6"]:
                raise Unsupported("this host has no IPv6")
        elif code == MAKE:
            if argument[0] < 0:
                raise Unsupported("this Python has no such sockets on this system")
        elif code in (NAMED, CHOSEN, CONNECT, DELIVER, FLOW) and _family(argument):
            self._supported_elsewhere(code, argument)
        elif code in ADDRESSED or code in (DELIVER, FLOW):
            self._supported_address(code, argument)
        elif code == USER and not self.facts["privileged"]:
            raise Unsupported("this process cannot become another user (CAP_SETUID)")

    def _supported_address(self, code: int, argument: str) -> None:
        plain = argument.rpartition("ffff:")[2] if "." in argument else argument
        if plain in ("127.0.0.1", "127.0.0.2", "::1") and plain not in self._addresses:
            raise Unsupported("%s is not an address of this host" % plain)
        if plain in HERE and self._abroad:
            raise Unsupported("%s is the address for sockets of another host to connect to" % argument)
        if code >= CONNECT and not (_loopback(argument) or (code != CONNECT and _multicast(argument))):
            if not _unspecified(argument):
                raise Unsupported("nothing is sent to %s: it is not a loopback address" % argument)
            # Linux takes the loopback address (ip_route_output_key_hash_rcu(), ip6_datagram_connect()); others
            # may take the address of any interface
            if not LINUX:
                raise Unsupported("nothing is sent to %s: it may be an address of the network here" % argument)

    def _supported_abroad(self, code: int, argument: Any) -> None:
        if self._leased:
            raise Unsupported("another host needs a network namespace of our own")
        if code not in (ABROAD, CONNECT, READ, CLOSE):
            raise Unsupported("a socket of another host only connects, reads and closes")
        if code == CONNECT and argument not in HERE:
            raise Unsupported("another host knows this one as %s or %s" % HERE)

    def _supported_elsewhere(self, code: int, address: str) -> None:
        if address[0] == "/":
            self._names = True
        elif address[0] == "@" and not self.facts["abstract"]:
            raise Unsupported("abstract names of Unix sockets exist on Linux alone, and not everywhere there")
        elif address == "cid:own" and self._cid is None:
            raise Unsupported("this machine has no CID of its own")
        elif address[0] == "c" and code in (CONNECT, DELIVER, FLOW) and "local" not in self.facts["cids"]:
            raise Unsupported("nothing is sent over vsock: without vsock_loopback it would leave this machine")

    def _close_all(self, reset: bool) -> None:
        for sock in self._sockets.values():
            _discard(sock, reset)  # no TIME_WAIT from what the scenario left open
        self._sockets.clear()

    # One method a kind of step; they return the outcome (None = ok) or raise OSError.

    def _close(self, name: str) -> None:
        sock = self._sockets[name]
        if sock.fileno() < 0:
            self._sockets[name] = _CLOSED
            raise OSError(errno.EBADF, "closed")
        sock.close()
        if self._connected:
            self._settle()
            self._unlink(name)

    def _mapped(self, name: str, address: str) -> None:
        sock = self._sockets[name]
        _check_family(sock, address)
        sock.bind((address, self._port))

    def _make(self, name: str, arguments: Any) -> None:
        self._sockets[name] = socket(*arguments)

    def _make_abroad(self, name: str, arguments: Any) -> None:
        user = os.geteuid()
        if user != self._user:  # only root may enter the namespace of the other host
            self._restore_user()
        try:
            if self._second_host is None:
                self._second_host = SecondHost()
            self._sockets[name] = self._second_host.socket(*arguments)
        except OSError as error:
            raise Unsupported("no second network namespace: %s" % (error.strerror or error)) from None
        finally:
            if user != self._user:
                self._change_user("", user)

    def _bind_named(self, name: str, address: str) -> None:
        sock = self._sockets[name]
        _check_family(sock, address)
        sock.bind(self._place(address))

    def _place(self, address: str, port: Optional[int] = None) -> Any:
        """What bind() and connect() take for an address of the notation and the port of the scenario."""
        port = self._port if port is None else port
        family = _family(address)
        if not family:
            return address, port
        if family == VSOCK:
            cid = CIDS[address[4:]]
            # port 0 of the notation is VMADDR_PORT_ANY
            return self._cid if cid is None else cid, (self._mark << 16 | port) if port else 0xFFFFFFFF
        if address[0] == "@":
            return b"\0bindmatrix-%d-%d-%d/%s" % (self._mark, os.getpid(), self._port, address[1:].encode())
        assert self._folder
        return self._folder.path + address

    def _chosen(self, name: str, address: str) -> None:
        sock = self._sockets[name]
        _check_family(sock, address)
        sock.bind(self._place(address, 0))

    def _connect(self, name: str, address: str) -> None:
        sock = self._sockets[name]
        _check_family(sock, address)
        self._connect_within_limit(sock, address)
        if sock.type == STREAM and not _family(address):
            self._connected = True
            self._settle()
            if self._table_works:
                self._link(name, sock)

    def _connect_within_limit(self, sock: socket, address: str) -> None:
        """connect(), given up after LIMIT seconds.

        Where a blocking connect() can be limited, it is: one that does not block leaves a socket whose next connect()
        or listen() is answered otherwise (Linux tells it the end of this one, ECONNABORTED or EINVAL after a refusal).
        """
        if self._send_timeout:
            sock.setblocking(True)
            sock.setsockopt(SOL_SOCKET, _socket.SO_SNDTIMEO, self._send_timeout)
            try:
                sock.connect(self._place(address))
            except BlockingIOError:
                raise _socket.timeout("timed out") from None
            return
        sock.settimeout(LIMIT)
        if sock.type == STREAM and _has_peer(sock):
            sock.connect_ex(self._place(address))  # take the end of an earlier one here (gVisor)
        sock.connect(self._place(address))

    def _link(self, name: str, client: socket) -> None:
        """Note a connection and see that it is there."""
        link = Link(client.getsockname(), client.getpeername())
        if link.ends[0] == link.ends[1] or client.proto not in (0, 6):
            return
        if self._table is None:
            try:
                self._table = StateTable()
            except OSError:
                self._table_works = False
                return
            if not self._table.works(link):
                self._table_works = False
                return
        self._links[tuple(map(Link.end, link.ends))] = self._link_of[name] = link
        self._table.verify(link, self._settle)

    def _unlink(self, name: str) -> None:
        """The socket was closed: see that its connection, or those that waited for it as a listener, followed."""
        link = self._link_of.pop(name, None)
        if link:
            link.closed += 1
            link.first = link.first or ("there" if name in self._abroad else "here")
        if self._table:
            for one in [link] if link else self._links.values():
                if link or not one.accepted:
                    self._table.verify(one, self._settle)

    def _accept(self, name: str, listener_name: str) -> None:
        listener = self._sockets[listener_name]
        listener.setblocking(False)
        try:
            descriptor = _accept(listener)
        except BlockingIOError:
            listener.settimeout(LIMIT)
            descriptor = _accept(listener)
        # told what it is, Python asks nothing: BSDs and macOS answer EINVAL for a connection that was reset
        self._sockets[name] = child = socket(listener.family, listener.type, listener.proto, descriptor)
        if self._links:
            link = self._links.get((Link.end(child.getpeername()), Link.end(child.getsockname())))
            if link:
                link.accepted = True
                self._link_of[name] = link

    def _read(self, name: str, _: None) -> None:
        sock = self._sockets[name]
        sock.setblocking(False)
        end = time.monotonic() + LIMIT
        while True:
            try:
                if not sock.recv(4096):
                    return
            except BlockingIOError:
                sock.settimeout(max(0.001, end - time.monotonic()))  # the next recv waits and raises the timeout

    def _join(self, name: str, group: str) -> None:
        if ":" in group:
            request = _packed(group) + struct.pack("@I", self._loopback_index)
            self._sockets[name].setsockopt(IPPROTO_IPV6, JOIN6, request)
        else:
            request = _packed(group) + _packed("127.0.0.1")
            self._sockets[name].setsockopt(IPPROTO_IP, JOIN4, request)

    def _change_user(self, _: str, user: int) -> None:
        try:
            os.seteuid(user)
        except OSError as error:
            if error.errno == errno.EINVAL:
                raise Unsupported("user %d does not exist in this user namespace" % user) from None
            raise
        finally:
            self._die_with_parent()

    def _restore_user(self) -> None:
        os.seteuid(self._user or 0)
        self._die_with_parent()

    def _die_with_parent(self) -> None:
        if self._parent:
            _die_with(self._parent)  # Linux forgets the request whenever the effective user changes

    def _wait(self, _: str, milliseconds: int) -> None:
        time.sleep(milliseconds / 1000)

    def _lacking(self, name: str, _: str) -> str:
        return "EBADF" if self._sockets[name].fileno() < 0 else "ENOPROTOOPT"

    def _settle(self) -> None:
        """Wait until the packets that the last call set off are processed.

        close() and connect() return before the peer's answer is in.  The loopback queue is first in, first out, so two
        datagrams of ours, one after the other, come back later than a packet and the answer to it.  Not so in gVisor,
        which handles the segments of each connection in another thread.
        """
        if self.facts["os"] == "gvisor":
            time.sleep(0.005)
        try:
            if self._echo is None:
                self._echo = socket(INET, DGRAM)
                self._echo.bind(("127.0.0.1", 0))
                self._echo.connect(self._echo.getsockname())
                self._echo.settimeout(0.2)
            for _ in range(2):
                self._echo.send(b".")
                self._echo.recv(1)
        except OSError:
            time.sleep(0.002)  # no IPv4 here: the queue of loopback is empty long before

    def _deliver(self, _: str, address: str) -> str:
        return self._delivery(address, flow=False)

    def _deliver_flow(self, _: str, address: str) -> str:
        return self._delivery(address, flow=True)

    def _delivery(self, address: str, flow: bool) -> str:
        """Clients connect if a stream socket of this host is open, and send datagrams otherwise.

        They are of the plainest kind that reaches somebody: TCP for MPTCP too, UDP-Lite if no other socket is open.
        """
        family = _family(address) or (INET6 if ":" in address else INET)
        families = (INET, INET6) if family in (INET, INET6) else (family,)
        servers = [(name, sock) for name, sock in sorted(self._sockets.items()) if sock.fileno() >= 0]
        servers = [(name, sock) for name, sock in servers if sock.family in families and name not in self._abroad]
        connects = family == VSOCK or STREAM in [sock.type for _, sock in servers]
        if not flow and connects and not _multicast(address):
            if self._queue is None:
                self._queue = _short_queue()
            if self._queue:
                raise Unsupported(self._queue)
            streams = [(name, sock) for name, sock in servers if sock.type == STREAM]
            return _deliver_connections(streams, family, self._place(address))
        protocol = min((sock.proto for _, sock in servers if sock.type == DGRAM), default=0)
        servers = [(name, sock) for name, sock in servers if (sock.type, sock.proto) == (DGRAM, protocol)]
        kind = (family, DGRAM, protocol if protocol == UDPLITE else 0)
        return _deliver_datagrams(servers, kind, self._place(address), flow, self._loopback_index, self._settle)


def _discard(sock: socket, reset: bool) -> None:
    """Close a socket whatever state it is in; a reset leaves no TIME_WAIT on either side."""
    try:
        if reset and sock.fileno() >= 0:
            sock.setsockopt(SOL_SOCKET, _socket.SO_LINGER, RESET_ON_CLOSE)
    except OSError:
        pass  # macOS takes no option on a socket that was refused or reset (xnu bsd/kern/uipc_socket.c sosetoptlock())
    try:
        sock.close()
    except OSError:
        pass  # BSDs close the descriptor and then say ECONNRESET


def _accept(listener: Any) -> int:
    """The descriptor of the next connection: the call below socket.accept(), which costs half."""
    descriptor: int = listener._accept()[0]
    return descriptor


def _check_family(sock: socket, address: str) -> None:
    """Reject a mapped address on an AF_INET socket, which getaddrinfo(3) may turn into an IPv4 one."""
    if sock.fileno() < 0:  # it may have been of any family, which the one that stands for it is not
        raise OSError(errno.EBADF, "closed")
    if ":" in address and sock.family == INET:
        raise _socket.gaierror("an address of the other family")


def _other_family(error: OSError) -> bool:
    """Whether Python itself refused an address because it is not of the socket's family."""
    return isinstance(error, _socket.gaierror) or (error.errno is None and not isinstance(error, _socket.timeout))


# --- deliveries ---------------------------------------------------------------------------------------------------


def _has_peer(sock: socket) -> bool:
    try:
        sock.getpeername()
    except OSError:
        return False
    return True


def _client(family: int, kind: int, protocol: int = 0) -> socket:
    client = socket(family, kind, protocol)
    client.setblocking(False)
    if family == INET6:
        try:
            client.setsockopt(IPPROTO_IPV6, V6ONLY, 0)  # so that it reaches ::ffff:127.0.0.1 on every system
        except OSError:
            pass  # OpenBSD and DragonFly BSD have no such sockets
    return client


def _ready(readers: List[socket], writers: List[socket], seconds: float) -> List[int]:
    """Wait until a socket has something to say; the descriptors of those."""
    if not hasattr(select, "poll"):
        if not (readers or writers):  # WSAEINVAL
            time.sleep(seconds)
            return []
        ready = select.select(readers, writers, writers, seconds)  # Windows: a refused connection is exceptional
        return [sock.fileno() for some in ready for sock in some]
    poller = select.poll()
    for reader in readers:
        poller.register(reader, select.POLLIN)
    for writer in writers:
        poller.register(writer, select.POLLOUT)
    return [descriptor for descriptor, _ in poller.poll(int(seconds * 1000) + 1)]


#: what connect() of a client gets where the kernel cannot choose its port: TCP, UDP
_NO_CLIENT_PORT = (errno.EADDRNOTAVAIL, errno.EAGAIN)
_NO_PORT_LEFT = "the kernel has no port left to choose: its range is too small (on Linux net.ipv4.ip_local_port_range)"


def _chooses_ports() -> bool:
    """Whether the kernel has ports for as many clients as a delivery has."""
    clients = [socket(INET, STREAM) for _ in range(DELIVERIES)]
    try:
        for client in clients:
            client.bind(("127.0.0.1", 0))
    except OSError:
        return False
    finally:
        for client in clients:
            client.close()
    return True


def _check_chosen(name: str, done: Iterable[Tuple[Step, str]]) -> None:
    """The kernel should have chosen a port for a socket that got none from the steps that are ``done``: could it?"""
    has_port = False
    for step, outcome in done:
        if step[1] == name and step[0] in (SOCKET, MAKE):
            has_port = False
        elif step[1] == name and step[0] in (BIND, MAPPED, CHOSEN):
            has_port = has_port or outcome == "ok"
    if not has_port and not _chooses_ports():
        raise NoVerdict(_NO_PORT_LEFT)


class _Tally:
    """Who received what; ``text`` is the outcome of the delivery."""

    def __init__(self, servers: Servers) -> None:
        self.received = {name: 0 for name, _ in servers}
        self.others: Dict[str, int] = {}

    def fail(self, number: int) -> None:
        if number in _NO_CLIENT_PORT and not _chooses_ports():  # EAGAIN of a Unix socket: its queue is full
            raise NoVerdict(_NO_PORT_LEFT)
        self.add("refused" if number == errno.ECONNREFUSED else _error_name(number), 1)

    def fail_datagram(self, number: int) -> None:
        """The same for a datagram: of one that was refused Windows says "reset"."""
        self.fail(errno.ECONNREFUSED if number == WSAECONNRESET else number)

    def add(self, word: str, count: int) -> None:
        if count > 0:
            self.others[word] = self.others.get(word, 0) + count

    def text(self) -> str:
        """``a:15,b:17``; what nobody received comes last, and without its number where nobody received anything."""
        shares = ["%s:%d" % (name, count) for name, count in self.received.items() if count]
        if not shares and len(self.others) == 1:
            return next(iter(self.others))
        return ",".join(shares + ["%s:%d" % pair for pair in sorted(self.others.items())])


def _listening(servers: Servers) -> Servers:
    found = []
    for name, sock in servers:
        sock.setblocking(False)
        try:
            _socket.close(_accept(sock))
        except BlockingIOError:
            found.append((name, sock))
            continue
        except OSError:
            continue  # bound at most
        raise NoVerdict("a connection of an earlier step waits at %r: accept it before the delivery" % name)
    return found


def _deliver_connections(servers: Servers, family: int, target: Address) -> str:
    """All clients connect at once and stay open until every connection has been accepted, refused or given up."""
    listeners = _listening(servers)
    tally = _Tally(listeners)
    clients: List[socket] = []
    try:
        waiting = []
        for _ in range(DELIVERIES):
            client = _client(family, STREAM)
            clients.append(client)
            number = client.connect_ex(target)
            if number in (0, errno.EINPROGRESS, errno.EWOULDBLOCK, WSAEWOULDBLOCK):
                waiting.append(client)
            else:
                tally.fail(number)
        _collect_connections(listeners, waiting, tally)
    finally:
        for client in clients:
            _discard(client, reset=True)
    return tally.text()


def _collect_connections(listeners: Servers, waiting: List[socket], tally: _Tally) -> None:
    end = time.monotonic() + LIMIT
    missing = 0  # connections that the clients have and nobody accepted yet
    while waiting or missing:
        left = end - time.monotonic()
        if left <= 0:
            break
        ready = _ready([sock for _, sock in listeners], waiting, left)
        for client in [client for client in waiting if client.fileno() in ready]:
            waiting.remove(client)
            number = client.getsockopt(SOL_SOCKET, SO_ERROR)
            if number:
                tally.fail(number)
            else:
                missing += 1
        for name, sock in listeners:
            try:
                while True:
                    _socket.close(_accept(sock))
                    tally.received[name] += 1
                    missing -= 1
            except OSError:
                pass  # nothing more waits there
    tally.add("timeout", len(waiting))
    tally.add("none", missing)


def _deliver_datagrams(
    receivers: Servers,
    kind: Tuple[int, int, int],
    target: Address,
    flow: bool,
    interface: int,
    settle: Callable[[], None],
) -> str:
    """A refusal (ICMP) shows as an error of the client's connected socket.  ``kind``: arguments of socket()."""
    family = kind[0]
    group = family in (INET, INET6) and _multicast(target[0])
    tally = _Tally(receivers)
    for _, sock in receivers:
        sock.setblocking(False)
    _drain(receivers, {})
    clients: List[socket] = []
    try:
        patience = LIMIT / 2
        for _ in range(DELIVERIES):
            try:
                if not (flow and clients):
                    clients.append(_client(*kind))
                    _direct(clients[-1], family, target, interface)
                clients[-1].send(b".")
            except OSError as error:
                tally.fail_datagram(_number_of(error))
                if flow and clients and not _has_peer(clients[-1]):
                    clients.pop().close()  # it is not connected: the next datagram tries again
            else:
                if flow:
                    patience = _hear(receivers, clients[-1], tally, patience)
            if family == UNIX:
                _drain(receivers, tally.received)  # Linux keeps eleven (net.unix.max_dgram_qlen), others less
                if flow and clients and tally.others:
                    clients.pop().close()  # its queue is full
        _collect_datagrams(receivers, clients, tally, group, settle)
    finally:
        for client in clients:
            client.close()
    return tally.text()


def _direct(client: socket, family: int, target: Address, interface: int) -> None:
    """Connect the client; a group is reached over the loopback interface only, whose index ``interface`` is."""
    if family not in (INET, INET6) or not _multicast(target[0]):
        client.connect(target)
    elif family == INET6:
        client.setsockopt(IPPROTO_IPV6, MULTICAST_IF6, struct.pack("@I", interface))
        client.setsockopt(IPPROTO_IPV6, MULTICAST_HOPS6, 1)
        client.connect((*target, 0, interface))
    else:
        client.setsockopt(IPPROTO_IP, MULTICAST_IF4, _packed("127.0.0.1"))
        # a byte: OpenBSD (ip_output.c ip_setmoptions()) and illumos (ip_opt_data.c) take no int, Windows takes no byte
        client.setsockopt(IPPROTO_IP, MULTICAST_TTL4, struct.pack("i" if WINDOWS else "B", 1))
        client.connect(target)


def _collect_datagrams(
    receivers: Servers, clients: List[socket], tally: _Tally, group: bool, settle: Callable[[], None]
) -> None:
    """Look at once, again when the loopback queue has been worked off, and then as long as silence is no answer.

    ICMP errors are rationed: gVisor sends 50 at once and 1,000 a second, the BSDs 100 or 200 a second.  So where some
    clients were refused and others heard nothing, those send once more, for as long as that gets a refusal.
    """
    flow = len(clients) == 1
    unheard = clients
    settled = False
    refused = 0
    end = time.monotonic() + LIMIT / 2
    while True:
        _drain(receivers, tally.received)
        found = _refusals(unheard, tally)
        unheard = clients if flow else found
        counts = list(tally.received.values()) or [0]
        arrived = min(counts) if group else sum(counts)  # every member of a group gets a copy of each
        lost = DELIVERIES - sum(tally.others.values()) - arrived
        if lost <= 0:
            return
        left = end - time.monotonic()
        if not settled:
            settle()
            settled = True
        elif group:
            break
        elif left > 0:
            _ready([sock for _, sock in receivers] + unheard, [], left)
        elif arrived or tally.others.get("refused", 0) == refused:
            break
        else:
            refused = tally.others["refused"]
            for client in unheard * (lost if flow else 1):
                try:
                    client.send(b".")
                except OSError as error:
                    tally.fail_datagram(_number_of(error))
                if flow:
                    _hear(receivers, client, tally, LIMIT / DELIVERIES)
            end = time.monotonic() + LIMIT / 2
    if not (group and any(counts)):
        tally.add("none", lost)


def _hear(receivers: Servers, client: socket, tally: _Tally, seconds: float) -> float:
    """Wait for what one datagram leads to, since a socket keeps one error alone; the seconds that are left."""
    start = time.monotonic()
    _ready([sock for _, sock in receivers] + [client], [], seconds)  # an error counts as something to read
    _refusals([client], tally)
    return max(0.0, seconds - (time.monotonic() - start))


def _refusals(clients: List[socket], tally: _Tally) -> List[socket]:
    """Count the clients that were refused; the others."""
    others = []
    for client in clients:
        numbers = list(_pending(client))
        for number in numbers:
            tally.fail_datagram(number)
        if not numbers:
            others.append(client)
    return others


def _pending(client: socket) -> Iterator[int]:
    """The errors that a connected datagram client has not told yet."""
    number = client.getsockopt(SOL_SOCKET, SO_ERROR)
    if number:
        yield number
    # On Windows recv() alone tells, once for each ICMP message (JDK-4431020; learn.microsoft.com, recv, WSAECONNRESET);
    # under Wine it is SO_ERROR.
    while WINDOWS:
        try:
            client.recv(1)
        except BlockingIOError:
            return
        except OSError as error:
            yield _number_of(error)
            if _number_of(error) != WSAECONNRESET:
                return


def _drain(receivers: Servers, received: Dict[str, int]) -> None:
    for name, sock in receivers:
        try:
            while True:
                sock.recv(16)
                received[name] = received.get(name, 0) + 1
        except OSError:
            pass  # nothing more has arrived


# --- facts about the host -----------------------------------------------------------------------------------------

#: Cygwin is neither Windows nor a Unix: its sockets translate (winsup/cygwin/net.cc), so it stands for itself
_SYSTEMS = {"darwin": "macos", "win32": "windows"}
_SYSCTLS = (
    "net.ipv6.bindv6only", "net.ipv4.tcp_max_tw_buckets", "net.ipv4.ip_local_port_range", "net.ipv4.tcp_tw_reuse",
    "net.ipv4.ip_autobind_reuse", "net.ipv4.ip_unprivileged_port_start", "net.ipv4.tcp_timestamps",
    "net.core.somaxconn",
)  # fmt: skip


def host_facts(namespace: str, cid: Optional[int] = None) -> Dict[str, Any]:
    """What the host is, as far as it can be told without failing; seen from where the scenarios run.

    ``cid``: the CID of this machine on vsocks.
    """
    kernel, release, version, machine = _kernel()
    addresses = [text for text in ("127.0.0.1", "127.0.0.2", "::1") if _bindable(INET6 if ":" in text else INET, text)]
    system = _system(release, version)
    wine = _wine()
    second_host = namespace != "none" and system != "gvisor"  # which has no pairs of interfaces
    told = _distribution(system) or wine
    facts = {
        "os": "wine" if wine else system,
        "kernel": kernel,
        "release": told
        or upstream_release(system, release, version, _read("/proc/version_signature") if LINUX else ""),
        "uname": release,
        "version": version,
        "machine": machine,
        "python": "%s %s" % (sys.implementation.name, sys.version.split()[0]),
        "privileged": namespace != "user" and hasattr(os, "geteuid") and os.geteuid() == 0 and _changes_user(),
        "namespace": namespace,
        "ipv6": "::1" in addresses,
        "addresses": addresses,
        "kinds": [name for name, kind in KINDS.items() if (second_host if name in REMOTE else _makeable(kind))],
        "cids": [word for word, number in CIDS.items() if _has_cid(cid if number is None else number)],
        "abstract": LINUX and UNIX > 0 and _has_abstract_names(),
        "options": [name for name, option in OPTIONS.items() if option and _settable(option)],
        "v6only_default": _v6only_default(),
    }
    sysctls = {name: _read("/proc/sys/" + name.replace(".", "/")).replace("\t", " ") for name in _SYSCTLS if LINUX}
    facts["sysctls"] = {name: value for name, value in sysctls.items() if value}
    container = _container(release)
    if container:
        facts["container"] = container
    return facts


def _kernel() -> Tuple[str, str, str, str]:
    """Its name, release, version and machine."""
    if hasattr(os, "uname"):
        kernel, _, release, version, machine = os.uname()
        return kernel, release, version, machine
    windows: Any = getattr(sys, "getwindowsversion")()  # noqa: B009 - mypy knows the attribute on Windows alone
    release = "%d.%d.%d" % windows.platform_version[:3]  # of the kernel, whatever the process is told
    environment = os.environ
    machine = environment.get("PROCESSOR_ARCHITEW6432") or environment.get("PROCESSOR_ARCHITECTURE", "")
    return "Windows", release, release, machine


def _system(release: str, version: str) -> str:
    if LINUX:
        return "gvisor" if _is_gvisor(release) else "linux"
    if SUN:
        return "solaris" if version.startswith("11.") else "illumos"
    return _SYSTEMS.get(sys.platform) or sys.platform.rstrip("0123456789.-")


def upstream_release(system: str, release: str, version: str, signature: str = "") -> str:
    """The release by the count of the kernel's own project, "" where the kernel does not tell it.

    These two are of uname.  Debian's 6.1.0-56 says "Debian 6.1.192-2" in its version; Ubuntu's 6.8.0-45
    has "Ubuntu 6.8.0-45.45-generic 6.8.12" in /proc/version_signature, the ``signature``; gVisor plays an old Linux.
    """
    if system == "gvisor":
        return ""
    told = re.search(r"\bDebian (\d+\.\d+\.\d+)", version) or re.match(r"Ubuntu \S+ (\d+\.\d+\.\d+)\Z", signature)
    return told.group(1) if told and system == "linux" else release


#: Darwin's major number -> macOS; from 25 on it is one more (xnu config/MasterVersion)
_MACOS = {17: "10.13", 18: "10.14", 19: "10.15", 20: "11", 21: "12", 22: "13", 23: "14", 24: "15", 25: "26"}


def macos_release(darwin: str) -> str:
    """The macOS of a Darwin release, as far as the number says it: "" for one that is not known."""
    major = darwin.partition(".")[0]
    return _MACOS.get(int(major), "") if major.isdigit() else ""


def _distribution(system: str) -> str:
    """The release that the system itself gives where uname does not have it, "" elsewhere."""
    if system == "macos":
        return _sysctl_text("kern.osproductversion") or macos_release(os.uname()[2])  # since 10.13.4
    if system == "illumos":  # uname says 5.11 on every distribution
        known = re.compile(r"OmniOS v11 (r\d+)|OpenIndiana Hipster (\d{4}\.\d{2})|SmartOS (\d{8}T\d{6}Z)")
        found = known.search(_read("/etc/release"))
        if found:
            names = ("omnios-%s", "openindiana-%s", "smartos-%s")
            return next(name % text for name, text in zip(names, found.groups()) if text)  # noqa: B905
    return ""


def _sysctl_text(name: str) -> str:
    """A sysctl of a BSD or macOS that is a text, "" where it cannot be read."""
    try:
        import ctypes

        size = ctypes.c_size_t(256)
        text = ctypes.create_string_buffer(size.value)
        failed = _library().sysctlbyname(name.encode(), text, ctypes.byref(size), None, 0)
    except (AttributeError, ImportError, OSError):
        return ""
    return "" if failed else text.value.decode("ascii", "replace")


def _wine() -> str:
    """The version of Wine, which plays Windows and says so in ntdll alone; "" elsewhere."""
    if not WINDOWS:
        return ""
    import ctypes

    try:
        version = ctypes.CDLL("ntdll").wine_get_version
    except (AttributeError, OSError):
        return ""
    version.restype = ctypes.c_char_p
    text: bytes = version()
    return text.decode("ascii", "replace")


def _is_gvisor(release: str) -> bool:
    if "gvisor" in release or not release.startswith("4.4.0"):  # gVisor calls itself 4.4.0 or 4.19.0-gvisor
        return "gvisor" in release
    import ctypes

    text = ctypes.create_string_buffer(16384)  # its kernel messages begin with "Starting gVisor"
    return _library().klogctl(3, text, len(text)) > 0 and b"gVisor" in text.raw


def _container(release: str) -> str:
    if WINDOWS:
        return ""
    if "icrosoft" in release:
        return "wsl"
    signs = (("/.dockerenv", "docker"), ("/run/.containerenv", "podman"))
    found = [word for path, word in signs if os.path.exists(path)]
    groups = _read("/proc/1/cgroup") if LINUX else ""
    found += [word for word in ("docker", "kubepods", "lxc") if word in groups]
    return next(iter(found), "")


def _bindable(family: int, address: str) -> bool:
    try:
        with closing(socket(family, STREAM)) as sock:
            sock.bind((address, 0))
    except OSError:
        return False
    return True


def _has_cid(cid: Optional[int]) -> bool:
    try:
        with closing(socket(VSOCK, STREAM)) as sock:
            sock.bind((cid, 0xFFFFFFFF))
    except (OSError, TypeError):
        return False
    return True


def _has_abstract_names() -> bool:
    """Whether Unix sockets take names that are no files; gVisor's do not in a network namespace."""
    try:
        with closing(socket(UNIX, DGRAM)) as sock:
            sock.bind(b"\0bindmatrix-%d" % os.getpid())
    except OSError:
        return False
    return True


def _loopback_carries() -> bool:
    """Whether a datagram over the loopback interface arrives; it may be down, or filtered."""
    for family, address in ((INET, "127.0.0.1"), (INET6, "::1")):
        try:
            with closing(socket(family, DGRAM)) as sock:
                sock.bind((address, 0))
                sock.connect(sock.getsockname())
                sock.settimeout(LIMIT)
                sock.send(b".")
                if sock.recv(1) == b".":
                    return True
        except OSError:
            pass  # no IPv4 here
    return False


def _short_queue() -> str:
    """Why a listener cannot hold the connections of a delivery before the first accept(), "" where it can."""
    family, address = (INET, "127.0.0.1") if _bindable(INET, "127.0.0.1") else (INET6, "::1")
    clients = []
    why = ""
    with closing(socket(family, STREAM)) as listener:
        try:
            listener.bind((address, 0))
            listener.listen(BACKLOG)
            for _ in range(DELIVERIES):
                clients.append(socket(family, STREAM))
                clients[-1].settimeout(LIMIT / 4)
                clients[-1].connect(listener.getsockname())
        except OSError:
            why = "a listener holds %d connections, a delivery has %d (somaxconn)" % (len(clients) - 1, DELIVERIES)
        finally:
            for client in clients:
                _discard(client, reset=True)
    if why and not _chooses_ports():
        raise NoVerdict(_NO_PORT_LEFT)
    return why


def _changes_user() -> bool:
    """Whether this process may become another user and come back: root may lack the right to (CAP_SETUID)."""
    try:
        os.seteuid(1001)
        os.seteuid(0)
    except (OSError, AttributeError):
        return False
    return True


def _makeable(kind: Tuple[int, ...]) -> bool:
    if kind[0] < 0:
        return False  # Python would take -1 for AF_INET
    try:
        socket(*kind).close()
    except (OSError, ValueError):
        return False
    return True


def _v6only_default() -> Optional[int]:
    """IPV6_V6ONLY of a new socket (net.ipv6.bindv6only on Linux and Windows-like defaults), None without IPv6."""
    try:
        with closing(socket(INET6, STREAM)) as sock:
            return int(bool(sock.getsockopt(IPPROTO_IPV6, V6ONLY)))
    except OSError:
        return None


def _settable(option: Tuple[int, int]) -> bool:
    try:
        with closing(socket(INET6 if option[0] == IPPROTO_IPV6 else INET, STREAM)) as sock:
            sock.setsockopt(*option, 1)
    except OSError:
        return False
    return True


def _loopback_index() -> int:
    for name in ("lo", "lo0", "loopback_0"):
        try:
            return _socket.if_nametoindex(name)
        except (OSError, AttributeError):
            pass
    return 1


# --- as a program -------------------------------------------------------------------------------------------------


def _unjudged(text: str, key: str, reason: str) -> str:
    return json.dumps({"scenario": text, "outcomes": None, key: reason}, separators=(",", ":"))


def _scenario_of(line: str) -> Optional[str]:
    """The scenario in a line of input; None for a blank line and for the first line of an observation file."""
    if line.startswith("{"):
        try:
            data = json.loads(line)
        except (ValueError, RecursionError):
            return line
        text = data.get("scenario", None if "format" in data else line)
        return text if isinstance(text, str) or text is None else line
    return line.rstrip("\r") if line.strip() else None


def _die_with(parent: int) -> None:
    """End this process when the thread that started it ends; at once if that is the case already."""
    if LINUX:
        _library().prctl(1, 9, 0, 0, 0)  # PR_SET_PDEATHSIG, SIGKILL
    # on Windows the parent of a Python in a virtual environment is a launcher
    if not WINDOWS and os.getppid() != parent:
        os._exit(1)


def _emit(text: bytes) -> None:
    data = memoryview(text)  # Python has made the descriptor binary on Windows (initconfig.c)
    try:
        while data:
            data = data[os.write(1, data) :]
    except OSError as error:
        if WINDOWS and error.errno == errno.EINVAL:  # what a broken pipe may be there (bpo-19612, bpo-30418)
            raise BrokenPipeError from None
        raise


def main(arguments: List[str]) -> int:
    options = dict(zip(arguments[::2], arguments[1::2]))  # noqa: B905 - Python 3.8 has no strict
    namespace, parent = options.pop("--namespace", "auto"), int(options.pop("--parent", "0"))
    if options or len(arguments) % 2:
        sys.stderr.write("usage: executor.py [--namespace own|none|auto] [--parent PID] < scenarios\n")
        return 2
    if parent:
        import signal

        signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent gets it too and decides
        _die_with(parent)
    try:
        with Executor(namespace, parent) as executor:
            _emit((executor.header() + "\n").encode())
            _serve_pipe(executor)
    except BrokenPipeError:
        return 1  # nobody reads any more
    except OSError as error:
        sys.stderr.write("executor: %s\n" % (error.strerror or error))
        return 2
    return 0


def run_kit(kit: str, scenarios: str) -> int:
    """The main program of a file that ``bindmatrix kit`` made: it records the ``scenarios`` in it, one a line.

    ``kit`` is the entry of that name in the first line, as JSON; with "seconds", after which no scenario starts, and
    "witnesses": how many at the beginning run twice, since an answer that nobody knew counts once it was repeated.
    """
    told = json.loads(kit)
    lines = scenarios.encode().splitlines()
    deadline = time.monotonic() + told["seconds"]
    sys.stderr.write(
        "bindmatrix kit for %(for)s: runs %(scenarios)d scenarios of socket calls for at most %(seconds)d seconds.\n"
        "It binds ports of this machine, sends to its loopback addresses alone, and leaves nothing behind.\n" % told
    )
    done = 0

    def in_time() -> Iterator[bytes]:
        nonlocal done
        for line in lines[: told["witnesses"]] + lines:
            if time.monotonic() >= deadline:
                return
            yield line
            done += 1

    try:
        with Executor("auto", adds_address=False) as executor:
            _emit((json.dumps({"format": FORMAT, "host": executor.facts, "kit": told}) + "\n").encode())
            _answer(executor, in_time(), _emit)
    except (BrokenPipeError, KeyboardInterrupt):
        return 1
    except OSError as error:
        sys.stderr.write("kit: %s\n" % (error.strerror or error))
        return 2
    left = max(0, told["scenarios"] + told["witnesses"] - done)
    sys.stderr.write("done%s\n" % (": %d scenarios were left out: the time is up" % left if left else ""))
    return 0


def _answer(executor: Executor, lines: Iterable[bytes], send: Callable[[bytes], None]) -> None:
    """Run the scenarios in ``lines``; ``send`` gets the observations, whole lines, as soon as they are worth it."""
    out: List[str] = []
    flushed = time.monotonic()
    for line in lines:
        text = _scenario_of(line.decode("utf-8", "replace"))
        if text is not None:
            out.append(executor.line(text))
            if len(out) >= 256 or time.monotonic() - flushed > 0.2:
                out.append("")
                send("\n".join(out).encode())
                out.clear()
                flushed = time.monotonic()
    if out:
        out.append("")
        send("\n".join(out).encode())


def _serve_pipe(executor: Executor) -> None:
    stdin: Any = sys.stdin.buffer
    rest = b""
    while True:
        chunk = stdin.read1(65536)  # not os.read: LOADER may have buffered scenarios behind the program
        lines = (rest + chunk).split(b"\n")
        rest = lines.pop() if chunk else b""
        _answer(executor, lines, _emit)
        if not chunk:
            return


def serve_channel(channel: Any, executor: Optional[Executor] = None) -> None:
    """Answer an execnet channel: the header first, then lines for lines, as bytes.

    ``executor``: one that was made before execnet started its thread; a user namespace needs a process with one thread.
    Nothing outlives the channel: a scenario that is under way when it closes has a second, then the process ends.
    """
    import threading

    done = threading.Event()

    def watch() -> None:
        try:
            channel.waitclose()
        except Exception:  # noqa: BLE001 - however it ended: what matters is that it did
            pass
        if not done.wait(1.0):
            os._exit(1)

    with executor or Executor("auto") as executor:
        channel.send((executor.header() + "\n").encode())
        threading.Thread(target=watch, daemon=True).start()
        try:
            for item in channel:
                _answer(executor, item.split(b"\n"), channel.send)
        finally:
            done.set()


if __name__ == "__channelexec__":
    serve_channel(globals()["channel"])
elif __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
