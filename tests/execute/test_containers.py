"""A whole run in each ordinary container: what is missing there is named, and nothing diverges for it."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ALL = "-all"
UP = "ip link set lo up"
#: name -> (shell before, options of setpriv, options of unshare)
CONTAINERS: dict[str, tuple[str, list[str], list[str]]] = {
    "root without CAP_SETUID": (UP, ["-setuid"], []),
    "no capabilities, user namespaces": (UP, [ALL], []),
    "CAP_SYS_ADMIN without CAP_NET_ADMIN": (":", ["-net_admin"], []),
    "lo down, nothing to raise it with": (":", ["-net_admin,-sys_admin"], []),
    "somaxconn of 30, leased ports": (f"{UP} && echo 30 > /proc/sys/net/core/somaxconn", ["-sys_admin"], []),
    "somaxconn of 33, leased ports": (f"{UP} && echo 33 > /proc/sys/net/core/somaxconn", ["-sys_admin"], []),
    "ephemeral range of 2, leased ports": (
        f"{UP} && echo 40000 40001 > /proc/sys/net/ipv4/ip_local_port_range",
        ["-sys_admin"],
        [],
    ),
    "bindv6only, leased ports": (f"{UP} && echo 1 > /proc/sys/net/ipv6/bindv6only", ["-sys_admin"], []),
    "tcp_timestamps off": (f"{UP} && echo 0 > /proc/sys/net/ipv4/tcp_timestamps", [], []),
    "tcp_timestamps off, leased ports": (f"{UP} && echo 0 > /proc/sys/net/ipv4/tcp_timestamps", ["-sys_admin"], []),
    "no IPv6, leased ports": (f"{UP} && echo 1 > /proc/sys/net/ipv6/conf/all/disable_ipv6", ["-sys_admin"], []),
    "root of a user namespace": (UP, [], ["--user", "--map-root-user"]),
}

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        any(shutil.which(name) is None for name in ("unshare", "setpriv", "ip")), reason="needs util-linux and iproute2"
    ),
    pytest.mark.skipif(getattr(os, "geteuid", lambda: 1)() != 0, reason="needs root to take rights away"),
]


@pytest.mark.parametrize("name", CONTAINERS)
def test_nothing_diverges(name: str, tmp_path: Path) -> None:
    """Before preconditions were tried, up to 34,490 of 237,242 scenarios diverged for what the container lacked."""
    setup, rights, spaces = CONTAINERS[name]
    dropped = ["setpriv", "--bounding-set", rights[0], "--inh-caps", rights[0]] if rights else []
    command = ["unshare", *spaces, "--net", "--mount", "sh", "-c", f'{setup} && exec "$@"', "sh", *dropped]
    run = ["run", "--quick", "--examples", "60", "--deliveries", "60", "--workers", "1", "--json"]
    leased = "leased" in name
    if leased:
        (tmp_path / "hosts.toml").write_text('[it]\nlocal = true\nnamespace = "none"\n')
        run += ["--hosts", str(tmp_path / "hosts.toml"), "--on", "it"]
    command += [sys.executable, "-m", "bindmatrix", *run, "--results", str(tmp_path / "r")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=500)
    if any(done.stderr.startswith(f"{word}:") for word in ("unshare", "setpriv", "sh", "RTNETLINK")):
        pytest.skip(done.stderr.strip())
    assert done.stdout, done.stderr
    summary = json.loads(done.stdout)
    if leased:
        assert summary["host"]["namespace"] == "none"
    wrong = [(group["scenario"], group["actual"]) for group in summary["groups"] if group["kind"] == "diverges"]
    assert summary["verdicts"]["diverges"] == 0, (summary["host"], wrong[:5])
    assert summary["total"] > 1_000
    assert any("somaxconn" in reason for reason in summary["reasons"]["unsupported"]) == ("of 30" in name)
    if "lo down" not in name:
        assert summary["verdicts"]["conforms"] > 500, summary["reasons"]
