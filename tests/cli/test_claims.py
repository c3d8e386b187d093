"""``bindmatrix claims``: here the claims come out as the expectations of this system say."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest
from bindmatrix.cli.main import DIVERGES, OK, WRONG, main
from bindmatrix.execute.local import LocalHost
from bindmatrix.execute.worker import COMMAND
from bindmatrix.judge.claim_check import REFUTED
from bindmatrix.rules import catalog


@pytest.fixture(scope="module")
def system() -> str:
    with LocalHost(1) as host:
        os = str(host.facts["os"])
    if os not in catalog.names():
        pytest.skip(f"there are no expectations for {os}")
    return os


def test_the_kernel_here_agrees_with_its_expectations(system: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["claims", "--live", "--json", "--os", system]) == OK
    data = json.loads(capsys.readouterr().out)
    assert data["host"]["os"] == system
    assert len(data["claims"]) > 30
    assert all("verdict" in one["here"] for one in data["claims"])
    sure = [one for one in data["claims"] if one["here"]["verdict"] in ("holds", REFUTED)]
    assert len(sure) > 20


def test_the_text_names_the_scenario_that_refutes(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["claims", "--no-live", "reuseaddr-not-against-a-listener", "--os", "windows", "--os", "linux"]) == OK
    out = capsys.readouterr().out
    assert "  holds           linux 5.10" in out
    assert "  does not hold   windows" in out
    assert "b.bind=127.0.0.1 is ok: a=tcp4 a.reuseaddr=1" in out
    assert "  here" not in out
    assert "[tested elsewhere on 6.1 (server-2025 is newer)]" in " ".join(out.split())


def test_a_kernel_that_contradicts_its_expectations_is_told(
    system: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    real = LocalHost.run

    def lies(self: LocalHost, scenarios: list[str]) -> object:
        for batch in real(self, scenarios):
            yield [line.replace(b'"EADDRINUSE"', b'"ok"') for line in batch]

    monkeypatch.setattr(LocalHost, "run", lies)
    assert main(["claims", "default-is-exclusive", "--os", system]) == DIVERGES
    assert "the expectations of this system say otherwise" in " ".join(capsys.readouterr().out.split())


def test_another_host_is_judged_by_what_it_recorded(
    system: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """``--scenarios | executor | --observed`` comes to the same as running them here."""
    assert main(["claims", "--scenarios"]) == OK
    scenarios = capsys.readouterr().out
    assert scenarios.count("\n") > 60
    there = subprocess.run(COMMAND, input=scenarios, capture_output=True, text=True, check=True)
    path = tmp_path / "there.jsonl"
    path.write_text(there.stdout, encoding="utf-8")
    assert main(["claims", "--observed", str(path), "--json", "--os", system]) == OK
    data = json.loads(capsys.readouterr().out)
    assert data["host"]["os"] == system
    assert sum(one["here"]["verdict"] in ("holds", REFUTED) for one in data["claims"]) > 20
    path.write_text(there.stdout.partition("\n")[2], encoding="utf-8")
    assert main(["claims", "--observed", str(path)]) == WRONG
    assert "does not say which host" in capsys.readouterr().err


def test_a_recording_that_breaks_off_is_told(system: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "there.jsonl"
    there = subprocess.run(COMMAND, input="a=tcp4\n", capture_output=True, text=True, check=True)
    path.write_text(f'{there.stdout}{{"scenario": "a=\n', encoding="utf-8")
    assert main(["claims", "--observed", str(path), "--os", system]) == WRONG
    assert capsys.readouterr().err.startswith(f"{path}:3: not JSON")
    path.write_bytes(b"\x7fELF\0")
    assert main(["claims", "--observed", str(path), "--os", system]) == WRONG
    assert capsys.readouterr().err.startswith(f"{path}:1: not JSON")


@pytest.mark.parametrize(
    ("words", "message"),
    [(["reuseport-on-al"], "did you mean 'reuseport-on-all'"), (["--os", "linus"], "did you mean 'linux'")],
)
def test_bad_input_is_one_line(words: list[str], message: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["claims", "--no-live", *words]) == WRONG
    err = capsys.readouterr().err
    assert message in err
    assert err.count("\n") == 1
