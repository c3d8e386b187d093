"""What people ask of a runtime of the catalogue: scenarios made from what it does before and after bind()."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple

from bindmatrix.answers.explorer import AskedScenario
from bindmatrix.notation import Scenario
from bindmatrix.programs.runtimes import Runtime, runtimes
from bindmatrix.rules import catalog

#: id of a question -> how it is asked
QUESTIONS: dict[str, str] = {
    "again": "Start it twice: does the second one fail?",
    "restart": "Restart it at once, over TIME_WAIT",
    "beside": "Another program binds 127.0.0.1 with SO_REUSEADDR",
}
_WILDCARD_CLIENTS = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104  addresses of the notation


class RuntimeQuestion(NamedTuple):
    """A question about a runtime; ``asked``: system -> scenario, for the systems on which it is known."""

    runtime: Runtime
    id: str
    asked: dict[str, AskedScenario]

    def missing(self, os: str) -> str:
        """Why nothing is asked of a system."""
        return self.runtime.without.get(os, "")


def runtime_questions() -> Iterator[RuntimeQuestion]:
    """Every question about every runtime of the catalogue."""
    for row in runtimes().values():
        done = {os: row.scenario(os) for os in catalog.names()}
        for question in QUESTIONS:
            asked = {}
            for os, does in done.items():
                text = _text(question, does) if does is not None else ""
                if text:
                    asked[os] = AskedScenario(text, row.ignores)
            if asked:
                yield RuntimeQuestion(row, question, asked)


def _text(question: str, does: Scenario) -> str:
    listens = any(step.kind == "listen" for step in does.steps)
    if question == "again":
        return f"{does.text} {_renamed(does.text)}"
    if question == "restart":
        return f"{does.text} {_left_over(does)} {_renamed(does.text)}" if listens else ""
    kind = "tcp4" if listens else "udp4"
    return f"{does.text} z={kind} z.reuseaddr=1 z.bind=127.0.0.1" + (" z.listen" if listens else "")


def _renamed(text: str) -> str:
    """The same steps on sockets of other names: the program once more.  The catalogue's names begin with ``a``."""
    return re.sub(r"(?<!\S)a(\w*)(?=[.=])", r"b\1", text)


def _left_over(does: Scenario) -> str:
    """A connection to the first listener that the server closes first, and the end of the server."""
    name = next(step.socket for step in does.steps if step.kind == "listen")
    bound = next(step.address for step in does.steps if step.kind == "bind" and step.socket == name)
    family = "6" if ":" in bound else "4"
    client = _WILDCARD_CLIENTS.get(bound, bound)
    closes = " ".join(f"{socket}.close" for socket in dict.fromkeys(step.socket for step in does.steps if step.socket))
    return f"c=tcp{family} c.connect={client} x={name}.accept x.close c.read c.close {closes}"
