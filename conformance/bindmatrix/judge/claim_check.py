"""Claims about the options, and whether they are true.

``expectations/claims.yaml`` is a list of statements, each with scenarios and the outcome that the statement implies. A
claim *holds* if every scenario ends as implied, *does not hold* if one ends otherwise, is *not applicable* if the
system lacks an option that all of them need, and is *unknown* if not enough was measured. The same function judges
predictions and observed outcomes.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from bindmatrix.errors import Place, Problem
from bindmatrix.notation import Scenario, Step, parse
from bindmatrix.outcomes import (
    ANY_ERROR,
    DELIVERIES,
    EVERY,
    NOBODY,
    SPREAD,
    Expected,
    Receivers,
    accepts,
    alternatives,
    counts,
)
from bindmatrix.rules import catalog
from bindmatrix.rules.yaml_source import plain

HOLDS, REFUTED, UNKNOWN, LACKING = "holds", "does not hold", "unknown", "not applicable"

#: verdict -> what it means
VERDICTS: dict[str, str] = {
    HOLDS: "every scenario ends as the claim implies",
    REFUTED: "a scenario ends otherwise",
    UNKNOWN: "not enough is known to say",
    LACKING: "the system lacks the option",
}

#: what a scenario may end in, beside errno names, names of sockets and ``like SYSTEM``
ENDS = ("ok", "fails", SPREAD, EVERY)
_LIKE = "like "


class ClaimScenario(NamedTuple):
    """A scenario of a claim and what its last step returns if the claim is true."""

    scenario: Scenario
    then: str

    @property
    def like(self) -> str:
        """The system whose outcomes are implied, "" where ``then`` says what they are."""
        return self.then.removeprefix(_LIKE) if self.then.startswith(_LIKE) else ""


@dataclass(frozen=True)
class Claim:
    """A statement.  ``about`` names the systems that its sources speak of, () for all."""

    id: str
    says: str
    sources: tuple[str, ...]
    about: tuple[str, ...]
    note: str
    cases: tuple[ClaimScenario, ...]


class ClaimVerdict(NamedTuple):
    """What became of a claim; ``case``, ``step`` (from 0) and ``outcome`` say what decided, where something did."""

    verdict: str
    case: ClaimScenario | None = None
    step: int = -1
    outcome: Expected = None


#: the outcomes of a scenario, or None where it was not run
OutcomesOf = Callable[[Scenario], Sequence[Expected] | None]


def find(claim: Claim, outcomes: OutcomesOf, like: Callable[[str, Scenario], Sequence[Expected]]) -> ClaimVerdict:
    """Whether ``claim`` holds by ``outcomes``. ``like`` returns the outcomes of the system that a case names."""
    findings = []
    for case in claim.cases:
        found = outcomes(case.scenario)
        if found is None:
            findings.append(ClaimVerdict(UNKNOWN, case))
        elif case.like:
            findings.append(_alike(case, found, like(case.like, case.scenario)))
        else:
            findings.append(_ended(case, found))
    for verdict in (REFUTED, UNKNOWN):
        for finding in findings:
            if finding.verdict == verdict:
                return finding
    lacking = [finding for finding in findings if finding.verdict == LACKING]
    return lacking[0] if len(lacking) == len(findings) else ClaimVerdict(HOLDS)


def _ended(case: ClaimScenario, outcomes: Sequence[Expected]) -> ClaimVerdict:
    steps = case.scenario.steps
    for index, (step, outcome) in enumerate(zip(steps[:-1], outcomes, strict=False)):
        verdict = _before(step, outcome)
        if verdict != HOLDS:
            return ClaimVerdict(verdict, case, index, outcome)
    last = outcomes[-1]
    if steps[-1].kind == "set" and last == "ENOPROTOOPT" and case.then != "ok":
        return ClaimVerdict(LACKING, case, len(steps) - 1, last)
    return ClaimVerdict(_last(case.then, last), case, len(steps) - 1, last)


def _before(step: Step, outcome: Expected) -> str:
    """The verdict that a step before the last one implies: HOLDS if it succeeded."""
    if outcome == "ok" or (step.delivers and outcome is not None):
        return HOLDS
    if outcome is None or (isinstance(outcome, tuple) and "ok" in outcome) or step.kind == "user":
        return UNKNOWN
    return LACKING if step.kind == "set" else REFUTED


def _last(then: str, outcome: Expected) -> str:
    if outcome is None:
        return UNKNOWN
    found = {_ends(then, one) for one in alternatives(outcome)}
    return found.pop() if len(found) == 1 else UNKNOWN


def _ends(then: str, outcome: str) -> str:
    got = counts(outcome)
    if then == "fails":
        good = outcome != "ok" and not got
    elif then in (SPREAD, EVERY):
        kind, names = Receivers.of(outcome)
        good = kind == then and NOBODY.isdisjoint(names)  # a delivery of which some was refused is not balanced
    elif got:
        good = got == {then: DELIVERIES}
    else:
        good = outcome == then
        if not good and outcome == ANY_ERROR and then.startswith("E"):
            return UNKNOWN
    return HOLDS if good else REFUTED


def _alike(case: ClaimScenario, outcomes: Sequence[Expected], theirs: Sequence[Expected]) -> ClaimVerdict:
    unknown = ClaimVerdict(HOLDS)
    for index, (step, ours, other) in enumerate(zip(case.scenario.steps, outcomes, theirs, strict=True)):
        if ours == other:
            continue
        if ours is None or other is None:
            unknown = ClaimVerdict(UNKNOWN, case, index, ours)
            continue
        mine = alternatives(ours)
        if any(accepts(other, one, delivers=step.delivers) for one in mine):
            unknown = ClaimVerdict(UNKNOWN, case, index, ours) if len(mine) > 1 else unknown
            continue
        return ClaimVerdict(REFUTED, case, index, ours)
    return unknown


# --- the file -----------------------------------------------------------------------------------------------------


def read(path: Path | None = None) -> list[Claim]:
    """The claims; raises :class:`Problem` that says which entry is wrong and what was expected."""
    path = path or catalog.folder() / "claims.yaml"
    data = plain(path)
    if not isinstance(data, list):
        raise Problem(Place(str(path)), "expected a list of claims, each with 'id', 'says', 'source', 'scenarios'")
    claims = [_claim(one, path, number) for number, one in enumerate(data, 1)]
    seen: set[str] = set()
    for claim in claims:
        if claim.id in seen:
            raise Problem(Place(f"{path}: {claim.id}"), "this id is taken by an earlier claim")
        seen.add(claim.id)
    return claims


def _claim(data: Any, path: Path, number: int) -> Claim:
    keys = data.keys() if isinstance(data, Mapping) else set()
    where = f"{path}: {data['id']}" if "id" in keys else f"{path}: claim {number}"
    for key in ("id", "says", "source", "scenarios"):
        if not (key in keys and data[key]):
            raise Problem(Place(where), f"{key!r} is missing")
    about = tuple(data.get("about", ()))
    for os in about:
        _check_system(os, where)
    cases = tuple(_case(one, where) for one in data["scenarios"])
    return Claim(data["id"], data["says"], tuple(data["source"]), about, data.get("note", ""), cases)


def _case(data: Any, where: str) -> ClaimScenario:
    if not (isinstance(data, Mapping) and "run" in data and "then" in data):
        raise Problem(Place(where), "expected scenarios with 'run' and 'then'")
    scenario, then = parse(data["run"], name=where), data["then"]
    case = ClaimScenario(scenario, then)
    sockets = {step.socket for step in scenario.steps if step.socket}
    if case.like:
        _check_system(case.like, where)
    elif then not in ENDS and then not in sockets and not (then.isupper() and then.startswith("E")):
        raise Problem(
            Place(where), f"expected {', '.join(ENDS)}, a socket, an errno name or 'like SYSTEM', got {then!r}"
        )
    return case


def _check_system(os: str, where: str) -> None:
    if os not in catalog.names():
        raise Problem(Place(where), f"there are no expectations for {os!r}; there are {', '.join(catalog.names())}")
