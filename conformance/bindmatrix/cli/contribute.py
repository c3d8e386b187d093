"""``bindmatrix contribute``: what a recording settles, and how to submit it."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

from bindmatrix.answers import contribution
from bindmatrix.answers.contribution import Contribution
from bindmatrix.cli import inputs, scenario_options
from bindmatrix.cli.main import DIVERGES, OK
from bindmatrix.errors import Place, Problem, file_problems
from bindmatrix.judge import evidence_folder
from bindmatrix.judge.host_table import HostTable, of_recordings
from bindmatrix.observe import recordings
from bindmatrix.quoting import shell
from bindmatrix.quoting import terminal as plain
from bindmatrix.report import contribution_text
from bindmatrix.rules import catalog

_EVIDENCE = Path("expectations") / "evidence"
#: the ``why`` of a host that somebody recorded
_WHY = "a contributor's machine, recorded with `bindmatrix kit`"

_EPILOG = """\
RECORDING is what a kit printed (bindmatrix kit), or any other recording of a machine.  Nothing is written without
--write: it adds the observations that are worth keeping to a checkout of bindmatrix, as a set of the host's folder, and
prints the commands that make a commit of it.  Observations that contradict the rules are left out: they need a review.

Exit status: 0 nothing contradicts the rules, 1 something does, 2 the recording cannot be used.
"""


def configure(parser: argparse.ArgumentParser) -> None:
    """The arguments of the verb."""
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.epilog = _EPILOG
    parser.add_argument("recording", metavar="RECORDING", help="a recording of one machine; - for standard input")
    parser.add_argument("--release", default="", help="the release, where the machine does not say it (gVisor)")
    how = parser.add_mutually_exclusive_group()
    how.add_argument("--write", type=scenario_options.path, metavar="CHECKOUT", help="add it to a checkout")
    how.add_argument("--issue", action="store_true", help="print the text of an issue, in Markdown")
    how.add_argument("--json", action="store_true", help="print what it settles as JSON")


def run(arguments: argparse.Namespace) -> int:
    """Read, compare, print, write."""
    evidence = catalog.folder() / "evidence"
    if arguments.write:
        evidence = arguments.write / _EVIDENCE
        if not evidence.is_dir():
            raise Problem(Place(str(arguments.write)), f"no checkout of bindmatrix: there is no {_EVIDENCE} in it")
    host, kit = _read(arguments.recording, arguments.release)
    found = contribution.of_host(host, kit, evidence)
    if arguments.json:
        print(json.dumps(found.as_dict(), indent=1))
    elif arguments.issue:
        sys.stdout.write(contribution_text.issue(found))
    else:
        for line in contribution_text.lines(found):
            print(line)
        if arguments.write:
            _write(arguments.write, host, found)
        else:
            print("to submit it: --issue prints the text of an issue, --write CHECKOUT prepares a commit")
    return DIVERGES if found.contradictions else OK


def _read(word: str, release: str) -> tuple[HostTable, dict[str, object]]:
    """The host, and the version of its kit; raises :class:`Problem` if the recording is damaged."""
    sources = inputs.find([word])
    if len(sources) > 1:
        raise Problem(Place(word), f"holds the recordings of {len(sources)} hosts; name one of them")
    source = sources[0]
    read = [recordings.read(path) for path in source.paths]
    facts = {**source.facts, **({"release": release} if release else {})}
    with inputs.no_collecting():
        host = of_recordings(read, facts=facts)
    for one in read:
        if one.problem is not None:
            raise one.problem
    if not len(host.result):
        raise Problem(Place(word), "holds no observations")
    if not host.summary.host.get("release"):
        raise Problem(Place(word), f"does not say which release of {host.summary.system} it is: name it with --release")
    host.summary.recording = source.recording
    return host, read[0].kit


def _write(checkout: Path, host: HostTable, found: Contribution) -> None:
    if found.behaves_like or not found.new:
        print("nothing is written")
        return
    evidence = checkout / _EVIDENCE
    path = evidence / found.folder / contribution.SET
    with file_problems(path, "written"):
        evidence_folder.write_set(path, found.new)
        evidence_folder.describe(evidence, host, found.folder, _WHY)
    title = f"Evidence of {host.summary.system} {host.summary.release}, recorded with the kit"
    print(f"written: {plain(str(path))}; to commit it:")
    print(f"  cd {shell(str(checkout))}")
    print("  bindmatrix regenerate")
    print(f"  git add expectations docs && git commit -m {shell(title)}")
