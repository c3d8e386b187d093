#!/usr/bin/env python3
"""
gVisor 20260817: TCP, connect() after a failed bind() to a dual :: releases the port of the socket on 0.0.0.0.

user=1001 h=tcp4 h.bind=0.0.0.0 h.listen user=0 user=1002 a=tcp6 a.v6only=0 a.bind=:: a.bind=::1
a.connect=::1 b=tcp4 b.bind=127.0.0.1

Usage: python3 repro.py [PORT]
Needs root.
Exit status: 0 as expected, 1 not, 2 the set-up failed.
"""

import os
import signal
import socket
import sys
import time
from errno import EADDRINUSE, EINTR
from socket import AF_INET, AF_INET6, IPPROTO_IPV6, IPV6_V6ONLY, SOCK_STREAM

failures = 0


def interrupt(number, frame):  # a call that blocks fails with EINTR
    raise InterruptedError(EINTR, "interrupted")


def check(step, expected, call, *arguments):
    global failures
    error = 0
    signal.alarm(2)
    try:
        call(*arguments)
    except OSError as failure:
        error = failure.errno
    print("%-24s %s" % (step, os.strerror(error) if error else "ok"))
    if error != expected:
        print("%24s %s expected" % ("", os.strerror(expected) if expected else "ok"))
        failures += 1
    time.sleep(0.01)  # let the packets arrive


def probe(kind, address):
    with socket.socket(AF_INET6 if ":" in address else AF_INET, kind) as sock:
        sock.bind((address, port))


port = int(sys.argv[1]) if len(sys.argv) > 1 else 10001 + os.getpid() % 10000 * 2
signal.signal(signal.SIGALRM, interrupt)
while True:
    try:
        probe(SOCK_STREAM, "0.0.0.0")
        probe(SOCK_STREAM, "::")
        probe(SOCK_STREAM, "::1")
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
h = socket.socket(AF_INET, SOCK_STREAM)
check("h.bind=0.0.0.0", 0, h.bind, ("0.0.0.0", port))
check("h.listen", 0, h.listen, 64)
check("user=0", 0, os.seteuid, 0)
check("user=1002", 0, os.seteuid, 1002)
a = socket.socket(AF_INET6, SOCK_STREAM)
check("a.v6only=0", 0, a.setsockopt, IPPROTO_IPV6, IPV6_V6ONLY, 0)
check("a.bind=::", EADDRINUSE, a.bind, ("::", port))
check("a.bind=::1", 0, a.bind, ("::1", port))
check("a.connect=::1", 0, a.connect, ("::1", port))
b = socket.socket(AF_INET, SOCK_STREAM)
check("b.bind=127.0.0.1", EADDRINUSE, b.bind, ("127.0.0.1", port))

print("NOT as expected" if failures else "as expected")
sys.exit(failures != 0)
