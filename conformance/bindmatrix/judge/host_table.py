"""All observations of one host as columns (a scenario and its result in each row), and their summary.

Theory of operation.  A full run has some hundred thousand scenarios and a few hundred different results, so a row is
three small numbers: the first part of the scenario, its second part (from the second socket on, where the matrix is
cut), and the result.  First parts that leave the rules in the same state share what follows from there, so most rows
cost a look-up or two.  What is as expected (and what nothing is expected of) is followed here; whatever is not gets
its verdict from :class:`~bindmatrix.judge.verdicts.Judge`.

A scenario that comes again with other outcomes is judged with both as repeats: it is flaky, not overwritten.

A table has a limit, ``MOST_BYTES``, because an untrusted recording can hold another scenario in every line. The rest is
not read, and the host gets a problem that says so. ``judge`` keeps no rows and reads to the end.
"""

from __future__ import annotations

from array import array
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from itertools import chain
from typing import Any

from bindmatrix.errors import Place, Problem
from bindmatrix.judge.prefix_cache import CUT, Segment, numbers
from bindmatrix.judge.results import Followed, Result, Results, Said, result
from bindmatrix.judge.summary import Collector, Summary
from bindmatrix.judge.verdicts import Judge, Verdict, VerdictKind
from bindmatrix.observe.recordings import MOST_REPEATS, Observation, Recording
from bindmatrix.rules import catalog, confidence, provenance
from bindmatrix.rules.model import Rule

#: what the table of a host may take, about: a full run of 240,000 scenarios takes 147 MB by this count
MOST_BYTES = 180_000_000
#: what is measured for a row, for a first or second part beside its text, and for a result beside its outcomes
_ROW, _PART, _RESULT = 180, 180, 1500
_SHIFT = 32


@dataclass
class HostTable:
    """One host.  Row i is the scenario ``heads[head[i]] + CUT + tails[tail[i]]`` with ``results[result[i]]``.

    A scenario without a second part has the tail "" and no CUT.
    """

    name: str
    os: str
    heads: list[str]
    tails: list[str]
    head: array[int]
    tail: array[int]
    result: array[int]
    results: Results
    #: id -> reason, kernel's detail ("" for none) and evidence of the rules and divergences that the results name
    rules: dict[str, tuple[str, str, tuple[str, ...]]]
    summary: Summary
    #: what could not be read, one line each
    problems: list[str] = field(default_factory=list)

    def text(self, row: int) -> str:
        """The scenario of a row."""
        tail = self.tails[self.tail[row]]
        return self.heads[self.head[row]] + (CUT + tail if tail else "")


