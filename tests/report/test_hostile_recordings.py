"""What a recording holds ends no comment of a program, moves no cursor, and is not taken for what it should be."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path

import pytest
from bindmatrix.cli.main import main
from bindmatrix.notation import parse
from bindmatrix.reproduce import c_program, cases, python_program

PAIR = "a=tcp4 a.bind=127.0.0.1 b=tcp4 b.bind=127.0.0.1"
ESCAPE = "\x1b[2J"
FOREIGN = '*/\n#error foreign\n/*"""\nprint("foreign")\n"""\\'
HOST = {"os": "linux", "release": f"6.18.44{FOREIGN}{ESCAPE}", "kernel": "Linux", "uname": ESCAPE}
SEEN = ["ok", "ok", "ok", f"ok{FOREIGN}{ESCAPE}"]


@pytest.fixture
def recording(tmp_path: Path) -> str:
    path = tmp_path / "seen.jsonl"
    lines = [
        {"format": "bindmatrix-observations/1", "host": {**HOST, "sysctls": {ESCAPE: ESCAPE}, "container": ESCAPE}},
        {"scenario": PAIR, "outcomes": SEEN},
        {"scenario": "a=tcp4 a.bind=127.0.0.2", "no_verdict": ESCAPE},
        {"scenario": f"a=tcp4 {ESCAPE}", "outcomes": ["ok", "ok"]},
    ]
    path.write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")
    return str(path)


def test_what_a_host_says_of_itself_is_no_code() -> None:
    """Failed first: the release of a host, or an outcome, was compiled."""
    for facts, seen in ((HOST, None), ({"os": "linux", "release": "6.18.44"}, SEEN)):
        case = cases.build(parse(PAIR), facts, observed=seen)
        program = c_program.program(case)
        assert program.count("*/") == program.count("/*")
        assert "\n#error" not in program
        script = python_program.program(case)
        assert "\nprint(" not in script.partition('"""\n')[2].partition('"""')[0]
        assert script.count('"""') == python_program.program(cases.build(parse(PAIR), {"os": "linux"})).count('"""')
        compile(script, "repro.py", "exec")
        compiler = shutil.which("cc")
        if compiler:
            command = [compiler, "-std=c99", "-Wall", "-Wextra", "-Werror", "-fsyntax-only", "-x", "c", "-"]
            done = subprocess.run(command, input=program, capture_output=True, encoding="utf-8", check=False)
            assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("verb", [["judge"], ["report"], ["diff", "{}"], ["reproduce", PAIR, "--host"]])
def test_no_cursor_is_moved(verb: list[str], recording: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Failed first: a recording could clear the screen of whoever judged it."""
    main([*(word.format(recording) for word in verb), recording])
    captured = capsys.readouterr()
    assert captured.out
    assert "\x1b" not in captured.out + captured.err


@pytest.mark.parametrize("name", ["kinds", "options", "cids", "addresses"])
def test_facts_of_another_kind(name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Failed first: a traceback."""
    path = tmp_path / "host.jsonl"
    host = {"os": "linux", "release": "6.18.44", "kinds": ["vsock"], name: 5}
    path.write_text(json.dumps({"format": "bindmatrix-observations/1", "host": host}), encoding="utf-8")
    assert main(["scenarios", "--quick", "--examples", "1", "--deliveries", "1", "--host", str(path)]) == 0
    assert capsys.readouterr().out
