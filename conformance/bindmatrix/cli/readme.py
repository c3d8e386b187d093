"""The generated parts of README.md: the table of answers, and what its examples print.

The table answers the numbered questions of the README, a column for each system.  An example is a ``console`` block
that starts with ``$ bindmatrix``; the rest of the block is what the command prints.
"""

from __future__ import annotations

import io
import re
import shlex
from collections.abc import Callable, Iterable
from contextlib import redirect_stdout
from functools import cache
from itertools import chain

from bindmatrix.cli.main import main
from bindmatrix.notation import parse
from bindmatrix.oracle.oracle import Oracle
from bindmatrix.rules import catalog, confidence, provenance
from bindmatrix.rules.provenance import Method

QUESTION = re.compile(r"^(\d+)\. (.+?) `([^`]+ [^`]+)`$", re.MULTILINE)
ANSWERS = re.compile(r"(?<=-->\n).*?(?=<!-- /answers -->)", re.DOTALL)
EXAMPLE = re.compile(r"(?<=```console\n)\$ bindmatrix ([^\n]+)\n(.*?)(?=```)", re.DOTALL)


def render(readme: str, printed: Callable[[str], str] | None = None) -> str:
    """``readme`` with its answers and examples as they are now; ``printed``: what a command prints."""
    show = printed or output
    readme = ANSWERS.sub(lambda _: answers(readme), readme)
    return EXAMPLE.sub(lambda match: f"$ bindmatrix {match[1]}\n{show(match[1])}", readme)


def answers(readme: str) -> str:
    """The table of answers to the numbered questions."""
    oracle = cache(_oracle)
    asked = QUESTION.findall(readme)
    systems = catalog.names()
    heads = [head(oracle(system), [scenario for *_, scenario in asked]) for system in systems]
    rows = [["", *heads], ["---"] * (len(systems) + 1)]
    for number, question, scenario in asked:
        rows.append([f"{number}. {question}", *(answer(oracle(system), scenario) for system in systems)])
    return "".join(f"| {' | '.join(row)} |\n" for row in rows)


def _oracle(system: str) -> Oracle:
    """The oracle of the newest release."""
    expectations = catalog.expectations(system)
    return Oracle(expectations.at(catalog.release_of(expectations, "")))


def head(oracle: Oracle, scenarios: Iterable[str]) -> str:
    """The head of a column: the system, the release, and the methods by which its answers are known."""
    known: set[str] = set()
    for scenario in scenarios:
        prediction = oracle.predict(parse(scenario))
        found = confidence.of_rules(chain.from_iterable(prediction.rules), oracle.model)
        if found.method != confidence.NOT_KNOWN:
            release = f" {found.release}" if found.method in provenance.EXECUTED else ""
            known.add(f"{found.method}{release}{''.join(f' + {part}' for part in found.parts)}")
    methods = sorted(known, key=lambda text: next(i for i, word in enumerate(Method) if text.startswith(word)))
    expectations = oracle.model.expectations
    return "<br>".join([f"{expectations.title} {expectations.named(oracle.model.release)}", ", ".join(methods)])


def answer(oracle: Oracle, text: str) -> str:
    """One cell: the first step that is not ok decides; a delivery says who received."""
    outcomes = oracle.predict(parse(text)).outcomes
    for step, outcome in zip(text.split(), outcomes, strict=True):
        if outcome == "ok":
            continue
        if outcome is None:
            return "?"
        if isinstance(outcome, str) and not step.startswith("deliver"):
            option = re.match(r"\w+\.(reuse\w+|excl\w+|v6only)=", step)
            return "–" if option else "no" if outcome == "EADDRINUSE" else f"no, {outcome}"
        return " or ".join(f"`{one}`" for one in ([outcome] if isinstance(outcome, str) else outcome))
    return "yes"


def output(command: str) -> str:
    """What a command prints on standard output."""
    text = io.StringIO()
    with redirect_stdout(text):
        main(shlex.split(command))
    return text.getvalue()
