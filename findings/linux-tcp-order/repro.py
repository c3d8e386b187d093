#!/usr/bin/env python3
"""
a=tcp4 a.reuseaddr=1 a.bind=127.0.0.1 b=tcp4 b.reuseaddr=1 b.reuseport=1 b.bind=127.0.0.1 c=tcp4
c.reuseport=1 c.bind=127.0.0.1

Expected by the reporter: the second column below.  Usage: python3 repro.py [PORT]
Exit status: 0 as expected, 1 not, 2 the set-up failed.
"""

import errno
import os
import socket
import sys
from socket import AF_INET, AF_INET6, SO_REUSEADDR, SOCK_DGRAM, SOCK_STREAM, SOL_SOCKET

SO_REUSEPORT = getattr(socket, "SO_REUSEPORT", None)
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


def set_option(sock, level, option, value):
    if option is None:  # this platform has no such option
        raise OSError(errno.EBADF if sock.fileno() < 0 else errno.ENOPROTOOPT, "lacking")
    sock.setsockopt(level, option, value)


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


port = int(sys.argv[1]) if len(sys.argv) > 1 else 10000 + os.getpid() % 20000
while len(sys.argv) < 2 and (port % 128 == 0 or not is_free(port)):  # multiples of 128 are special on NetBSD
    port += 1
if not is_free(port):
    give_up("port %d is taken" % port)

a = step("a=tcp4",       "ok",         socket.socket, AF_INET, SOCK_STREAM)
step("a.reuseaddr=1",    "ok",         a.setsockopt, SOL_SOCKET, SO_REUSEADDR, 1)
step("a.bind=127.0.0.1", "ok",         a.bind, ("127.0.0.1", port))
b = step("b=tcp4",       "ok",         socket.socket, AF_INET, SOCK_STREAM)
step("b.reuseaddr=1",    "ok",         b.setsockopt, SOL_SOCKET, SO_REUSEADDR, 1)
step("b.reuseport=1",    "ok",         set_option, b, SOL_SOCKET, SO_REUSEPORT, 1)
step("b.bind=127.0.0.1", "ok",         b.bind, ("127.0.0.1", port))
c = step("c=tcp4",       "ok",         socket.socket, AF_INET, SOCK_STREAM)
step("c.reuseport=1",    "ok",         set_option, c, SOL_SOCKET, SO_REUSEPORT, 1)
step("c.bind=127.0.0.1", "EADDRINUSE", c.bind, ("127.0.0.1", port))

for sock in (a, b, c):
    sock.close()
print("NOT as expected" if failures else "as expected")
sys.exit(failures != 0)
