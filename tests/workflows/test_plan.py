"""The choice of machines."""

from __future__ import annotations

import json
import os
import re
import runpy
import subprocess
import sys

import pytest

from tests.workflows.workflow import SCRIPTS, load

HOSTS = json.loads((SCRIPTS / "hosts.json").read_text(encoding="utf-8"))


def plan(systems: str, label: str = "") -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "SYSTEMS": systems, "LABEL": label}
    return subprocess.run([sys.executable, SCRIPTS / "plan.py"], env=environment, capture_output=True, text=True)


def planned(systems: str, label: str = "") -> dict[str, str]:
    done = plan(systems, label)
    assert done.returncode == 0, done.stderr
    return dict(line.split("=", 1) for line in done.stdout.splitlines())


def test_one_of_each_common_system_where_none_is_named() -> None:
    outputs = planned("")
    assert outputs["names"].split() == ["ubuntu-24.04", "macos-15", "windows-2025", "freebsd-15.1"]
    assert outputs["gvisor"] == "[]"


@pytest.mark.parametrize(
    ("today", "withdrawn"),
    [
        ("2026-11-01", set()),
        ("2026-11-02", {"macos-14"}),
        ("2027-03-22", {"macos-14"}),
        ("2027-03-23", {"macos-14", "ubuntu-22.04", "ubuntu-22.04-arm"}),
    ],
)
def test_a_machine_that_is_withdrawn_runs_only_when_it_is_named_in_full(today: str, withdrawn: set[str]) -> None:
    chosen = runpy.run_path(str(SCRIPTS / "plan.py"))["chosen"]

    def names(systems: str) -> set[str]:
        return {host["name"] for listed in chosen(HOSTS, systems, today).values() for host in listed}

    everybody = {host["name"] for listed in HOSTS.values() for host in listed}
    assert names("*") == everybody - withdrawn
    assert names("ubuntu-22.04 macos-14") == {"ubuntu-22.04", "macos-14"}


def test_the_label_of_a_call_starts_the_names_of_its_artefacts() -> None:
    assert planned("")["prefix"] == ""
    assert planned("", "nightly")["prefix"] == "nightly-"
    for wrong in ("a b", "a/b", "a\nb", "$(id)", "x" * 41):
        done = plan("", wrong)
        assert done.returncode == 1
        assert done.stdout == ""
        assert done.stderr.startswith("plan.py: label: expected at most 40 letters")


def test_patterns_choose() -> None:
    outputs = planned("ubuntu-2*.04\n  freebsd-15.1")
    assert [host["runner"] for host in json.loads(outputs["native"])] == [
        "ubuntu-22.04",
        "ubuntu-24.04",
        "ubuntu-26.04",
    ]
    assert [host["version"] for host in json.loads(outputs["machines"])] == ["15.1"]
    assert outputs["gvisor"] == "[]"


@pytest.mark.parametrize("systems", ["bsd", "ubuntu-* x\ny", "$(id)", "\x1b[0m::set-output name=names::x"])
def test_what_names_no_machine_is_told_and_given_to_nobody(systems: str) -> None:
    done = plan(systems)
    assert done.returncode == 1
    assert done.stdout == ""
    (line,) = done.stderr.splitlines()
    assert line.startswith("plan.py: no machine is called ")
    assert line.isprintable()


def test_names_are_of_one_machine_each_and_good_for_a_file() -> None:
    names = [host["name"] for listed in HOSTS.values() for host in listed]
    assert len(set(names)) == len(names)
    assert all(re.fullmatch(r"[a-z0-9.-]+", name) for name in names)


def test_a_job_takes_each_kind_of_machine_and_the_judge_waits_for_all() -> None:
    called = load("conformance.yml")["jobs"]
    assert set(HOSTS) <= set(called["judge"]["needs"])
    assert {f"${{{{ steps.plan.outputs.{name} }}}}" for name in (*HOSTS, "names", "prefix")} == set(
        called["plan"]["outputs"].values()
    )
    for kind, listed in HOSTS.items():
        wanted = set(re.findall(r"matrix\.host\.(\w+)", json.dumps(called[kind])))
        assert all(wanted <= set(host) for host in listed), kind
