"""Who a recording is from: Darwin's numbers, distributions of illumos, and what the host's sockets start with."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from bindmatrix.cli.main import main
from bindmatrix.errors import Problem
from bindmatrix.judge.host_table import of_recordings
from bindmatrix.observe.recordings import FORMAT, read
from bindmatrix.oracle.oracle import Oracle
from bindmatrix.rules import catalog, releases

DUAL = "a=tcp6 a.bind=:: b=tcp4 b.bind=0.0.0.0"


def write(path: Path, host: dict[str, Any], *rows: tuple[str, list[str]]) -> Path:
    lines: list[dict[str, Any]] = [{"format": FORMAT, "host": host}]
    lines += [{"scenario": scenario, "outcomes": outcomes} for scenario, outcomes in rows]
    path.write_text("".join(json.dumps(one) + "\n" for one in lines), encoding="utf-8")
    return path


def darwin(number: str, **facts: str) -> dict[str, str]:
    return {"os": "macos", "kernel": "Darwin", "release": number, "uname": number, **facts}


@pytest.mark.parametrize(
    ("host", "release"),
    [
        (darwin("20.6.0"), "11"),
        (darwin("24.5.0"), "15"),
        (darwin("12.6.0"), "10.8"),
        # the executor of 2026-11-29 asks the system itself
        (darwin("24.5.0", release="15.5"), "15.5"),
        # macOS 15.5 and not the Darwin of macOS 10.11
        ({"os": "macos", "release": "15.5"}, "15.5"),
        ({"os": "illumos", "kernel": "SunOS", "release": "omnios-r151054", "uname": "5.11"}, "omnios-r151054"),
        ({"os": "linux", "kernel": "Linux", "release": "6.1.192", "uname": "6.1.192"}, "6.1.192"),
    ],
)
def test_the_release_of_a_host(host: dict[str, str], release: str) -> None:
    assert catalog.of_host(host)[1] == release


@pytest.mark.parametrize("host", [darwin("99.0.0"), {"os": "illumos", "release": "5.11", "uname": "5.11"}])
def test_what_the_kernel_says_is_no_release_of_the_system(host: dict[str, str]) -> None:
    expectations, release = catalog.of_host(host)
    assert release == expectations.covers[1]
    assert any("does not tell which release" in note for note in catalog.notes_of_host(expectations.at(release), host))


@pytest.mark.parametrize("number", ["20.6.0", "17.0", "24"])
def test_a_darwin_number_is_no_release_of_macos(number: str) -> None:
    with pytest.raises(Problem, match=r"is a release of the kernel of macOS: say --release 1[0-9.]+"):
        catalog.release_of(catalog.expectations("macos"), number)


def test_a_recording_with_a_darwin_number_says_how_it_was_read(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = write(tmp_path / "mac.jsonl", darwin("20.6.0"), ("a=tcp4", ["ok"]))
    assert main(["judge", str(file)]) == 0
    out = capsys.readouterr().out
    assert out.startswith("macOS 11: 1 scenario, all as expected\nrun on 11, ")
    assert "Darwin 20.6.0 is macOS 11; a more exact release is named with --release" in out


def test_judge_warns_of_a_release_that_is_not_covered(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = write(tmp_path / "new.jsonl", {"os": "linux", "release": "8.0"}, ("a=tcp4", ["ok"]))
    assert main(["judge", str(file)]) == 0
    assert "note: 8.0 is past 7.3.4, the newest release of Linux that is described" in capsys.readouterr().out


def test_releases_of_omnios_can_be_read() -> None:
    assert releases.parse("omnios-r151054") == ("omnios", (151054,))
    model = catalog.expectations("illumos").at("omnios-r151054")
    assert "illumos.set-reuseport-omnios" in model.by_id or model.stack.options["reuseport"] != "absent"


@pytest.mark.parametrize(("default", "outcome"), [(0, "EADDRINUSE"), (1, "ok")])
def test_the_default_of_v6only_is_that_of_the_host(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], default: int, outcome: str
) -> None:
    """With net.ipv6.bindv6only=1 a plain `::` is no wildcard of IPv4: that is the setting, and no divergence."""
    host = {"os": "linux", "release": "6.18.44", "v6only_default": default}
    file = write(tmp_path / "host.jsonl", host, (DUAL, ["ok", "ok", "ok", outcome]))
    assert main(["judge", str(file)]) == 0, capsys.readouterr().out
    out = capsys.readouterr().out
    assert ("IPV6_V6ONLY is 1 on a new socket of this host, and 0 by default on Linux" in out) == (default == 1)
    table = of_recordings([read(file)])
    assert table.summary.verdicts["conforms"] == 1


def test_an_explicit_v6only_does_not_depend_on_the_host() -> None:
    linux = catalog.expectations("linux").at("6.18.44")
    host = catalog.model_of_host(linux.expectations, "6.18.44", {"v6only_default": 1})
    for value, outcome in (("0", "EADDRINUSE"), ("1", "ok")):
        scenario = f"a=tcp6 a.v6only={value} a.bind=:: b=tcp4 b.bind=0.0.0.0"
        assert Oracle(linux).predict(scenario).outcomes[-1] == Oracle(host).predict(scenario).outcomes[-1] == outcome


@pytest.mark.parametrize("value", [None, True, 2, "1"])
def test_a_default_that_is_none_counts_for_nothing(value: object) -> None:
    linux = catalog.expectations("linux")
    assert catalog.model_of_host(linux, "6.18.44", {"v6only_default": value}).stack.v6only_default == 0
