"""What a recording settles, in words and as files; and strangers' recordings."""

from __future__ import annotations

import gzip
import json
import re
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
from bindmatrix.cli.main import main
from bindmatrix.judge import claim_check, evidence_folder
from bindmatrix.lint import suggest
from bindmatrix.lint.replay import recorded_sets
from bindmatrix.observe import recordings
from bindmatrix.observe.recordings import Observation
from bindmatrix.oracle.variants import variant_of_host
from bindmatrix.rules import catalog, provenance

Capture = pytest.CaptureFixture[str]
EVIDENCE = catalog.folder() / "evidence"
#: a recorded host of each kind, and a set of it
HOSTS = [
    ("linux-6.18.44", "extra", {"os": "linux", "release": "6.18.44"}),
    ("freebsd-13.0", "states", {"os": "freebsd", "release": "13.0"}),
    ("gvisor-20221219", "client-binds", {"os": "gvisor", "release": "20221219"}),
    ("illumos-omnios-2021.04", "states", {"os": "illumos", "release": "omnios-2021.04"}),
    ("macos-15.5", "states", {"os": "macos", "release": "15.5"}),
    ("openbsd-7.9-current", "extra", {"os": "openbsd", "release": "7.9"}),
]


def recording(path: Path, host: dict[str, object], found: Sequence[Observation]) -> Path:
    header = recordings.header({"kernel": "X", "uname": "X", **host})
    path.write_bytes(header + b"".join(map(recordings.line, found)))
    return path


def recorded(host: str, name: str) -> list[Observation]:
    return [one for one in recordings.read(EVIDENCE / host / f"{name}.jsonl.gz") if one.outcomes is not None]


def settled(path: Path, capsys: Capture, *words: str) -> tuple[int, dict[str, object]]:
    status = main(["contribute", str(path), "--json", *words])
    return status, json.loads(capsys.readouterr().out)


@pytest.mark.parametrize(("folder", "name", "host"), HOSTS, ids=[one[0] for one in HOSTS])
def test_one_other_outcome_is_a_contradiction(
    folder: str, name: str, host: dict[str, object], tmp_path: Path, capsys: Capture
) -> None:
    """Recorded evidence contradicts nothing; with the last outcome of one bind() changed it does, and says where."""
    found = recorded(folder, name)
    status, before = settled(recording(tmp_path / "before", host, found), capsys)
    assert (status, before["contradictions"]) == (0, [])
    changed, index = next(
        (row, step)
        for row, one in enumerate(found)
        if not one.repeats
        for step, word in enumerate(one.scenario.split(" "))
        if ".bind=" in word and one.outcomes and one.outcomes[step] == "EADDRINUSE" and None not in one.outcomes
    )
    one = found[changed]
    outcomes = list(one.outcomes or ())
    outcomes[index] = "EXDEV"
    found[changed] = one._replace(outcomes=tuple(outcomes))
    status, after = settled(recording(tmp_path / "after", host, found), capsys)
    assert status == 1
    (contradiction,) = after["contradictions"]  # type: ignore[misc]
    assert contradiction["scenario"] == one.scenario
    assert contradiction["step"] == index
    assert contradiction["actual"] == "EXDEV"
    assert one.scenario not in after["new"]  # type: ignore[operator]


@pytest.mark.parametrize("lines", [2, 3, 5, 6], ids=lambda count: f"{count}-lines")
def test_scenarios_are_counted_once_by_every_verb(lines: int, tmp_path: Path, capsys: Capture) -> None:
    """Failed first: a kit runs its witnesses twice, and `judge` counted both runs where `contribute` counted one."""
    found = [one for one in recorded("linux-6.18.44", "pairs") if one.outcomes][:4]
    kit = {"for": "linux", "scenarios": 4, "witnesses": 2}
    path = recording(tmp_path / "recording", {"os": "linux", "release": "6.18.44"}, [*found[:2], *found][:lines])
    first, _, rest = path.read_bytes().partition(b"\n")
    path.write_bytes(json.dumps({**json.loads(first), "kit": kit}).encode() + b"\n" + rest)
    _, contributed = settled(path, capsys)
    assert main(["judge", str(path), "--json"]) == 0
    (judged,) = json.loads(capsys.readouterr().out)
    assert judged["total"] == contributed["summary"]["total"] == max(2, lines - 2)  # type: ignore[index]
    assert judged["verdicts"] == contributed["summary"]["verdicts"]  # type: ignore[index]


def test_unknowns_are_answered_and_rules_confirmed_for_the_first_time(tmp_path: Path, capsys: Capture) -> None:
    """7.8 is covered by the rules of OpenBSD and was never recorded."""
    scenario = "a=tcp4 a.reuseport=1 a.bind=127.0.0.1 b=tcp4 b.reuseport=1 b.bind=127.0.0.1"
    unknown = "a=tcp4 a.bind=0.0.0.0 a.connect=127.0.0.2"
    path = tmp_path / "recording"
    found = [
        Observation(scenario, ("ok",) * 6),
        Observation(unknown, ("ok", "ok", "ETIMEDOUT"), repeats=(("ok", "ok", "ETIMEDOUT"),)),
    ]
    status, told = settled(recording(path, {"os": "openbsd", "release": "7.8"}, found), capsys)
    assert status == 0
    assert told["folder"] == "openbsd-7.8"
    assert told["first"]
    assert told["confirmed"]
    assert not told["known"]
    (answer,) = told["answered"]  # type: ignore[misc]
    assert (answer["scenario"], answer["outcomes"]) == (unknown, {"ETIMEDOUT": 1})
    assert told["new"] == sorted([scenario, unknown])


