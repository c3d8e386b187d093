"""lwIP, live: the C executor linked to Debian's lwIP, judged by ``expectations/lwip.yaml``.

Compiling takes some seconds and what waits for a timeout takes longer, so only ``tox -e kernels`` does it.
"""

from __future__ import annotations

import gzip
import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from bindmatrix.execute import c_executor
from bindmatrix.execute.local import LocalHost
from bindmatrix.judge.verdicts import VerdictKind
from bindmatrix.oracle.oracle import Oracle
from bindmatrix.rules import catalog
from bindmatrix.run.plan import Plan
from bindmatrix.run.session import Session

from tests.execute.test_c_executor import STRICT, compiled
from tests.kernels import live

SOURCE = Path(__file__).with_name("lwip.c")
HEADERS = Path("/usr/include/lwip")
EVIDENCE = catalog.folder() / "evidence" / "lwip-2.1.3"


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The executor with the stack in it."""
    if not os.environ.get("BINDMATRIX_KERNELS"):
        pytest.skip("compiles the executor with lwIP: tox -e kernels")
    if not (HEADERS / "lwip" / "tcpip.h").exists():
        pytest.skip("no lwIP: apt-get install liblwip-dev")
    words = ["cc", *STRICT, "-std=gnu99", "-O2", f"-I{c_executor.SOURCE.parent}", f"-I{HEADERS}"]
    return compiled(tmp_path_factory.mktemp("lwip") / "executor", words, SOURCE, "-llwip", "-lpthread")


@pytest.fixture(scope="module")
def lwip(program: str) -> Iterator[LocalHost]:
    """One process, and its stack."""
    with LocalHost(1, patience=60.0, command=[program]) as host:
        if host.facts["release"] != catalog.expectations("lwip").covers[1]:
            pytest.skip(f"this is lwIP {host.facts['release']}; expectations/lwip.yaml is about another release")
        yield host


def answers(host: LocalHost, scenarios: list[str]) -> dict[str, list[str]]:
    lines = [json.loads(line) for batch in host.run(scenarios) for line in batch]
    return {one["scenario"]: one["outcomes"] for one in lines}


def test_it_is_not_taken_for_the_kernel_below(lwip: LocalHost) -> None:
    assert (lwip.facts["os"], lwip.facts["kinds"]) == ("lwip", ["tcp4", "tcp6", "udp4", "udp6"])


@pytest.mark.parametrize(
    ("name", "part"), [("pairs", 1), ("states", 1), ("options-after-bind", 1), ("sequences", 1), ("deliver", 12)]
)
def test_what_was_recorded_is_what_happens(lwip: LocalHost, name: str, part: int) -> None:
    rows = map(json.loads, gzip.decompress((EVIDENCE / f"{name}.jsonl.gz").read_bytes()).splitlines()[::part])
    recorded = {row["scenario"]: row["outcomes"] for row in rows}
    assert len(recorded) > 30
    found = answers(lwip, list(recorded))
    assert {one: found[one] for one in recorded if found[one] != recorded[one]} == {}


def test_a_part_of_the_quick_matrix(lwip: LocalHost) -> None:
    """Without what may hang the stack: a second bind() of a TCP socket."""
    oracle = Oracle(catalog.expectations("lwip").at(lwip.facts["release"]))
    hangs = catalog.expectations("lwip").by_id["lwip.tcp-bound-twice"]
    planned = list(Plan("quick", 1000, deliveries=0).scenarios(lwip.facts))[::4]
    scenarios = [one for one in planned if "deliver" not in one and hangs not in told_by(oracle, one)]
    assert len(scenarios) > 1000
    summary = Session(lwip).run(scenarios)
    counts = summary.verdicts
    assert counts[VerdictKind.CONFORMS] + counts[VerdictKind.UNKNOWN] == summary.total, live.told(summary)
    # listen() without a port, with SO_REUSEADDR
    assert counts[VerdictKind.UNKNOWN] < summary.total // 4


def told_by(oracle: Oracle, scenario: str) -> list[object]:
    """Every rule that decides a step."""
    return [rule for step in oracle.predict(scenario).rules for rule in (step if isinstance(step, tuple) else (step,))]


def test_the_second_bind_of_a_tcp_socket_hangs_the_stack(program: str) -> None:
    """Why those are left out above: the next bind() of anybody never returns."""
    scenario = "a=tcp4 a.reuseaddr=1 a.bind=127.0.0.1 a.bind=127.0.0.1 b=tcp4 b.bind=127.0.0.2\n"
    with pytest.raises(subprocess.TimeoutExpired):
        subprocess.run([program], input=scenario, text=True, capture_output=True, check=False, timeout=5)
