"""Wine, live: the C executor built for Windows says what the Python executor said under the same Wine.

The recordings in ``wine-8.0`` are those of the Python one (CPython 3.13 for Windows under Debian's Wine 8.0).  Starting
Wine takes a minute, so only ``tox -e kernels`` does it.
"""

from __future__ import annotations

import gzip
import json
import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.execute import namespaces
from tests.execute.test_c_executor import STRICT, compiled

RECORDED = Path(__file__).with_name("wine-8.0")
VERSION = "wine-8.0"
#: Debian keeps the programs out of PATH unless the package wine is there, too
PLACES = os.pathsep.join([os.environ.get("PATH", os.defpath), "/usr/lib/wine"])

Ask = Callable[[list[str]], list[dict[str, Any]]]


@pytest.fixture(scope="module")
def ask(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ask]:
    """Scenarios -> the lines of the executor under Wine, the header first.

    Its wineserver owns the sockets, so this is what lives in a network namespace.
    """
    if not os.environ.get("BINDMATRIX_KERNELS"):
        pytest.skip("starts Wine: tox -e kernels")
    wine, server = shutil.which("wine64", path=PLACES), shutil.which("wineserver", path=PLACES)
    if wine is None or server is None:
        pytest.skip("no wine64: apt-get install wine64")
    folder = tmp_path_factory.mktemp("wine")
    program = compiled(folder / "executor.exe", ["x86_64-w64-mingw32-gcc", *STRICT, "-O2", "-static"])
    environment = {**os.environ, "WINEPREFIX": str(folder / "prefix"), "WINEDEBUG": "-all", "DISPLAY": ""}
    try:
        with namespaces.namespace() as place:
            options: dict[str, Any] = {"env": environment, "timeout": 600}
            version = place.run(wine, "--version", **options).stdout.strip()
            if not version.startswith(VERSION):
                pytest.skip(f"the recordings are of {VERSION}, this is {version}")
            place.run(wine, "wineboot", "--init", **options)

            def told(scenarios: list[str]) -> list[dict[str, Any]]:
                # Wine wants pipes, not files
                given = "".join(text + "\n" for text in scenarios)
                done = place.run("sh", "-c", f"'{wine}' '{program}' | cat", input=given, **options)
                return [json.loads(line) for line in done.stdout.splitlines()]

            yield told
            place.run(server, "--kill", check=False, **options)
    except OSError as error:
        pytest.skip(f"no network namespace for Wine: {error}")


def test_wine_is_not_taken_for_windows(ask: Ask) -> None:
    (header,) = ask([])
    assert (header["host"]["os"], header["host"]["release"]) == ("wine", "8.0")
    assert header["host"]["kinds"] == ["tcp4", "tcp6", "udp4", "udp6"]


@pytest.mark.parametrize("name", ["pairs", "pairs-exclusive"])
def test_what_was_recorded_is_what_happens(ask: Ask, name: str) -> None:
    rows = map(json.loads, gzip.decompress((RECORDED / f"{name}.jsonl.gz").read_bytes()).splitlines())
    recorded = {row["scenario"]: row["outcomes"] for row in rows}
    assert len(recorded) > 2000
    _, *answers = ask(list(recorded))
    assert len(answers) == len(recorded)
    assert not {one["scenario"]: one for one in answers if one["outcomes"] != recorded[one["scenario"]]}


def test_deliveries_and_connections(ask: Ask) -> None:
    """Failed first, in the Python executor: under Wine recv() does not tell that a datagram was refused."""
    scenarios = {
        "a=udp4 a.bind=127.0.0.1 deliver=127.0.0.2": ["ok", "ok", "refused"],
        "a=udp4 a.bind=127.0.0.1 deliver=127.0.0.1": ["ok", "ok", "a:32"],
        "a=tcp4 a.bind=127.0.0.1 a.listen deliver=127.0.0.1": ["ok", "ok", "ok", "a:32"],
        "a=tcp4 a.bind=127.0.0.1 a.listen c=tcp4 c.connect=127.0.0.1 x=a.accept c.close x.read": ["ok"] * 8,
        "a=tcp4 a.close a.listen": ["ok", "ok", "EBADF"],
    }
    _, *answers = ask(list(scenarios))
    assert {one["scenario"]: one["outcomes"] for one in answers} == scenarios
