"""What it costs to run scenarios over execnet: the whole matrix in another Python of this machine, over the same here.

    python benchmarks/remote_rate.py [--python PATH] [--examples N] [--rounds N]

Both run the scenarios of ``bindmatrix run`` with one executor: in this process, and in one that ``RemoteHost`` sends
it to.  What comes back is checked and counted on our side, which the in-process run has not to do.  The processor time
of both sides together says the same on a machine that is not idle; elapsed time can be less than that of the
in-process run, because two processes work.
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
import time

from bindmatrix.execute.executor import Executor
from bindmatrix.execute.hosts import HostSpec, open_host
from bindmatrix.run.plan import Plan


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--python", default=sys.executable)
    options.add_argument("--examples", type=int, default=20_000)
    options.add_argument("--rounds", type=int, default=3)
    arguments = options.parse_args()
    ratios = []
    processor = near = 0.0  # seconds of the in-process runs, and of our side of the others
    spec = HostSpec("there", python=arguments.python, workers=1)
    with open_host(spec) as there, Executor("auto") as here:
        scenarios = Plan(examples=arguments.examples).scenarios(there.facts)
        for _ in range(arguments.rounds):
            start, before = time.perf_counter(), time.process_time()
            for text in scenarios:
                here.line(text)
            middle, after = time.perf_counter(), time.process_time()
            processor += after - before
            answered = sum(map(len, there.run(scenarios)))
            end = time.perf_counter()
            near += time.process_time() - after
            assert answered == len(scenarios)
            ratios.append((end - middle) / (middle - start))
            print(
                f"in-process {len(scenarios) / (middle - start):8.0f}/s   "
                f"over execnet {len(scenarios) / (end - middle):8.0f}/s   ratio {ratios[-1]:.2f}"
            )
    if os.name == "posix":
        far = os.times().children_user + os.times().children_system
        print(f"processor time: in-process {processor:.1f} s, over execnet {near:.1f} + {far:.1f} s", end=", ")
        print(f"ratio {(near + far) / processor:.2f}")
    print(f"median ratio {statistics.median(ratios):.2f} over {len(scenarios)} scenarios, {arguments.rounds} rounds")


if __name__ == "__main__":
    main()
