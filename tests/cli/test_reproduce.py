"""The verb ``reproduce``, the Winsock form, the forms of the trackers."""

from __future__ import annotations

import json
import random
import re
import shlex
import shutil
import subprocess
from pathlib import Path

import pytest
from bindmatrix.cli.main import main
from bindmatrix.generate.matrix import matrix
from bindmatrix.generate.sequences import random_sequences
from bindmatrix.notation import SOCKET_KINDS, parse
from bindmatrix.reproduce import c_program, cases, files, program_plan, python_program, tracker_text
from bindmatrix.reproduce.program_plan import ProgramPlan, condition
from bindmatrix.rules import catalog

FREEBSD = {"os": "freebsd", "release": "15.0"}

PAIR = "a=tcp4 a.reuseaddr=1 a.bind=0.0.0.0 b=tcp4 b.bind=127.0.0.1"
CONNECTION = "a=tcp6 a.v6only=0 a.exclusive=1 a.bind=:: a.listen c=tcp4 c.connect=127.0.0.1 x=a.accept x.close c.read"
ODD = "a=tcp4 a.close a.close a.bind=127.0.0.1,0 b=tcp6 b.bind=192.0.2.1 x=b.accept x.read a=udp4 a.v6only=1"
GROUP = "a=udp4 a.bind=0.0.0.0 a.join=224.0.0.251 b=udp6 b.bind=:: b.join=ff02::fb wait=5"


def facts_file(folder: Path, **facts: object) -> str:
    path = folder / "facts.json"
    path.write_text(json.dumps({"os": "freebsd", "release": "15.0", **facts}), encoding="utf-8")
    return str(path)


def test_runs_here_and_prints_the_report(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["reproduce", PAIR, "--expect", "ok ok ok ok ok"]) == 0
    text = capsys.readouterr().out
    assert "(Method: run on " in text
    assert re.search(r"b.bind=127.0.0.1 +ok +EADDRINUSE +<--", text)
    assert "--- repro.c ---" in text
    assert "--- repro.py ---" in text


def test_a_kind_of_socket_without_programs_is_said(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["reproduce", "a=unix a.bind=/x", "--expect", "ok ok"]) == 2
    assert "no program can be written for 'a=unix'" in capsys.readouterr().err


