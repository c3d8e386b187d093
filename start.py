"""Runs bindmatrix, or its tests, out of a fresh checkout; needs Python 3.11+ and nothing else.

    python3 start.py run            # `bindmatrix run`; likewise for every other verb
    python3 start.py check          # before a commit: format, types, layers and the quick tests
    python3 start.py tox            # all tests

What is needed goes into the folders .venv and .tox beside this file; nothing is installed anywhere else.  Pip comes
from where this Python has it: ensurepip (most Pythons), the pip installed beside it, or, on a Debian or Ubuntu that has
neither (python3 without python3-venv), from their package python3-pip-whl, which is unpacked into .venv and needs no
root.
"""

from __future__ import annotations

import hashlib
import importlib.util
import os
import shlex
import shutil
import subprocess
import sys
import venv
from pathlib import Path

HERE = Path(__file__).resolve().parent
VENV = HERE / ".venv"
PROGRAMS = VENV / ("Scripts" if os.name == "nt" else "bin")
PYTHON = PROGRAMS / ("python.exe" if os.name == "nt" else "python")
#: what the environment holds beside bindmatrix itself; `-e`: an edit of the checkout counts at once
PACKAGES = ["-e", str(HERE), "tox>=4.22"]

#: what is not a verb of bindmatrix -> the command
COMMANDS = {"tox": ("tox",), "check": ("tox", "-q", "-e", "check")}
USAGE = """\
    python3 start.py run      the main job
    python3 start.py check    before a commit: format, types, layers and the quick tests
    python3 start.py tox      all tests
    python3 start.py VERB     any other verb of bindmatrix; 'python3 start.py --help' lists them"""


def main() -> int:
    if sys.version_info < (3, 11):
        return fail(f"this is Python {sys.version.split()[0]}; bindmatrix needs 3.11 or newer")
    if len(sys.argv) < 2:
        return fail(f"say what to run:\n{USAGE}")
    stamp = VENV / "start.py.stamp"
    wanted = hashlib.sha256(
        "\0".join([sys.version, *PACKAGES]).encode() + (HERE / "pyproject.toml").read_bytes()
    ).hexdigest()
    if not stamp.is_file() or stamp.read_text(encoding="utf-8") != wanted:
        print(f"installing into {VENV} ...", file=sys.stderr, flush=True)
        try:
            install()
        except (OSError, subprocess.CalledProcessError) as error:
            return fail(f"could not install into {VENV}: {error}")
        stamp.write_text(wanted, encoding="utf-8")
    command = [*COMMANDS.get(sys.argv[1], ("bindmatrix", sys.argv[1])), *sys.argv[2:]]
    command[0] = str(PROGRAMS / command[0])
    os.environ["BINDMATRIX_COMMAND"] = f"{'py' if os.name == 'nt' else 'python3'} {shlex.quote(sys.argv[0])}"
    if os.name != "nt":  # there execv() would return to the shell at once
        os.execv(command[0], command)  # one process, so that Ctrl-C is its own affair
    return subprocess.call(command)


def install() -> None:
    """Make the environment and install :data:`PACKAGES`; raises OSError or CalledProcessError."""
    if VENV.is_file():
        VENV.unlink()  # tox, started by itself, leaves there the name of one of its environments (PEP 832)
    if importlib.util.find_spec("ensurepip"):
        venv.create(VENV, with_pip=True, symlinks=os.name != "nt")
        pip = [str(PYTHON), "-m", "pip"]
    else:
        venv.create(VENV, symlinks=os.name != "nt")
        if importlib.util.find_spec("pip"):
            pip = [sys.executable, "-m", "pip", "--python", str(PYTHON)]
        else:
            pip = [str(PYTHON), str(debian_pip() / "pip")]
    quiet = ["--quiet", "--disable-pip-version-check"]
    subprocess.run([*pip, "install", *quiet, *PACKAGES], check=True)


def debian_pip() -> Path:
    """Debian's wheel of pip, by an apt whose lists and cache are in .venv too; raises OSError where there is none."""
    if not shutil.which("apt-get"):
        raise OSError("this Python has neither ensurepip nor pip; install one of them")
    folder = VENV / "debian"
    for name in ("lists/partial", "cache/archives/partial"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    apt = ["apt-get", "-qq", "-o", f"Dir::State::Lists={folder / 'lists'}", "-o", f"Dir::Cache={folder / 'cache'}"]
    apt += ["-o", f"APT::Sandbox::User={'root' if os.geteuid() == 0 else ''}"]
    subprocess.run([*apt, "update"], check=True)
    subprocess.run([*apt, "download", "python3-pip-whl"], check=True, cwd=folder)
    subprocess.run(["dpkg-deb", "-x", *map(str, folder.glob("python3-pip-whl_*.deb")), str(folder)], check=True)
    wheels = sorted(folder.glob("usr/share/python-wheels/pip-*.whl"))
    if not wheels:
        raise OSError("Debian's package python3-pip-whl holds no wheel of pip")
    return wheels[-1]


def fail(text: str) -> int:
    print(f"start.py: {text}", file=sys.stderr)
    return 2


if __name__ == "__main__":
    sys.exit(main())
