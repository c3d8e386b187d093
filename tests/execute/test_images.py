"""The version of a kernel is read from the image, whatever the file is called."""

from __future__ import annotations

import gzip
from pathlib import Path

import pytest
from bindmatrix.errors import Problem
from bindmatrix.execute.kernel_images import find, read

DEBIAN = "6.1.0-56-amd64 (debian-kernel@lists.debian.org) #1 SMP PREEMPT_DYNAMIC Debian 6.1.192-2 (2026-11-16)"
PLAIN = b"\0" * 5000 + b"Linux version 7.2.13 (me@here) (gcc 14) #1 SMP Sat\n\0" + b"\0" * 5000


def bzimage(banner: str) -> bytes:
    """An x86 image as far as its header goes."""
    data = bytearray(0x4000)
    data[0x202:0x206] = b"HdrS"
    data[0x20E:0x210] = (0x3000 - 0x200).to_bytes(2, "little")
    data[0x3000 : 0x3000 + len(banner) + 1] = banner.encode() + b"\0"
    return bytes(data)


@pytest.mark.parametrize(
    ("data", "uname", "release"),
    [
        (bzimage(DEBIAN), "6.1.0-56-amd64", "6.1.192"),
        (bzimage("6.12.43 (me@here) #2 SMP"), "6.12.43", "6.12.43"),
        (PLAIN, "7.2.13", "7.2.13"),
        (gzip.compress(PLAIN), "7.2.13", "7.2.13"),
        (b"\0" * ((1 << 20) - 5030) + PLAIN, "7.2.13", "7.2.13"),  # the text lies on a seam
    ],
    ids=["debian", "mainline", "not-packed", "gzip", "seam"],
)
def test_what_an_image_says(tmp_path: Path, data: bytes, uname: str, release: str) -> None:
    path = tmp_path / "vmlinuz-9.9"
    path.write_bytes(data)
    image = read(path)
    assert (image.uname, image.release) == (uname, release)


@pytest.mark.parametrize(
    "data", [b"", b"MZ", bzimage(""), b"no kernel" * 1000, gzip.compress(PLAIN)[:40]], ids=range(5)
)
def test_no_image(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "vmlinuz"
    path.write_bytes(data)
    with pytest.raises(Problem, match=r"vmlinuz: is no kernel image"):
        read(path)


def test_images_are_found_once_in_folders_and_by_name(tmp_path: Path) -> None:
    (tmp_path / "6.1" / "sub").mkdir(parents=True)
    for name in ("vmlinuz-6.1", "6.1/vmlinuz", "config-6.1", "6.1/sub/vmlinuz"):
        (tmp_path / name).write_bytes(b"")
    (tmp_path / "vmlinuz").symlink_to("vmlinuz-6.1")
    found = find([tmp_path, tmp_path / "6.1" / "vmlinuz", tmp_path / "config-6.1"])
    assert {path.resolve().relative_to(tmp_path).as_posix() for path in found} == {
        "vmlinuz-6.1",
        "6.1/vmlinuz",
        "config-6.1",
    }
    assert len(found) == 3
    with pytest.raises(Problem, match="no such file or folder"):
        find([tmp_path / "nowhere"])
