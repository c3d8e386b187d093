"""Hosts over execnet: the same answers as here, from any Python that a command leads to, and nobody left behind."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import textwrap
import threading
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from bindmatrix.execute.executor import Executor
from bindmatrix.execute.hosts import HostSpec, host_spec, open_host
from bindmatrix.execute.local import HostError
from bindmatrix.execute.remote import CHUNK, RemoteHost

SCENARIOS = [
    "a=tcp4 a.bind=127.0.0.1",
    "a=tcp4 a.bind=127.0.0.1 a.listen b=tcp4 b.reuseaddr=1 b.bind=0.0.0.0",
    "a=udp4 a.reuseaddr=1 a.bind=0.0.0.0 b=udp4 b.reuseaddr=1 b.bind=0.0.0.0 deliver=127.0.0.1",
    "a=tcp4 a.bind=127.0.0.1 a.listen c=tcp4 c.connect=127.0.0.1 x=a.accept x.close c.read c.close",
    "a=tcp4 b.bind=::1",
    "a=tcp4\tb=tcp4",
    "é",
    "{",
    "",
    "a=tcp4 a=tcp4",
    "a=tcp4 \udc80",
]
LINUX = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="looks into /proc")


def remote(word: str, **settings: Any) -> RemoteHost:
    spec = host_spec(word)
    host = open_host(HostSpec(**{**vars(spec), "name": "far", "workers": 1, **settings}))
    assert isinstance(host, RemoteHost)
    return host


def this_python(**settings: Any) -> RemoteHost:
    return remote(f"python={sys.executable}", **settings)


def answers(host: RemoteHost, scenarios: list[str]) -> list[dict[str, Any]]:
    return [json.loads(line) for batch in host.run(scenarios) for line in batch]


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def children() -> list[int]:
    found = []
    for task in Path("/proc/self/task").iterdir():
        try:
            found += map(int, (task / "children").read_text(encoding="utf-8").split())
        except FileNotFoundError:  # the thread has just ended
            continue
    return found


def pids(host: RemoteHost) -> list[int]:
    return [worker._connection._process.pid for worker in host._workers]


def soon(check: Any) -> bool:
    end = time.monotonic() + 60
    while not check() and time.monotonic() < end:
        time.sleep(0.01)
    return bool(check())


def test_the_answers_are_those_of_an_executor_here() -> None:
    with Executor("none") as here, this_python(namespace="none") as host:
        assert answers(host, SCENARIOS) == [json.loads(here.line(text)) for text in SCENARIOS]
        assert {**host.facts, "sysctls": 0} == {**here.facts, "sysctls": 0}


def test_every_scenario_is_answered_once_by_several_connections() -> None:
    scenarios = [f"a=tcp4 a.bind=127.0.{i // 250}.{i % 250 + 1}" for i in range(CHUNK * 5 + 7)]
    with this_python(workers=3) as host:
        first = answers(host, scenarios)
        assert Counter(one["scenario"] for one in first) == Counter(scenarios)
        assert all(one["outcomes"] for one in first)
        assert answers(host, []) == []
        assert host.repeat(SCENARIOS[3], 3) == [["ok"] * 9] * 3
        assert host.repeat("nonsense", 1) == [None]


def test_long_scenarios_go_too_and_the_longest_are_refused() -> None:
    scenarios = ["a=tcp4 " + " ".join(["a.reuseaddr=1"] * count) for count in (10, 5_000, 9_000, 9_500, 5_000)]
    scenarios += ["é" * 20_000] * 12
    with this_python() as host:
        found = answers(host, scenarios)
    assert Counter(one["scenario"] for one in found) == Counter(scenarios)
    assert [one["scenario"] for one in found if one.get("no_verdict", "").startswith("longer than")] == [scenarios[3]]
    assert sum(one["outcomes"] is not None for one in found) == 4


@pytest.mark.parametrize("way", ["python={}", "via=env -i {}"])
def test_an_old_python_will_do(way: str, python38: str) -> None:
    with remote(way.format(python38)) as host:
        assert host.facts["python"].startswith("cpython 3.8.")
        assert answers(host, SCENARIOS[:1])[0]["outcomes"] == ["ok", "ok"]


def wrapper(tmp_path: Path, text: str) -> str:
    """A way to a Python that was changed by ``text`` before it reads its program."""
    path = tmp_path / "python.py"
    path.write_text(f"import sys\n{textwrap.dedent(text)}\nexec(sys.argv[-1])\n", encoding="utf-8")
    return f"via={sys.executable} -I -S {path}"


UNFIT = {
    "too old": ("sys.version_info = (3, 7, 3, 'final', 0)", "Python 3.8 or newer is needed, this is 3.7"),
    "no sockets": ("sys.modules['_socket'] = None", "its Python has no sockets"),
    "forbidden sockets": (
        "import _socket\ndef socket(*_): raise PermissionError(1, 'forbidden')\n_socket.socket = socket",
        "no sockets for the executor ([Errno 1] forbidden)",
    ),
    "no Python": ("sys.exit('sh: python3: not found')", "sh: python3: not found; try by hand: "),
    "no word": ("sys.exit(3)", "exit status 3"),
    "killed": ("import os; os.kill(os.getpid(), 9)", "SIGKILL"),
}  # fmt: skip


@pytest.mark.parametrize(("text", "said"), UNFIT.values(), ids=UNFIT)
def test_an_unfit_host_is_told_in_one_line(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(HostError) as caught, remote(wrapper(tmp_path, text)):
        pass
    assert said in str(caught.value)
    assert str(caught.value).startswith("far: ")
    assert str(caught.value).isprintable()


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("import time; time.sleep(60)", "nothing within 1 seconds"),
        # it ends with the input: what the wrapper would say next is a traceback, which may come before the echo
        ("for line in sys.stdin: print(line)\nsys.exit()", "import sys"),
    ],
    ids=["silent", "an echo"],
)
def test_a_host_that_does_not_answer_is_not_waited_for_long(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(HostError, match=rf"far: no executor starts there: .*{said}.*; try by hand"):
        remote(wrapper(tmp_path, text), start=1.0).facts  # noqa: B018


def test_a_command_that_is_not_there() -> None:
    with pytest.raises(HostError, match="'/no/such/python' cannot be started: No such file"):
        remote("python=/no/such/python").facts  # noqa: B018


def test_a_greeting_before_the_start_is_passed_over(tmp_path: Path) -> None:
    with remote(wrapper(tmp_path, "print('Welcome to the machine!\\n' * 500, end='...', flush=True)")) as host:
        assert answers(host, ["a=tcp4"])[0]["outcomes"] == ["ok"]


def test_a_namespace_that_is_not_to_be_had(tmp_path: Path) -> None:
    text = "sys.platform = 'freebsd14'"
    with pytest.raises(HostError, match="network namespaces exist on Linux alone"):
        remote(wrapper(tmp_path, text), namespace="own").facts  # noqa: B018


@LINUX
@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() != 0, reason="needs root, to be somebody else")
def test_an_unprivileged_user_has_a_namespace_too() -> None:
    """execnet has threads, and a user namespace needs a process with one: the executor is made before."""
    python = next((path for path in ("/usr/bin/python3", "/usr/local/bin/python3") if Path(path).exists()), "python3")
    somebody = ["setpriv", "--reuid=1001", "--regid=1001", "--clear-groups"]
    probe = [*somebody, "unshare", "--user", "--net", python, "-c", "0"]
    if shutil.which("setpriv") is None or subprocess.run(probe, check=False, capture_output=True).returncode:
        pytest.skip("users may not make namespaces here, or there is no Python for them")
    with remote(f"via={' '.join(somebody)} {python}") as host:
        assert host.facts["namespace"] == "user"
        assert answers(host, [SCENARIOS[3]])[0]["outcomes"] == ["ok"] * 9


@pytest.fixture
def ssh(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An ssh that stays here: gives the command to a shell as sshd does, and writes down what it was given."""
    log = tmp_path / "ssh.log"
    path = tmp_path / "bin" / "ssh"
    path.parent.mkdir()
    path.write_text(
        f'#!/bin/sh\nprintf "%s\\n" "$*" >> {log}\nfor last; do :; done\n'
        'case "$*" in *nowhere*) echo "ssh: connect to host nowhere port 22: Connection refused" >&2; exit 255;; esac\n'
        'exec /bin/sh -c "$last"\n',
        encoding="utf-8",
    )
    path.chmod(0o755)
    monkeypatch.setenv("PATH", f"{path.parent}{os.pathsep}{os.environ['PATH']}")
    return log


