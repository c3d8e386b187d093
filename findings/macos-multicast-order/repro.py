#!/usr/bin/env python3
"""
macOS 15.5: UDP multicast, SO_REUSEPORT and then SO_REUSEADDR share a group, the reverse does not.

a=udp4 a.reuseaddr=1 a.bind=224.0.0.251 b=udp4 b.reuseport=1 b.bind=224.0.0.251

Usage: python3 repro.py [PORT]
Exit status: 0 as expected, 1 not, 2 the set-up failed.
"""

import os
import socket
import sys
from errno import EADDRINUSE
from socket import AF_INET, AF_INET6, SO_REUSEADDR, SO_REUSEPORT, SOCK_DGRAM, SOL_SOCKET

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
check("a.bind=224.0.0.251", 0, a.bind, ("224.0.0.251", port))
b = socket.socket(AF_INET, SOCK_DGRAM)
check("b.reuseport=1", 0, b.setsockopt, SOL_SOCKET, SO_REUSEPORT, 1)
check("b.bind=224.0.0.251", 0, b.bind, ("224.0.0.251", port))

print("NOT as expected" if failures else "as expected")
sys.exit(failures != 0)
