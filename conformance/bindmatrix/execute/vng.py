"""Boots a kernel image with a Python in it: virtme-ng, over the files of this machine, read only.

Nothing is installed and no disk is made: the kernel runs in QEMU, its root is this machine's over 9p, and its standard
input and output are ours (virtio-serial, which passes all bytes), so it is one more command that starts Python.
"""

from __future__ import annotations

import os
import platform
import shlex
import shutil
import sys
import sysconfig
from pathlib import Path

from bindmatrix.errors import Place, Problem
from bindmatrix.execute.hosts import HostSpec
from bindmatrix.execute.kernel_images import Image

#: the system that the images are of
SYSTEM = "linux"
#: seconds until the Python there has to be up: 16 in emulation on an idle machine, 140 seen on one busy eightfold
_START = 600.0
_PATIENCE = 120.0
_QEMU = {"amd64": "x86_64", "i386": "i386", "i686": "i386", "arm64": "aarch64", "armv7l": "arm"}


def missing() -> list[str]:
    """What is needed and not here, each with how it is had."""
    machine = platform.machine()
    qemu = f"qemu-system-{_QEMU.get(machine.lower(), machine)}"
    needs = {
        "vng": "pip install virtme-ng",
        qemu: "apt-get install qemu-system",
        "busybox": "apt-get install busybox-static",
    }
    return [f"{program} ({how})" for program, how in needs.items() if _which(program) is None]


def host_spec(image: Image, *, kvm: bool = False, workers: int = 1) -> HostSpec:
    """The host that runs ``image``; raises :class:`Problem` where the tools are not here.

    ``kvm``: use the processor's virtualization instead of emulation, where there is any that works.
    """
    lacking = missing()
    if lacking:
        raise Problem(Place("virtme-ng"), f"kernels cannot be booted here, missing: {', '.join(lacking)}")
    vng = _which("vng")
    assert vng is not None
    # vng calls virtme-run, which lies beside it and need not be in PATH
    path = os.pathsep.join([str(Path(vng).parent), os.environ.get("PATH", os.defpath)])
    words = ["env", f"PATH={path}", vng, *([] if kvm else ["--disable-kvm"]), "--force-9p"]
    words += ["--run", str(image.path.resolve()), "--", sys.executable]
    return HostSpec(
        name=image.uname,
        via=shlex.join(words),
        workers=workers,
        start=_START,
        patience=_PATIENCE,
    )


def _which(program: str) -> str | None:
    """Where a program is: in PATH, or where pip puts those of this Python."""
    return shutil.which(program) or shutil.which(program, path=sysconfig.get_path("scripts"))
