"""Kernel images: finds them, and reads from each which kernel it holds.

An x86 image (bzImage) says it in its header (Documentation/arch/x86/boot.rst, ``kernel_version``); any other is
searched for the text that the kernel prints first, ``Linux version ...``, also through gzip.
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from bindmatrix.errors import Place, Problem, file_problems
from bindmatrix.execute.executor import upstream_release

#: where distributions put them
PLACES = ("/boot", "/usr/lib/modules")
_NAMES = ("vmlinuz*", "vmlinux*", "bzImage*", "Image*", "*/vmlinuz", "*/vmlinux", "arch/*/boot/*Image*")
_BANNER = re.compile(rb"Linux version (\d+\.\d+[^ \0]* [^\0\n]{0,300})")
_RELEASE = re.compile(r"\d+\.\d+")
_MAGIC, _VERSION, _SETUP = 0x202, 0x20E, 0x200
_PIECE = 1 << 20
#: bytes of a decompressed kernel that are looked through
_LONGEST = 256 << 20


@dataclass(frozen=True)
class Image:
    """A kernel image and what it says of itself: ``6.1.0-56-amd64 (debian-kernel@...) #1 SMP ... Debian 6.1.192-2``."""

    path: Path
    banner: str

    @property
    def uname(self) -> str:
        """What ``uname -r`` says there."""
        return self.banner.split(" ", 1)[0]

    @property
    def release(self) -> str:
        """The release by the count of the kernel's own project, as far as the image tells."""
        return upstream_release("linux", self.uname, self.banner)


def find(places: Iterable[Path]) -> list[Path]:
    """The files that may be kernel images: ``places`` that are files, and what lies in those that are folders.

    Raises :class:`Problem` for a place that is neither.
    """
    found: dict[Path, Path] = {}
    for place in places:
        if place.is_dir():
            inside = [path for name in _NAMES for path in sorted(place.glob(name)) if path.is_file()]
        elif place.is_file():
            inside = [place]
        else:
            raise Problem(Place(str(place)), "no such file or folder; expected a kernel image or a folder of them")
        for path in inside:
            found.setdefault(path.resolve(), path)
    return list(found.values())


def read(path: Path) -> Image:
    """The image in a file; raises :class:`Problem` when it is none or cannot be read."""
    with file_problems(path, "read"), path.open("rb") as file:
        head = file.read(_PIECE)
        banner = _of_header(head) or _search(_pieces(head, iter(lambda: file.read(_PIECE), b"")))
    if not _RELEASE.match(banner):
        raise Problem(Place(str(path)), "is no kernel image that says its version")
    return Image(path, banner)


def _of_header(head: bytes) -> str:
    if head[_MAGIC : _MAGIC + 4] != b"HdrS":
        return ""
    start = _SETUP + int.from_bytes(head[_VERSION : _VERSION + 2], "little")
    return _text(head[start : start + 400].partition(b"\0")[0])


def _pieces(head: bytes, rest: Iterator[bytes]) -> Iterator[bytes]:
    """The bytes of the image, unpacked where it is packed with gzip."""
    if head[:2] != b"\x1f\x8b":
        yield head
        yield from rest
        return
    unzip = zlib.decompressobj(31)
    total = 0
    piece = head
    try:
        while piece and not unzip.eof and total < _LONGEST:
            data = unzip.decompress(piece, _PIECE)
            total += len(data)
            yield data
            piece = unzip.unconsumed_tail or next(rest, b"")
    except zlib.error:
        return  # it says nothing further


def _search(pieces: Iterator[bytes]) -> str:
    before = b""
    for piece in pieces:
        match = _BANNER.search(before + piece)
        if match and match.end() < len(before + piece):
            return _text(match[1])
        before = (before + piece)[-400:]
    match = _BANNER.search(before)
    return _text(match[1]) if match else ""


def _text(data: bytes) -> str:
    return "".join(letter for letter in data.decode("utf-8", "replace") if letter.isprintable()).strip()
