"""Files of strangers, whatever is in them: one clear line for each, and what is beside them is read all the same."""

from __future__ import annotations

import gzip
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
from bindmatrix.observe.recordings import VERDICTS, read
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


def _host(**facts: object) -> Callable[[Path], None]:
    return _lines(header(**facts), LINE)


def _line(**more: object) -> Callable[[Path], None]:
    return _lines(header(), json.dumps({**json.loads(LINE), **more}))


def _bytes(data: bytes, name: str = NAME) -> Callable[[Path], None]:
    return lambda folder: _written(folder / name, data)


def _written(path: Path, data: bytes) -> None:
    path.write_bytes(data)


def _link(target: str, name: str = NAME) -> Callable[[Path], None]:
    return lambda folder: (folder / name).symlink_to(target)


def _also(name: str, make: Callable[[Path], None], of: Callable[[Path], None] | None = None) -> Callable[[Path], None]:
    """A good recording, and ``name`` beside it."""

    def both(folder: Path) -> None:
        (of or _host())(folder)
        make(folder / name)

    return both


def _verdicts(text: str) -> Callable[[Path], None]:
    return _also(VERDICTS, lambda path: _written(path, text.encode()), _bytes(PACKED))


PACKED = gzip.compress(f"{header()}\n{LINE}\n".encode(), mtime=0)