@pytest.mark.skipif(os.name == "nt", reason="a shell script stands for ssh")
def test_ssh_leads_to_a_python(ssh: Path) -> None:
    with remote(f"ssh=-p 2222 me@box//python={sys.executable}") as host:
        assert answers(host, ["a=tcp4"])[0]["outcomes"] == ["ok"]
    assert ssh.read_text(encoding="utf-8").startswith("-o BatchMode=yes -p 2222 me@box ")


@pytest.mark.skipif(os.name == "nt", reason="a shell script stands for ssh")
def test_a_host_that_cannot_be_reached(ssh: Path) -> None:
    with pytest.raises(HostError) as caught:
        remote("ssh=nowhere").facts  # noqa: B018
    assert str(caught.value) == (
        "far: no executor starts there: ssh: connect to host nowhere port 22: Connection refused; "
        "try by hand: ssh nowhere python3 --version"
    )


def test_patience_knows_what_a_scenario_asks_to_wait() -> None:
    with this_python(patience=3.0) as host:
        assert answers(host, ["a=tcp4 wait=3500"])[0]["outcomes"] == ["ok", "ok"]


@LINUX
def test_a_far_side_that_is_killed_costs_one_scenario_at_most() -> None:
    scenarios = ["a=tcp4 a.bind=127.0.0.1 wait=1"] * 1500
    with this_python(workers=2) as host:
        found: list[bytes] = []
        for batch in host.run(scenarios):
            found += batch
            if batch and len(found) < 600:
                os.kill(pids(host)[-1], signal.SIGKILL)
        assert len(found) == len(scenarios)
        blamed = [line for line in found if b"no_verdict" in line]
        assert len(blamed) < 10
        assert all(b"the host died in this scenario" in line for line in blamed)


