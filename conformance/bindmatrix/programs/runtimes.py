"""The catalogue of runtimes: what libraries and servers do before and after bind(), on each system.

``expectations/runtimes/*.yaml`` are lists of rows:

    - id: go-tcp4                            # the name that commands take
      runtime: Go net
      version: '1.27.3'                      # that the row is about
      call: 'net.Listen("tcp4", ":port")'    # what the program writes
      does: a=tcp4 a.reuseaddr=1 a.bind=0.0.0.0 a.listen
      differs:                               # systems -> what it does there instead
        windows: a=tcp4 a.bind=0.0.0.0 a.listen
      without:                               # systems that the row says nothing of -> why
        illumos: not read
      ignores: [v6only]                      # options whose errors the runtime ignores
      any-order: yes                         # its sockets come in an order that is not fixed
      source: 'net/sockopt_*.go'             # where it was read
      recorded: {trace: go-tcp4, system: linux 6.18.44, date: 2026-11-29}
      backlog: '128'                         # of listen()
      note: ...

``does`` holds for every system that neither ``differs`` nor ``without`` names.  It is what was recorded on the
recording's system; everything else was read in the source.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path

import yaml

from bindmatrix.errors import Place, Problem, nearest
from bindmatrix.notation import OPTIONS, Scenario, parse
from bindmatrix.rules import catalog
from bindmatrix.rules.yaml_source import Reader

_NEEDED = ("id", "runtime", "version", "call", "does", "source")
_KEYS = (*_NEEDED, "differs", "without", "ignores", "any-order", "recorded", "backlog", "note")
_ID = re.compile(r"[A-Za-z][A-Za-z0-9._-]*\Z")
_DATE = re.compile(r"\d{4}-\d\d-\d\d\Z")


@dataclass(frozen=True)
class RuntimeRecording:
    """Where a row was seen."""

    #: name of the recording in the tests
    trace: str
    #: ``linux 6.18.44``
    system: str
    date: str


@dataclass(frozen=True)
class Runtime:
    """A row of the catalogue."""

    id: str
    runtime: str
    version: str
    call: str
    source: str
    does: Scenario
    differs: Mapping[str, Scenario] = field(default_factory=dict)
    without: Mapping[str, str] = field(default_factory=dict)
    ignores: tuple[str, ...] = ()
    any_order: bool = False
    recorded: RuntimeRecording | None = None
    backlog: str = ""
    note: str = ""

    def scenario(self, os: str) -> Scenario | None:
        """What it does on a system; None where that is not known or it does not exist (:attr:`without`)."""
        return None if os in self.without else self.differs.get(os, self.does)

    def verified(self, os: str) -> str:
        """How that is known: ``recorded on linux 6.18.44, 2026-11-29``, ``source read``, or why it is not."""
        if os in self.without:
            return self.without[os]
        if self.recorded is not None and self.recorded.system.split()[0] == os:
            return f"recorded on {self.recorded.system}, {self.recorded.date}"
        return "source read"


def folder() -> Path:
    """Where the catalogue is."""
    return catalog.folder() / "runtimes"


@lru_cache(maxsize=1)
def runtimes() -> dict[str, Runtime]:
    """The whole catalogue by id, in the order of its files; raises :class:`Problems`."""
    found: dict[str, Runtime] = {}
    for path in sorted(folder().glob("*.yaml")):
        found |= load(path.read_text("utf-8"), str(path), found)
    return found


def runtime(id: str) -> Runtime:  # noqa: A002  the word of the file
    """One row; raises :class:`Problem` for an unknown id."""
    every = runtimes()
    if id not in every:
        raise Problem(Place("--runtime"), f"unknown runtime {id!r}{nearest(id, every)}; docs/runtimes.md lists them")
    return every[id]


def load(text: str, name: str, others: Iterable[str] = ()) -> dict[str, Runtime]:
    """The rows of one file by id; raises :class:`Problems` that point at everything that is wrong in it."""
    reader = Reader(text, name)
    found: dict[str, Runtime] = {}
    taken = set(others)
    for node in reader.items(reader.root, "the rows of the catalogue") if reader.root is not None else ():
        row = _row(reader, node, taken)
        if row is not None:
            taken.add(row.id)
            found[row.id] = row
    reader.finish()
    return found


def _row(reader: Reader, node: yaml.Node, taken: set[str]) -> Runtime | None:
    before = len(reader.problems)
    keys = reader.known(node, "a row of the catalogue", _KEYS)
    for key in _NEEDED:
        if key not in keys:
            reader.problem(node, f"expected {key!r} in the row")
    texts = {key: reader.text(keys[key], key) for key in (*_NEEDED, "backlog", "note") if key in keys}
    if "id" in texts and not _ID.match(texts["id"]):
        reader.problem(keys["id"], f"expected a name such as 'go-http', got {texts['id']!r}")
    if texts.get("id") in taken:
        reader.problem(keys["id"], f"{texts['id']!r} stands twice in the catalogue")
    does = _scenario(reader, keys["does"]) if "does" in keys else None
    differs: dict[str, Scenario] = {}
    without: dict[str, str] = {}
    named: set[str] = set()
    for system, value in _systems(reader, keys.get("differs"), named):
        if scenario := _scenario(reader, value):
            differs[system] = scenario
    for system, value in _systems(reader, keys.get("without"), named):
        without[system] = reader.text(value, "why it is without")
    ignores = [reader.word(one, "option", tuple(OPTIONS)) for one in _list(reader, keys.get("ignores"))]
    any_order = "any-order" in keys and reader.word(keys["any-order"], "yes or no", ("no", "yes")) == "yes"
    recorded = _recorded(reader, keys["recorded"]) if "recorded" in keys else None
    if len(reader.problems) > before or does is None:
        return None
    said = {key: texts[key] for key in ("id", "runtime", "version", "call", "source")}
    more = {key: texts.get(key, "") for key in ("backlog", "note")}
    return Runtime(
        **said,
        **more,
        does=does,
        differs=differs,
        without=without,
        ignores=tuple(ignores),
        any_order=any_order,
        recorded=recorded,
    )


def _list(reader: Reader, node: yaml.Node | None) -> list[yaml.Node]:
    return reader.items(node, "options") if node is not None else []


def _systems(reader: Reader, node: yaml.Node | None, named: set[str]) -> Iterable[tuple[str, yaml.Node]]:
    """(system, value's node) of a mapping whose keys are one system or several, ``openbsd dragonfly``."""
    if node is None:
        return
    every = catalog.names()
    for key, key_node, value in reader.mapping(node, "systems"):
        for system in key.split():
            if system not in every:
                reader.unknown(key_node, system, every, "as a system")
            elif system in named:
                reader.problem(key_node, f"{system!r} stands twice in the row")
            else:
                named.add(system)
                yield system, value


def _scenario(reader: Reader, node: yaml.Node) -> Scenario | None:
    text = reader.text(node, "a scenario")
    try:
        return parse(text)
    except Problem as problem:
        reader.problem(node, problem.message)
        return None


def _recorded(reader: Reader, node: yaml.Node) -> RuntimeRecording:
    keys = reader.known(node, "a recording", ("trace", "system", "date"))
    for key in ("trace", "system", "date"):
        if key not in keys:
            reader.problem(node, f"expected {key!r} of the recording")
    said = {key: reader.text(value, key) for key, value in keys.items()}
    if "date" in said and not _DATE.match(said["date"]):
        reader.problem(keys["date"], f"expected a date such as 2026-11-29, got {said['date']!r}")
    if "system" in said and said["system"].split()[:1] not in [[name] for name in catalog.names()]:
        reader.problem(
            keys["system"], f"expected a system and its release, such as 'linux 6.18.44', got {said['system']!r}"
        )
    return RuntimeRecording(said.get("trace", ""), said.get("system", ""), said.get("date", ""))


# -- a row against a recording


def difference(row: Runtime, recorded: Iterable[Scenario]) -> str:
    """What differs between a row and the scenarios of a recording of it; "" where its sockets are among them.

    A row describes one kind of socket of a program that may have more.  Names do not matter; the order of the steps
    of one socket does, and so does that of all unless the row is ``any_order``.
    """
    expected = _named(_words(row.does))
    seen = []
    for scenario in recorded:
        seen.append(scenario.text)
        words = _words(scenario)
        # the sockets of the recording that do what a socket of the row does
        chosen: list[str] = []
        for steps in _by_socket(expected).values():
            match = next((name for name, own in _by_socket(words).items() if own == steps and name not in chosen), None)
            chosen += [match] if match else []
        if row.any_order and len(chosen) == len(_by_socket(expected)):
            return ""
        if _named([(name, step) for name, step in words if name in chosen]) == expected:
            return ""
    return f"{row.id}: expected {row.does.text}\n" + "\n".join(f"  recorded {text}" for text in seen or ["no socket"])


def _words(scenario: Scenario) -> list[tuple[str, str]]:
    """(socket, the rest of the step) without closes and users."""
    steps = [step for step in scenario.steps if step.socket and step.kind != "close"]
    return [(step.socket, step.text[len(step.socket) :]) for step in steps]


def _by_socket(words: Iterable[tuple[str, str]]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for name, step in words:
        found.setdefault(name, []).append(step)
    return found


def _named(words: Iterable[tuple[str, str]]) -> list[tuple[str, str]]:
    """The same with sockets numbered in the order of their appearance."""
    numbers: dict[str, str] = {}
    return [(numbers.setdefault(name, str(len(numbers))), step) for name, step in words]
