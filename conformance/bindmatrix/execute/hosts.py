"""Hosts as they are named on the command line and in ``hosts.toml``, and the way to each.

    [freebsd]
    ssh = "me@freebsd-box"
    python = "python3.11"       # over there
    workers = 2

    [gvisor]
    via = "runsc --network=none do python3"

``docs/hosts.md`` describes every key.
"""

from __future__ import annotations

import os
import re
import shlex
import sys
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bindmatrix.errors import Place, Problem, Problems, file_problems, nearest, parsing
from bindmatrix.execute import c_executor, local
from bindmatrix.execute.local import LocalHost

if TYPE_CHECKING:
    from bindmatrix.execute.remote import RemoteHost

FILE = "hosts.toml"
#: the program text of ``python -c``; any Python from 2.6 on reads it and the first line that comes
BOOTSTRAP = "import sys;exec(eval(sys.stdin.readline()))"
_WAYS = ("python", "ssh", "via")
#: processes of one host: the executor leases ports in 88 blocks of 250, and another run needs some too
MOST_WORKERS = 64
_NAMESPACES = ("auto", "own", "none")
#: a name is also that of a folder of results
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,60}\Z")
_AT = re.compile(r" \(at line (\d+), column (\d+)\)\Z")


@dataclass(frozen=True)
class HostSpec:
    """A host and how to run there.  Of ``ssh``, ``via``, ``python`` (of this machine) the first that is set is the way.

    ``python`` beside ``ssh`` is the Python over there.  ``workers`` 0: one a core on this machine, else one.
    """

    name: str
    ssh: str = ""
    via: str = ""
    python: str = ""
    workers: int = 0
    patience: float = 20.0
    start: float = 120.0
    namespace: str = "auto"
    #: for a kernel that does not tell its release, or not the one that its expectation file uses
    release: str = ""
    #: "c" on this machine alone: the one of ``executor.c``, compiled here
    executor: str = "python"

    @property
    def command(self) -> list[str]:
        """The words of the command; the last is, or ends with, the program that the Python there reads."""
        if self.ssh:
            # never asks for a password: the question would be lost among the other hosts
            there = f'{self.python or "python3"} -u -c "{BOOTSTRAP}"'
            return ["ssh", "-o", "BatchMode=yes", *shlex.split(self.ssh), there]
        words = shlex.split(self.via) if self.via else [str(Path(self.python or sys.executable).expanduser())]
        return [*words, "-u", "-c", BOOTSTRAP]

    @property
    def by_hand(self) -> str:
        """A command that shows what is wrong when no executor starts."""
        if self.ssh:
            return f"ssh {self.ssh} {self.python or 'python3'} --version"
        return f"{self.via or self.python or sys.executable} --version"


def open_host(spec: HostSpec) -> LocalHost | RemoteHost:
    """The host of ``spec``, not started yet; raises :class:`Problem` where its executor cannot be compiled."""
    elsewhere = spec.ssh or spec.via
    workers = spec.workers or (1 if elsewhere else min(os.cpu_count() or 1, MOST_WORKERS))
    if not (elsewhere or spec.python) and local.PIPES_CAN_BE_WATCHED:
        command = [str(c_executor.program())] if spec.executor == "c" else None
        return LocalHost(workers, patience=spec.patience, namespace=spec.namespace, command=command)
    # here, because it imports execnet: only a verb that starts a remote host loads that
    from bindmatrix.execute.remote import RemoteHost

    return RemoteHost(
        spec.command,
        spec.name,
        workers=workers,
        patience=spec.patience,
        start=spec.start,
        namespace=spec.namespace,
        by_hand=spec.by_hand,
        release=spec.release,
    )


def this_host(workers: int = 0) -> LocalHost | RemoteHost:
    """This machine, not started yet; ``workers`` 0: one a core."""
    return open_host(HostSpec("local", workers=workers))


def host_spec(word: str, named: Mapping[str, HostSpec] | None = None) -> HostSpec:
    """The host that ``word`` means: ``local``, ``python=PATH``, ``ssh=[USER@]HOST``, ``via=COMMAND`` or a name.

    ``ssh=HOST//python=PYTHON`` names the Python over there.  Raises :class:`Problem`.
    """
    named = named or {}
    if word in named:
        return named[word]
    if word == "local":
        return HostSpec(word)
    way, equals, value = word.partition("=")
    if not equals:
        raise Problem(
            Place("--on"),
            f"no host {word!r}{nearest(word, [*named, 'local'])}; expected local, python=PATH, ssh=[USER@]HOST, "
            f"via=COMMAND or a name out of {FILE}",
        )
    python = ""
    if way == "ssh":
        value, _, python = value.partition("//python=")
    if way not in _WAYS:
        raise Problem(Place("--on"), f"{way!r} leads to no host{nearest(way, _WAYS)}; there are {', '.join(_WAYS)}")
    wrong = _wrong_words(value)
    if wrong:
        raise Problem(Place("--on"), f"{way}={value}: {wrong}")
    if way == "ssh":
        return HostSpec(word, ssh=value, python=python)
    return HostSpec(word, via=value) if way == "via" else HostSpec(word, python=value)


