"""Boots a kernel image with nothing in it but the C executor: QEMU, and an initramfs of two files.

The executor is statically linked and is the first process; the scenarios are the other file.  It writes its
observations to the second serial port, which is our pipe, and powers the machine off.  The first serial port is the
kernel's console; if the kernel stops early, its last line says why.
"""

from __future__ import annotations

import json
import os
import platform
import select
import shutil
import subprocess
import tempfile
import time
from collections import deque
from collections.abc import Generator, Iterable, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

from bindmatrix.errors import Problem
from bindmatrix.execute import c_executor
from bindmatrix.execute.kernel_images import Image
from bindmatrix.execute.local import BEAT, HostError, allowance, unanswered
from bindmatrix.execute.worker import plain_line

_QEMU = "qemu-system-x86_64"
_APPEND = "console=ttyS0 quiet panic=-1 -- --output /dev/ttyS1"
#: seconds in which something must be heard: a boot in emulation takes three on an idle machine
_PATIENCE = 120.0
_FILE, _FOLDER = 0o100000, 0o040000


def missing() -> list[str]:
    """What is needed and not here, each with how it is had."""
    if platform.machine().lower() not in ("x86_64", "amd64"):
        return [f"an x86-64 machine (this is {platform.machine()})"]
    lacking = [] if shutil.which(_QEMU) else [f"{_QEMU} (apt-get install qemu-system-x86)"]
    try:
        c_executor.program(static=True)
    except Problem as problem:
        lacking.append(f"a C compiler that links statically ({problem})")
    return lacking


class InitramfsHost:
    """An image that :meth:`run` boots, once for all its scenarios.  Use it as a context manager."""

    #: why the host is lost; this one is booted again each time
    lost = ""

    def __init__(self, image: Image, *, kvm: bool = False, patience: float = _PATIENCE) -> None:
        self._image = image
        self._kvm = kvm
        self._patience = patience
        self._facts: dict[str, Any] | None = None
        self._process: subprocess.Popen[bytes] | None = None
        self._cancelled = False

    def __enter__(self) -> InitramfsHost:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """End the machine that is under way."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            if self._process.stdout is not None:
                self._process.stdout.close()
            self._process = None

    def cancel(self) -> None:
        """Have :meth:`run` raise KeyboardInterrupt soon; for a thread that Ctrl-C does not reach."""
        self._cancelled = True

    @property
    def facts(self) -> dict[str, Any]:
        """The host as its executor describes it; boots the image when nothing was run yet."""
        if self._facts is None:
            for _ in self.run([]):
                pass
        assert self._facts is not None
        return self._facts

    def run(self, scenarios: Iterable[str]) -> Generator[list[bytes], None, None]:
        """The raw observation lines, in batches as they come, in the order of the scenarios.

        Every scenario is answered once: when the kernel stops early, the rest have no verdict.  Raises
        :class:`HostError` when it does not get as far as its first line.
        """
        asked = deque(scenarios)
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            console = folder / "console"
            (folder / "initrd").write_bytes(_initramfs(asked))
            try:
                self._start(folder / "initrd", console)
                for lines in self._lines(asked):
                    if self._facts is None or (lines and lines[0].startswith(b'{"format"')):
                        self._facts = _facts(lines.pop(0))
                    for _ in lines:
                        asked.popleft()
                    if lines:
                        yield lines
            finally:
                self.close()
            reason = _why_it_stopped(console)
        if self._facts is None:
            raise HostError(f"the kernel did not start: {reason}")
        if asked:
            yield [unanswered(text, f"the kernel stopped before it answered: {reason}") for text in asked]

    def _start(self, initrd: Path, console: Path) -> None:
        words = [_QEMU, "-nodefaults", "-no-reboot", "-display", "none", "-cpu", "max", "-m", "512"]
        words += ["-accel", "kvm" if self._kvm else "tcg"]
        words += ["-kernel", str(self._image.path.resolve()), "-initrd", str(initrd), "-append", _APPEND]
        words += ["-serial", f"file:{console}", "-chardev", "stdio,id=out,signal=off", "-serial", "chardev:out"]
        log = console.with_name("qemu")
        with log.open("wb") as complaints:
            self._process = subprocess.Popen(  # noqa: S603 - our own words
                words, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=complaints, bufsize=0
            )

    def _lines(self, asked: deque[str]) -> Generator[list[bytes], None, None]:
        """Whole lines as they come, until the machine is off or says nothing for too long."""
        assert self._process is not None
        assert self._process.stdout is not None
        output = self._process.stdout.fileno()
        partial = b""
        heard = time.monotonic()
        while time.monotonic() - heard < self._patience + allowance(list(asked)[:512]):
            if self._cancelled:
                raise KeyboardInterrupt
            if not select.select([output], [], [], BEAT)[0]:
                continue
            data = os.read(output, 1 << 18)
            if not data:
                return
            heard = time.monotonic()
            lines = (partial + data).splitlines(keepends=True)
            partial = b"" if lines[-1].endswith(b"\n") else lines.pop()
            if lines:
                yield lines


def _facts(line: bytes) -> dict[str, Any]:
    try:
        facts: dict[str, Any] = json.loads(line)["host"]
    except (ValueError, KeyError, TypeError):
        raise HostError("what the kernel printed is not the output of the executor") from None
    return facts


def _why_it_stopped(console: Path) -> str:
    """Why it stopped: what QEMU complains of, else the kernel's panic or the executor, else the last line."""
    complaints = _read(console.with_name("qemu"))
    said = _read(console)
    reasons = [line for line in said if "Kernel panic" in line or line.startswith("executor: ")]
    return (complaints or reasons or said or ["no word"])[-1]


def _read(path: Path) -> list[str]:
    text = path.read_text(encoding="utf-8", errors="replace") if path.exists() else ""
    return [line.strip() for line in text.splitlines() if line.strip()]


def _initramfs(scenarios: Iterable[str]) -> bytes:
    """The archive: the executor as /init, the scenarios, a folder to mount devices on."""
    text = "".join(plain_line(scenario) + "\n" for scenario in scenarios).encode()
    program = c_executor.program(static=True).read_bytes()
    return cpio([("init", _FILE | 0o755, program), ("scenarios", _FILE | 0o644, text), ("dev", _FOLDER | 0o755, b"")])


def cpio(files: Sequence[tuple[str, int, bytes]]) -> bytes:
    """An archive of (path, mode, content) in the form that kernels unpack (initramfs buffer format, "newc")."""
    out = bytearray()
    for number, (path, mode, content) in enumerate([*files, ("TRAILER!!!", 0, b"")], 1):
        name = path.encode() + b"\0"
        fields = (number, mode, 0, 0, 1, 0, len(content), 0, 0, 0, 0, len(name), 0)
        out += b"070701" + b"".join(b"%08X" % field for field in fields) + name
        out += bytes(-len(out) % 4) + content
        out += bytes(-len(out) % 4)
    return bytes(out)
