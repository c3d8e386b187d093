"""Wine, live: the Windows branch of both executors, judged by ``expectations/wine.yaml``.

The Python executor runs in a Windows Python, the C one is built by mingw-w64.  Starting Wine takes half a minute, so
only ``tox -e kernels`` does it.
"""

from __future__ import annotations

import gzip
import json
import os
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from subprocess import DEVNULL
from typing import Any

import pytest
from bindmatrix.execute.hosts import HostSpec, open_host
from bindmatrix.execute.local import LocalHost
from bindmatrix.notation import parse
from bindmatrix.reproduce import c_program, cases, python_program
from bindmatrix.rules import catalog, releases

from tests.execute import namespaces
from tests.execute.test_c_executor import STRICT, compiled
from tests.kernels import live

#: Debian keeps the programs out of PATH unless the package wine is there, too
PLACES = os.pathsep.join([os.environ.get("PATH", os.defpath), "/usr/lib/wine"])
#: where prepare.py unpacks it
WINDOWS_PYTHON = Path(sys.prefix) / "windows-python"


@pytest.fixture(scope="module")
def wine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The program that starts others under Wine; its wineserver owns the sockets, so that is what has a namespace."""
    if not os.environ.get("BINDMATRIX_KERNELS"):
        pytest.skip("starts Wine: tox -e kernels")
    program, server = shutil.which("wine64", path=PLACES), shutil.which("wineserver", path=PLACES)
    if program is None or server is None:
        pytest.skip("no wine64: apt-get install wine64")
    try:
        with namespaces.namespace() as place, pytest.MonkeyPatch.context() as patch:
            for name, value in (("PREFIX", str(tmp_path_factory.mktemp("wine"))), ("DEBUG", "-all")):
                patch.setenv(f"WINE{name}", value)
            patch.setenv("DISPLAY", "")
            # what stays in the background would keep our pipes open
            quiet: dict[str, Any] = {"capture_output": False, "stdout": DEVNULL, "stderr": DEVNULL, "timeout": 300}
            place.run(server, "--persistent", **quiet)
            try:
                place.run(program, "wineboot", "--init", **quiet)
                yield program
            finally:
                place.run(server, "--kill", check=False)
    except OSError as error:
        pytest.skip(f"no network namespace for Wine: {error}")


@pytest.fixture(scope="module")
def by_c(wine: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalHost]:
    """The C executor under Wine."""
    program = tmp_path_factory.mktemp("executor") / "executor.exe"
    compiled(program, ["x86_64-w64-mingw32-gcc", *STRICT, "-O2", "-static"])
    with LocalHost(1, patience=200.0, command=[wine, str(program)]) as host:
        skip_what_is_not_described(host.facts)
        yield host


@pytest.fixture
def python(wine: str) -> HostSpec:
    """The Python executor under Wine."""
    found = next(WINDOWS_PYTHON.glob("*/python.exe"), None)
    if found is None:
        pytest.skip(f"no Windows Python in {WINDOWS_PYTHON}: tests/kernels/prepare.py gets it")
    return HostSpec("wine", via=shlex.join([wine, str(found)]))


def skip_what_is_not_described(facts: dict[str, Any]) -> None:
    """A Wine of another release has no expectations."""
    first, last = [releases.parse(one)[1] for one in catalog.expectations("wine").covers]
    if facts["os"] == "wine" and not first <= releases.parse(facts["release"])[1] <= last:
        pytest.skip(f"this is Wine {facts['release']}; expectations/wine.yaml is about other releases")


def test_wine_is_not_taken_for_windows(by_c: LocalHost, python: HostSpec) -> None:
    with open_host(python) as by_python:
        for facts in (by_c.facts, by_python.facts):
            assert facts["os"] == "wine"
            assert facts["uname"] != facts["release"], "that of the Windows that it plays"
            assert facts["kinds"] == ["tcp4", "tcp6", "udp4", "udp6"]
        assert by_c.facts["release"] == by_python.facts["release"]


def test_the_quick_matrix_on_the_c_executor(by_c: LocalHost) -> None:
    _, summary = live.on(by_c, examples=1000, deliveries=100)
    assert summary.total > 15000
    assert live.as_expected(summary), live.told(summary)


def test_the_quick_matrix_on_the_python_executor(python: HostSpec) -> None:
    facts, summary = live.run(python, examples=1000, deliveries=100, part=4)
    assert facts["python"].startswith("cpython 3.")
    skip_what_is_not_described(facts)
    assert summary.total > 4000
    assert live.as_expected(summary), live.told(summary)


@pytest.mark.parametrize("name", ["pairs", "pairs-exclusive"])
def test_what_was_recorded_is_what_happens(by_c: LocalHost, name: str) -> None:
    """The recordings are those of the Python executor."""
    path = catalog.folder() / "evidence" / f"wine-{by_c.facts['release']}" / f"{name}.jsonl.gz"
    if not path.exists():
        pytest.skip(f"no recording of Wine {by_c.facts['release']}")
    rows = map(json.loads, gzip.decompress(path.read_bytes()).splitlines())
    recorded = {row["scenario"]: row["outcomes"] for row in rows}
    assert len(recorded) > 2000
    answers = [json.loads(line) for batch in by_c.run(list(recorded)) for line in batch]
    assert len(answers) == len(recorded)
    assert not {one["scenario"]: one for one in answers if one["outcomes"] != recorded[one["scenario"]]}


def test_deliveries_and_connections(by_c: LocalHost) -> None:
    """Failed first, in the Python executor: under Wine recv() does not tell that a datagram was refused."""
    scenarios = {
        "a=udp4 a.bind=127.0.0.1 deliver=127.0.0.2": ["ok", "ok", "refused"],
        "a=udp4 a.bind=127.0.0.1 deliver=127.0.0.1": ["ok", "ok", "a:32"],
        "a=tcp4 a.bind=127.0.0.1 a.listen deliver=127.0.0.1": ["ok", "ok", "ok", "a:32"],
        "a=tcp4 a.bind=127.0.0.1 a.listen c=tcp4 c.connect=127.0.0.1 x=a.accept c.close x.read": ["ok"] * 8,
        "a=tcp4 a.close a.listen": ["ok", "ok", "EBADF"],
    }
    answers = [json.loads(line) for batch in by_c.run(list(scenarios)) for line in batch]
    assert {one["scenario"]: one["outcomes"] for one in answers} == scenarios


#: TCP that shares and that is refused, both kinds of deliveries, groups, a read that waits, two wrong expectations
REPRODUCED = [
    "a=tcp4 a.reuseaddr=1 a.bind=127.0.0.1 b=tcp4 b.reuseaddr=1 b.bind=127.0.0.1 a.listen b.listen",
    "a=tcp6 a.v6only=0 a.exclusive=1 a.bind=:: a.listen b=tcp6 b.reuseaddr=1 b.bind=::1 b.listen",
    "a=tcp4 a.bind=127.0.0.1 a.listen c=tcp4 c.connect=127.0.0.1 x=a.accept x.close c.read",
    "a=tcp4 a.bind=0.0.0.0 a.listen deliver=127.0.0.1 a.close deliver=127.0.0.1",
    "a=tcp4 a.close a.bind=127.0.0.1 b=udp4 b.reuseport=1 b.exclusive=1 b.reuseaddr=1",
    "a=udp6 a.v6only=0 a.bind=:: deliver=::ffff:127.0.0.1 deliver_flow=::1 a.close deliver=::1 deliver_flow=127.0.0.1",
    "a=udp4 a.reuseaddr=1 a.bind=0.0.0.0 b=udp4 b.reuseaddr=1 b.bind=0.0.0.0 a.join=224.0.0.251 deliver=224.0.0.251",
]
OTHERWISE = {
    "a=tcp4 a.bind=127.0.0.1 b=tcp4 b.bind=127.0.0.1": "ok ok ok ok",
    "a=udp4 a.bind=127.0.0.1 deliver=127.0.0.1": "ok ok refused",
}


def case_on(facts: dict[str, Any], scenario: str) -> cases.Case:
    steps = parse(scenario)
    expect = OTHERWISE.get(scenario)
    return cases.build(steps, facts, expect=cases.given_outcomes(expect, steps) if expect else None)


def outcome(words: list[str]) -> tuple[int, str]:
    """Exit status and output of a program under Wine; its standard streams have to be pipes."""
    done = subprocess.run(words, input="", capture_output=True, text=True, check=False, timeout=120)
    return done.returncode, done.stdout


@pytest.mark.parametrize("scenario", [*REPRODUCED, *OTHERWISE])
def test_a_c_program_for_winsock(wine: str, by_c: LocalHost, scenario: str, tmp_path: Path) -> None:
    source, program = tmp_path / "repro.c", tmp_path / "repro.exe"
    source.write_text(c_program.program(case_on(by_c.facts, scenario), winsock=True), encoding="utf-8")
    compiled(program, ["x86_64-w64-mingw32-gcc", *STRICT, "-pedantic"], source)
    status, text = outcome([wine, str(program)])
    assert (status, text.splitlines()[-1]) == (
        (1, "NOT as expected") if scenario in OTHERWISE else (0, "as expected")
    ), text


@pytest.mark.parametrize("scenario", [*REPRODUCED, *OTHERWISE])
def test_a_python_program(wine: str, by_c: LocalHost, python: HostSpec, scenario: str, tmp_path: Path) -> None:
    """Failed first: strerror() knows no error of Winsock, and a refused datagram was no error."""
    source = tmp_path / "repro.py"
    source.write_text(python_program.program(case_on(by_c.facts, scenario)), encoding="utf-8")
    status, text = outcome([*shlex.split(python.via), str(source)])
    assert (status, text.splitlines()[-1]) == (
        (1, "NOT as expected") if scenario in OTHERWISE else (0, "as expected")
    ), text
    assert "Unknown error" not in text
    assert "EADDRINUSE" in text or "b.bind=127.0.0.1" not in scenario or "b.reuseaddr" in scenario