class HostTableBuilder:
    """Takes the recordings of one host, one after the other."""

    def __init__(self, judge: Judge) -> None:
        self.judge = judge
        self._heads: dict[str, int] = {}
        self._tails: dict[str, int] = {}
        #: numbers of the parts (the first one shifted by ``_SHIFT``) -> row
        self._rows: dict[int, int] = {}
        #: characters of the parts, and outcomes and repeats of the results
        self._characters, self._outcomes = 0, 0
        #: numbers of two parts -> number of the result of both
        self._joined: dict[tuple[int, int], int] = {}
        self._results: list[Result | Followed] = []
        #: what is said to the steps of each, by ``Oracle.answers``
        self._said: list[tuple[int, ...]] = []
        #: what the numbers of ``Oracle.answers`` stand for
        self._answers: list[Said] = []
        #: results that the judge made one by one -> number
        self._numbers: dict[Result, int] = {}
        #: number of a result that does not conform -> the verdict on its shortest scenario
        self._verdicts: dict[int, Verdict] = {}
        self.head, self.tail, self.result = array("I"), array("I"), array("I")

    @property
    def size(self) -> int:
        """Bytes that the table takes, about."""
        parts = _PART * (len(self._heads) + len(self._tails)) + self._characters
        results = _RESULT * len(self._results) + 100 * self._outcomes
        return _ROW * len(self._rows) + parts + results

    @property
    def full(self) -> bool:
        """Whether the table takes ``MOST_BYTES``, so that nothing more can be added."""
        return self.size > MOST_BYTES

    def add(self, observations: Iterable[Observation]) -> None:
        """Append a row for each observation, or settle the row that its scenario has already."""
        heads, tails, rows = self._heads, self._tails, self._rows
        add_head, add_tail, add_result = self.head.append, self.tail.append, self.result.append
        prefixes = self.judge.prefixes
        if prefixes.full:
            prefixes.forget()
        texts = prefixes.texts
        for observation in observations:
            text, outcomes, _, _, repeats = observation
            first, _, second = text.partition(CUT)
            head = heads.get(first)
            if head is None:
                head = heads[first] = len(heads)
                self._characters += len(first)
            tail = tails.get(second)
            if tail is None:
                tail = tails[second] = len(tails)
                self._characters += len(second)
            key = head << _SHIFT | tail
            row = rows.get(key)
            if row is not None:
                self.result[row] = self._again(self.result[row], observation)
                continue
            known = None
            if outcomes is not None and not repeats:
                of_text = texts.get(first)
                if of_text is not None:
                    length = of_text.length
                    prefix = of_text.prefixes.get(outcomes[:length])
                    if prefix is not None:
                        part = prefix.suffixes.get((second, outcomes[length:]))
                        known = None if part is None else prefix.known.get(part.number)
            number = self._number(observation) if known is None else known
            rows[key] = len(self.result)
            add_head(head)
            add_tail(tail)
            add_result(number)

    def _number(self, observation: Observation) -> int:
        """The number of the result of an observation, which rows of the same kind then find in ``prefix.known``."""
        parts = self.judge.prefixes.followed(observation)
        if parts is None:
            return self._judged(observation)
        prefix, suffix = parts
        if prefix.certain and suffix.certain:
            number = prefix.known.get(suffix.number)
            if number is None:
                number = prefix.known[suffix.number] = self._followed(VerdictKind.CONFORMS, prefix, suffix, observation)
            return number
        # the reports show the shortest, so each comes by here
        both = prefix.number, suffix.number
        number = self._joined.get(both)
        if number is None:
            number = self._joined[both] = self._followed(VerdictKind.UNKNOWN, prefix, suffix, observation)
        self._keep_shortest(number, Verdict(VerdictKind.UNKNOWN, observation))
        return number

    def _followed(self, kind: VerdictKind, prefix: Segment, suffix: Segment, observation: Observation) -> int:
        said = prefix.said + suffix.said
        return self._append(Followed(kind, observation.outcomes or (), said), said, observation)

    def _append(self, result: Result | Followed, said: tuple[int, ...], observation: Observation) -> int:
        """Keep another result, and its number."""
        self._outcomes += len(observation.outcomes or ()) * (1 + len(observation.repeats))
        self._results.append(result)
        self._said.append(said)
        return len(self._results) - 1

    def _judged(self, observation: Observation) -> int:
        verdict = self.judge.verdict(observation)
        said = numbers(self.judge.answers(observation))
        result = self._result(verdict, said)
        number = self._numbers.get(result)
        if number is None:
            number = self._numbers[result] = self._append(result, said, verdict.observation)
        self._keep_shortest(number, verdict)
        return number

    def _keep_shortest(self, number: int, verdict: Verdict) -> None:
        known = self._verdicts.get(number)
        if known is None or len(verdict.observation.scenario) < len(known.observation.scenario):
            self._verdicts[number] = verdict

    def _result(self, verdict: Verdict, said: tuple[int, ...]) -> Result:
        followed = Followed(verdict.kind, verdict.observation.outcomes or (), said)
        return result(followed, self._known_answers())._replace(
            outcomes=verdict.observation.outcomes,
            step=verdict.step,
            divergence=verdict.divergence,
            reason=verdict.reason,
            repeats=verdict.observation.repeats,
        )

    def _known_answers(self) -> list[Said]:
        """What was said so far, by number."""
        known, model = self._answers, self.judge.model
        for answer in self.judge.oracle.answers[len(known) :]:
            ids = tuple([rule.id for rule in answer.rules])
            known.append(Said(answer.expected, ids, confidence.of_rules(answer.rules, model)))
        return known

    def _again(self, number: int, observation: Observation) -> int:
        """The result of a scenario that was met before: a line with repeats completes it, other outcomes repeat it."""
        before = self._results[number]
        repeats = before.repeats if isinstance(before, Result) else ()
        if len(repeats) >= MOST_REPEATS:
            return number
        return self._judged(Observation(observation.scenario, before.outcomes, repeats=repeats).again(observation))

    def columns(self, name: str, problems: Iterable[str] = (), notes: Iterable[str] = ()) -> HostTable:
        """Everything so far."""
        used = Counter(self.result)
        decided = self._decided(used)
        rules = {rule.id: _described(rule) for rule in dict.fromkeys(chain.from_iterable(decided))}
        for one in self.judge.divergences:
            rules.setdefault(one.id, _described(one.rule))
        notes = [*catalog.notes_of_host(self.judge.model, self.judge.host), *notes]
        return HostTable(
            name=name,
            os=self.judge.model.os,
            heads=list(self._heads),
            tails=list(self._tails),
            head=self.head,
            tail=self.tail,
            result=self.result,
            results=Results(self._results, self._known_answers()),
            rules=rules,
            summary=self._summary(used, decided, notes),
            problems=list(problems),
        )

    def _decided(self, used: Mapping[int, int]) -> Counter[tuple[Rule, ...]]:
        """How many steps each rules decided."""
        counts: Counter[int] = Counter()
        for number, count in used.items():
            for said in self._said[number]:
                counts[said] += count
        decided: Counter[tuple[Rule, ...]] = Counter()
        for said, count in counts.items():
            decided[self.judge.oracle.answers[said].rules] += count
        return decided

    def _summary(self, used: Mapping[int, int], decided: Mapping[tuple[Rule, ...], int], notes: list[str]) -> Summary:
        """The view-model of all reports, from how often each result came."""
        collector = Collector(self.judge)
        kinds: Counter[str] = Counter()
        by_id: Counter[str] = Counter()
        for some, count in decided.items():
            for rule in some:
                by_id[rule.id] += count
        reasons: dict[str, Counter[str]] = {VerdictKind.UNSUPPORTED: Counter(), VerdictKind.NO_VERDICT: Counter()}
        for number, count in used.items():
            kind = self._results[number].kind
            kinds[kind] += count
            if kind in reasons:
                reasons[kind][self._verdicts[number].reason] += count
            elif kind != VerdictKind.CONFORMS:
                # the group counts this one scenario; the others that gave the same are added here
                collector.group(self._verdicts[number]).count += count - 1
        summary = collector.summary(notes=notes)
        return replace(
            summary,
            total=sum(kinds.values()),
            verdicts={kind: kinds[kind] for kind in VerdictKind},
            rules=dict(by_id.most_common()),
            reasons={kind: dict(counts.most_common()) for kind, counts in reasons.items()},
        )