def read_hosts(path: Path | None) -> dict[str, HostSpec]:
    """The hosts in the file ``path``, or in ./hosts.toml if there is one; raises :class:`Problems`."""
    if path is None:
        path = Path(FILE)
        if not path.exists():
            return {}
    try:
        with file_problems(path, "read"):
            text = path.read_text(encoding="utf-8")
    except UnicodeDecodeError:
        raise Problem(Place(str(path)), "is not UTF-8 text") from None
    tables = _toml(text, str(path))
    lines = _Lines(str(path), text)
    problems: list[Problem] = []
    hosts = {}
    for name, table in tables.items():
        found = list(_problems(name, table, lines))
        problems += found
        if not found:
            hosts[name] = HostSpec(name, **{key: value for key, value in table.items() if key != "local"})
    if problems:
        raise Problems(problems)
    return hosts


def _toml(text: str, name: str) -> dict[str, Any]:
    with parsing(Place(name), "TOML"):
        try:
            return tomllib.loads(text)
        except tomllib.TOMLDecodeError as error:
            at = _AT.search(str(error))
            place = Place(name, int(at[1]), int(at[2])) if at else Place(name)
            raise Problem(place, f"not TOML: {_AT.sub('', str(error))}") from None


#: key -> its type, and how that is said
_KEYS: dict[str, tuple[tuple[type, ...], str]] = {
    "local": ((bool,), "true"),
    "python": ((str,), "the path of a Python"),
    "ssh": ((str,), "what ssh is given, a text"),
    "via": ((str,), "a command, a text"),
    "workers": ((int,), f"a whole number from 1 to {MOST_WORKERS}"),
    "patience": ((int, float), "seconds"),
    "start": ((int, float), "seconds"),
    "release": ((str,), "the release of its kernel, a text"),
    "namespace": ((str,), f"one of {', '.join(_NAMESPACES)}"),
}


def _problems(name: str, table: Any, lines: _Lines) -> Any:
    if not _NAME.match(name) or name == "local":
        yield Problem(lines.place(name), f"{name!r} is no name of a host: letters, digits, '.', '_', '-'; not 'local'")
    if not isinstance(table, dict):
        yield Problem(lines.place(name), f"expected a table [{name}], got {_shown(table)}")
        return
    for key, value in table.items():
        place = lines.place(name, key)
        if key not in _KEYS:
            yield Problem(place, f"unknown key {key!r}{nearest(key, _KEYS)}; there are {', '.join(_KEYS)}")
            continue
        types, expected = _KEYS[key]
        most = MOST_WORKERS if key == "workers" else 1e6
        if type(value) not in types or (type(value) in (int, float) and not 0 < value <= most) or value is False:
            yield Problem(place, f"{key}: expected {expected}, got {_shown(value)}")
        elif key in _WAYS and _wrong_words(value):
            yield Problem(place, f"{key}: {_wrong_words(value)}")
        elif key == "namespace" and value not in _NAMESPACES:
            yield Problem(place, f"{key}: expected {expected}, got {_shown(value)}{nearest(value, _NAMESPACES)}")
    ways = [key for key in ("local", *_WAYS) if key in table]
    if not ways or (len(ways) > 1 and ways != ["python", "ssh"]):
        yield Problem(
            lines.place(name), f"[{name}] expected one of local, python, ssh, via (and python beside ssh), got {ways}"
        )


def _shown(value: Any) -> str:
    """A value in a message; TOML can hold numbers that Python does not write."""
    try:
        return repr(value)[:80]
    except ValueError:
        return "a number of thousands of digits"


def _wrong_words(value: str) -> str:
    """What is wrong with a command, "" for nothing."""
    try:
        return "" if shlex.split(value) and "\0" not in value else "names nothing"
    except ValueError as error:
        return str(error).lower()


class _Lines:
    """Where tables and keys are in a TOML file, found by a scan of its lines."""

    def __init__(self, name: str, text: str) -> None:
        self._name = name
        self._lines = text.splitlines()

    def place(self, table: str, key: str = "") -> Place:
        """The place of a key, else of its table, else of the file."""
        head = re.compile(rf"\s*\[\s*[\"']?{re.escape(table)}[\"']?\s*\]|\s*[\"']?{re.escape(table)}[\"']?\s*=")
        entry = re.compile(rf"\s*[\"']?{re.escape(key)}[\"']?\s*=")
        found = 0
        for number, line in enumerate(self._lines, 1):
            if not found:
                found = number if head.match(line) else 0
            elif line.lstrip().startswith("["):
                break
            elif key and entry.match(line):
                return Place(self._name, number)
        return Place(self._name, found)
