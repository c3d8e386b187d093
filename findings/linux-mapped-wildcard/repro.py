#!/usr/bin/env python3
"""
Linux 6.1.192: 6.1.168 and later 6.1 kernels miss a conflict with a socket on ::ffff:0.0.0.0.

a=tcp6 a.v6only=0 a.bind=::ffff:0.0.0.0 b=tcp6 b.v6only=0 b.bind=::ffff:127.0.0.1

Usage: python3 repro.py [PORT]
Exit status: 0 as expected, 1 not, 2 the set-up failed.
"""

import os
import socket
import sys
from errno import EADDRINUSE
from socket import AF_INET, AF_INET6, IPPROTO_IPV6, IPV6_V6ONLY, SOCK_STREAM

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
        probe(SOCK_STREAM, "0.0.0.0")
        break
    except OSError as error:
        if len(sys.argv) > 1 or error.errno != EADDRINUSE:
            print("set-up failed: port %d: %s" % (port, error.strerror), file=sys.stderr)
            sys.exit(2)
        port += 2

a = socket.socket(AF_INET6, SOCK_STREAM)
check("a.v6only=0", 0, a.setsockopt, IPPROTO_IPV6, IPV6_V6ONLY, 0)
check("a.bind=::ffff:0.0.0.0", 0, a.bind, ("::ffff:0.0.0.0", port))
b = socket.socket(AF_INET6, SOCK_STREAM)
check("b.v6only=0", 0, b.setsockopt, IPPROTO_IPV6, IPV6_V6ONLY, 0)
check("b.bind=::ffff:127.0.0.1", EADDRINUSE, b.bind, ("::ffff:127.0.0.1", port))

print("NOT as expected" if failures else "as expected")
sys.exit(failures != 0)
