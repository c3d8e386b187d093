"""What README.md shows is what the command prints.

After a change of the rules, ``python -m tests.test_readme`` prints the answers and the examples anew.
"""

from __future__ import annotations

import io
import re
import shlex
from collections.abc import Callable
from contextlib import redirect_stdout
from functools import lru_cache
from pathlib import Path

import pytest
from bindmatrix.cli.main import main
from bindmatrix.notation import parse
from bindmatrix.oracle.oracle import Oracle
from bindmatrix.rules import catalog

README = Path(__file__).parent.parent / "README.md"
#: the order of the table's columns: system -> heading
SYSTEMS = {
    "linux": "Linux",
    "freebsd": "FreeBSD",
    "netbsd": "NetBSD",
    "openbsd": "OpenBSD",
    "dragonfly": "DragonFly",
    "macos": "macOS",
    "illumos": "illumos",
    "windows": "Windows",
    "gvisor": "gVisor",
}
QUESTION = re.compile(r"^(\d+)\. (.+?) `([^`]+ [^`]+)`$", re.MULTILINE)
ANSWERS = re.compile(r"(?<=-->\n).*?(?=<!-- /answers -->)", re.DOTALL)
EXAMPLE = re.compile(r"(?<=```console\n)\$ bindmatrix ([^\n]+)\n(.*?)(?=```)", re.DOTALL)


def answers(readme: str) -> str:
    """The table of answers to the numbered scenarios of the README."""
    rows = [["", *SYSTEMS.values()], ["---"] * (len(SYSTEMS) + 1)]
    for number, question, scenario in QUESTION.findall(readme):
        rows.append([f"{number}. {question}", *(answer(system, scenario) for system in SYSTEMS)])
    return "".join(f"| {' | '.join(row)} |\n" for row in rows)


@lru_cache
def oracle(system: str) -> Oracle:
    expectations = catalog.expectations(system)
    return Oracle(expectations.at(catalog.release_of(expectations, "")))


def answer(system: str, text: str) -> str:
    """One cell: the first step that is not ok decides; a delivery says who received."""
    scenario = parse(text)
    outcomes = oracle(system).predict(scenario).outcomes
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
    text = io.StringIO()
    with redirect_stdout(text):
        main(shlex.split(command))
    return text.getvalue()


def rewritten(readme: str, printed: Callable[[str], str] = output) -> str:
    """The README with answers and examples as they are now."""
    readme = ANSWERS.sub(lambda _: answers(readme), readme)
    return EXAMPLE.sub(lambda match: f"$ bindmatrix {match[1]}\n{printed(match[1])}", readme)


STALE = "README.md is stale: run `python -m tests.test_readme`"


def test_the_answers_are_those_of_the_expectation_files() -> None:
    readme = README.read_text(encoding="utf-8")
    assert QUESTION.findall(readme)
    found = ANSWERS.search(readme)
    assert found
    assert found[0] == answers(readme), STALE


def test_every_system_has_a_column() -> None:
    assert sorted(SYSTEMS) == catalog.names()


def test_scenarios_are_canonical() -> None:
    for _, _, scenario in QUESTION.findall(README.read_text(encoding="utf-8")):
        assert parse(scenario).text == scenario


EXAMPLES = EXAMPLE.findall(README.read_text(encoding="utf-8"))


@pytest.mark.parametrize(("command", "shown"), EXAMPLES, ids=[command.split()[0] for command, _ in EXAMPLES])
def test_an_example_prints_what_is_shown(command: str, shown: str) -> None:
    assert output(command) == shown, STALE


if __name__ == "__main__":
    README.write_text(rewritten(README.read_text(encoding="utf-8")), encoding="utf-8")