def test_claims_are_decided(tmp_path: Path, capsys: Capture) -> None:
    """As the rules predict them; then on a kernel that refuses no last step."""
    host = {"os": "linux", "release": "6.18.44"}
    oracle = variant_of_host(host).actual
    texts = {case.scenario.text for claim in claim_check.read() for case in claim.cases}
    found = [
        Observation(text, outcomes)
        for text in sorted(texts)
        if None not in (outcomes := suggest.outcomes(oracle, text))
    ]
    _, told = settled(recording(tmp_path / "r", host, found), capsys)
    assert set(told["claims"].values()) == {"holds", "does not hold"}  # type: ignore[attr-defined]
    assert told["surprising"] == []
    for row, one in enumerate(found):
        if one.outcomes and one.outcomes[-1] == "EADDRINUSE":
            found[row] = one._replace(outcomes=(*one.outcomes[:-1], "ok"))
    assert settled(recording(tmp_path / "r", host, found), capsys)[1]["surprising"]


@pytest.mark.parametrize(
    ("host", "folder", "name", "actually"),
    [
        ({"os": "windows", "release": "10.0.18362"}, "wine-8.0", "windows-evidence", "wine"),
        ({"os": "freebsd", "release": "15.0"}, "linux-6.18.44", "options-after-bind", "linux"),
    ],
    ids=["wine", "linux"],
)
def test_a_system_that_plays_another_is_recognised(
    host: dict[str, object], folder: str, name: str, actually: str, tmp_path: Path, capsys: Capture
) -> None:
    """Executors before Wine had a name of its own said Windows there."""
    path = recording(tmp_path / "r", host, recorded(folder, name))
    checkout = make_checkout(tmp_path)
    assert main(["contribute", str(path), "--write", str(checkout)]) == 1
    out = capsys.readouterr().out
    title = catalog.expectations(str(host["os"])).title
    assert f"warning: it says that it is {title}, and behaves like '{actually}'" in out
    assert "nothing is written" in out
    assert not list((checkout / "expectations" / "evidence").glob(f"{host['os']}*"))


# -- files


def make_checkout(tmp_path: Path) -> Path:
    folder = tmp_path / "checkout" / "expectations" / "evidence"
    folder.mkdir(parents=True)
    shutil.copy(EVIDENCE / "hosts.json", folder)
    shutil.copytree(EVIDENCE / "macos-15.5", folder / "macos-15.5")
    return tmp_path / "checkout"


def test_a_checkout_gets_the_set_and_the_row_of_its_host(tmp_path: Path, capsys: Capture) -> None:
    checkout = make_checkout(tmp_path)
    before = (checkout / "expectations" / "evidence" / "hosts.json").read_text()
    path = recording(tmp_path / "r", {"os": "openbsd", "release": "7.8"}, recorded("openbsd-7.9-current", "extra"))
    assert main(["contribute", str(path), "--write", str(checkout)]) == 0
    out = capsys.readouterr().out
    assert "git add expectations docs && git commit -m 'Evidence of OpenBSD 7.8, recorded with the kit'" in out
    evidence = checkout / "expectations" / "evidence"
    (written,) = recorded_sets(evidence, "openbsd")
    assert (written.host, written.name, written.release) == ("openbsd-7.8", "kit", "7.8")
    again = list(recordings.read(written.path))
    assert again
    assert {one.scenario for one in again} <= {one.scenario for one in recordings.read(path)}
    provenance.read.cache_clear()
    row = provenance.read(evidence)["openbsd-7.8"]
    assert (row.method, row.release) == ("run", "7.8")
    after = (evidence / "hosts.json").read_text()
    assert after.startswith(before.rstrip().removesuffix("}").rstrip()), "other rows were written anew"
    # a second time there is nothing to add
    assert main(["contribute", str(path), "--write", str(checkout)]) == 0
    assert "nothing is written" in capsys.readouterr().out


def test_a_machine_does_not_go_where_its_compiled_stack_is(tmp_path: Path, capsys: Capture) -> None:
    """Failed first: what a Mac did would have been called compiled for user space."""
    path = recording(tmp_path / "r", {"os": "macos", "release": "15.5"}, recorded("macos-15.5", "time-wait"))
    assert settled(path, capsys)[1]["folder"] == "macos-15.5-run"


