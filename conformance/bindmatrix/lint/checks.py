"""The table of checks: one function each, with a name; its docstring is the description.

A check is given a :class:`Subject` and yields what is wrong: where, what was expected, what to do.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple

from bindmatrix.errors import Problem
from bindmatrix.lint import checks_evidence, checks_rules
from bindmatrix.lint.context import Subject
from bindmatrix.lint.form import in_form


class Check(NamedTuple):
    """One row.  It is not run where one of the checks ``after`` found something: it would tell of consequences."""

    name: str
    function: Callable[[Subject], Iterable[Problem]]
    after: tuple[str, ...] = ()

    @property
    def description(self) -> str:
        """One line."""
        return (self.function.__doc__ or "").strip()


class Finding(NamedTuple):
    """A problem and the name of the check that found it."""

    check: str
    problem: Problem


def form(subject: Subject) -> Iterator[Problem]:
    """the file is YAML, all its words are of the vocabulary, every rule says why and has evidence"""
    yield from subject.problems


#: while one of these finds something, which rule decides what is not what it will be
_CAUSES = ("dead", "readable", "agreement", "divergences")

#: in the order in which they run; all but the first need a file that could be read
_CHECKS: tuple[Check, ...] = (
    Check("form", form),
    Check("file-name", checks_rules.file_name),
    Check("ids", checks_rules.ids),
    Check("why", checks_rules.why),
    Check("gloss", checks_rules.gloss),
    Check("spans", checks_rules.spans),
    Check("complete", checks_rules.complete),
    Check("dead", checks_rules.dead),
    Check("idle", checks_rules.idle),
    Check("spaces", checks_rules.spaces),
    Check("duplicates", checks_rules.duplicates),
    Check("hosts", checks_evidence.hosts),
    Check("readable", checks_evidence.readable),
    Check("evidence", checks_evidence.evidence),
    Check("agreement", checks_evidence.agreement),
    Check("divergences", checks_evidence.divergences, after=("readable", "agreement")),
    Check("supports", checks_evidence.supports, after=_CAUSES),
    Check("measured", checks_evidence.measured, after=_CAUSES),
    Check("decided", checks_evidence.written, after=(*_CAUSES, "evidence", "supports", "measured")),
)
#: the form is told of once nothing else is wrong
CHECKS = (*_CHECKS, Check("in-form", in_form, after=tuple([check.name for check in _CHECKS])))


def run(subject: Subject) -> list[Finding]:
    """What is wrong with one file, without what follows from something else that is; in the order of the places."""
    found = [Finding(CHECKS[0].name, problem) for problem in CHECKS[0].function(subject)]
    if subject.expectations is not None:
        for check in CHECKS[1:]:
            if not any(finding.check in check.after for finding in found):
                found += [Finding(check.name, problem) for problem in check.function(subject)]
    return sorted(found, key=lambda finding: finding.problem.place)
