"""``check``: the form of a needs file, what is met where, and what is written about it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest
from bindmatrix.answers.needs import ByObservation, ByRules, NeedStatus
from bindmatrix.answers.needs_file import SystemName, parse_needs, read
from bindmatrix.cli.main import main
from bindmatrix.errors import Problems
from bindmatrix.notation import parse
from bindmatrix.observe.recordings import Observation, header, line

from tests.fake_kernel import FakeKernel

ROOT = Path(__file__).parents[2]
CLASSIC = "a=tcp4 a.reuseaddr=1 a.bind=0.0.0.0 a.listen b=tcp4 b.reuseaddr=1 b.bind=127.0.0.1"
SPREAD = (
    "a=tcp4 a.reuseport=1 a.bind=127.0.0.1 a.listen b=tcp4 b.reuseport=1 b.bind=127.0.0.1 b.listen deliver=127.0.0.1"
)


def check(capsys: pytest.CaptureFixture[str], *words: object) -> tuple[int, str, str]:
    status = main(["check", *map(str, words)])
    out, err = capsys.readouterr()
    return status, out, err


def written(tmp_path: Path, *lines: str) -> Path:
    path = tmp_path / "needs.txt"
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def statuses(need: str, *systems: str) -> list[NeedStatus]:
    (one,) = parse_needs([need]).needs
    return [ByRules(SystemName(*system.split("@"))).judge(one).status for system in systems]


# --- the form


def test_a_line_reads_aloud() -> None:
    lines = [
        "systems: linux, macos@15",
        "# a comment",
        "",
        "# nobody else",
        "# takes it",
        f"on linux, freebsd: {CLASSIC} => refused except freebsd@13: ok; linux: EADDRINUSE or EACCES",
    ]
    file = parse_needs(lines)
    (need,) = file.needs
    assert file.systems == (SystemName("linux"), SystemName("macos", "15"))
    assert (need.title, need.place.line) == ("nobody else takes it", 6)
    assert need.scenario.text == CLASSIC
    assert need.only == (SystemName("linux"), SystemName("freebsd"))
    assert need.of_steps("linux", "6.1")[-1] == ("EADDRINUSE", "EACCES")
    assert need.of_steps("freebsd", "13.2")[-1] == "ok"
    assert need.of_steps("freebsd", "14.0")[-1] == "refused"
    assert set(need.before) == {"ok"}
    assert not need.applies("macos", "15.5")


def test_a_release_wins_over_its_system_in_either_order() -> None:
    for clauses in ("linux: EACCES; linux@6.1: ok", "linux@6.1: ok; linux: EACCES"):
        (need,) = parse_needs([f"{CLASSIC} => refused except {clauses}"]).needs
        assert need.of_steps("linux", "6.1.5")[-1] == "ok"
        assert need.of_steps("linux", "6.10")[-1] == "EACCES"


def test_a_delivery_on_the_way_may_have_any_outcome() -> None:
    (need,) = parse_needs(["a=udp4 a.bind=127.0.0.1 deliver=127.0.0.1 a.close => ok"]).needs
    assert need.before == ("ok", "ok", None)


@pytest.mark.parametrize(
    ("text", "column", "message"),
    [
        ("a=tcp4 a.bnd=::1 => ok", 8, "did you mean 'bind'?"),
        ("\ta=tcp4\ta.bnd=::1 => ok", 9, "did you mean 'bind'?"),
        ("a=tcp4 a.bind=::1", 18, "expected '=> OUTCOME'"),
        ("a=tcp4 a.bind=::1 =>", 21, "expected ok, refused (any error) or the name of an error, got ''"),
        ("a=tcp4 => EADRINUSE", 11, "did you mean 'EADDRINUSE'?"),
        ("a=tcp4 => ok or okay", 17, "got 'okay'"),
        ("on linux windos: a=tcp4 => ok", 4, "no system is called 'linux windos'"),
        ("on linux, windos: a=tcp4 => ok", 11, "did you mean 'windows'?"),
        ("on linux@all: a=tcp4 => ok", 4, "'linux' alone means every release"),
        ("a=tcp4 => ok except linux: ok; linux: EACCES", 32, "linux is named twice"),
        ("a=tcp4 => ok except linux", 21, "expected 'SYSTEM: OUTCOME'"),
        ("a=udp4 a.bind=::1 deliver=::1 => spread:a,c", 34, "'c' is no socket"),
        ("a=udp4 a.bind=::1 deliver=::1 => ok", 34, "expected who receives"),
        ("systems: linux, macos@", 17, "expected a release"),
    ],
)
def test_what_is_wrong_is_told_with_its_column(text: str, column: int, message: str) -> None:
    with pytest.raises(Problems) as raised:
        parse_needs([text], "file")
    (problem, *more) = [one for one in raised.value.problems if "holds no need" not in one.message]
    assert not more
    assert (problem.place.line, problem.place.column) == (1, column)
    assert message in problem.message


def test_all_errors_at_once_and_nothing_is_judged(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    path = written(tmp_path, "a=tcp4 => okay", "a=tcp4 => ok", "b=tcp => ok", "systems: linux")
    status, out, err = check(capsys, path)
    assert (status, out) == (2, "")
    places = [text.split(": ")[0] for text in err.splitlines() if text.startswith(str(path))]
    assert places == [f"{path}:1:11", f"{path}:3:1", f"{path}:4:1"]


def test_files_that_are_none(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    (tmp_path / "binary").write_bytes(b"# a\n\xff\xfe\n")
    for name, told in (("absent", "cannot be read"), ("binary", "binary:2: not text in UTF-8")):
        status, _, err = check(capsys, tmp_path / name)
        assert status == 2
        assert told in err
    status, _, err = check(capsys, written(tmp_path, "# nothing"))
    assert (status, "holds no need" in err) == (2, True)


# --- what is met


@pytest.mark.parametrize(
    ("need", "status"),
    [
        (f"{CLASSIC} => EADDRINUSE", NeedStatus.MET),
        (f"{CLASSIC} => refused", NeedStatus.MET),
        (f"{CLASSIC} => ok", NeedStatus.NOT_MET),
        (f"{CLASSIC} => ok or EADDRINUSE", NeedStatus.MET),
        (f"{CLASSIC} => refused except linux: ok", NeedStatus.NOT_MET),
        (f"on macos: {CLASSIC} => refused", NeedStatus.NOT_ASKED),
        # the step before the last fails
        (f"{CLASSIC} b.close => ok", NeedStatus.NOT_MET),
        (f"{SPREAD} => spread:b,a", NeedStatus.MET),
        (f"{SPREAD} => a", NeedStatus.NOT_MET),
        (f"{SPREAD} => every:a,b", NeedStatus.NOT_MET),
    ],
)
def test_by_the_rules_of_linux(need: str, status: NeedStatus) -> None:
    assert statuses(need, "linux") == [status]


def test_an_option_that_a_system_lacks_is_a_need_not_met() -> None:
    (need,) = parse_needs(["a=tcp4 a.reuseport=1 a.bind=0.0.0.0 => ok"]).needs
    cell = ByRules(SystemName("windows")).judge(need)
    assert cell.status == NeedStatus.NOT_MET
    assert cell.says(need) == "a.reuseport=1 returns ENOPROTOOPT, needed ok"
    assert cell.reason == "has no SO_REUSEPORT"


def test_unknown_is_not_met_and_fails_only_when_asked(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    restart = (ROOT / "examples" / "needs.txt").read_text(encoding="utf-8").splitlines()[6]
    path = written(tmp_path, restart)
    status, out, _ = check(capsys, path, "--os", "windows")
    assert (status, "0 met, 0 not met, 1 unknown" in out) == (0, True)
    assert check(capsys, path, "--os", "windows", "--strict")[0] == 1
    for strict, tag in (((), "skipped"), (("--strict",), "failure")):
        check(capsys, path, "--os", "windows", "--junit", tmp_path / "x.xml", *strict)
        assert ET.parse(tmp_path / "x.xml").find(f".//{tag}") is not None


def test_all_releases_give_the_worst_and_name_it() -> None:
    """Windows XP refuses a more specific address beside a wildcard, every later Windows lets it in."""
    text = "a=tcp4 a.bind=0.0.0.0 b=tcp4 b.bind=127.0.0.1"
    (apart,) = parse_needs([f"{text} => ok"]).needs
    assert ByRules(SystemName("windows")).judge(apart).status == NeedStatus.MET
    assert ByRules(SystemName("windows", "xp")).judge(apart).status == NeedStatus.NOT_MET
    cell = ByRules(SystemName("windows", "all")).judge(apart)
    assert (cell.status, cell.release) == (NeedStatus.NOT_MET, "5.1")
    (known,) = parse_needs([f"{text} => ok except windows@xp: EADDRINUSE"]).needs
    assert ByRules(SystemName("windows", "all")).judge(known).status == NeedStatus.MET


def test_a_release_that_a_need_names_is_judged_too() -> None:
    (need,) = parse_needs([f"{CLASSIC} => refused except linux@6.3: ok"]).needs
    cell = ByRules(SystemName("linux", "all")).judge(need)
    assert (cell.status, cell.release) == (NeedStatus.NOT_MET, "6.3")


def observed(outcomes: list[str | None], need: str, **facts: str) -> NeedStatus:
    (one,) = parse_needs([need]).needs
    host = {"os": "linux", "release": "6.12", **facts}
    column = ByObservation(host, [Observation(one.scenario.text, tuple(outcomes))], "run on 6.12", "x")
    return column.judge(one).status


def test_what_was_observed_decides_not_what_the_rules_say() -> None:
    steps = len(parse(CLASSIC).steps)
    oks: list[str | None] = ["ok"] * steps
    assert observed(oks, f"{CLASSIC} => ok") == NeedStatus.MET
    assert observed(oks, f"{CLASSIC} => refused") == NeedStatus.NOT_MET
    assert observed([*oks[:-1], "EADDRINUSE"], f"{CLASSIC} => refused") == NeedStatus.MET
    assert observed([*oks[:-1], "refused"], f"{CLASSIC} => EACCES") == NeedStatus.UNKNOWN
    assert observed([*oks[:-1], None], f"{CLASSIC} => ok") == NeedStatus.UNKNOWN
    # the port was taken: a failed set-up, no need that is not met
    assert observed(["ok", "ok", "EADDRINUSE", *oks[3:]], f"{CLASSIC} => ok") == NeedStatus.UNKNOWN
    deliver = len(parse(SPREAD).steps) - 1
    assert observed([*["ok"] * deliver, "a:15,b:17"], f"{SPREAD} => spread:a,b") == NeedStatus.MET
    assert observed([*["ok"] * deliver, "a:32"], f"{SPREAD} => spread:a,b") == NeedStatus.NOT_MET


def test_recordings(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    path = written(tmp_path, f"{CLASSIC} => refused", "a=udp4 a.bind=::ffff:1.2.3.4 => EINVAL")
    record = tmp_path / "observations.jsonl"
    ok = Observation(CLASSIC, ("ok",) * len(parse(CLASSIC).steps))
    record.write_bytes(header({"os": "linux", "release": "6.12"}) + line(ok))
    status, out, _ = check(capsys, path, "--recorded", record, "--json")
    first, second = json.loads(out)["needs"]
    assert status == 1
    assert first["systems"]["linux 6.12"]["status"] == "not met"
    assert first["systems"]["linux 6.12"]["method"] == "recorded on linux 6.12"
    assert second["systems"]["linux 6.12"]["reason"] == "the recording does not hold this scenario"
    record.write_bytes(record.read_bytes() + b"no JSON\n")
    status, out, err = check(capsys, path, "--recorded", record)
    assert status == 2
    assert "1 not met, 1 unknown" in out  # what could be read is judged
    assert "observations.jsonl:3" in err
    (tmp_path / "empty.jsonl").touch()
    status, out, err = check(capsys, path, "--recorded", tmp_path / "empty.jsonl", tmp_path / "absent")
    assert (status, out) == (2, "")
    assert [text.partition(": ")[2].split(";")[0] for text in err.splitlines()] == [
        "holds no observations",
        "cannot be read: No such file or directory",
    ]


def test_two_machines_of_one_release_are_two_columns(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    path = written(tmp_path, f"{CLASSIC} => refused")
    for name, last in (("a", "ok"), ("b", "EADDRINUSE")):
        outcomes = (*["ok"] * (len(parse(CLASSIC).steps) - 1), last)
        (tmp_path / name).write_bytes(header({"os": "linux", "release": "6.12"}) + line(Observation(CLASSIC, outcomes)))
    _, out, _ = check(capsys, path, "--recorded", tmp_path / "a", tmp_path / "b", "--json")
    (need,) = json.loads(out)["needs"]
    assert {label: cell["status"] for label, cell in need["systems"].items()} == {
        "linux 6.12": "not met",
        "linux 6.12 #2": "met",
    }


def test_what_a_file_or_a_machine_says_moves_no_cursor(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    path = written(tmp_path, "# \x1b[2J::error::x", f"{CLASSIC} => refused")
    evil = header({"os": "linux", "release": "6.12\x1b[2J"}) + line(Observation(CLASSIC, ("ok",)))
    (tmp_path / "evil").write_bytes(evil)
    status, out, err = check(
        capsys, path, "--os", "macos", "--recorded", tmp_path / "evil", "--markdown", tmp_path / "x.md"
    )
    assert status == 1
    assert "\x1b" not in out + err + (tmp_path / "x.md").read_text(encoding="utf-8")


def test_runs_that_disagree_decide_nothing() -> None:
    (need,) = parse_needs([f"{CLASSIC} => refused"]).needs
    oks = ("ok",) * len(need.scenario.steps)
    runs = [Observation(CLASSIC, oks), Observation(CLASSIC, (*oks[:-1], "EADDRINUSE"))]
    cell = ByObservation({"os": "linux", "release": "6.12"}, runs, "run on 6.12", "x").judge(need)
    assert cell.status == NeedStatus.UNKNOWN
    assert cell.reason == "flaky: of 2 runs 1 gave EADDRINUSE and 1 gave ok"


def test_recorded_evidence_says_how_it_was_obtained(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    evidence = ROOT / "expectations" / "evidence" / "macos-15.5" / "pairs.jsonl.gz"
    text = "a=tcp4 a.bind=0.0.0.0 b=tcp4 b.bind=0.0.0.0 b.listen"
    _, out, _ = check(capsys, written(tmp_path, f"{text} => ok"), "--recorded", evidence, "--json")
    (need,) = json.loads(out)["needs"]
    # its bind() was refused there
    assert need["systems"]["macos 15.5"]["status"] == "not met"
    assert need["systems"]["macos 15.5"]["method"].startswith("compiled from 11.5")


def test_on_this_kernel(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    path = written(tmp_path, "a=tcp4 a.bind=127.0.0.1 a.listen b=tcp4 b.bind=127.0.0.1 => refused", "a=tcp4 => EACCES")
    status, out, _ = check(capsys, path, "--here", "--json")
    assert status == 1
    found = [next(iter(one["systems"].items())) for one in json.loads(out)["needs"]]
    assert [cell["status"] for _, cell in found] == ["met", "not met"]
    assert all(label.endswith(" here") and cell["method"].startswith("run on ") for label, cell in found)


@contextmanager
def standing_in(kernel: FakeKernel) -> Iterator[FakeKernel]:
    kernel.lost = ""
    yield kernel


@pytest.mark.parametrize(("oks", "status", "reason"), [((0, 1, 2, 3), "not met", ""), ((0, 2), "unknown", "flaky")])
def test_what_is_not_met_here_is_repeated(
    oks: tuple[int, ...],
    status: str,
    reason: str,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The kernel lets the second socket in, against the rules: every time, or in the runs ``oks`` alone."""

    def fault(text: str, outcomes: list[str], run: int) -> list[str]:
        return ["ok"] * len(outcomes) if text == CLASSIC and run in oks else outcomes

    kernel = FakeKernel(fault=fault)
    monkeypatch.setattr("bindmatrix.cli.check.this_host", lambda workers: standing_in(kernel))
    code, out, _ = check(capsys, written(tmp_path, f"{CLASSIC} => refused", "a=tcp4 => ok"), "--here", "--json")
    first, second = (next(iter(one["systems"].values())) for one in json.loads(out)["needs"])
    assert (first["status"], second["status"]) == (status, "met")
    assert first["reason"].startswith(reason)
    assert (kernel.ran.count(CLASSIC), kernel.ran.count("a=tcp4")) == (4, 1)
    assert code == (1 if status == "not met" else 0)


