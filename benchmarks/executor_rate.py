"""The executor's rate over that of a hand-written loop of plain ``socket`` calls, inside one run.

    python benchmarks/executor_rate.py [FILE.jsonl[.gz]] [--namespace own|none|auto]

The scenarios are those of FILE (an observation file of pairs), or a small matrix of the same form.  The hand-written
loop gets its calls ready-made (no text, no outcome lines) and runs on ports of the same namespace, so the ratio is the
price of everything that the executor adds: parsing, bookkeeping, the line of output.
"""

from __future__ import annotations

import argparse
import gzip
import itertools
import json
import socket
import statistics
import time
from pathlib import Path
from typing import Any

from bindmatrix.execute import executor

ROUNDS = 7


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("file", nargs="?", type=Path)
    options.add_argument("--namespace", default="auto", choices=["own", "none", "auto"])
    arguments = options.parse_args()
    scenarios = from_file(arguments.file) if arguments.file else small_matrix()
    programs = [program(text) for text in scenarios]
    ratios = []
    with executor.Executor(arguments.namespace) as ours:
        for text, calls in zip(scenarios, programs, strict=True):  # both must say the same
            assert json.loads(ours.line(text))["outcomes"] == by_hand(calls, 31_999), text
        ports = itertools.cycle(range(31_000, 31_900))
        for _ in range(ROUNDS):
            start = time.perf_counter()
            for calls in programs:
                by_hand(calls, next(ports))
            middle = time.perf_counter()
            for text in scenarios:
                ours.line(text)
            end = time.perf_counter()
            ratios.append((middle - start) / (end - middle))
            print(
                f"plain calls {len(scenarios) / (middle - start):8.0f}/s   "
                f"executor {len(scenarios) / (end - middle):8.0f}/s   ratio {ratios[-1]:.2f}"
            )
    print(f"median ratio {statistics.median(ratios):.2f} over {len(scenarios)} scenarios, {ROUNDS} rounds")


def from_file(path: Path) -> list[str]:
    opener: Any = gzip.open if path.suffix == ".gz" else open
    with opener(path, "rt", encoding="utf-8") as file:
        rows = [json.loads(line) for line in file]
    return [row["scenario"] for row in rows if "scenario" in row]


def small_matrix() -> list[str]:
    sockets = [("tcp4", "0.0.0.0"), ("tcp4", "127.0.0.1"), ("udp4", "0.0.0.0"), ("tcp6", "::1"), ("udp6", "::")]
    options = ["", "{0}.reuseaddr=1 ", "{0}.reuseport=1 ", "{0}.reuseaddr=1 {0}.reuseport=1 "]
    texts = []
    for (kind, first), (other, second) in itertools.product(sockets, repeat=2):
        for a, b, listen in itertools.product(options, options, ["", " a.listen"]):
            text = f"a={kind} {a.format('a')}a.bind={first}{listen} b={other} {b.format('b')}b.bind={second} b.listen"
            texts.append(text)
    return texts


def program(text: str) -> list[tuple[Any, ...]]:
    """The calls of a scenario of sockets, options, binds and listens, ready to be made."""
    calls: list[tuple[Any, ...]] = []
    for code, name, argument in executor.parse(text)[0]:
        index = ord(name) - ord("a")
        if code == executor.SOCKET:
            calls.append((0, index, argument))
        elif code == executor.SET:
            calls.append((1, index, argument))
        elif code == executor.BIND:
            calls.append((2, index, argument))
        elif code == executor.LISTEN:
            calls.append((3, index, None))
        else:
            raise SystemExit(f"{text!r} is not a scenario of two sockets that bind and listen")
    return calls


def by_hand(calls: list[tuple[Any, ...]], port: int) -> list[str]:
    """What one would write without the executor."""
    sockets: list[socket.socket] = []
    outcomes = []
    for call, index, argument in calls:
        try:
            if call == 0:
                sockets.append(socket.socket(*argument))
            elif call == 1:
                sockets[index].setsockopt(*argument)
            elif call == 2:
                sockets[index].bind((argument, port))
            else:
                sockets[index].listen()
            outcomes.append("ok")
        except OSError as error:
            outcomes.append(executor.errno.errorcode[error.errno].replace("ENOTSUP", "EOPNOTSUPP"))
    for sock in sockets:
        sock.close()
    return outcomes


if __name__ == "__main__":
    main()
