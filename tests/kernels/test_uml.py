"""User-mode Linux, live: Debian's linux.uml, a kernel that is a process, judged by ``expectations/linux.yaml``.

Its root is a folder of the machine (hostfs) with the static C executor in it; what is recorded comes back the same way.
A run takes seconds, and only ``tox -e kernels`` does one.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from bindmatrix.cli.main import main
from bindmatrix.errors import Problem
from bindmatrix.execute import c_executor
from bindmatrix.run.plan import Plan

from tests.execute.test_c_executor import STRICT, compiled

INIT = Path(__file__).with_name("uml_init.c")
MODULES = Path("/usr/lib/uml/modules")
#: IPv6 is a module there, which needs the other one
LOADED = ("crc-ccitt.ko", "ipv6.ko")

#: scenarios -> the file of observations
Boot = Callable[[list[str]], Path]


@pytest.fixture
def boot(tmp_path: Path) -> Boot:
    """Starts the kernel with nothing but the executor."""
    if not os.environ.get("BINDMATRIX_KERNELS"):
        pytest.skip("boots a kernel: tox -e kernels")
    kernel = shutil.which("linux.uml")
    if kernel is None:
        pytest.skip("no linux.uml: apt-get install user-mode-linux")
    modules = [next(MODULES.rglob(name), None) for name in LOADED]
    root = tmp_path / "root"
    for folder in ("dev", "modules", "proc", "sys", "tmp"):
        (root / folder).mkdir(parents=True)
    compiled(root / "init", ["cc", *STRICT, "-std=gnu99", "-O2", "-static"], INIT)
    try:
        shutil.copy(c_executor.program(static=True), root / "executor")
    except Problem as problem:
        pytest.skip(f"no static executor: {problem}")
    loaded = [str(shutil.copy(module, root / "modules")) for module in modules if module]

    def booted(scenarios: list[str]) -> Path:
        (root / "scenarios").write_text("".join(f"{one}\n" for one in scenarios))
        (root / "observations").unlink(missing_ok=True)
        words = [kernel, "mem=256M", "rootfstype=hostfs", f"rootflags={root}", "rw", "init=/init", "quiet"]
        words += ["con=null", "con0=null,fd:1", "ssl=null", "--", *(f"/modules/{Path(one).name}" for one in loaded)]
        done = subprocess.run(words, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False, timeout=300)
        if not (root / "observations").exists():
            said = [line for line in (done.stdout + done.stderr).splitlines() if "panic" in line or "SIG" in line]
            pytest.skip(f"linux.uml does not start here: {said[-1] if said else 'it said nothing'}")
        return root / "observations"

    return booted


def test_the_quick_matrix(boot: Boot, capsys: pytest.CaptureFixture[str]) -> None:
    facts: dict[str, Any] = json.loads(boot([]).read_text().splitlines()[0])["host"]
    assert (facts["os"], facts["executor"]) == ("linux", "c")
    assert facts["release"].count(".") == 2
    assert facts["ipv6"], "the module was not loaded"
    scenarios = list(Plan("quick", 1000, deliveries=100).scenarios(facts))
    recorded = boot(scenarios)
    assert len(recorded.read_text().splitlines()) == len(scenarios) + 1
    assert main(["judge", str(recorded), "--json"]) == 0
    (summary,) = json.loads(capsys.readouterr().out)
    counts = summary["verdicts"]
    assert summary["total"] == len(scenarios)
    assert counts["conforms"] + counts["known"] + counts["unknown"] == len(scenarios), counts
    assert counts["unknown"] <= len(scenarios) // 500
