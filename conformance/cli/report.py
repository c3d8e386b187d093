"""``bindmatrix report``: results of one or several hosts as HTML, Markdown, JUnit XML and JSON."""

from __future__ import annotations

import argparse
import gc
import json
import os
import sys
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from conformance.cli.main import DIVERGES, OK, WRONG
from conformance.errors import BindmatrixError, Place, Problem
from conformance.judge.columns import Columns, of_recordings
from conformance.observe import observations
from conformance.observe.results import NAME
from conformance.oracle import catalog
from conformance.report import junit, markdown, terminal
from conformance.report.html import page

_EPILOG = """\
RESULTS are folders that 'bindmatrix run' wrote, observation files of any host, folders of recorded evidence, or a
folder of such folders.  The files of one folder are one host.

  bindmatrix report results/* --html matrix.html
  bindmatrix report expectations/evidence/linux-* --html linux.html
  bindmatrix report results/today --markdown "$GITHUB_STEP_SUMMARY" --junit junit.xml

A FILE of - is standard output.  Without any of the four a summary of each host is printed.  --markdown appends to a
file that the variable GITHUB_STEP_SUMMARY names and replaces any other.  The JSON is a list of summaries, described
by docs/schema/verdicts.schema.json.

Exit status: 0 all conform, 1 something diverges, 2 bad input (what could be read is reported all the same).
"""

#: compressed bytes of all files from which several hosts are read in processes of their own
_LARGE = 500_000
#: objects that were made and not freed, from which it pays to look for cycles
_MANY = 500_000


class _Source(NamedTuple):
    """The files of one host, and what is known of it beforehand."""

    name: str
    paths: tuple[str, ...]
    facts: dict[str, str]


def configure(parser: argparse.ArgumentParser) -> None:
    """The arguments of the verb."""
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.epilog = _EPILOG
    parser.add_argument(
        "results", nargs="+", metavar="RESULTS", help="result folders or observation files; - for standard input"
    )
    parser.add_argument("--html", metavar="FILE", help="the matrix as one page that needs nothing else")
    parser.add_argument("--markdown", metavar="FILE", help="for the summary page of a CI job")
    parser.add_argument("--junit", metavar="FILE", help="JUnit XML, a suite for each host")
    parser.add_argument(
        "--json", nargs="?", const="-", metavar="FILE", help="the summaries (default FILE: standard output)"
    )
    parser.add_argument("--os", default="", help="the system, where one host's file does not say it")
    parser.add_argument("--release", default="", help="its release, where one host's file does not say it")


def run(arguments: argparse.Namespace) -> int:
    """Read, judge, write; exit status 2 when a file could not be read to its end."""
    targets = [one for one in (arguments.html, arguments.markdown, arguments.junit, arguments.json) if one]
    if targets.count("-") > 1:
        raise Problem(Place("report"), "only one of the reports can go to standard output")
    sources = _sources(arguments.results)
    if arguments.os or arguments.release:
        if len(sources) > 1:
            message = f"these are the results of {len(sources)} hosts; name the system of one at a time"
            raise Problem(Place("--os"), message)
        given = {"os": arguments.os, "release": arguments.release}
        sources = [sources[0]._replace(facts={key: value for key, value in given.items() if value})]
    with _no_collecting():
        hosts = _named(_read(sources), sources)
        _write_all(arguments, hosts)
    if not targets:
        for host in hosts:
            if len(hosts) > 1:
                print(f"== {host.name}")
            terminal.show(host.summary)
    problems = [problem for host in hosts for problem in host.problems]
    for problem in problems:
        print(problem, file=sys.stderr)
    if problems or not any(host.summary.total for host in hosts):
        return WRONG
    return OK if all(host.summary.conforms for host in hosts) else DIVERGES


def _write_all(arguments: argparse.Namespace, hosts: list[Columns]) -> None:
    summaries = {host.name: host.summary for host in hosts}
    if arguments.html:
        _write(arguments.html, page.render(hosts))
    if arguments.markdown:
        step_summary = arguments.markdown != "-" and arguments.markdown == os.environ.get("GITHUB_STEP_SUMMARY")
        _write(arguments.markdown, markdown.render_all(summaries), append=step_summary)
    if arguments.junit:
        _write(arguments.junit, junit.render(summaries))
    if arguments.json:
        _write(arguments.json, json.dumps([summary.as_dict() for summary in summaries.values()], indent=1) + "\n")


