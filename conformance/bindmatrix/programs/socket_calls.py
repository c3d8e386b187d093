"""The calls of a trace as steps of the notation, socket by socket.

What the notation has no step for, and what failed without an effect, is counted on the socket with its reason.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from bindmatrix.notation import SOCKET_KINDS
from bindmatrix.programs import strace_values as values
from bindmatrix.programs.descriptors import FOLLOWED, MOST_SOCKETS, MOST_STEPS, Descriptors, Process, Socket, TracedCall
from bindmatrix.programs.strace_lines import Lines, SystemCall, ThreadExit

#: option of a trace -> option of the notation
MODELLED = {"SO_REUSEADDR": "reuseaddr", "SO_REUSEPORT": "reuseport", "IPV6_V6ONLY": "v6only"}
JOINS = ("IP_ADD_MEMBERSHIP", "IPV6_ADD_MEMBERSHIP", "IPV6_JOIN_GROUP", "MCAST_JOIN_GROUP")
#: options that change who may bind or who receives, and that the notation does not have
MATTER = {
    "SO_BINDTODEVICE": "ties the socket to an interface",
    "SO_BINDTOIFINDEX": "ties the socket to an interface",
    "SO_ATTACH_REUSEPORT_CBPF": "a program of its own chooses who receives",
    "SO_ATTACH_REUSEPORT_EBPF": "a program of its own chooses who receives",
    "SO_INCOMING_CPU": "prefers the socket for what arrives on one processor",
    "IP_FREEBIND": "binds to addresses that the machine does not have",
    "IPV6_FREEBIND": "binds to addresses that the machine does not have",
    "IP_TRANSPARENT": "binds to addresses that the machine does not have",
    "IPV6_TRANSPARENT": "binds to addresses that the machine does not have",
    "IP_BIND_ADDRESS_NO_PORT": "takes the port at connect()",
    "IP_LOCAL_PORT_RANGE": "narrows the ports that the kernel chooses from",
    "IP_MULTICAST_ALL": "changes which groups are received",
    "IPV6_MULTICAST_ALL": "changes which groups are received",
    "IP_ADD_SOURCE_MEMBERSHIP": "joins a group for one source",
    "MCAST_JOIN_SOURCE_GROUP": "joins a group for one source",
}
#: calls that are read; strace is asked for these
NAMES: frozenset[str] = frozenset(
    {"socket", "bind", "listen", "connect", "setsockopt", "getsockname", "shutdown", *FOLLOWED}
)


class SocketCalls:
    """The sockets of a trace with their steps."""

    def __init__(self) -> None:
        self.lines = Lines(NAMES)
        self.descriptors = Descriptors(self.lines, self._call, self._close)
        #: those that are bound, listen or may still be, in the order of socket()
        self.sockets: dict[Socket, None] = {}
        #: sockets that are only counted: ``client``, ``unused``, ``too many``
        self.folded: Counter[str] = Counter()
        #: inodes of sockets that were bound or listen, for comparing with the kernel's own list
        self.inodes: set[str] = set()
        #: calls on sockets that were seen and could not be read -> how often
        self.unread: Counter[str] = Counter()

    def read(self, lines: Iterable[str]) -> None:
        """Take in the lines of a trace, or of one file of several (-ff)."""
        for call in self.lines.read(lines):
            self.descriptors.follow(call)

    def _call(self, call: SystemCall, socket: Socket, process: Process) -> None:
        if not socket.kept:
            return
        handler = {
            "socket": self._made,
            "bind": self._bind,
            "listen": self._listen,
            "setsockopt": self._option,
            "connect": self._connect,
            "getsockname": self._getsockname,
            "shutdown": self._shutdown,
        }.get(call.name)
        if handler is not None:
            handler(call, socket, process)
        if call.name in ("bind", "listen") and socket not in self.sockets:
            self._keep(socket)

    def _keep(self, socket: Socket) -> None:
        if len(self.sockets) < MOST_SOCKETS:
            self.sockets[socket] = None
        else:
            socket.kept = False
            self.folded["too many"] += 1
            self.descriptors.forget(socket)

    def _made(self, call: SystemCall, socket: Socket, process: Process) -> None:
        self._keep(socket)
        self._add(call, socket, process, "socket", "")

    def _add(
        self,
        call: SystemCall,
        socket: Socket,
        process: Process,
        kind: str,
        word: str,
        port: tuple[int, int | str] | None = None,
    ) -> None:
        if len(socket.events) >= MOST_STEPS:
            socket.marks["steps beyond the first of so many"] += 1
            return
        socket.events.append(TracedCall(call.line, kind, word, port, call.error, process.user))

    def _bind(self, call: SystemCall, socket: Socket, process: Process) -> None:
        text = ", ".join(call.arguments[1:])
        address = values.address(text)
        if address is None:
            if text.startswith("0x"):
                self.unread["bind(): the trace holds a pointer, no address (strace -e raw)"] += 1
                socket.kind, socket.otherwise = "", "a socket whose address is not in the trace (strace -e raw)"
            elif socket.kind:
                socket.marks[f"bind() to {text.split('}')[0][:60]}" + (f": {call.error}" if call.error else "")] += 1
            return
        if socket.inode:
            self.inodes.add(socket.inode)
        if not socket.kind and socket.otherwise == "a socket made outside the trace":
            socket.marks["its socket() is not in the trace"] += 1
        if "%" in text or "sin6_scope_id=if_nametoindex" in text:
            socket.marks["the scope of its address (an interface)"] += 1
        self._add(call, socket, process, "bind", f"bind={address.text}", (process.netns, address.port))

    def _listen(self, call: SystemCall, socket: Socket, process: Process) -> None:
        if socket.inode:
            self.inodes.add(socket.inode)
        if socket.listening:
            socket.marks["listen() again"] += 1
            return
        socket.listening = not call.error
        self._add(call, socket, process, "listen", "listen")

    def _option(self, call: SystemCall, socket: Socket, process: Process) -> None:
        if len(call.arguments) < 4 or not socket.kind:
            return
        name = values.option(call.arguments[1], call.arguments[2])
        if name in JOINS:
            self._join(call, socket, process)
        elif name in MATTER:
            socket.marks[f"{name}: {MATTER[name]}" + (f"; it failed: {call.error}" if call.error else "")] += 1
        elif name in MODELLED:
            self._modelled(call, socket, process, MODELLED[name])

    def _modelled(self, call: SystemCall, socket: Socket, process: Process, option: str) -> None:
        value = values.option_value(call.arguments[3])
        if value is None:
            self.unread["setsockopt(): the trace holds a pointer, no value (strace -e raw)"] += 1
        elif call.error:
            socket.marks[f"{option}={value} failed with {call.error} and is left out"] += 1
        elif socket.options.get(option) == value:
            socket.marks[f"{option}={value} again"] += 1
        else:
            socket.options[option] = value
            self._add(call, socket, process, "set", f"{option}={value}")

    def _join(self, call: SystemCall, socket: Socket, process: Process) -> None:
        group = values.ip(call.arguments[3])
        if group is None or call.error:
            socket.marks["joining a group" + (f" failed with {call.error} and is left out" if call.error else "")] += 1
        elif ("::" in group or ":" in group) and SOCKET_KINDS[socket.kind].family == "ipv4":
            socket.marks["joining an IPv6 group on an IPv4 socket"] += 1
        else:
            if "lo" not in call.arguments[3].partition("interface=")[2].split('"')[1:2]:
                socket.marks["joins a group on an interface; the notation joins it on the loopback interface"] += 1
            self._add(call, socket, process, "join", f"join={group}")

    def _connect(self, call: SystemCall, socket: Socket, process: Process) -> None:  # noqa: ARG002
        text = ", ".join(call.arguments[1:])
        if "AF_UNSPEC" in text:
            socket.marks["connect(AF_UNSPEC)"] += 1
        elif not call.error or call.error == "EINPROGRESS":
            address = values.address(text)
            socket.connected = f"{address.text} port {address.port}" if address else "an address"

    def _getsockname(self, call: SystemCall, socket: Socket, process: Process) -> None:  # noqa: ARG002
        address = values.address(", ".join(call.arguments[1:]))
        if address is not None and isinstance(address.port, int):
            socket.chosen = address.port

    def _shutdown(self, call: SystemCall, socket: Socket, process: Process) -> None:  # noqa: ARG002
        if socket.listening and not call.error:
            socket.marks["shutdown() of a listening socket: on Linux it no longer listens"] += 1

    def _close(self, call: SystemCall | ThreadExit, socket: Socket) -> None:
        self.descriptors.forget(socket)
        if socket not in self.sockets:
            return
        if why := folds(socket):
            del self.sockets[socket]
            self.folded[why] += 1
        else:
            socket.events.append(TracedCall(call.line, "close", "close", None, "", ""))


def folds(socket: Socket) -> str:
    """Why a socket is only counted: ``unused``, ``client``; "" for one that is part of a scenario."""
    if socket.listening or any(event.kind == "listen" for event in socket.events):
        return ""
    bound = [event for event in socket.events if event.kind == "bind"]
    if not bound:
        return "client" if socket.connected else "unused"
    if all(event.port and event.port[1] == 0 for event in bound):
        return "client" if socket.connected else ""
    # a client with a port of its own choice is one too, unless it asks to share that port
    return "client" if socket.connected and not (socket.options.keys() & {"reuseaddr", "reuseport"}) else ""
