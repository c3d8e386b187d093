"""The executor as a program: on standard input, under Python 3.8, with few descriptors, through its own input."""

from __future__ import annotations

import itertools
import json
import os
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import execnet
import pytest
from bindmatrix.execute import executor as module
from bindmatrix.execute.executor import LOADER, Executor

PROGRAM = Path(module.__file__)
LEAVES_TIME_WAIT = (
    "a=tcp4 a.bind=127.0.0.1 a.listen c=tcp4 c.connect=127.0.0.1 x=a.accept x.close c.read c.close a.close "
    "b=tcp4 b.reuseaddr=1 b.bind=127.0.0.1"
)
SCENARIOS = [
    "a=tcp4 a.reuseaddr=1 a.bind=0.0.0.0 a.listen b=tcp4 b.reuseaddr=1 b.bind=127.0.0.1 b.listen",
    "a=tcp6 a.v6only=0 a.bind=:: b=tcp4 b.reuseport=1 b.bind=0.0.0.0 b.close b.listen",
    "a=udp4 a.reuseaddr=1 a.bind=127.0.0.1 b=udp4 b.reuseaddr=1 b.bind=127.0.0.1 deliver=127.0.0.1",
    LEAVES_TIME_WAIT,
    "a=tcp4 a.listen deliver=127.0.0.1",
    "a=tcp4 a=tcp4",
    "c=udp6 c.connect=::2",
]


def run(command: list[str], data: bytes, **options: Any) -> list[dict[str, Any]]:
    done = subprocess.run(command, input=data, capture_output=True, timeout=30, check=False, **options)
    assert done.stderr == b""
    assert done.returncode == 0
    return [json.loads(line) for line in done.stdout.splitlines()]


def program_input(scenarios: list[str]) -> bytes:
    return "".join(json.dumps({"scenario": text}) + "\n" for text in scenarios).encode()


@pytest.fixture(scope="module")
def in_process() -> list[dict[str, Any]]:
    with Executor("none") as executor:
        return [json.loads(executor.line(text)) for text in SCENARIOS]


@pytest.mark.parametrize("namespace", ["auto", "none"])
def test_the_program_answers_as_the_import_does(in_process: list[dict[str, Any]], namespace: str) -> None:
    command = [sys.executable, "-I", "-S", str(PROGRAM), "--namespace", namespace]
    header, *answers = run(command, program_input(SCENARIOS))
    assert header["format"] == module.FORMAT
    assert answers == in_process


def test_bare_lines_blank_lines_and_observation_files_are_input_too(in_process: list[dict[str, Any]]) -> None:
    lines = ['{"format": "bindmatrix-observations/1", "host": {}}', "", *SCENARIOS]
    assert run([sys.executable, str(PROGRAM)], "\n".join(lines).encode())[1:] == in_process


def test_what_is_no_scenario_is_echoed_with_the_reason() -> None:
    lines = ["{", '{"scenario": 1}', '{"scenario": ""}', "[]", "\xff"]
    answers = run([sys.executable, str(PROGRAM)], "\n".join(lines).encode("latin-1"))[1:]
    assert [answer["scenario"] for answer in answers] == ["{", '{"scenario": 1}', "", "[]", "\ufffd"]
    assert all(answer["no_verdict"].startswith("not a scenario: ") for answer in answers)


def test_the_program_runs_under_python_3_8(python38: str, in_process: list[dict[str, Any]]) -> None:
    header, *answers = run([python38, "-I", "-S", str(PROGRAM)], program_input(SCENARIOS))
    assert header["host"]["python"].startswith("cpython 3.8.")
    assert answers == in_process


def test_the_program_may_come_through_its_own_standard_input(in_process: list[dict[str, Any]]) -> None:
    text = PROGRAM.read_bytes()
    command = [sys.executable, "-c", LOADER, str(len(text)), "--namespace", "none"]
    header, *answers = run(command, text + program_input(SCENARIOS))
    assert header["host"]["namespace"] == "none"
    assert answers == in_process


def test_the_program_may_be_the_text_of_dash_c(in_process: list[dict[str, Any]]) -> None:
    assert run([sys.executable, "-c", PROGRAM.read_text(encoding="utf-8")], program_input(SCENARIOS))[1:] == in_process


def test_an_execnet_channel_is_answered_with_lines(in_process: list[dict[str, Any]]) -> None:
    gateway = execnet.makegateway(f"popen//python={sys.executable}")
    try:
        channel = gateway.remote_exec(module)
        channel.send(program_input(SCENARIOS))
        answers = channel.receive(timeout=20).splitlines()
        while len(answers) <= len(SCENARIOS):
            answers += channel.receive(timeout=20).splitlines()
        channel.close()
    finally:
        gateway.exit()
    assert json.loads(answers[0])["format"] == module.FORMAT
    assert [json.loads(line) for line in answers[1:]] == in_process


