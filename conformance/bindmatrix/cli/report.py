"""``bindmatrix report``: results of one or several hosts as HTML, Markdown, JUnit XML and JSON."""

from __future__ import annotations

import argparse
import json
import os
import sys
from pathlib import Path

from bindmatrix.cli import inputs
from bindmatrix.cli.main import DIVERGES, OK, WRONG
from bindmatrix.errors import BindmatrixError, Place, Problem, file_problems
from bindmatrix.judge.host_table import HostTable
from bindmatrix.judge.matrix_view import matrix_view
from bindmatrix.observe import run_folder
from bindmatrix.quoting import terminal as plain
from bindmatrix.report import junit, markdown, terminal
from bindmatrix.report.html import page
from bindmatrix.report.words import counted

_EPILOG = """\
RESULTS are folders that 'bindmatrix run' wrote, observation files of any host, folders of recorded evidence, or a
folder of such folders.  The files of one folder are one host; a facts.json beside them ({"release": "20221219"}) says
what the host cannot find out about itself.

  bindmatrix report results/* --html matrix.html
  bindmatrix report expectations/evidence/linux-* --html linux.html
  bindmatrix report results/today --markdown "$GITHUB_STEP_SUMMARY" --junit junit.xml

A FILE of - is standard output.  Without any of the four, a summary of each host is printed.  --markdown appends to a
file that the variable GITHUB_STEP_SUMMARY names and replaces any other.  The JSON is a list of summaries, described
by docs/schema/verdicts.schema.json.

Exit status: 0 all conform, 1 something diverges, 2 bad input (what could be read is still reported).
"""


def configure(parser: argparse.ArgumentParser) -> None:
    """The arguments of the verb."""
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.epilog = _EPILOG
    parser.add_argument(
        "results", nargs="+", metavar="RESULTS", help="result folders or observation files; - for standard input"
    )
    parser.add_argument("--html", metavar="FILE", help="the matrix as one self-contained page")
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
    files = [os.path.realpath(one) for one in targets if one not in ("-", os.devnull)]
    if len(set(files)) < len(files):
        raise Problem(Place("report"), "two reports have the same file; name another")
    for target in files:
        _check_writable(Path(target))
    found = inputs.find(arguments.results)
    if arguments.os or arguments.release:
        if len(found) > 1:
            message = f"these are the results of {len(found)} hosts; name the system of one at a time"
            raise Problem(Place("--os"), message)
        given = {"os": arguments.os, "release": arguments.release}
        found = [found[0]._replace(facts={key: value for key, value in given.items() if value})]
    with inputs.no_collecting():
        hosts, unread = _read(found)
        _write_all(arguments, hosts)
    if not targets:
        for host in hosts:
            if len(hosts) > 1:
                print(f"== {plain(host.name)}")
            terminal.show(host.summary)
    problems = [*unread, *(str(problem) for host in hosts for problem in host.problems)]
    if not problems and not any(host.summary.total for host in hosts):
        problems = [f"{word}: holds no observations" for word in arguments.results]
    for problem in problems:
        print(problem, file=sys.stderr)
    if problems:
        return WRONG
    return OK if all(host.summary.conforms for host in hosts) else DIVERGES


def _read(found: list[inputs.Source]) -> tuple[list[HostTable], list[str]]:
    """The readable hosts, and the errors of the others; raises if no host is readable."""
    if sys.stderr.isatty():
        # a host with a whole matrix takes some 15 seconds
        print(f"judging {counted(len(found), 'host')} ...", file=sys.stderr)
    both = list(zip(inputs.read(found), found, strict=True))
    unread = [one for one, _ in both if isinstance(one, str)]
    if len(unread) == len(both):
        raise BindmatrixError("\n".join(unread))
    read = [(one, source) for one, source in both if not isinstance(one, str)]
    return inputs.named([host for host, _ in read], [source for _, source in read]), unread


def _chosen(words: list[str]) -> bool:
    """Whether these are files of ``observe``, whose scenarios the reader chose, and not results of ``run``."""
    return all(word == "-" or (Path(word).is_file() and Path(word).name != run_folder.NAME) for word in words)


def _check_writable(path: Path) -> None:
    """Raise :class:`Problem` if the folder of a report is missing, before the long work begins."""
    if path.is_dir():
        raise Problem(Place(str(path)), "is a folder; expected the name of a file to write")
    if not path.parent.is_dir():
        raise Problem(Place(str(path)), f"cannot be written: there is no folder {path.parent}; make it first")


def _write_all(arguments: argparse.Namespace, hosts: list[HostTable]) -> None:
    summaries = {host.name: host.summary for host in hosts}
    if arguments.html:
        _write(arguments.html, page.render(matrix_view(hosts, chosen=_chosen(arguments.results))))
    if arguments.markdown:
        step_summary = arguments.markdown != "-" and arguments.markdown == os.environ.get("GITHUB_STEP_SUMMARY")
        _write(arguments.markdown, markdown.render_all(summaries), append=step_summary)
    if arguments.junit:
        _write(arguments.junit, junit.render(summaries))
    if arguments.json:
        _write(arguments.json, json.dumps([summary.as_dict() for summary in summaries.values()], indent=1) + "\n")


def _write(target: str, text: str, *, append: bool = False) -> None:
    if target == "-":
        sys.stdout.flush()
        sys.stdout.buffer.write(text.encode())  # a file, whatever letters the console knows
        sys.stdout.buffer.flush()
        return
    with file_problems(target, "written"), Path(target).open("a" if append else "w", encoding="utf-8") as stream:
        stream.write(text)
