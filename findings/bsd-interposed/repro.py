#!/usr/bin/env python3
"""
macOS 15.5: A socket bound in between hides a conflict with the socket of another user.

user=1001 a=tcp4 a.bind=127.0.0.1 user=0 user=1002 b=tcp4 b.bind=127.0.0.2 c=tcp4 c.reuseaddr=1
c.bind=0.0.0.0

Usage: python3 repro.py [PORT]
Needs root, 127.0.0.2 (ifconfig lo0 alias 127.0.0.2).
Exit status: 0 as expected, 1 not, 2 the set-up failed.
"""

import os
import socket
import sys
from errno import EADDRINUSE
from socket import AF_INET, AF_INET6, SO_REUSEADDR, SOCK_STREAM, SOL_SOCKET

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
        probe(SOCK_STREAM, "127.0.0.2")
        probe(SOCK_STREAM, "0.0.0.0")
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
a = socket.socket(AF_INET, SOCK_STREAM)
check("a.bind=127.0.0.1", 0, a.bind, ("127.0.0.1", port))
check("user=0", 0, os.seteuid, 0)
check("user=1002", 0, os.seteuid, 1002)
b = socket.socket(AF_INET, SOCK_STREAM)
check("b.bind=127.0.0.2", 0, b.bind, ("127.0.0.2", port))
c = socket.socket(AF_INET, SOCK_STREAM)
check("c.reuseaddr=1", 0, c.setsockopt, SOL_SOCKET, SO_REUSEADDR, 1)
check("c.bind=0.0.0.0", EADDRINUSE, c.bind, ("0.0.0.0", port))

print("NOT as expected" if failures else "as expected")
sys.exit(failures != 0)
