"""No run leaves a process, a socket, a namespace or a changed sysctl behind, killed in the middle or not.

Everything happens in a network namespace of the test's own, where nobody else's sockets are: there the kernel's own
tables can be counted exactly.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="looks into /proc")

ROOT = Path(__file__).parents[2]

#: runs in a namespace of its own; prints what there is before, during and after
SCRIPT = r"""
import json, os, signal, subprocess, sys, time
from pathlib import Path
from bindmatrix.execute import executor
from bindmatrix.generate.deliveries import random_deliveries
from bindmatrix.generate.sequences import other_sequences, random_sequences

mode, namespace = sys.argv[1:]
try:
    executor._make_ports("own")
except OSError:
    sys.exit(77)

STATES = (
    "a=tcp4 a.bind=127.0.0.1 a.listen c=tcp4 c.connect=127.0.0.1 x=a.accept x.close c.read c.close a.close",
    "a=tcp4 a.bind=127.0.0.1 a.listen c=tcp4 c.connect=127.0.0.1 x=a.accept c.close x.read a.close",
    "a=tcp6 a.v6only=0 a.bind=:: a.listen c=tcp4 c.connect=127.0.0.1 a.close",
    "a=udp4 a.bind=0.0.0.0 a.connect=127.0.0.1 a.join=224.0.0.251",
    "a=unix a.bind=/x a.listen a.close b=unixgram b.bind=@x",
)
SCENARIOS = [*STATES * 10, *random_sequences(7, 150, users=os.geteuid() == 0), *random_deliveries(7, 40)]
SCENARIOS += other_sequences(7, 20, users=os.geteuid() == 0)

CHILD = '''
import itertools, json, os, sys
from bindmatrix.execute.local import LocalHost
with LocalHost(2, namespace=sys.argv[1]) as host:
    print(*[worker._process.pid for worker in host._workers], flush=True)
    scenarios = json.loads(sys.argv[2])
    for batch in host.run(scenarios if sys.argv[3] == "whole" else itertools.cycle(scenarios)):
        if sys.argv[3] != "whole":
            print("running", flush=True)
    print("done", flush=True)
'''

def sockets():
    # inode 0: no process has it any more, the kernel ends the connection by itself; TIME_WAIT, and FIN_WAIT2 where the
    # other end went with a process that was killed (seen once: it would stay for a minute)
    found = []
    for table in ("tcp", "tcp6", "udp", "udp6"):
        for line in Path(f"/proc/self/net/{table}").read_text().splitlines()[1:]:
            words = line.split()
            if words[9] != "0":
                found.append((table, words[1], words[2], words[3]))
    # names of Unix sockets; a namespace has its own, and nobody else uses this one
    found += [line.split()[-1] for line in Path("/proc/self/net/unix").read_text().splitlines() if "bindmatrix" in line]
    return found

def files():
    # what stays in the folder for temporary files, and what is mounted
    return sorted(os.listdir(os.environ["TMPDIR"])), Path("/proc/self/mounts").read_text().count("\n")

def sysctls():
    names = ("ipv4/ip_local_port_range", "ipv4/tcp_max_tw_buckets", "ipv6/bindv6only", "ipv4/tcp_tw_reuse")
    return {name: Path(f"/proc/sys/net/{name}").read_text() for name in names if Path(f"/proc/sys/net/{name}").exists()}

def processes(pids):
    alive = []
    for pid in pids:
        try:
            if Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z":
                alive.append(pid)
        except OSError:
            pass
    return alive

def inside(held):
    # held by a descriptor, a namespace keeps its number: nobody else's can be taken for it
    numbers = {os.fstat(descriptor).st_ino for descriptor in held}
    found = []
    for path in Path("/proc").glob("[0-9]*/ns/net"):
        try:
            if path.stat().st_ino in numbers:
                found.append(str(path))
        except OSError:
            pass
    return sorted(found)

before = {"sockets": sockets(), "sysctls": sysctls(), "open": sorted(os.listdir("/proc/self/fd")), "files": files()}
child = subprocess.Popen([sys.executable, "-c", CHILD, namespace, json.dumps(SCENARIOS), mode], stdout=subprocess.PIPE)
pids = [int(word) for word in child.stdout.readline().split()]
home = os.stat("/proc/self/ns/net").st_ino
held = [os.open(f"/proc/{pid}/ns/net", os.O_RDONLY) for pid in pids if os.stat(f"/proc/{pid}/ns/net").st_ino != home]
if mode == "whole":
    said = child.stdout.read()
else:
    said = child.stdout.readline()
    os.kill(pids[0] if mode == "kill-worker" else child.pid, signal.SIGKILL)
    if mode == "kill-worker":
        said = child.stdout.readline()  # it goes on with another worker
        child.kill()
child.stdout.close()
child.wait()
end = time.monotonic() + 60
while (processes(pids) or inside(held) or sockets() != before["sockets"]) and time.monotonic() < end:
    time.sleep(0.01)
left = {"used": len(held), "left": processes(pids), "namespaces": inside(held)}
for descriptor in held:
    os.close(descriptor)
after = {"sockets": sockets(), "sysctls": sysctls(), "open": sorted(os.listdir("/proc/self/fd")), "files": files()}
print(json.dumps({"before": before, "after": after, "said": said.decode(), "workers": len(pids), **left}))
"""


def run(mode: str, namespace: str, temporary: Path) -> dict[str, Any]:
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, mode, namespace],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=120,
        env={**os.environ, "TMPDIR": str(temporary)},
    )
    if done.returncode == 77:
        pytest.skip("no network namespace here")
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


@pytest.mark.parametrize("namespace", ["none", "auto"])
@pytest.mark.parametrize("mode", ["whole", "kill", "kill-worker"])
def test_nothing_is_left(mode: str, namespace: str, tmp_path: Path) -> None:
    found = run(mode, namespace, tmp_path)
    assert found["workers"] == 2
    assert found["said"] == ("done\n" if mode == "whole" else "running\n")
    assert found["left"] == []
    assert found["namespaces"] == []
    assert found["after"] == found["before"]
    if namespace == "auto":
        assert found["used"] == 2  # there was something to leave behind


def test_the_count_would_see_a_socket_that_stays(tmp_path: Path) -> None:
    """The look at the kernel's table is not blind."""
    stays = "child.wait(); import socket; s = socket.socket(); s.bind(('', 0)); s.listen()"
    script = SCRIPT.replace("child.wait()", stays)
    script = script.replace("monotonic() + 60", "monotonic() + 0.1")
    done = subprocess.run(
        [sys.executable, "-c", script, "kill", "auto"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
        env={**os.environ, "TMPDIR": str(tmp_path)},
    )
    if done.returncode == 77:
        pytest.skip("no network namespace here")
    found = json.loads(done.stdout)
    assert len(found["after"]["sockets"]) == len(found["before"]["sockets"]) + 1
