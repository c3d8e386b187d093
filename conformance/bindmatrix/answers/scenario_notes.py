"""Notes about a scenario: what it does not test, and the scenario that does."""

from __future__ import annotations

from bindmatrix.notation import HERE, Scenario, Step


def local_clients_note(scenario: Scenario) -> str:
    """The note about a bind() after connections of clients on this host, "" for any other scenario.

    The clients of a server are usually on another host.
    """
    steps = scenario.steps
    used: dict[str, set[str]] = {}
    for step in steps:
        used.setdefault(step.socket, set()).add(step.kind)
    clients = {
        step.socket
        for index, step in enumerate(steps)
        if step.kind == "connect"
        and used[step.socket] <= {"socket", "connect", "read", "close"}
        and any(later.kind == "bind" for later in steps[index:])
    }
    tcp = {step.socket for step in steps if step.kind == "socket" and step.what in ("tcp4", "tcp6")}
    if not clients or not clients <= tcp or not any(step.kind == "accept" for step in steps):
        return ""
    ipv6 = {step.socket for step in steps if step.kind == "connect" and _is_ipv6(step.address)}
    return (
        "the clients are on this host.  Those of another host leave something else on some systems: bindmatrix ask "
        f"'{' '.join(_abroad(step, clients, ipv6) for step in steps)}'"
    )


def _is_ipv6(address: str) -> bool:
    return ":" in address and "." not in address


def _abroad(step: Step, clients: set[str], ipv6: set[str]) -> str:
    """``step`` where ``clients`` are on another host, and every address is one that they reach."""
    if step.socket in clients and step.kind == "socket":
        return f"{step.socket}={'remote6' if step.socket in ipv6 else 'remote4'}"
    if step.socket in clients and step.kind == "connect":
        return f"{step.socket}.connect={HERE[step.socket in ipv6]}"
    wildcards = {"127.0.0.1": "0.0.0.0", "127.0.0.2": "0.0.0.0", "::1": "::"}
    if step.kind == "bind" and step.address in wildcards:
        return f"{step.socket}.bind={wildcards[step.address]}"
    return step.text
