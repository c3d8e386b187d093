"""What a program does with its ports, on the terminal: scenarios, what they leave out, every system's answers."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from bindmatrix.answers.ask import SystemAnswer
from bindmatrix.programs.port_scenarios import Found, PortScenario
from bindmatrix.report import ask_text
from bindmatrix.report.console import StyledLine

#: ports of one scenario that are listed by name
_PORTS = 4
_FOLDED = {
    "client": "client socket",
    "unused": "socket that was never bound",
    "too many": "socket beyond the first that are kept",
}


def summary(found: Found, heads: Iterable[str], warnings: Iterable[str]) -> list[StyledLine]:
    """What was read, what was folded away, what to beware of."""
    out: list[StyledLine] = [[(head, "dim")] for head in heads]
    folded = [_count(number, _FOLDED[why]) for why, number in found.folded.items() if number]
    if folded:
        out.append([(f"not shown: {', '.join(folded)}", "dim")])
    out += [[(f"left out: {what} ({_count(times, 'socket')})", "yellow")] for what, times in found.left_out]
    out += [[(f"warning: {warning}", "yellow")] for warning in warnings]
    if not found.scenarios:
        out.append([("no socket was bound and none listens", "bold")])
    return out


def scenario(one: PortScenario, answers: Sequence[SystemAnswer], width: int) -> list[StyledLine]:
    """One port: what the scenario leaves out, what was refused in the trace, and what every system does."""
    out: list[StyledLine] = [[], [(f"== port {_ports(one.ports)}", "bold")]]
    for what, times in one.not_modelled:
        out.append([(f"not part of the scenario: {what}" + (f" ({times} times)" if times > 1 else ""), "dim")])
    for step, outcome in zip(one.scenario.steps, one.outcomes, strict=True):
        if outcome != "ok":
            out.append([(f"returned here: {step.text} {outcome}", "yellow")])
    return out + ask_text.lines(one.scenario, answers, width)


def _ports(ports: Sequence[str]) -> str:
    more = len(ports) - _PORTS
    return ", ".join(ports[:_PORTS]) + (f" and {more} more alike" if more > 0 else "")


def _count(number: int, what: str) -> str:
    if number == 1:
        return f"1 {what}"
    head, _, rest = what.partition("socket")
    return f"{number:,} {head}sockets{rest.replace(' was ', ' were ')}"
