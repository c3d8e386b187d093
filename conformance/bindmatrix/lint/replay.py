"""Replays recorded observations against an expectation file.

``expectations/evidence/<os>-<release>/<set>.jsonl.gz`` is one recorded *set* of one *host*.  A folder without a release
in its name holds assertions (``judge/literature.py``): each line then says itself which releases it is about.

Every set is judged by ``Judge`` with the known divergences in force for the release of its host.  A difference is
whatever neither conforms, nor is recorded as a divergence, nor is left unknown by the file.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from bindmatrix.errors import Problem
from bindmatrix.judge import literature
from bindmatrix.judge.verdicts import Judge, Verdict, VerdictKind
from bindmatrix.lint.tracing import TracingOracle
from bindmatrix.notation import step
from bindmatrix.observe import recordings
from bindmatrix.observe.recordings import Observation
from bindmatrix.oracle.oracle import Edge
from bindmatrix.rules import divergences as known_divergences
from bindmatrix.rules.divergences import Divergence
from bindmatrix.rules.model import Expectations, Model

SUFFIX = ".jsonl.gz"

#: verdicts that agree with the expectation file
AGREES = (VerdictKind.CONFORMS, VerdictKind.KNOWN, VerdictKind.UNKNOWN)


class Recorded(NamedTuple):
    """One recorded set.  ``release`` is empty where the lines say it."""

    os: str
    host: str
    name: str
    release: str
    path: Path

    @property
    def reference(self) -> str:
        """As evidence names it: ``HOST/SET``."""
        return f"{self.host}/{self.name}"


class Line(NamedTuple):
    """An observation, the release it is about, and whether to count it (an assertion may be about several)."""

    release: str
    observation: Observation
    counts: bool = True


@dataclass
class SetReplay:
    """What the replay of one set gave."""

    recorded: Recorded
    #: verdict -> observations
    verdicts: Counter[str] = field(default_factory=Counter)
    #: (release, verdict)
    differences: list[tuple[str, Verdict]] = field(default_factory=list)
    #: id of a rule -> recorded outcomes that it decided
    decided: Counter[str] = field(default_factory=Counter)
    #: id of a divergence -> observations that it explains
    known: Counter[str] = field(default_factory=Counter)
    #: how many were not judged, because enough others differ
    skipped: int = 0
    #: why the set could not be read to its end
    problem: Problem | None = None

    def add(self, release: str, verdict: Verdict | None, decided: tuple[str, ...]) -> None:
        """Count one more run, as :meth:`Replay.run` returned it."""
        self.decided.update(decided)
        if verdict is None:
            self.verdicts[VerdictKind.CONFORMS] += 1
            return
        self.verdicts[verdict.kind] += 1
        if verdict.kind == VerdictKind.KNOWN:
            self.known[verdict.divergence] += 1
        elif verdict.kind not in AGREES:
            self.differences.append((release, verdict))

    @property
    def observations(self) -> int:
        """How many there are."""
        return self.verdicts.total() + self.skipped


def recorded_sets(evidence: Path, os: str) -> list[Recorded]:
    """The recorded sets of a system in the folder ``evidence``, by host and name."""
    found = []
    for folder in sorted(path for path in evidence.glob(f"{os}*") if path.is_dir()):
        system, _, release = folder.name.partition("-")
        if system == os:
            found += [
                Recorded(os, folder.name, path.name.removesuffix(SUFFIX), release, path)
                for path in sorted(folder.glob(f"*{SUFFIX}"))
            ]
    return found


def lines(recorded: Recorded, expectations: Expectations, problems: list[Problem]) -> Iterator[Line]:
    """The observations of a set; what cannot be read is added to ``problems``."""
    if not recorded.release:
        yield from _assertions(recorded, expectations, problems)
        return
    recording = recordings.read(recorded.path)
    for observation in recording:
        yield Line(recorded.release, observation)
    if recording.problem is not None:
        problems.append(recording.problem)


def _assertions(recorded: Recorded, expectations: Expectations, problems: list[Problem]) -> Iterator[Line]:
    try:
        for one in literature.assertions(recorded.path, recorded.os):
            for first, release in enumerate(_releases(one.about, expectations)):
                yield Line(release, Observation(one.scenario, one.outcomes), counts=not first)
    except Problem as problem:
        problems.append(problem)


def _releases(text: str, expectations: Expectations) -> list[str]:
    """The releases to try an assertion on: the newest it is about first.

    ``<=XP`` is about XP (and what was before it), ``>=Vista`` about Vista and the newest, a name about itself;
    anything else (``all``, ``CI``, ``2017``) is about the newest.
    """
    newest = expectations.covers[1]
    word = text.lstrip("<>=").strip().lower().replace(" ", "-")
    named = next((name for name in (word, f"server-{word}") if name in expectations.names), "")
    if not named:
        return [newest]
    return [newest, named] if text.startswith(">=") else [named]


class Replay:
    """Replays recorded runs against one expectation file.

    Sets of one release share a judge, releases with the same rules an automaton.  ``keep``: what each run asks can be
    looked up afterwards (``replay_index.py``).
    """

    def __init__(self, expectations: Expectations, divergences: Sequence[Divergence], *, keep: bool = False) -> None:
        self.expectations = expectations
        self.divergences = divergences
        self._keep = keep
        self._judges: dict[str, Judge] = {}
        self._oracles: dict[Hashable, TracingOracle] = {}

    def replay(self, recorded: Recorded) -> SetReplay:
        """Judge every observation of a set and count what the rules decided."""
        result = SetReplay(recorded)
        problems: list[Problem] = []
        for line in lines(recorded, self.expectations, problems):
            result.add(line.release, *self.run(line))
        result.problem = problems[0] if problems else None
        return result

    def run(self, line: Line) -> tuple[Verdict | None, tuple[str, ...]]:
        """The verdict on a run, None where it plainly conforms; the rules that decided, one for each outcome."""
        judge = self.judge(line.release)
        oracle = tracing(judge)
        taken: list[tuple[Edge, bool]] = []
        certain = _walk(oracle, line.observation, taken, shortcut=not self._keep)
        decided: list[str] = []
        if line.counts:
            for edge, succeeded in taken:
                decided += oracle.applied(edge, succeeded=succeeded)
        verdict = None if certain and judge.diverged is None else judge.verdict(line.observation)
        return verdict, tuple(decided)

    def judge(self, release: str) -> Judge:
        """The judge of a release."""
        found = self._judges.get(release)
        if found is None:
            model = self.expectations.at(release)
            in_force = known_divergences.in_force(self.divergences, self.expectations, release)
            found = self._judges[release] = Judge(model, in_force, {"os": model.os, "release": release})
            found.oracle = self._oracle(model)
            if found.diverged is not None:
                found.diverged = self._oracle(found.diverged.model)
        return found

    def _oracle(self, model: Model) -> TracingOracle:
        oracle = self._oracles.get(model.content)
        if oracle is None:
            oracle = self._oracles[model.content] = TracingOracle(model, keep=self._keep)
        return oracle


def tracing(judge: Judge) -> TracingOracle:
    """The oracle of a judge that :class:`Replay` made."""
    assert isinstance(judge.oracle, TracingOracle)
    return judge.oracle


def _walk(oracle: TracingOracle, observation: Observation, taken: list[tuple[Edge, bool]], *, shortcut: bool) -> bool:
    """Add the edges of a recorded run, up to the first outcome that is not as expected.

    True where every step was certain and as expected, so that there is nothing left to judge.
    """
    words, outcomes = observation.scenario.split(" "), observation.outcomes
    if outcomes is None or len(words) != len(outcomes):
        return False
    plain = not observation.repeats
    node = oracle.start
    for word, outcome in zip(words, outcomes, strict=True):
        edge = (node.edges.get(word) if shortcut else None) or oracle.edge(node, step(word))
        if outcome is not None and edge.expected == outcome:
            taken.append((edge, outcome == "ok"))
            node = edge.after(outcome) if edge.branches else edge.node
            continue
        plain = False
        if outcome is None:
            node = edge.node
        elif not edge.accepts(outcome):
            return False
        else:
            taken.append((edge, outcome == "ok"))
            node = edge.after(outcome)
    return plain
