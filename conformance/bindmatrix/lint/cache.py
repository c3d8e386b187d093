"""What an earlier lint computed, in the cache folder of the user.

A file holds named parts, each a pickle, and a key: the content of everything that the parts were made from beside the
expectation file.  A file that has another key, is damaged or cannot be read counts as missing, so a lost or broken
cache only costs time.  There is one file for each expectation file that was checked; the oldest go when there are more
than :data:`MOST`.

The folder is ``BINDMATRIX_CACHE``, else the user's cache folder.  Whoever can write there can run programs as the user:
a pickle is as trustworthy as its folder.
"""

from __future__ import annotations

import hashlib
import os
import pickle
import sys
import tempfile
import zipfile
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

#: cached files that are kept
MOST = 40

#: rooms whose code cannot change what a lint finds
_ABOVE = ("answers", "cli", "report", "reproduce", "run", "suite")
_KEY = "key"


def folder() -> Path:
    """Where the cached files are."""
    if named := os.environ.get("BINDMATRIX_CACHE"):
        return Path(named) / "lint"
    if os.name == "nt":
        base = Path(os.environ.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local")
    elif sys.platform == "darwin":
        base = Path.home() / "Library" / "Caches"
    else:
        base = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return base / "bindmatrix" / "lint"


@cache
def sources() -> str:
    """The content of all code that a lint rests on, and the version of Python."""
    package = Path(__file__).parents[1]
    found = hashlib.sha256(sys.version.encode())
    for path in sorted(package.rglob("*.py")):
        if path.relative_to(package).parts[0] not in _ABOVE:
            found.update(path.read_bytes())
    return found.hexdigest()


class Cached:
    """The cached parts for one expectation file; ``key``: what else they were made from."""

    def __init__(self, name: str, about: Path, key: str) -> None:
        tail = hashlib.sha256(str(about.resolve()).encode()).hexdigest()[:16]
        self.path = folder() / f"{about.stem}-{tail}.{name}"
        self.key = f"{sources()} {key}"

    def read(self, part: str) -> Any:
        """A part, None where there is none that can be used."""
        try:
            with zipfile.ZipFile(self.path) as archive:
                if archive.read(_KEY).decode() != self.key:
                    return None
                return pickle.loads(archive.read(part))  # noqa: S301 - see above
        except Exception:  # noqa: BLE001 - whatever a damaged file makes of zipfile or pickle
            return None

    def write(self, parts: Mapping[str, Any]) -> None:
        """Replace the file; if that fails, the next lint starts from nothing."""
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            with (
                tempfile.NamedTemporaryFile(dir=self.path.parent, prefix="new-", delete=False) as stream,
                zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive,
            ):
                archive.writestr(_KEY, self.key)
                for part, content in parts.items():
                    archive.writestr(part, pickle.dumps(content, pickle.HIGHEST_PROTOCOL))
            Path(stream.name).replace(self.path)
            self._prune()
        except OSError:
            return

    def _prune(self) -> None:
        files = sorted(self.path.parent.iterdir(), key=lambda path: path.stat().st_mtime, reverse=True)
        for path in files[MOST:]:
            path.unlink(missing_ok=True)
