"""gVisor, live: runsc of Debian, its own network stack in a sandbox, judged by ``expectations/gvisor.yaml``.

A sample runs wherever runsc is; ``tox -e kernels`` runs the quick matrix.
"""

from __future__ import annotations

import gzip
import json
import os
import re
import shlex
import shutil
import subprocess
import sys

import pytest
from bindmatrix.execute.hosts import HostSpec, open_host
from bindmatrix.judge.verdicts import VerdictKind
from bindmatrix.rules import catalog
from bindmatrix.run.session import observed

from tests.kernels import live

WHOLE = bool(os.environ.get("BINDMATRIX_KERNELS"))


@pytest.fixture(scope="module")
def gvisor() -> HostSpec:
    """A sandbox around this Python."""
    runsc = shutil.which("runsc")
    if runsc is None:
        pytest.skip("no runsc (gVisor): apt-get install runsc")
    words = [runsc, "--platform=ptrace", "--network=none", *([] if os.geteuid() == 0 else ["--rootless"]), "do"]
    tried = subprocess.run([*words, "true"], capture_output=True, text=True, check=False, timeout=60)
    if tried.returncode != 0:
        pytest.skip(f"runsc does not start here: {(tried.stderr.strip().splitlines() or ['no word'])[-1]}")
    version = subprocess.run([runsc, "--version"], capture_output=True, text=True, check=False).stdout
    release = re.search(r"\d{8}", version)
    covered = catalog.expectations("gvisor").covers
    if release is None or not covered[0] <= release[0] <= covered[1]:
        pytest.skip(f"{version.splitlines()[0]}: expectations/gvisor.yaml is about {' - '.join(covered)}")
    return HostSpec("gvisor", via=shlex.join([*words, sys.executable]), release=release[0])


def test_the_quick_matrix(gvisor: HostSpec) -> None:
    facts, summary = live.run(
        gvisor, examples=1000 if WHOLE else 400, deliveries=200 if WHOLE else 20, part=1 if WHOLE else 12
    )
    assert (facts["os"], facts["release"]) == ("gvisor", gvisor.release)
    assert facts["namespace"] in ("own", "user"), "its network namespaces were not used"
    assert summary.total > (6000 if WHOLE else 500)
    assert live.as_expected(summary), live.told(summary)


def test_what_was_recorded_is_what_happens(gvisor: HostSpec) -> None:
    """A part of each recorded set, the same outcomes; who of several receives is chance."""
    recorded: dict[str, list[str]] = {}
    for path in sorted((catalog.folder() / "evidence" / f"gvisor-{gvisor.release}").glob("*.jsonl.gz")):
        lines = gzip.decompress(path.read_bytes()).splitlines()
        step = max(1, len(lines) // (400 if WHOLE else 20))
        for line in lines[::step]:
            data = json.loads(line)
            if "deliver" not in data["scenario"]:
                recorded[data["scenario"]] = data["outcomes"]
    with open_host(gvisor) as host:
        differing = {
            one.scenario: (recorded[one.scenario], one.outcomes)
            for one in observed(host.run(list(recorded)))
            if one.outcomes is None or list(one.outcomes) != recorded[one.scenario]
        }
    assert not differing


def test_refusals_are_rationed_and_still_counted(gvisor: HostSpec) -> None:
    """gVisor sends 50 ICMP errors at once and 1,000 a second; a delivery of 32 takes more than its share."""
    scenario = "a=udp4 a.bind=127.0.0.1 a.close" + " deliver=127.0.0.1 deliver_flow=127.0.0.1" * 2
    with open_host(gvisor) as host:
        (found,) = observed(host.run([scenario]))
    assert found.outcomes is not None
    assert set(found.outcomes[3:]) == {"refused"}


def test_nothing_is_left_unknown_that_was_measured(gvisor: HostSpec) -> None:
    """What was unknown until it was asked here: bound clients, other families, accept() of what does not listen."""
    asked = [
        "a=udp4 a.bind=127.0.0.1 a.connect=127.0.0.1 b=udp4 b.bind=0.0.0.0",
        "a=tcp6 a.v6only=1 a.bind=::ffff:127.0.0.1",
        "a=tcp4 a.bind=::1",
        "a=udp4 x=a.accept",
        "a=tcp4 a.bind=127.0.0.1 a.connect=127.0.0.1",
    ]
    from bindmatrix.run.session import Session

    with open_host(gvisor) as host:
        summary = Session(host).run(asked)
    assert summary.verdicts[VerdictKind.UNKNOWN] == 0
    assert summary.verdicts[VerdictKind.CONFORMS] == len(asked), live.told(summary)
