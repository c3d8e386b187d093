"""Finds and reads the results of hosts, for the verbs that take several hosts at once.

A host is the observation files of one folder.  Its name is the folder's; a file ``facts.json`` beside them holds what
its executor cannot find out (gVisor does not tell its release): ``{"release": "20221219"}``.
"""

from __future__ import annotations

import gc
import json
import multiprocessing
import os
import signal
import threading
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from bindmatrix.errors import BindmatrixError, Place, Problem, defect, file_problems, parsing
from bindmatrix.judge import literature
from bindmatrix.judge.host_table import HostTable, of_recordings
from bindmatrix.observe import recordings
from bindmatrix.observe.run_folder import NAME
from bindmatrix.quoting import terminal as plain
from bindmatrix.rules import catalog

#: known facts of a host, which override what it says itself
FACTS = "facts.json"
_MOST_FACTS = 1 << 20
#: from this many compressed bytes on, several hosts are read in processes of their own
_LARGE = 500_000


class Source(NamedTuple):
    """The files of one host, and the facts known about it in advance."""

    name: str
    paths: tuple[str, ...]
    facts: dict[str, str]

    def host(self, said: Mapping[str, Any]) -> dict[str, Any]:
        """The facts that the host ``said``, overridden by those known in advance."""
        return {**said, **{key: value for key, value in self.facts.items() if value}}

    @property
    def recording(self) -> str | None:
        """Where ``reproduce --host`` finds what the host did; None for standard input."""
        if self.paths == ("-",):
            return None
        return str(Path(self.paths[0]).parent) if len(self.paths) > 1 else self.paths[0]


def find(words: Sequence[str]) -> list[Source]:
    """The hosts that the command line names; raises :class:`Problem`."""
    found: dict[str, list[str]] = {}
    for word in [one for one in words if _is_observed(one)] or words:
        if word == "-":
            if len(words) > 1:
                raise Problem(Place("-"), "standard input is the results of one host; name nothing beside it")
            return [Source("", ("-",), {})]
        for path in _files(recordings.named(word)):
            paths = found.setdefault(os.path.dirname(os.path.realpath(path)), [])  # noqa: PTH120 - resolve() raises on loops
            if str(path) not in paths:
                paths.append(str(path))
    return [Source(Path(folder).name, tuple(paths), _facts(Path(folder))) for folder, paths in found.items()]


def files_of(word: str) -> list[str]:
    """The observation files that a word of the command line means; raises :class:`Problem`."""
    return [word] if word == "-" else [str(path) for path in _files(recordings.named(word))]


def _is_observed(word: str) -> bool:
    """Whether a file may hold observations, and is not one of the other files of a results folder."""
    return not word.endswith((".md", ".json", ".yaml", ".html", ".txt"))


def _files(path: Path, depth: int = 1) -> list[Path]:
    if not path.is_dir():
        return [path]
    if (path / NAME).is_file():
        return [path / NAME]
    inside = _plain_files(path, "*.jsonl.gz") or _plain_files(path, "*.jsonl")
    if not inside and depth:
        inside = [file for folder in sorted(path.iterdir()) if folder.is_dir() for file in _files_or_none(folder)]
    if not inside and depth:
        raise Problem(
            Place(str(path)), f"a folder without {NAME} or other observation files; name one that a run wrote"
        )
    return inside


def _plain_files(folder: Path, pattern: str) -> list[Path]:
    """The files in the order of their names, without pipes (which block) and devices (which never end)."""
    return [path for path in sorted(folder.glob(pattern)) if path.is_file()]


def _files_or_none(path: Path) -> list[Path]:
    return _files(path, depth=0)


def _facts(folder: Path) -> dict[str, str]:
    """What ``facts.json`` says; recorded evidence without a release is in a folder that has the system's name."""
    facts = {"os": folder.name} if folder.parent.name == "evidence" and folder.name in catalog.names() else {}
    path = folder / FACTS
    if not os.path.lexists(path):
        return facts
    if not path.is_file() or path.stat().st_size > _MOST_FACTS:  # a pipe would block
        raise Problem(Place(str(path)), f"expected a file of at most {_MOST_FACTS:,} bytes")
    with file_problems(path, "read"), parsing(Place(str(path)), "JSON"):
        data = json.loads(path.read_text(encoding="utf-8"))
    if not isinstance(data, dict) or not all(isinstance(value, str) for value in data.values()):
        raise Problem(Place(str(path)), 'expected facts as words, such as {"release": "20221219"}')
    recordings.check_system(data.get("os", ""), Place(str(path)))
    return facts | data


