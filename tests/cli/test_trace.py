"""``bindmatrix trace`` and ``inspect``: what they print, and what they say about bad input."""

from __future__ import annotations

import gzip
import json
import os
import re
import shutil
import sys
from pathlib import Path

import pytest
from bindmatrix.cli import trace
from bindmatrix.cli.main import main
from bindmatrix.programs.kernel_sockets import KernelSocket
from bindmatrix.programs.socket_calls import SocketCalls
from bindmatrix.programs.strace_run import TracedRun

from tests.programs.recordings import DATA

CASES = DATA / "cases"
needs_strace = pytest.mark.skipif(shutil.which("strace") is None, reason="strace is not here")


def test_a_trace_becomes_answers(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["trace", "--file", str(CASES / "misc.txt"), "--os", "windows", "--os", "linux"]) == 0
    out = capsys.readouterr().out
    assert out.startswith("trace: 56 lines, 55 calls, 0 lines not understood\n")
    assert "not shown: 4 sockets that were never bound, 1 client socket\n" in out
    titles = [line for line in out.splitlines() if line.startswith("== ")]
    assert titles == [
        f"== port {port}" for port in ("8080/tcp", "8080/udp", "8082/tcp", "@fx/unix", "8083/tcp", "8090/tcp")
    ]
    assert "not part of the scenario: a: connects to 127.0.0.1 port 8083\n" in out
    assert re.search(r"^windows .*\n    .*\(windows\.", out, re.MULTILINE)


def test_what_was_refused_is_shown(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["trace", "--file", str(CASES / "users-netns.txt"), "--os", "linux"]) == 0
    assert "returned here: b.bind=127.0.0.1 EADDRINUSE\n" in capsys.readouterr().out


def test_scenarios_alone(capsys: pytest.CaptureFixture[str]) -> None:
    files = [str(CASES / "opt-ff.22516"), str(CASES / "opt-ff.22517")]
    assert main(["trace", "--scenarios", "--file", *files]) == 0
    expected = "a=tcp4 a.reuseaddr=1 a.bind=127.0.0.1 a.listen a.close b=tcp4 b.bind=127.0.0.1 b.listen\n"
    assert capsys.readouterr().out == expected


def test_json(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["trace", "--json", "--os", "linux", "--file", str(CASES / "opt-raw.txt")]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["trace"] == {"lines": 25, "calls": 22, "not_understood": 0, "examples": [], "inodes": False}
    assert found["left_out"] == [{"what": "a socket whose address is not in the trace (strace -e raw)", "sockets": 2}]
    assert found["scenarios"] == []
    assert main(["trace", "--json", "--os", "linux", "--file", str(CASES / "signal.txt")]) == 0
    (one,) = json.loads(capsys.readouterr().out)["scenarios"]
    assert (one["ports"], one["outcomes"], one["not_modelled"]) == (["8080/tcp"], ["ok"] * 4, [])
    assert one["answers"][0]["outcomes"] == ["ok"] * 4


@pytest.mark.parametrize(
    ("case", "warning"),
    [
        ("io_uring.txt", "io_uring was set up: calls through it are not in the trace"),
        ("opt-inject.txt", "strace injected errors (-e inject): what calls returned is not the kernel's answer"),
        ("opt-raw.txt", "bind(): the trace holds a pointer, no address (strace -e raw) (2 times)"),
    ],
)
def test_warnings(case: str, warning: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["trace", "--file", str(CASES / case), "--os", "linux"]) == 0
    assert f"warning: {warning}\n" in capsys.readouterr().out


def test_a_listener_that_only_the_kernel_knows() -> None:
    """io_uring makes, binds and listens without a call that strace could show."""
    went = TracedRun(listed={"4711": KernelSocket("tcp4", "0.0.0.0", 8080, "4711", 0)})
    (warning,) = trace._warnings(SocketCalls(), went)
    assert warning.startswith("the kernel lists 0.0.0.0 port 8080 (tcp4), which the trace does not show; ")
    calls = SocketCalls()
    calls.inodes.add("4711")
    assert trace._warnings(calls, went) == []


def test_what_was_not_understood_is_shown(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text = (CASES / "signal.txt").read_text("ascii")
    file = tmp_path / "trace.gz"
    file.write_bytes(gzip.compress(b"Starting \x1b[1mserver\n" + text[: text.index("listen(") + 5].encode()))
    assert main(["trace", "--file", str(file), "--os", "linux"]) == 0
    out = capsys.readouterr().out
    assert out.startswith(
        "trace: 8 lines, 6 calls, 2 lines not understood\n"
        "  line 1: Starting \N{REPLACEMENT CHARACTER}[1mserver\n"
        "  line 8: 22387 liste\n"
    )
    assert "a=tcp4 a.reuseaddr=1 a.bind=127.0.0.1\n" in out


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "expected the output of strace, found no call in it"),
        (b"nothing of strace\n", "expected the output of strace, found no call in it"),
        ((CASES / "opt-c-summary.txt").read_bytes(), "a table of 'strace -c' holds no calls; trace without -c"),
    ],
)
def test_a_file_without_calls(content: bytes, said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "trace"
    file.write_bytes(content)
    assert main(["trace", "--file", str(file)]) == 2
    assert capsys.readouterr().err == f"{file}: {said}\n"


def test_a_file_that_is_not_there_or_not_packed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["trace", "--file", str(tmp_path / "no")]) == 2
    assert capsys.readouterr().err == f"{tmp_path / 'no'}: No such file or directory\n"
    (tmp_path / "x.gz").write_bytes(b"plain")
    assert main(["trace", "--file", str(tmp_path / "x.gz")]) == 2
    assert capsys.readouterr().err.startswith(f"{tmp_path / 'x.gz'}: cannot be unpacked: ")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ([], "trace: expected either '-- COMMAND' or '--file FILE'\n"),
        (["--timeout", "-1", "--", "true"], "--timeout: expected a number of seconds, got -1\n"),
        (["--settle", "nan", "--", "true"], "--settle: expected a number of seconds, got nan\n"),
    ],
)
def test_bad_arguments(words: list[str], said: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["trace", *words]) == 2
    assert capsys.readouterr().err == said


