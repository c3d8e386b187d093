"""Files of strangers, whatever is in them: one clear line for each, and what is beside them is read all the same."""

from __future__ import annotations

import json
import os
import signal
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from bindmatrix.cli.main import DEFECT, WRONG, main
from bindmatrix.generate.any_calls import random_calls
from bindmatrix.generate.deliveries import OTHER_TEAMS, random_deliveries
from bindmatrix.judge.shrink import _candidates
from bindmatrix.notation import parse
from bindmatrix.observe.recordings import read
from bindmatrix.observe.run_folder import NAME, RunFolder
from bindmatrix.rules import catalog
from bindmatrix.run.session import Session

from tests.fake_kernel import FACTS, FakeKernel

HOSTILE = Path(__file__).parent / "hostile"
PAIR = "a=tcp4 a.bind=0.0.0.0 b=tcp4 b.bind=0.0.0.0"
LINE = json.dumps({"scenario": PAIR, "outcomes": ["ok", "ok", "ok", "EADDRINUSE"]})
DEEP = "[" * 100_000


def header(**host: object) -> str:
    return json.dumps({"format": "bindmatrix-observations/1", "host": {"os": "linux", "release": "6.18.44", **host}})


def _facts(text: str) -> Callable[[Path], None]:
    def make(folder: Path) -> None:
        (folder / "observations.jsonl").write_text(f"{header()}\n{LINE}\n")
        (folder / "facts.json").write_bytes(text.encode("utf-8", "surrogateescape"))

    return make


def _lines(*lines: str) -> Callable[[Path], None]:
    def make(folder: Path) -> None:
        (folder / "observations.jsonl").write_text("".join(f"{one}\n" for one in lines))

    return make


def _fifo(folder: Path) -> None:
    os.mkfifo(folder / NAME)


def _fifo_of_facts(folder: Path) -> None:
    _lines(header(), LINE)(folder)
    os.mkfifo(folder / "facts.json")


def _loop(folder: Path) -> None:
    (folder / NAME).symlink_to(NAME)


def _loop_of_folders(folder: Path) -> None:
    (folder / "again").symlink_to(folder)


def _device(folder: Path) -> None:
    (folder / NAME).symlink_to("/dev/zero")


def _folder(folder: Path) -> None:
    (folder / NAME).mkdir()


