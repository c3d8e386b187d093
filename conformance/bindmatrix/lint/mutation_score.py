"""The mutation score: how many small changes of the rules the recorded outcomes notice.

A mutant that a recorded run notices (``mutation_index.py``) is *killed*.  For one that none notices, :class:`Proposals`
looks among generated scenarios for the shortest that would: what to record next, or, where it finds none, a change that
perhaps changes nothing.

Releases with the same rules are one; a run is taken once, whatever hosts recorded it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from bindmatrix.lint.context import Subject
from bindmatrix.lint.mutants import Mutant, of_section, rests_on_recordings
from bindmatrix.lint.mutation_index import Passes
from bindmatrix.lint.replay import lines
from bindmatrix.lint.suggest import Proposals
from bindmatrix.rules import divergences


class Survivor(NamedTuple):
    """A mutant that no recorded outcome notices."""

    mutant: Mutant
    #: recorded outcomes should have noticed: the rule claims to be observed
    weak: bool
    #: the shortest scenario found that would notice it; "" when none was looked for, or found
    proposal: str = ""


@dataclass
class Score:
    """The result for one file."""

    os: str
    mutants: int = 0
    survivors: list[Survivor] = field(default_factory=list)

    @property
    def killed(self) -> int:
        """How many mutants were noticed."""
        return self.mutants - len(self.survivors)

    @property
    def weak(self) -> list[Survivor]:
        """Survivors of rules that claim to be observed."""
        return [one for one in self.survivors if one.weak]

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {
            "mutants": self.mutants,
            "killed": self.killed,
            "survivors": [
                {
                    "rule": one.mutant.original.id,
                    "section": one.mutant.section,
                    "change": one.mutant.change,
                    "observed": one.weak,
                    "proposal": one.proposal,
                    "file": one.mutant.original.place.name,
                    "line": one.mutant.original.place.line,
                }
                for one in self.survivors
            ],
        }


def score(subject: Subject, progress: Callable[[str, int, int], None] | None = None, *, propose: int = 0) -> Score:
    """The mutation score of one file; ``progress`` is told (system, mutants done, of how many).

    ``propose``: look among so many scenarios of each kind for one that would notice a survivor.
    """
    expectations = subject.loaded
    groups = _recordings(subject)
    mutants = [mutant for section, rules in expectations.rules.items() for mutant in of_section(section, rules)]
    result = Score(expectations.os, len(mutants))
    proposals = Proposals(subject, propose) if propose else None
    for done, mutant in enumerate(mutants):
        if progress is not None:
            progress(result.os, done, len(mutants))
        if not any(
            mutant.original in group.model.rules.get(mutant.section, ()) and next(group.noticing(mutant), None)
            for group in groups
        ):
            proposal = (proposals.scenario(mutant) if proposals else None) or ""
            result.survivors.append(Survivor(mutant, rests_on_recordings(mutant.original), proposal))
    return result


def _recordings(subject: Subject) -> list[Passes]:
    groups: dict[object, Passes] = {}
    of_release: dict[str, Passes] = {}
    for recorded in subject.sets:
        for line in lines(recorded, subject.loaded, []):
            group = of_release.get(line.release)
            if group is None:
                in_force = divergences.in_force(subject.divergences, subject.loaded, line.release)
                model = divergences.apply(subject.loaded.at(line.release), in_force)
                group = groups.setdefault(model.content, Passes(model))
                of_release[line.release] = group
            if line.observation.outcomes is not None:
                group.add(line.observation.scenario, line.observation.outcomes)
    for group in groups.values():
        group.walk()
    return list(groups.values())
