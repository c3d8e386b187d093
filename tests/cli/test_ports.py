"""Ports that the kernel chooses: the file, the probe, and that they agree about Linux."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from bindmatrix.cli.main import DIVERGES, OK, WRONG, main
from bindmatrix.errors import Problem
from bindmatrix.execute import ephemeral_probe
from bindmatrix.execute.ephemeral_probe import ProbeError
from bindmatrix.oracle.oracle import Oracle
from bindmatrix.rules import catalog, ephemeral

RANGE = Path("/proc/sys/net/ipv4/ip_local_port_range")


@pytest.fixture(scope="module")
def live() -> dict[str, Any]:
    try:
        return ephemeral_probe.probe()
    except ProbeError as error:
        pytest.skip(str(error))


def test_the_table_and_the_probe_ask_the_same() -> None:
    table = ephemeral.read()
    assert [one.id for one in table.questions] == sorted(
        ephemeral_probe.QUESTIONS, key=[one.id for one in table.questions].index
    )
    assert set(table.systems) <= set(catalog.names())
    assert set(table.answers("linux")) == set(ephemeral_probe.QUESTIONS)


def test_this_kernel_answers_as_its_column_says(live: dict[str, Any]) -> None:
    expected = ephemeral.read().answers(live["host"]["os"])
    found = {name: answer if isinstance(answer, str) else tuple(answer) for name, answer in live["answers"].items()}
    assert len(found) >= len(ephemeral_probe.QUESTIONS) - 3
    assert found == {name: expected[name] for name in found}


@pytest.mark.skipif(not RANGE.exists(), reason="a sysctl of Linux")
def test_the_range_of_the_host_stays_as_it_is(live: dict[str, Any]) -> None:
    assert live["host"]["sysctls"]["net.ipv4.ip_local_port_range"] == f"{ephemeral_probe.LOW} {ephemeral_probe.HIGH}"
    assert RANGE.read_text(encoding="utf-8").split() != [str(ephemeral_probe.LOW), str(ephemeral_probe.HIGH)]


@pytest.mark.parametrize("system", ephemeral.read().systems)
@pytest.mark.parametrize("protocol", ["tcp", "udp"])
def test_a_port_that_was_chosen_follows_the_rules_of_pairs(system: str, protocol: str) -> None:
    expectations = catalog.expectations(system)
    oracle = Oracle(expectations.at(expectations.covers[1]))
    allowed = []
    for first in ("none", "reuseaddr", "reuseport"):
        for second in ("none", "reuseaddr", "reuseport"):
            words = []
            for name, option in (("a", first), ("b", second)):
                words += [f"{name}={protocol}4", *([f"{name}.{option}=1"] if option != "none" else [])]
                words.append(f"{name}.bind=127.0.0.1")
            if oracle.predict(" ".join(words)).outcomes[-1] == "ok":
                allowed.append(f"{first}/{second}")
    assert ephemeral.read().answers(system)[f"chosen-port-{protocol}"] == tuple(allowed)


def test_the_verb_shows_systems_that_answer_alike_in_one_row(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["ports", "--no-live"]) == OK
    out = capsys.readouterr().out
    assert "    EADDRNOTAVAIL: freebsd, macos\n" in out
    assert "here" not in out
    assert main(["ports", "--no-live", "--json", "--os", "netbsd"]) == OK
    data = json.loads(capsys.readouterr().out)
    assert all(set(row["cells"]) <= {"netbsd"} for row in data["questions"])
    assert all(cell["evidence"] for row in data["questions"] for cell in row["cells"].values())


def test_a_kernel_that_differs_is_told(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    odd = {"host": {"os": "linux", "release": "9.9"}, "answers": {"full-ipv4": "EAGAIN", "same-address-tcp": "never"}}
    monkeypatch.setattr("bindmatrix.cli.ports.probe", lambda: odd)
    assert main(["ports"]) == DIVERGES
    assert "EAGAIN: here, linux 9.9   <- linux was expected to answer EADDRINUSE" in capsys.readouterr().out


def test_bad_input_is_one_line(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    assert main(["ports", "--no-live", "--os", "netbds"]) == WRONG
    assert "did you mean 'netbsd'" in capsys.readouterr().err

    def refuses() -> dict[str, Any]:
        raise ProbeError("no namespace")

    monkeypatch.setattr("bindmatrix.cli.ports.probe", refuses)
    assert main(["ports", "--live"]) == WRONG
    assert capsys.readouterr().err == "no namespace\n"
    assert main(["ports"]) == OK
    assert "was not asked: no namespace" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("systems: [", "not YAML"),
        ("systems: {linux: x}", "expected 'systems' and 'questions'"),
        ("systems: {linux: x}\nquestions: [{id: q, question: t, cells: {linux: {answer: maybe}}}]", "got 'maybe'"),
        ("systems: {linux: x}\nquestions: [{id: q, question: t, cells: {linux: {answer: never}}}]", "'evidence'"),
        (
            "systems: {a: x}\nquestions: [{id: q, question: t, cells: {bsd: {answer: never, evidence: [{test: y}]}}}]",
            "'bsd' is not among 'systems'",
        ),
    ],
)
def test_a_wrong_file_is_told(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "ephemeral.yaml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(Problem, match=message):
        ephemeral.read(path)


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="looks into /proc")
def test_a_probe_whose_parent_is_killed_ends_too() -> None:
    """The probe dies with the process that asked, so its namespace goes as well."""
    script = (
        "import subprocess, sys, os\n"
        "p = subprocess.Popen([sys.executable, '-c', 'import sys, time; from bindmatrix.execute import executor;"
        " executor._die_with(int(sys.argv[1])); print(1, flush=True); time.sleep(60)', str(os.getpid())],"
        " stdout=subprocess.PIPE)\n"
        "p.stdout.readline(); print(p.pid, flush=True); p.wait()\n"
    )
    with subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE) as parent:
        assert parent.stdout is not None
        child = int(parent.stdout.readline())
        parent.kill()
    end = time.monotonic() + 60
    while _runs(child) and time.monotonic() < end:
        time.sleep(0.01)
    assert not _runs(child)


def _runs(pid: int) -> bool:
    try:
        return (
            Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()[0] != "Z"
            and os.getpid() != pid
        )
    except OSError:
        return False
