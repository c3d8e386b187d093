"""What to record next: for a mutant that no recorded outcome notices, the shortest scenario found that would.

The rules as they are play the host: what they predict for generated scenarios stands for recordings, and the mutant
is judged by them like by any other (``mutation_index.py``).  What is found is shrunk like a divergence.  A mutant for
which nothing is found perhaps changes nothing that a scenario can show.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from bindmatrix.generate.any_calls import random_calls
from bindmatrix.generate.deliveries import random_deliveries
from bindmatrix.generate.many_sockets import random_crowds
from bindmatrix.generate.matrix import matrix
from bindmatrix.generate.sequences import random_sequences
from bindmatrix.judge.shrink import shrink
from bindmatrix.judge.verdicts import Judge, VerdictKind
from bindmatrix.lint.context import Subject
from bindmatrix.lint.mutants import Mutant
from bindmatrix.lint.mutation_index import Passes
from bindmatrix.notation import delivers
from bindmatrix.observe.recordings import Observation
from bindmatrix.oracle.oracle import Oracle
from bindmatrix.outcomes import ANY_ERROR, DELIVERIES, EVERY, SPREAD, Expected, Receivers, alternatives
from bindmatrix.rules.model import Model

#: scenarios of each generator, a good number where nobody says another
POOL = 8_000
_SEED = 0


class Proposals:
    """Looks for scenarios that tell a mutant from the rules of ``subject``; the newest releases are asked first."""

    def __init__(self, subject: Subject, pool: int) -> None:
        self._loaded = subject.loaded
        self._pool = pool
        #: releases with the same rules stand for each other
        releases = {at.content: at for at in map(subject.loaded.at, subject.releases)}
        self._releases = list(reversed(releases.values()))
        self._passes: dict[str, Passes] = {}

    def scenario(self, mutant: Mutant) -> str | None:
        """The scenario, None when none of the pool tells them apart."""
        for at in self._releases:
            if mutant.original in at.rules.get(mutant.section, ()):
                run = self._of(at).noticing(mutant)
                if run is not None:
                    return _shrunk(" ".join(run[0]), mutant, at, self._of(at).oracle)
        return None

    def _of(self, at: Model) -> Passes:
        passes = self._passes.get(at.release)
        if passes is None:
            passes = self._passes[at.release] = Passes(at)
            for text in sorted(self._scenarios(at), key=len):
                passes.add(text, outcomes(passes.oracle, text))
            passes.walk()
        return passes

    def _scenarios(self, at: Model) -> Iterator[str]:
        options = [option for option, time in at.stack.options.items() if time != "absent" and option != "v6only"]
        for group in matrix("quick", options=options, users=True):
            yield from group.scenarios
        yield from random_sequences(_SEED, self._pool, options=options, users=True)
        yield from random_calls(_SEED, self._pool, options=options, users=True)
        yield from random_deliveries(_SEED, self._pool, options=options)
        yield from random_crowds(_SEED, self._pool // 8, users=True)


def outcomes(oracle: Oracle, text: str) -> tuple[str | None, ...]:
    """What a host that does as the rules say might return; None where they do not know."""
    found = oracle.predict(text)
    return tuple(
        [
            _observed(expected, delivery=delivers(word))
            for word, expected in zip(text.split(" "), found.outcomes, strict=True)
        ]
    )


def _observed(expected: Expected, *, delivery: bool) -> str | None:
    """One outcome of an expected class."""
    one = next(iter(alternatives(expected)), None)
    if one is None or not delivery:
        return "EADDRINUSE" if one == ANY_ERROR else one
    kind, listed = Receivers.of(one)
    if not kind:
        return one
    counts = dict.fromkeys(listed, DELIVERIES if kind == EVERY else DELIVERIES // len(listed))
    if kind == SPREAD:
        counts[listed[0]] += DELIVERIES - sum(counts.values())
    return ",".join([f"{name}:{count}" for name, count in counts.items()])


def _shrunk(text: str, mutant: Mutant, at: Model, oracle: Oracle) -> str:
    rules = at.rules[mutant.section]
    index = rules.index(mutant.original)
    changed = (*rules[:index], *([mutant.rule] if mutant.rule else []), *rules[index + 1 :])
    judge = Judge(at.with_rules(mutant.section, changed), (), {"os": at.os, "release": at.release})

    def observe(texts: Sequence[str]) -> list[Observation]:
        return [Observation(one, outcomes(oracle, one)) for one in texts]

    verdict = judge.verdict(observe([text])[0])
    return shrink(verdict, judge, observe) if verdict.kind == VerdictKind.DIVERGES else text
