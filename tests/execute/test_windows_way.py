"""The way that this machine is reached on Windows, where select() knows no pipes; forced here, where both ways work.

Every verb that runs scenarios takes it, and what comes out is what the other way gives.
"""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import pytest
from bindmatrix.cli.main import main
from bindmatrix.execute import hosts, local
from bindmatrix.execute.local import LocalHost
from bindmatrix.execute.remote import RemoteHost
from bindmatrix.suite import conftest as suite

CLASSIC = "a=tcp4 a.reuseaddr=1 a.bind=0.0.0.0 a.listen b=tcp4 b.reuseaddr=1 b.bind=127.0.0.1"


@pytest.fixture
def windows(monkeypatch: pytest.MonkeyPatch) -> None:
    """No worker that is watched with select() is made."""
    monkeypatch.setattr(local, "PIPES_CAN_BE_WATCHED", False)
    monkeypatch.setattr(LocalHost, "_start", lambda host: pytest.fail("select() on pipes"))


def test_which_way_this_machine_is_reached(monkeypatch: pytest.MonkeyPatch) -> None:
    for watches, kind in ((True, LocalHost), (False, RemoteHost)):
        monkeypatch.setattr(local, "PIPES_CAN_BE_WATCHED", watches)
        assert type(hosts.this_host()) is kind
        assert type(hosts.open_host(hosts.host_spec("local"))) is kind


@pytest.mark.usefixtures("windows")
def test_run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["run", "--quick", "--examples", "50", "--deliveries", "10", "--workers", "2"]
    assert main([*words, "--results", str(tmp_path / "new")]) == 0
    with gzip.open(tmp_path / "new" / "observations.jsonl.gz", "rt", encoding="utf-8") as stream:
        lines = [json.loads(line) for line in stream][1:]
    assert len(lines) > 1000
    assert all(line["outcomes"] or line.get("unsupported") for line in lines)


def test_observe(monkeypatch: pytest.MonkeyPatch, capsysbinary: pytest.CaptureFixture[bytes]) -> None:
    said = []
    for watches in (True, False):
        monkeypatch.setattr(local, "PIPES_CAN_BE_WATCHED", watches)
        assert main(["observe", CLASSIC]) == 0
        header, line = capsysbinary.readouterr().out.splitlines()
        said.append((json.loads(header)["host"]["os"], json.loads(line)))
    assert said[0] == said[1]
    assert len(said[0][1]["outcomes"]) == 7


@pytest.mark.usefixtures("windows")
def test_reproduce_and_claims(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["reproduce", CLASSIC, "--lang", "report"]) == 0
    assert "b.bind=127.0.0.1" in capsys.readouterr().out
    assert main(["claims", "--live", "--json"]) in (0, 1)
    assert json.loads(capsys.readouterr().out)["host"]["namespace"]


@pytest.mark.usefixtures("windows")
def test_the_live_suite() -> None:
    made = suite.session.__wrapped__()  # what pytest makes a fixture of
    session = next(made)
    assert isinstance(session.host, RemoteHost)
    assert not session.check([CLASSIC]).settled()
    made.close()
