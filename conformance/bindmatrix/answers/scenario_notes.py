"""What to say of a scenario beside its answers: what it does not ask, and the scenario that does."""

from __future__ import annotations

from ipaddress import ip_address

from bindmatrix.notation import HERE, Scenario, Step

#: what the host of every scenario has: two IPv4 addresses and one IPv6 address on the loopback interface
_OWN_ADDRESSES = ("127.0.0.1", "127.0.0.2", "::1")


def scenario_note(scenario: Scenario) -> str:
    """What to say of ``scenario``, "" for nothing."""
    if sum(step.kind == "bind" and step.value for step in scenario.steps) > 1:
        return "the ports that the system chooses are not compared: 'bindmatrix ports' says when two can be the same"
    return _of_foreign_addresses(scenario) or _of_local_clients(scenario)


def _of_local_clients(scenario: Scenario) -> str:
    """Of a bind() after connections of clients on this host: a server's are mostly on another one."""
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


def _of_foreign_addresses(scenario: Scenario) -> str:
    """Of addresses that the host of a scenario has not."""
    foreign = dict.fromkeys(
        step.address for step in scenario.steps if step.kind == "bind" and _is_foreign(step.address)
    )
    if not foreign:
        return ""
    own = {4: iter(_OWN_ADDRESSES[:2]), 6: iter(_OWN_ADDRESSES[2:])}
    instead = {text: next(own[ip_address(text).version], "127.0.0.1" if "." in text else "::1") for text in foreign}
    steps = (
        f"{step.socket}.bind={instead[step.address]}" if step.kind == "bind" and step.address in instead else step.text
        for step in scenario.steps
    )
    return (
        f"the host of a scenario has the addresses {', '.join(_OWN_ADDRESSES)}, and not {', '.join(foreign)}: that is "
        f"what bind() says.  The same with addresses that it has: bindmatrix ask '{' '.join(steps)}'"
    )


def _is_foreign(text: str) -> bool:
    try:
        address = ip_address(text)
    except ValueError:
        return False  # a name of a Unix socket, a CID, or a port beside the address
    address = getattr(address, "ipv4_mapped", None) or address
    known = address.is_loopback or address.is_unspecified or address.is_multicast
    return not known and str(address) != "255.255.255.255"
