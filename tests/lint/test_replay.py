"""Replaying recorded sets: verdicts, differences, what each rule decided; statements about releases."""

from __future__ import annotations

import gzip
import json

import pytest
from bindmatrix.lint import rule_coverage
from bindmatrix.lint.replay import Replay, SetReplay, lines, recorded_sets
from bindmatrix.rules import catalog

from tests.lint.conftest import GOOD, SCENARIOS, Folder


def replay(folder: Folder) -> dict[str, SetReplay]:
    return {one.recorded.reference: one for one in folder.subject().replays}


def test_the_names_of_folders_are_hosts() -> None:
    found = recorded_sets(catalog.folder() / "evidence", "illumos")
    assert {(one.host, one.release) for one in found} == {
        ("illumos-2021.04", "2021.04"),
        ("illumos-omnios-2021.04", "omnios-2021.04"),
    }
    assert found[0].reference == f"illumos-2021.04/{found[0].name}"
    assert recorded_sets(catalog.folder() / "evidence", "lin") == []


def test_what_rules_decided_is_counted(folder: Folder) -> None:
    folder.record(
        "few",
        {
            "a=tcp4 a.bind=0.0.0.0": ["ok", "ok"],
            "a=tcp4 a.bind=0.0.0.0 a.bind=0.0.0.0": ["ok", None, "EINVAL"],
            "a=tcp4 a.bind=0.0.0.0 b=tcp4 b.bind=0.0.0.0": ["ok", "ok", "ok", "EACCES"],
        },
    )
    few = replay(folder)["demo-1.0/few"]
    assert few.observations == 3
    assert dict(few.verdicts) == {"conforms": 2, "diverges": 1}
    # the outcome that is not asserted is not counted, neither is the one that is otherwise
    assert few.decided["demo.free"] == 2
    assert few.decided["demo.bound-twice"] == 1
    assert few.decided["demo.conflict"] == 0
    [(release, verdict)] = few.differences
    assert (release, verdict.rule, verdict.actual, verdict.expected) == ("1.0", "demo.conflict", "EACCES", "EADDRINUSE")


def test_the_counts_are_written_one_rule_a_line(folder: Folder) -> None:
    subject = folder.subject()
    text = rule_coverage.text({"demo": subject.decided, "another": {}})
    assert json.loads(text) == {"demo": subject.decided, "another": {}}
    assert sum('"demo.conflict"' in line for line in text.splitlines()) == 1
    assert subject.decided["demo.conflict"].keys() == {"demo-1.0"}
    assert set(subject.decided) == {"demo.set", "demo.conflict", "demo.free"}


@pytest.mark.parametrize(
    ("about", "releases"),
    [
        ("<=XP", ["xp"]),
        (">=Server 2003", ["10.0", "server-2003"]),
        (">=2003", ["10.0", "server-2003"]),
        ("XP", ["xp"]),
        ("all", ["10.0"]),
        ("CI (>=10)", ["10.0"]),
        ("2017", ["10.0"]),
    ],
)
def test_assertions_say_what_they_are_about(folder: Folder, about: str, releases: list[str]) -> None:
    text = GOOD.replace(
        'covers: {from: "1.0", to: "2.0"}', 'covers: {from: "5.1", to: "10.0"}\nnames: {xp: "5.1", server-2003: "5.2"}'
    )
    folder.write(text, update=False)
    path = folder.evidence / "demo" / "said.jsonl.gz"
    path.parent.mkdir()
    line = {
        "scenario": SCENARIOS[0],
        "outcomes": ["ok", "ok", "ok", "refused"],
        "demo": about,
        "strength": "documented",
    }
    with gzip.open(path, "wt", encoding="utf-8") as stream:
        stream.write(json.dumps(line) + "\n" + json.dumps({**line, "contradicted": True}) + "\n")
    subject = folder.subject()
    [recorded] = [one for one in subject.sets if one.host == "demo"]
    found = list(lines(recorded, subject.loaded, []))
    assert [one.release for one in found] == releases
    # an assertion is counted once
    assert [one.counts for one in found] == [True, False][: len(found)]
    result = Replay(subject.loaded, ()).replay(recorded)
    assert result.verdicts["conforms"] == len(releases)
    assert result.decided["demo.conflict"] == 1


def test_assertions_that_cannot_be_read(folder: Folder) -> None:
    path = folder.evidence / "demo" / "said.jsonl.gz"
    path.parent.mkdir()
    path.write_bytes(b"no gzip")
    problem = replay(folder)["demo/said"].problem
    assert problem is not None
    assert "cannot be read as an assertion" in problem.message