def _described(rule: Rule) -> tuple[str, str, tuple[str, ...]]:
    """The reason in plain language, the kernel's detail where that is another one, and the evidence."""
    return rule.reason, rule.why if rule.gloss else "", tuple(provenance.cited(one) for one in rule.evidence)


def of_recordings(recordings: Iterable[Recording], name: str = "", facts: Mapping[str, Any] | None = None) -> HostTable:
    """The columns of one host; ``facts`` win over what the recordings say.  Raises :class:`Problem`."""
    from bindmatrix.rules import divergences

    builder: HostTableBuilder | None = None
    problems: list[str] = []
    bad_lines = 0
    for recording in recordings:
        batches = recording.batches()
        first = next(batches, [])
        if builder is None:
            host = {**recording.host, **{key: value for key, value in (facts or {}).items() if value}}
            if not host.get("os"):
                raise _nameless(recording, first)
            expectations, release = catalog.of_host(host)
            known = divergences.of(expectations, release)
            builder = HostTableBuilder(Judge(catalog.model_of_host(expectations, release, host), known, host))
        for batch in chain([first], batches):
            if builder.full:
                recording.leave_off(f"holds more than is kept of a host after {len(builder.result):,} scenarios")
                break
            builder.add(batch)
        bad_lines += recording.bad_lines
        if recording.problem is not None:
            problems.append(str(recording.problem))
    if builder is None:
        raise ValueError("no recordings")
    notes = [f"{bad_lines} lines could not be read"] if bad_lines else []
    summary_name = (
        name or f"{builder.judge.model.os} {builder.judge.model.expectations.named(builder.judge.model.release)}"
    )
    columns = builder.columns(summary_name, problems, notes)
    # what judged the host is mostly larger than the columns
    builder.judge.prefixes.forget()
    return columns


def _nameless(recording: Recording, first: list[Observation]) -> Problem:
    """What is wrong with a recording of no system; ``first`` is what it begins with."""
    if recording.problem is not None and (not first or recording.problem.place.line <= 1):
        return recording.problem
    if not first:
        return Problem(Place(recording.name), "holds no observations")
    advice = 'name it in a facts.json beside it, {"os": "linux"}, or (a single host) with --os'
    return Problem(Place(recording.name), f"does not say which system it is from; {advice}")
