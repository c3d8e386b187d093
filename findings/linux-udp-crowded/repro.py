#!/usr/bin/env python3
"""
a=udp4 a.reuseaddr=1 a.bind=127.0.0.1 b=udp4 b.reuseaddr=1 b.bind=127.0.0.1 c=udp4 c.reuseaddr=1
c.bind=127.0.0.1 d=udp4 d.reuseaddr=1 d.bind=127.0.0.1 e=udp4 e.reuseaddr=1 e.bind=127.0.0.1 f=udp4
f.reuseaddr=1 f.bind=127.0.0.1 g=udp4 g.reuseaddr=1 g.bind=127.0.0.1 h=udp4 h.reuseaddr=1
h.bind=127.0.0.1 i=udp4 i.reuseaddr=1 i.bind=127.0.0.1 j=udp4 j.reuseaddr=1 j.bind=127.0.0.1 k=udp4
k.reuseaddr=1 k.bind=127.0.0.1 x=udp4 x.bind=0.0.0.0

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

a = step("a=udp4",       "ok",         socket.socket, AF_INET, SOCK_DGRAM)
step("a.reuseaddr=1",    "ok",         a.setsockopt, SOL_SOCKET, SO_REUSEADDR, 1)
step("a.bind=127.0.0.1", "ok",         a.bind, ("127.0.0.1", port))
b = step("b=udp4",       "ok",         socket.socket, AF_INET, SOCK_DGRAM)
step("b.reuseaddr=1",    "ok",         b.setsockopt, SOL_SOCKET, SO_REUSEADDR, 1)
step("b.bind=127.0.0.1", "ok",         b.bind, ("127.0.0.1", port))
c = step("c=udp4",       "ok",         socket.socket, AF_INET, SOCK_DGRAM)
step("c.reuseaddr=1",    "ok",         c.setsockopt, SOL_SOCKET, SO_REUSEADDR, 1)
step("c.bind=127.0.0.1", "ok",         c.bind, ("127.0.0.1", port))
d = step("d=udp4",       "ok",         socket.socket, AF_INET, SOCK_DGRAM)
step("d.reuseaddr=1",    "ok",         d.setsockopt, SOL_SOCKET, SO_REUSEADDR, 1)
step("d.bind=127.0.0.1", "ok",         d.bind, ("127.0.0.1", port))
e = step("e=udp4",       "ok",         socket.socket, AF_INET, SOCK_DGRAM)
step("e.reuseaddr=1",    "ok",         e.setsockopt, SOL_SOCKET, SO_REUSEADDR, 1)
step("e.bind=127.0.0.1", "ok",         e.bind, ("127.0.0.1", port))
f = step("f=udp4",       "ok",         socket.socket, AF_INET, SOCK_DGRAM)
step("f.reuseaddr=1",    "ok",         f.setsockopt, SOL_SOCKET, SO_REUSEADDR, 1)
step("f.bind=127.0.0.1", "ok",         f.bind, ("127.0.0.1", port))
g = step("g=udp4",       "ok",         socket.socket, AF_INET, SOCK_DGRAM)
step("g.reuseaddr=1",    "ok",         g.setsockopt, SOL_SOCKET, SO_REUSEADDR, 1)
step("g.bind=127.0.0.1", "ok",         g.bind, ("127.0.0.1", port))
h = step("h=udp4",       "ok",         socket.socket, AF_INET, SOCK_DGRAM)
step("h.reuseaddr=1",    "ok",         h.setsockopt, SOL_SOCKET, SO_REUSEADDR, 1)
step("h.bind=127.0.0.1", "ok",         h.bind, ("127.0.0.1", port))
i = step("i=udp4",       "ok",         socket.socket, AF_INET, SOCK_DGRAM)
step("i.reuseaddr=1",    "ok",         i.setsockopt, SOL_SOCKET, SO_REUSEADDR, 1)
step("i.bind=127.0.0.1", "ok",         i.bind, ("127.0.0.1", port))
j = step("j=udp4",       "ok",         socket.socket, AF_INET, SOCK_DGRAM)
step("j.reuseaddr=1",    "ok",         j.setsockopt, SOL_SOCKET, SO_REUSEADDR, 1)
step("j.bind=127.0.0.1", "ok",         j.bind, ("127.0.0.1", port))
k = step("k=udp4",       "ok",         socket.socket, AF_INET, SOCK_DGRAM)
step("k.reuseaddr=1",    "ok",         k.setsockopt, SOL_SOCKET, SO_REUSEADDR, 1)
step("k.bind=127.0.0.1", "ok",         k.bind, ("127.0.0.1", port))
x = step("x=udp4",       "ok",         socket.socket, AF_INET, SOCK_DGRAM)
step("x.bind=0.0.0.0",   "EADDRINUSE", x.bind, ("0.0.0.0", port))

for sock in (a, b, c, d, e, f, g, h, i, j, k, x):
    sock.close()
print("NOT as expected" if failures else "as expected")
sys.exit(failures != 0)
