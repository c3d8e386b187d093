"""Which sockets a packet may find, by address and family alone."""

from __future__ import annotations

import pytest
from bindmatrix.oracle.connections import receives, to_itself
from bindmatrix.rules.sockets import ALL, Sock, address

#: name -> a listener as bind() leaves it
SOCKETS = {
    "0.0.0.0": Sock("a", "tcp", "ipv4", 0, form="ipv4", kind="wildcard", v4="any"),
    "127.0.0.1": Sock("a", "tcp", "ipv4", 0, form="ipv4", kind="specific", v4="127.0.0.1"),
    "::": Sock("a", "tcp", "ipv6", 0, form="dual", kind="wildcard", v4=ALL, v6=ALL),
    ":: v6only": Sock("a", "tcp", "ipv6", 0, form="ipv6", kind="wildcard", v6="any"),
    "::1": Sock("a", "tcp", "ipv6", 0, form="ipv6", kind="specific", v6="::1"),
    # where mapped addresses live in the IPv4 space, and where in the IPv6 space
    "mapped in ipv4": Sock("a", "tcp", "ipv6", 0, form="mapped", kind="specific", v4="127.0.0.1"),
    "mapped in ipv6": Sock("a", "tcp", "ipv6", 0, form="mapped", kind="specific", v6="::ffff:127.0.0.1"),
    # connected over IPv6, where its IPv4 half keeps an address
    "connected dual": Sock("a", "udp", "ipv6", 0, form="dual", kind="specific", v4="127.0.0.6", v6="::1"),
    "no address": Sock("a", "tcp", "ipv6", 0),
}


@pytest.mark.parametrize(
    ("to", "found"),
    [
        ("127.0.0.1", {"0.0.0.0", "127.0.0.1", "::", "mapped in ipv4", "mapped in ipv6"}),
        ("::ffff:127.0.0.1", {"0.0.0.0", "127.0.0.1", "::", "mapped in ipv4", "mapped in ipv6"}),
        ("127.0.0.2", {"0.0.0.0", "::"}),
        ("127.0.0.6", {"0.0.0.0", "::", "connected dual"}),
        ("::1", {"::", ":: v6only", "::1", "connected dual"}),
    ],
)
def test_a_packet_finds_the_sockets_of_its_family_that_cover_its_address(to: str, found: set[str]) -> None:
    at = address(to, ("127.0.0.0/8", "::1/128"))
    assert {name for name, sock in SOCKETS.items() if receives(sock, at)} == found


@pytest.mark.parametrize(
    ("both", "itself"), [("127.0.0.1>127.0.0.1", True), ("127.0.0.1>127.0.0.2", False), ("", False)]
)
def test_a_connection_to_itself_has_one_end(both: str, itself: bool) -> None:
    assert to_itself(both) is itself
