"""A results folder holds what the run wrote, all of it, or the command says otherwise."""

from __future__ import annotations

import gzip
import io
import json
import re
import signal
import zlib
from collections.abc import Callable
from pathlib import Path

import pytest
from bindmatrix.cli import run as run_verb
from bindmatrix.cli.main import OK, WRONG, main
from bindmatrix.errors import Problem
from bindmatrix.execute.hosts import MOST_WORKERS
from bindmatrix.observe import recordings, run_folder
from bindmatrix.observe.recordings import VERDICTS, Observation, header, line, read
from bindmatrix.observe.run_folder import NAME, RunFolder, _HashedFile
from bindmatrix.run.fleet import HostRun, run_on
from bindmatrix.run.plan import Plan

from tests.fake_kernel import FACTS, FakeKernel

PLAN = Plan("quick", examples=0, shard=(1, 10))
ONE = Observation("a=tcp4 a.bind=127.0.0.1", ("ok", "ok"))


def watch(_name: str, _total: int) -> Callable[[int], None]:
    return lambda _done: None


class Kernel(FakeKernel):
    lost = ""


def finished(folder: Path, kernel: Kernel | None = None, *, resume: bool = False) -> HostRun:
    outcome = run_on(kernel or Kernel(), "it", PLAN, lambda _name, _facts: (folder, resume), watch)  # type: ignore[arg-type]
    assert run_verb._finish(outcome, "again")
    return outcome


def delete(path: Path) -> None:
    path.unlink()


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-50])


def replace(path: Path) -> None:
    with gzip.open(path, "wb") as stream:
        stream.write(header(FACTS) + line(ONE))


def extend(path: Path) -> None:
    path.write_bytes(path.read_bytes() + gzip.compress(line(ONE)))


CHANGES = [delete, cut, replace, extend]


def test_a_run_says_what_it_wrote(tmp_path: Path) -> None:
    assert run_verb._status([finished(tmp_path)]) == OK
    data = json.loads((tmp_path / VERDICTS).read_text())["observations"]
    assert data["bytes"] == (tmp_path / NAME).stat().st_size
    assert main(["judge", str(tmp_path)]) == OK


