"""How an outcome was obtained: the methods, and what each recorded host stands for.

``expectations/evidence/hosts.json`` has a row for every recorded host::

    {"demo-2.0": {"method": "compiled", "release": "1.0", "functions": {"2.0": ["demo_bind()"]}, "alike": ["1.0"],
                  "why": "the stack of 1.0 with the bind() of 2.0, compiled for user space"}}

``release`` is the release of the code that ran. ``functions`` (optional) were added from other releases. A rule whose
``source`` evidence names such a function counts for that release, and every other rule for ``release``. ``alike``
(optional) are releases on which the same scenarios gave the same outcomes, without a recording of their own. ``why``
describes the host and its conditions.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from enum import StrEnum
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

from bindmatrix.errors import Place, Problem
from bindmatrix.rules.model import Evidence, Rule

NAME = "hosts.json"


class Method(StrEnum):
    """How an outcome was obtained, the strongest first, each with its ``meaning``."""

    meaning: str

    RUN = "run", "the native kernel, or a system that was booted on hardware or in a virtual machine, returned it"
    EMULATED = (
        "emulated",
        "the real kernel or sandbox, started in an emulator (QEMU, User-mode Linux, gVisor's runsc), returned it",
    )
    COMPILED = (
        "compiled",
        "the system's own network stack, of the named release and with what was put in, compiled for user space",
    )
    TESTED = "tested elsewhere", "the test suite of another project, which is run on that system, asserts it"
    SOURCE = "source", "the kernel's source says so; nothing was executed"
    DOCUMENTATION = "documentation", "a manual says so"
    REPORT = "report", "a bug report, an article or somebody else's experiment says so"

    def __new__(cls, word: str, meaning: str = "") -> Method:
        """The method that reports call ``word``."""
        member = str.__new__(cls, word)
        member._value_ = word
        member.meaning = meaning
        return member

    @property
    def strength(self) -> int:
        """0 for the strongest."""
        return list(Method).index(self)


#: the methods of recorded hosts: something executed the code
EXECUTED = (Method.RUN, Method.EMULATED, Method.COMPILED)

#: kind of evidence -> method; what was ``observed`` is looked up instead
OF_EVIDENCE = {
    "test": Method.TESTED,
    "source": Method.SOURCE,
    "documentation": Method.DOCUMENTATION,
    "report": Method.REPORT,
}


class RecordedHost(NamedTuple):
    """One row.  ``functions``: release -> the functions that the host had from it."""

    method: Method
    why: str
    release: str
    functions: Mapping[str, tuple[str, ...]] = {}
    alike: tuple[str, ...] = ()

    @property
    def releases(self) -> tuple[str, ...]:
        """All that its recording is evidence for, with some rule or other."""
        return tuple(dict.fromkeys([*self.functions, self.release, *self.alike]))

    @property
    def text(self) -> str:
        """``run on 6.18.44``, ``compiled from 11.5 with parts of 15.5``."""
        return obtained(self.method, self.release, tuple(self.functions))


def obtained(method: str, release: str = "", parts: tuple[str, ...] = ()) -> str:
    """The method and the release, in words; ``parts``: releases from which functions were put in."""
    preposition = {Method.COMPILED: "from", Method.RUN: "on", Method.EMULATED: "on", Method.TESTED: "on"}.get(
        Method(method), "of"
    )
    words = f"{method} {preposition} {release}" if release else str(method)
    return words + (f" with parts of {', '.join(parts)}" if parts else "")


#: row of a host without a row: how it was recorded is not known, so it counts as the weakest method
def _undescribed(host: str) -> RecordedHost:
    return RecordedHost(Method.REPORT, "", host.partition("-")[2])


@lru_cache(maxsize=32)
def read(folder: Path) -> Mapping[str, RecordedHost]:
    """The rows of ``hosts.json`` in the folder of the evidence, none without the file; raises :class:`Problem`."""
    path = folder / NAME
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
        return {host: _row(row) for host, row in data.items()}
    except FileNotFoundError:
        return {}
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        executed = ", ".join(EXECUTED)
        raise Problem(
            Place(str(path)),
            f'expected {{HOST: {{"method": one of {executed}, "release": ..., "why": ...}}}}, where "functions": '
            f'{{RELEASE: [...]}} and "alike": [RELEASE...] are optional: {error!r}',
        ) from error


def _row(row: Any) -> RecordedHost:
    method = Method(row["method"])
    if method not in EXECUTED:
        raise ValueError(f"{method} is not the method of a recording")
    known = {"method", "why", "release", "functions", "alike"}
    if not set(row) <= known:
        raise ValueError(f"unknown keys {sorted(set(row) - known)}")
    return RecordedHost(
        method,
        row["why"],
        row["release"],
        {release: tuple(functions) for release, functions in row.get("functions", {}).items()},
        tuple(row.get("alike", ())),
    )


def row_of(host: str, hosts: Mapping[str, RecordedHost]) -> RecordedHost:
    """The row of ``host``; one that is not described counts as a report."""
    return hosts.get(host) or _undescribed(host)


#: the method of a host that is not described and does not describe itself
NOT_RECORDED = "method not recorded"


def of_host(host: Mapping[str, Any], release: str, method: Method, evidence: Path) -> str:
    """By which method a host of ``release`` answered, in words: ``compiled from 11.5 with parts of 15.5``.

    In ``host`` ``recorded`` names a folder of ``evidence``, and ``method`` says it outright.  A host that described its
    own kernel (``uname``) answered by ``method``.
    """
    if host.get("method"):
        return str(host["method"])
    if host.get("recorded"):
        row = read(evidence).get(str(host["recorded"]))
        return row.text if row else NOT_RECORDED
    return obtained(method, release) if host.get("uname") else NOT_RECORDED


def cited(one: Evidence) -> str:
    """A piece of evidence in words; a recording says how it was made: ``recorded: HOST/SET (run on 6.18.44)``."""
    if one.kind != "observed":
        return f"{one.kind}: {one.reference}" + (f" ({one.release})" if one.release else "")
    row = read(Path(one.place.name).parent / "evidence").get(one.reference.partition("/")[0])
    return f"recorded: {one.reference} ({row.text if row else NOT_RECORDED})"


def releases_of(host: str, rule: Rule, hosts: Mapping[str, RecordedHost]) -> tuple[str, ...]:
    """The releases that the recording of ``host`` is evidence for, as far as ``rule`` is concerned."""
    row = row_of(host, hosts)
    for release, functions in row.functions.items():
        if any(names(rule, function) for function in functions):
            return (release, *row.alike)
    return (row.release, *row.alike)


def names(rule: Rule, function: str) -> bool:
    """Whether the ``source`` evidence of ``rule`` names ``function``."""
    words = [word.strip(",") for one in rule.evidence if one.kind == "source" for word in one.reference.split()]
    return function in words
