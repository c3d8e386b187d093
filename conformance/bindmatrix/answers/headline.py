"""The answer to a scenario in two or three sentences, by the newest release of each system."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from bindmatrix.answers.ask import SystemAnswer
from bindmatrix.answers.reason import ABSENT
from bindmatrix.notation import OPTIONS, Scenario
from bindmatrix.outcomes import EVERY, Expected, Receivers, alternatives, in_words

#: so many systems are named, of more only the number is told
_NAMED = 4


def headline(scenario: Scenario, found: Sequence[SystemAnswer]) -> str:
    """``Every call succeeds on 9 of 11 systems. b.bind fails with EADDRINUSE on Linux.``, "" without an answer."""
    newest = [answer for answer in found if answer.is_newest]
    if not newest:
        return ""
    works: list[str] = []
    fails: dict[tuple[str, str], list[str]] = {}
    lacks: dict[str, list[str]] = {}
    unsure: dict[str, list[str]] = {}
    received: dict[str, list[str]] = {}
    unknown: list[str] = []
    for answer in newest:
        index = deciding_step(scenario, answer)
        if index is None:
            works.append(answer.title)
            for step, outcome in zip(scenario.steps, answer.outcomes, strict=True):
                if step.delivers:
                    titles = unknown if outcome is None else received.setdefault(receivers(outcome), [])
                    titles.append(answer.title)
                    break
            continue
        step, outcome = scenario.steps[index], answer.outcomes[index]
        if any(rule.id == ABSENT for rule in answer.rules[index]):
            lacks.setdefault(OPTIONS[step.what], []).append(answer.title)
        elif outcome is None or "ok" in alternatives(outcome):
            unsure.setdefault(call_of(step.text), []).append(answer.title)
        else:
            fails.setdefault((call_of(step.text), in_words(outcome)), []).append(answer.title)
    said = []
    if works:
        said.append(f"Every call succeeds on {_systems(works, len(newest))}.")
    for (call, error), titles in fails.items():
        where = _systems(titles, len(newest)) if len(titles) == len(newest) else _listed(titles)
        said.append(f"{call} fails with {error} on {where}.")
    said += [f"{_listed(titles)} {_have(titles)} no {option}." for option, titles in lacks.items()]
    said += [f"What {call} returns on {_listed(titles)} is not known for sure." for call, titles in unsure.items()]
    said += _received(received, unknown)
    return " ".join(said)


def _received(received: Mapping[str, Sequence[str]], unknown: Sequence[str]) -> Iterator[str]:
    """What to say of a delivery: receivers -> systems, and the systems on which they are not known."""
    if len(received) == 1 and not unknown:
        who, titles = next(iter(received.items()))
        yield f"Received by {who}{' on all of these' if len(titles) > 1 else ''}."
    elif received:
        yield f"Received by {'; by '.join(f'{who} on {_listed(titles)}' for who, titles in received.items())}."
    if unknown:
        yield f"Who receives on {_listed(unknown)} is not known."


def deciding_step(scenario: Scenario, answer: SystemAnswer) -> int | None:
    """The first call that does not return ok; None where every call does."""
    pairs = zip(scenario.steps, answer.outcomes, strict=True)
    return next((index for index, (step, one) in enumerate(pairs) if one != "ok" and not step.delivers), None)


def call_of(step: str) -> str:
    """``b.bind=127.0.0.1`` -> ``b.bind``."""
    return step.partition("=")[0]


def receivers(expected: Expected) -> str:
    """Who receives, in words: ``a and b, shared between them``; ``expected`` is known."""
    return " or ".join(map(_receivers, alternatives(expected)))


def _receivers(text: str) -> str:
    if text in ("none", "refused", "timeout"):
        return "nobody"
    kind, names = Receivers.of(text)
    if len(names) == 1:
        return names[0]
    how = "a copy each" if kind == EVERY else "shared between them"
    return f"{_listed(['nobody (refused)' if name == 'refused' else name for name in names])}, {how}"


def _systems(works: Sequence[str], count: int) -> str:
    if len(works) == count:
        return works[0] if count == 1 else f"all {count} systems"
    if len(works) <= _NAMED:
        return _listed(works)
    return f"{len(works)} of {count} systems"


def _have(titles: Sequence[str]) -> str:
    return "has" if len(titles) == 1 else "have"


def _listed(words: Sequence[str]) -> str:
    *first, last = words
    return f"{', '.join(first)} and {last}" if first else last
