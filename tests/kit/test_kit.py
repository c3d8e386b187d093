"""The file that records a machine: its scenarios, and that it records what the executors here record."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from bindmatrix.cli.main import main
from bindmatrix.execute import executor
from bindmatrix.execute.executor import Executor
from bindmatrix.kit import program, witnesses
from bindmatrix.lint import suggest
from bindmatrix.lint.mutants import of_section
from bindmatrix.lint.mutation_index import Passes
from bindmatrix.notation import delivers, parse
from bindmatrix.observe import recordings
from bindmatrix.oracle.variants import variant_of
from bindmatrix.outcomes import delivery_class
from bindmatrix.rules import catalog

SYSTEM = "openbsd"
CC = shutil.which("cc") or shutil.which("gcc")
MINGW = shutil.which("x86_64-w64-mingw32-gcc")
STRICT = ["-std=c99", "-Wall", "-Wextra", "-Werror"]
FEW = [
    "a=tcp4 a.bind=0.0.0.0 a.listen b=tcp4 b.bind=127.0.0.1",
    "a=udp4 a.bind=127.0.0.1 deliver=127.0.0.1",
    "a=tcp4 a.bind=127.0.0.1 a.listen c=tcp4 c.connect=127.0.0.1 x=a.accept x.close c.read",
    "a=tcp6 a.v6only=0 a.bind=:: b=tcp4 b.reuseaddr=1 b.bind=127.0.0.1 b.listen",
]


@pytest.fixture(scope="module")
def chosen() -> tuple[list[str], int]:
    return witnesses.scenarios(catalog.expectations(SYSTEM))


def test_every_scenario_is_one_and_comes_once(chosen: tuple[list[str], int]) -> None:
    scenarios, first = chosen
    assert [parse(text).text for text in scenarios] == scenarios
    assert len(set(scenarios)) == len(scenarios)
    assert 20 < first < 500 < len(scenarios)


def noticed(scenarios: Sequence[str]) -> set[tuple[str, ...]]:
    """The small changes of the newest rules that some of ``scenarios`` would show."""
    expectations = catalog.expectations(SYSTEM)
    passes = Passes(expectations.at(expectations.covers[1]))
    for text in scenarios:
        passes.add(text, suggest.outcomes(passes.oracle, text))
    passes.walk()
    changes = (one for section, rules in passes.model.rules.items() for one in of_section(section, rules))
    return {(one.section, one.original.id, one.change) for one in changes if any(passes.noticing(one))}


def test_the_most_telling_come_first(chosen: tuple[list[str], int]) -> None:
    """A kit that is ended early has asked most: the first scenarios ask all that the next thousands do."""
    scenarios, first = chosen
    by_witnesses = noticed(scenarios[:first])
    assert len(by_witnesses) > 60
    assert noticed(scenarios[first : first + 3000]) <= by_witnesses
    assert len(noticed(scenarios[: first // 2])) > len(noticed(scenarios[first // 2 : first]))


def test_releases_that_differ_are_told_apart_by_witnesses(chosen: tuple[list[str], int]) -> None:
    """Failed first: only generated scenarios were looked through, and none of them tells any two releases apart."""
    expectations = catalog.expectations(SYSTEM)
    oldest, newest = (variant_of(expectations, release).actual for release in expectations.covers)
    assert any(
        None not in (one, other) and one != other
        for text in chosen[0][: chosen[1]]
        for one, other in zip(oldest.predict(text).outcomes, newest.predict(text).outcomes, strict=True)
    )


def test_what_was_asked_of_another_system_distinguishes_releases() -> None:
    """Failed first: nobody recorded a connect() of a V6ONLY socket on macOS, whose error changed with 15.2."""
    expectations = catalog.expectations("macos")
    before, after = (variant_of(expectations, release).actual for release in ("15.1", "15.2"))
    pool = witnesses.pool(expectations)
    assert any(witnesses.differ(text, before.predict(text), after.predict(text)) for text in pool)


def test_no_scenario_leaves_loopback(chosen: tuple[list[str], int]) -> None:
    """``remote4`` is another host behind a pair of interfaces, which only an executor that may make them has."""
    assert not [text for text in chosen[0] if "remote" in text]


def kit(language: str, scenarios: Sequence[str] = FEW, seconds: int = 50, repeated: int = 2) -> str:
    told = program.description(catalog.expectations(SYSTEM), scenarios, repeated, seconds)
    return program.render(language, f"kit.{language}", "OpenBSD", told, scenarios)


def observed(path: Path) -> tuple[dict[str, Any], list[tuple[str, object]]]:
    recording = recordings.read(path)
    found = [(one.scenario, classes(one.scenario, one.outcomes)) for one in recording]
    assert recording.problem is None
    return recording.kit, found


def classes(text: str, outcomes: Sequence[str | None] | None) -> object:
    """Who received how much differs from run to run."""
    return outcomes and [
        delivery_class(outcome or "") if delivers(word) else outcome
        for word, outcome in zip(text.split(" "), outcomes, strict=True)
    ]


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> list[tuple[str, object]]:
    """What `observe` records of the same scenarios."""
    path = tmp_path_factory.mktemp("plain") / "recording"
    with Executor("auto") as here:
        path.write_text("\n".join([here.header(), *map(here.line, FEW), ""]))
    return observed(path)[1]


def test_the_kit_in_python_records_what_observe_does(plain: list[tuple[str, object]], tmp_path: Path) -> None:
    (tmp_path / "kit.py").write_text(kit("python"))
    with (tmp_path / "recording").open("wb") as out:
        command = [sys.executable, "-I", "-S", "kit.py"]
        done = subprocess.run(command, cwd=tmp_path, stdout=out, stderr=subprocess.PIPE, env={}, check=False)
    told, found = observed(tmp_path / "recording")
    assert found == plain
    assert [len(one.repeats) for one in recordings.read(tmp_path / "recording")] == [1, 1, 0, 0]
    assert (told["for"], told["scenarios"], told["seconds"]) == (SYSTEM, len(FEW), 50)
    words = done.stderr.decode().splitlines()
    assert (done.returncode, words[0]) == (
        0,
        "bindmatrix kit for openbsd: runs 4 scenarios of socket calls for at most 50 seconds.",
    )
    assert words[-1] == "done"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["kit.py", "recording"]


@pytest.mark.skipif(executor.WINDOWS or CC is None, reason="no C compiler here, or Windows")
def test_the_kit_in_c_records_what_observe_does(plain: list[tuple[str, object]], tmp_path: Path) -> None:
    (tmp_path / "kit.c").write_text(kit("c"))
    subprocess.run([str(CC), *STRICT, "kit.c"], cwd=tmp_path, check=True)
    with (tmp_path / "recording").open("wb") as out:
        done = subprocess.run(["./a.out"], cwd=tmp_path, stdout=out, stderr=subprocess.PIPE, env={}, check=False)
    told, found = observed(tmp_path / "recording")
    assert found == plain
    assert [len(one.repeats) for one in recordings.read(tmp_path / "recording")] == [1, 1, 0, 0]
    assert (told["for"], told["scenarios"], told["seconds"]) == (SYSTEM, len(FEW), 50)
    assert (done.returncode, done.stderr.decode().splitlines()[-1]) == (0, "done")


@pytest.mark.skipif(MINGW is None, reason="no mingw-w64 here")
def test_the_kit_in_c_compiles_for_windows(tmp_path: Path) -> None:
    (tmp_path / "kit.c").write_text(kit("c"))
    subprocess.run([str(MINGW), *STRICT, "kit.c", "-lws2_32"], cwd=tmp_path, check=True)


@pytest.mark.parametrize("language", program.SUFFIXES)
def test_a_kit_keeps_to_its_time(language: str, tmp_path: Path) -> None:
    """A second of scenarios that each take some milliseconds, and the rest is left out and counted."""
    path = tmp_path / f"kit{program.SUFFIXES[language]}"
    path.write_text(kit(language, [f"{FEW[0]} wait={100 + number}" for number in range(60)], 1))
    command = [sys.executable, str(path)]
    if language == program.C:
        if executor.WINDOWS or CC is None:
            pytest.skip("no C compiler here, or Windows")
        subprocess.run([CC, "-o", str(tmp_path / "kit"), str(path)], check=True)
        command = [str(tmp_path / "kit")]
    started = time.monotonic()
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert 1 <= time.monotonic() - started < 10
    ran = done.stdout.count("\n") - 1
    assert 0 < ran < 60
    assert done.stderr.splitlines()[-1] == f"done: {62 - ran} scenarios were left out: the time is up"


def test_the_command_writes_a_kit(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(witnesses, "scenarios", lambda *_: (FEW, 2))
    path = tmp_path / "k*.c"
    assert main(["kit", "--for", "dragonfly", "--out", str(path), "--json", "--seconds", "7"]) == 0
    told = json.loads(capsys.readouterr().out)
    text = path.read_text()
    assert told["language"] == "c"
    assert all(f'    "{one}",\n' in text for one in FEW)
    assert (told["scenarios"], told["witnesses"]) == (len(FEW), 2)
    assert "#define KIT_SECONDS 7\n" in text
    assert text.index("*/") < text.index("#define KIT "), "the name of the file ended the comment"


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--for", "plan9", "--out", "kit.py"), "--for: no expectations for 'plan9'"),
        (("--for", "linux", "--out", "kit.rs"), "--out: expected a name that ends in .py or .c, got 'kit.rs'"),
        (("--for", "linux", "--out", "-"), "--out: expected a name that ends in .py or .c, got '-'"),
    ],
)
def test_what_cannot_be_a_kit_is_one_line(
    words: Sequence[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["kit", *words]) == 2
    error = capsys.readouterr().err
    assert error.startswith(message)
    assert error.count("\n") == 1