@pytest.mark.parametrize(
    ("system", "release", "folder"),
    [
        ("windows", "10.0.26100", "windows-10.0.26100"),
        ("windows", "xp", "windows-5.1"),
        ("illumos", "omnios-2026.05", "illumos-omnios-2026.05"),
        ("linux", "6.11.0-19-generic", "linux-6.11.0"),
    ],
)
def test_a_folder_has_the_number_of_the_release(
    system: str, release: str, folder: str, tmp_path: Path, capsys: Capture
) -> None:
    """Failed first: XP was no release, Server 2025 was 2025 of a branch `server`, and 2026.05 became 2026.5."""
    found = [Observation("a=tcp4 a.bind=127.0.0.1", ("ok", "ok"))]
    path = recording(tmp_path / "r", {"os": system, "release": release}, found)
    assert settled(path, capsys)[1]["folder"] == folder


def test_a_set_is_the_same_whenever_it_is_written(tmp_path: Path) -> None:
    one, other = Observation("a=tcp4", ("ok",)), Observation("a=udp4", ("ok",))
    evidence_folder.write_set(tmp_path / "one.jsonl.gz", [one, other])
    evidence_folder.write_set(tmp_path / "two.jsonl.gz", [other])
    evidence_folder.write_set(tmp_path / "two.jsonl.gz", [one])
    assert (tmp_path / "one.jsonl.gz").read_bytes() == (tmp_path / "two.jsonl.gz").read_bytes()


# -- the issue, and strangers


def test_an_issue_holds_nothing_of_a_stranger_as_markup(tmp_path: Path, capsys: Capture) -> None:
    evil = "`</details>](javascript:x) @everyone <img src=x> | ::error::"
    found = [Observation("a=tcp4 a.bind=127.0.0.1", ("ok", "ENOSPC"))]
    path = recording(tmp_path / "r", {"os": "linux", "release": "6.18.44", "container": evil, evil: "x"}, found)
    main(["contribute", str(path), "--issue"])
    out = capsys.readouterr().out
    assert out.startswith("# Recording: Linux 6.18.44\n")
    assert "ENOSPC" in out
    assert not re.search(r"(?<!\\)(<img|</details>|\]\(javascript)|@everyone|^ *::error", out, re.MULTILINE)
    assert "`a=tcp4 a.bind=127.0.0.1`" in out


GOOD = '{"scenario": "a=tcp4", "outcomes": ["ok"]}\n'
HEADER = '{"format": "bindmatrix-observations/1", "host": {"os": "linux", "release": "6.18.44"}}\n'
HOSTILE: dict[str, Callable[[], bytes]] = {
    "empty": lambda: b"",
    "header alone": lambda: HEADER.encode(),
    "no header": lambda: GOOD.encode(),
    "not json": lambda: (HEADER + "\x1b[2Jhello\n").encode(),
    "deep": lambda: (HEADER + '{"scenario":' + "[" * 50_000 + "\n").encode(),
    "a long line": lambda: (HEADER + "x" * (1 << 19) + "\n").encode(),
    "a path for a system": lambda: HEADER.replace('"linux"', '"../../etc"').encode() + GOOD.encode(),
    "no release at all": lambda: HEADER.replace('"6.18.44"', '"../../../x"').encode() + GOOD.encode(),
    "a release that is no text": lambda: HEADER.replace('"6.18.44"', '{"a": 1}').encode() + GOOD.encode(),
    "an unknown system": lambda: HEADER.replace('"linux"', '"plan9"').encode() + GOOD.encode(),
    "a newer format": lambda: HEADER.replace("/1", "/9").encode() + GOOD.encode(),
    "a kit that is no kit": lambda: (
        HEADER.replace('"host"', '"kit": {"scenarios": -5, "for": [[]]}, "host"') + GOOD + "[]\n"
    ).encode(),
    "cut off": lambda: gzip.compress((HEADER + GOOD * 500).encode())[:-20],
    "a bomb": lambda: gzip.compress(HEADER.encode() + b"\0" * (1 << 24)),
    "words": lambda: (HEADER + '{"scenario": "a=tcp4", "outcomes": ["ok\\u001b[2J"]}\n').encode(),
}


@pytest.mark.parametrize("name", HOSTILE)
@pytest.mark.parametrize("how", [(), ("--issue",)], ids=["plain", "issue"])
def test_a_hostile_recording_is_one_line(name: str, how: Sequence[str], tmp_path: Path, capsys: Capture) -> None:
    path = tmp_path / "recording"
    path.write_bytes(HOSTILE[name]())
    assert main(["contribute", str(path), *how]) == 2
    told = capsys.readouterr()
    assert told.out == ""
    assert told.err.count("\n") == 1
    assert told.err.strip().isprintable()
    assert [one.name for one in tmp_path.iterdir()] == ["recording"]


def test_a_checkout_is_one(tmp_path: Path, capsys: Capture) -> None:
    path = tmp_path / "recording"
    path.write_text(HEADER + GOOD)
    assert main(["contribute", str(path), "--write", str(tmp_path)]) == 2
    assert (
        capsys.readouterr().err == f"{tmp_path}: no checkout of bindmatrix: there is no expectations/evidence in it\n"
    )
