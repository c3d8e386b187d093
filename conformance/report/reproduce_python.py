"""The Python program of a case: Python 3.8, standard library only.

Like the C program it has a row for each step: the step, the expected outcome, the call.
"""

from __future__ import annotations

from conformance.notation import OPTIONS, SOCKET_KINDS, Step
from conformance.report.reproduce import Case, connects_again, multicast, needs, receivers, sockets, variable, wrapped

_HEAD = '''\
#!/usr/bin/env python3
"""
@SCENARIO@
@WHOSE@: the second column below.  Usage: python3 repro.py [PORT]
Exit status: 0 as expected, 1 not, 2 the set-up failed.
"""

import errno
import os
import socket
@IMPORTS@import sys
@TIME@from socket import AF_INET, AF_INET6, SO_REUSEADDR, SOCK_DGRAM, SOCK_STREAM, SOL_SOCKET

@OPTIONS@CLOSED = socket.socket()  # stands for every socket that could not be made
CLOSED.close()
failures = 0


def name(error):
    if error.errno is None:
        return "timeout"
    word = errno.errorcode.get(error.errno, "errno %d" % error.errno).replace("WSA", "")
    return {"ENOTSUP": "EOPNOTSUPP", "ENOTSOCK": "EBADF", "EWOULDBLOCK": "EAGAIN"}.get(word, word)


def step(what, expected, call, *arguments):
    """Make the call, print what it returned, count what is not as expected."""
    global failures
    result = CLOSED
    try:
        result = call(*arguments)
        got = result if isinstance(result, str) else "ok"
    except OSError as error:
        got = name(error)
    fine = @MATCH@
    print("%-24s %s%s" % (what, got, "" if fine else ", expected " + expected))
    failures += not fine
    return result
'''

_CLOSE = """
def close(sock):
    os.close(sock.detach())  # EBADF where it is closed already@SETTLE@
"""

_SET = """
def set_option(sock, level, option, value):
    if option is None:  # this platform has no such option
        raise OSError(errno.EBADF if sock.fileno() < 0 else errno.ENOPROTOOPT, "lacking")
    sock.setsockopt(level, option, value)
"""

_FOREIGN = '''
def of_other_family(sock, call, address):
    """Python refuses an address of the other family; the kernel is to be asked."""
    family = AF_INET6 if ":" in address[0] else AF_INET
    with socket.socket(family, sock.type, 0, os.dup(sock.fileno())) as other:
        other.settimeout(1)
        getattr(other, call)(address)
'''

_CONNECT = """
def connect(sock, address):
    sock.settimeout(1)@AGAIN@
    sock.connect(address)@SETTLE@
"""

_WAITING = """
def within_a_second(sock, call, *arguments):
    sock.setblocking(False)
    try:
        return call(*arguments)
    except BlockingIOError:
        sock.settimeout(1)
        return call(*arguments)
"""

_ACCEPT = """
def accept(sock):
    return within_a_second(sock, sock.accept)[0]
"""

_READ = """
def read(sock):
    while within_a_second(sock, sock.recv, 4096):
        pass
"""

_INDEX = """
def loopback():
    return next(number for number, name in socket.if_nameindex() if name in ("lo", "lo0", "loopback_0"))
"""

_JOIN = """
def join(sock, group):
    if ":" in group:
        request = socket.inet_pton(AF_INET6, group) + struct.pack("@I", loopback())
        sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_JOIN_GROUP, request)
    else:
        request = socket.inet_aton(group) + socket.inet_aton("127.0.0.1")
        sock.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP, request)
"""

_DELIVER = '''
def take(sock):
    """How many datagrams or connections wait at a socket."""
    count = 0
    sock.setblocking(False)
    try:
        while True:
            if sock.type == SOCK_DGRAM:
                sock.recv(16)
            else:
                sock.accept()[0].close()
            count += 1
    except OSError:
        return count


def client_of(kind, address):
    client = socket.socket(AF_INET6 if ":" in address else AF_INET, kind)
    client.settimeout(1)
    target = (address, port)
    if client.family == AF_INET6:
        client.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
    if kind == SOCK_STREAM:  # a reset leaves no TIME_WAIT
        client.setsockopt(SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
@GROUP@    client.connect(target)
    return client


def deliver(address, kind, flow, servers):
    """32 clients each connect or send a datagram: who gets how many, as a class."""
    for sock in servers.values():
        take(sock)  # what came before
    refused, clients = 0, []
    for _ in range(32):
        try:
            if not (flow and clients):
                clients.append(client_of(kind, address))
            if kind == SOCK_DGRAM:
                clients[-1].send(b".")
        except OSError:
            refused += 1
        if flow:
            refused += clients[-1].getsockopt(SOL_SOCKET, socket.SO_ERROR) != 0
    time.sleep(0.05)
    counts = {who: take(sock) for who, sock in servers.items() if sock.fileno() >= 0}
    counts = {who: count for who, count in counts.items() if count}
    for client in clients:
        refused += kind == SOCK_DGRAM and client.getsockopt(SOL_SOCKET, socket.SO_ERROR) != 0
        client.close()
    if not counts:
        return "refused" if refused else "none"
    if not refused and set(counts.values()) == {32}:
        return ("every:" if len(counts) > 1 else "") + ",".join(counts)
    if refused:
        counts["refused"] = refused
    if sum(counts.values()) == 32:
        return "spread:" + ",".join(counts)
    return ",".join("%s:%d" % item for item in counts.items())
'''

