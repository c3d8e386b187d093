#!/usr/bin/env python3
"""Two workers on one port: separate processes, each with a socket of its own, all with SO_REUSEPORT set before bind().

    python examples/reuseport_workers.py
    python -c "import socket; print(socket.create_connection(('localhost', 9999)).recv(99))"   # several times

On Linux the connections are spread over the workers.  On FreeBSD, macOS and NetBSD both workers start too, but one of
them gets everything; FreeBSD has SO_REUSEPORT_LB for this.  Windows has neither.  `bindmatrix claims
reuseport-lets-many-listen reuseport-balances-connections` says more.

The port is the argument, else the environment variable PORT, else 9999.  The workers end with the program.
"""

from __future__ import annotations

import argparse
import os
import select
import socket
import subprocess
import sys

WORKERS = 2
#: FreeBSD balances by an option of its own
OPTION = 0x10000 if sys.platform.startswith("freebsd") else getattr(socket, "SO_REUSEPORT", None)


def work(port: int, number: int) -> int:
    """Answer connections with the worker's number until standard input ends; 1 when there is no socket for it."""
    if OPTION is None:
        print("this system has no SO_REUSEPORT", file=sys.stderr)
        return 1
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as listener:
        try:
            listener.setsockopt(socket.SOL_SOCKET, OPTION, 1)
            listener.bind(("127.0.0.1", port))
            listener.listen()
        except OSError as error:
            print(f"worker {number}: port {port}: {error.strerror}", file=sys.stderr)
            return 1
        sys.stdout.write(f"worker {number} is process {os.getpid()}\n")  # one write: the workers share the terminal
        sys.stdout.flush()
        while True:
            ready, _, _ = select.select([listener, sys.stdin], [], [])
            if sys.stdin in ready:
                return 0  # the program that started this worker has ended
            connection, _ = listener.accept()
            with connection:
                connection.sendall(f"worker {number}\n".encode())


def start(port: int) -> int:
    """Run the workers; the status of the first that fails, else 0."""
    command = [sys.executable, __file__, str(port), "--worker"]
    workers = [
        subprocess.Popen([*command, str(number)], stdin=subprocess.PIPE)  # noqa: S603 - this very program
        for number in range(WORKERS)
    ]
    try:
        statuses = [worker.wait() for worker in workers]
    except KeyboardInterrupt:
        return 0
    finally:
        for worker in workers:
            worker.kill()
            worker.wait()
    return max(statuses, key=abs)


def main() -> int:
    """Start the workers, or be one."""
    parser = argparse.ArgumentParser(description="Two workers on one port.")
    parser.add_argument("port", type=int, nargs="?", default=int(os.environ.get("PORT", "9999")))
    parser.add_argument("--worker", type=int, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    try:
        return start(arguments.port) if arguments.worker is None else work(arguments.port, arguments.worker)
    except KeyboardInterrupt:
        return 0


if __name__ == "__main__":
    sys.exit(main())
