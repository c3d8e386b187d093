"""Needs: what a library relies on, one scenario a line.

    systems: linux, macos, windows@10.0.22000

    # several processes share a port
    on linux, macos: a=udp4 a.reuseport=1 a.bind=0.0.0.0 b=udp4 b.reuseport=1 b.bind=0.0.0.0 => ok

    a=tcp4 a.bind=127.0.0.1 a.listen b=tcp4 b.bind=127.0.0.1 => EADDRINUSE except windows: EADDRINUSE or EACCES

A need is about the last step of its scenario; every step before it must return ``ok`` (a delivery on the way may have
any outcome).  What is needed is one outcome or several with ``or`` between them; ``refused`` is any error.  After
``except`` other outcomes are named for systems; ``on`` limits a need to systems.  A comment directly above a need is
its title.
"""

from __future__ import annotations

import errno
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from bindmatrix.errors import NOWHERE, Place, Problem, Problems, file_problems, nearest
from bindmatrix.notation import Scenario, parse
from bindmatrix.outcomes import ANY_ERROR, EVERY, NOBODY, SPREAD, Expected
from bindmatrix.rules import catalog, releases

#: a release word that stands for every release that is described
ALL = "all"
#: judged where neither the file nor the command line names systems
DEFAULT_SYSTEMS = ("linux", "macos", "windows", "freebsd")
_ERRNOS = frozenset(name for name in errno.errorcode.values() if not name.startswith("WSA")) | {"EOPNOTSUPP", "ENOTSUP"}
_ON = re.compile(r"on\s+([^:=]*):(?=\s|$)")
_EXCEPT = re.compile(r"(?:^|\s)except(?=\s|$)")


@dataclass(frozen=True, order=True)
class SystemName:
    """A system, and a release of it or "" for any: ``linux``, ``macos@15``."""

    os: str
    release: str = ""

    def holds(self, os: str, release: str) -> bool:
        """Whether a release of ``os`` is meant: ``macos@15`` means 15.5 too."""
        if self.os != os:
            return False
        if not self.release:
            return True
        expectations = catalog.expectations(os)
        try:
            branch, meant = releases.parse(expectations.resolve(self.release))
            its, version = releases.parse(expectations.resolve(release))
        except releases.ReleaseError:
            return False
        return branch == its and (version + (0,) * len(meant))[: len(meant)] == meant

    def __str__(self) -> str:
        return f"{self.os}@{self.release}" if self.release else self.os


@dataclass(frozen=True)
class Need:
    """One need.  ``before`` are the outcomes needed of the steps before the last; None is any outcome."""

    scenario: Scenario
    before: tuple[Expected, ...]
    #: of the last step
    needed: Expected
    #: (systems, what is needed there instead); a system with a release comes before one without
    otherwise: tuple[tuple[SystemName, Expected], ...] = ()
    #: only these, () for all
    only: tuple[SystemName, ...] = ()
    title: str = ""
    place: Place = NOWHERE
    #: as it is written after the ``=>``
    written: str = ""

    @property
    def name(self) -> str:
        """The title, else the end of the scenario with what is needed."""
        return self.title or f"{self.scenario.steps[-1].text} => {self.written}"

    def applies(self, os: str, release: str) -> bool:
        """Whether it is asked of that system."""
        return not self.only or any(one.holds(os, release) for one in self.only)

    def of_steps(self, os: str, release: str) -> tuple[Expected, ...]:
        """What is needed of every step on that system."""
        last = next((wanted for one, wanted in self.otherwise if one.holds(os, release)), self.needed)
        return (*self.before, last)

    def releases_named(self, os: str) -> list[str]:
        """The releases of ``os`` that it names."""
        named = (*(one for one, _ in self.otherwise), *self.only)
        return [one.release for one in named if one.os == os and one.release]


@dataclass
class NeedsFile:
    """The needs of a library, and the systems that its file names."""

    name: str
    needs: list[Need] = field(default_factory=list)
    systems: tuple[SystemName, ...] = ()


def read(path: Path) -> NeedsFile:
    """The needs in a file; raises :class:`Problems` with everything that is wrong in it, or :class:`Problem`."""
    with file_problems(path, "read", "; expected a file of needs, see 'bindmatrix check --help'"):
        data = path.read_bytes()
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise Problem(Place(str(path), line), "not text in UTF-8; expected a need a line") from error
    return parse_needs(text.splitlines(), str(path))


