"""What a recorder collected, as sockets with their steps; and which sockets of the process it did not see."""

from __future__ import annotations

import errno
import ipaddress
import os
import socket
import sys
from collections.abc import Mapping
from typing import Any

from bindmatrix.notation import OPTIONS, SOCKET_KINDS, address_text
from bindmatrix.programs import kernel_sockets, strace_values
from bindmatrix.programs.descriptors import MOST_STEPS, Socket, TracedCall
from bindmatrix.programs.kernel_sockets import KernelSocket
from bindmatrix.programs.socket_calls import JOINS, MATTER, MODELLED
from bindmatrix.programs.socket_recorder import RecordedCall
from bindmatrix.programs.strace_values import SocketAddress

_FAMILIES = {int(getattr(socket, name)): kind for name, kind in (("AF_INET", "ipv4"), ("AF_INET6", "ipv6"))}
if hasattr(socket, "AF_UNIX"):
    _FAMILIES[int(socket.AF_UNIX)] = "unix"
_TYPES = {int(socket.SOCK_STREAM): "stream", int(socket.SOCK_DGRAM): "datagram"}
_PROTOCOLS = {6: "tcp", 17: "udp", 136: "udplite", 262: "mptcp"}
#: SOCK_NONBLOCK and SOCK_CLOEXEC
_FLAGS = getattr(socket, "SOCK_NONBLOCK", 0) | getattr(socket, "SOCK_CLOEXEC", 0)
_KIND_OF = {(kind.family, kind.type, kind.protocol): name for name, kind in SOCKET_KINDS.items()}
#: the option's name in the headers -> that of the notation
_MODELLED = {**MODELLED, **{name: option for option, name in OPTIONS.items()}}
#: what the wrapper of socket.socket() leaves to it
_DEFAULT_FAMILY, _DEFAULT_TYPE = int(socket.AF_INET), int(socket.SOCK_STREAM)


def _numbers() -> dict[tuple[int, int], str]:
    """(level, option) of this system -> its name."""
    levels: dict[str, tuple[int, ...]] = {"SO_": (socket.SOL_SOCKET,), "IP_": (socket.IPPROTO_IP,)}
    levels |= {"IPV6_": (socket.IPPROTO_IPV6,), "MCAST_": (socket.IPPROTO_IP, socket.IPPROTO_IPV6)}
    return {
        (level, getattr(socket, name)): name
        for name in (*_MODELLED, *JOINS, *MATTER)
        if hasattr(socket, name)
        for level in levels[f"{name.partition('_')[0]}_"]
    }


_NAMES = _numbers()


