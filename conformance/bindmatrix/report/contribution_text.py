"""What a recording settles, for a terminal and as the text of an issue.

What a stranger's recording said stands escaped, in code or in fenced blocks.
"""

from __future__ import annotations

from collections.abc import Iterator, Sized

from bindmatrix.answers.contribution import Contribution
from bindmatrix.quoting import markdown, markdown_code, terminal
from bindmatrix.report.terminal import group_lines
from bindmatrix.report.words import counted

#: entries of a list that are shown
_MOST = 20
#: characters of a host's word in an issue
_LONGEST = 300


def lines(one: Contribution) -> Iterator[str]:
    """The lines for a terminal."""
    yield from map(terminal, _lines(one))


def _lines(one: Contribution) -> Iterator[str]:
    yield one.summary.headline
    for note in one.summary.notes:
        yield f"note: {note}"
    if one.missing:
        yield f"note: {_missing(one)}"
    if one.behaves_like:
        yield f"warning: {_suspicion(one)}"
    yield ""
    yield from _settles(one)
    for answer in one.answered[:_MOST]:
        yield f"answers {answer.rule or f'{answer.call}()'}: {answer.reason}"
        yield f"  {answer.scenario}"
        yield f"  {answer.call}: {_outcomes(answer.outcomes)}"
    yield from _more(one.answered, "answers")
    for group in one.contradictions[:_MOST]:
        yield from group_lines(group, one.summary.recording)
    yield from _more(one.contradictions, "contradictions")
    if one.surprising:
        yield f"claims of the literature that the rules judge otherwise: {', '.join(one.surprising)}"
    yield ""
    yield f"host folder: expectations/evidence/{one.folder} ({'new' if one.first else 'there already'})"
    yield f"to be added there: {counted(len(one.new), 'scenario')}"


def _settles(one: Contribution) -> Iterator[str]:
    yield ", ".join(f"{count:,} {kind}" for kind, count in one.summary.counted.items())
    yield f"{counted(len(one.answered), 'unknown')} answered"
    yield (
        f"{counted(len(one.confirmed), 'rule')} confirmed for the first time on this release, "
        f"{len(one.known):,} once more"
    )
    yield (
        f"{counted(len(one.claims), 'claim')} of the literature decided, "
        f"{len(one.surprising):,} otherwise than by the rules"
    )
    yield f"{counted(len(one.contradictions), 'contradiction')}"


def _missing(one: Contribution) -> str:
    return f"{counted(one.missing, 'scenario')} of the kit are not in it: the machine was slow, or the kit was ended"


def _suspicion(one: Contribution) -> str:
    return (
        f"it says that it is {one.summary.system}, and behaves like '{one.behaves_like}'; "
        "do not submit it before that is explained"
    )


def _outcomes(found: dict[str, int]) -> str:
    ordered = sorted(found.items(), key=lambda item: (-item[1], item[0]))
    return ", ".join(f"{outcome} ({counted(count, 'scenario')})" for outcome, count in ordered[:_MOST])


def _more(listed: Sized, noun: str) -> Iterator[str]:
    if len(listed) > _MOST:
        yield f"... and {len(listed) - _MOST:,} more {noun}"


def issue(one: Contribution) -> str:
    """The text of an issue in Markdown; its first line is the title."""
    return "\n".join(_issue(one)) + "\n"


def _issue(one: Contribution) -> Iterator[str]:
    yield f"# Recording: {_text(one.summary.system)} {_text(one.summary.release)}"
    yield ""
    yield f"{_text(one.summary.headline)}. Host folder: `{_code(f'expectations/evidence/{one.folder}')}`."
    yield ""
    for note in one.summary.notes:
        yield f"> {_text(note)}"
        yield ""
    if one.missing:
        yield f"> {_text(_missing(one))}"
        yield ""
    if one.behaves_like:
        yield f"> **{_text(_suspicion(one))}**"
        yield ""
    for text in _settles(one):
        yield f"- {_text(text)}"
    yield ""
    if one.answered:
        yield "## What was unknown"
        yield ""
        for answer in one.answered[:_MOST]:
            yield f"- `{_code(answer.rule or f'{answer.call}()')}`: {_text(answer.reason)}  "
            yield f"  `{_code(answer.scenario)}`  "
            yield f"  {_text(answer.call)}: {_text(_outcomes(answer.outcomes))}"
        yield from _more(one.answered, "answers")
        yield ""
    if one.contradictions:
        yield "## What contradicts the rules"
        yield ""
        for group in one.contradictions[:_MOST]:
            yield f"- `{_code(group.rule)}`, {counted(group.count, 'scenario')}  "
            yield f"  `{_code(group.shortest)}`  "
            yield f"  {_text(group.call)}: expected {_text(group.wanted)}, got **{_text(group.actual)}**"
        yield from _more(one.contradictions, "contradictions")
        yield ""
    yield "The machine says of itself:"
    yield ""
    for key, value in one.summary.host.items():
        if isinstance(value, str | bool | int):
            yield f"- {_text(key)}: {_text(str(value))}"
    yield ""
    yield "The recording is attached (drag the file here; `.jsonl.gz` is accepted as `.gz`)."


def _text(text: str) -> str:
    return markdown(text[:_LONGEST])


def _code(text: str) -> str:
    return markdown_code(text[:_LONGEST])
