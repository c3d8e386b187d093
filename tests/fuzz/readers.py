"""Every reader of files that strangers write, with files that it reads well: what the fuzz harness mutates."""

from __future__ import annotations

import contextlib
import gzip
import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from bindmatrix.answers import needs_file
from bindmatrix.cli.main import DEFECT, main
from bindmatrix.errors import BindmatrixError
from bindmatrix.execute import hosts, wire_check
from bindmatrix.judge import claim_check
from bindmatrix.notation import parse
from bindmatrix.observe import recordings
from bindmatrix.programs import runtimes, strace_files
from bindmatrix.programs.port_scenarios import scenarios_of
from bindmatrix.reproduce.cases import given_outcomes
from bindmatrix.rules import catalog, divergences

TESTS = Path(__file__).parent.parent
PAIR = "a=tcp4 a.bind=0.0.0.0 b=tcp4 b.bind=0.0.0.0"
HEADER = {"os": "linux", "release": "6.18.44", "addresses": ["127.0.0.1"], "sysctls": {"net.ipv6.bindv6only": "0"}}
LINES = [
    {"format": "bindmatrix-observations/1", "host": HEADER},
    {"scenario": PAIR, "outcomes": ["ok", "ok", "ok", "EADDRINUSE"]},
    {"scenario": "a=tcp4 a.bind=::1", "outcomes": ["ok", "EPERM"], "repeats": [["ok", "ok"], None]},
    {"scenario": "a=udp4 a.bind=0.0.0.0 deliver=127.0.0.1", "outcomes": ["ok", "ok", "a:32"]},
    {"scenario": "user=1001 a=tcp4", "outcomes": None, "unsupported": "needs CAP_SETUID"},
]
OBSERVATIONS = "".join(json.dumps(one) + "\n" for one in LINES).encode()
HOSTS = b'[a]\nssh = "me@there"\npython = "python3"\nworkers = 2\n[b]\nvia = "runsc do python3"\npatience = 2.5\n'


class Reader(NamedTuple):
    """``read`` gets a file; it may raise what is told in one line, and nothing else."""

    read: Callable[[Path], object]
    seeds: list[bytes]


def command(*words: str) -> Callable[[Path], None]:
    """Run the command; ``FILE`` and ``FOLDER`` in ``words`` are the file and its folder."""

    def read(path: Path) -> None:
        given = [word.replace("FILE", str(path)).replace("FOLDER", str(path.parent)) for word in words]
        out, err = io.StringIO(), io.StringIO()
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            status = main(given)
        said = out.getvalue() + err.getvalue()
        assert status != DEFECT, said
        assert "defect:" not in err.getvalue(), said
        assert "int_max_str_digits" not in said, said
        assert "\x1b" not in said
        assert not any(line.startswith(("::", "##[")) for line in said.splitlines()), said

    return read


def _facts(path: Path) -> None:
    machine = path.parent / "machines" / "observations-m"
    machine.mkdir(parents=True, exist_ok=True)
    (machine / "facts.json").write_bytes(path.read_bytes())
    (machine / "observations.jsonl").write_bytes(OBSERVATIONS)
    command("collect", str(machine.parent), "--out", str(path.parent / "out"))(path)


def _expect(path: Path) -> None:
    given_outcomes(path.read_text("utf-8", "replace"), parse(PAIR))


def _header(path: Path) -> None:
    with contextlib.suppress(wire_check.Misconduct):
        wire_check.facts(path.read_bytes())


def _recording(path: Path) -> None:
    found = recordings.read(path)
    for one in found:
        recordings.line(one)
    recordings.header(found.host).decode()
    str(found.problem)


def _trace(path: Path) -> None:
    calls = strace_files.read([path])
    scenarios_of(calls.sockets, calls.folded)


def _divergences(path: Path) -> None:
    divergences.loads(path.read_text("utf-8", "replace"), path.name, catalog.expectations("linux"))


def _files(folder: Path, pattern: str, most: int = 20_000) -> list[bytes]:
    return [path.read_bytes()[:most] for path in sorted(folder.glob(pattern))]


_EXPECTATIONS = catalog.folder()
READERS: dict[str, Reader] = {
    "recording": Reader(_recording, [OBSERVATIONS, gzip.compress(OBSERVATIONS, mtime=0)]),
    "observations": Reader(command("judge", "FILE"), [OBSERVATIONS, gzip.compress(OBSERVATIONS, mtime=0)]),
    "report": Reader(
        command("report", "FILE", "--json", "FOLDER/o.json", "--markdown", "FOLDER/o.md", "--junit", "FOLDER/o.xml"),
        [OBSERVATIONS],
    ),
    "contribution": Reader(command("contribute", "FILE", "--issue"), [OBSERVATIONS]),
    "facts": Reader(_facts, [b'{"os": "linux", "release": "6.1", "distribution": "x"}']),
    "hosts": Reader(hosts.read_hosts, [HOSTS]),
    "expectations": Reader(command("predict", "--os", "FILE", PAIR), _files(_EXPECTATIONS, "illumos.yaml", 200_000)),
    "divergences": Reader(_divergences, _files(_EXPECTATIONS / "divergences", "linux.yaml")),
    "claims": Reader(claim_check.read, _files(_EXPECTATIONS, "claims.yaml", 6_000)),
    "runtimes": Reader(
        lambda path: runtimes.load(path.read_text("utf-8", "replace"), path.name),
        _files(_EXPECTATIONS / "runtimes", "managed.yaml", 6_000),
    ),
    "traces": Reader(_trace, _files(TESTS / "programs" / "data" / "cases", "*", 6_000)[:8]),
    "scenarios": Reader(
        command("predict", "--os", "linux", "FILE"),
        [f"# pairs\n{PAIR}\nuser=1001 a=tcp6 a.v6only=0 a.bind=:: a.listen\n".encode(), OBSERVATIONS],
    ),
    "needs": Reader(needs_file.read, _files(TESTS.parent / "examples", "needs.txt")),
    "expect": Reader(_expect, [b"ok ok ok EADDRINUSE", b'["ok", null, "ok", ["EADDRINUSE", "EACCES"]]']),
    "executor": Reader(_header, [OBSERVATIONS.splitlines()[0]]),
}


def check(name: str, data: bytes, folder: Path) -> None:
    """Read ``data``; raises whatever is no error of the project."""
    path = folder / ("x.yaml" if name in ("expectations", "divergences", "claims", "runtimes") else "x")
    path.write_bytes(data)
    said = ""
    try:
        READERS[name].read(path)
    except BindmatrixError as error:
        said = str(error)
    assert "int_max_str_digits" not in said, said