#: form -> how the folder of the bad machine is filled
FORMS: dict[str, Callable[[Path], None]] = {
    "nothing": lambda folder: None,
    "fifo": lambda folder: os.mkfifo(folder / NAME),
    "fifo of facts": _also("facts.json", os.mkfifo),
    "fifo of verdicts": _also(VERDICTS, os.mkfifo, _bytes(PACKED)),
    "loop": _link(NAME),
    "loop of facts": _also("facts.json", lambda path: path.symlink_to(path)),
    "loop of folders": lambda folder: (folder / "again").symlink_to(folder),
    "link to nothing": _link("nothing"),
    "link to the recording of another": _link("../observations-good/observations.jsonl", "observations.jsonl"),
    "device": _link("/dev/zero"),
    "device of verdicts": _also(VERDICTS, lambda path: path.symlink_to("/dev/zero"), _bytes(PACKED)),
    "a folder in the place of a file": lambda folder: (folder / NAME).mkdir(),
    "a folder in the place of facts": _also("facts.json", Path.mkdir),
    "a folder in the place of verdicts": _also(VERDICTS, Path.mkdir, _bytes(PACKED)),
    "empty file": _bytes(b"", "observations.jsonl"),
    "empty packed file": _bytes(b""),
    "packed and cut off": _bytes(PACKED[:-9]),
    "packed and cut off at once": _bytes(PACKED[:2]),
    "packed with a wrong sum": _bytes(PACKED[:-8] + b"\0" * 8),
    "packed, then garbage": _bytes(PACKED + b"garbage"),
    "no bytes of a recording": _bytes(bytes(range(256)) * 20),
    "NULs": _bytes(b"\0" * 5000, "observations.jsonl"),
    "in UTF-16": _bytes(f"{header()}\n{LINE}\n".encode("utf-16"), "observations.jsonl"),
    "header alone": _lines(header()),
    "no header": _lines(LINE),
    "header twice": _lines(header(), LINE, header(), LINE),
    "header of another format": _lines('{"format": [1], "host": {}}', LINE),
    "header of no host": _lines('{"format": "bindmatrix-observations/1", "host": []}', LINE),
    "a name with a newline": _bytes(b"x", "x\n::error::y.jsonl"),
    "a name that is no UTF-8": _bytes(b"x", os.fsdecode(b"\xff\xfe.jsonl")),
    "system that is a number": _host(os=5),
    "system that is a list": _host(os=["linux"]),
    "system that is null": _host(os=None),
    "system that nobody knows": _host(os="plan9"),
    "system with a NUL": _host(os="linux\0"),
    "release that is a list": _host(release=["6.1"]),
    "release that is a path": _host(release="../../../x"),
    "facts of wrong types": _host(addresses=5, sysctls=[1], options=7, kinds={"x": []}, privileged="x", users="x"),
    "sysctls of wrong types": _host(sysctls={"net.ipv6.bindv6only": {}, "net.core.somaxconn": "9" * 5000}),
    "facts that are large": _also("facts.json", lambda path: _written(path, b" " * (1 << 21))),
    "verdicts that are no JSON": _verdicts("x"),
    "verdicts nested deep": _verdicts(DEEP),
    "verdicts with a wrong size": _verdicts('{"observations": {"bytes": 5, "sha256": "aa"}}'),
    "verdicts with a size of many digits": _verdicts('{"observations": {"bytes": ' + "9" * 5000 + "}}"),
    "verdicts with an escape sequence": _verdicts('{"observations": {"bytes": "\\u001b[2J\\ud800"}}'),
    "verdicts of something else": _verdicts("[]"),
    "facts nested deep": _facts(DEEP),
    "facts of many digits": _facts('{"release": ' + "9" * 5000 + "}"),
    "facts as words of many digits": _facts(json.dumps({"release": "9" * 5000})),
    "facts with half a surrogate": _facts('{"release": "\\ud800", "os": "linux"}'),
    "facts of a foreign name": _facts('{"os": "\\ud800"}'),
    "facts that are no UTF-8": _facts('{"release": "\udcff"}'),
    "facts that are a list": _facts("[]"),
    "header nested deep": _lines('{"format": "bindmatrix-observations/1", "host": ' + DEEP, LINE),
    "header nested deep and closed": _host(x=json.loads("[" * 800 + "]" * 800)),
    "header with a deep fact": _lines(header(sysctls=json.loads("[" * 200 + "]" * 200)), LINE),
    "release of many digits": _lines(header(release="6." + "1" * 5000), LINE),
    "release that is a number": _lines(header(release=6), LINE),
    "release with half a surrogate": _lines(header(release="6.1\ud800"), LINE),
    "fact with half a surrogate": _lines(header(distribution="\ud800", **{"\udfff": "x"}), LINE),
    "addresses that are no list": _lines(header(addresses={"127.0.0.1": DEEP}), LINE),
    "system that is a path": _lines(header(os="../../x"), LINE),
    "repeats that are no list": _line(repeats=True),
    "repeats that are numbers": _line(repeats=[1, 2]),
    "outcomes that are a mapping": _line(outcomes={}),
    "outcomes that are too many": _line(outcomes=["ok"] * 50),
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
#: forms that may be judged: what is wrong counts as a scenario without a verdict, or as a fact that is not known
JUDGED = {
    "facts of wrong types",
    "sysctls of wrong types",
    "verdicts of something else",
    "header with a deep fact",
    "release that is a number",
    "release with half a surrogate",
    "fact with half a surrogate",
    "addresses that are no list",
    "outcomes that are too many",
    "scenario with half a surrogate",
    "scenario of many steps",
    "counts of many digits",
}


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs pipes with names")
@pytest.mark.parametrize("form", FORMS)
def test_one_machine_does_not_stop_collect(form: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Failed first for 15 forms: the good machine was not judged, or `collect` waited for ever.

    For ten others it was a defect, or the bad machine was judged as if nothing were wrong.
    """
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
    assert "\x1b" not in err
    assert len(err) < 1_500
    if form not in JUDGED:
        assert status == WRONG
        assert any(line.startswith("bad: ") for line in err.splitlines()), err
    assert "--release" not in err  # `collect` has no such option
    assert sum(one["verdicts"]["conforms"] for one in json.loads((out / "verdicts.json").read_text())) >= 1


@pytest.mark.parametrize("name", ["deep.toml", "big.toml", "big16.toml"])
def test_a_hostile_file_of_hosts(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Failed first: RecursionError, and Python's limit of digits."""
    assert main(["run", "--quick", "--hosts", str(HOSTILE / name), "--on", "a"]) == WRONG
    err = capsys.readouterr().err
    assert err.startswith(str(HOSTILE / name))
    assert "not TOML" in err or "expected a whole number" in err
    assert "sys." not in err


DIGITS = "9" * 5000


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["reproduce", PAIR, "--expect", f"[{DIGITS}]"], "a number of thousands of digits"),
        (["reproduce", PAIR, "--host", "facts.json"], "a number of thousands of digits"),
        (["predict", "--os", "linux", "scenarios.jsonl"], "a number of thousands of digits"),
        (["predict", "--os", "linux", f"user={DIGITS} a=tcp4"], "a user number from 0 to"),
        (["ask", f"tcp workers={DIGITS}"], "expected 2 to 8 workers"),
        (["ask", "tcp \u00b2 workers"], "expected 2 to 8 workers"),
        (["audit", DIGITS], "neither a file nor a runtime"),
        (["inspect", "--pid", DIGITS], "expected a whole number"),
        (["inspect", "--port", DIGITS], "expected a port"),
        (["reproduce", PAIR, "--port", "\u00b2"], "expected a port"),
        (["run", "--seed", DIGITS], "expected a whole number"),
        (["run", "--shard", f"{DIGITS}/{DIGITS}"], "expected K/N"),
        (["run", "--workers", "00000199"], "expected a number from 1 to 64"),
        (["run", "--on", f"via=python3,workers={DIGITS}"], "via=python3"),
        (["report", "--nothing", DIGITS], "unrecognized"),
    ],
)
def test_numbers_that_are_too_long(
    words: list[str], said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Failed first: Python's advice for programmers, two defects, 199 workers, and messages of 10,000 characters."""
    monkeypatch.chdir(tmp_path)
    for name in ("facts.json", "scenarios.jsonl"):
        Path(name).write_text(f'{{"os": "linux", "release": {DIGITS}}}\n')
    try:
        status = main(words)
    except SystemExit as error:  # argparse
        status = int(error.code or 0)
    err = capsys.readouterr().err
    assert status == WRONG, err
    assert "sys." not in err
    assert max(map(len, err.splitlines())) < 1_100
    assert said in err, err


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