class RecordedSockets:
    """The sockets of recorded calls."""

    def __init__(self, calls: list[RecordedCall]) -> None:
        #: in the order in which they were made
        self.sockets: list[Socket] = []
        #: what was not seen -> how often
        self.unseen: dict[str, int] = {}
        self._of: dict[int, Socket] = {}
        #: descriptor -> the socket that has it
        self._by_number: dict[int, Socket] = {}
        #: objects of each socket that are open, with their descriptors
        self._objects: dict[Socket, dict[int, int]] = {}
        for line, call in enumerate(calls, 1):
            getattr(self, f"_{call[0]}")(line, *call[1:])

    def not_seen(self, what: str) -> None:
        """Count something that was not seen."""
        self.unseen[what] = self.unseen.get(what, 0) + 1

    # -- objects

    def _socket(
        self, line: int, key: int, given: tuple[tuple[Any, ...], Mapping[str, Any]], _: int, number: int
    ) -> None:
        arguments, named = given
        words = dict(zip(("family", "type", "proto", "fileno"), arguments, strict=False)) | dict(named)
        handed = words.get("fileno")
        same = self._by_number.get(handed) if handed is not None else None
        if same is not None:
            # another object for the same descriptor: that is how ssl takes a socket over, before detach()
            self._release(line, key)
            self._hold(key, same, number)
            return
        kind = tuple(int(words.get(name, -1)) for name in ("family", "type", "proto"))
        if handed is None:
            kind = tuple(
                default if value == -1 else value
                for value, default in zip(kind, (_DEFAULT_FAMILY, _DEFAULT_TYPE, 0), strict=True)
            )
        self._new(line, key, kind, number)

    def _new(self, line: int, key: int, kind: tuple[int, ...], number: int) -> Socket:
        self._release(line, key)
        stale = self._by_number.get(number)
        if stale is not None:
            self._closed(line, stale)  # it went without close(): collected as garbage, or closed as a descriptor
        made = Socket(*_kind(kind), line)
        made.events.append(TracedCall(line, "socket", "", None, "", ""))
        self.sockets.append(made)
        self._hold(key, made, number)
        return made

    def _hold(self, key: int, one: Socket, number: int) -> None:
        self._of[key] = one
        self._objects.setdefault(one, {})[key] = number
        if number >= 0:
            self._by_number[number] = one

    def _met(self, line: int, key: int, kind: tuple[int, ...], _: int, found: tuple[int, dict[Any, int]]) -> None:
        number, options = found
        known = self._by_number.get(number)
        if known is not None and self._objects.get(known):
            self._release(line, key)
            self._hold(key, known, number)
            return
        made = self._new(line, key, kind, number)
        made.marks["its socket() was not recorded; its options were read back"] += 1
        for (level, option), value in options.items():
            self._setsockopt(line, key, (level, option, value), 0, None)

    def _dup(self, _line: int, key: int, _given: Any, _: int, other: int) -> None:
        # the new object came as one with a descriptor of its own
        one, copy = self._of.get(key), self._of.get(other)
        if one is None or copy is None or copy is one:
            return
        number = self._objects.pop(copy)[other]
        self._hold(other, one, number)
        self.sockets.remove(copy)

    def _detach(self, _line: int, key: int, _given: Any, _: int, _number: int) -> None:
        one = self._of.pop(key, None)
        if one is not None:
            del self._objects[one][key]  # its descriptor stays

    def _close(self, line: int, key: int, _given: Any, _: int, listens: int) -> None:
        one = self._of.get(key)
        if one is not None and listens and not one.listening:
            self._late_listen(line, one)
        self._release(line, key)

    def _release(self, line: int, key: int) -> None:
        one = self._of.pop(key, None)
        if one is None:
            return
        objects = self._objects[one]
        number = objects.pop(key)
        if number not in objects.values():
            self._by_number.pop(number, None)
        if not objects:
            self._closed(line, one)

    def _closed(self, line: int, one: Socket) -> None:
        for number in [number for number, of in self._by_number.items() if of is one]:
            del self._by_number[number]
        for key in self._objects.pop(one, {}):
            self._of.pop(key, None)
        one.events.append(TracedCall(line, "close", "close", None, "", ""))

    # -- calls

    def _add(self, line: int, one: Socket, kind: str, word: str, error: int, port: Any = None) -> None:
        if len(one.events) >= MOST_STEPS:
            one.marks["steps beyond the first of so many"] += 1
            return
        said = _error(error) if error else ""
        one.events.append(TracedCall(line, kind, word, port, said, ""))

    def _bind(self, line: int, key: int, given: tuple[Any], error: int, found: Any) -> None:
        one = self._of.get(key)
        if one is None:
            return
        six = one.kind.endswith("6")
        asked, got = address(given[0], six=six), address(found, six=six)
        if asked is None and got is None:
            one.marks[f"bind() to {str(given[0])[:60]}" + (f": {_error(error)}" if error else "")] += 1
            return
        text = got.text if got is not None else asked.text if asked is not None else ""
        port = asked.port if asked is not None else _port(given[0])
        if "%" in str(given[0]) or (isinstance(given[0], tuple) and len(given[0]) > 3 and given[0][3]):
            one.marks["the scope of its address (an interface)"] += 1
        if got is not None and isinstance(got.port, int) and port == 0:
            one.chosen = got.port
        self._add(line, one, "bind", f"bind={text}", error, (0, port))

    def _bound(self, line: int, key: int, given: tuple[Any], _: int, _found: Any) -> None:
        one = self._of.get(key)
        if one is not None:
            self._bind(line, key, given, 0, None)
            self.not_seen("what bind() returned of a socket that is not a socket.socket (gevent's are such)")

    def _listen(self, line: int, key: int, _given: Any, error: int, _found: Any) -> None:
        one = self._of.get(key)
        if one is None:
            return
        if one.listening:
            one.marks["listen() again"] += 1
            return
        one.listening = not error
        self._add(line, one, "listen", "listen", error)

    def _connect(self, _line: int, key: int, given: tuple[Any], error: int, _found: Any) -> None:
        one = self._of.get(key)
        if one is not None and (not error or _error(error) in ("EINPROGRESS", "EWOULDBLOCK", "EAGAIN")):
            to = address(given[0], six=one.kind.endswith("6"))
            one.connected = f"{to.text} port {to.port}" if to else "an address"

    def _setsockopt(self, line: int, key: int, given: tuple[Any, ...], error: int, _found: Any) -> None:
        one = self._of.get(key)
        if one is None or not one.kind:
            return
        level, option, value = given[:3]
        name = _NAMES.get((level, option), "")
        if not name and sys.platform.startswith("linux"):
            name = strace_values.option(str(level), str(option))
        if name in _MODELLED:
            self._modelled(line, one, _MODELLED[name], value, error)
        elif name in JOINS:
            self._join(line, one, value, error)
        elif name in MATTER:
            one.marks[f"{name}: {MATTER[name]}" + (f"; it failed: {_error(error)}" if error else "")] += 1

    def _modelled(self, line: int, one: Socket, option: str, value: Any, error: int) -> None:
        given = int(any(value)) if isinstance(value, bytes) else int(bool(value))
        if error:
            one.marks[f"{option}={given} failed with {_error(error)} and is left out"] += 1
        elif one.options.get(option) == given:
            one.marks[f"{option}={given} again"] += 1
        else:
            one.options[option] = given
            self._add(line, one, "set", f"{option}={given}", 0)

    def _join(self, line: int, one: Socket, value: Any, error: int) -> None:
        size = 16 if SOCKET_KINDS[one.kind].family == "ipv6" else 4
        if error or not isinstance(value, bytes) or len(value) < size:
            one.marks["joining a group" + (f" failed with {_error(error)} and is left out" if error else "")] += 1
            return
        if size == 16 or value[4:8] != socket.inet_aton("127.0.0.1"):
            one.marks["joins a group on an interface; the notation joins it on the loopback interface"] += 1
        self._add(line, one, "join", f"join={address_text(ipaddress.ip_address(value[:size]))}", 0)

    # -- what the kernel knows

    def complete(self, before: set[str]) -> None:
        """Add what the kernel lists of this process and no call told; ``before``: inodes that it had at the start."""
        inodes = descriptors()
        if inodes is None:
            self.not_seen("sockets that C code makes by itself: they can be looked for on Linux only")
            return
        listed = {one.inode: one for one in kernel_sockets.listed()}
        own = {inodes[number]: one for number, one in self._by_number.items() if number in inodes}
        for number, one in self._by_number.items():
            bound = any(event.kind == "bind" and not event.error for event in one.events)
            if number not in inodes and bound and not one.listening and one.kind.startswith("tcp"):
                self.not_seen(f"whether a {one.kind} socket listened: it was closed without socket.close()")
        line = 1 << 40  # after everything that was seen
        for inode in sorted(listed.keys() & set(inodes.values()), key=int):
            kernel, known = listed[inode], own.get(inode)
            if known is not None:
                self._late(line, known, kernel)
            elif inode not in before:
                self.not_seen(
                    f"the calls of the {kernel.kind} socket at {kernel.address} port {kernel.port}: "
                    "code other than Python's socket module made it"
                )

    def _late(self, line: int, one: Socket, kernel: KernelSocket) -> None:
        """A listen() or bind() that was called on the descriptor of a socket that Python has too (uvloop does)."""
        if all(event.kind != "bind" for event in one.events):
            self.not_seen(f"bind() of a {kernel.kind} socket: it was not called on socket.socket")
            one.kind = one.kind or kernel.kind
            self._add(line, one, "bind", f"bind={kernel.address}", 0, (0, kernel.port))
        if kernel.kind.startswith("tcp") and not one.listening:
            self._late_listen(line + 1, one)

    def _late_listen(self, line: int, one: Socket) -> None:
        self.not_seen(f"listen() of a {one.kind} socket: it was not called on socket.socket; it listens at the end")
        one.listening = True
        self._add(line, one, "listen", "listen", 0)