@LINUX
def test_leaving_early_drops_the_rest_and_leaves_nobody() -> None:
    def endless() -> Iterator[str]:
        while True:
            yield "a=tcp4 a.bind=127.0.0.1"

    def open_files() -> int:
        return len(list(Path("/proc/self/fd").iterdir()))

    before, files, threads = children(), open_files(), threading.active_count()
    with this_python(workers=2) as host:
        for batch in host.run(endless()):
            if batch:
                break
        assert [one["scenario"] for one in answers(host, ["b=udp4"])] == ["b=udp4"]
        for batch in host.run(endless()):
            if batch:
                break
    assert children() == before
    assert soon(lambda: open_files() == files)
    assert soon(lambda: threading.active_count() <= threads)


@LINUX
@pytest.mark.parametrize("scenario", ["a=tcp4 a.bind=127.0.0.1", "a=tcp4 wait=60000"])
def test_far_sides_end_with_a_connection_whose_owner_is_killed(scenario: str) -> None:
    script = textwrap.dedent(f"""
        import sys
        from bindmatrix.execute.hosts import HostSpec, open_host
        def scenarios():
            for count in range(10**9):
                if count == 1100:  # both have been given some
                    print(*[worker._connection._process.pid for worker in host._workers], flush=True)
                yield {scenario!r}
        with open_host(HostSpec("far", python=sys.executable, workers=2)) as host:
            for batch in host.run(scenarios()):
                pass
    """)
    with subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE) as parent:
        assert parent.stdout is not None
        far_sides = [int(pid) for pid in parent.stdout.readline().split()]
        assert len(far_sides) == 2
        assert all(alive(pid) for pid in far_sides)
        parent.send_signal(signal.SIGKILL)
    assert soon(lambda: not any(alive(pid) for pid in far_sides))


@LINUX
def test_what_a_command_started_ends_with_it(tmp_path: Path) -> None:
    """A far side that does not end by the end of its input, below a shell."""
    deaf = tmp_path / "deaf.sh"
    deaf.write_text(f'#!/bin/sh\nsleep 1000 & echo $! > {tmp_path / "pid"}\n{sys.executable} "$@"\n', encoding="utf-8")
    deaf.chmod(0o755)
    with remote(f"via={deaf}") as host:
        assert answers(host, ["a=tcp4"])[0]["outcomes"] == ["ok"]
        pid = int((tmp_path / "pid").read_text(encoding="utf-8"))
        assert alive(pid)
    assert soon(lambda: not alive(pid))


@LINUX
def test_the_number_of_a_process_that_was_waited_for_is_not_killed(monkeypatch: pytest.MonkeyPatch) -> None:
    """It may be that of somebody else by then."""
    with this_python() as host:
        connection = host._workers[0]._connection
        assert answers(host, ["a=tcp4"])[0]["outcomes"] == ["ok"]
    killed: list[int] = []
    monkeypatch.setattr(os, "killpg", lambda pid, _signal: killed.append(pid))
    connection.kill()
    connection.refuse("too late")
    assert killed == []
