#!/usr/bin/env python3
"""
gVisor 20260817: UDP, a connect() that fails with EADDRINUSE releases the port of other sockets, also of another user.

user=1001 d=udp4 d.reuseport=1 d.bind=0.0.0.0 user=0 user=1002 a=udp4 a.reuseport=1 a.bind=0.0.0.0
a.connect=127.0.0.1 b=udp4 b.reuseport=1 b.bind=0.0.0.0 b.connect=127.0.0.1 b.close a.close c=udp4
c.bind=127.0.0.1

Usage: python3 repro.py [PORT]
Needs root.
Exit status: 0 as expected, 1 not, 2 the set-up failed.
"""

import os
import socket
import sys
from errno import EADDRINUSE
from socket import AF_INET, AF_INET6, SO_REUSEPORT, SOCK_DGRAM, SOL_SOCKET

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
if os.geteuid() != 0:
    print("set-up failed: needs root to change the user", file=sys.stderr)
    sys.exit(2)

check("user=1001", 0, os.seteuid, 1001)
d = socket.socket(AF_INET, SOCK_DGRAM)
check("d.reuseport=1", 0, d.setsockopt, SOL_SOCKET, SO_REUSEPORT, 1)
check("d.bind=0.0.0.0", 0, d.bind, ("0.0.0.0", port))
check("user=0", 0, os.seteuid, 0)
check("user=1002", 0, os.seteuid, 1002)
a = socket.socket(AF_INET, SOCK_DGRAM)
check("a.reuseport=1", 0, a.setsockopt, SOL_SOCKET, SO_REUSEPORT, 1)
check("a.bind=0.0.0.0", 0, a.bind, ("0.0.0.0", port))
check("a.connect=127.0.0.1", 0, a.connect, ("127.0.0.1", port))
b = socket.socket(AF_INET, SOCK_DGRAM)
check("b.reuseport=1", 0, b.setsockopt, SOL_SOCKET, SO_REUSEPORT, 1)
check("b.bind=0.0.0.0", 0, b.bind, ("0.0.0.0", port))
check("b.connect=127.0.0.1", EADDRINUSE, b.connect, ("127.0.0.1", port))
check("b.close", 0, b.close)
check("a.close", 0, a.close)
c = socket.socket(AF_INET, SOCK_DGRAM)
check("c.bind=127.0.0.1", EADDRINUSE, c.bind, ("127.0.0.1", port))

print("NOT as expected" if failures else "as expected")
sys.exit(failures != 0)
