"""The public functions.  All are pure: nothing is bound and nothing is run."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from os import PathLike
from pathlib import Path

from bindmatrix import notation
from bindmatrix.advice import recipe_goals
from bindmatrix.advice import recipes as searching
from bindmatrix.advice.recipes import Recipe
from bindmatrix.answers import ask as answering
from bindmatrix.answers import needs as judging
from bindmatrix.answers import needs_file
from bindmatrix.answers.ask import SystemAnswer
from bindmatrix.answers.needs import NeedsTable
from bindmatrix.errors import Place, Problem
from bindmatrix.judge.verdicts import Judge, Verdict
from bindmatrix.notation import Scenario
from bindmatrix.observe.recordings import Observation
from bindmatrix.rules import catalog, divergences


def parse(text: str) -> Scenario:
    """The scenario written in ``text``; its ``text`` is the canonical form, its ``steps`` are the calls.

    Raises :class:`~bindmatrix.errors.Problem` that points at the first wrong step.

    >>> parse("a=tcp4  a.bind=127.0.0.1 a.listen").text
    'a=tcp4 a.bind=127.0.0.1 a.listen'
    >>> [step.kind for step in parse("a=tcp4 a.bind=127.0.0.1 a.listen").steps]
    ['socket', 'bind', 'listen']
    >>> parse("a=tcp4 a.bnd=127.0.0.1")
    Traceback (most recent call last):
    bindmatrix.errors.Problem: unknown call or option 'bnd'; ...
    """
    return notation.parse(text)


def ask(scenario: str | Scenario, on: Iterable[str] = ()) -> list[SystemAnswer]:
    """What the systems ``on`` return (all nine without), one answer for all releases of a system that agree.

    ``outcomes`` aligns with the steps: ``"ok"``, an errno name, several that are possible, ``"refused"`` for some
    error, None where nobody knows.  ``reason`` says why at the step ``step``, ``confidence_text`` how that is known.
    A system is named as ``"linux"``, or ``"linux@6.1"`` for one release.

    Raises :class:`~bindmatrix.errors.Problem` for a text that is no scenario and for a system that is not described.

    >>> for one in ask("a=tcp4 a.reuseport=1", on=["macos", "windows"]):
    ...     print(one.os, one.outcomes[-1])
    macos ok
    windows ENOPROTOOPT
    """
    asked = _scenario(scenario)
    systems = needs_file.systems(_names(on), Place("on")) or needs_file.systems(catalog.names(), Place("on"))
    found = []
    for one in systems:
        release = "" if one.release == needs_file.ALL else one.release
        found += answering.answers(asked, [one.os], release)
    return found


def predict(scenario: str | Scenario, os: str, release: str = "") -> SystemAnswer:
    """What one release of ``os`` returns, the newest that is described without ``release``.

    Raises as :func:`ask`.  A release that the rules do not cover is answered by the nearest one; ``limit`` says so.

    >>> answer = predict("a=tcp4 a.bind=127.0.0.1 a.listen b=tcp4 b.bind=127.0.0.1", "linux", "6.1")
    >>> answer.outcomes
    ('ok', 'ok', 'ok', 'ok', 'EADDRINUSE')
    >>> answer.release
    '6.1'
    """
    asked = _scenario(scenario)
    (answer,) = answering.answers(asked, [os], catalog.release_of(catalog.expectations(os), release))
    return answer


def verdict(scenario: str, outcomes: Sequence[str | None], os: str, release: str = "") -> Verdict:
    """What the ``outcomes`` of the steps of ``scenario``, seen on a release of ``os``, say about its rules.

    An outcome is ``"ok"`` or an errno name, of a delivery counts such as ``"a:15,b:17"``; None is not judged.  The
    ``kind`` is ``"conforms"``, ``"diverges"``, ``"known"`` (a recorded divergence), ``"unknown"`` ...; ``step`` (from
    0), ``expected`` and ``rule`` say what diverges.

    Raises :class:`~bindmatrix.errors.Problem` for a system or a release that is not described.  A scenario that cannot
    be read, or outcomes that do not align with it, are no error: the kind is ``"no-verdict"``, ``reason`` says why.

    >>> taken = "a=tcp4 a.bind=127.0.0.1 a.listen b=tcp4 b.bind=127.0.0.1"
    >>> print(verdict(taken, ["ok", "ok", "ok", "ok", "EADDRINUSE"], "linux").kind)
    conforms
    >>> found = verdict(taken, ["ok", "ok", "ok", "ok", "ok"], "linux")
    >>> print(found.kind, found.step, found.expected)
    diverges 4 EADDRINUSE
    """
    expectations = catalog.expectations(os)
    version = catalog.release_of(expectations, release)
    judge = Judge(expectations.at(version), divergences.of(expectations, version), {"os": os, "release": version})
    return judge.verdict(Observation(scenario, tuple(outcomes)))


def check(needs: str | PathLike[str] | Sequence[str], on: Iterable[str] = ()) -> NeedsTable:
    """Whether ``needs`` are met on the systems ``on``, by the rules; the command ``check`` in Python.

    ``needs`` is the path of a file or a list of its lines, in the form of ``bindmatrix check --help``.  Without ``on``
    the systems are those that the file names, else ``check``'s default ones.  The result has ``needs`` (rows),
    ``columns`` and ``cells`` (each with ``status``, ``reason``, ``method``); ``fails()`` is True where a need is not
    met.

    Raises :class:`~bindmatrix.errors.Problems` with everything that is wrong in the needs, and
    :class:`~bindmatrix.errors.Problem` for a file that cannot be read or a system that is not described.

    >>> needs = ["a=tcp4 a.bind=0.0.0.0 a.listen b=tcp4 b.reuseaddr=1 b.bind=127.0.0.1 => refused"]
    >>> table = check(needs, on=["linux", "windows"])
    >>> [str(cell.status) for cell in table.cells[0]]
    ['met', 'not met']
    >>> table.fails()
    True
    """
    file = needs_file.read(Path(needs)) if isinstance(needs, str | PathLike) else needs_file.parse_needs(needs)
    systems = needs_file.systems(_names(on), Place("on")) or file.systems
    systems = systems or needs_file.systems(needs_file.DEFAULT_SYSTEMS, Place("on"))
    return judging.table(file, [judging.ByRules(one) for one in systems])


def recipes(goal: str, on: Iterable[str] = ()) -> list[Recipe]:
    """The smallest sets of options that reach ``goal`` on the newest release of each of the systems ``on``.

    One for each place of the goal (a protocol and an address) and system; all systems without ``on``.  ``works``
    are the sets, ``words`` the same in words; where there are none, ``may_work`` are sets of which that is not known.

    Raises :class:`~bindmatrix.errors.Problem` for a goal or a system that does not exist, and for a release, as a
    recipe is for the newest.

    >>> print(recipes("workers", on=["linux"])[0].words)
    SO_REUSEPORT
    """
    systems = needs_file.systems(_names(on), Place("on"))
    for one in systems:
        if one.release:
            raise Problem(Place("on"), f"a recipe is for the newest release; write {one.os!r}, not {str(one)!r}")
    return searching.recipes([recipe_goals.named(goal)], [one.os for one in systems])


def _scenario(scenario: str | Scenario) -> Scenario:
    return notation.parse(scenario) if isinstance(scenario, str) else scenario


def _names(on: Iterable[str]) -> list[str]:
    if isinstance(on, str):
        raise Problem(Place("on"), f"expected a list of systems, such as ['linux', 'macos'], got {on!r}")
    return list(on)
