"""The folder of a run: ``observations.jsonl.gz`` as it grows, and how a run that broke off is taken up again."""

from __future__ import annotations

import gzip
import os
import signal
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from conformance.errors import Place, Problem
from conformance.observe.observations import Observation, header, line, read

NAME = "observations.jsonl.gz"


class Results:
    """Writes the observations of a run line by line; a run that dies loses at most the last instant.

    ``before`` holds what an earlier run left in the folder, when it is resumed.
    """

    def __init__(self, folder: Path, host: Mapping[str, Any], *, resume: bool = False) -> None:
        self.folder = folder
        self.path = folder / NAME
        self.before: list[Observation] = []
        if resume:
            self.before = self._earlier(host)
        elif self.path.exists():
            raise Problem(
                Place(str(folder)), "holds the results of a run; go on with --resume or name another --results"
            )
        try:
            folder.mkdir(parents=True, exist_ok=True)
            # a new file under another name, so that an interrupted resume never harms what was there
            self._new = self.path.with_suffix(".new") if self.before else self.path
            self._stream = gzip.open(self._new, "wb", compresslevel=1)  # noqa: SIM115 - open for the length of the run
            self._stream.write(header(host))
            for observation in self.before:
                self._stream.write(line(observation))
            self._stream.flush()
            if self._new != self.path:
                self._new.replace(self.path)
        except OSError as error:
            raise Problem(
                Place(str(folder)), f"cannot be written: {error.strerror}; name another folder with --results"
            ) from error

    def _earlier(self, host: Mapping[str, Any]) -> list[Observation]:
        if not self.path.exists():
            raise Problem(Place(str(self.folder)), f"nothing to resume: there is no {NAME}")
        recording = read(self.path)
        # what had no verdict is run again: the host was lost, a port was taken
        observations = [one for one in recording if one.lack != "no-verdict"]
        for key in ("os", "release"):
            if recording.host.get(key) != host.get(key):
                there, here = recording.host.get(key), host.get(key)
                raise Problem(Place(str(self.folder)), f"was made on {key} {there}, this is {here}; start a new run")
        return observations

    def write(self, lines: Iterable[bytes]) -> None:
        """Append raw lines; raises :class:`Problem` when the disk is full."""
        try:
            with _uninterrupted():
                self._stream.writelines(lines)
        except OSError as error:
            raise Problem(Place(str(self.path)), f"cannot be written: {error.strerror}") from error

    def flush(self) -> None:
        """Bring what was written to the file, so that a run that is killed keeps it."""
        self._stream.flush()

    def close(self) -> None:
        """Finish the file."""
        self._stream.close()
        if os.environ.get("SUDO_UID"):
            _give_back(self.folder)


@contextmanager
def _uninterrupted() -> Iterator[None]:
    """Ctrl-C waits until the block is done: half a write would damage the compressed file."""
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _give_back(folder: Path) -> None:
    """Results that root made for a user through sudo belong to that user."""
    uid, gid = int(os.environ["SUDO_UID"]), int(os.environ.get("SUDO_GID", "-1"))
    for path in (folder, *folder.iterdir()):
        os.chown(path, uid, gid)
