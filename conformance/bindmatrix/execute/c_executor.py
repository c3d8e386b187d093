"""Compiles ``executor.c`` once, with the C compiler of this machine, into the user's cache folder.

The program's name there holds a hash of everything that it was made from, so a new version of the source is a new
program.
"""

from __future__ import annotations

import hashlib
import os
import shlex
import shutil
import subprocess
import tempfile
from pathlib import Path

from bindmatrix.errors import Place, Problem

SOURCE = Path(__file__).with_name("executor.c")
_COMPILERS = ("cc", "gcc", "clang")
_FLAGS = ("-std=c99", "-O2")


def compiler() -> list[str]:
    """The words of the compiler's command: ``$CC``, else the first of cc, gcc, clang; raises :class:`Problem`."""
    words = shlex.split(os.environ.get("CC", ""))
    found = [words] if words else [[name] for name in _COMPILERS]
    for command in found:
        if shutil.which(command[0]):
            return command
    missing = "$CC" if words else ", ".join(_COMPILERS)
    raise Problem(Place("C executor"), f"no C compiler here ({missing}): install one, or use the executor in Python")


def program(*, static: bool = False) -> Path:
    """The compiled executor; raises :class:`Problem` where it cannot be compiled or kept.

    ``static``: without shared libraries, as the init of an initramfs has to be.
    """
    command = [*compiler(), *_FLAGS, *(["-static"] if static else [])]
    # what the compiler is belongs to it: the cache of a home folder may be that of several machines
    told = subprocess.run([command[0], "--version"], capture_output=True, check=False).stdout  # noqa: S603
    key = hashlib.sha256(repr((command, told)).encode() + SOURCE.read_bytes()).hexdigest()[:16]
    path = _cache() / f"executor-{key}"
    if not path.exists():
        _compile(command, path)
    return path


def _cache() -> Path:
    folder = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "bindmatrix"
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise Problem(Place(str(folder)), f"cannot keep the compiled executor: {error.strerror}") from None
    return folder


def _compile(command: list[str], path: Path) -> None:
    try:
        with tempfile.TemporaryDirectory(dir=path.parent) as folder:
            made = Path(folder) / "executor"
            words = [*command, "-o", str(made), str(SOURCE)]
            done = subprocess.run(words, capture_output=True, text=True, errors="replace", check=False)  # noqa: S603
            if done.returncode != 0:
                raise Problem(Place(str(SOURCE)), f"{shlex.join(command)} does not compile it: {_first(done.stderr)}")
            made.replace(path)  # at once, so that nobody sees half a program
    except OSError as error:
        raise Problem(Place(str(path)), f"cannot be written: {error.strerror}") from None


def _first(complaints: str) -> str:
    """The line that matters among a compiler's."""
    lines = [line.strip() for line in complaints.splitlines() if line.strip()]
    return next((line for line in lines if "error" in line or "cannot find" in line), lines[-1] if lines else "no word")
