"""A machine with virtme-ng on which nothing is booted: each kernel is this one under another name."""

from __future__ import annotations

import os
import stat
import sys
import textwrap
from pathlib import Path

import pytest

from tests.execute.test_images import bzimage

#: the options up to ``--`` are vng's; the image's version becomes that of uname(2) in the Python that follows
_VNG = """\
#!{python}
import os, sys, time
from pathlib import Path
options, command = sys.argv[1 : sys.argv.index("--")], sys.argv[sys.argv.index("--") + 1 :]
image = Path(options[options.index("--run") + 1])
assert "--force-9p" in options
if "broken" in image.name:
    sys.exit("qemu-system: no memory")
if "slow" in image.name:
    image.parent.with_name("began").touch()
    time.sleep(100)
os.environ.update(PYTHONPATH={site!r}, FAKE_IMAGE=str(image), FAKE_KVM="" if "--disable-kvm" in options else "kvm")
os.execvp(command[0], command)
"""
_SITE = """\
import os
from pathlib import Path
banner = Path(os.environ["FAKE_IMAGE"]).read_bytes()[0x3000:].split(b"\\0")[0].decode()
release, _, version = banner.partition(" ")
os.uname = lambda: os.uname_result(("Linux", "fake", release, version + os.environ["FAKE_KVM"], "x86_64"))
"""


def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, machine: str) -> Path:
    """Put the programs in front of PATH; the folder for images."""
    programs, site, boot = (tmp_path / name for name in ("bin", "site", "boot"))
    for folder in (programs, site, boot):
        folder.mkdir()
    (site / "sitecustomize.py").write_text(_SITE, encoding="utf-8")
    program(programs / "vng", _VNG.format(python=sys.executable, site=str(site)))
    for name in (f"qemu-system-{machine}", "busybox"):
        program(programs / name, "#!/bin/sh\n")
    monkeypatch.setenv("PATH", f"{programs}{os.pathsep}{os.environ['PATH']}")
    return boot


def program(path: Path, text: str) -> None:
    """An executable file."""
    path.write_text(textwrap.dedent(text), encoding="utf-8")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)


def image(boot: Path, name: str, banner: str) -> Path:
    """A kernel image that says ``banner`` of itself."""
    path = boot / f"vmlinuz-{name}"
    path.write_bytes(bzimage(banner))
    return path
