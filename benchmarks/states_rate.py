"""How many scenarios with connections, and how many deliveries, this kernel runs a second, against plain pairs.

    python benchmarks/states_rate.py [--count N] [--workers N]

A state scenario makes a TCP connection first (a child, TIME_WAIT...); a delivery sends or connects 32 times.  Both run
through :class:`LocalHost` as ``bindmatrix run`` has them run, in turn with pairs that do neither, so that the ratios
hold where the machine's speed drifts.  Wanted on two cores: 2,000 states and 300 deliveries a second.
"""

from __future__ import annotations

import argparse
import os
import statistics
import time
from collections.abc import Sequence

from bindmatrix.execute.local import LocalHost
from bindmatrix.generate.deliveries import random_deliveries
from bindmatrix.generate.matrix import matrix

ROUNDS = 3


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--count", type=int, default=3000, help="scenarios of each kind (default 3000)")
    parser.add_argument("--workers", type=int, help="processes (default: one a core)")
    arguments = parser.parse_args()
    texts = [text for group in matrix("pairs") for text in group.scenarios]
    connecting = [text for text in texts if ".accept" in text]
    plain = [text for text in texts if ".connect" not in text]
    deliveries = random_deliveries(1, max(1, arguments.count // 5))
    kinds = {
        "pairs": spread(plain, arguments.count),
        "states": spread(connecting, arguments.count),
        "deliveries": deliveries,
    }
    rates: dict[str, list[tuple[float, float]]] = {name: [] for name in kinds}
    for _ in range(ROUNDS):
        for name, scenarios in kinds.items():
            rates[name].append(rate(arguments.workers, scenarios))
    print(f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}, median of {ROUNDS} rounds")
    pairs = statistics.median([fast for fast, _ in rates["pairs"]])
    for name, scenarios in kinds.items():
        middle, of_processor = map(statistics.median, zip(*rates[name], strict=True))
        print(
            f"{name:<12} {len(scenarios):>6,} {middle:>8,.0f}/s, {of_processor:>8,.0f} a second of processor time, "
            f"{middle / pairs:.2f} of the rate of pairs"
        )
    sends = sum(text.count("deliver") for text in deliveries) / len(deliveries)
    print(f"a scenario of deliveries has {sends:.1f} of them, each of 32 sends or connections")


def spread(texts: Sequence[str], count: int) -> list[str]:
    """``count`` of ``texts``, from all over."""
    return list(texts[:: max(1, len(texts) // count)][:count])


def rate(workers: int | None, scenarios: Sequence[str]) -> tuple[float, float]:
    """Scenarios a second, and a second of processor time of all processes (their start counts there alone)."""
    before = os.times()
    with LocalHost(workers) as host:
        started = time.perf_counter()
        done = sum(len(lines) for lines in host.run(scenarios))
        seconds = time.perf_counter() - started
    if done != len(scenarios):
        raise SystemExit(f"{len(scenarios)} scenarios gave {done} lines")
    used = sum(after - was for after, was in zip(os.times()[:4], before[:4], strict=True))
    return done / seconds, done / used


if __name__ == "__main__":
    main()
