"""What ``tox -e kernels`` needs beside Python, out of Debian's packages; it runs before the tests.

As root with apt-get it installs what is missing, otherwise it says what that is.  It never fails: the tests then skip,
with the same reason.  Standard library only.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

#: what has to be there -> the package that brings it
PROGRAMS = {
    "runsc": "runsc",
    "qemu-system-x86_64": "qemu-system-x86",
    "busybox": "busybox-static",
    "cc": "gcc",
    "x86_64-w64-mingw32-gcc": "gcc-mingw-w64-x86-64-posix",
    "wine64": "wine64",
}
#: where Debian keeps wine64
PLACES = os.pathsep.join([os.environ.get("PATH", os.defpath), "/usr/lib/wine"])
IMAGES, IMAGE_PACKAGE = ("boot/vmlinuz-*", "usr/lib/modules/*/vmlinuz"), "linux-image-amd64"


def missing() -> list[str]:
    """The packages of what is not here."""
    packages = [package for program, package in PROGRAMS.items() if shutil.which(program, path=PLACES) is None]
    if not any(next(Path("/").glob(pattern), None) for pattern in IMAGES):
        packages.append(IMAGE_PACKAGE)
    return packages


def main() -> int:
    """Install or tell."""
    packages = missing()
    if not packages:
        print("kernels: everything is here")
        return 0
    if os.geteuid() != 0 or shutil.which("apt-get") is None or os.uname().machine != "x86_64":
        print(f"kernels: not here, and not installed (needs root, apt-get, x86-64): {', '.join(packages)}")
        return 0
    print(f"kernels: installing {', '.join(packages)}")
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    install = ["apt-get", "install", "--yes", "--quiet", "--no-install-recommends"]
    for package in packages:  # one by one: a release may lack one of them
        for command in ([*install, package], ["apt-get", "update", "--quiet"], [*install, package]):
            done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
            if done.returncode == 0 and command != ["apt-get", "update", "--quiet"]:
                break
        else:
            print(f"kernels: {package} cannot be installed: {(done.stderr or done.stdout).strip().splitlines()[-1:]}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