_GROUP = """\
    if client.family == AF_INET6:  # a group is reached over the loopback interface alone
        client.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_IF, struct.pack("@I", loopback()))
        target = (address, port, 0, loopback())
    else:
        client.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF, socket.inet_aton("127.0.0.1"))
"""

_BINDABLE = """
def bindable(address, number, kind):
    try:
        with socket.socket(AF_INET6 if ":" in address else AF_INET, kind) as sock:
            sock.bind((address, number))
    except OSError as error:
        return error.errno in (errno.EAFNOSUPPORT, errno.EADDRNOTAVAIL) and number > 0
    return True


def is_free(number):  # in both families and both protocols
    return all(bindable(address, number, kind) for address in ("0.0.0.0", "::") for kind in (SOCK_STREAM, SOCK_DGRAM))


def give_up(why):
    print("set-up failed: " + why, file=sys.stderr)
    sys.exit(2)


port = int(sys.argv[1]) if len(sys.argv) > 1 else @PORT@
@CHOOSE@if not is_free(port):
    give_up("port %d is taken" % port)
@NEEDS@
@STEPS@
for sock in (@SOCKETS@):
    sock.close()
print("NOT as expected" if failures else "as expected")
sys.exit(failures != 0)
"""

#: how the numbers of options are found that a platform may lack
_NUMBERS = {
    "reuseport": 'getattr(socket, "SO_REUSEPORT", None)',
    "reuseport_lb": '0x10000 if sys.platform.startswith("freebsd") else None',
    "exclusive": 'getattr(socket, "SO_EXCLUSIVEADDRUSE", None)',
    "exclbind": '0x1015 if sys.platform.startswith("sunos") else None',
}


def program(case: Case) -> str:
    """The text of the program."""
    steps = case.scenario.steps
    kinds = {step.kind for step in steps}
    delivers = bool(kinds & {"deliver", "deliver_flow"})
    groups = any(step.kind.startswith("deliver") and multicast(step.address) for step in steps)
    foreign = [index for index, step in enumerate(steps) if _foreign(case, index, step)]
    connects = "connect" in kinds and any(step.what.startswith("tcp") for step in steps)
    rare = [option for option in _NUMBERS if any(step.kind == "set" and step.what == option for step in steps)]
    chosen = [
        (_SET, bool(rare)),
        (_FOREIGN, bool(foreign)),
        (_CONNECT, "connect" in kinds),
        (_WAITING, bool(kinds & {"accept", "read"})),
        (_ACCEPT, "accept" in kinds),
        (_READ, "read" in kinds),
        (_CLOSE, "close" in kinds),
        (_INDEX, "join" in kinds or groups),
        (_JOIN, "join" in kinds),
        (_DELIVER, delivers),
        (_BINDABLE, True),
    ]
    text = _HEAD + "".join("\n" + part for part, wanted in chosen if wanted)
    names = [variable(name) for name in sockets(case.scenario)]
    settle = "\n    time.sleep(0.01)  # let the packets arrive" if connects else ""
    fills = {
        "@SCENARIO@": "\n".join(wrapped((step.text for step in steps), 100)) + "\n",
        "@WHOSE@": "Expected by the reporter" if case.given else f"Expected of {case.title} {case.release}",
        "@IMPORTS@": "import struct\n" if "join" in kinds or delivers else "",
        "@TIME@": "import time\n" if connects or delivers or "wait" in kinds else "",
        "@OPTIONS@": "".join(f"{OPTIONS[option]} = {_NUMBERS[option]}\n" for option in rare),
        "@MATCH@": _match(case),
        "@AGAIN@": _AGAIN if connects_again(case.scenario) else "",
        "@SETTLE@": settle,
        "@GROUP@": _GROUP if groups else "",
        "@PORT@": str(case.port) if case.port else "10000 + os.getpid() % 20000",
        "@CHOOSE@": "" if case.port else _CHOOSE,
        "@NEEDS@": _needs(case, kinds),
        "@STEPS@": "".join(_rows(case, foreign)),
        "@SOCKETS@": ", ".join(names) + ("," if len(names) == 1 else ""),
    }
    for key, value in fills.items():
        text = text.replace(key, value)
    return text