def test_writes_files_for_another_host(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = tmp_path / "made"
    assert main(["reproduce", PAIR, "--host", facts_file(tmp_path), "--output", str(folder)]) == 0
    assert sorted(path.name for path in folder.iterdir()) == ["report.txt", "repro.c", "repro.py", "scenario.txt"]
    assert "Product: Base System" in (folder / "report.txt").read_text(encoding="utf-8")
    assert "Nothing was executed for this report. Source of the outcomes: compiled from 13.0" in (
        folder / "report.txt"
    ).read_text(encoding="utf-8")


def test_takes_what_a_recording_saw(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "seen.jsonl"
    header = {
        "format": "bindmatrix-observations/1",
        "host": {"os": "openbsd", "release": "7.9", "kernel": "OpenBSD", "machine": "amd64"},
    }
    seen = {"scenario": PAIR, "outcomes": ["ok", "ok", "ok", "ok", "EACCES"]}
    path.write_text(json.dumps(header) + "\n" + json.dumps(seen) + "\n", encoding="utf-8")
    assert main(["reproduce", PAIR, "--host", str(path), "--lang", "report"]) == 0
    text = capsys.readouterr().out
    assert "`b.bind=127.0.0.1` gives EACCES; EADDRINUSE was expected" in text
    assert "sendbug" in text
    assert "uname: OpenBSD 7.9 amd64" in text
    with path.open("a", encoding="utf-8") as stream:
        stream.write('{"scenario": "a=')
    assert main(["reproduce", PAIR, "--host", str(path), "--lang", "report"]) == 2
    captured = capsys.readouterr()
    assert captured.out == text
    assert captured.err.startswith(f"{path}:3: not JSON")


def test_what_is_known_of_a_host_wins_over_what_it_says_itself(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """As ``report`` has it, whose command leads here."""
    header = {"format": "bindmatrix-observations/1", "host": {"os": "gvisor", "release": "4.4.0"}}
    seen = {"scenario": "a=tcp4 a.bind=::ffff:127.0.0.1", "outcomes": ["ok", "ok"]}
    (tmp_path / "seen.jsonl").write_text(f"{json.dumps(header)}\n{json.dumps(seen)}\n")
    (tmp_path / "facts.json").write_text('{"release": "20221219"}')
    assert main(["reproduce", seen["scenario"], "--host", str(tmp_path), "--lang", "report"]) == 0
    report = capsys.readouterr().out
    assert "gVisor 20221219" in report
    assert "4.4.0" not in report


@pytest.mark.parametrize("os", catalog.names())
def test_every_system_has_a_report_with_rule_and_evidence(os: str) -> None:
    release = catalog.expectations(os).covers[1]
    case = cases.build(parse(PAIR), {"os": os, "release": release})
    text = files.files(case)["report.txt"]
    assert case.lines[-1].rules[0].id in text
    assert "  source: " in text or "  recorded: " in text or "  documentation: " in text
    assert ("repro_winsock.c" in text) == (os in ("windows", "wine"))
    assert case.subject in text


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([" "], "expected a scenario such as"),
        (["a=tcp4 a.bnd=::"], "unknown call or option 'bnd'"),
        ([PAIR, "--expect", "ok ok"], "2 outcomes for 5 steps"),
        ([PAIR, "--expect", "ok ok ok ok ENO!"], "the name of an error"),
        ([PAIR, "--expect", "[1"], "not JSON"),
        ([PAIR, "--expect", "[1,2,3,4,5]"], "the name of an error"),
        ([PAIR, "--expect", "ok ok ok ok EFOO"], "is the name of no error"),
        ([PAIR, "--expect", "ok ok ok ok eaddrinuse"], "did you mean 'EADDRINUSE'?"),
        ([PAIR, "--host", ""], "--host: expected a system"),
        ([PAIR, "--expect", "ok ok ok ok a"], "for 'b.bind=127.0.0.1', got 'a'"),
        (["a=udp4 a.bind=::1 deliver=::1", "--expect", "ok ok b"], "'b' is no open socket of that kind"),
        ([PAIR, "--host", "nowhere.json"], "neither a file nor a system"),
        ([PAIR, "--host", "frebsd@14"], "did you mean 'freebsd'?"),
        ([PAIR, "--host", "freebsd@x"], "the host's release: "),
        ([PAIR, "--host", '{"os": "linux", "release": 5}'], "expected 'release' as a string, got 5"),
        ([PAIR, "--host", '{"os": "linux", "sysctls": 5}'], "expected 'sysctls' as an object"),
        ([PAIR, "--host", '{"os": '], "not JSON"),
    ],
)
def test_bad_input_is_one_clear_line(arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["reproduce", *arguments]) == 2
    error = capsys.readouterr().err
    assert message in error
    assert "Traceback" not in error


def test_facts_without_a_system(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["reproduce", PAIR, "--host", facts_file(tmp_path, os="")]) == 2
    assert "expected the facts of a host" in capsys.readouterr().err


DELIVERIES = [
    "a=tcp4 a.bind=0.0.0.0 a.listen b=tcp4 b.bind=127.0.0.1 b.close deliver=127.0.0.1 a.close deliver=127.0.0.1",
    "a=udp6 a.v6only=0 a.bind=:: deliver=::ffff:127.0.0.1 deliver_flow=::1 a.close deliver=::1 deliver_flow=127.0.0.1",
    "a=udp4 a.bind=0.0.0.0 a.join=224.0.0.251 deliver=224.0.0.251",
    "a=tcp4 a.bind=127.0.0.1 a.listen b=udp4 b.bind=127.0.0.1 deliver=127.0.0.1 deliver_flow=127.0.0.1",
]


@pytest.mark.parametrize("text", [PAIR, CONNECTION, GROUP, *DELIVERIES])
def test_winsock_form_has_no_call_of_posix(text: str) -> None:
    case = cases.build(parse(text), {"os": "windows", "release": "10.0.26100"})
    program = c_program.program(case, winsock=True)
    code = re.sub(r"/\*.*?\*/", "", program, flags=re.DOTALL)
    code = re.sub(r'"[^"]*"', '""', code)
    assert not re.search(
        r"\b(close|fcntl|poll|alarm|sigaction|getpid|geteuid|if_nametoindex|errno|EINTR|ssize_t)\b", code
    )
    assert "<unistd.h>" not in code
    assert "@" not in code
    for opening, closing in ("{}", "()", "[]"):
        assert code.count(opening) == code.count(closing)
    plan = ProgramPlan(case)
    assert all(f'"{step.text}"' in program for index, step in enumerate(plan.steps) if not plan.unchecked(index))


@pytest.mark.parametrize(
    "text",
    [PAIR, CONNECTION, GROUP, ODD, *DELIVERIES, "a=tcp4 a.reuseport=1 b=udp4 b.reuseport_lb=1 wait=1"],
)
def test_winsock_form_compiles(text: str, tmp_path: Path) -> None:
    compiler = shutil.which("x86_64-w64-mingw32-gcc")
    if compiler is None:
        pytest.skip("no mingw compiler (x86_64-w64-mingw32-gcc) in PATH")
    source = tmp_path / "repro.c"
    case = cases.build(parse(text), {"os": "windows", "release": "10.0.26100"})
    source.write_text(c_program.program(case, winsock=True), encoding="utf-8")
    command = [
        compiler,
        "-std=c99",
        "-Wall",
        "-Wextra",
        "-Werror",
        "-pedantic",
        str(source),
        "-o",
        str(tmp_path / "repro.exe"),
        "-lws2_32",
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_winsock_form_says_what_it_leaves_out() -> None:
    case = cases.build(parse("user=1001 a=udp4 a.bind=127.0.0.1"), {"os": "windows", "release": "10.0.26100"})
    program = c_program.program(case, winsock=True)
    assert "Windows has no user=1001" in program
    assert "return 2;" in program


def test_a_scenario_longer_than_a_file_name(capsys: pytest.CaptureFixture[str]) -> None:
    text = " ".join(f"{name}=udp4 {name}.reuseaddr=1 {name}.bind=127.0.0.1" for name in "abcdefghijkl")
    assert main(["predict", "--os", "linux", text]) == 0
    assert main(["ask", text, "--os", "linux"]) == 0


def test_conditions_of_a_delivery() -> None:
    scenario = "a=udp4 b=udp4 c=udp4 deliver=127.0.0.1"
    steps = parse(scenario)

    def fine(expected: str, names: str = "abc") -> str:
        case = cases.build(steps, FREEBSD, expect=cases.given_outcomes(f"ok ok ok {expected}", steps))
        return condition(
            case.lines[-1],
            list(names),
            "got_{}".format,
            "and",
            "or",
            lambda word: {"refused": "ECONNREFUSED"}.get(word, word),
        )

    assert fine("a") == "got_a == 32 and got_b == 0 and got_c == 0 and failed == 0"
    assert fine("a|b", "ab") == (
        "(got_a == 32 and got_b == 0 and failed == 0) or (got_b == 32 and got_a == 0 and failed == 0)"
    )
    assert fine("spread:a,b", "ab") == "got_a > 0 and got_b > 0 and got_a + got_b == 32"
    assert fine("a:15,b:17", "ab") == fine("spread:a,b", "ab")
    assert fine("spread:a,b,c") == "(got_a > 0) + (got_b > 0) + (got_c > 0) >= 2 and got_a + got_b + got_c == 32"
    assert fine("every:a,b") == "got_a == 32 and got_b == 32 and got_c == 0"
    assert fine("refused", "") == "failed == 32 and error == ECONNREFUSED"
    assert fine("EHOSTUNREACH", "") == "failed == 32 and error == EHOSTUNREACH"
    assert fine("a:30,refused:2", "a") == (
        "got_a > 0 and failed > 0 and got_a + failed == 32 and error == ECONNREFUSED"
    )
    assert fine("none", "a") == "got_a == 0 and failed == 0"
    assert fine("?") == ""


#: the fields that sendbug(1) and send-pr(1) write, and the form of the WSL issues, in their order
FIELDS = {
    "openbsd": "To Subject From Cc Reply-To >Synopsis >Category >Environment >Description >How-To-Repeat >Fix",
    "netbsd": "To Subject >Submitter-Id >Originator >Organization >Confidential >Synopsis >Severity >Priority "
    ">Category >Class >Release >Environment System Architecture Machine >Description >How-To-Repeat >Fix",
    "freebsd": "Product Component Version Hardware Summary",
    "linux": "To Subject",
}


@pytest.mark.parametrize("os", FIELDS)
def test_forms_have_the_fields_of_their_trackers(os: str) -> None:
    case = cases.build(parse(PAIR), {"os": os, "release": catalog.expectations(os).covers[1]})
    text = tracker_text.report(case, {})
    found = re.findall(r"^(>?[A-Z][A-Za-z-]+):", text, re.MULTILINE)
    if os in ("openbsd", "netbsd"):  # their forms have nothing else
        assert found == FIELDS[os].split()
    else:
        assert found[: len(FIELDS[os].split())] == FIELDS[os].split()


@pytest.mark.parametrize("os", catalog.names())
def test_every_system_has_a_tracker(os: str) -> None:
    """Failed first: DragonFly, illumos and gVisor were sent to "the tracker of the project"."""
    case = cases.build(parse(PAIR), {"os": os, "release": catalog.expectations(os).covers[1]})
    where = files.files(case)["report.txt"].partition("# Send to: ")[2].splitlines()[0]
    assert re.search(r"https://|mail|sendbug", where), where


def test_gvisor_has_the_form_of_its_issues() -> None:
    case = cases.build(parse(PAIR), {"os": "gvisor", "release": "20221219"})
    text = files.files(case)["report.txt"]
    assert re.findall("^### (.*)$", text, re.MULTILINE) == [
        "Description", "Steps to reproduce", "runsc version", "uname",
    ]  # fmt: skip
    assert "### runsc version\n\n20221219\n" in text


def test_what_is_as_expected_is_not_to_be_reported() -> None:
    """Failed first: "[BUG] ..., as expected", to be sent to the mailing list of the kernel."""
    facts = {"os": "linux", "release": "6.18.44"}
    text = tracker_text.report(cases.build(parse(PAIR), facts), {})
    assert text.startswith(
        "# Nothing to report: Linux 6.18.44 does as expected; say what you expected with --expect.\n"
    )
    expect = cases.given_outcomes("? ? ? ? ok", parse(PAIR))
    text = tracker_text.report(cases.build(parse(PAIR), facts, expect=expect), {})
    assert text.startswith("# Send to: ")


def test_wsl_has_the_form_of_its_issues() -> None:
    case = cases.build(parse(PAIR), {"os": "linux", "release": "5.15.167.4-microsoft-WSL2", "container": "wsl"})
    text = files.files(case)["report.txt"]
    assert re.findall("^### (.*)$", text, re.MULTILINE) == [
        "Windows Version", "WSL Version", "Kernel Version", "Repro Steps", "Expected Behavior", "Actual Behavior",
        "Diagnostic Logs",
    ]  # fmt: skip
    assert "```c\n/*\n" in text
    assert "\n    b.bind=127.0.0.1  EADDRINUSE" in text


def test_most_programs_have_30_to_80_lines() -> None:
    """Two or three sockets, up to 14 steps, nothing that waits; 19 of 20 is what a report is about."""
    texts = [text for text in random_sequences(8, 1500) if _ordinary(text)][:200]
    texts += random.Random(8).sample([text for group in matrix() for text in group.scenarios], 200)
    built = [cases.build(parse(text), {"os": "linux", "release": "6.18.44"}) for text in texts]
    for program in (c_program.program, python_program.program):
        lines = sorted(program(case).count("\n") for case in built)
        assert lines[0] >= 30
        assert lines[len(lines) * 95 // 100] <= 80


def _ordinary(text: str) -> bool:
    steps = parse(text).steps
    return len(steps) <= 14 and sum(step.kind == "socket" for step in steps) <= 3 and ".connect" not in text


def test_a_kind_without_a_row_is_one_clear_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delitem(program_plan.SOCKETS, "udp6")
    assert main(["reproduce", "a=udp6 a.bind=::1", "--host", "freebsd"]) == 2
    error = capsys.readouterr().err
    assert "no program can be written for 'a=udp6'; sockets may be tcp4, tcp6, udp4" in error
    assert len(error.splitlines()) == 1


def test_rows_of_sockets_are_those_of_the_notation() -> None:
    """A kind without a row is told to have none (see above)."""
    assert set(SOCKET_KINDS) - set(program_plan.SOCKETS) == {"unix", "unixgram", "vsock", "remote4", "remote6"}
    for kind, row in program_plan.SOCKETS.items():
        family = {"ipv4": "AF_INET", "ipv6": "AF_INET6"}[SOCKET_KINDS[kind].family]
        assert row[:2] == (family, {"stream": "SOCK_STREAM", "datagram": "SOCK_DGRAM"}[SOCKET_KINDS[kind].type])


@pytest.mark.parametrize("text", ["a=unix deliver=/x", "a=tcp4 deliver=@x", "a=udplite4 deliver=127.0.0.1"])
def test_deliveries_elsewhere_are_one_clear_line(text: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["reproduce", text, "--host", "linux"]) == 2
    assert len(capsys.readouterr().err.splitlines()) == 1


@pytest.mark.parametrize("host", ["freebsd", "freebsd@13.0", '{"os": "freebsd", "release": "13.0"}'])
def test_a_host_may_be_named(host: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["reproduce", PAIR, "--host", host, "--lang", "report"]) == 0
    assert "Product: Base System" in capsys.readouterr().out


def test_a_release_that_is_not_described_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["reproduce", PAIR, "--host", "linux@99.1", "--lang", "report"]) == 0
    assert "99.1 is past" in capsys.readouterr().out


def test_what_diverges_comes_with_the_command_for_its_report(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "seen.jsonl"
    header = {"format": "bindmatrix-observations/1", "host": {"os": "freebsd", "release": "13.0"}}
    seen = {"scenario": PAIR, "outcomes": ["ok", "ok", "ok", "ok", "EACCES"]}
    path.write_text(json.dumps(header) + "\n" + json.dumps(seen) + "\n", encoding="utf-8")
    assert main(["judge", str(path)]) == 1
    command = re.search(r"bug report: (bindmatrix reproduce .*)$", capsys.readouterr().out, re.MULTILINE)
    assert command is not None
    assert main(shlex.split(command[1])[1:]) == 0
    assert "gives EACCES; EADDRINUSE was expected" in capsys.readouterr().out
