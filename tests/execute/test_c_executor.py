"""The executor in C: whatever the one in Python says, it says too.

``BINDMATRIX_DEEP=1`` runs the whole matrix and 100,000 random programs (minutes) and fuzzes for a minute.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from bindmatrix.cli.main import main
from bindmatrix.errors import Problem
from bindmatrix.execute import c_executor, executor
from bindmatrix.execute.c_executor import SOURCE
from hypothesis import given
from hypothesis import strategies as st

from tests.execute import differential
from tests.execute.test_executor_notation import noise, words
from tests.execute.test_executor_program import LEAVES_TIME_WAIT, SCENARIOS

pytestmark = pytest.mark.skipif(executor.WINDOWS, reason="compiles for POSIX; tests/kernels runs the build for Windows")

DEEP = bool(os.environ.get("BINDMATRIX_DEEP"))
FUZZER = Path(__file__).with_name("fuzz_executor.c")
STRICT = ["-std=c99", "-Wall", "-Wextra", "-Werror"]
SANITIZERS = ["-g", "-O1", "-fsanitize=address,undefined", "-fno-sanitize-recover=all"]
#: what a sample may miss
WITNESSES = [
    *SCENARIOS,
    LEAVES_TIME_WAIT.replace("tcp4", "tcp6").replace("127.0.0.1", "::1"),
    "a=tcp6 a.v6only=0 a.bind=:: a.listen c=tcp4 c.connect=127.0.0.1 x=a.accept c.close x.close",
    "a=tcp4 a.bind=127.0.0.1 a.listen c=tcp4 c.connect=127.0.0.1 a.close c.read",
    "a=tcp4 a.bind=127.0.0.1 a.listen x=a.accept",
    "a=tcp4 a.bind=127.0.0.1 a.connect=127.0.0.1 a.read",
    "a=tcp4 a.bind=127.0.0.1 a.listen c=tcp4 c.connect=127.0.0.1 deliver=127.0.0.1",
    "a=udp4 a.bind=::1 b=tcp6 b.connect=127.0.0.1 c=tcp4 c.connect=::1",
    "a=udp4 a.bind=0.0.0.0 a.join=224.0.0.251 b=udp6 b.bind=:: b.join=ff02::fb deliver=224.0.0.251 deliver=ff02::fb",
    "a=udp4 a.bind=127.0.0.1 deliver_flow=127.0.0.1 a.close deliver_flow=127.0.0.1 deliver=127.0.0.1",
    "a=tcp4 a.bind=0.0.0.0 a.listen c=tcp4 c.connect=0.0.0.0 deliver=127.0.0.9 deliver=192.0.2.1",
    "a=udp4 a.bind=0.0.0.0 b=udp4 b.reuseaddr=1 b.bind=127.255.255.255 deliver=127.255.255.255 deliver=::",
    "a=tcp4 deliver=127.255.255.255 a.close deliver=127.255.255.255 b=unix deliver=127.255.255.255 deliver=/x",
    "a=udp6 a.bind=:: a.connect=::ffff:127.9.9.9 deliver=::ffff:0.0.0.0 deliver=0.0.0.0 deliver=::1",
    "a=tcp4 a.bind=127.0.0.1 a.listen c=tcp4 c.connect=127.0.0.1 x=a.accept deliver=0.0.0.0",
    "a=udplite4 a.bind=127.0.0.1 b=mptcp4 b.bind=127.0.0.1 b.listen deliver=127.0.0.1",
    "a=tcp6 a.v6only=1 a.bind=:: b=tcp4 b.bind=0.0.0.0",
    "a=unix a.bind=/x a.close",
    "deliver=/x",
    "a=unix a.bind=/x a.listen b=unix b.connect=/x x=a.accept deliver=/x b.close x.read",
    "a=unixgram a.bind=@x b=unixgram b.connect=@x deliver=@x deliver_flow=@y",
    "a=vsock a.bind=cid:any a.listen b=vsock b.bind=cid:own,0",
    "a=tcp4 a.close a.bind=127.0.0.1 a.listen a.close a.v6only=1 a.exclbind=1 x=a.accept a.read",
    "a=tcp4 a.bind=127.0.0.1,0 b=tcp6 b.bind=::ffff:127.0.0.1,0 user=1 b.close user=0",
    "a=tcp4\ta.listen",
    "wait=1",
    "a=tcp4 a.connect=192.0.2.1",
    "a=tcp4 a.bind=/x",
]


def compiled(path: Path, command: list[str], source: Path = SOURCE, *libraries: str) -> str:
    """A program of a source; skips where the compiler or a library of it is missing."""
    if shutil.which(command[0]) is None:
        pytest.skip(f"no {command[0]} here")
    probe = path.with_suffix(".probe.c")
    probe.write_text("int main(void) { return 0; }\n")
    plain = [word for word in command if "fuzzer" not in word]
    tried = subprocess.run([*plain, "-o", str(path), str(probe)], capture_output=True, text=True, check=False)
    if tried.returncode != 0:
        pytest.skip(f"{' '.join(command)} links nothing here: {tried.stderr.strip()[-200:]}")
    winsock = ["-lws2_32"] if "mingw" in command[0] else []
    words = [*command, "-o", str(path), str(source), *libraries, *winsock]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, ""), done.stderr
    return str(path)


@pytest.fixture(scope="module")
def program() -> str:
    """The executor as users have it."""
    try:
        return str(c_executor.program())
    except Problem as problem:
        pytest.skip(str(problem))


@pytest.fixture(scope="module")
def sanitized(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The executor that ends at the first invalid access or undefined operation."""
    return compiled(tmp_path_factory.mktemp("c") / "sanitized", [*c_executor.compiler(), *STRICT, *SANITIZERS])


