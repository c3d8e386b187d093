"""Programs as input: a scenario, a runtime of the catalogue, a trace, a process, or a command to trace."""

from __future__ import annotations

import gzip
import tempfile
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from bindmatrix import notation
from bindmatrix.errors import Place, Problem, file_problems, nearest, whole_number
from bindmatrix.notation import Scenario
from bindmatrix.observe import scenario_input
from bindmatrix.programs import process_sockets, python_source, strace_files, strace_run
from bindmatrix.programs.port_scenarios import Found, scenarios_of
from bindmatrix.programs.runtimes import Runtime, runtimes

#: how long a command is traced: until it bound nothing new for so many seconds, at most so long
_SETTLE, _TIMEOUT = 1.0, 30.0
_HEAD = 4096
#: the largest pid_t
_MOST_PID = 2**31 - 1
#: the place of what stands on the command line
SCENARIO = Place("scenario", 1)


@dataclass(frozen=True)
class Program:
    """What a program does with one port."""

    #: ``go-http: Go net 1.27.3, net/http.ListenAndServe``, ``trace.txt, port 8080/tcp``
    name: str
    does: Scenario
    #: the row of the catalogue, which says where it does something else
    runtime: Runtime | None = None
    #: options whose errors the program ignores
    ignored: frozenset[str] = frozenset()
    #: where it is written
    place: Place = SCENARIO
    #: where each step is written, where that is known
    places: tuple[Place, ...] = ()
    #: socket -> what its source shows and no scenario does (``misuse_patterns.MARKS``) -> where
    marks: Mapping[str, Mapping[str, Place]] = field(default_factory=dict)
    #: system -> options that a source sets elsewhere alone
    guarded: Mapping[str, frozenset[str]] = field(default_factory=dict)

    def on(self, os: str) -> Scenario | None:
        """What it does on a system; None where that is not known or it does not exist."""
        if self.runtime is not None:
            return self.runtime.scenario(os)
        left_out = self.guarded.get(os)
        if not left_out:
            return self.does
        return Scenario(tuple(step for step in self.does.steps if step.kind != "set" or step.what not in left_out))

    def place_of(self, step: int) -> Place:
        """Where a step of :attr:`does` is written."""
        return self.places[step] if self.places else self.place


def programs(word: str) -> list[Program]:
    """The programs that ``word`` means; raises :class:`Problem` when it means none."""
    pid = whole_number(word, _MOST_PID)
    if pid is not None:
        found = scenarios_of(process_sockets.of_process(pid), Counter())
        return _of_ports(found, f"process {word} ({process_sockets.command_of(pid)})", Place(f"process {word}"))
    if word != "-" and not scenario_input.is_there(word):
        return [_of_runtime(word)] if "=" not in word else of_scenarios(word)
    what = "scenarios" if word == "-" else form(Path(word))
    return {"scenarios": of_scenarios, "recording": of_recording, "trace": of_trace, "python": of_python}[what](word)


def of_scenarios(word: str) -> list[Program]:
    """A program for each scenario of a file, a recording or standard input; raises :class:`Problem`."""
    return [_of_line(line) for line in scenario_input.given(word)]


def of_recording(path: str) -> list[Program]:
    """A program for each scenario of a recording; raises :class:`Problem`."""
    return [replace(_of_line(line), places=()) for line in scenario_input.given(path)]


def _of_line(line: scenario_input.ScenarioLine) -> Program:
    scenario = line.scenario()
    columns = [column for column, _ in notation.words_with_columns(line.text)]
    places = tuple(Place(line.place.name, line.place.line or 1, column) for column in columns)
    name = "the scenario" if line.place == SCENARIO else f"the scenario of {line.place}"
    return Program(name, scenario, place=line.place, places=places)


def of_python(path: str) -> list[Program]:
    """A program for each function of a Python source that makes sockets; raises :class:`Problem`."""
    return [
        Program(
            f"{path}, {one.name}",
            one.scenario,
            ignored=one.forgiven,
            place=one.places[0],
            places=one.places,
            marks=one.marks,
            guarded=one.guarded,
        )
        for one in python_source.read(Path(path))
    ]


def of_trace(path: str) -> list[Program]:
    """A program for each port of a saved trace; raises :class:`Problem` where it holds no socket with a port."""
    calls = strace_files.read([Path(path)])
    return _of_ports(scenarios_of(calls.sockets, calls.folded), path, Place(path))


def of_command(command: Sequence[str]) -> list[Program]:
    """Run a command until it binds nothing new, in a network of its own; raises :class:`Problem`."""
    with tempfile.TemporaryDirectory(prefix="bindmatrix-audit-") as folder:
        path = Path(folder, "trace")
        strace_run.run(command, path, _TIMEOUT, settle=_SETTLE)
        if not path.exists() or not path.stat().st_size:
            raise Problem(Place(command[0]), "strace wrote no call; is ptrace allowed here (containers, Yama)?")
        calls = strace_files.read([path])
    return _of_ports(scenarios_of(calls.sockets, calls.folded), " ".join(command), Place(command[0]))


def form(path: Path) -> str:
    """What a file holds: ``trace`` (of strace), ``scenarios``, ``recording`` or ``python``."""
    if path.suffix == ".py":
        return "python"
    with file_problems(path, "read"):
        try:
            with gzip.open(path) if path.suffix == ".gz" else path.open("rb") as stream:
                head = stream.read(_HEAD).decode("utf-8-sig", "replace")
        except (gzip.BadGzipFile, EOFError) as error:
            raise Problem(Place(str(path)), f"cannot be unpacked: {error}") from error
    words = [line.split()[0] for line in head.splitlines() if line.strip() and not line.startswith("#")]
    if not words or words[0].startswith("{"):
        return "recording"
    try:
        notation.step(words[0])
    except ValueError:
        return "trace"
    return "scenarios"


def _of_runtime(word: str) -> Program:
    row = runtimes().get(word)
    if row is None:
        advice = "" if "/" in word else nearest(word, runtimes())  # a path that was mistyped
        raise Problem(
            Place("program"),
            f"{word[:80]!r} is neither a file nor a runtime{advice}; expected a scenario, a runtime of "
            "docs/runtimes.md, a trace, the number of a process, or '-- COMMAND'",
        )
    return Program(
        f"{row.id}: {row.runtime} {row.version}, {row.call}",
        row.does,
        runtime=row,
        ignored=frozenset(row.ignores),
        place=Place(row.id),
    )


def _of_ports(found: Found, name: str, place: Place) -> list[Program]:
    if not found.scenarios:
        raise Problem(place, "no socket is bound or listening there")
    out = []
    for one in found.scenarios:
        failed = [step.what for step, end in zip(one.scenario.steps, one.outcomes, strict=True) if end != "ok"]
        # the program went on without them
        ignored = frozenset(option for option in failed if option in notation.OPTIONS)
        port = ", ".join(one.ports[:4])
        out.append(Program(f"{name}, port {port}", one.scenario, ignored=ignored, place=place))
    return out
