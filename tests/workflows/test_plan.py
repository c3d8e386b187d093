"""The choice of machines."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys

import pytest

from tests.workflows.workflow import SCRIPTS, load

HOSTS = json.loads((SCRIPTS / "hosts.json").read_text(encoding="utf-8"))


def plan(systems: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "SYSTEMS": systems}
    return subprocess.run([sys.executable, SCRIPTS / "plan.py"], env=environment, capture_output=True, text=True)


def planned(systems: str) -> dict[str, str]:
    done = plan(systems)
    assert done.returncode == 0, done.stderr
    return dict(line.split("=", 1) for line in done.stdout.splitlines())


def test_every_machine_but_those_that_must_be_named() -> None:
    outputs = planned("")
    held_back = {host["name"] for listed in HOSTS.values() for host in listed if "only_when_named" in host}
    everybody = [host["name"] for listed in HOSTS.values() for host in listed]
    assert outputs["names"].split() == [name for name in everybody if name not in held_back]
    assert held_back <= set(planned("*")["names"].split())


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
    assert {f"${{{{ steps.plan.outputs.{name} }}}}" for name in (*HOSTS, "names")} == set(
        called["plan"]["outputs"].values()
    )
    for kind, listed in HOSTS.items():
        wanted = set(re.findall(r"matrix\.host\.(\w+)", json.dumps(called[kind])))
        assert all(wanted <= set(host) for host in listed), kind