@pytest.mark.parametrize("name", ["gcc", "clang", "x86_64-w64-mingw32-gcc"])
def test_compilers_have_nothing_to_say(tmp_path: Path, name: str) -> None:
    compiled(tmp_path / "executor", [name, *STRICT, "-O2"])


@pytest.mark.parametrize("namespace", ["auto", "none"])
def test_both_executors_agree(program: str, sanitized: str, namespace: str) -> None:
    """A sample; on leased ports by the program with sanitizers, which forks less well than it runs."""
    scenarios = differential.scenarios("quick", 400, 1, 40)
    sample = [*WITNESSES, *scenarios[:: 12 if namespace == "auto" else 60]]
    words = ["--namespace", namespace]
    one = program if namespace == "auto" else sanitized
    assert not differential.differences([one, *words], sample, [*differential.PYTHON, *words])


@pytest.mark.skipif(not DEEP, reason="takes minutes: BINDMATRIX_DEEP=1")
def test_both_executors_agree_about_everything(program: str) -> None:
    scenarios = differential.scenarios("full", 100_000, 0, 2000)
    assert len(scenarios) > 250_000
    assert not differential.differences([program], scenarios)


@pytest.mark.skipif(not DEEP, reason="takes a minute: BINDMATRIX_DEEP=1")
def test_the_quick_matrix_with_sanitizers(sanitized: str) -> None:
    assert not differential.differences([sanitized], differential.scenarios("quick", 4000, 2, 200))


@pytest.mark.parametrize(
    ("text", "instead", "scenario"),
    [
        (
            "IPPROTO_IPV6, IPV6_V6ONLY}",
            "IPPROTO_IPV6, IPV6_RECVPKTINFO}",
            "a=tcp6 a.v6only=1 a.bind=:: b=tcp4 b.bind=0.0.0.0",
        ),
        ("clear_folder(folder.descriptor);", ";", "deliver=/x"),
    ],
    ids=["option", "leftover"],
)
def test_a_difference_would_be_found(tmp_path: Path, text: str, instead: str, scenario: str) -> None:
    """The second fault was there: sockets found the names of earlier scenarios."""
    source = SOURCE.read_text(encoding="utf-8")
    assert text in source
    spoiled = tmp_path / "spoiled.c"
    spoiled.write_text(source.replace(text, instead), encoding="utf-8")
    program = compiled(tmp_path / "spoiled", [*c_executor.compiler(), "-std=c99"], spoiled)
    scenarios = ["a=unix a.bind=/x a.close", "a=tcp4 a.bind=127.0.0.1", scenario]
    assert set(differential.differences([program], scenarios)) == {scenario}