#: form -> how the folder of the bad machine is filled
FORMS: dict[str, Callable[[Path], None]] = {
    "nothing": lambda folder: None,
    "fifo": _fifo,
    "fifo of facts": _fifo_of_facts,
    "loop": _loop,
    "loop of folders": _loop_of_folders,
    "device": _device,
    "a folder in the place of a file": _folder,
    "facts nested deep": _facts(DEEP),
    "facts of many digits": _facts('{"release": ' + "9" * 5000 + "}"),
    "facts as words of many digits": _facts(json.dumps({"release": "9" * 5000})),
    "facts with half a surrogate": _facts('{"release": "\\ud800", "os": "linux"}'),
    "facts of a foreign name": _facts('{"os": "\\ud800"}'),
    "facts that are no UTF-8": _facts('{"release": "\udcff"}'),
    "facts that are a list": _facts("[]"),
    "header nested deep": _lines('{"format": "bindmatrix-observations/1", "host": ' + DEEP, LINE),
    "header with a deep fact": _lines(header(sysctls=json.loads("[" * 200 + "]" * 200)), LINE),
    "release of many digits": _lines(header(release="6." + "1" * 5000), LINE),
    "release that is a number": _lines(header(release=6), LINE),
    "release with half a surrogate": _lines(header(release="6.1\ud800"), LINE),
    "fact with half a surrogate": _lines(header(distribution="\ud800", **{"\udfff": "x"}), LINE),
    "addresses that are no list": _lines(header(addresses={"127.0.0.1": DEEP}), LINE),
    "system that is a path": _lines(header(os="../../x"), LINE),
    "repeats that are no list": _lines(header(), LINE[:-1] + ', "repeats": true}'),
    "repeats nested deep": _lines(header(), LINE[:-1] + ', "repeats": ' + DEEP + "}"),
    "reason that is no text": _lines(header(), '{"scenario": "a=tcp4", "no_verdict": {"x": ["\\ud800"]}}'),
    "scenario with half a surrogate": _lines(header(), '{"scenario": "a=tcp4 \\ud800", "outcomes": ["ok", "ok"]}'),
    "scenario of many steps": _lines(header(), '{"scenario": "' + "a=tcp4 " * 20_000 + '", "outcomes": ["ok"]}'),
    "outcome of many digits": _lines(header(), '{"scenario": "a=tcp4", "outcomes": [' + "9" * 5000 + "]}"),
    "counts of many digits": _lines(
        header(),
        json.dumps(
            {"scenario": "a=udp4 a.bind=127.0.0.1 deliver=127.0.0.1", "outcomes": ["ok", "ok", "a:" + "9" * 900]}
        ),
    ),
    "counts in other digits": _lines(
        header(), '{"scenario": "a=udp4 a.bind=127.0.0.1 deliver=127.0.0.1", "outcomes": ["ok", "ok", "a:\\u00b2"]}'
    ),
}


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs pipes with names")
@pytest.mark.parametrize("form", FORMS)
def test_one_machine_does_not_stop_collect(form: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Failed first for 15 forms: the good machine was not judged, or `collect` waited for ever."""
    for name in ("observations-good", "observations-bad"):
        (tmp_path / "in" / name).mkdir(parents=True)
    _lines(header(), LINE)(tmp_path / "in" / "observations-good")
    FORMS[form](tmp_path / "in" / "observations-bad")
    evidence = tmp_path / "evidence"
    evidence.mkdir()
    out = tmp_path / "out"
    signal.alarm(60)
    status = main(["collect", str(tmp_path / "in"), "--out", str(out), "--evidence", str(evidence)])
    signal.alarm(0)
    err = capsys.readouterr().err
    assert status != DEFECT, err
    assert "defect" not in err
    assert "Traceback" not in err
    assert any("good" in path.read_text() for path in [out / "summary.md"])
    told = status != WRONG or "bad" in err
    assert told, err
    assert sum(one["verdicts"]["conforms"] for one in json.loads((out / "verdicts.json").read_text())) >= 1


@pytest.mark.parametrize("name", ["deep.toml", "big.toml", "big16.toml"])
def test_a_hostile_file_of_hosts(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Failed first: RecursionError, and Python's limit of digits."""
    assert main(["run", "--quick", "--hosts", str(HOSTILE / name), "--on", "a"]) == WRONG
    err = capsys.readouterr().err
    assert err.startswith(str(HOSTILE / name))
    assert "not TOML" in err or "expected a whole number" in err


@pytest.mark.parametrize("verb", ["lint", "predict --os"])
def test_rules_that_need_ask_and_have_none(verb: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Failed first: lint found no problem, and predict was an AttributeError."""
    status = main([*verb.split(), str(HOSTILE / "windows-without-ask.yaml"), *([PAIR] if "predict" in verb else [])])
    found = capsys.readouterr()
    assert (status, "ask" in found.out + found.err) == (1 if verb == "lint" else WRONG, True) or status == WRONG
    assert "defect" not in found.err


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("tcp: {ipv4: [ipv4], mapped: [ipv6], dual: [ipv6], ipv6: [ipv6]}", "", "'tcp' is missing"),
        ("os: illumos", "os: &a [*a]", "aliases"),
        (
            "os: illumos",
            "os: illumos\nx: &x0 [1, 2]\n"
            + "".join(f"x{n}: &x{n} [{', '.join([f'*x{n - 1}'] * 9)}]\n" for n in range(1, 12)),
            "aliases",
        ),
        ("os: illumos", "os: [a", "not YAML"),
        ("os: illumos", "x: " + "[" * 5000, "nest"),
        ("points: 1,", f"points: {'9' * 5000},", "whole number"),
    ],
)
def test_a_hostile_expectation_file(
    old: str, new: str, said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    text = (catalog.folder() / "illumos.yaml").read_text()
    assert old in text
    (tmp_path / "illumos.yaml").write_text(text.replace(old, new, 1))
    assert main(["predict", "--os", str(tmp_path / "illumos.yaml"), PAIR]) == WRONG
    err = capsys.readouterr().err
    assert said in err
    assert "defect" not in err


def test_the_shrinker_has_a_candidate_for_every_scenario() -> None:
    """Failed first: a group to join was made 127.0.0.1, a ValueError that took the summary with it."""
    texts = ["a=udp4 a.join=224.0.0.251 a.bind=0.0.0.0 deliver=224.0.0.251"]
    for seed in range(3):
        texts += random_deliveries(seed, 200)
        texts += random_deliveries(seed, 50, teams=OTHER_TEAMS)
        texts += random_calls(seed, 100)
    assert sum(".join=" in text for text in texts) > 10
    for text in texts:
        steps = list(parse(text).steps)
        for length in range(1, len(steps) + 1):
            for candidate in _candidates(steps[:length], len(steps)):
                assert len(candidate) <= length


def test_a_divergence_after_a_join_is_shrunk() -> None:
    text = "a=udp4 a.bind=0.0.0.0 a.join=224.0.0.251 b=tcp4 b.bind=127.0.0.1 deliver=224.0.0.251"

    def deaf(scenario: str, outcomes: list[str], runs: int) -> list[str]:
        return [*outcomes[:-1], "timeout"] if ".join=" in scenario and "deliver" in scenario else outcomes

    (group,) = Session(FakeKernel(fault=deaf)).run([text]).groups
    assert group.kind == "diverges"
    assert "join=224.0.0.251" in group.shrunk
    assert len(group.shrunk) < len(text)


def test_a_clock_before_1970(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Failed first: the header of a gzip file holds no time before 1970."""
    monkeypatch.setattr(time, "time", lambda: -1e9)
    for resume in (False, True):
        results = RunFolder(tmp_path, FACTS, resume=resume)
        Session(FakeKernel(), results).run([PAIR])
        results.close()
    assert [one.scenario for one in read(tmp_path)] == [PAIR]


#: texts of strangers, and what must not come out of them
STRANGE = "x\x1b[2J\x07\u202e@me https://x.invalid <b> `c` |\n::error::x"


def test_names_and_reasons_of_strangers_are_plain_text(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Folders, files, facts and reasons: on standard error, in the terminal's summary and in summary.md."""
    name = STRANGE.replace("/", "")
    for suffix in ("good", "bad"):
        folder = tmp_path / "in" / f"observations-{name}{suffix}"
        folder.mkdir(parents=True)
        lines = [header(distribution=STRANGE, release="6.18.44"), LINE]
        lines += [json.dumps({"scenario": "a=tcp4", "no_verdict": STRANGE}), json.dumps({"scenario": STRANGE})]
        (folder / f"{name}.jsonl").write_text("\n".join(lines) if suffix == "good" else STRANGE)
    out = tmp_path / "out"
    main(["collect", str(tmp_path / "in"), "--out", str(out), "--expected", "\x1b[2J"])
    main(["judge", str(tmp_path / "in" / f"observations-{name}good" / f"{name}.jsonl")])
    main(["judge", str(tmp_path / name)])
    main(["run", "--quick", "--on", STRANGE])
    main(["run", "--quick", "--hosts", name])
    found = capsys.readouterr()
    for text in (found.out, found.err, (out / "summary.md").read_text()):
        assert not set("\x1b\x07\u202e") & set(text)
        assert not any(line.startswith(("::", "##[")) for line in text.splitlines()), text
    summary = (out / "summary.md").read_text()
    assert "@me" not in summary
    assert "https://x" not in summary
    assert "<b>" not in summary
