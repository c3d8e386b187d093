"""``findings/`` is what is generated from its list, and its programs tell the truth about this kernel."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from bindmatrix.execute import executor
from bindmatrix.execute.hosts import this_host
from bindmatrix.notation import parse
from bindmatrix.reproduce import cases, findings
from bindmatrix.rules import catalog

from tests.report import reproduce_driver
from tests.report.test_reproduce_agreement import batch, compile_c

#: of the checkout: the folders are not part of the package
FOLDER = Path(__file__).parents[2] / "findings"
LISTED = findings.findings(FOLDER / "findings.yaml")


def test_no_folder_is_left_over() -> None:
    there = {str(path.relative_to(FOLDER)) for path in FOLDER.rglob("*") if path.is_file()}
    assert there == {*findings.render(LISTED), "findings.yaml"}


def test_every_finding_shows_on_its_host() -> None:
    for one in LISTED:
        line = one.case().surprise
        assert line is not None, one.name
        assert (line.step, line.observed == one.expect) == (one.scenario.steps[-1], False), one.name
        if one.recorded:  # failed first: "method not recorded"
            assert one.case().method == f"emulated on {one.release}", one.name


def test_index_has_each_system_under_each_finding() -> None:
    parts = findings.index(LISTED).split("\n## ")[1:]
    assert len(parts) == len(LISTED)
    for one, part in zip(LISTED, parts, strict=True):
        rows = [line for line in part.splitlines() if line.startswith("| ") and not line.startswith("| system")]
        assert {row.split()[1] for row in rows} == set(catalog.names())
        assert any(row.startswith(f"| {one.os} ") and "| shows it |" in row for row in rows), one.name


def test_programs_on_this_kernel(tmp_path: Path) -> None:
    """Status 1 exactly where the executor sees a step do otherwise than the folder expects."""
    compiler = shutil.which("cc")
    if compiler is None:
        pytest.skip("no C compiler (cc) in PATH")
    with this_host(1) as host:
        facts = host.facts
        lines = [line for texts in host.run([one.scenario.text for one in LISTED]) for line in texts]
    seen = {data["scenario"]: data["outcomes"] for data in map(json.loads, lines)}
    compile_c(
        compiler,
        batch([(FOLDER / one.name / "repro.c").read_text(encoding="utf-8") for one in LISTED]),
        tmp_path,
        "batch",
    )
    for index, one in enumerate(LISTED):
        shutil.copy(FOLDER / one.name / "repro.py", tmp_path / f"{index}.py")
    command = [sys.executable, "-I", "-S", reproduce_driver.__file__, executor.__file__, str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    results = [json.loads(line) for line in done.stdout.splitlines()]
    statuses = {}
    for one, (c, python) in zip(LISTED, results, strict=True):
        outcomes = seen[one.scenario.text]
        if outcomes is None:
            assert (c[0], python[0]) == (2, 2), one.name  # without root
            continue
        accepted = [line.accepted for line in one.case().lines]
        expected = int(any(outcome not in words for outcome, words in zip(outcomes, accepted, strict=True)))
        assert (c[0], python[0]) == (expected, expected), (one.name, c, python)
        statuses[one.name] = c[0]
    if facts["os"] == "linux" and facts["release"].startswith("6.18.44"):
        assert {name: status for name, status in statuses.items() if name.startswith("linux")} == {
            "linux-tcp-order": 1,
            "linux-udp-hidden": 1,
            "linux-mapped-wildcard": 0,
            "linux-udp-crowded": 0,
            "linux-dual-connected": 1,
        }


def test_where_it_is_unknown_a_report_does_not_claim_it() -> None:
    scenario = "a=tcp4 a.bind=0.0.0.0 v=tcp6 v.v6only=1 v.bind=:: v.listen b=tcp4 b.bind=127.0.0.1"
    case = cases.build(parse(scenario), {"os": "linux", "release": "7.3.4"})
    same, others, unknown = cases.releases(case)
    assert "6.1.21 - 6.1.84" in unknown
    assert not {*unknown} & {*same, *others}


def test_a_recorded_finding_names_the_releases_and_no_rule_that_says_nothing() -> None:
    """The rules leave it unknown: what was recorded tells which releases do so."""
    case = next(one for one in LISTED if one.name == "gvisor-tcp-released").case()
    assert cases.releases(case) == (["20260202", "20260817"], ["20221219", "20231009", "20250421"], [])
    assert "lost-count" not in (FOLDER / "gvisor-tcp-released" / "report.txt").read_text(encoding="utf-8")
