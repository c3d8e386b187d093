"""Chooses the scenarios that are most informative about a system, in that order.

The rules leave open what a machine of the system may be.  Three kinds of *questions* ask for it:

* a rule or call that says unknown: what happens there;
* two groups of releases that the rules describe differently: which of them the machine is like;
* a rule of the newest release and each small change of it (``lint/mutants.py``): whether the rule is right.

For each question the first scenario of a pool is looked for whose outcome answers it: its *witness*.  A question
without one in the pool is left out.  If one of two releases leaves unknown every outcome in which they differ, no
outcome distinguishes them; the unknown outcome has its own witness.  The pool holds the recorded sets that somebody put
together, which come first, since generators rarely meet what they ask, and generated scenarios.  Claims of the
literature bring scenarios of their own.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import combinations
from pathlib import Path
from typing import Any

from bindmatrix.judge import claim_check
from bindmatrix.lint import mutants, suggest
from bindmatrix.lint.mutants import Mutant
from bindmatrix.lint.mutation_index import Passes
from bindmatrix.notation import SOCKET_KINDS, delivers, parse
from bindmatrix.observe import recordings
from bindmatrix.oracle.oracle import Prediction
from bindmatrix.oracle.variants import Variant, variants
from bindmatrix.outcomes import compatible
from bindmatrix.rules.model import Expectations, Model
from bindmatrix.run.plan import Plan

#: name and total of a progress bar -> what is called with how much is done (``report.progress``)
Bar = Callable[[str, int], Callable[[int], None]]
#: random sequences that witnesses are looked for among, and random deliveries; the same of what runs while time lasts
_EXAMPLES, _DELIVERIES = 1000, 100
_MORE_EXAMPLES, _MORE_DELIVERIES = 5000, 300
#: bytes of a recorded set, compressed, from which on it was generated
_SMALL = 10_000
#: steps of a witness: of longer ones a reader learns little, and following what is unknown through them takes seconds
_LONGEST = 12
#: scenarios in a row that answer no further question before the search ends: some questions have no answer in the pool
_PATIENCE = 2000
#: kinds that need an interface beside loopback
_ABROAD = "remote"


def scenarios(expectations: Expectations, bar: Bar = lambda _name, _total: lambda _done: None) -> tuple[list[str], int]:
    """The scenarios of a kit, each once, the most telling first, and how many of them are witnesses.

    Behind the witnesses come a pairwise sample and random sequences.  ``bar`` makes the progress bars.
    """
    first = witnesses(expectations, pool(expectations), bar)
    rest = Plan("quick", _MORE_EXAMPLES, deliveries=_MORE_DELIVERIES).scenarios(_facts(expectations))
    return list(dict.fromkeys([*first, *rest])), len(first)


def pool(expectations: Expectations) -> list[str]:
    """The scenarios that can become witnesses, recorded ones first, the shortest of each kind first."""
    generated = Plan("quick", _EXAMPLES, deliveries=_DELIVERIES).scenarios(_facts(expectations))
    recorded = _recorded(Path(expectations.file).parent / "evidence")
    return [*_shortest(recorded), *_shortest(generated)]


def _facts(expectations: Expectations) -> Mapping[str, Any]:
    """A machine that has everything: what the real one lacks it says itself, at once."""
    return {
        "ipv6": True,
        "users": True,
        "kinds": [kind for kind in SOCKET_KINDS if not kind.startswith(_ABROAD)],
        "abstract": True,
        "cids": ["any", "local", "own"],
        "options": [name for name, time in expectations.stack.options.items() if time != "absent"],
    }


def _recorded(evidence: Path) -> Iterator[str]:
    """The scenarios of the small recorded sets of every system; most were run on one system only."""
    for path in sorted(evidence.glob("*-*/*.jsonl.gz")):
        if path.stat().st_size < _SMALL:
            yield from (one.scenario for one in recordings.read(path))


def _shortest(texts: Iterable[str]) -> list[str]:
    """Those that can be witnesses, each once, the shortest first."""
    short = {text for text in texts if text.count(" ") < _LONGEST and _ABROAD not in text}
    return sorted(short, key=lambda text: (text.count(" "), len(text), text))


def witnesses(expectations: Expectations, pool: Sequence[str], bar: Bar) -> list[str]:
    """The witnesses, those that answer most questions first, then the shortest; the first of ``pool`` that answers."""
    described = variants(expectations)
    newest = expectations.at(expectations.covers[1])
    changes = [one for section, rules in newest.rules.items() for one in mutants.of_section(section, rules)]
    answered: Counter[str] = Counter(_of_claims(expectations.os))
    update = bar("scenarios", len(pool))
    for done, texts in enumerate(_of_releases(described, pool), 1):
        answered.update(texts)
        update(done)
    update = bar("changes of rules", len(changes))
    for done, texts in enumerate(_of_rules(newest, changes, pool), 1):
        answered.update(texts)
        update(done)
    return sorted(answered, key=lambda text: (-answered[text], len(text), text))


def _of_releases(described: Sequence[Variant], pool: Sequence[str]) -> Iterator[list[str]]:
    """For each scenario, itself as often as it is the first that answers a question: which of two variants it is, and
    what one of them leaves unknown, by a rule that says so or with a call that no rule describes."""
    left = set(combinations(range(len(described)), 2))
    met: set[object] = set()
    in_vain = 0
    for text in pool:
        predictions = [variant.actual.predict(text) for variant in described]
        told = {(one, other) for one, other in left if differ(text, predictions[one], predictions[other])}
        unknown = {_unknown(text, one) for one in predictions if None in one.outcomes} - met
        left -= told
        met |= unknown
        yield [text] * (len(told) + len(unknown))
        in_vain = 0 if told or unknown else in_vain + 1
        if in_vain == _PATIENCE:
            return


def _unknown(text: str, prediction: Prediction) -> object:
    """The first step whose outcome is unknown: what follows hangs on it."""
    index = prediction.outcomes.index(None)
    return prediction.rules[index], parse(text).steps[index].kind


def differ(text: str, one: Prediction, other: Prediction) -> bool:
    """Whether no outcome fits both predictions for ``text``, at the first step where they are not the same."""
    for word, mine, theirs in zip(text.split(" "), one.outcomes, other.outcomes, strict=True):
        if mine != theirs:
            return not compatible(mine, theirs, delivers=delivers(word))
    return False


def _of_rules(model: Model, changes: Sequence[Mutant], pool: Sequence[str]) -> Iterator[list[str]]:
    """For each small change of a rule the first scenario that notices it, if there is one."""
    passes = Passes(model)
    for text in pool:
        passes.add(text, suggest.outcomes(passes.oracle, text))
    passes.walk()
    for mutant in changes:
        run = next(passes.noticing(mutant), None)
        yield [] if run is None else [" ".join(run[0])]


def _of_claims(os: str) -> Iterator[str]:
    for claim in claim_check.read():
        if not claim.about or os in claim.about:
            yield from (case.scenario.text for case in claim.cases if _ABROAD not in case.scenario.text)
