"""The verb ``reproduce``, the Winsock form, the forms of the trackers."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from conformance.cli.main import main
from conformance.notation import parse
from conformance.oracle import catalog
from conformance.report import reproduce, reproduce_c, reproduce_files, reproduce_report

PAIR = "a=tcp4 a.reuseaddr=1 a.bind=0.0.0.0 b=tcp4 b.bind=127.0.0.1"
CONNECTION = "a=tcp6 a.v6only=0 a.exclusive=1 a.bind=:: a.listen c=tcp4 c.connect=127.0.0.1 x=a.accept x.close c.read"
GROUP = "a=udp4 a.bind=0.0.0.0 a.join=224.0.0.251 b=udp6 b.bind=:: b.join=ff02::fb wait=5"


def facts_file(folder: Path, **facts: object) -> str:
    path = folder / "facts.json"
    path.write_text(json.dumps({"os": "freebsd", "release": "15.0", **facts}), encoding="utf-8")
    return str(path)


def test_runs_here_and_prints_the_report(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["reproduce", PAIR, "--expect", "ok ok ok ok ok"]) == 0
    text = capsys.readouterr().out
    assert "observed on that machine" in text
    assert re.search(r"b.bind=127.0.0.1 +ok +EADDRINUSE +<--", text)
    assert "--- repro.c ---" in text
    assert "--- repro.py ---" in text


def test_a_kind_of_socket_without_programs_is_said(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["reproduce", "a=unix a.bind=/x", "--expect", "ok ok"]) == 2
    assert "programs are written for TCP and UDP, not for 'a=unix' yet" in capsys.readouterr().err


def test_writes_files_for_another_host(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = tmp_path / "made"
    assert main(["reproduce", PAIR, "--host", facts_file(tmp_path), "--output", str(folder)]) == 0
    assert sorted(path.name for path in folder.iterdir()) == ["report.txt", "repro.c", "repro.py", "scenario.txt"]
    assert "Product: Base System" in (folder / "report.txt").read_text(encoding="utf-8")
    assert "not run for this report" in (folder / "report.txt").read_text(encoding="utf-8")


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


@pytest.mark.parametrize("os", catalog.names())
def test_every_system_has_a_report_with_rule_and_evidence(os: str) -> None:
    release = catalog.expectations(os).covers[1]
    case = reproduce.build(parse(PAIR), {"os": os, "release": release})
    text = reproduce_files.files(case)["report.txt"]
    assert case.lines[-1].rules[0].id in text
    assert "  source: " in text or "  observed: " in text or "  documentation: " in text
    assert ("repro_winsock.c" in text) == (os == "windows")
    assert reproduce_report.subject(case) in text


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["a=tcp4 a.bnd=::"], "unknown call or option 'bnd'"),
        ([PAIR, "--expect", "ok ok"], "2 outcomes for 5 steps"),
        ([PAIR, "--expect", "ok ok ok ok ENO!"], "the name of an error"),
        ([PAIR, "--expect", "[1"], "not JSON"),
        ([PAIR, "--expect", "[1,2,3,4,5]"], "the name of an error"),
        ([PAIR, "--host", "nowhere.json"], "nowhere.json: cannot be read"),
        ([PAIR, "--port", "70000"], "expected a port"),
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


@pytest.mark.parametrize("text", [PAIR, CONNECTION, GROUP])
def test_winsock_form_has_no_call_of_posix(text: str) -> None:
    case = reproduce.build(parse(text), {"os": "windows", "release": "10.0.26100"})
    program = reproduce_c.program(case, winsock=True)
    code = re.sub(r"/\*.*?\*/", "", program, flags=re.DOTALL)
    code = re.sub(r'"[^"]*"', '""', code)
    assert not re.search(
        r"\b(close|fcntl|poll|alarm|sigaction|getpid|geteuid|if_nametoindex|errno|EINTR|ssize_t)\b", code
    )
    assert "<unistd.h>" not in code
    assert "@" not in code
    for opening, closing in ("{}", "()", "[]"):
        assert code.count(opening) == code.count(closing)
    assert all(f'"{step.text}"' in program for step in case.scenario.steps)


@pytest.mark.parametrize("text", [PAIR, CONNECTION, GROUP])
def test_winsock_form_compiles(text: str, tmp_path: Path) -> None:
    compiler = shutil.which("x86_64-w64-mingw32-gcc")
    if compiler is None:
        pytest.skip("no mingw compiler (x86_64-w64-mingw32-gcc) in PATH")
    source = tmp_path / "repro.c"
    case = reproduce.build(parse(text), {"os": "windows", "release": "10.0.26100"})
    source.write_text(reproduce_c.program(case, winsock=True), encoding="utf-8")
    command = [compiler, "-std=c99", "-Wall", "-Werror", str(source), "-o", str(tmp_path / "repro.exe"), "-lws2_32"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_winsock_form_says_what_it_leaves_out() -> None:
    case = reproduce.build(
        parse("a=udp4 a.bind=127.0.0.1 deliver=127.0.0.1"), {"os": "windows", "release": "10.0.26100"}
    )
    program = reproduce_c.program(case, winsock=True)
    assert "leaves out deliver=127.0.0.1" in program
    assert "return 2;" in program


def test_a_scenario_longer_than_a_file_name(capsys: pytest.CaptureFixture[str]) -> None:
    text = " ".join(f"{name}=udp4 {name}.reuseaddr=1 {name}.bind=127.0.0.1" for name in "abcdefghijkl")
    assert main(["predict", "--os", "linux", text]) == 0
    assert main(["ask", text, "--os", "linux"]) == 0


def test_patterns() -> None:
    step = parse("deliver=127.0.0.1").steps[0]
    assert reproduce.pattern("spread:a,b,c", step) == "spread:a,b|spread:a,c|spread:b,c|spread:a,b,c"
    assert reproduce.pattern(("a", "b"), step) == "a|b"
    assert reproduce.pattern(None, step) == "?"
    assert reproduce.pattern("refused", step) == "refused"
    assert reproduce.pattern("refused", parse("a=tcp4").steps[0]) == "error"
    assert reproduce.delivery_class("a:32,b:32") == "every:a,b"
    assert reproduce.delivery_class("a:30,refused:2") == "spread:a,refused"
    assert reproduce.delivery_class("a:30") == "a:30"
