"""The pieces that Python programs are put together from; ``python_program.py`` fills in what is between @."""

from __future__ import annotations

HEAD = '''\
#!/usr/bin/env python3
"""
@TITLE@

@SCENARIO@

Usage: python3 repro.py [PORT]
@NEEDS@Exit status: 0 as expected, 1 not, 2 the set-up failed.
"""

@IMPORTS@
'''

CLOSED = """\
closed = socket.socket()  # stands for a socket that is not there
closed.close()
"""

INTERRUPT = """\
def interrupt(number, frame):  # a call that blocks fails with EINTR
    raise InterruptedError(EINTR, "interrupted")
"""

CHECK = """\
def check(step, expected, call, *arguments):
    global failures
    @START@
@ALARM@    try:
        @RESULT@call(*arguments)
    except OSError as failure:
        error = failure.errno@NONE@
    print("%-24s %s" % (step, @TEXT@ if error else "ok"))
    if @WRONG@:
        print("%24s %s expected" % ("", @WANTED@))
        failures += 1
@SETTLE@@RETURN@"""

EXPECT = """\
def expect(fine, what):
    global failures
    if not fine:
        print("%24s %s expected" % ("", what))
        failures += 1
"""

SOON = """\
def soon(sock, call, *arguments):  # waits a second at most
    sock.setblocking(False)
    try:
        return call(*arguments)
    except BlockingIOError:
        sock.settimeout(1)
        return call(*arguments)
"""

OTHER_FAMILY = """\
def other_family(sock):  # Python itself refuses an address of the other family
    family = AF_INET if sock.family == AF_INET6 else AF_INET6
    return socket.socket(family, sock.type, 0, sock.dup().detach())
"""

JOIN4 = """\
def join4(sock, group):  # on the loopback interface
    request = socket.inet_aton(group) + socket.inet_aton("127.0.0.1")
    sock.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP, request)
"""

JOIN6 = """\
def join6(sock, group):
    request = socket.inet_pton(AF_INET6, group) + struct.pack("@I", @INDEX@)
    sock.setsockopt(IPPROTO_IPV6, socket.IPV6_JOIN_GROUP, request)
"""

SEND = """\
def send(client):  # that nobody is there is an error of the socket
    client.settimeout(0.002)
    client.send(b".")
    try:
        client.recv(1)
    except socket.timeout:
        pass
"""

#: recv() says on Windows that nobody took a datagram, as ECONNRESET; under Wine SO_ERROR does
WINSOCK_SEND = """\
def send(client):  # that nobody is there is an error of the socket
    client.settimeout(0.02)
    client.send(b".")
    try:
        client.recv(1)
    except socket.timeout:
        pass
    except ConnectionResetError:
        raise ConnectionRefusedError(ECONNREFUSED, "refused")
    told = client.getsockopt(SOL_SOCKET, socket.SO_ERROR)
    if told:
        raise OSError(told, "refused")
"""

#: a group is reached over the loopback interface alone
MULTICAST = 'client.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF, socket.inet_aton("127.0.0.1"))'

_COUNT = """\
def @NAME@(sock):
    count = 0
    try:
        while select.select([sock], [], [], 0)[0]:
            @TAKE@
            count += 1
    except (OSError, ValueError):  # it is closed, or does not listen
        pass
    return count
"""
DATAGRAMS = _COUNT.replace("@NAME@", "datagrams").replace("@TAKE@", "sock.recv(1)")
CONNECTIONS = _COUNT.replace("@NAME@", "connections").replace("@TAKE@", "sock.accept()[0].close()")

_GOT = """\
    time.sleep(0.05)
    got = {@COUNTS@}
    print("%-24s @NAMES@failed:%d" % (step, *got.values(), failed))
    return got, failed, error
"""

_FRESH = """\
def @SENDER@(step, family, address):  # from 32 sockets
    failed = error = 0
    for _ in range(32):
        with socket.socket(family, @TYPE@) as client:
            try:
@CLIENT@                client.connect(address)
@SEND@            except OSError as failure:
                failed, error = failed + 1, failure.errno@NONE@
@BREAK@"""

_FLOW = """\
def deliver_flow(step, family, address):  # from one socket
    failed = error = 0
    with socket.socket(family, SOCK_DGRAM) as client:
@CLIENT@        client.connect(address)
        for _ in range(32):
            try:
                send(client)
            except OSError as failure:
                failed, error = failed + 1, failure.errno
"""

SENDERS = {
    "deliver_udp": (_FRESH + _GOT)
    .replace("@SENDER@", "deliver_udp")
    .replace("@TYPE@", "SOCK_DGRAM")
    .replace("@SEND@", "                send(client)\n")
    .replace("@NONE@", "")
    .replace("@BREAK@", ""),
    "deliver_tcp": (_FRESH + _GOT)
    .replace("@SENDER@", "deliver_tcp")
    .replace("@TYPE@", "SOCK_STREAM")
    .replace("@CLIENT@", "@CLIENT@                client.settimeout(@PATIENCE@)\n")
    .replace("@SEND@", "")
    .replace("@NONE@", " or @INTERRUPTED@")
    .replace("@BREAK@", "        if error == @INTERRUPTED@:\n            break\n"),
    "deliver_flow": _FLOW + _GOT,
}

PROBE = """\
def probe(kind, address):
    with socket.socket(AF_INET6 if ":" in address else AF_INET, kind) as sock:
        sock.bind((address, port))
"""

CHOOSE = """\
while True:
    try:
@PROBES@        break
    except OSError as error:
        if len(sys.argv) > 1 or @BUSY@:
            print("set-up failed: port %d: %s" % (port, error.strerror), file=sys.stderr)
            sys.exit(2)
        port += 2
"""

#: where the number of the port matters
SEE = """\
try:
@PROBES@except OSError as error:
    print("set-up failed: port %d: %s" % (port, error.strerror), file=sys.stderr)
    sys.exit(2)
"""

ROOT = """\
if os.geteuid() != 0:
    print("set-up failed: needs root to change the user", file=sys.stderr)
    sys.exit(2)
"""

END = """
print("NOT as expected" if failures else "as expected")
sys.exit(failures != 0)
"""
