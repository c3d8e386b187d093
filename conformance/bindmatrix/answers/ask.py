"""The outcomes of one scenario on every system: the view-model of ``ask``.

One :class:`SystemAnswer` is for all releases of a system that return the same. Outcomes are those of the kernel, known
divergences included; the outcomes by the rules alone are kept beside them.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from ipaddress import ip_address
from typing import Any

from bindmatrix.answers.reason import ABSENT, Reason, reasons, steps_to_explain
from bindmatrix.notation import Scenario
from bindmatrix.oracle.variants import Variant, variant_of, variants
from bindmatrix.outcomes import Expected
from bindmatrix.rules import catalog, confidence
from bindmatrix.rules.boundaries import Stretch, ranges, stretches
from bindmatrix.rules.confidence import Confidence
from bindmatrix.rules.model import Expectations, Rule


@dataclass(frozen=True)
class SystemAnswer:
    """What some releases of a system return; the tuples align with the steps of the scenario."""

    os: str
    title: str
    #: ``("5.10 - 6.1.167", "6.2 - 7.3.4")``
    releases: tuple[str, ...]
    #: the release that rules, reason and confidence are of: the newest on which it was obtained, else the newest
    release: str
    outcomes: tuple[Expected, ...]
    #: what the rules say, where a known divergence makes it otherwise; else as ``outcomes``
    by_rules: tuple[Expected, ...]
    rules: tuple[tuple[Rule, ...], ...]
    #: ids of the known divergences that make the difference
    divergences: tuple[str, ...]
    #: the first step that is not ok, or that a known divergence changes; else the last bind
    step: int
    #: of all steps that matter, in order
    reasons: tuple[Reason, ...]
    confidence: Confidence
    #: whether the newest release is among them
    is_newest: bool = True
    #: what to say about a release that the file does not cover
    limit: str = ""

    @property
    def main_reason(self) -> Reason:
        """The reason for ``step``."""
        return next(one for one in self.reasons if one.step == self.step)

    @property
    def label(self) -> str:
        """``linux 5.10 - 7.3.4``."""
        return f"{self.os} {', '.join(self.releases)}"

    @property
    def confidence_text(self) -> str:
        """How it is known; where the answer stands for several releases, that the others follow by the rules."""
        return self.confidence.text_for(several=self.releases != (self.release,))

    def as_dict(self, scenario: Scenario) -> dict[str, Any]:
        """For JSON; the keys are documented in the help of ``ask``."""
        data: dict[str, Any] = {
            "scenario": scenario.text,
            "os": self.os,
            "releases": self.releases,
            "release": self.release,
            "outcomes": self.outcomes,
            "rules": [rules[0].id if len(rules) == 1 else [rule.id for rule in rules] for rules in self.rules],
            "step": self.step,
            "rule": self.main_reason.rule,
            "reason": self.main_reason.text,
            "why": self.main_reason.why,
            "reasons": [one._asdict() for one in self.reasons],
            "confidence": self.confidence.as_dict(),
        }
        if self.divergences:
            data |= {"divergences": self.divergences, "by_rules": self.by_rules}
        if self.limit:
            data["limit"] = self.limit
        return data


def answers(scenario: Scenario, systems: Iterable[str] = (), release: str = "") -> list[SystemAnswer]:
    """The answers of ``systems`` (all when there are none), for one ``release`` or for every one described.

    Raises :class:`~bindmatrix.errors.Problem` for a system or release that does not exist.
    """
    found: list[SystemAnswer] = []
    for os in systems or catalog.names():
        expectations = catalog.expectations(os)
        if release:
            found += of_variants(
                scenario, expectations, [variant_of(expectations, catalog.release_of(expectations, release))]
            )
        else:
            found += of_variants(scenario, expectations, variants(expectations), stretches(expectations))
    return found


def of_variants(
    scenario: Scenario, expectations: Expectations, chosen: Sequence[Variant], every: Sequence[Stretch] = ()
) -> list[SystemAnswer]:
    """The answers of some variants of a system; ``every``: the releases in order, where they are several variants."""
    every = every or chosen[0].stretches
    rows: dict[object, list[tuple[Variant, Stretch]]] = {}
    for variant in chosen:
        actual = variant.actual.predict(scenario)
        lacks = any(rule.id == ABSENT for rules in actual.rules for rule in rules)
        key = (actual.outcomes, variant.oracle.predict(scenario).outcomes == actual.outcomes, lacks)
        rows.setdefault(key, []).extend([(variant, stretch) for stretch in variant.stretches])
    place = {stretch: index for index, stretch in enumerate(every)}
    listed = sorted(rows.values(), key=lambda row: min(place[stretch] for _, stretch in row))
    return [_answer(scenario, expectations, row, every) for row in listed]


def _answer(
    scenario: Scenario, expectations: Expectations, row: Sequence[tuple[Variant, Stretch]], every: Sequence[Stretch]
) -> SystemAnswer:
    newest_first = sorted(row, key=lambda one: every.index(one[1]), reverse=True)
    known = [_confidence_of(scenario, variant, stretch) for variant, stretch in newest_first]
    chosen = confidence.first_exact(known)
    variant, stretch = newest_first[chosen]
    expected = variant.oracle.predict(scenario)
    actual = variant.actual.predict(scenario)
    explained = reasons(variant.actual, scenario)
    steps = steps_to_explain(scenario, actual.outcomes)
    step = next((index for index in steps if actual.outcomes[index] != "ok"), steps[-1])
    entries = variant.responsible(scenario.text) if actual.outcomes != expected.outcomes else []
    if entries:
        step = next(index for index, one in enumerate(actual.outcomes) if one != expected.outcomes[index])
        explained[step] = Reason(step, entries[0].id, entries[0].rule.reason, entries[0].rule.why)
        steps = sorted({*steps, step})
    return SystemAnswer(
        os=expectations.os,
        title=expectations.title,
        releases=tuple(ranges(expectations, [one for _, one in row], every)),
        release=stretch.probe,
        outcomes=actual.outcomes,
        by_rules=expected.outcomes,
        rules=actual.rules,
        divergences=tuple(one.id for one in entries),
        step=step,
        reasons=tuple(explained[index] for index in steps),
        confidence=known[chosen],
        is_newest=newest_first[0][1] == every[-1],
        limit=catalog.limit(expectations, stretch.probe),
    )


def _confidence_of(scenario: Scenario, variant: Variant, stretch: Stretch) -> Confidence:
    actual = variant.actual.predict(scenario)
    model = variant.model.expectations.at(stretch.probe)
    return confidence.of_rules([rule for rules in actual.rules for rule in rules], model)


#: what the host of every scenario has: two IPv4 addresses and one IPv6 address on the loopback interface
_OWN_ADDRESSES = ("127.0.0.1", "127.0.0.2", "::1")


def foreign_note(scenario: Scenario) -> str:
    """What to say where a scenario binds to an address that its host has not, "" where it does not."""
    foreign = dict.fromkeys(
        step.address for step in scenario.steps if step.kind == "bind" and _is_foreign(step.address)
    )
    if not foreign:
        return ""
    own = {4: iter(_OWN_ADDRESSES[:2]), 6: iter(_OWN_ADDRESSES[2:])}
    instead = {text: next(own[ip_address(text).version], "127.0.0.1" if "." in text else "::1") for text in foreign}
    steps = (
        f"{step.socket}.bind={instead[step.address]}" if step.kind == "bind" and step.address in instead else step.text
        for step in scenario.steps
    )
    return (
        f"the host of a scenario has the addresses {', '.join(_OWN_ADDRESSES)}, and not {', '.join(foreign)}: that is "
        f"what bind() says.  The same with addresses that it has: bindmatrix ask '{' '.join(steps)}'"
    )


def _is_foreign(text: str) -> bool:
    try:
        address = ip_address(text)
    except ValueError:
        return False  # a name of a Unix socket, a CID, or a port beside the address
    address = getattr(address, "ipv4_mapped", None) or address
    known = address.is_loopback or address.is_unspecified or address.is_multicast
    return not known and str(address) != "255.255.255.255"


def telling_steps(scenario: Scenario, found: Sequence[SystemAnswer]) -> list[int]:
    """The steps to show: those that differ between the answers or are not ok everywhere, and the last bind."""
    shown = {index for index in range(len(scenario.steps)) if any(answer.outcomes[index] != "ok" for answer in found)}
    binds = [index for index, step in enumerate(scenario.steps) if step.kind == "bind"]
    return sorted(shown | set(binds[-1:] or [len(scenario.steps) - 1]))
