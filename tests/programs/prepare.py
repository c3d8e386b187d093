"""What ``tox -e runtimes`` needs beside Python, out of Debian's packages and npm; it runs before the tests.

``python prepare.py FOLDER``: npm installs into FOLDER.  As root with apt-get it installs what is missing.  It never
fails: a test whose program is not here skips and names it.  Standard library only.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

#: what has to be there -> the package that brings it
PROGRAMS = {
    "strace": "strace",
    "cc": "gcc libc6-dev libevent-dev",
    "dnsmasq": "dnsmasq-base",
    "erl": "erlang-base",
    "go": "golang-go",
    "haproxy": "haproxy",
    "javac": "default-jdk-headless",
    "lighttpd": "lighttpd",
    "memcached": "memcached",
    "mosquitto": "mosquitto",
    "nginx": "nginx-light",
    "node": "nodejs npm",
    "php": "php-cli",
    "redis-server": "redis-server",
    "ruby": "ruby",
    "socat": "socat",
    "sshd": "openssh-server",
    "unbound": "unbound",
}
NPM = ("bun", "deno")
#: for one of them; npm tries again for many minutes where it does not reach its registry
SECONDS = 300


def run(*command: str) -> str:
    """Run ``command``; the last line of what it said where it failed."""
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    try:
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=SECONDS)
    except subprocess.TimeoutExpired:
        return f"not done after {SECONDS} s"
    said = (done.stderr or done.stdout).strip().splitlines()
    return "" if done.returncode == 0 else (said or ["no reason given"])[-1]


def main(folder: Path) -> int:
    """Install or tell."""
    packages = [
        package
        for program, package in PROGRAMS.items()
        if shutil.which(program) is None and not Path("/usr/sbin", program).exists()
    ]
    if packages and (os.geteuid() != 0 or shutil.which("apt-get") is None):
        print(f"runtimes: not here, and not installed (needs root and apt-get): {' '.join(packages)}")
    elif packages:
        run("apt-get", "update", "--quiet")
        for package in packages:  # one by one: a release may lack one of them
            failed = run("apt-get", "install", "--yes", "--quiet", "--no-install-recommends", *package.split())
            print(f"runtimes: {package}: {failed or 'installed'}")
    npm = shutil.which("npm")
    wanted = [name for name in NPM if not (folder / "node_modules" / ".bin" / name).exists()]
    if npm and wanted:
        folder.mkdir(parents=True, exist_ok=True)
        failed = run(npm, "install", "--prefix", str(folder), "--no-audit", "--no-fund", *wanted)
        print(f"runtimes: {' '.join(wanted)}: {failed or 'installed'}")
    return 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