def test_64_descriptors_are_enough(in_process: list[dict[str, Any]]) -> None:
    resource = pytest.importorskip("resource", reason="needs a Unix")
    limit = lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (64, 64))  # noqa: E731
    scenarios = [*SCENARIOS, "a=tcp4 a.bind=127.0.0.1 a.listen b=tcp4 c=tcp4 d=tcp4 e=tcp4 f=udp4 deliver=127.0.0.1"]
    answers = run([sys.executable, "-I", "-S", str(PROGRAM)], program_input(scenarios), preexec_fn=limit)[1:]
    assert answers[:-1] == in_process
    assert answers[-1]["outcomes"][-1] == "a:32"


@pytest.mark.parametrize("arguments", [["--what"], ["--namespace"], ["--what", "x"]])
def test_a_wrong_option_is_answered_with_the_right_ones(arguments: list[str]) -> None:
    done = subprocess.run([sys.executable, str(PROGRAM), *arguments], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("usage: ")


def test_a_reader_that_goes_away_ends_the_program_quietly() -> None:
    with subprocess.Popen(
        [sys.executable, str(PROGRAM)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.readline()
        process.stdout.close()
        process.stdin.write(b"a=tcp4\n")
        process.stdin.close()
        assert process.wait(10) == 1
        assert process.stderr.read() == b""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="network namespaces exist on Linux alone")
def test_a_time_wait_is_never_met_again(tmp_path: Path) -> None:
    """The same connection again and again; few ports and few connections a namespace, so that new ones are needed."""
    script = tmp_path / "few_ports.py"
    script.write_text(
        f"import sys; sys.path.insert(0, {str(PROGRAM.parent)!r})\n"
        "import executor\n"
        "executor.NamespacePorts.CONNECTIONS = 100\n"
        "sys.exit(executor.main(sys.argv[1:]))\n",
        encoding="utf-8",
    )
    again = "a=tcp4 a.bind=127.0.0.1 a.listen"
    header, *answers = run([sys.executable, str(script)], program_input([LEAVES_TIME_WAIT, again] * 350))
    if header["host"]["namespace"] == "none":
        pytest.skip("this process may not make a network namespace")
    assert len({tuple(answer["outcomes"]) for answer in answers[::2]}) == 1
    assert {tuple(answer["outcomes"]) for answer in answers[1::2]} == {("ok", "ok", "ok")}


def test_leased_ports_rest_and_then_say_so(monkeypatch: pytest.MonkeyPatch) -> None:
    with Executor("none") as executor:
        ports = executor._ports
        # runs without a namespace leave TIME_WAITs for a minute
        free = list(itertools.islice(ports._candidates(), 10))
        ports._fresh, ports._blocks = iter(free), []
        reasons = [json.loads(executor.line("c=tcp4 c.connect=127.0.0.1")).get("no_verdict") for _ in range(20)]
        assert reasons[:2] == [None] * 2
        assert "may still carry a TIME_WAIT" in reasons[-1]
        assert executor.run("a=tcp4 a.bind=127.0.0.1") == ["ok", "ok"]  # needs no fresh port
        monkeypatch.setattr(ports, "REST", 0.0)
        assert executor.run("c=tcp4 c.connect=127.0.0.1") == ["ok", "ECONNREFUSED"]


def test_two_executors_never_lease_the_same_block() -> None:
    with Executor("none") as one, Executor("none") as other:
        assert not set(one._ports._ring) & set(other._ports._ring)


def multiples_of_128(ports: Iterable[int]) -> tuple[list[int], list[int]]:
    """Those among ``ports``, and those that lie between the lowest and the highest port."""
    found = sorted(ports)
    return [port for port in found if port % 128 == 0], [p for p in range(found[0], found[-1]) if p % 128 == 0]


def test_no_leased_port_is_a_multiple_of_128() -> None:
    """NetBSD finds accepted connections of such a port nowhere (see the head of the executor)."""
    with Executor("none") as executor:
        used, passed_over = multiples_of_128([*executor._ports._ring, *executor._ports._fresh])
    assert used == []
    assert passed_over  # a block of 250 ports has one or two


def test_no_port_of_a_namespace_is_a_multiple_of_128() -> None:
    try:
        executor = Executor("own")
    except OSError as error:
        pytest.skip(f"this process may not make a network namespace: {error}")
    with executor:
        ports = executor._ports
        used, passed_over = multiples_of_128([*(ports.plain() for _ in range(1024)), *ports._fresh])
    assert used == []
    assert len(passed_over) > 100  # of 22,000 ports


def test_importing_moves_nobody_into_another_namespace(executor: Executor) -> None:
    def namespace() -> str:
        return str(Path("/proc/thread-self/ns/net").readlink())

    if not module.LINUX:
        pytest.skip("network namespaces exist on Linux alone")
    before = namespace()
    executor.run(SCENARIOS[0])
    assert namespace() == before
    if os.geteuid() == 0:
        try:
            own = Executor("own")
        except OSError as error:
            pytest.skip(f"this process may not make a network namespace: {error}")
        assert namespace() != before
        own.close()
        assert namespace() == before
