"""Predictions as JSON: what ``predict`` prints, one line a scenario.

``{"scenario", "outcomes", "rules", "confidence"}``; outcomes and rules align with the steps.  An outcome is a string, a
list of accepted ones, ``refused`` (any error), or null where it is unknown.  Where the release is known to contradict
the rules, ``divergence`` names the entry and ``actual`` has the outcomes with it; the confidence is that of
``outcomes``, which were then not measured on that release.
"""

from __future__ import annotations

import json
from collections.abc import Sequence

from bindmatrix.notation import parse
from bindmatrix.oracle.oracle import Prediction
from bindmatrix.oracle.variants import Variant
from bindmatrix.outcomes import Expected
from bindmatrix.rules import confidence
from bindmatrix.rules.divergences import Divergence
from bindmatrix.rules.model import Model

#: the most JSON texts that are kept; a full run of a matrix needs a tenth, and random sequences rarely repeat one
MOST_JSON = 20_000


class Predictor:
    """Predicts by the rules of ``model``; ``divergences`` are those in force."""

    def __init__(self, model: Model, divergences: Sequence[Divergence] = ()) -> None:
        self.model = model
        self.divergences = tuple(divergences)
        self._variant = Variant(model, divergences)
        self._oracle = self._variant.oracle
        self._diverged = self._variant.diverged
        #: what was found -> its JSON; a matrix has a few hundred different ones
        self._json: dict[Prediction, str] = {}

    def line(self, text: str) -> str:
        """The line for a scenario; raises :class:`~bindmatrix.errors.Problem` when it is not one."""
        found = self._walked(text)
        if found is None:
            scenario = parse(text)
            text = scenario.text
            found = self._oracle.predict(scenario)
        actual = self._diverged.predict(text).outcomes if self._diverged is not None else found.outcomes
        if actual != found.outcomes:
            return f'{{"scenario":"{text}",{self._rest(found, actual)}{self._actual(text, actual)}}}'
        rest = self._json.get(found)
        if rest is None:
            if len(self._json) >= MOST_JSON:
                self._json.clear()
            rest = self._json[found] = self._rest(found, actual)
        return f'{{"scenario":"{text}",{rest}}}'

    def _walked(self, text: str) -> Prediction | None:
        """The prediction if every step of ``text`` was computed before, otherwise None."""
        node = self._oracle.start
        outcomes = []
        rules = []
        for word in text.split(" "):
            edge = node.edges.get(word)
            if edge is None:
                return None
            outcomes.append(edge.expected)
            rules.append(edge.rules)
            node = edge.node
        return Prediction(tuple(outcomes), tuple(rules))

    def _rest(self, found: Prediction, actual: tuple[Expected, ...]) -> str:
        contradicted = {
            rule
            for rules, ours, theirs in zip(found.rules, found.outcomes, actual, strict=True)
            if ours != theirs
            for rule in rules
        }
        data = {
            "outcomes": found.outcomes,
            "rules": [rules[0].id if len(rules) == 1 else [rule.id for rule in rules] for rules in found.rules],
            "confidence": confidence.of_rules(
                [rule for rules in found.rules for rule in rules], self.model, contradicted
            ).as_dict(),
        }
        return json.dumps(data, separators=(",", ":"))[1:-1]

    def _actual(self, text: str, actual: tuple[Expected, ...]) -> str:
        """The further keys of the line for a known divergence that changes the outcomes of ``text``."""
        entry = self._variant.responsible(text)[0].id
        return "," + json.dumps({"divergence": entry, "actual": actual}, separators=(",", ":"))[1:-1]