# -- which files are which host


def _sources(words: Sequence[str]) -> list[_Source]:
    """The hosts that the command line names; raises :class:`Problem`."""
    found: dict[str, list[str]] = {}
    for word in words:
        if word == "-":
            if len(words) > 1:
                raise Problem(Place("-"), "standard input is the results of one host; name nothing beside it")
            return [_Source("", ("-",), {})]
        for path in _files(Path(word)):
            paths = found.setdefault(str(path.resolve().parent), [])
            if str(path) not in paths:
                paths.append(str(path))
    return [_Source(Path(folder).name, tuple(paths), _facts(Path(folder))) for folder, paths in found.items()]


def _files(path: Path, depth: int = 1) -> list[Path]:
    if not path.is_dir():
        return [path]
    if (path / NAME).exists():
        return [path / NAME]
    inside = sorted(path.glob("*.jsonl.gz")) or sorted(path.glob("*.jsonl"))
    if not inside and depth:
        inside = [file for folder in sorted(path.iterdir()) if folder.is_dir() for file in _files_or_none(folder)]
    if not inside and depth:
        raise Problem(
            Place(str(path)), f"a folder without {NAME} or other observation files; name one that a run wrote"
        )
    return inside


def _files_or_none(path: Path) -> list[Path]:
    return _files(path, depth=0)


def _facts(folder: Path) -> dict[str, str]:
    """Recorded evidence without a release is in a folder that has the system's name."""
    return {"os": folder.name} if folder.parent.name == "evidence" and folder.name in catalog.names() else {}


# -- reading them


def _read(sources: list[_Source]) -> list[Columns]:
    """The hosts, read side by side where that is worth the processes; raises the first problem."""
    sizes = [sum(Path(path).stat().st_size for path in source.paths if Path(path).exists()) for source in sources]
    if len(sources) > 1 and sum(sizes) > _LARGE and (os.cpu_count() or 1) > 1:
        with ProcessPoolExecutor(min(len(sources), os.cpu_count() or 1)) as pool:
            found = list(pool.map(_columns, sources))
    else:
        found = [_columns(source) for source in sources]
    for one in found:
        if isinstance(one, str):
            raise BindmatrixError(one)
    return [one for one in found if not isinstance(one, str)]


def _columns(source: _Source) -> Columns | str:
    """One host, or what is wrong with its files: problems do not travel between processes, their text does."""
    try:
        with _no_collecting():
            return of_recordings([observations.read(path) for path in source.paths], facts=source.facts)
    except BindmatrixError as problem:
        return str(problem)
    finally:
        # the automaton that judged the host refers to itself; with many free sequences it is the largest thing there is
        if gc.get_count()[0] > _MANY:
            gc.collect()


@contextmanager
def _no_collecting() -> Iterator[None]:
    """To look for cycles again and again among millions of small tuples would take a third of the time."""
    collecting = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if collecting:
            gc.enable()


def _named(hosts: list[Columns], sources: list[_Source]) -> list[Columns]:
    """Every host with a name of its own; the name of its folder tells two of the same release apart."""
    names = [host.name for host in hosts]
    for host, source in zip(hosts, sources, strict=True):
        if names.count(host.name) > 1:
            host.name = f"{host.name} ({source.name})"
    seen: set[str] = set()
    for number, host in enumerate(hosts, 1):
        if host.name in seen:
            host.name = f"{host.name} #{number}"
        seen.add(host.name)
        # a comma separates names in permalinks
        host.name = host.name.replace(",", ";")
    return hosts


def _write(target: str, text: str, *, append: bool = False) -> None:
    if target == "-":
        sys.stdout.write(text)
        return
    try:
        with Path(target).open("a" if append else "w", encoding="utf-8") as stream:
            stream.write(text)
    except OSError as error:
        raise Problem(Place(target), f"cannot be written: {error.strerror}") from error
