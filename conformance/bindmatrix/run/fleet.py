"""A run on several hosts side by side: a session for each, in a thread of its own.

What one host does never stops another: one that cannot be reached, is lost in the middle or is judged by a file that
says nothing of it leaves its reason in its :class:`Outcome`.  Hosts of one kernel can share the scenarios (``split``).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from bindmatrix.errors import BindmatrixError
from bindmatrix.execute.host_pool import Hand, SplitHost, kernel
from bindmatrix.execute.hosts import HostSpec, open_host
from bindmatrix.execute.local import LocalHost
from bindmatrix.execute.remote import RemoteHost
from bindmatrix.judge.summary import Summary
from bindmatrix.observe.run_folder import Results
from bindmatrix.run.session import Plan, Session, lacking

_BEAT = 0.2

#: gets the name of a host and how many scenarios it has, returns what is called with how many are done
Watch = Callable[[str, int], Callable[[int], None]]
AnyHost = LocalHost | RemoteHost | SplitHost


class Folders(Protocol):
    """Where a host's results go."""

    def __call__(self, name: str, facts: Mapping[str, Any]) -> tuple[Path, bool]:
        """The folder for a host with these facts, and whether results that are there are gone on with."""


@dataclass
class Outcome:
    """What became of a host.  Without a ``summary`` it could not run at all, and ``problem`` says why."""

    name: str
    folder: Path | None = None
    summary: Summary | None = None
    problem: str = ""
    #: why it was gone for good before the end, "" for a run that was complete
    lost: str = ""
    interrupted: bool = False

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {
            "name": self.name,
            "folder": str(self.folder) if self.folder else None,
            "problem": self.problem,
            "lost": self.lost,
            "summary": self.summary.as_dict() if self.summary else None,
        }


def run_on(host: AnyHost, name: str, plan: Plan, folders: Folders, watch: Watch) -> Outcome:
    """Run ``plan`` on one host that is open, judge, and write the results folder."""
    outcome = Outcome(name)
    facts = host.facts
    scenarios = plan.scenarios(facts)
    outcome.folder, resume = folders(name, facts)
    results = Results(outcome.folder, facts, resume=resume)
    try:
        session = Session(host, results, watch(name, len(scenarios)))
        notes = [f"not run: {feature}: {reason}" for feature, reason in lacking(facts).items()]
        outcome.summary = session.run(scenarios, notes)
    finally:
        results.close()
    outcome.interrupted = session.interrupted
    outcome.lost = host.lost
    if isinstance(host, SplitHost):
        outcome.summary.notes += [f"went on without {missing}" for missing in host.missing if not host.lost]
    if outcome.lost:
        outcome.summary.notes.append(f"the host was lost: {outcome.lost}")
    return outcome


def run_on_all(specs: Sequence[HostSpec], plan: Plan, folders: Folders, watch: Watch, *, split: bool) -> list[Outcome]:
    """Run ``plan`` on all hosts side by side; the outcomes in the order of the hosts.

    ``split``: hosts of one kernel share the scenarios.  On Ctrl-C every host stops soon and keeps what it has; once
    more, and KeyboardInterrupt is raised.
    """
    hands = [Hand(spec.name, open_host(spec)) for spec in specs]
    with ThreadPoolExecutor(len(hands), "session") as sessions:
        try:
            groups = _by_kernel(hands) if split else [[hand] for hand in hands]
            works = [sessions.submit(_work, group, plan, folders, watch) for group in groups]
            _await(works, hands)
            return [work.result() for work in works]
        finally:
            for hand in hands:
                hand.host.cancel()
                hand.close()


def _by_kernel(hands: Sequence[Hand]) -> list[list[Hand]]:
    """The hosts in groups of one kernel; one that cannot be reached is a group of its own."""
    opened = [hand.open() for hand in hands]
    _await(opened, hands)
    groups: dict[object, list[Hand]] = {}
    for hand, facts in zip(hands, opened, strict=True):
        groups.setdefault(hand if facts.exception() else kernel(facts.result()), []).append(hand)
    return list(groups.values())


def _work(hands: list[Hand], plan: Plan, folders: Folders, watch: Watch) -> Outcome:
    name = " + ".join(hand.name for hand in hands)
    try:
        hands[0].open().result()
        return run_on(SplitHost(hands), name, plan, folders, watch)
    except BindmatrixError as error:
        return Outcome(name, problem=str(error).removeprefix(f"{name}: "))
    except KeyboardInterrupt:
        return Outcome(name, problem="interrupted before it began", interrupted=True)
    finally:
        for hand in hands:
            hand.close()


def _await(works: Iterable[Future[Any]], hands: Sequence[Hand]) -> None:
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
            for hand in hands:
                hand.host.cancel()
