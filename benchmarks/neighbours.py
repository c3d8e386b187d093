"""Wrong verdicts of runs beside neighbours that take and leave ports at random.

    python benchmarks/neighbours.py [--scenarios N] [--sockets N] [--program FILE]

Linux, as root.  In a network namespace of its own four processes hold SOCKETS sockets (20,000) with random addresses,
options and ports of those that leased workers use, and put another socket in the place of some hundred each second.
With ``--program`` these are processes of another neighbour: ``FILE SECONDS LOW HIGH SOCKETS MICROSECONDS SEED FLAGS``
holds each socket for up to so many microseconds; with the flags RmS it sends to random ports too.
Beside them full runs, each with another seed, share that namespace with leased ports until SCENARIOS (1,000,000) have
been run.  Printed are the verdicts of each run, and what is wrong: what diverges, and what looks like a recorded
divergence or one that is gone.  Where a neighbour came between, a scenario may get no verdict or be flaky, whose
repeats disagree.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import resource
import socket
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

PORTS = range(10_000, 32_000)
PROCESSES = 4
#: how long the sockets of a neighbour with a program of its own live, at most
HELD_MICROSECONDS = 60_000_000
WRONG = ("diverges", "resolved", "known")
#: the command, but its workers stay in the namespace that they are started in
STAYS = """
import sys
from bindmatrix.cli.main import main
from bindmatrix.execute.local import LocalHost
made = LocalHost.__init__
LocalHost.__init__ = lambda self, *words, **named: made(self, *words, **{**named, "namespace": "none"})
sys.exit(main(sys.argv[1:]))
"""


def taken(draw: random.Random) -> socket.socket | None:
    """A socket on a random port, None where that is taken."""
    family = draw.choice([socket.AF_INET, socket.AF_INET6])
    one = socket.socket(family, draw.choice([socket.SOCK_STREAM, socket.SOCK_DGRAM]))
    try:
        for option in (socket.SO_REUSEADDR, socket.SO_REUSEPORT):
            one.setsockopt(socket.SOL_SOCKET, option, draw.randrange(2))
        if family == socket.AF_INET6:
            one.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, draw.randrange(2))
        addresses = ["127.0.0.1", "127.0.0.2", ""] if family == socket.AF_INET else ["::1", "::"]
        one.bind((draw.choice(addresses), draw.choice(PORTS)))
        if one.type == socket.SOCK_STREAM and draw.random() < 0.5:
            one.listen()
    except OSError:
        one.close()
        return None
    return one


def neighbour(count: int, seed: int) -> None:
    """Hold ``count`` sockets until the process is ended."""
    resource.setrlimit(resource.RLIMIT_NOFILE, (count + 100, count + 100))
    draw = random.Random(seed)
    held: list[socket.socket] = []
    while len(held) < count:
        other = taken(draw)
        held += [other] if other is not None else []
    while True:
        for _ in range(20):
            other = taken(draw)
            if other is not None:
                place = draw.randrange(len(held))
                held[place].close()
                held[place] = other
        time.sleep(0.1)


def start(count: int, seed: int, program: str) -> subprocess.Popen[str]:
    """A neighbour with ``count`` sockets."""
    if program:
        limits = [str(PORTS.start), str(PORTS.stop), str(count), str(HELD_MICROSECONDS)]
        return subprocess.Popen([program, "1000000", *limits, str(seed), "RmS"], stdout=subprocess.DEVNULL, text=True)
    words = [sys.executable, __file__, "--neighbour", str(count), str(seed)]
    return subprocess.Popen(words, stdout=subprocess.DEVNULL, text=True)


def sockets_of(process: subprocess.Popen[str]) -> int:
    """How many descriptors it has, its standard ones aside."""
    return len(list(Path(f"/proc/{process.pid}/fd").iterdir())) - 3


def inside(scenarios: int, sockets: int, program: str) -> int:
    """In the namespace: the neighbours, and runs beside them."""
    others = [start(sockets // PROCESSES, seed, program) for seed in range(1, PROCESSES + 1)]
    end = time.monotonic() + 60
    while (held := sum(map(sockets_of, others))) < sockets * 0.95 and time.monotonic() < end:
        time.sleep(0.2)
    print(f"{held:,} sockets of neighbours", flush=True)
    total: Counter[str] = Counter()
    try:
        for seed in range(1, 1000):
            with tempfile.TemporaryDirectory() as folder:
                command = [sys.executable, "-c", STAYS, "run", "--seed", str(seed), "--results", f"{folder}/new"]
                subprocess.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=False)
                summary = json.loads(Path(folder, "new", "verdicts.json").read_bytes())
            total.update(summary["verdicts"])
            print(f"seed {seed}: {summary['verdicts']}; {summary['seconds']:.0f} s", flush=True)
            for group in summary["groups"]:
                if group["kind"] in WRONG:
                    print(f"  {group['kind']} {group['count']} x {group['scenario']}: {group['actual']}", flush=True)
            if total.total() >= scenarios:
                break
    finally:
        for other in others:
            other.kill()
    wrong = sum(total[kind] for kind in WRONG)
    print(f"{total.total():,} scenarios, {wrong} wrong verdicts; {dict(total)}")
    return 1 if wrong else 0


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--scenarios", type=int, default=1_000_000)
    options.add_argument("--sockets", type=int, default=20_000)
    options.add_argument("--program", default="", metavar="FILE", help="another neighbour")
    options.add_argument("--inside", action="store_true", help=argparse.SUPPRESS)
    options.add_argument("--neighbour", type=int, nargs=2, help=argparse.SUPPRESS)
    chosen = options.parse_args()
    if chosen.neighbour:
        neighbour(*chosen.neighbour)
    elif chosen.inside:
        sys.exit(inside(chosen.scenarios, chosen.sockets, chosen.program))
    words = [sys.executable, __file__, "--inside", *sys.argv[1:]]
    os.execvp("unshare", ["unshare", "-n", "sh", "-c", 'ip link set lo up && exec "$@"', "sh", *words])


if __name__ == "__main__":
    main()
