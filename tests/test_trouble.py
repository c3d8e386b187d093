"""Machines in trouble, for real: a clear word each, no traceback, nothing lost.

Where a loopback interface has to be spoiled, a network namespace is made for it; where a limit is needed, the kernel's.
"""

from __future__ import annotations

import ast
import contextlib
import gzip
import io
import json
import os
import random
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from bindmatrix.cli.main import main
from bindmatrix.execute import executor
from bindmatrix.execute.executor import Executor, Unsupported

from tests.execute.namespaces import Namespace, namespace

ROOT = Path(__file__).parents[1]
PROGRAM = Path(executor.__file__)
SHORT = ("run", "--quick", "--examples", "60", "--deliveries", "10", "--workers", "2")
#: the command, but its executors stay in the namespace that they are started in
STAYS = """
import sys
from bindmatrix.cli.main import main
from bindmatrix.execute.local import LocalHost
made = LocalHost.__init__
LocalHost.__init__ = lambda self, *words, **named: made(self, *words, **{**named, "namespace": "none"})
sys.exit(main(sys.argv[1:]))
"""
HERE = (sys.executable, "-c", STAYS)
linux = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="needs Linux's namespaces")


def limited(limit: str, value: int) -> Callable[[], None]:
    """For ``preexec_fn``."""
    resource = pytest.importorskip("resource", reason="needs a Unix")
    return lambda: resource.setrlimit(getattr(resource, limit), (value, value))


def command(
    *words: str, program: Sequence[str] = (sys.executable, "-m", "bindmatrix"), **options: Any
) -> subprocess.CompletedProcess[str]:
    """Run the command; a traceback is always a bug of ours."""
    done = subprocess.run(
        [*program, *words],
        capture_output=True,
        encoding="utf-8",
        timeout=120,
        check=False,
        **options,
    )
    assert "Traceback" not in done.stderr
    return done


def recorded(folder: Path) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """The facts and the observations in a folder of results."""
    with gzip.open(folder / "observations.jsonl.gz", "rt", encoding="utf-8") as stream:
        header, *lines = [json.loads(line) for line in stream]
    return header["host"], lines


@pytest.fixture
def space() -> Iterator[Namespace]:
    if not shutil.which("ip"):
        pytest.skip("needs ip(8) to spoil a loopback interface")
    try:
        with namespace() as made:
            yield made
    except PermissionError:
        pytest.skip("this process may not make a network namespace")


# -- addresses that are not there


def run_in(space: Namespace, folder: Path) -> tuple[dict[str, Any], list[dict[str, Any]], str]:
    """A short run in a namespace as it is: facts, observations, what it printed."""
    done = space.run(*HERE, *SHORT, "--results", str(folder / "new"), check=False, timeout=120)
    assert "Traceback" not in done.stderr
    assert done.returncode == 0, done.stdout + done.stderr
    return *recorded(folder / "new"), done.stdout


@linux
def test_a_machine_without_ipv6_is_asked_for_it(space: Namespace) -> None:
    space.run("sh", "-c", "echo 1 > /proc/sys/net/ipv6/conf/all/disable_ipv6")
    texts = ["a=tcp6 a.bind=::1", "a=tcp6 a.v6only=0 a.bind=::ffff:127.0.0.1", "a=udp4 a.bind=127.0.0.1 deliver=::1"]
    done = space.run(*HERE, "observe", "-", input="\n".join(texts))
    answers = [json.loads(line) for line in done.stdout.splitlines()[1:]]
    assert [(one["outcomes"], one["unsupported"]) for one in answers] == [
        (None, "this host has no IPv6"),
        (None, "this host has no IPv6"),
        (None, "::1 is not an address of this host"),
    ]


@linux
def test_a_machine_without_the_second_address(space: Namespace, tmp_path: Path) -> None:
    space.ip("addr add 127.0.0.1/32 dev lo")
    space.run("ip", "addr", "del", "127.0.0.1/8", "dev", "lo", check=False)
    facts, lines, out = run_in(space, tmp_path)
    assert facts["addresses"] == ["127.0.0.1", "::1"]
    assert "not run: 127.0.0.2: needs 127.0.0.2 on the loopback interface" in out
    assert len(lines) > 1000
    assert not any("127.0.0.2" in one["scenario"] and one["outcomes"] for one in lines)


@linux
def test_a_loopback_interface_that_is_down(space: Namespace) -> None:
    """Addresses can be bound there, but nothing arrives."""
    space.ip("link set lo down")
    texts = ["a=tcp4 a.bind=127.0.0.1 b=tcp4 b.bind=127.0.0.1", "a=tcp4 a.bind=127.0.0.1 a.listen deliver=127.0.0.1"]
    done = space.run(*HERE, "observe", "-", input="\n".join(texts), check=False)
    assert "Traceback" not in done.stderr
    assert len(done.stdout.splitlines()) == 3


