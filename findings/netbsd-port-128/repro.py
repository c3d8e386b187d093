#!/usr/bin/env python3
"""
NetBSD 7.99.34: TCP, accepted sockets conflict only where the port is a multiple of 128.

a=tcp4 a.bind=127.0.0.1 a.listen c=tcp4 c.connect=127.0.0.1 x=a.accept a.close b=tcp4
b.bind=127.0.0.1

Usage: python3 repro.py [PORT]
Exit status: 0 as expected, 1 not, 2 the set-up failed.
"""

import os
import signal
import socket
import sys
import time
from errno import EINTR
from socket import AF_INET, AF_INET6, SOCK_STREAM

failures = 0
closed = socket.socket()  # stands for a socket that is not there
closed.close()


def interrupt(number, frame):  # a call that blocks fails with EINTR
    raise InterruptedError(EINTR, "interrupted")


def check(step, expected, call, *arguments):
    global failures
    error, result = 0, closed
    signal.alarm(2)
    try:
        result = call(*arguments)
    except OSError as failure:
        error = failure.errno
    print("%-24s %s" % (step, os.strerror(error) if error else "ok"))
    if error != expected:
        print("%24s %s expected" % ("", os.strerror(expected) if expected else "ok"))
        failures += 1
    time.sleep(0.01)  # let the packets arrive
    return result


def probe(kind, address):
    with socket.socket(AF_INET6 if ":" in address else AF_INET, kind) as sock:
        sock.bind((address, port))


port = int(sys.argv[1]) if len(sys.argv) > 1 else 20480
signal.signal(signal.SIGALRM, interrupt)
try:
    probe(SOCK_STREAM, "127.0.0.1")
except OSError as error:
    print("set-up failed: port %d: %s" % (port, error.strerror), file=sys.stderr)
    sys.exit(2)

a = socket.socket(AF_INET, SOCK_STREAM)
check("a.bind=127.0.0.1", 0, a.bind, ("127.0.0.1", port))
check("a.listen", 0, a.listen, 64)
c = socket.socket(AF_INET, SOCK_STREAM)
check("c.connect=127.0.0.1", 0, c.connect, ("127.0.0.1", port))
x = check("x=a.accept", 0, lambda: a.accept()[0])
check("a.close", 0, a.close)
b = socket.socket(AF_INET, SOCK_STREAM)
check("b.bind=127.0.0.1", 0, b.bind, ("127.0.0.1", port))

print("NOT as expected" if failures else "as expected")
sys.exit(failures != 0)