def descriptors() -> dict[int, str] | None:
    """Descriptor -> inode of the sockets of this process; None where the system does not tell."""
    try:
        return kernel_sockets.descriptors(os.getpid())
    except OSError:
        return None


def address(given: Any, *, six: bool) -> SocketAddress | None:
    """An address of Python's socket module as the notation writes it, and the port; None where it cannot be written.

    ``six``: of an IPv6 socket, for which "" is ``::``.
    """
    if isinstance(given, str | bytes) and given:
        name = os.fsdecode(given)
        return strace_values.unix_address("@", name[1:]) if name[0] == "\0" else strace_values.unix_address("", name)
    if not (isinstance(given, tuple) and len(given) in (2, 4) and isinstance(given[0], str)):
        return None
    host = given[0].partition("%")[0]
    names = {"": "::", "localhost": "::1"} if six else {"": "0.0.0.0", "localhost": "127.0.0.1"}
    host = names.get(host, host)
    try:
        return SocketAddress(address_text(ipaddress.ip_address(host)), _port(given))
    except ValueError:
        return None


def _port(given: Any) -> int:
    return given[1] if isinstance(given, tuple) and len(given) > 1 and isinstance(given[1], int) else 0


def _error(error: int) -> str:
    return errno.errorcode.get(error, f"errno {error}").replace("WSA", "")


def _kind(made: tuple[int, ...]) -> tuple[str, str]:
    """The kind of the notation, or "" and what it is instead."""
    family, form = _FAMILIES.get(made[0], ""), _TYPES.get(made[1] & ~_FLAGS, "")
    if family == "unix":
        protocol = {"stream": "unix", "datagram": "unixgram"}.get(form, "")
    else:
        protocol = _PROTOCOLS.get(made[2], "") if made[2] > 0 else {"stream": "tcp", "datagram": "udp"}.get(form, "")
    kind = _KIND_OF.get((family, form, protocol), "")
    if kind or made[0] == -1:
        return kind, "" if kind else "a socket made outside the recording"
    return "", f"a socket of family {made[0]}, type {made[1]}, protocol {made[2]}"
