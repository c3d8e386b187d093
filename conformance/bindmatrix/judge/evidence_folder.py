"""Writing the folder of recorded evidence: the folder of each host, and the sets in it.

A host is one release and one method, so recordings of a real machine and of its compiled stack have separate folders.
The folder that is made later gets a suffix: ``macos-15.5-run``.
"""

from __future__ import annotations

import gzip
import json
import textwrap
from collections.abc import Iterable
from pathlib import Path

from bindmatrix.judge.host_table import HostTable
from bindmatrix.observe import recordings
from bindmatrix.observe.recordings import Observation
from bindmatrix.rules import catalog, provenance, releases


def name_of(host: HostTable, evidence: Path) -> str:
    """The folder of its kernel: an existing one, or ``linux-6.11.0``, without the build of a distribution."""
    release = _number(host.os, host.summary.release)
    rows = provenance.read(evidence)
    method = catalog.method_of(host.summary.host)
    others = False
    for path in sorted(evidence.glob(f"{host.os}-*")):
        if releases.parse(_number(host.os, path.name.removeprefix(f"{host.os}-"))) == releases.parse(release):
            if path.name not in rows or rows[path.name].method == method:
                return path.name
            others = True
    return "-".join([host.os, release, *([str(method)] if others else [])])


def _number(os: str, release: str) -> str:
    """A release, which may have a name (``xp``), as the number of its kernel."""
    return releases.plain(catalog.expectations(os).resolve(release))


def scenarios(folder: Path) -> set[str]:
    """The scenarios that are recorded of a host."""
    return {one.scenario for path in sorted(folder.glob("*.jsonl.gz")) for one in recordings.read(path)}


def write_set(path: Path, found: Iterable[Observation]) -> None:
    """Add ``found`` to a set, those of its scenarios that it has not yet.

    The same bytes for the same observations: no name and no time in the header of the compressed file.
    """
    by_scenario = {one.scenario: one for one in found}
    if path.exists():
        by_scenario.update((one.scenario, one) for one in recordings.read(path))
    path.parent.mkdir(parents=True, exist_ok=True)
    data = b"".join(recordings.line(one) for _, one in sorted(by_scenario.items()))
    path.write_bytes(gzip.compress(data, mtime=0))


def describe(evidence: Path, host: HostTable, folder: str, why: str) -> None:
    """Give ``folder`` a row in ``hosts.json``, unless it has one; the other rows stay as they are written."""
    path = evidence / provenance.NAME
    if folder in provenance.read(evidence):
        return
    release = _number(host.os, host.summary.release)
    row = {"method": str(catalog.method_of(host.summary.host)), "release": release, "why": why}
    entry = textwrap.indent(f"{json.dumps(folder)}: {json.dumps(row, indent=1)}", " ")
    before = path.read_text(encoding="utf-8").rstrip().removesuffix("}").rstrip() if path.exists() else "{"
    path.write_text(f"{before}{'' if before == '{' else ','}\n{entry}\n}}\n", encoding="utf-8")
