"""What people ask most of a runtime of the catalogue, as scenarios that the explorer answers; ``audit`` asks more."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from bindmatrix.advice.parts import Instance
from bindmatrix.answers.explorer import AskedScenario
from bindmatrix.notation import STREAMS, Scenario
from bindmatrix.programs.runtimes import Runtime, runtimes
from bindmatrix.rules import catalog

#: id of a question -> how it is asked
QUESTIONS: dict[str, str] = {
    "again": "Start it twice: does the second one fail?",
    "restart": "Restart it at once, while the port is in TIME_WAIT",
    "beside": "Another program binds 127.0.0.1 with SO_REUSEADDR",
}


class RuntimeQuestion(NamedTuple):
    """A question about a runtime; ``asked``: system -> scenario, for the systems on which it is known."""

    runtime: Runtime
    id: str
    asked: dict[str, AskedScenario]


def runtime_questions() -> Iterator[RuntimeQuestion]:
    """Every question about every runtime of the catalogue."""
    systems = catalog.names()
    for row in runtimes().values():
        for question in QUESTIONS:
            asked = {}
            for os in systems:
                does = row.scenario(os)
                text = _text(question, does) if does is not None else ""
                if text:
                    asked[os] = AskedScenario(text, row.ignores)
            if asked:
                yield RuntimeQuestion(row, question, asked)


def _text(question: str, does: Scenario) -> str:
    """The scenario of a question, "" where it does not arise."""
    first = Instance(does.steps)
    second = first.again(first.names)
    served = next((one for one in first.endpoints if one.listens and one.protocol in STREAMS), None)
    if question == "again":
        return f"{first.text} {second.text}"
    if question == "beside":
        kind, listen = ("tcp4", " z.listen") if served else ("udp4", "")
        return f"{first.text} z={kind} z.reuseaddr=1 z.bind=127.0.0.1{listen}"
    if served is None:
        return ""
    client = served.destinations[0]
    kind = f"{served.protocol}{'6' if ':' in client else '4'}"
    connection = f"y={kind} y.connect={client} x={served.socket}.accept x.close y.read y.close"
    return f"{first.text} {connection} {first.close()} {second.text}"
