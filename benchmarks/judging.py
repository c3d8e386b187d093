"""How fast the judge is: verdicts a second on one core, as ratios to a plain loop over the same objects.

    python benchmarks/judging.py [--count N]

Three inputs: the matrix, random sequences, and the matrix out of JSON Lines.  Each is judged twice: *cold* by an
oracle that has seen nothing, *warm* once it has (the second host of a kind, a run that is judged again).  The bare loop
only compares two tuples of outcomes for each observation, or only reads the lines: nothing that looks at every outcome
can be faster.  Time is this process's processor time.  All figures of one call are taken in one process, in turn, so
that their ratios hold where the machine's speed drifts.
"""

from __future__ import annotations

import argparse
import gc
import io
import time
from collections.abc import Callable, Sequence

from bindmatrix.generate.matrix import matrix
from bindmatrix.generate.sequences import random_sequences
from bindmatrix.judge.verdicts import Judge
from bindmatrix.observe.recordings import Observation, Recording, line
from bindmatrix.oracle.oracle import Oracle
from bindmatrix.rules import catalog

RELEASE = "6.18.44"


def observed(texts: Sequence[str]) -> list[Observation]:
    """Observations of a host that does what is expected; scenarios with a step that is unknown are left out."""
    oracle = Oracle(catalog.expectations("linux").at(RELEASE))
    found = []
    for text in texts:
        outcomes = oracle.predict(text).outcomes
        if all(isinstance(outcome, str) for outcome in outcomes):
            found.append(Observation(text, outcomes))  # type: ignore[arg-type]
    return found


def rate(work: Callable[[], object], count: int) -> float:
    started = time.process_time()
    work()
    return count / (time.process_time() - started)


def plain(pairs: Sequence[tuple[Observation, tuple[str | None, ...]]]) -> int:
    return sum([observation.outcomes == expected for observation, expected in pairs])


def show(name: str, observations: list[Observation]) -> None:
    count = len(observations)
    judge = Judge(catalog.expectations("linux").at(RELEASE))
    cold = rate(lambda: judge.judge(observations), count)
    pairs = [(one, (*(one.outcomes or ()),)) for one in observations]
    rounds = [(rate(lambda: judge.judge(observations), count), rate(lambda: plain(pairs), count)) for _ in range(5)]
    warm, bare = sorted(rounds)[len(rounds) // 2]
    print(f"{name:<22} {count:>8,} {cold:>12,.0f} {warm:>12,.0f} {bare:>14,.0f} {warm / bare:>8.2f}")


def show_lines(name: str, observations: list[Observation]) -> None:
    count = len(observations)
    data = b"".join(map(line, observations))
    judge = Judge(catalog.expectations("linux").at(RELEASE))

    def read_and_judge() -> None:
        for batch in Recording(io.BytesIO(data), "benchmark").batches():
            judge.judge(batch)

    cold = rate(read_and_judge, count)
    rounds = []
    for _ in range(5):
        bare = rate(lambda: sum(len(batch) for batch in Recording(io.BytesIO(data), "benchmark").batches()), count)
        rounds.append((rate(read_and_judge, count), bare))
    warm, bare = sorted(rounds)[len(rounds) // 2]
    print(f"{name:<22} {count:>8,} {cold:>12,.0f} {warm:>12,.0f} {bare:>14,.0f} {warm / bare:>8.2f}")


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument(
        "--count", type=int, default=100_000, help="scenarios of the matrix and sequences (default 100,000)"
    )
    count = parser.parse_args().count
    gc.set_threshold(200_000, 100, 100)  # as the command does
    texts = [text for group in matrix("full", users=True) for text in group.scenarios][:count]
    pairs = observed(texts)
    print(f"{'input':<22} {'count':>8} {'cold/s':>12} {'warm/s':>12} {'bare loop/s':>14} {'ratio':>8}")
    show("matrix, objects", pairs)
    show("sequences, objects", observed(random_sequences(1, count // 5, users=True)))
    show_lines("matrix, JSON Lines", pairs)


if __name__ == "__main__":
    main()
