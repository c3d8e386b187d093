"""What Linux's own tests assert (tools/testing/selftests/net), as scenarios: by the rules, and on the kernel here.

``linux-selftests.jsonl`` has a row for each case: its source (file, fixture variant and test), the scenario, and the
outcome that is asserted of each step.  148 cases, transcribed from the kernel's source at the commit that is named:

* ``bind_wildcard.c`` (9be364b8597a): 132, which are 44 pairs of addresses with no option, with SO_REUSEADDR and with
  SO_REUSEPORT; eight bind()s each
* ``bind_timewait.c`` (2c042e8e54ef): 2, ``reuseaddr_conflict.c`` (2cc2c3cb54de): 1, ``sk_connect_zero_addr.c``
  (55b024554aae): 1
* ``reuseport_addr_any.c`` (11fb60d1089f): 6, ``reuseport_dualstack.c`` (2cc2c3cb54de): 6; they send one datagram or
  connect once, here 32 clients do

Not expressible: DCCP (3 cases of ``reuseport_addr_any.c``), a range of one automatic port
(``reuseaddr_ports_exhausted.c``, ``tcp_port_share.c``), BPF programs (``reuseport_bpf*.c``), MSG_FASTOPEN
(``sk_bind_sendto_listen.c``).
"""

from __future__ import annotations

import json
import os
import re
import sys
from collections import Counter
from pathlib import Path

import pytest
from bindmatrix.execute.initramfs import InitramfsHost
from bindmatrix.execute.local import LocalHost
from bindmatrix.notation import parse
from bindmatrix.oracle.oracle import Oracle
from bindmatrix.outcomes import accepts
from bindmatrix.rules import catalog, divergences

ROWS = [json.loads(line) for line in Path(__file__).with_name("linux-selftests.jsonl").read_text("utf-8").splitlines()]
LINUX = catalog.expectations("linux")


def differing(oracle: Oracle) -> list[str]:
    """The cases in which ``oracle`` says anything else at any step."""
    return [row["source"] for row in ROWS if [*oracle.predict(row["scenario"]).outcomes] != row["outcomes"]]


def test_the_rows_are_those_that_are_listed() -> None:
    assert Counter(row["source"].partition(".c ")[0] for row in ROWS) == {
        "bind_wildcard": 132,
        "bind_timewait": 2,
        "reuseaddr_conflict": 1,
        "sk_connect_zero_addr": 1,
        "reuseport_addr_any": 6,
        "reuseport_dualstack": 6,
    }


@pytest.mark.parametrize("release", ["5.10.218", "6.1.85", "6.9", "6.18.44", LINUX.covers[1]])
def test_the_rules_agree_with_every_case(release: str) -> None:
    assert differing(Oracle(LINUX.at(release))) == []


#: what the divergence of 6.1.168 leaves out: 0.0.0.0 joins a bucket that ::ffff:0.0.0.0 made, and is overlooked with it
NOT_MODELLED = {
    "bind_wildcard.c bind_wildcard.v6_v4mapped_any_v4_any.reuseaddr",
    "bind_wildcard.c bind_wildcard.v6_v4mapped_any_v4_any.reuseport",
}


def failing_by_the_rules(release: str) -> set[str]:
    """The cases that fail on a release by the rules and the known divergences."""
    return set(differing(Oracle(divergences.apply(LINUX.at(release), divergences.of(LINUX, release)))))


def test_the_backport_of_6_1_168_fails_cases_of_bind_wildcard() -> None:
    """18 of 132 fail on 6.1.192, booted (tests/kernels): these 16 and the two that the divergence leaves out."""
    failing = failing_by_the_rules("6.1.192")
    assert len(failing) == 16
    assert not failing & NOT_MODELLED
    assert all(source.startswith("bind_wildcard.c") and "v4mapped_any" in source for source in failing)


def lacks_the_behaviour() -> str:
    """Why the cases need not hold on the kernel here; empty where they must."""
    if sys.platform != "linux":
        return "these are Linux's own tests"
    match = re.match(r"(\d+)\.(\d+)", os.uname().release)
    held = match is not None and (int(match[1]), int(match[2])) >= (6, 9)
    return "" if held else f"{os.uname().release} may have the regressions of 6.1 to 6.8"


def failing_on(host: LocalHost | InitramfsHost) -> list[str]:
    """The cases that fail on a kernel."""
    lines = [json.loads(line) for batch in host.run(row["scenario"] for row in ROWS) for line in batch]
    observed = {line["scenario"]: line["outcomes"] for line in lines}
    assert len(observed) == len(ROWS)
    failing = []
    for row in ROWS:
        steps, found = parse(row["scenario"]).steps, observed[row["scenario"]]
        if not isinstance(found, list) or not all(
            accepts(wanted, outcome, delivers=step.delivers)
            for step, wanted, outcome in zip(steps, row["outcomes"], found, strict=True)
        ):
            failing.append(row["source"])
    return failing


@pytest.mark.skipif(bool(lacks_the_behaviour()), reason=lacks_the_behaviour() or "-")
def test_every_case_holds_on_this_kernel() -> None:
    with LocalHost(2) as host:
        if host.facts["namespace"] != "own":
            pytest.skip("connect() to the unspecified address needs a network namespace of its own")
        assert failing_on(host) == []
