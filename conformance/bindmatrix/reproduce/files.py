"""The files of a reproducer, by name."""

from __future__ import annotations

from bindmatrix.reproduce import c_program, python_program
from bindmatrix.reproduce.cases import Case
from bindmatrix.reproduce.program_plan import WINSOCK
from bindmatrix.reproduce.tracker_text import report


def files(case: Case, lang: str = "all") -> dict[str, str]:
    """File name -> text; ``lang`` is ``c python winsock report all``.

    ``all`` has the form of C that suits the host; the report holds both programs.
    """
    winsock = case.os in WINSOCK
    if lang == "winsock":
        return {"repro_winsock.c": c_program.program(case, winsock=True)}
    if lang == "python":
        return {"repro.py": python_program.program(case)}
    name = "repro_winsock.c" if winsock and lang != "c" else "repro.c"
    c = {name: c_program.program(case, winsock=name != "repro.c")}
    if lang == "c":
        return c
    programs = {**c, "repro.py": python_program.program(case)}
    text = {"report.txt": report(case, programs)}
    if lang == "report":
        return text
    return {"scenario.txt": case.scenario.text + "\n", **programs, **text}
