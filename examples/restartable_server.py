#!/usr/bin/env python3
"""A server on localhost:9999 that can be started again at once.

    python examples/restartable_server.py            # in one terminal
    python -c "import socket; print(socket.create_connection(('localhost', 9999)).recv(99))"
    # end the server with Ctrl-C and start it again: it works, because of SO_REUSEADDR
    python examples/restartable_server.py --without  # fails for a minute: "Address already in use"

The server closes each connection first, so the connection stays in TIME_WAIT on its side and keeps the port.  On Linux
the old server and the new one must both have set SO_REUSEADDR; `bindmatrix claims restart-works-with-reuseaddr
restart-needs-both-programs` says how it is elsewhere.

The port is the argument, else the environment variable PORT, else 9999.
"""

from __future__ import annotations

import argparse
import os
import socket
import sys


def serve(port: int, reuse_address: bool) -> int:
    """Answer every connection with a line and close it; 1 when the port is taken."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as listener:
        # Windows restarts without it, and there SO_REUSEADDR would let anybody share the port
        if reuse_address and sys.platform != "win32":
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind(("127.0.0.1", port))
            listener.listen()
        except OSError as error:
            print(f"port {port}: {error.strerror}", file=sys.stderr)
            return 1
        print(f"process {os.getpid()} listens on 127.0.0.1:{port}", flush=True)
        while True:
            connection, _ = listener.accept()
            with connection:
                connection.sendall(f"hello from process {os.getpid()}\n".encode())


def main() -> int:
    """Serve until Ctrl-C."""
    parser = argparse.ArgumentParser(description="A server that can be started again at once.")
    parser.add_argument("port", type=int, nargs="?", default=int(os.environ.get("PORT", "9999")))
    parser.add_argument("--without", action="store_true", help="do not set SO_REUSEADDR")
    arguments = parser.parse_args()
    try:
        return serve(arguments.port, not arguments.without)
    except KeyboardInterrupt:
        return 0


if __name__ == "__main__":
    sys.exit(main())
