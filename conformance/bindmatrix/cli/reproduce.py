"""``bindmatrix reproduce``: a C program, a Python program and a bug report for one scenario."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from bindmatrix.cli import inputs, scenario_options
from bindmatrix.cli.main import OK, WRONG
from bindmatrix.errors import Place, Problem, file_problems, nearest, parsing
from bindmatrix.execute.hosts import this_host
from bindmatrix.notation import Scenario
from bindmatrix.observe import scenario_input
from bindmatrix.reproduce import cases
from bindmatrix.reproduce.files import files
from bindmatrix.rules import catalog

_EPILOG = """\
The programs choose a free port (or take one as argument), use only the loopback interface and exit with 0 when every
step is as expected, 1 when one is not, 2 when the set-up failed.

Without --host the scenario is run here and this machine is the host.  With it nothing is run: the outcomes are those
of the results folder or recording if it holds the scenario, else what the rules say of that release.  FACTS is one of

  freebsd, freebsd@14.1                a system: its newest release, or that one
  facts.json                           the facts of a host
  '{"os": "linux", "release": "6.1"}'  the same
  results/HOST-TIME                    the results of a run
  seen.jsonl                           a recording

--expect takes one outcome a step: ok, the name of an error, alternatives joined by |, 'error' for any, '?' for
anything, or a JSON list.  Without it the rules of the system decide.

Exit status: 0 done, 2 bad input, or a recording that could not be read to its end.

  bindmatrix reproduce 'a=tcp4 a.bind=0.0.0.0 b=tcp4 b.bind=127.0.0.1'
  bindmatrix reproduce 'a=tcp6 a.bind=::1' --lang c --expect 'ok EADDRINUSE'
  bindmatrix reproduce FILE --host results/ --output report/
"""


def configure(parser: argparse.ArgumentParser) -> None:
    """The arguments of the verb."""
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.epilog = _EPILOG
    parser.add_argument("scenario", metavar="SCENARIO", help="a scenario, a file with one, or - for standard input")
    parser.add_argument("--host", metavar="FACTS", help="a system, the facts of a host, or the results of a run")
    parser.add_argument("--expect", metavar="OUTCOMES", help="what is expected instead of the rules, see below")
    parser.add_argument(
        "--lang",
        choices=("c", "python", "winsock", "report", "all"),
        default="all",
        help="one program alone, the C program for Windows alone, or the report, which holds both programs (default)",
    )
    parser.add_argument(
        "--port", type=scenario_options.port, default=0, metavar="N", help="the port, where its number matters"
    )
    parser.add_argument("--output", metavar="DIR", help="write files there instead of printing")
    parser.add_argument("--json", action="store_true", help="print an object: file name to text")


def run(arguments: argparse.Namespace) -> int:
    """Print or write the programs and the report."""
    scenario = _one(arguments.scenario)
    facts, observed, damage = _host(arguments.host, scenario)
    expect = cases.given_outcomes(arguments.expect, scenario) if arguments.expect is not None else None
    case = cases.build(scenario, facts, expect=expect, observed=observed, port=arguments.port)
    made = files(case, arguments.lang)
    if arguments.output:
        _write(Path(arguments.output), made)
    elif arguments.json:
        print(json.dumps(made, indent=1))
    else:
        # a report holds both programs in full
        shown = {"report.txt": made["report.txt"]} if arguments.lang == "all" else made
        print("\n".join(shown.values()), end="")
    if damage is not None:
        print(damage, file=sys.stderr)
    return OK if damage is None else WRONG


def _one(word: str) -> Scenario:
    found = [line.scenario() for line in scenario_input.given(word)]
    if len(found) != 1:
        raise Problem(Place(word), f"expected one scenario, got {len(found)}")
    return found[0]


def _host(
    word: str | None, scenario: Scenario
) -> tuple[Mapping[str, Any], tuple[str | None, ...] | None, Problem | None]:
    """The facts of the host, what was observed on it, and where its recording is damaged; raises :class:`Problem`."""
    if word is None:
        with this_host(1) as host:
            lines = [line for batch in host.run([scenario.text]) for line in batch]
            return host.facts, json.loads(lines[0]).get("outcomes"), None
    if not word.strip():
        raise Problem(Place("--host"), "expected a system, the facts of a host or the results of a run, got nothing")
    path = Path(word)
    if word.lstrip().startswith("{"):
        return _facts(word, "--host"), None, None
    if not scenario_input.is_there(word):
        name, _, release = word.partition("@")
        if name in catalog.names():
            return {"os": name, "release": release or catalog.expectations(name).covers[1]}, None, None
        raise Problem(
            Place("--host"),
            f"{word!r} is neither a file nor a system{nearest(name, catalog.names())}; there are "
            f"{', '.join(catalog.names())}",
        )
    if path.suffix == ".json":
        return _facts(_read(path), word), None, None
    return _of_results(word, scenario)


def _of_results(
    word: str, scenario: Scenario
) -> tuple[Mapping[str, Any], tuple[str | None, ...] | None, Problem | None]:
    """Likewise, from the results of a run or a recording."""
    found = inputs.find([word])
    if len(found) != 1:
        raise Problem(Place(word), f"holds the results of {len(found)} hosts; name one of them")
    outcomes = None
    damage = None
    said: dict[str, Any] = {}
    for name in found[0].paths:
        recording = inputs.reading(name, found[0].facts)
        for observation in recording:
            if observation.scenario == scenario.text and observation.outcomes is not None:
                outcomes = observation.outcomes
        damage = damage or recording.problem
        said |= recording.host
    facts = found[0].host(said)
    if not facts.get("os"):
        raise damage or Problem(Place(word), "does not say which host it is from; expected a first line with its facts")
    if outcomes is not None and len(outcomes) != len(scenario.steps):
        raise Problem(Place(word), f"has {len(outcomes)} outcomes for the {len(scenario.steps)} steps of the scenario")
    return facts, outcomes, damage


def _read(path: Path) -> str:
    with file_problems(path, "read"):
        return path.read_text(encoding="utf-8", errors="replace")


def _facts(text: str, name: str) -> Mapping[str, Any]:
    """The facts in a JSON text; raises :class:`Problem`."""
    with parsing(Place(name), "JSON"):
        data = json.loads(text)
    facts = data.get("host", data) if isinstance(data, dict) else None
    if not isinstance(facts, dict) or not facts.get("os"):
        raise Problem(Place(name), 'expected the facts of a host: {"os": "linux", "release": "6.18.44", ...}')
    for key in ("os", "release"):
        if not isinstance(facts.get(key, ""), str):
            raise Problem(Place(name), f"expected {key!r} as a string, got {json.dumps(facts[key])}")
    if not isinstance(facts.get("sysctls", {}), dict):
        raise Problem(Place(name), f"expected 'sysctls' as an object of names and values, got {facts['sysctls']!r}")
    return facts


def _write(folder: Path, made: Mapping[str, str]) -> None:
    with file_problems(folder, "written", "; name another --output"):
        folder.mkdir(parents=True, exist_ok=True)
        for name, text in made.items():
            (folder / name).write_text(text, encoding="utf-8")
    print("\n".join(str(folder / name) for name in made))
