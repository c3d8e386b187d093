"""The options of a running process's sockets: pidfd_getfd(2) lends each of them, getsockopt() reads it (Linux 5.6).

What is read is how the sockets are now.  In which order options were set and sockets were bound is not known any
more: they are told in the order of their inodes, options before bind().
"""

from __future__ import annotations

import ctypes
import errno
import ipaddress
import os
import socket
import sys
from contextlib import closing
from pathlib import Path

from bindmatrix.errors import Place, Problem
from bindmatrix.notation import address_text
from bindmatrix.programs import kernel_sockets
from bindmatrix.programs.descriptors import Socket, TracedCall

#: the number on every architecture but Alpha
_PIDFD_GETFD = 438
#: numbers of Linux that Python's socket module does not name everywhere
_PROTOCOLS = {6: "tcp", 17: "udp", 136: "udplite", 262: "mptcp"}
_FLAGS = {
    (socket.IPPROTO_IP, 15): "IP_FREEBIND: binds to addresses that the machine does not have",
    (socket.IPPROTO_IP, 19): "IP_TRANSPARENT: binds to addresses that the machine does not have",
    (socket.IPPROTO_IP, 24): "IP_BIND_ADDRESS_NO_PORT: takes the port at connect()",
}
#: option of the notation -> its number
_SHARING = (("reuseaddr", socket.SO_REUSEADDR), ("reuseport", getattr(socket, "SO_REUSEPORT", 15)))
_SO_BINDTODEVICE, _SO_PROTOCOL, _IPV6_V6ONLY = 25, 38, 26


def of_process(pid: int) -> list[Socket]:
    """The bound sockets of a process, in the order in which they were made; raises :class:`Problem`."""
    _check_linux()
    place = Place(f"process {pid}")
    try:
        found = kernel_sockets.descriptors(pid)
    except FileNotFoundError:
        raise Problem(place, "there is no such process") from None
    except PermissionError:
        raise Problem(place, _not_allowed(pid)) from None
    return _read({inode: (pid, number) for number, inode in sorted(found.items(), reverse=True)}, place)


def of_port(port: int) -> list[Socket]:
    """The sockets of any process that are bound to a port of this network namespace; raises :class:`Problem`."""
    _check_linux()
    place = Place(f"port {port}")
    wanted = {one.inode for one in kernel_sockets.listed() if one.port == port}
    if not wanted:
        raise Problem(place, "nobody is bound to it in this network namespace (see 'ss -lntu')")
    holders: dict[str, tuple[int, int]] = {}
    for pid in kernel_sockets.processes():
        try:
            held = kernel_sockets.descriptors(pid)
        except OSError:  # gone, or somebody else's
            continue
        holders |= {inode: (pid, number) for number, inode in held.items() if inode in wanted}
    if not holders:
        raise Problem(place, "its sockets belong to processes of other users; run as root")
    return _read(holders, place)


def command_of(pid: int) -> str:
    """The name of a process; "" where it has gone."""
    try:
        return Path(f"/proc/{pid}/comm").read_text("utf-8", "replace").strip()
    except OSError:
        return ""


def _check_linux() -> None:
    if not sys.platform.startswith("linux") or not hasattr(os, "pidfd_open"):
        raise Problem(Place("inspect"), "needs Linux 5.6 or newer: it uses pidfd_getfd() and /proc")


def _not_allowed(pid: int) -> str:
    return f"its sockets may not be read ({command_of(pid) or 'another user'}); run as root or with CAP_SYS_PTRACE"


def _read(holders: dict[str, tuple[int, int]], place: Place) -> list[Socket]:
    """inode -> (process, descriptor)."""
    found = []
    users = {one.inode: one.user for pid, _ in list(holders.values())[:1] for one in kernel_sockets.listed(pid)}
    shared = len({users[inode] for inode in holders if inode in users}) > 1
    for order, inode in enumerate(sorted(holders, key=int), 1):
        pid, number = holders[inode]
        one = _lent(pid, number, place)
        if one is None:
            continue
        with closing(one):
            user = str(users[inode]) if shared and inode in users else ""
            read = _one(one, order, inode, user)
            if read is not None:
                found.append(read)
    return found


def _lent(pid: int, number: int, place: Place) -> socket.socket | None:
    """Our own descriptor of the socket; None if it was closed meanwhile."""
    libc = ctypes.CDLL(None, use_errno=True)
    try:
        process = os.pidfd_open(pid)
        try:
            own = libc.syscall(_PIDFD_GETFD, process, number, 0)
            code = ctypes.get_errno()
        finally:
            os.close(process)
        if own < 0:
            raise OSError(code, os.strerror(code))
        return socket.socket(fileno=own)
    except OSError as error:
        if error.errno in (errno.EPERM, errno.EACCES):
            raise Problem(place, _not_allowed(pid)) from None
        if error.errno == errno.ENOSYS:
            raise Problem(Place("inspect"), "needs Linux 5.6 or newer: there is no pidfd_getfd()") from None
        return None


def _one(lent: socket.socket, order: int, inode: str, user: str) -> Socket | None:
    """The socket as the calls that would make it so; None for a connection, and where it has no IP port."""
    if lent.family not in (socket.AF_INET, socket.AF_INET6):
        return None
    address, port = lent.getsockname()[:2]
    peer = _peer(lent)
    if not port or (peer and lent.type == socket.SOCK_STREAM):
        return None
    six = lent.family == socket.AF_INET6
    protocol = _PROTOCOLS.get(lent.getsockopt(socket.SOL_SOCKET, _SO_PROTOCOL), "")
    made = Socket(protocol and protocol + ("6" if six else "4"), "" if protocol else "no TCP or UDP", order, inode)
    words = [("set", f"{name}=1") for name, number in _SHARING if lent.getsockopt(socket.SOL_SOCKET, number)]
    if six:
        words.append(("set", f"v6only={lent.getsockopt(socket.IPPROTO_IPV6, _IPV6_V6ONLY)}"))
    made.options = {word.partition("=")[0]: 1 for kind, word in words}
    made.listening = bool(lent.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN))
    address = address_text(ipaddress.ip_address(address.partition("%")[0]))
    made.events = [TracedCall(order, "socket", "", None, "", user)]
    made.events += [TracedCall(order, kind, word, None, "", user) for kind, word in words]
    made.events.append(TracedCall(order, "bind", f"bind={address}", (0, port), "", user))
    if made.listening:
        made.events.append(TracedCall(order, "listen", "listen", None, "", user))
    made.connected = peer
    _mark(lent, made)
    return made


def _mark(lent: socket.socket, made: Socket) -> None:
    """What the notation does not have."""
    for (level, number), what in _FLAGS.items():
        if _value(lent, level, number):
            made.marks[what] += 1
    device = lent.getsockopt(socket.SOL_SOCKET, _SO_BINDTODEVICE, 16).strip(b"\0")
    if device:
        made.marks[f"SO_BINDTODEVICE: tied to {device.decode('ascii', 'replace')}"] += 1


def _peer(lent: socket.socket) -> str:
    try:
        address, port = lent.getpeername()[:2]
    except OSError:
        return ""
    return f"{address} port {port}"


def _value(lent: socket.socket, level: int, number: int) -> int:
    try:
        return lent.getsockopt(level, number)
    except OSError:  # not an option of this kernel or family
        return 0