def parse_needs(
    lines: Iterable[str], name: str = "needs", prefix: Scenario | None = None, returned: Sequence[str] = ()
) -> NeedsFile:
    """The needs in ``lines``; raises :class:`Problems`.

    With ``prefix`` each scenario goes on from there; its steps must return there what they ``returned``.
    """
    found = NeedsFile(name)
    problems: list[Problem] = []
    title: list[str] = []
    for number, line in enumerate(lines, 1):
        text = line.rstrip()
        if not text.strip():
            title = []
        elif text.lstrip().startswith("#"):
            title.append(text.strip().lstrip("#").strip())
        else:
            reader = _Line(name, number, text, problems, prefix, returned)
            if re.match(r"\s*systems\s*:", text):
                reader.header(found)
            else:
                need = reader.need(" ".join(title))
                if need is not None:
                    found.needs.append(need)
            title = []
    if not found.needs and not problems:
        problems.append(Problem(Place(name), "holds no need; expected lines such as 'a=tcp4 a.bind=0.0.0.0 => ok'"))
    if problems:
        raise Problems(problems)
    return found


def systems(words: Iterable[str], place: Place) -> tuple[SystemName, ...]:
    """Systems as they are named on the command line or in Python; raises :class:`Problem`."""
    found = []
    for word in words:
        try:
            found.append(_system(word.strip()))
        except ValueError as error:
            raise Problem(place, str(error)) from None
    return tuple(dict.fromkeys(found))


def _system(word: str) -> SystemName:
    """The system written as ``word``; raises ValueError with what was expected."""
    os, at, release = word.partition("@")
    names = catalog.names()
    if os not in names:
        raise ValueError(f"no system is called {os!r}{nearest(os, names)}; there are {', '.join(names)}")
    if at and not release:
        raise ValueError(f"expected a release after {word!r}, or {os!r} alone")
    if release and release != ALL:
        try:
            catalog.release_of(catalog.expectations(os), release)
        except Problem as problem:
            raise ValueError(problem.message) from None
    return SystemName(os, release)


def as_recorded(scenario: Scenario, returned: Sequence[str], title: str) -> Need:
    """The need that every step returns elsewhere what it ``returned`` here: ``ok``, or some error."""
    *before, last = _alike(returned)
    return Need(scenario, tuple(before), last, title=title, written=f"{last}, and every step before it as here")


def _alike(returned: Sequence[str]) -> tuple[str, ...]:
    return tuple(["ok" if outcome == "ok" else ANY_ERROR for outcome in returned])