def read(sources: Sequence[Source]) -> list[HostTable | str]:
    """The hosts, read in parallel where that pays.

    A host that cannot be read is replaced by the text of its error.
    """
    sizes = [sum(Path(path).stat().st_size for path in source.paths if Path(path).exists()) for source in sources]
    cores = os.cpu_count() or 1
    if len(sources) > 1 and sum(sizes) > _LARGE and cores > 1:
        return _side_by_side(sources, min(len(sources), cores) - 1)
    return [_columns(source) for source in sources]


def _side_by_side(sources: Sequence[Source], others: int) -> list[HostTable | str]:
    """The hosts in order; an idle process takes the next one, this process from the end.

    When a process dies, the hosts that were being read are read again, each in a process of its own.  This process
    reports Ctrl-C and ends the others.
    """
    waiting = deque(range(len(sources)))
    futures: dict[int, Future[HostTable | str]] = {}
    here = {}
    lock = threading.Lock()

    def begin(_done: object = None) -> None:
        with lock:
            if not waiting:
                return
            number = waiting.popleft()
            try:
                future = futures[number] = pool.submit(_columns, sources[number])
            except BrokenProcessPool:
                waiting.appendleft(number)
                return
        future.add_done_callback(begin)

    with _pool(others) as pool:
        try:
            for _ in range(others):
                begin()
            while (number := _last(waiting, lock)) is not None:
                here[number] = _columns(sources[number])
            return [
                here[number] if number in here else _result(futures[number], sources[number])
                for number in range(len(sources))
            ]
        except KeyboardInterrupt:
            with lock:
                waiting.clear()
            for child in multiprocessing.active_children():
                child.terminate()
            raise


def _pool(processes: int) -> ProcessPoolExecutor:
    return ProcessPoolExecutor(processes, initializer=signal.signal, initargs=(signal.SIGINT, signal.SIG_IGN))


def _result(future: Future[HostTable | str], source: Source) -> HostTable | str:
    """The result of another process; if that process died, the host is read again in a new one."""
    try:
        return future.result()
    except BrokenProcessPool:
        pass
    with _pool(1) as pool:
        try:
            return pool.submit(_columns, source).result()
        except BrokenProcessPool:
            return f"{plain(source.paths[0])}: the process that read it died; was it ended, or is memory short?"


def _last(waiting: deque[int], lock: threading.Lock) -> int | None:
    with lock:
        return waiting.pop() if waiting else None


def reading(path: str, facts: Mapping[str, Any]) -> recordings.Recording:
    """The recording in a file, or the assertions of literature about the release in ``facts``."""
    return literature.recording(path, facts) if literature.is_literature(path) else recordings.read(path)


def _columns(source: Source) -> HostTable | str:
    """One host, or what is wrong with its files, as text: problems cannot be sent between processes."""
    try:
        with no_collecting():
            return of_recordings([reading(path, source.facts) for path in source.paths], facts=source.facts)
    except BindmatrixError as problem:
        return str(problem)
    except Exception as error:  # noqa: BLE001 - the other hosts are judged all the same
        return defect(error)


@contextmanager
def no_collecting() -> Iterator[None]:
    """Garbage collection over millions of small tuples would take a third of the time."""
    collecting = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if collecting:
            gc.enable()


def named(hosts: list[HostTable], sources: Sequence[Source]) -> list[HostTable]:
    """Every host with a unique name; the folder's name distinguishes two of the same release."""
    names = [host.name for host in hosts]
    for host, source in zip(hosts, sources, strict=True):
        host.summary.recording = source.recording
        if names.count(host.name) > 1:
            host.name = f"{host.name} ({source.name})"
    seen: set[str] = set()
    for number, host in enumerate(hosts, 1):
        if host.name in seen:
            host.name = f"{host.name} #{number}"
        seen.add(host.name)
        # a comma separates names in permalinks
        host.name = host.name.replace(",", ";")
    return hosts