# -- ports that somebody else has


@linux
def test_a_range_of_ports_that_is_taken(space: Namespace, tmp_path: Path) -> None:
    holder = (
        "import socket, sys\n"
        "held = [socket.socket() for _ in range(10_000, 32_000, 250)]\n"
        "for index, one in enumerate(held): one.bind(('127.0.0.1', 10_001 + 250 * index))\n"
        "print('held', flush=True); sys.stdin.read()"
    )
    with space.start(sys.executable, "-c", holder, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"held\n"
        done = space.run(*HERE, *SHORT, "--results", str(tmp_path / "new"), check=False)
        process.kill()
    assert done.returncode == 2
    assert done.stderr == (
        "the executor does not start here: executor: every port from 10000 to 32000 is taken\n"
    )  # fmt: skip
    assert not (tmp_path / "new").exists()


@linux
def test_ports_that_are_taken_while_it_runs(space: Namespace) -> None:
    """No outcome of a scenario whose port is another's."""
    program = (
        "import json, socket, sys\n"
        f"sys.path.insert(0, {str(PROGRAM.parent)!r})\n"
        "from executor import Executor\n"
        "with Executor('none') as one:\n"
        "    held = [socket.create_server(('', port)) for port in one._ports._ring]\n"
        "    print(json.dumps([json.loads(one.line('a=tcp4 a.bind=127.0.0.1')) for _ in range(64)]))\n"
    )
    answers = json.loads(space.run(sys.executable, "-c", program).stdout)
    reasons = {answer.get("no_verdict", "").partition(":")[0] for answer in answers}
    assert reasons == {"the first bind failed"}


# -- limits


@pytest.mark.parametrize("leased", [False, True])
def test_64_descriptors_are_enough_for_a_run(tmp_path: Path, leased: bool) -> None:
    program = {"program": HERE} if leased else {}
    limit = limited("RLIMIT_NOFILE", 64)
    done = command(*SHORT, "--results", str(tmp_path / "new"), preexec_fn=limit, **program)
    assert (done.returncode, done.stderr) == (0, "")
    facts, lines = recorded(tmp_path / "new")
    assert all(one["outcomes"] for one in lines)
    assert facts["namespace"] == "none" or not leased


def test_too_few_descriptors_to_start_anything(tmp_path: Path) -> None:
    words = [*SHORT, "--results", str(tmp_path / "new")]
    done = command(*words, preexec_fn=limited("RLIMIT_NOFILE", 10))
    assert (done.returncode, done.stderr) == (2, "no executor can be started here: Too many open files\n")


def test_a_scenario_that_meets_the_limit_gives_no_verdict() -> None:
    text = " ".join(f"s{i}=tcp4" for i in range(40))
    done = subprocess.run(
        [sys.executable, "-I", "-S", str(PROGRAM), "--namespace", "none"],
        input=f"{text}\na=tcp4 a.bind=127.0.0.1\n".encode(),
        capture_output=True,
        check=True,
        preexec_fn=limited("RLIMIT_NOFILE", 32),
    )
    first, second = [json.loads(line) for line in done.stdout.splitlines()[1:]]
    assert (first["outcomes"], first["no_verdict"]) == (None, "too many open files")
    assert second["outcomes"] == ["ok", "ok"]


# -- folders


def test_a_folder_of_results_that_cannot_be_written(tmp_path: Path) -> None:
    if getattr(os, "geteuid", lambda: 0)() == 0:
        pytest.skip("root may write everywhere")
    tmp_path.chmod(0o555)
    done = command(*SHORT, "--results", str(tmp_path / "new"))
    assert done.returncode == 2
    assert (
        done.stderr == f"{tmp_path / 'new'}: cannot be written: Permission denied; name another folder with --results\n"
    )


@contextlib.contextmanager
def small_disk(folder: Path, options: str) -> Iterator[Path]:
    """A file system in memory; only root may mount one."""
    if (
        shutil.which("mount") is None
        or subprocess.run(
            ["mount", "-t", "tmpfs", "-o", options, "none", str(folder)], capture_output=True, check=False
        ).returncode
    ):
        pytest.skip("this process may not mount a file system")
    try:
        yield folder
    finally:
        subprocess.run(["umount", str(folder)], check=True)


@linux
def test_a_file_system_that_is_read_only(tmp_path: Path) -> None:
    with small_disk(tmp_path, "ro") as folder:
        done = command(*SHORT, "--results", str(folder / "new"))
    assert done.returncode == 2
    assert "cannot be written: Read-only file system; name another folder with --results" in done.stderr


@linux
def test_a_disk_that_is_full_keeps_what_came_before(tmp_path: Path) -> None:
    with small_disk(tmp_path, "size=20k") as folder:
        done = command("run", "--quick", "--results", str(folder / "new"))
        assert (done.returncode, done.stdout) == (2, "")
        assert done.stderr == (
            f"{folder / 'new'}: cannot be written: No space left on device; what came before is there, go on with "
            "--resume\n"
        )
        judged = command("judge", str(folder / "new"))
        assert judged.returncode == 2  # it breaks off
        assert int(judged.stdout.partition(": ")[2].partition(" scenarios")[0].replace(",", "")) > 500


# -- nobody


NOBODY = f"""
import os, sys
sys.path.insert(0, {str(PROGRAM.parent)!r})
import executor, ctypes, signal, fcntl, select
os.setgroups([])
os.setgid(65534)
os.setuid(65534)
sys.exit(executor.main(sys.argv[1:]))
"""
TEXTS = (
    "a=tcp4 a.reuseport=1 a.bind=0.0.0.0 b=tcp4 b.reuseport=1 b.bind=0.0.0.0 b.listen",
    "a=tcp6 a.bind=:: a.listen c=tcp4 c.connect=127.0.0.1 x=a.accept",
    "user=1001 a=tcp4",
    "a=udp4 a.bind=127.0.0.1 deliver=127.0.0.1",
)
ANSWERS = [["ok"] * 7, ["ok"] * 6, None, ["ok", "ok", "a:32"]]


def as_nobody(*words: str, **options: Any) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    if getattr(os, "geteuid", lambda: 1)() != 0:
        pytest.skip("needs root, to become nobody")
    done = subprocess.run(
        [sys.executable, "-I", "-S", "-c", NOBODY, *words],
        input="\n".join(TEXTS).encode(),
        capture_output=True,
        check=False,
        timeout=60,
        **options,
    )
    assert (done.returncode, done.stderr) == (0, b"")
    header, *lines = [json.loads(line) for line in done.stdout.splitlines()]
    return header["host"], lines


@linux
def test_nobody_gets_a_namespace_inside_a_user_namespace_or_leased_ports() -> None:
    facts, lines = as_nobody()
    assert facts["namespace"] in ("user", "none")  # not every system lets users make them
    assert facts["privileged"] is False
    assert [one["outcomes"] for one in lines] == ANSWERS
    assert lines[2]["unsupported"] == "this process cannot become another user (CAP_SETUID)"


@linux
def test_nobody_who_may_make_no_namespace_leases_ports() -> None:
    """In a user namespace in which no further namespace may be made: the kernel says ENOSPC."""
    unshare = shutil.which("unshare")
    forbid = "echo 0 > /proc/sys/user/max_user_namespaces; echo 0 > /proc/sys/user/max_net_namespaces"
    if unshare is None or subprocess.run([unshare, "-Ur", "sh", "-c", forbid], capture_output=True).returncode:
        pytest.skip("needs a user namespace to forbid them in")
    shell = f'{forbid}; exec "$@"'
    done = subprocess.run(
        [unshare, "-Ur", "sh", "-c", shell, "sh", sys.executable, "-I", "-S", str(PROGRAM)],
        input="\n".join(TEXTS).encode(),
        capture_output=True,
        check=False,
        timeout=60,
    )
    assert (done.returncode, done.stderr) == (0, b"")
    header, *lines = [json.loads(line) for line in done.stdout.splitlines()]
    assert header["host"]["namespace"] == "none"
    assert [one["outcomes"] for one in lines] == ANSWERS
    assert lines[2]["unsupported"] == "this process cannot become another user (CAP_SETUID)"


# -- time


@pytest.mark.skipif(
    not executor.LINUX, reason="a full queue of a listener drops requests on Linux; elsewhere it may refuse"
)
def test_a_connect_that_hangs_ends_after_a_second(monkeypatch: pytest.MonkeyPatch) -> None:
    """The queue of the listener is full, so this kernel drops the third request."""
    monkeypatch.setattr(executor, "BACKLOG", 0)
    text = "a=tcp4 a.bind=127.0.0.1 a.listen c=tcp4 c.connect=127.0.0.1 d=tcp4 d.connect=127.0.0.1"
    with Executor("none") as one:
        start = time.monotonic()
        assert one.run(text)[-2:] == ["ok", "timeout"]
        with pytest.raises(Unsupported, match=r"a listener holds \d connections"):
            one.run("a=tcp4 a.bind=127.0.0.1 a.listen deliver=127.0.0.1")
        assert time.monotonic() - start < 4 * executor.LIMIT


WALL_CLOCK = {
    "time.time",
    "time.time_ns",
    "time.localtime",
    "time.ctime",
    "datetime.now",
    "datetime.today",
    "date.today",
}


def test_no_decision_rests_on_the_wall_clock() -> None:
    """What has to last or to pass is measured with the monotonic clock."""
    seen, wrong = 0, []
    for path in sorted((ROOT / "conformance").rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Attribute) and ast.unparse(node).startswith(("time.", "datetime.", "date.")):
                seen += 1
                wrong += [(path.name, node.lineno)] if ast.unparse(node) in WALL_CLOCK else []
            if isinstance(node, ast.ImportFrom) and node.module == "time":
                wrong.append((path.name, node.lineno))
    assert seen > 20
    assert wrong == []


def test_a_clock_that_jumps_changes_nothing(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Days forth and back with every look at it, in the command and in its executors."""
    draw = random.Random(3)
    monkeypatch.setattr(time, "time", lambda: draw.uniform(-1e6, 4e9))
    script = (
        "import random, time; draw = random.Random(3); time.time = lambda: draw.uniform(-1e6, 4e9);"
        "import sys; from bindmatrix.cli.main import main; sys.exit(main(sys.argv[1:]))"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, *SHORT, "--results", str(tmp_path / "new")],
        capture_output=True,
        encoding="utf-8",
        check=False,
        timeout=120,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert len(recorded(tmp_path / "new")[1]) > 1000
    with Executor("none") as one:
        assert one.run("a=tcp4 a.bind=127.0.0.1 a.listen x=a.accept")[-1] == "timeout"
        assert one.run("a=udp4 deliver=127.0.0.1")[-1] == "refused"
        port = one._ports.fresh(1)
        assert port != one._ports.fresh(1)


# -- letters


@pytest.mark.parametrize("kind", ["--html", "--markdown"])
def test_reports_on_standard_output_are_utf_8_whatever_the_console_knows(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "one.jsonl"
    header = {"format": executor.FORMAT, "host": {"os": "linux", "release": "6.18"}}
    file.write_text(json.dumps(header) + '\n{"scenario":"a=tcp4","outcomes":["ok"]}\n', encoding="utf-8")
    written = io.BytesIO()
    monkeypatch.setattr("sys.stdout", io.TextIOWrapper(written, encoding="ascii"))
    assert main(["report", str(file), kind, "-"]) == 0
    assert not written.getvalue().decode().isascii()


def test_a_letter_that_the_console_does_not_know_is_shown_as_a_number() -> None:
    environment = {**os.environ, "PYTHONIOENCODING": "cp1252"}
    line = json.dumps({"format": executor.FORMAT, "host": {"os": "linux", "release": "6.18 \u2603"}})
    done = command("judge", "-", input=line + '\n{"scenario":"a=tcp4","outcomes":["ok"]}\n', env=environment)
    assert done.returncode in (0, 2)
    assert "\\u2603" in done.stdout + done.stderr


def test_nothing_is_read_or_written_in_the_letters_of_the_locale(tmp_path: Path) -> None:
    """As Python itself finds it out, in the C locale without its UTF-8 mode."""
    new = str(tmp_path / "new")
    verbs = [
        [*SHORT, "--results", new],
        ["run", "--resume", new, *SHORT[1:]],
        ["judge", new],
        ["report", new, "--html", f"{new}.html", "--markdown", f"{new}.md", "--junit", f"{new}.xml"],
        ["ask", "a=tcp4 a.bind=:: b=tcp4 b.bind=0.0.0.0"],
        ["reproduce", "a=tcp4 a.bind=::", "--output", f"{new}.out"],
        ["lint", "--os", "windows"],
    ]
    script = (
        "import json, sys; from bindmatrix.cli.main import main;"
        "found = [main(words) for words in json.loads(sys.argv[1])]; print(found, file=sys.stderr)"
    )
    done = subprocess.run(
        [sys.executable, "-X", "warn_default_encoding", "-c", script, json.dumps(verbs)],
        capture_output=True,
        encoding="utf-8",
        check=False,
        timeout=120,
        env={**os.environ, "LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"},
    )
    ours = [line for line in done.stderr.splitlines() if "EncodingWarning" in line and "site-packages" not in line]
    assert ours == []
    assert done.stderr.splitlines()[-1] == str([0] * len(verbs))