# --- what is written


def test_the_example_is_met_wherever_anything_is_known(capsys: pytest.CaptureFixture[str]) -> None:
    status, out, _ = check(capsys, ROOT / "examples" / "needs.txt")
    assert status == 0
    assert max(map(len, out.splitlines())) <= 80
    assert out.startswith("need ")
    assert "0 not met" in out
    assert {str(one) for one in read(ROOT / "examples" / "needs.txt").systems} == {
        "linux",
        "freebsd",
        "macos",
        "windows",
    }


def test_many_systems_fit_in_80_columns(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    systems = ["linux@all", "linux@6.1", "windows@server-2019", "freebsd@13.2", "macos", "openbsd", "netbsd", "illumos"]
    words = [word for one in systems for word in ("--os", one)]
    written(tmp_path, f"{CLASSIC} => refused")
    _, out, _ = check(capsys, "needs.txt", *words)
    assert max(map(len, out.splitlines())) <= 80
    assert all(one in out for one in systems)


def test_markdown_and_junit_tell_the_same(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    path = written(tmp_path, "# a | b *c*", f"on linux, macos: {CLASSIC} => refused")
    words = ["--os", "linux", "--os", "macos", "--os", "windows"]
    status, out, _ = check(
        capsys, path, *words, "--markdown", tmp_path / "x.md", "--junit", tmp_path / "x.xml", "--json"
    )
    assert status == 1
    (need,) = json.loads(out)["needs"]
    assert [cell["status"] for cell in need["systems"].values()] == ["met", "not met", "not asked"]
    text = (tmp_path / "x.md").read_text(encoding="utf-8")
    assert text.startswith("# ❌ ")
    assert "a \\| b \\*c\\*" in text
    assert "returns ok, needed any error" in text
    root = ET.parse(tmp_path / "x.xml").getroot()
    assert (root.get("tests"), root.get("failures"), root.get("skipped")) == ("2", "1", "0")
    assert [suite.get("tests") for suite in root] == ["1", "1", "0"]


def test_a_need_that_nobody_was_asked_about_is_told(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    status, out, _ = check(capsys, written(tmp_path, "on openbsd: a=tcp4 => ok"), "--os", "linux")
    assert status == 0
    assert "needs.txt:1: no system was asked; name it with --os openbsd" in " ".join(out.split())


def test_the_scenarios_alone(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    path = written(tmp_path, f"{CLASSIC} => ok", f"on linux: {CLASSIC} => refused", "a=tcp4 => ok")
    assert check(capsys, path, "--scenarios")[1].splitlines() == [CLASSIC, "a=tcp4"]
