"""Replays again only those recorded runs that an edit of the rules can touch.

Theory of operation.  A run is judged by walking it through two oracles, one with the known divergences and one without.
A step depends on the rules only through the questions that it asks the evaluator.  So the first replay keeps, for each
run, which questions were asked on its way, and for each question the answer.  After an edit every question of a section
that changed is asked again, which takes microseconds; a run on whose way all answers are the same gets the same
verdict.  The others are judged again.  A rule of which only the id changed counts as the same rule.  The text of the
edit is never interpreted.

What does not go through questions makes everything start anew: the settings of the stack, the sections that there are,
the releases that statements are about.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property, lru_cache
from itertools import chain
from typing import Any, NamedTuple

from bindmatrix.errors import NOWHERE, Place, Problem
from bindmatrix.judge.verdicts import Judge, Verdict, VerdictKind
from bindmatrix.lint.cache import Cached
from bindmatrix.lint.replay import AGREES, Line, Recorded, Replay, SetReplay, lines
from bindmatrix.lint.tracing import TracingOracle
from bindmatrix.oracle.evaluator import CompiledEvaluator, Evaluator
from bindmatrix.oracle.layout import Layout
from bindmatrix.oracle.oracle import Edge, Oracle
from bindmatrix.rules.model import GroupRule, Model, Rule
from bindmatrix.rules.releases import EVER, ReleaseError
from bindmatrix.rules.sockets import Call, Sock, State

#: an edit that contradicts so many recorded runs is wrong: the others are not judged again
MOST_DIFFERENCES = 1_000

#: call, new socket (of a delivery: its destination), state
KeptQuestion = tuple[Call, Sock, State]
#: called with a set before it is replayed
Watch = Callable[[Recorded], None]
#: id of a rule, and everything it says that can matter
Content = tuple[str, str]
#: the rules that decided, and of a delivery who receives
KeptAnswer = tuple[tuple[Content, ...], tuple[Any, ...]]


class KeptRun(NamedTuple):
    """What is kept of a recorded run: its verdict, and the edges on its way through both oracles."""

    verdict: str
    divergence: str
    #: ids of rules, one for each recorded outcome that the rule decided
    decided: tuple[str, ...]
    edges: tuple[int, ...]


@dataclass
class Asked:
    """The questions of one section by number; oracle -> question -> the number of its answer."""

    questions: dict[int, KeptQuestion] = field(default_factory=dict)
    answers: dict[int, dict[int, int]] = field(default_factory=dict)


class Described(NamedTuple):
    """What an oracle was made from: ``shape`` is what its transitions know without asking."""

    number: int
    shape: str
    #: section -> its rules
    sections: dict[str, tuple[Content, ...]]


class Released(NamedTuple):
    """What a release was judged by; ``known`` are its divergences."""

    plain: Described
    diverged: Described | None
    known: tuple[Content, ...]

    @property
    def shape(self) -> tuple[str, str]:
        """What the transitions of its oracles know without asking."""
        return self.plain.shape, self.diverged.shape if self.diverged else ""


class Index:
    """Collects what the runs of a first replay ask."""

    def __init__(self) -> None:
        self.sections: dict[str, Asked] = {}
        self.answers: dict[KeptAnswer, int] = {}
        self.released: dict[str, Released] = {}
        #: for each set its runs
        self.runs: list[list[KeptRun]] = []
        #: oracle -> edge -> its questions
        self.edges: dict[int, dict[int, tuple[int, ...]]] = {}
        self._oracles: dict[Oracle, int] = {}
        self._numbers: dict[tuple[str, KeptQuestion], int] = {}
        self._edge_numbers: dict[Edge, int] = {}

    def parts(self) -> dict[str, Any]:
        """What to keep."""
        described = [one for row in self.released.values() for one in (row.plain, row.diverged) if one]
        sections = dict.fromkeys(section for one in described for section in one.sections)
        asked = {f"asked {section}": self.sections.get(section, Asked()) for section in sections}
        kept = {"released": self.released, "runs": self.runs, "edges": self.edges, "answers": list(self.answers)}
        return kept | asked

    def take(self, replay: Replay, line: Line) -> tuple[Verdict | None, tuple[str, ...]]:
        """Judge a run of the last set as :meth:`Replay.run` does, and keep what it asked."""
        judge = replay.judge(line.release)
        if line.release not in self.released:
            self.released[line.release] = released(judge, self._oracles)
        oracles = [one for one in (judge.oracle, judge.diverged) if isinstance(one, TracingOracle)]
        for oracle in oracles:
            oracle.met.clear()
        verdict, decided = replay.run(line)
        kind = verdict.kind if verdict else VerdictKind.CONFORMS
        divergence = verdict.divergence if verdict else ""
        edges = {self._edge(oracle, edge) for oracle in oracles for edge in oracle.met}
        self.runs[-1].append(KeptRun(kind, divergence, decided, tuple(edges)))
        return verdict, decided

    def _edge(self, oracle: TracingOracle, edge: Edge) -> int:
        number = self._edge_numbers.get(edge)
        if number is None:
            number = self._edge_numbers[edge] = len(self._edge_numbers)
            of_oracle = self.edges.setdefault(self._oracles[oracle], {})
            of_oracle[number] = tuple(self._asked(oracle, edge))
        return number

    def _asked(self, oracle: TracingOracle, edge: Edge) -> Iterable[int]:
        number = self._oracles[oracle]
        for one in oracle.decisions[edge]:
            yield self._ask(number, one.section, (one.call, one.new, one.state), _answer(one.rules))
        for got in oracle.received[edge]:
            question = (got.call, got.destination, got.state)
            yield self._ask(number, "deliver", question, _answer(got.delivery.rules, got.delivery[1:]))

    def _ask(self, oracle: int, section: str, question: KeptQuestion, answer: KeptAnswer) -> int:
        asked = self.sections.get(section)
        if asked is None:
            asked = self.sections[section] = Asked()
        number = self._numbers.setdefault((section, question), len(self._numbers))
        asked.questions[number] = question
        asked.answers.setdefault(oracle, {})[number] = self.answers.setdefault(answer, len(self.answers))
        return number


def replays(replay: Replay, sets: Sequence[Recorded], cached: Cached | None, watch: Watch | None) -> list[SetReplay]:
    """The replay of every set; of runs that no edit since the first replay touches, as it was kept in ``cached``."""
    touched = _Touched.since(replay, cached) if cached else None
    kept: list[list[KeptRun]] | None = cached.read("runs") if cached and touched else None
    if touched and kept is not None and len(kept) == len(sets):
        again: list[SetReplay] = []
        for recorded, runs in zip(sets, kept, strict=True):
            room = MOST_DIFFERENCES - sum(len(one.differences) for one in again)
            again.append(_again(replay, recorded, runs, touched, watch, room))
        return again
    index = Index() if cached else None
    replay = Replay(replay.expectations, replay.divergences, keep=index is not None)
    found = [_first(replay, recorded, index, watch) for recorded in sets]
    if cached and index and not any(one.problem for one in found):
        cached.write(index.parts())
    return found


def _again(
    replay: Replay, recorded: Recorded, runs: list[KeptRun], touched: _Touched, watch: Watch | None, room: int
) -> SetReplay:
    """The replay of a set; ``room``: how many runs may differ before the others that are touched are skipped."""
    if watch:
        watch(recorded)
    result = SetReplay(recorded)
    kept = runs
    # literature says in each line which release it is about
    if not recorded.release or any(touched.by(recorded.release, run) for run in runs):
        kept = []
        for line, run in zip(lines(recorded, replay.expectations, []), runs, strict=True):
            if not touched.by(line.release, run):
                kept.append(run)
            elif len(result.differences) < room:
                result.add(line.release, *replay.run(line))
            else:
                result.skipped += 1
    result.decided.update(touched.decided(kept))
    result.verdicts.update([run.verdict for run in kept])
    result.known.update([run.divergence for run in kept if run.verdict == VerdictKind.KNOWN])
    return result


def _first(replay: Replay, recorded: Recorded, index: Index | None, watch: Watch | None) -> SetReplay:
    if watch:
        watch(recorded)
    result = SetReplay(recorded)
    problems: list[Problem] = []
    if index:
        index.runs.append([])
    try:
        for line in lines(recorded, replay.expectations, problems):
            result.add(line.release, *(index.take(replay, line) if index else replay.run(line)))
    except ReleaseError as error:
        message = f"the folder {recorded.host!r} names no release: {error}"
        return SetReplay(recorded, problem=Problem(Place(str(recorded.path)), message))
    result.problem = problems[0] if problems else None
    return result


class _Lost(Exception):
    """A part of the cache that is needed cannot be read."""


class _Touched:
    """Which questions have another answer than in the first replay."""

    def __init__(self, cached: Cached, before: dict[str, Released], after: dict[str, Released]) -> None:
        self.before = before
        self.after = after
        self.any = before != after
        #: oracle of the first replay, oracle now -> edges of the first
        self._edges: dict[tuple[int, int], set[int]] = {}
        self._cached = cached
        self._asked: dict[str, Asked] = {}
        #: what the rules of a section said, and say now -> question -> whether its answer changed
        self._changed: dict[tuple[tuple[Content, ...], tuple[Content, ...]], dict[int, bool]] = {}
        #: of the rules that were renamed since the first replay: new id -> old id
        self._former: dict[str, str] = {}

    @classmethod
    def since(cls, replay: Replay, cached: Cached) -> _Touched | None:
        """What the edits since the first replay touch; None where there was none, or all has to be done again."""
        before: dict[str, Released] | None = cached.read("released")
        if before is None:
            return None
        numbers: dict[Oracle, int] = {}
        judges = {release: replay.judge(release) for release in before}
        after = {release: released(judge, numbers) for release, judge in judges.items()}
        touched = cls(cached, before, after)
        for release, judge in judges.items():
            was, now = before[release], after[release]
            if was.shape != now.shape:
                return None
            try:
                for old, new, oracle in (
                    (was.plain, now.plain, judge.oracle),
                    (was.diverged, now.diverged, judge.diverged),
                ):
                    if old and new and oracle:
                        touched._former.update(_renamed(old, new))
                        touched._compare(old, new, oracle.model)
            except _Lost:
                return None
        return touched

    def by(self, release: str, run: KeptRun) -> bool:
        """Whether the run has to be judged again; always where an outcome was not as expected, to report it."""
        if run.verdict not in AGREES or (self.any and run.verdict == VerdictKind.KNOWN):
            return True
        was, now = self.before[release], self.after[release]
        return any(
            not self._edges[old.number, new.number].isdisjoint(run.edges)
            for old, new in ((was.plain, now.plain), (was.diverged, now.diverged))
            if old and new
        )

    def decided(self, runs: Iterable[KeptRun]) -> Iterable[str]:
        """The rules that decided ``runs``, by their ids of now."""
        ids = chain.from_iterable([run.decided for run in runs])
        if not self._former:
            return ids
        names = {former: name for name, former in self._former.items()}
        return [names.get(one, one) for one in ids]

    def _by_former_names(self, answer: KeptAnswer) -> KeptAnswer:
        if not self._former:
            return answer
        effects, receivers = answer
        return tuple([(self._former.get(name, name), effect) for name, effect in effects]), receivers

    def _compare(self, was: Described, now: Described, model: Model) -> None:
        """Ask the questions of the oracle ``was`` again whose section has other rules in ``model``."""
        pair = was.number, now.number
        if pair in self._edges:
            return
        questions: set[int] = set()
        self._edges[pair] = set()
        evaluator = CompiledEvaluator(model)
        for section in was.sections:
            if was.sections[section] == now.sections[section]:
                continue
            if section not in self._asked:
                self._asked[section] = self._read(f"asked {section}")
            asked = self._asked[section]
            changed = self._changed.setdefault((was.sections[section], now.sections[section]), {})
            for number, place in asked.answers.get(was.number, {}).items():
                if number not in changed:
                    answer = self._by_former_names(_decided(evaluator, section, asked.questions[number]))
                    changed[number] = answer != self._answers[place]
                if changed[number]:
                    questions.add(number)
        if questions:
            edges = self._all_edges.get(was.number, {})
            self._edges[pair] = {edge for edge, asked in edges.items() if not questions.isdisjoint(asked)}

    @cached_property
    def _all_edges(self) -> dict[int, dict[int, tuple[int, ...]]]:
        edges: dict[int, dict[int, tuple[int, ...]]] = self._read("edges")
        return edges

    @cached_property
    def _answers(self) -> list[KeptAnswer]:
        answers: list[KeptAnswer] = self._read("answers")
        return answers

    def _read(self, part: str) -> Any:
        found = self._cached.read(part)
        if found is None:
            raise _Lost
        return found


def _renamed(was: Described, now: Described) -> dict[str, str]:
    """New id -> old id of the rules of which only the id changed: the place and the content are the same."""
    ids, former_ids = ({name for rules in one.sections.values() for name, _ in rules} for one in (now, was))
    return {
        name: former
        for section, rules in now.sections.items()
        for (name, says), (former, said) in zip(rules, was.sections[section], strict=False)
        if says == said and name not in former_ids and former not in ids
    }


def _decided(evaluator: Evaluator, section: str, question: KeptQuestion) -> KeptAnswer:
    if section == "deliver":
        delivery = evaluator.receivers(*question)
        return _answer(delivery.rules, delivery[1:])
    return _answer(evaluator.decide(section, *question))


def released(judge: Judge, numbers: dict[Oracle, int]) -> Released:
    """What a release is judged by; ``numbers`` gives each model one."""
    oracles = [one for one in (judge.oracle, judge.diverged) if one is not None]
    plain, *diverged = [_described(one.model, numbers.setdefault(one, len(numbers))) for one in oracles]
    return Released(plain, diverged[0] if diverged else None, tuple([content(one.rule) for one in judge.divergences]))


def _described(model: Model, number: int) -> Described:
    layout = Layout.of(model)
    leaves = {section: sorted(words) for section, words in layout.leaves.items()}
    shape = repr((model.stack, list(model.rules), layout[:-1], leaves, model.port))
    return Described(
        number, shape, {section: tuple([content(rule) for rule in rules]) for section, rules in model.rules.items()}
    )


def _answer(rules: tuple[Rule, ...], receivers: tuple[Any, ...] = ()) -> KeptAnswer:
    return tuple([_effect(rule) for rule in rules]), receivers


@lru_cache(maxsize=4096)
def content(rule: Rule) -> Content:
    """The id and the content of a rule; why it says so, since when and where it stands does not matter here."""
    return rule.id, repr(replace(rule, id="", gloss="", why="", evidence=(), place=NOWHERE, span=EVER))


@lru_cache(maxsize=4096)
def _effect(rule: Rule) -> Content:
    """What a rule does where it decides: its content without the conditions, of which ``when`` says which facts it
    foresees, and those of ``groups`` which sockets it is about."""
    foreseen = tuple([(name, ()) for name, _ in rule.when])
    if isinstance(rule, GroupRule):
        return content(replace(rule, when=foreseen, unless=()))
    return content(replace(rule, when=foreseen, unless=(), among=(), ask="", space="any"))
