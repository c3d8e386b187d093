#!/usr/bin/env python3
"""
a=tcp4 a.bind=127.0.0.1 a.listen c=tcp4 c.connect=127.0.0.1 x=a.accept a.close b=tcp4
b.bind=127.0.0.1

Expected by the reporter: the second column below.  Usage: python3 repro.py [PORT]
Exit status: 0 as expected, 1 not, 2 the set-up failed.
"""

import errno
import os
import socket
import sys
import time
from socket import AF_INET, AF_INET6, SO_REUSEADDR, SOCK_DGRAM, SOCK_STREAM, SOL_SOCKET

CLOSED = socket.socket()  # stands for every socket that could not be made
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
    fine = got == expected
    print("%-24s %s%s" % (what, got, "" if fine else ", expected " + expected))
    failures += not fine
    return result


def connect(sock, address):
    sock.settimeout(1)
    sock.connect(address)
    time.sleep(0.01)  # let the packets arrive


def within_a_second(sock, call, *arguments):
    sock.setblocking(False)
    try:
        return call(*arguments)
    except BlockingIOError:
        sock.settimeout(1)
        return call(*arguments)


def accept(sock):
    return within_a_second(sock, sock.accept)[0]


def close(sock):
    os.close(sock.detach())  # EBADF where it is closed already
    time.sleep(0.01)  # let the packets arrive


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


port = int(sys.argv[1]) if len(sys.argv) > 1 else 20480
if not is_free(port):
    give_up("port %d is taken" % port)

a = step("a=tcp4",          "ok", socket.socket, AF_INET, SOCK_STREAM)
step("a.bind=127.0.0.1",    "ok", a.bind, ("127.0.0.1", port))
step("a.listen",            "ok", a.listen, 64)
c = step("c=tcp4",          "ok", socket.socket, AF_INET, SOCK_STREAM)
step("c.connect=127.0.0.1", "ok", connect, c, ("127.0.0.1", port))
x = step("x=a.accept",      "ok", accept, a)
step("a.close",             "ok", close, a)
b = step("b=tcp4",          "ok", socket.socket, AF_INET, SOCK_STREAM)
step("b.bind=127.0.0.1",    "ok", b.bind, ("127.0.0.1", port))

for sock in (a, c, x, b):
    sock.close()
print("NOT as expected" if failures else "as expected")
sys.exit(failures != 0)
