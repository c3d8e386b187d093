#!/usr/bin/env python3
"""
a=tcp4 a.bind=0.0.0.0 b=tcp6 b.v6only=0 b.bind=::

Expected by the reporter: the second column below.  Usage: python3 repro.py [PORT]
Exit status: 0 as expected, 1 not, 2 the set-up failed.
"""

import errno
import os
import socket
import sys
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
if not bindable("::1", 0, SOCK_DGRAM):
    give_up("::1 is no address of this host")

a = step("a=tcp4",     "ok",         socket.socket, AF_INET, SOCK_STREAM)
step("a.bind=0.0.0.0", "ok",         a.bind, ("0.0.0.0", port))
b = step("b=tcp6",     "ok",         socket.socket, AF_INET6, SOCK_STREAM)
step("b.v6only=0",     "ok",         b.setsockopt, socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
step("b.bind=::",      "EADDRINUSE", b.bind, ("::", port))

for sock in (a, b):
    sock.close()
print("NOT as expected" if failures else "as expected")
sys.exit(failures != 0)