_CHOOSE = """\
while len(sys.argv) < 2 and (port % 128 == 0 or not is_free(port)):  # multiples of 128 are special on NetBSD
    port += 1
"""

_AGAIN = """
    try:  # Linux tells the end of a connect() with a time limit to the next one: take it here
        sock.getpeername()
        sock.type == SOCK_STREAM and sock.connect_ex(address)
    except OSError:
        pass"""


def _match(case: Case) -> str:
    """How an outcome is compared: by == unless a step has alternatives."""
    if all("|" not in line.pattern and line.pattern not in ("?", "error") for line in case.lines):
        return "got == expected"
    return 'got in expected.split("|") or expected == "?" or ("error" in expected.split("|") and got != "ok")'


def _foreign(case: Case, index: int, step: Step) -> bool:
    """Whether the step gives an address of the other family to a socket."""
    if step.kind not in ("bind", "connect"):
        return False
    return (":" in step.address) != (_family(case.scenario.steps[:index], step.socket) == "ipv6")


def _family(steps: tuple[Step, ...], socket: str) -> str:
    """The family of an open socket; that of an accepted one is its listener's."""
    for index in range(len(steps) - 1, -1, -1):
        step = steps[index]
        if step.kind in ("socket", "accept") and step.socket == socket:
            return SOCKET_KINDS[step.what].family if step.kind == "socket" else _family(steps[:index], step.what)
    return ""


def _needs(case: Case, kinds: set[str]) -> str:
    text = "".join(
        f'if not bindable("{address}", 0, SOCK_DGRAM):\n    give_up("{address} is no address of this host")\n'
        for address in needs(case.scenario)
    )
    if "user" in kinds:
        text += 'if not hasattr(os, "geteuid") or os.geteuid() != 0:\n    give_up("needs root to change the user")\n'
    return text


def _rows(case: Case, foreign: list[int]) -> list[str]:
    who = receivers(case.scenario)
    cells = []
    for index, line in enumerate(case.lines):
        call = _delivery(line.step, *who[index]) if index in who else _call(line.step, index in foreign)
        made = f"{variable(line.step.socket)} = " if line.step.kind in ("socket", "accept") else ""
        cells.append((f'{made}step("{line.step.text}",', f'"{line.pattern}",', call))
    one = max(len(cell[0]) for cell in cells)
    two = min(16, max(len(cell[1]) for cell in cells))
    return [f"{first:<{one}} {second:<{two}} {call})\n" for first, second, call in cells]


def _delivery(step: Step, protocol: str, names: list[str]) -> str:
    servers = ", ".join(f'"{name}": {variable(name)}' for name in names)
    kind = "SOCK_STREAM" if protocol == "tcp" else "SOCK_DGRAM"
    return f'deliver, "{step.address}", {kind}, {step.kind == "deliver_flow"}, {{{servers}}}'


def _call(step: Step, foreign: bool) -> str:
    name = variable(step.socket)
    target = f'("{step.address}", {0 if step.kind == "bind" and step.value else "port"})'
    if foreign:
        return f'of_other_family, {name}, "{step.kind}", {target}'
    if step.kind == "socket":
        kind = SOCKET_KINDS[step.what]
        family = "AF_INET6" if kind.family == "ipv6" else "AF_INET"
        return f"socket.socket, {family}, {'SOCK_STREAM' if kind.protocol == 'tcp' else 'SOCK_DGRAM'}"
    if step.kind == "set":
        if step.what == "v6only":
            return f"{name}.setsockopt, socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, {step.value}"
        call = f"set_option, {name}" if step.what in _NUMBERS else f"{name}.setsockopt"
        return f"{call}, SOL_SOCKET, {OPTIONS[step.what]}, {step.value}"
    calls = {
        "bind": f"{name}.bind, {target}",
        "listen": f"{name}.listen, 64",
        "connect": f"connect, {name}, {target}",
        "accept": f"accept, {variable(step.what)}",
        "read": f"read, {name}",
        "close": f"close, {name}",
        "join": f'join, {name}, "{step.address}"',
        "user": f"os.seteuid, {step.value}",
        "wait": f"time.sleep, {step.value / 1000}",
    }
    return calls[step.kind]
