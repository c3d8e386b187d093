"""The files of a reproducer, by name."""

from __future__ import annotations

from conformance.report import reproduce_c, reproduce_python
from conformance.report.reproduce import Case
from conformance.report.reproduce_plan import WINDOWS
from conformance.report.reproduce_report import report


def files(case: Case, lang: str = "all") -> dict[str, str]:
    """File name -> text; ``lang`` is ``c python winsock report all``.

    ``all`` has the form of C that suits the host; the report holds both programs.
    """
    winsock = case.os == WINDOWS
    if lang == "winsock":
        return {"repro_winsock.c": reproduce_c.program(case, winsock=True)}
    if lang == "python":
        return {"repro.py": reproduce_python.program(case)}
    name = "repro_winsock.c" if winsock and lang != "c" else "repro.c"
    c = {name: reproduce_c.program(case, winsock=name != "repro.c")}
    if lang == "c":
        return c
    programs = {**c, "repro.py": reproduce_python.program(case)}
    text = {"report.txt": report(case, programs)}
    if lang == "report":
        return text
    return {"scenario.txt": case.scenario.text + "\n", **programs, **text}
