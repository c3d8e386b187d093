"""``bindmatrix site``: the explorer and the pages around it, made from the rules; nothing is run."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from bindmatrix.advice.recipe_goals import GOALS
from bindmatrix.advice.recipes import Recipe, recipes
from bindmatrix.advice.runtime_questions import RuntimeQuestion, runtime_questions
from bindmatrix.answers import claims, explorer, open_questions, release_changes
from bindmatrix.answers.claims import ClaimResult
from bindmatrix.answers.explorer import AskedScenario, SystemTable
from bindmatrix.answers.open_questions import OpenQuestion
from bindmatrix.answers.questions import LISTED_PRESETS
from bindmatrix.cli.main import OK
from bindmatrix.errors import file_problems
from bindmatrix.judge import claim_check
from bindmatrix.programs.runtimes import runtimes
from bindmatrix.report.progress import Progress
from bindmatrix.report.site import explorer_page, pages
from bindmatrix.reproduce import findings
from bindmatrix.reproduce.findings import KernelFinding
from bindmatrix.rules import catalog, confidence, provenance

_EPILOG = """\
index.html is the explorer: one file of its own that needs no network.  The other pages are claims, findings, releases,
runtimes, recipes, open questions, and how we know; they link back to it with the scenario filled in.  Findings are
there where their list is: in a checkout.  It takes about a minute of one processor.

Exit status: 0 done, 2 the folder cannot be written.

  bindmatrix site --out site
"""


def configure(parser: argparse.ArgumentParser) -> None:
    """The arguments of the verb."""
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.epilog = _EPILOG
    parser.add_argument("--out", metavar="DIR", required=True, help="the folder that the pages are written to")
    parser.add_argument("--explorer-only", action="store_true", help="write index.html alone")


def run(arguments: argparse.Namespace) -> int:
    """Write the pages and print their names."""
    folder = Path(arguments.out)
    with file_problems(folder, "written", "; name another --out"):
        folder.mkdir(parents=True, exist_ok=True)
        for name, text in made(alone=arguments.explorer_only).items():
            (folder / name).write_text(text, encoding="utf-8")
            print(folder / name)
    return OK


def made(*, alone: bool) -> dict[str, str]:
    """File -> text; ``alone``: the explorer without links to the other pages."""
    programs = list(runtime_questions())
    asked = [scenario for question in programs for scenario in question.asked.values()]
    asked += [AskedScenario(text) for *_, text in LISTED_PRESETS]
    if alone:
        listed = list(dict.fromkeys(asked))
        return {"index.html": _explorer(_tables(listed), listed, programs, recipes(GOALS), alone=True)}
    claimed = claims.results(claim_check.read(), catalog.names())
    surprises = _findings()
    unknown = {os: open_questions.questions(catalog.expectations(os)) for os in catalog.names()}
    advised = recipes(GOALS)
    asked += [AskedScenario(text) for text in _texts(claimed, surprises, list(unknown.values()), advised)]
    listed = list(dict.fromkeys(asked))
    systems = _tables(listed)
    titles = {system.os: system.title for system in systems}
    changed = [(system, release_changes.changes(system.os), release_changes.differences(system)) for system in systems]
    hosts = provenance.read(catalog.folder() / "evidence")
    return {
        "index.html": _explorer(systems, listed, programs, advised, alone=False),
        "claims.html": pages.page(
            "claims.html",
            "What books, manual pages and answers say about SO_REUSEADDR and SO_REUSEPORT, and where it is true.",
            pages.claims(claimed, titles),
        ),
        "findings.html": pages.page(
            "findings.html",
            "Surprising behaviour of real kernels. The tables are predictions from rules and recorded divergences.",
            pages.findings(
                [
                    (
                        one.name,
                        one.title,
                        one.scenario.text,
                        f"Expected: {one.expect}, because {one.because}",
                        findings.table_rows(one),
                    )
                    for one in surprises
                ]
            ),
        ),
        "releases.html": pages.page(
            "releases.html",
            "What changed in which release, as far as the rules describe it, and the questions whose answers changed.",
            pages.release_changes(changed),
        ),
        "runtimes.html": pages.page(
            "runtimes.html",
            "What libraries and servers do before and after bind(). 'bindmatrix audit ID' shows the consequences.",
            pages.runtimes(runtimes().values()),
        ),
        "recipes.html": pages.page(
            "recipes.html",
            "What must I set? The smallest sets of options that reach a goal, on the newest release of each system.",
            pages.recipes(advised, titles),
        ),
        "open.html": pages.page(
            "open.html",
            "What is not known, which does not mean 'no'. If you have the system, 'bindmatrix observe' can settle it.",
            pages.open_questions([(system, unknown[system.os]) for system in systems]),
        ),
        "known.html": pages.page(
            "known.html",
            "Every answer names its method. Only 'run' and 'emulated' mean that the system itself was started.",
            pages.known(confidence.WORDS, [(name, row.text, row.why) for name, row in hosts.items()]),
        ),
    }


def _tables(listed: Sequence[AskedScenario]) -> list[SystemTable]:
    found = []
    with Progress() as progress:
        update = progress.add("systems", len(catalog.names()))
        for number, table in enumerate(explorer.tables(listed), start=1):
            found.append(table)
            update(number)
    return found


def _explorer(
    systems: Sequence[SystemTable],
    listed: Sequence[AskedScenario],
    programs: Sequence[RuntimeQuestion],
    advised: Sequence[Recipe],
    *,
    alone: bool,
) -> str:
    around = {} if alone else pages.PAGES
    return explorer_page.render(systems, listed, programs, confidence.WORDS, advised, around)


def _findings() -> list[KernelFinding]:
    """The findings of the checkout, none where the package is installed without them."""
    path = catalog.folder().parent / "findings" / "findings.yaml"
    return findings.findings(path) if path.is_file() else []


def _texts(
    claimed: Sequence[ClaimResult],
    surprises: Sequence[KernelFinding],
    unknown: Sequence[list[OpenQuestion]],
    advised: Sequence[Recipe],
) -> list[str]:
    """The scenarios that the pages link to."""
    texts = [case.scenario.text for one in claimed for case in one.claim.cases]
    texts += [one.scenario.text for one in surprises]
    texts += [bad.check.scenario.text for one in advised for bad in one.refuted]
    texts += [one.scenario for questions in unknown for one in questions if one.scenario]
    return texts
