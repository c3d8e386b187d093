"""The folder of a run: writing ``observations.jsonl.gz``, and resuming an interrupted run."""

from __future__ import annotations

import gzip
import hashlib
import os
import signal
import stat
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, suppress
from pathlib import Path
from typing import Any

from bindmatrix.errors import Place, Problem, file_problems
from bindmatrix.observe.recordings import VERDICTS, Observation, header, line, read

NAME = "observations.jsonl.gz"
#: bytes that an earlier run may take in memory, about: two full runs
_MOST_RESUMED = 200_000_000


class RunFolder:
    """Writes the observations of a run; a killed run loses only what the host had not sent (``execute/local.py``).

    ``before`` holds what an earlier run left in the folder, when it is resumed; ``problem`` says what of that could
    not be read, "" for nothing.
    """

    def __init__(self, folder: Path, host: Mapping[str, Any], *, resume: bool = False) -> None:
        self.folder = folder
        self.path = folder / NAME
        self.before: list[Observation] = []
        self.problem = ""
        if resume:
            self.before = self._earlier(host)
        elif self.path.exists():
            raise Problem(
                Place(str(folder)), "holds the results of a run; go on with --resume or name another --results"
            )
        with self._told("; name another folder with --results"):
            folder.mkdir(parents=True, exist_ok=True)
            # it describes what the file held before
            (folder / VERDICTS).unlink(missing_ok=True)
            if self.before:
                self._write_again(host)
            # unbuffered below gzip: a write that failed on a full disk must not be tried again when the file is freed
            self._file = _HashedFile(self.path, again=bool(self.before))
            self._stream = gzip.GzipFile(NAME, "wb", compresslevel=1, fileobj=self._file, mtime=0)
            if not self.before:
                self._stream.write(header(host))
            self._stream.flush()

    def _write_again(self, host: Mapping[str, Any]) -> None:
        """What there is, whole: under another name first, so that an interrupted resume never harms it."""
        new = self.path.with_suffix(".new")
        # gzip knows no time before 1970, which a clock that was never set can say
        with gzip.GzipFile(new, "wb", compresslevel=1, mtime=0) as stream:
            stream.write(header(host))
            stream.writelines(map(line, self.before))
        new.replace(self.path)

    def _told(self, advice: str = "; what came before is there, go on with --resume") -> AbstractContextManager[None]:
        return file_problems(self.folder, "written", advice)

    def _earlier(self, host: Mapping[str, Any]) -> list[Observation]:
        if not self.path.exists():
            raise Problem(Place(str(self.folder)), f"nothing to resume: there is no {NAME}")
        recording = read(self.path)
        # what had no verdict is run again: the host was lost, a port was taken
        found: dict[str, Observation] = {}
        for one in recording.held(_MOST_RESUMED):
            if one.lack != "no-verdict":
                before = found.get(one.scenario)
                found[one.scenario] = one if before is None else before.again(one)
        for key in ("os", "release"):
            if recording.host.get(key) != host.get(key):
                there, here = recording.host.get(key), host.get(key)
                raise Problem(Place(str(self.folder)), f"was made on {key} {there}, this is {here}; start a new run")
        if recording.left_off:
            self.problem = (
                f"only {len(found):,} scenarios of the earlier run fit, the rest is run again: {recording.problem}"
            )
        elif recording.problem is not None:
            self.problem = f"{recording.bad_lines} lines of the earlier run could not be read: {recording.problem}"
        # repeats that broke off are made again
        return [one._replace(repeats=()) if None in one.repeats else one for one in found.values()]

    def write(self, lines: Sequence[bytes]) -> None:
        """Append raw lines; they are in the file on return.  Raises :class:`Problem` when the disk is full."""
        with self._told(), _uninterrupted():
            self._stream.write(b"".join(lines))
            self._stream.flush()

    def close(self) -> None:
        """Finish the file; :class:`Problem` as ``write``."""
        try:
            with self._told():
                self._stream.close()
        finally:
            self._file.close()

    @property
    def written(self) -> dict[str, Any]:
        """What the file holds if nobody else wrote there: for ``verdicts.json``."""
        return {"bytes": self._file.bytes, "sha256": self._file.sha256.hexdigest()}

    def damage(self) -> str:
        """What became of the file since it was written, "" when it holds that still."""
        try:
            read(self.path).check(self.written)
        except Problem as problem:
            return str(problem)
        return ""


class _HashedFile:
    """A file for :class:`gzip.GzipFile` that knows the hash and the size of what it was given."""

    def __init__(self, path: Path, *, again: bool) -> None:
        before = path.read_bytes() if again else b""
        self.sha256 = hashlib.sha256(before)
        self.bytes = len(before)
        self._file = path.open("ab" if again else "wb", buffering=0)

    def write(self, data: bytes) -> int:
        left = memoryview(data)
        while left:
            left = left[self._file.write(left) :]
        self.sha256.update(data)
        self.bytes += len(data)
        return len(data)

    def flush(self) -> None:
        self._file.flush()

    def close(self) -> None:
        self._file.close()


@contextmanager
def _uninterrupted() -> Iterator[None]:
    """What ends a run waits until the block is done: half a write would damage the compressed file."""
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT, signal.SIGTERM, signal.SIGHUP})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def give_back(folder: Path, names: Sequence[str]) -> None:
    """Let the folder and the files ``names`` in it belong to the user who called sudo, where that made us root.

    Anybody who may write beside the folder may put links in their places.  So it uses descriptors, follows no link,
    and gives away nothing but plain files that have this one name.
    """
    words = os.environ.get("SUDO_UID", ""), os.environ.get("SUDO_GID", "")
    if os.name == "nt" or os.geteuid() != 0 or not all(word.isascii() and word.isdigit() for word in words):
        return
    uid, gid = (int(word[:10]) for word in words)
    try:
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    except OSError:
        return
    try:
        for name in names:
            with suppress(OSError):  # it was not written
                file = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK, dir_fd=descriptor)
                try:
                    status = os.fstat(file)
                    if stat.S_ISREG(status.st_mode) and status.st_nlink == 1 and status.st_uid == 0:
                        os.fchown(file, uid, gid)
                finally:
                    os.close(file)
        if os.fstat(descriptor).st_uid == 0:
            os.fchown(descriptor, uid, gid)
    finally:
        os.close(descriptor)
