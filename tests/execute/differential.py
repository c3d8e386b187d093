"""The executors in C and in Python side by side: the same scenarios, and where their answers differ.

    python -m tests.execute.differential [PROGRAM] [--examples N] [--seed N] [--quick]

runs the matrix and N random programs and prints the differences; exit status 1 when there are some.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from bindmatrix.execute import c_executor, executor
from bindmatrix.execute.executor import DELIVERIES, Executor
from bindmatrix.run.plan import Plan

PYTHON = (sys.executable, "-I", "-S", str(Path(executor.__file__)))
#: runs of a scenario that answered differently: who receives is chance, and a busy machine may be late
REPEATS = 6
#: scenarios that are run before it each time
CONTEXT = 40

Answer = tuple[Any, ...]


def answers(command: Sequence[str], scenarios: Iterable[str]) -> list[dict[str, Any]]:
    """What a program says to each scenario: its lines, without the first."""
    with tempfile.TemporaryFile() as given:
        given.writelines(json.dumps({"scenario": text}).encode() + b"\n" for text in scenarios)
        given.seek(0)
        done = subprocess.run(command, stdin=given, capture_output=True, check=False)
    assert (done.returncode, done.stderr) == (0, b""), done.stderr.decode(errors="replace")[-2000:]
    return [json.loads(line) for line in done.stdout.splitlines()[1:]]


def plain(answer: dict[str, Any]) -> Answer:
    """An answer without what is chance: of who received, whether it was some or all."""
    if answer["outcomes"] is None:
        return ("no_verdict" if "no_verdict" in answer else "unsupported", *_reason(answer))
    return tuple(_class(outcome) for outcome in answer["outcomes"])


def _reason(answer: dict[str, Any]) -> Iterator[str]:
    """What is wrong with the text must be said in the same words; what the host lacks may be said in others."""
    reason = answer.get("no_verdict", "")
    if reason.startswith("not a scenario"):
        yield reason


def _class(outcome: str) -> str:
    if ":" not in outcome:
        return outcome
    shares = dict(share.rsplit(":", 1) for share in outcome.split(","))
    everything = "every" if sum(map(int, shares.values())) > DELIVERIES else "spread"
    return f"{everything} {','.join(sorted(shares))}"


def differences(program: Sequence[str], scenarios: list[str], python: Sequence[str] = PYTHON) -> dict[str, list[Any]]:
    """Scenario -> the answers of both, where the two have none in common even when asked ``REPEATS`` times more.

    It is asked again behind the scenarios that were before it: what those leave behind may be the difference.
    """
    with ThreadPoolExecutor(2) as pool:
        theirs, ours = pool.map(answers, (program, python), (scenarios, scenarios))
        assert [answer["scenario"] for answer in theirs] == [answer["scenario"] for answer in ours]
        pairs = enumerate(zip(theirs, ours, strict=True))
        found = {}
        for index in [index for index, (one, other) in pairs if plain(one) != plain(other)]:
            context = scenarios[max(0, index - CONTEXT) : index + 1]
            again = pool.map(answers, (program, python), (context * REPEATS, context * REPEATS))
            sets = [{plain(answer) for answer in told[len(context) - 1 :: len(context)]} for told in again]
            if not sets[0] & sets[1]:
                found[scenarios[index]] = [sorted(answers, key=str) for answers in sets]
    return found


def scenarios(profile: str, examples: int, seed: int, deliveries: int) -> list[str]:
    """The matrix, random programs and deliveries for this host."""
    with Executor("none") as one:
        facts = {**one.facts, "privileged": True} if executor.LINUX else one.facts
    return Plan(profile, examples, seed=seed, deliveries=deliveries).scenarios(facts)


def main() -> int:
    """The command."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("program", nargs="*", help="the executor in C (default: compiled here)")
    options.add_argument("--examples", type=int, default=100_000)
    options.add_argument("--deliveries", type=int, default=600)
    options.add_argument("--seed", type=int, default=0)
    options.add_argument("--quick", action="store_true")
    arguments = options.parse_args()
    program = arguments.program or [str(c_executor.program())]
    asked = scenarios("quick" if arguments.quick else "full", arguments.examples, arguments.seed, arguments.deliveries)
    print(f"{len(asked)} scenarios", flush=True)
    found = differences(program, asked)
    for text, both in found.items():
        print(text, "C:", both[0], "Python:", both[1], sep="\n  ")
    print(f"{len(found)} of {len(asked)} scenarios differ")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
