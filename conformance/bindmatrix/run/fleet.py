"""A run on several hosts side by side: a session for each, in its own thread.

A failure of one host never stops another: the reason is in its :class:`HostRun`. Hosts with the same kernel can share
the scenarios (``split``).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from bindmatrix.errors import BindmatrixError, defect
from bindmatrix.execute.host_pool import HostPool, HostThread, kernel
from bindmatrix.execute.hosts import HostSpec, open_host
from bindmatrix.execute.local import LocalHost
from bindmatrix.execute.remote import RemoteHost
from bindmatrix.judge.summary import Summary
from bindmatrix.observe.run_folder import RunFolder
from bindmatrix.run.plan import Plan, lacking
from bindmatrix.run.session import Session

_BEAT = 0.2

#: gets the name of a host and how many scenarios it has, returns what is called with how many are done
StartProgress = Callable[[str, int], Callable[[int], None]]
AnyHost = LocalHost | RemoteHost | HostPool


class Folders(Protocol):
    """Where a host's results go."""

    def __call__(self, name: str, facts: Mapping[str, Any]) -> tuple[Path, bool]:
        """The folder for a host with these facts, and whether results that are there are gone on with."""


@dataclass
class HostRun:
    """What became of a host.  Without a ``summary`` it could not run at all, and ``problem`` says why."""

    name: str
    folder: Path | None = None
    summary: Summary | None = None
    problem: str = ""
    #: why it was lost before the end, "" for a complete run
    lost: str = ""
    #: what became of the file of observations while the run wrote it, "" for nothing
    damage: str = ""
    interrupted: bool = False

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {
            "name": self.name,
            "folder": str(self.folder) if self.folder else None,
            "problem": self.problem,
            "lost": self.lost,
            "damage": self.damage,
            "summary": self.summary.as_dict() if self.summary else None,
        }


def run_on(host: AnyHost, name: str, plan: Plan, folders: Folders, watch: StartProgress) -> HostRun:
    """Run ``plan`` on one host that is open, judge, and write the results folder."""
    outcome = HostRun(name)
    facts = host.facts
    scenarios = plan.scenarios(facts)
    outcome.folder, resume = folders(name, facts)
    results = RunFolder(outcome.folder, facts, resume=resume)
    try:
        session = Session(host, results, watch(name, len(scenarios)))
        notes = [f"not run: {feature}: {reason}" for feature, reason in lacking(facts).items()]
        notes += [results.problem] if results.problem else []
        outcome.summary = session.run(scenarios, notes)
    finally:
        results.close()
    outcome.summary.observations = results.written
    outcome.damage = results.damage()
    if outcome.damage:
        outcome.summary.notes.append(outcome.damage)
    outcome.interrupted = session.interrupted
    outcome.lost = host.lost
    if isinstance(host, HostPool):
        outcome.summary.notes += [f"went on without {missing}" for missing in host.missing if not host.lost]
    if outcome.lost:
        outcome.summary.notes.append(f"the host was lost: {outcome.lost}")
    return outcome


def run_on_all(
    specs: Sequence[HostSpec], plan: Plan, folders: Folders, watch: StartProgress, *, split: bool
) -> list[HostRun]:
    """Run ``plan`` on all hosts side by side; the outcomes in the order of the hosts.

    ``split``: hosts of one kernel share the scenarios.  On Ctrl-C every host stops soon and keeps what it has; once
    more, and KeyboardInterrupt is raised.
    """
    threads = [HostThread(spec.name, open_host(spec)) for spec in specs]
    with ThreadPoolExecutor(len(threads), "session") as sessions:
        try:
            groups = _by_kernel(threads) if split else [[thread] for thread in threads]
            works = [sessions.submit(_work, group, plan, folders, watch) for group in groups]
            _await(works, threads)
            return [work.result() for work in works]
        finally:
            for thread in threads:
                thread.host.cancel()
                thread.close()


def _by_kernel(threads: Sequence[HostThread]) -> list[list[HostThread]]:
    """The hosts in groups of one kernel; one that cannot be reached is a group of its own."""
    opened = [thread.open() for thread in threads]
    _await(opened, threads)
    groups: dict[object, list[HostThread]] = {}
    for thread, facts in zip(threads, opened, strict=True):
        groups.setdefault(thread if facts.exception() else kernel(facts.result()), []).append(thread)
    return list(groups.values())


def _work(threads: list[HostThread], plan: Plan, folders: Folders, watch: StartProgress) -> HostRun:
    name = " + ".join(thread.name for thread in threads)
    try:
        threads[0].open().result()
        return run_on(HostPool(threads), name, plan, folders, watch)
    except BindmatrixError as error:
        return HostRun(name, problem=str(error).removeprefix(f"{name}: "))
    except Exception as error:  # noqa: BLE001 - the other hosts go on
        return HostRun(name, problem=defect(error))
    except KeyboardInterrupt:
        return HostRun(name, problem="interrupted before it began", interrupted=True)
    finally:
        for thread in threads:
            thread.close()


def _await(works: Iterable[Future[Any]], threads: Sequence[HostThread]) -> None:
    """Wait for all; Ctrl-C reaches this thread alone and is passed on."""
    waiting = set(works)
    interrupted = False
    while waiting:
        try:
            _, waiting = wait(waiting, _BEAT)
        except KeyboardInterrupt:
            if interrupted:
                raise
            interrupted = True
            for thread in threads:
                thread.host.cancel()
