"""Recorded outcomes of the running kernel's class, run again live; and the set-up of connections under load."""

from __future__ import annotations

import gzip
import json
import os
import re
import sys
from pathlib import Path

import pytest
from bindmatrix.execute.local import LocalHost
from bindmatrix.notation import SOCKET_KINDS

EVIDENCE = Path(__file__).parents[2] / "expectations" / "evidence" / "linux-6.18.44"
FILES = ["pairs", "states", "options-after-bind", "users", "history", "sequences", "deliver"]
#: of the kinds of socket that not every kernel was built with; UDP-Lite is gone in 7.1
KINDS = ["kinds", "kinds-sequences", "kinds-deliveries"]


def evidence(name: str) -> list[tuple[str, list[str]]]:
    """The rows (scenario, outcomes) of a recorded file of Linux 6.18.44."""
    with gzip.open(EVIDENCE / f"{name}.jsonl.gz", "rt", encoding="utf-8") as file:
        rows = [json.loads(line) for line in file]
    return [(row["scenario"], row["outcomes"]) for row in rows]


def behaves_like_evidence() -> str:
    """Why the evidence of 6.18.44 says nothing about the running kernel; empty when it does."""
    if sys.platform != "linux":
        return "the evidence is of Linux"
    match = re.match(r"(\d+)\.(\d+)", os.uname().release)
    if match is None or (int(match[1]), int(match[2])) < (6, 12):
        return f"kernel {os.uname().release} is not of the class 6.12 and later"
    return "" if EVIDENCE.is_dir() else "the recorded evidence is not in this checkout"


def delivery_class(outcome: str) -> str:
    """The outcome without what varies from run to run: the counts of a spread delivery."""
    shares = outcome.split(",")
    if len(shares) > 1 and sum(int(share.partition(":")[2]) for share in shares) == 32:
        return ",".join(share.partition(":")[0] + ":n" for share in shares)
    return outcome


pytestmark = pytest.mark.skipif(bool(behaves_like_evidence()), reason=behaves_like_evidence() or "-")


@pytest.fixture(scope="module")
def observed() -> dict[str, dict[str, object]]:
    """Everything in one go: the files' scenarios with their answers."""
    scenarios = [text for name in FILES + KINDS for text, _ in evidence(name)]
    with LocalHost(2) as host:
        lacking = [f"={kind} " for kind in SOCKET_KINDS if kind not in host.facts["kinds"]]
        found = {row["scenario"]: row for batch in host.run(scenarios) for row in [json.loads(line) for line in batch]}
    for text, row in found.items():
        for sign in lacking:
            if sign in f"{text} ":
                row["unsupported"] = f"there are no {sign.strip('= ')} sockets"
    return found


@pytest.mark.parametrize("name", FILES + KINDS)
def test_the_running_kernel_answers_as_recorded(observed: dict[str, dict[str, object]], name: str) -> None:
    rows = evidence(name)
    assert rows
    unsupported, different = set(), []
    for scenario, outcomes in rows:
        answer = observed[scenario]
        found = answer["outcomes"]
        if "unsupported" in answer:
            unsupported.add(answer["unsupported"])
        elif not isinstance(found, list) or [*map(comparable(scenario), found)] != [
            *map(comparable(scenario), outcomes)
        ]:
            different.append((scenario, outcomes, answer))
    assert different == []
    if unsupported:
        pytest.skip(f"not all of it: {', '.join(map(str, unsupported))}")


def comparable(scenario: str):  # type: ignore[no-untyped-def]
    """Which of the sockets one flow sticks to varies from run to run, as the counts of a spread do."""
    if "deliver_flow" in scenario and "reuseport" in scenario:
        return lambda outcome: re.sub(r"^[abc]:32$", "one:32", outcome)
    return delivery_class


def test_leftovers_of_connections_are_there_when_the_next_step_runs() -> None:
    """Four workers on all cores: a race in building a state would show as a second outcome."""
    rows = evidence("states")
    with LocalHost(4) as host:
        found = [json.loads(line) for batch in host.run(text for text, _ in rows * 4) for line in batch]
    expected = dict(rows)
    assert len(found) == len(rows) * 4
    assert [row for row in found if row["outcomes"] != expected[row["scenario"]]] == []