@pytest.mark.parametrize("change", CHANGES)
def test_judge_knows_a_file_that_was_changed(
    change: Callable[[Path], None], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Failed first: what was replaced or appended after the run was judged as if the run had written it."""
    finished(tmp_path)
    change(tmp_path / NAME)
    assert main(["judge", str(tmp_path)]) == WRONG
    err = capsys.readouterr().err
    assert NAME in err


@pytest.mark.parametrize("change", [delete, cut, replace])  # the run itself writes over what is appended
def test_a_run_knows_that_its_file_was_changed(change: Callable[[Path], None], tmp_path: Path) -> None:
    """Failed first: the file was deleted or cut during the run, which ended with status 0."""

    class Meddler(Kernel):
        def run(self, scenarios):  # type: ignore[no-untyped-def]
            for number, lines in enumerate(super().run(scenarios)):
                if number == 1:
                    change(tmp_path / NAME)
                yield lines

    outcome = finished(tmp_path, Meddler())
    assert NAME in outcome.damage
    assert outcome.summary is not None
    assert outcome.damage in outcome.summary.notes
    assert run_verb._status([outcome]) == WRONG


def test_a_resumed_run_says_what_it_wrote(tmp_path: Path) -> None:
    finished(tmp_path, Kernel(interrupt_after=50))
    outcome = finished(tmp_path, resume=True)
    assert outcome.damage == ""
    assert main(["judge", str(tmp_path)]) == OK


def test_resume_says_what_it_could_not_read(tmp_path: Path) -> None:
    """Failed first: a damaged line was run again without a word."""
    finished(tmp_path)
    lines = gzip.decompress((tmp_path / NAME).read_bytes()).splitlines(keepends=True)
    lines[5] = b"{broken\n"
    (tmp_path / NAME).write_bytes(gzip.compress(b"".join(lines)))
    (tmp_path / VERDICTS).unlink()
    outcome = finished(tmp_path, resume=True)
    assert outcome.summary is not None
    (note,) = [note for note in outcome.summary.notes if "could not be read" in note]
    assert note.startswith("1 lines of the earlier run could not be read")
    assert f"{NAME}:6" in note


def test_resume_says_that_it_does_not_keep_everything(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Failed first: "1 lines of the earlier run could not be read"."""
    finished(tmp_path)
    monkeypatch.setattr(run_folder, "_MOST_RESUMED", 1000)
    results = RunFolder(tmp_path, FACTS, resume=True)
    results.close()
    assert results.problem.startswith("only 0 scenarios of the earlier run fit, the rest is run again: ")
    assert results.before == []


@pytest.mark.parametrize("batch", [1, 7, 150, 5000])
def test_a_run_that_is_killed_has_lost_fewer_than_200_observations(batch: int, tmp_path: Path) -> None:
    """Failed first: two seconds of observations, some 30,000, waited in memory."""
    results = RunFolder(tmp_path, FACTS)
    for written in range(0, 10_000, batch):
        results.write([line(ONE)] * batch)
        # what the file holds now is what a kill would leave
        there = zlib.decompressobj(31).decompress((tmp_path / NAME).read_bytes()).count(b"\n") - 1
        assert written + batch - there < 200
        if written > 1_000 and batch < 150:
            break


def test_two_runs_of_one_second_have_folders_of_their_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Failed first: the second one ended with status 2."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(run_verb.time, "strftime", lambda *_: "20261129T000000Z")
    found = [run_verb._folder(None, "it", FACTS, resume=False)[0] for _ in range(3)]
    assert len(set(found)) == 3
    for folder in found:
        RunFolder(folder, FACTS).close()


@pytest.mark.parametrize("option", ["--results", "--resume", "--hosts"])
def test_an_empty_word_is_no_folder(
    option: str, capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Failed first: --results "" wrote into the current folder."""
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit) as ended:
        main(["run", "--quick", option, ""])
    assert ended.value.code == WRONG
    assert "is a variable empty?" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("count", ["0", "65", "-1", "9" * 5000, "²"])
def test_workers_are_bounded(count: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["run", "--quick", "--workers", count])
    assert ended.value.code == WRONG
    assert f"from 1 to {MOST_WORKERS}" in capsys.readouterr().err


def test_a_file_is_read_as_far_as_the_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    """Failed first: 100 KB became 975 MB."""
    monkeypatch.setattr(recordings, "MAX_BYTES", 200_000)
    data = gzip.compress(header(FACTS) + line(ONE) * 20_000)
    recording = recordings.Recording(io.BytesIO(data), "x")
    sizes = [len(batch) for batch in recording.batches()]
    assert 0 < sum(sizes) < 4_000
    assert "holds more than 200,000 bytes" in str(recording.problem)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (b"x\n", "x:([0-9]+): [0-9,]+ lines could not be read; .* not read \\(the first problem: x:3: not JSON"),
        (b"\n", "x:([0-9]+): holds more than 50,000 lines; what comes after this line is not read$"),
    ],
)
def test_lines_without_end_are_not_read_for_hours(text: bytes, said: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Failed first: 1 MB of gzip can hold 500 million lines of nothing."""
    monkeypatch.setattr(recordings, "MAX_LINES", 50_000)
    monkeypatch.setattr(recordings, "MAX_BAD_LINES", 1_000)
    stream = io.BytesIO(gzip.compress(header(FACTS) + line(ONE) + text * 1_000_000))
    recording = recordings.Recording(stream, "x")
    assert list(recording) == [ONE]
    assert recording.left_off
    found = re.match(said, str(recording.problem))
    assert found, recording.problem
    assert int(found[1]) < 70_000  # the end of what was unpacked at once


def test_whoever_keeps_all_observations_gets_what_fits() -> None:
    """`diff` kept every line of both files."""
    data = header(FACTS) + b"".join(line(ONE._replace(scenario=f"a=tcp4 wait={number}")) for number in range(20_000))
    recording = recordings.Recording(io.BytesIO(data), "x")
    found = list(recording.held(1_000_000))
    assert 2000 < len(found) < 4000
    assert found == list(recordings.Recording(io.BytesIO(data), "x"))[: len(found)]
    assert "holds more than is kept in memory; what comes after this line is not read" in str(recording.problem)


@pytest.mark.skipif(not hasattr(signal, "pthread_sigmask"), reason="needs the signals of a Unix")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, getattr(signal, "SIGHUP", signal.SIGTERM)])
def test_a_signal_in_the_middle_of_a_write_waits_for_its_end(
    number: signal.Signals, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Failed first for SIGTERM and SIGHUP: the bytes that the file missed damaged all that came after them."""
    folder = RunFolder(tmp_path / "run", FACTS)
    write = _HashedFile.write

    def interrupted(file: _HashedFile, data: bytes) -> int:
        signal.raise_signal(number)
        return write(file, data)

    before = signal.signal(number, signal.default_int_handler)
    monkeypatch.setattr(_HashedFile, "write", interrupted)
    try:
        with pytest.raises(KeyboardInterrupt):
            folder.write([line(ONE)] * 500)
    finally:
        signal.signal(number, before)
        monkeypatch.undo()
    folder.write([line(ONE)] * 500)
    folder.close()
    recording = read(folder.path)
    assert len(list(recording)) == 1000
    assert recording.problem is None


def test_a_line_without_end_takes_no_memory() -> None:
    data = gzip.compress(header(FACTS) + b"x" * 50_000_000)
    recording = recordings.Recording(io.BytesIO(data), "x")
    assert list(recording) == []
    assert isinstance(recording.problem, Problem)
    assert recording._line <= 2
