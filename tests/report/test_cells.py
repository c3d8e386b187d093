"""The grids are what the oracle and the evidence say."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import pytest
from bindmatrix.answers import cells
from bindmatrix.notation import parse
from bindmatrix.oracle.variants import variant_of
from bindmatrix.rules import catalog

FOLDER = catalog.folder() / "cells"


@pytest.mark.parametrize("os", catalog.names())
def test_lines_fit_a_screen(os: str) -> None:
    text = (FOLDER / f"{os}.txt").read_text(encoding="utf-8")
    lines = text.splitlines()
    assert max(map(len, lines)) <= 110
    assert not any(line != line.rstrip() for line in lines)


def test_no_file_without_a_system() -> None:
    assert sorted(path.stem for path in FOLDER.glob("*.txt")) == sorted(catalog.names())


def scenario_of(key: cells.Key) -> str:
    """The scenario of a cell, as the recorded pairs have it."""
    heading, first, second, one, other = key
    protocol, after = cells.STATES[heading]
    points = {point.mark: point for point in cells.ENDPOINTS}
    words = []
    for socket, options, mark in (("a", first, one), ("b", second, other)):
        point = points[mark]
        words.append(f"{socket}={protocol}{point.family}")
        words += [f"{socket}.v6only={point.v6only}"] if point.v6only else []
        words += [f"{socket}.{option}=1" for option in cells.OPTION_SETS[options]]
        words.append(f"{socket}.bind={point.address}")
        words += [after] if socket == "a" and after else []
    return " ".join([*words, "b.listen"] if protocol == "tcp" else words)


def test_cells_are_the_recorded_pairs() -> None:
    """Linux 7.3.4 has no divergence there: each recorded pair is a cell, and its letter is what was recorded."""
    found = cells.cells(variant_of(catalog.expectations("linux"), "7.3.4"))
    path = catalog.folder() / "evidence" / "linux-7.3.4" / "pairs.jsonl.gz"
    recorded = {}
    with gzip.open(path, "rt", encoding="utf-8") as stream:
        for line in stream:
            data = json.loads(line)
            recorded[data["scenario"]] = data["outcomes"]
    assert len(found) == len(recorded) == 3648
    for key, cell in found.items():
        scenario = parse(scenario_of(key))
        outcomes = recorded[scenario.text]
        bind = next(index for index, step in enumerate(scenario.steps) if (step.kind, step.socket) == ("bind", "b"))
        if set(outcomes[:bind]) != {"ok"}:
            expected = "-"
        elif outcomes[bind] == "ok" and outcomes[-1] != "ok":
            expected = "L"
        else:
            expected = cells.symbol(outcomes[bind])
        assert cell == expected, scenario.text


def test_symbols() -> None:
    assert [cells.symbol(one) for one in ("ok", "EADDRINUSE", "EACCES", None, "refused", "EWOULDBLOCK")] == list(
        ".EA?!x"
    )
    assert cells.symbol(("EACCES", "EADDRINUSE")) == "~"
    for letter in ".EA?!x~nifL-":
        assert f" {letter} " in cells.LEGEND


def test_only_options_that_a_release_has() -> None:
    gate = cells.option_sets(catalog.expectations("illumos").at("2021.04"))
    omnios = cells.option_sets(catalog.expectations("illumos").at("omnios-2021.04"))
    assert list(gate) == ["none", "RA", "EB"]
    assert list(omnios) == ["none", "RA", "RP", "RA+RP", "EB"]


def test_a_rule_edit_shows_the_cells_that_it_changed(tmp_path: Path) -> None:
    """A rule of every release refuses less: the same lines, in which only letters differ."""
    source = Path(catalog.expectations("openbsd").file).read_text(encoding="utf-8")
    old = "when: {new.address: [wildcard, specific, broadcast], both.reuseport: no}"
    assert source.count(old) == 1
    path = tmp_path / "openbsd.yaml"
    path.write_text(source.replace(old, old.replace("both", "new")), encoding="utf-8")
    before, after = cells.render("openbsd").splitlines(), cells.render(str(path)).splitlines()
    assert len(before) == len(after)
    changed = [(one, other) for one, other in zip(before, after, strict=True) if one != other]
    assert changed
    for one, other in changed:
        letters = {(a, b) for a, b in zip(one, other, strict=True) if a != b}
        assert letters == {("E", ".")}


def test_earlier_releases_show_only_what_differs() -> None:
    text = cells.render("windows")
    full, *others = text.split("\n== ")[1:]
    assert full.startswith("Windows vista - server-2025\n")
    assert others[0].startswith("Windows xp: only the ")
    count = int(others[0].split("only the ")[1].split(" cells")[0].replace(",", ""))
    grids = [line[22:] for line in others[0].splitlines()[1:] if line.startswith("  ") and line[2:3] != " "]
    assert sum(letter != " " for line in grids for letter in line) == count
