#!/usr/bin/env python3
"""
Linux 6.1.167: UDP, a wildcard misses conflicts with specific addresses once more than ten sockets are on the port.

a=udp4 a.reuseaddr=1 a.bind=127.0.0.1 b=udp4 b.reuseaddr=1 b.bind=127.0.0.1 c=udp4 c.reuseaddr=1
c.bind=127.0.0.1 d=udp4 d.reuseaddr=1 d.bind=127.0.0.1 e=udp4 e.reuseaddr=1 e.bind=127.0.0.1 f=udp4
f.reuseaddr=1 f.bind=127.0.0.1 g=udp4 g.reuseaddr=1 g.bind=127.0.0.1 h=udp4 h.reuseaddr=1
h.bind=127.0.0.1 i=udp4 i.reuseaddr=1 i.bind=127.0.0.1 j=udp4 j.reuseaddr=1 j.bind=127.0.0.1 k=udp4
k.reuseaddr=1 k.bind=127.0.0.1 x=udp4 x.bind=0.0.0.0

Usage: python3 repro.py [PORT]
Exit status: 0 as expected, 1 not, 2 the set-up failed.
"""

import os
import socket
import sys
from errno import EADDRINUSE
from socket import AF_INET, AF_INET6, SO_REUSEADDR, SOCK_DGRAM, SOL_SOCKET

failures = 0


def check(step, expected, call, *arguments):
    global failures
    error = 0
    try:
        call(*arguments)
    except OSError as failure:
        error = failure.errno
    print("%-24s %s" % (step, os.strerror(error) if error else "ok"))
    if error != expected:
        print("%24s %s expected" % ("", os.strerror(expected) if expected else "ok"))
        failures += 1


def probe(kind, address):
    with socket.socket(AF_INET6 if ":" in address else AF_INET, kind) as sock:
        sock.bind((address, port))


port = int(sys.argv[1]) if len(sys.argv) > 1 else 10001 + os.getpid() % 10000 * 2
while True:
    try:
        probe(SOCK_DGRAM, "0.0.0.0")
        break
    except OSError as error:
        if len(sys.argv) > 1 or error.errno != EADDRINUSE:
            print("set-up failed: port %d: %s" % (port, error.strerror), file=sys.stderr)
            sys.exit(2)
        port += 2

a = socket.socket(AF_INET, SOCK_DGRAM)
check("a.reuseaddr=1", 0, a.setsockopt, SOL_SOCKET, SO_REUSEADDR, 1)
check("a.bind=127.0.0.1", 0, a.bind, ("127.0.0.1", port))
b = socket.socket(AF_INET, SOCK_DGRAM)
check("b.reuseaddr=1", 0, b.setsockopt, SOL_SOCKET, SO_REUSEADDR, 1)
check("b.bind=127.0.0.1", 0, b.bind, ("127.0.0.1", port))
c = socket.socket(AF_INET, SOCK_DGRAM)
check("c.reuseaddr=1", 0, c.setsockopt, SOL_SOCKET, SO_REUSEADDR, 1)
check("c.bind=127.0.0.1", 0, c.bind, ("127.0.0.1", port))
d = socket.socket(AF_INET, SOCK_DGRAM)
check("d.reuseaddr=1", 0, d.setsockopt, SOL_SOCKET, SO_REUSEADDR, 1)
check("d.bind=127.0.0.1", 0, d.bind, ("127.0.0.1", port))
e = socket.socket(AF_INET, SOCK_DGRAM)
check("e.reuseaddr=1", 0, e.setsockopt, SOL_SOCKET, SO_REUSEADDR, 1)
check("e.bind=127.0.0.1", 0, e.bind, ("127.0.0.1", port))
f = socket.socket(AF_INET, SOCK_DGRAM)
check("f.reuseaddr=1", 0, f.setsockopt, SOL_SOCKET, SO_REUSEADDR, 1)
check("f.bind=127.0.0.1", 0, f.bind, ("127.0.0.1", port))
g = socket.socket(AF_INET, SOCK_DGRAM)
check("g.reuseaddr=1", 0, g.setsockopt, SOL_SOCKET, SO_REUSEADDR, 1)
check("g.bind=127.0.0.1", 0, g.bind, ("127.0.0.1", port))
h = socket.socket(AF_INET, SOCK_DGRAM)
check("h.reuseaddr=1", 0, h.setsockopt, SOL_SOCKET, SO_REUSEADDR, 1)
check("h.bind=127.0.0.1", 0, h.bind, ("127.0.0.1", port))
i = socket.socket(AF_INET, SOCK_DGRAM)
check("i.reuseaddr=1", 0, i.setsockopt, SOL_SOCKET, SO_REUSEADDR, 1)
check("i.bind=127.0.0.1", 0, i.bind, ("127.0.0.1", port))
j = socket.socket(AF_INET, SOCK_DGRAM)
check("j.reuseaddr=1", 0, j.setsockopt, SOL_SOCKET, SO_REUSEADDR, 1)
check("j.bind=127.0.0.1", 0, j.bind, ("127.0.0.1", port))
k = socket.socket(AF_INET, SOCK_DGRAM)
check("k.reuseaddr=1", 0, k.setsockopt, SOL_SOCKET, SO_REUSEADDR, 1)
check("k.bind=127.0.0.1", 0, k.bind, ("127.0.0.1", port))
x = socket.socket(AF_INET, SOCK_DGRAM)
check("x.bind=0.0.0.0", EADDRINUSE, x.bind, ("0.0.0.0", port))

print("NOT as expected" if failures else "as expected")
sys.exit(failures != 0)
