"""``bindmatrix regenerate``: writes every generated file of the checkout.

:data:`GENERATED` is the whole list.  A new kind of generated file is one more row, and one function that returns its
text.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from bindmatrix.advice import misuse_page, recipes_page
from bindmatrix.answers import cells, open_questions, reference, runtimes_page
from bindmatrix.cli import readme
from bindmatrix.cli.cores import on_every_core
from bindmatrix.cli.main import DIVERGES, OK
from bindmatrix.errors import Place, Problem, nearest
from bindmatrix.lint import rule_coverage
from bindmatrix.lint.context import Subject, quiet_collector
from bindmatrix.report.words import counted
from bindmatrix.reproduce import findings
from bindmatrix.rules import catalog

#: path below the checkout -> text
Texts = dict[str, str]


class Generated(NamedTuple):
    """One kind of generated file; ``render`` returns the text of each."""

    name: str
    paths: str
    description: str
    render: Callable[[], Texts]


def _decided() -> Texts:
    names = catalog.names()
    decided = dict(zip(names, on_every_core(_decided_of, names), strict=True))
    return {"expectations/evidence/decided.json": rule_coverage.text(decided)}


def _decided_of(os: str) -> rule_coverage.OfRules:
    subject = Subject(catalog.folder() / f"{os}.yaml", cached=True)
    if subject.problems:
        raise subject.problems[0]
    with quiet_collector():
        return subject.decided


def _cells() -> Texts:
    names = catalog.names()
    grids = dict(zip(names, on_every_core(cells.render, names), strict=True))
    return {f"expectations/cells/{os}.txt": text for os, text in grids.items()}


def _questions() -> Texts:
    sections = on_every_core(open_questions.section, catalog.names())
    return {"docs/open-questions.md": open_questions.page(sections)}


def _runtimes() -> Texts:
    return {"docs/runtimes.md": runtimes_page.render()}


def _recipes() -> Texts:
    return {"docs/recipes.md": recipes_page.render()}


def _misuse() -> Texts:
    return {"docs/misuse.md": misuse_page.render()}


def _reference() -> Texts:
    pages = ("docs/expectations.md", "docs/notation.md", "docs/methods.md")
    return {path: reference.render((checkout() / path).read_text(encoding="utf-8")) for path in pages}


def _findings() -> Texts:
    made = findings.render(findings.findings(checkout() / "findings" / "findings.yaml"))
    return {f"findings/{path}": text for path, text in made.items()}


def _readme() -> Texts:
    return {"README.md": readme.render((checkout() / "README.md").read_text(encoding="utf-8"))}


#: in the order in which they are written: confidence is computed from decided.json, and the README shows all the rest
GENERATED: tuple[Generated, ...] = (
    Generated("decided", "expectations/evidence/decided.json", "which recorded outcomes each rule decides", _decided),
    Generated("cells", "expectations/cells/*.txt", "the pair matrix of each system as grids", _cells),
    Generated("questions", "docs/open-questions.md", "what the rules leave unknown", _questions),
    Generated("runtimes", "docs/runtimes.md", "what runtimes do before and after bind()", _runtimes),
    Generated("recipes", "docs/recipes.md", "the smallest option sets that reach a goal", _recipes),
    Generated("misuse", "docs/misuse.md", "patterns of misuse, and the systems that they hurt", _misuse),
    Generated("reference", "docs/*.md", "the tables of expectations.md, notation.md and methods.md", _reference),
    Generated("findings", "findings/*", "the reports and programs of findings.yaml", _findings),
    Generated("readme", "README.md", "the table of answers, and what the examples print", _readme),
)


def configure(parser: argparse.ArgumentParser) -> None:
    """The arguments of the verb."""
    width = max(len(one.name) for one in GENERATED)
    rows = [f"  {one.name:<{width}}  {one.description} ({one.paths})" for one in GENERATED]
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.epilog = (
        "Exit status: 0 when everything is (or, with --check, was) up to date, 1 when --check finds a stale file.\n"
        'With --json: {"changed": [PATH, ...]}, relative to the checkout.\n\nwhat is generated:\n' + "\n".join(rows)
    )
    parser.add_argument("names", nargs="*", metavar="NAME", help="only these (default: everything below)")
    parser.add_argument("--check", action="store_true", help="write nothing; list the files that are not up to date")
    parser.add_argument("--json", action="store_true", help="print the changed files as one JSON object")


def run(arguments: argparse.Namespace) -> int:
    """Write the stale files, or with ``--check`` list them."""
    root = checkout()
    changed = []
    for one in _chosen(arguments.names):
        stale = outdated(one, root)
        changed += sorted(stale)
        if not arguments.check:
            write(root, stale)
        if not arguments.json:
            for path in sorted(stale):
                print(f"{'stale' if arguments.check else 'wrote'} {path}")
    if arguments.json:
        print(json.dumps({"changed": changed}, indent=1))
    elif not changed:
        print("everything generated is up to date")
    elif arguments.check:
        print(f"{counted(len(changed), 'stale file')}; run 'bindmatrix regenerate'", file=sys.stderr)
    return DIVERGES if changed and arguments.check else OK


def checkout() -> Path:
    """The folder of the checkout; raises :class:`Problem` where bindmatrix is installed without one."""
    root = catalog.folder().parent
    if not (root / "conformance" / "bindmatrix").is_dir():
        raise Problem(
            Place(str(root)), "expected a checkout of bindmatrix, whose files this verb writes; found an installed one"
        )
    return root


def outdated(one: Generated, root: Path) -> Texts:
    """The files of one kind that differ from what is generated now, with the text that they should have."""
    return {path: text for path, text in one.render().items() if _read(root / path) != text}


def write(root: Path, texts: Mapping[str, str]) -> None:
    """Write the files; raises :class:`Problem`."""
    for name, text in texts.items():
        path = root / name
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
        except OSError as error:
            raise Problem(Place(str(path)), f"cannot be written: {error.strerror}") from error


def _chosen(names: Sequence[str]) -> list[Generated]:
    known = [one.name for one in GENERATED]
    for name in names:
        if name not in known:
            raise Problem(
                Place("regenerate"), f"nothing is called {name!r}{nearest(name, known)}; there are {', '.join(known)}"
            )
    return [one for one in GENERATED if not names or one.name in names]


def _read(path: Path) -> str | None:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        return None
