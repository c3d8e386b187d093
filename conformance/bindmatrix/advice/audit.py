"""What a program does on every system, beside the system it was tried on: the view-model of ``audit``."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from bindmatrix.advice.audit_questions import AuditAnswer, Tenant, ask_all
from bindmatrix.advice.misuse import findings
from bindmatrix.advice.misuse_patterns import MisusePattern
from bindmatrix.advice.parts import newest
from bindmatrix.answers import ask
from bindmatrix.answers.ask import SystemAnswer
from bindmatrix.notation import Scenario
from bindmatrix.oracle.variants import Variant
from bindmatrix.programs.program_input import Program
from bindmatrix.rules import catalog


@dataclass(frozen=True)
class AuditRow:
    """One question on one system; ``before`` is what the system answers that the program was tried on."""

    question: str
    answer: AuditAnswer
    before: str
    #: reason, rule and confidence of the scenario; None where the answer is from a table
    known: SystemAnswer | None

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        scenario = self.answer.scenario
        data: dict[str, Any] = {"question": self.question, "answer": self.answer.words, "tried": self.before}
        if self.answer.means:
            data["means"] = self.answer.means
        if scenario is not None and self.known is not None:
            data |= {
                "scenario": scenario.text,
                "rule": self.known.main_reason.rule,
                "reason": self.known.main_reason.text,
                "confidence": self.known.confidence.as_dict(),
            }
        return data


@dataclass(frozen=True)
class AuditedSystem:
    """A system with what differs there."""

    os: str
    title: str
    release: str
    #: what the program does there; None where that is not known
    does: Scenario | None
    #: why it is not known
    without: str
    rows: tuple[AuditRow, ...]
    #: questions that the rules do not answer there, and do where it was tried
    unknown: tuple[str, ...]
    #: the patterns of misuse that hurt there
    misuse: tuple[MisusePattern, ...]

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {
            "os": self.os,
            "release": self.release,
            "scenario": self.does.text if self.does is not None else None,
            **({"without": self.without} if self.without else {}),
            "differs": [row.as_dict() for row in self.rows],
            "unknown": self.unknown,
            "misuse": [{"pattern": one.id, "instead": one.instead} for one in self.misuse],
        }


@dataclass(frozen=True)
class Audit:
    """The whole: every answer of the system that it was tried on, and the others."""

    program: Program
    tried: AuditedSystem
    others: tuple[AuditedSystem, ...]

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        tried = self.tried.as_dict()
        tried["answers"] = tried.pop("differs")
        return {"program": self.program.name, "tried": tried, "others": [one.as_dict() for one in self.others]}


def audit(program: Program, systems: Iterable[str] = (), tried_on: str = "linux") -> Audit:
    """Ask every question of every system; raises :class:`~bindmatrix.errors.Problem` for an unknown system."""
    first = newest(catalog.expectations(tried_on))
    answers = _answers(program, first)
    wanted = [os for os in systems or catalog.names() if os != tried_on]
    kernels = [newest(catalog.expectations(os)) for os in wanted]
    return Audit(
        program,
        _system(program, first, answers, {}),
        tuple(_system(program, variant, _answers(program, variant), answers) for variant in kernels),
    )


def _answers(program: Program, variant: Variant) -> dict[str, AuditAnswer]:
    does = program.on(variant.model.expectations.os)
    return ask_all(Tenant(does, variant, program.ignored)) if does is not None else {}


def _system(
    program: Program, variant: Variant, answers: dict[str, AuditAnswer], tried: dict[str, AuditAnswer]
) -> AuditedSystem:
    expectations = variant.model.expectations
    rows, unknown = [], []
    for question, answer in answers.items():
        before = tried[question].words if question in tried else ""
        if tried and answer.words == before:
            continue
        if tried and not answer.known:
            unknown.append(question)
            continue
        known = ask.of_variants(answer.scenario, expectations, [variant])[0] if answer.scenario is not None else None
        rows.append(AuditRow(question, answer, before, known))
    does = program.on(expectations.os)
    return AuditedSystem(
        os=expectations.os,
        title=expectations.title,
        release=variant.model.release,
        does=does,
        without=program.runtime.verified(expectations.os) if does is None and program.runtime is not None else "",
        rows=tuple(rows),
        unknown=tuple(unknown),
        misuse=tuple(dict.fromkeys(one.pattern for one in findings([program], [expectations.os]))),
    )
