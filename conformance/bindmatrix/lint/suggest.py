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
from bindmatrix.judge.verdicts import Judge, Verdict, VerdictKind
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
        """The scenario, None when none of the pool tells them apart.

        A scenario on which the mutant expects another outcome comes before one of which it knows no outcome.
        """
        unknown = None
        for at in self._releases:
            if mutant.original in at.rules.get(mutant.section, ()):
                passes, judge = self._of(at), _judge(mutant, at)
                for run in passes.noticing(mutant):
                    text = " ".join(run[0])
                    verdict = judge.verdict(Observation(text, run[1]))
                    if verdict.kind == VerdictKind.DIVERGES:
                        return _shrunk(verdict, judge, passes.oracle)
                    unknown = unknown or text
        return unknown

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


def _judge(mutant: Mutant, at: Model) -> Judge:
    """Judges by the rules with the mutant among them."""
    rules = at.rules[mutant.section]
    index = rules.index(mutant.original)
    changed = (*rules[:index], *([mutant.rule] if mutant.rule else []), *rules[index + 1 :])
    return Judge(at.with_rules(mutant.section, changed), (), {"os": at.os, "release": at.release})


def _shrunk(verdict: Verdict, judge: Judge, oracle: Oracle) -> str:
    def observe(texts: Sequence[str]) -> list[Observation]:
        return [Observation(one, outcomes(oracle, one)) for one in texts]

    return shrink(verdict, judge, observe)
