"""How long the programs are that ``bindmatrix reproduce`` writes: lines of C and of Python, over drawn scenarios.

    python benchmarks/program_lines.py [--seed N]

Prints, for each source of scenarios, the median, the 95th percentile, the longest, and the share of 30 to 80 lines.
"""

from __future__ import annotations

import argparse
import random
from pathlib import Path

from bindmatrix.generate.deliveries import random_deliveries
from bindmatrix.generate.matrix import matrix
from bindmatrix.generate.sequences import random_sequences
from bindmatrix.notation import parse
from bindmatrix.reproduce import c_program, python_program
from bindmatrix.reproduce.cases import Case, build
from bindmatrix.reproduce.findings import findings

FACTS = {"os": "linux", "release": "6.18.44"}
#: what a maintainer likes to read
SHORTEST, LONGEST = 30, 80


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--seed", type=int, default=5)
    seed = options.parse_args().seed
    rows = [text for group in matrix() for text in group.scenarios]
    path = Path(__file__).parents[1] / "findings" / "findings.yaml"
    drawn = random_sequences(seed, 4000, users=True)
    sources = {
        "matrix": cases(random.Random(seed).sample(rows, 500)),
        "sequences": cases(drawn[:500]),
        "ordinary": cases([text for text in drawn if ordinary(text)][:500]),
        "deliveries": cases(random_deliveries(seed, 200)),
        "findings": [one.case() for one in findings(path)],
    }
    print(f"{'':12}{'programs':>9}{'steps':>7}  {'':8}{'median':>7}{'95 %':>6}{'most':>6}{'30 to 80':>10}")
    for name, some in sources.items():
        steps = sorted(len(case.scenario.steps) for case in some)[len(some) // 2]
        for language, program in (("C", c_program.program), ("Python", python_program.program)):
            lines = sorted(program(case).count("\n") for case in some)
            fits = sum(SHORTEST <= count <= LONGEST for count in lines) / len(lines)
            print(
                f"{name:12}{len(some):9}{steps:7}  {language:8}{lines[len(lines) // 2]:7}"
                f"{lines[len(lines) * 95 // 100]:6}{lines[-1]:6}{fits:10.0%}"
            )


def ordinary(text: str) -> bool:
    """Two or three sockets that are bound, at most fourteen steps: what most reports are about."""
    steps = parse(text).steps
    kinds = [step.kind for step in steps]
    return kinds.count("socket") <= 3 and len(kinds) <= 14 and not {"connect", "user", "join"} & set(kinds)


def cases(texts: list[str]) -> list[Case]:
    return [build(parse(text), FACTS) for text in texts]


if __name__ == "__main__":
    main()