def test_facts_are_the_same(program: str) -> None:
    headers = [
        json.loads(subprocess.run(command, input=b"", capture_output=True, check=True).stdout)
        for command in ([program], differential.PYTHON)
    ]
    for header, own in zip(headers, ("executor", "python"), strict=True):
        assert header["host"].pop(own)
    # the program in C makes no sockets of another host
    kinds = headers[1]["host"]["kinds"]
    headers[1]["host"]["kinds"] = [kind for kind in kinds if not kind.startswith("remote")]
    assert headers[0] == headers[1]


class Parser:
    """The program, asked for what it makes of one line after the other."""

    def __init__(self, program: str) -> None:
        self._process = subprocess.Popen(
            [program, "--namespace", "none"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, bufsize=0
        )
        self._read()

    def _read(self) -> dict[str, Any]:
        assert self._process.stdout
        line = b""
        while not line.endswith(b"\n"):
            piece = self._process.stdout.read(1 << 16)
            assert piece, "it ended"
            line += piece
        answer: dict[str, Any] = json.loads(line)
        return answer

    def ask(self, text: str) -> dict[str, Any]:
        assert self._process.stdin
        self._process.stdin.write(json.dumps({"scenario": text}).encode() + b"\n")
        return self._read()

    def close(self) -> None:
        self._process.kill()
        self._process.communicate()


@pytest.fixture(scope="module")
def parser(sanitized: str) -> Iterator[Parser]:
    """A parser that nothing is run by."""
    made = Parser(sanitized)
    yield made
    made.close()


@given(text=st.lists(st.one_of(words, words, words, noise), max_size=8).map(" ".join))
def test_both_parsers_read_the_same(parser: Parser, text: str) -> None:
    try:
        executor.parse(text)
        text, reason = f"{text} !", "'!' is not a step"  # so that nothing is run
    except executor.NotAScenario as error:
        reason = str(error)
    answer = parser.ask(text)
    assert answer["scenario"] == text
    assert answer.get("no_verdict") == f"not a scenario: {reason}"


LINES = [
    b'{"format": "bindmatrix-observations/1", "host": {}}',
    b"",
    b"  \t\r",
    b"a=tcp4 a.listen\r",
    b'{"scenario": "a=tcp4 a.listen", "outcomes": [1, -2.5e+3, true, null, {"x": ["y"]}]}',
    b'{"scenario": "a=tcp4", "scenario": "a=udp4"}',
    b' {"scenario": "a=tcp4"}',
    b'{"scenario": null}',
    b'{"scenario": 1}',
    b'{"scenario": ["a=tcp4"]}',
    b'{"scenario": "a=tcp4"} x',
    b'{"scenario": "a=tcp4"',
    b'{"scenario": "a=tcp4",}',
    b'{"nothing": {"scenario": "a=tcp4"}}',
    b'{"scenario": ""}',
    b'{"scenario": "\\u0061=tcp4 \\ud83d\\ude00 \\ud800 \\"\\\\\\/\\b\\f\\n\\r\\t"}',
    b'{"scenario": "\\x"}',
    b'{"scenario": "a\tb"}',
    b"{" * 40,
    b"[]",
    b"\xff\xc3\xa9 \xe2\x82 \xf0\x9f\x98\x80 \xed\xa0\x80 \xf4\x90\x80\x80 \xc0\x80",
    b"a=tcp4\0",
    b"a=tcp4  a.listen",
    b"a=tcp4 'a' \"b\"",
    b"a.listen",
    b"a=tcp4 a.bind=",
    b"wait=600001",
    b"user=4294967295",
    b"a" * 100_000 + b"=tcp4",
    b"a=tcp4 " + b"a.listen " * 20_000,
    b" ".join(b"s%d=tcp4 s%d.close" % (number, number) for number in range(3000)),
    b"last=tcp4",
]


def test_input_is_read_the_same(program: str, sanitized: str) -> None:
    """Observation files, JSON, what is neither, long lines, bytes that are no UTF-8, no newline at the end."""
    given = b"\n".join(LINES)
    outputs = [
        [
            json.loads(line)
            for line in subprocess.run(command, input=given, capture_output=True, check=True).stdout.splitlines()
        ][1:]
        for command in ([program], [sanitized], differential.PYTHON)
    ]
    for one, other in zip(outputs[0], outputs[2], strict=True):
        assert one == other
    assert outputs[1] == outputs[2]


def test_json_that_is_nested_too_deeply_is_no_scenario(sanitized: str) -> None:
    """Failed first: the executor in Python ended with a RecursionError."""
    line = b'{"scenario": ' + b"[" * 100_000
    for command in ([sanitized], differential.PYTHON):
        (answer,) = json.loads(
            b"[" + subprocess.run(command, input=line, capture_output=True, check=True).stdout.splitlines()[1] + b"]"
        )
        assert answer["scenario"].encode() == line
        assert answer["no_verdict"].startswith("not a scenario: ")


def test_too_many_open_files_are_no_verdict(program: str) -> None:
    scenario = " ".join(f"s{number}=udp4" for number in range(100))
    limited = ["sh", "-c", f"ulimit -n 50; exec {program} --namespace none"]
    first, second = differential.answers(limited, [scenario, "a=tcp4"])
    assert first["no_verdict"] == "too many open files"
    assert second["outcomes"] == ["ok"]


@pytest.mark.skipif(not executor.LINUX, reason="network namespaces exist on Linux alone")
def test_a_namespace_is_replaced_before_connections_fill_it(program: str) -> None:
    """300 deliveries of 32 connections are more than one namespace takes."""
    deliveries = ["a=tcp4 a.bind=127.0.0.1 a.listen deliver=127.0.0.1", LEAVES_TIME_WAIT] * 300
    found = differential.answers([program], deliveries)
    assert {tuple(answer["outcomes"] or [answer["no_verdict"]])[-1] for answer in found} == {"a:32", "EADDRINUSE"}


@pytest.mark.parametrize("words", [["--namespace"], ["--namespace", "other"], ["--what"], ["--parent"]])
def test_wrong_arguments_get_the_usage(program: str, words: list[str]) -> None:
    done = subprocess.run([program, *words], input=b"", capture_output=True, check=False)
    assert (done.returncode, done.stdout) == (2, b"")
    assert done.stderr.startswith(b"usage: ")


def test_a_file_is_read_and_a_missing_one_told(program: str, tmp_path: Path) -> None:
    (tmp_path / "in").write_text("a=tcp4\n")
    words = [program, "--output", str(tmp_path / "out"), str(tmp_path / "in")]
    assert subprocess.run(words, capture_output=True, check=True).stdout == b""
    assert (tmp_path / "out").read_text().splitlines()[1:] == ['{"scenario":"a=tcp4","outcomes":["ok"]}']
    done = subprocess.run([program, str(tmp_path / "none")], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)


def test_the_fuzzer_finds_nothing(tmp_path: Path) -> None:
    fuzzer = compiled(
        tmp_path / "fuzzer", ["clang", *STRICT, *SANITIZERS, "-fsanitize=fuzzer,address,undefined"], FUZZER
    )
    corpus = tmp_path / "corpus"
    corpus.mkdir()
    for number, line in enumerate([*(text.encode() for text in WITNESSES), *LINES[:-4]]):
        (corpus / str(number)).write_bytes(line)
    words = [
        fuzzer,
        f"-max_total_time={60 if DEEP else 3}",
        "-max_len=600",
        f"-artifact_prefix={tmp_path}/",
        str(corpus),
    ]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    assert re.search(r"Done \d+ runs", done.stderr)


# --- compiled once, by the commands


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache folder."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache" / "bindmatrix"


def test_it_is_compiled_once_for_each_source(
    program: str, cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(c_executor, "_FLAGS", ("-std=c99",))  # quicker
    first = c_executor.program()
    made = first.stat().st_mtime_ns
    assert c_executor.program() == first
    assert first.stat().st_mtime_ns == made
    changed = tmp_path / "executor.c"
    changed.write_text(SOURCE.read_text(encoding="utf-8") + "\n", encoding="utf-8")
    monkeypatch.setattr(c_executor, "SOURCE", changed)
    assert c_executor.program() != first
    assert len(list(cache.iterdir())) == 2


def test_observe_runs_it(program: str, capfd: pytest.CaptureFixture[str]) -> None:
    assert main(["observe", "--executor", "c", "a=tcp4 a.listen"]) == 0
    header, answer = map(json.loads, capfd.readouterr().out.splitlines())
    assert header["host"]["executor"] == "c"
    assert answer == {"scenario": "a=tcp4 a.listen", "outcomes": ["ok", "ok"]}


@pytest.mark.parametrize(
    ("compiler", "words", "message"),
    [
        ("no-such-compiler", [], "no C compiler here ($CC)"),
        ("false", [], "does not compile it: no word"),
        ("", ["--on", f"python={sys.executable}"], "--executor c: works only on this machine"),
    ],
)
def test_one_line_says_why_it_cannot_run(
    cache: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    compiler: str,
    words: list[str],
    message: str,
) -> None:
    monkeypatch.setenv("CC", compiler)
    assert main(["observe", "--executor", "c", *words, "a=tcp4"]) == 2
    err = capsys.readouterr().err
    assert message in err
    assert err.count("\n") == 1


#: other folders of that name, one of them of an executor that was killed, and then an executor
NEIGHBOURS = """
mount -t tmpfs none /tmp || exit
cd /tmp
mkdir bindmatrix-results bindmatrix-unix-mine bindmatrix-unix-new
touch bindmatrix-results/x bindmatrix-unix-mine/x
echo 'a=unix a.bind=/x wait=60000' | "$@" >/dev/null 2>&1 &
for _ in $(seq 3000); do
    [ -S bindmatrix-unix-??????/x ] && break
    sleep 0.01
done
kill -9 $!
cp -a bindmatrix-unix-??????/x bindmatrix-results/socket
exec "$@"
"""


def test_nothing_is_left_by_a_process_that_is_killed_between_scenarios() -> None:
    """Failed first: where no file system may be mounted, the folder for the names of Unix sockets stayed in /tmp, and
    the files in any other folder called bindmatrix-... were deleted."""
    command = ["unshare", "--mount", "sh", "-c", NEIGHBOURS, "sh"]
    command += ["setpriv", "--bounding-set", "-sys_admin", "--inh-caps", "-sys_admin"]
    if shutil.which("unshare") is None or shutil.which("setpriv") is None:
        pytest.skip("needs util-linux")
    pipes = dict.fromkeys(("stdin", "stdout", "stderr"), subprocess.PIPE)
    with c_executor.program().open("rb") as program:  # its folder may lie below the /tmp that is hidden
        number = program.fileno()
        command += [f"/proc/self/fd/{number}", "--namespace", "none"]
        process = subprocess.Popen(command, **pipes, pass_fds=[number])
    with process:
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            process.stdin.write(b"a=unix a.bind=/x b=unix b.bind=/x\n")
            process.stdin.flush()
            if not process.stdout.readline():
                pytest.skip("may not mount here")
            assert json.loads(process.stdout.readline())["outcomes"][-1] == "EADDRINUSE"
            left = Path("/proc", str(process.pid), "root", "tmp")
            found = {str(path.relative_to(left)) for path in left.rglob("*") if not path.is_dir()}
            assert found == {"bindmatrix-results/socket", "bindmatrix-results/x", "bindmatrix-unix-mine/x"}
            assert {path.name for path in left.iterdir()} == {
                "bindmatrix-results",
                "bindmatrix-unix-mine",
                "bindmatrix-unix-new",
            }
        finally:
            process.kill()