class _Line:
    """Reads one line; what is wrong goes to ``problems`` with its column."""

    def __init__(
        self,
        name: str,
        number: int,
        text: str,
        problems: list[Problem],
        prefix: Scenario | None,
        returned: Sequence[str],
    ) -> None:
        self.name, self.number, self.text = name, number, text
        self.problems = problems
        self.prefix = prefix
        self.returned = returned

    def header(self, found: NeedsFile) -> None:
        start = self.text.index(":") + 1
        named = self.systems(start, len(self.text), allow_all=True)
        if found.needs:
            self.wrong(0, start, "'systems:' stands above the first need")
        elif found.systems:
            self.wrong(0, start, "the systems are named once")
        found.systems = tuple(named)

    def need(self, title: str) -> Need | None:
        before = len(self.problems)
        start, only = len(self.text) - len(self.text.lstrip()), []
        limited = _ON.match(self.text, start)
        if limited:
            only = self.systems(limited.start(1), limited.end(1))
            start = limited.end()
        arrow = self.text.find("=>", start)
        if arrow < 0:
            self.wrong(len(self.text), 1, "expected '=> OUTCOME' after the scenario, as in '... => ok'")
            arrow = len(self.text)
        scenario = self.scenario(start, arrow)
        if scenario is None or arrow == len(self.text):
            return None
        begin, end = arrow + 2, len(self.text)
        exception = _EXCEPT.search(self.text, begin)
        needed = self.outcomes(begin, exception.start() if exception else end, scenario)
        otherwise = self.exceptions(exception.end(), end, scenario) if exception else []
        if len(self.problems) > before:
            return None
        alike = _alike(self.returned)
        return Need(
            scenario,
            (*alike, *(None if step.delivers else "ok" for step in scenario.steps[len(alike) : -1])),
            needed,
            tuple(sorted(otherwise, key=lambda one: not one[0].release)),
            tuple(only),
            title,
            Place(self.name, self.number),
            " ".join(self.text[begin:].split()),
        )

    def scenario(self, start: int, end: int) -> Scenario | None:
        """The scenario between two columns; None where it is none."""
        start = end - len(self.text[start:end].lstrip())
        written = self.text[start:end].replace("\t", " ").rstrip()
        front = f"{self.prefix.text} " if self.prefix else ""
        try:
            return parse(front + written, name=self.name, line=self.number)
        except Problem as problem:
            column = max(problem.place.column - 1 - len(front), 0)
            self.wrong(start + column, problem.width, problem.message)
            return None

    def exceptions(self, start: int, end: int, scenario: Scenario) -> list[tuple[SystemName, Expected]]:
        """``windows, macos@15: EACCES; freebsd: ok``."""
        found: dict[SystemName, Expected] = {}
        for begin, stop in self.split(start, end, ";"):
            colon = self.text.find(":", begin, stop)
            if colon < 0:
                self.wrong(begin, stop - begin, "expected 'SYSTEM: OUTCOME', as in 'except windows: EACCES'")
                continue
            needed = self.outcomes(colon + 1, stop, scenario)
            for one in self.systems(begin, colon):
                if one in found:
                    self.wrong(begin, colon - begin, f"{one} is named twice")
                found[one] = needed
        return list(found.items())

    def systems(self, start: int, end: int, *, allow_all: bool = False) -> list[SystemName]:
        found = []
        for begin, stop in self.split(start, end, ","):
            word = self.text[begin:stop]
            try:
                one = _system(word)
                if one.release == ALL and not allow_all:
                    raise ValueError(f"{one.os!r} alone means every release; write it without '@{ALL}'")
                found.append(one)
            except ValueError as error:
                self.wrong(begin, stop - begin, str(error) if word else "expected the name of a system, such as linux")
        return found

    def outcomes(self, start: int, end: int, scenario: Scenario) -> Expected:
        """``ok``, ``EADDRINUSE or EACCES``, ``spread:a,b``."""
        found = []
        for begin, stop in self.split(start, end, r"\s+or(?=\s|$)"):
            word = self.text[begin:stop]
            fault = _outcome_fault(word, scenario)
            if fault:
                self.wrong(begin, stop - begin, fault)
            found.append(word)
        return found[0] if len(found) == 1 else tuple(found)

    def split(self, start: int, end: int, separator: str) -> Iterator[tuple[int, int]]:
        """The first column and the end of each part, without the blanks around it."""
        begin = start
        ends = [(match.start(), match.end()) for match in re.compile(separator).finditer(self.text, start, end)]
        for stop, after in [*ends, (end, end)]:
            part = self.text[begin:stop]
            first = begin + len(part) - len(part.lstrip())
            yield min(first, stop), max(min(first, stop), begin + len(part.rstrip()))
            begin = after

    def wrong(self, column: int, width: int, message: str) -> None:
        shown = self.text.replace("\t", " ")
        self.problems.append(
            Problem(Place(self.name, self.number, column + 1), message, source=shown, width=width or 1)
        )


def _outcome_fault(word: str, scenario: Scenario) -> str:
    """What is wrong with an outcome that is needed of the last step; "" for nothing."""
    sockets = dict.fromkeys(step.socket for step in scenario.steps if step.socket)
    if not scenario.steps[-1].delivers:
        if word in ("ok", ANY_ERROR) or word in _ERRNOS:
            return ""
        valid = ["ok", ANY_ERROR, *sorted(_ERRNOS)]
        return f"expected ok, {ANY_ERROR} (any error) or the name of an error, got {word!r}{nearest(word, valid)}"
    kind, colon, listed = word.partition(":")
    named = listed.split(",") if colon else [kind]
    expected = f"expected who receives: a socket, {SPREAD}:a,b, {EVERY}:a,b, {', '.join(sorted(NOBODY))}"
    if colon and (kind not in (SPREAD, EVERY) or len(named) < 2):
        return f"{expected}; got {word!r}"
    for one in named:
        if one not in sockets and one not in NOBODY:
            return f"{expected}; got {word!r}, and {one!r} is no socket of the scenario{nearest(one, sockets)}"
    return ""