def test_without_strace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert main(["trace", "--", "true"]) == 2
    said = "strace: not found; install the package strace (apt, dnf, apk or pacman have it)\n"
    assert capsys.readouterr().err == said


@needs_strace
def test_a_command(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    saved = tmp_path / "saved"
    text = "import socket; s = socket.create_server(('127.0.0.1', 9100)); print('its output')"
    words = ["--save", str(saved), "--json", "--os", "linux", "--", sys.executable, "-c", text]
    assert main(["trace", *words]) == 0
    out, err = capfd.readouterr()
    found = json.loads(out)
    assert err == "its output\n"
    assert (found["run"]["status"], found["run"]["ended_by"]) == (0, "itself")
    assert [one["scenario"] for one in found["scenarios"]] == ["a=tcp4 a.reuseaddr=1 a.bind=127.0.0.1 a.listen"]
    assert main(["trace", "--scenarios", "--file", str(saved)]) == 0
    assert capfd.readouterr().out == "a=tcp4 a.reuseaddr=1 a.bind=127.0.0.1 a.listen\n"


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--pid", "0"], "--pid: expected the number of a process, got 0\n"),
        (["--pid", "9" * 18], f"process {'9' * 18}: there is no such process\n"),
    ],
)
def test_inspect_of_nothing(words: list[str], said: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["inspect", *words]) == 2
    assert capsys.readouterr().err == said


@pytest.mark.skipif(not hasattr(os, "pidfd_open") or not Path("/proc/self/fd").exists(), reason="needs pidfd_getfd()")
def test_inspect_this_process(capsys: pytest.CaptureFixture[str]) -> None:
    import socket

    with socket.create_server(("127.0.0.1", 0)) as one:
        assert main(["inspect", "--pid", str(os.getpid()), "--json", "--os", "linux"]) == 0
        found = json.loads(capsys.readouterr().out)["scenarios"]
        port = f"{one.getsockname()[1]}/tcp"
        assert "a=tcp4 a.reuseaddr=1 a.bind=127.0.0.1 a.listen" in [
            each["scenario"] for each in found if port in each["ports"]
        ]


# -- ask --runtime


def test_ask_what_a_runtime_does(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["ask", "--runtime", "go-http", "--os", "windows", "--os", "openbsd", "--os", "linux"]) == 0
    out = capsys.readouterr().out
    assert out.startswith('go-http: Go net 1.27.3, net.Listen("tcp", ":port"), http.ListenAndServe\n')
    windows, openbsd = (out.partition(f"what it does on {os} (source read):\n")[2] for os in ("windows", "openbsd"))
    assert windows.splitlines()[1] == "  a=tcp6 a.v6only=0 a.bind=:: a.listen"
    assert openbsd.splitlines()[1] == "  a=tcp4 a.reuseaddr=1 a.bind=0.0.0.0 a.listen"
    assert "what it does on linux (recorded on linux 6.18.44, 2026-11-29):\n" in out


def test_ask_what_follows_a_runtime(capsys: pytest.CaptureFixture[str]) -> None:
    words = [
        "ask",
        "--runtime",
        "py-socketserver",
        "b=tcp4 b.bind=0.0.0.0",
        "--os",
        "linux",
        "--os",
        "windows",
        "--json",
    ]
    assert main(words) == 0
    found = json.loads(capsys.readouterr().out)
    assert {one["scenario"] for one in found} == {"a=tcp4 a.bind=0.0.0.0 a.listen b=tcp4 b.bind=0.0.0.0"}
    assert {(one["os"], one["outcomes"][-1]) for one in found} == {("linux", "EADDRINUSE"), ("windows", "EADDRINUSE")}
    assert {(one["os"], one["runtime"]) for one in found} == {
        ("linux", "py-socketserver"),
        ("windows", "py-socketserver"),
    }


def test_ask_a_runtime_where_it_is_not(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["ask", "--runtime", "gunicorn", "--os", "windows"]) == 0
    assert capsys.readouterr().out.splitlines()[-1] == "windows: not made for it"


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--runtime", "go-htp"], "--runtime: unknown runtime 'go-htp'; did you mean 'go-http'?"),
        (["--runtime", "go-tcp4", "a.foo=1", "--os", "linux"], "scenario:1:46: unknown call or option 'foo'"),
    ],
)
def test_ask_a_runtime_wrongly(words: list[str], said: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["ask", *words]) == 2
    out, err = capsys.readouterr()
    assert (out, err.startswith(said)) == ("", True)
