"""OpenBSD: what the rules say about single scenarios, those first that a simpler rule gets wrong."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from bindmatrix.oracle.oracle import Oracle
from bindmatrix.rules.catalog import expectations

from tests.oracle.reference import ReferenceEvaluator
from tests.oracle.tables import pairs, read

RELEASE = "7.9"

CASES = read(
    """
    v6only cleared:
        a=tcp6 a.v6only=0 a.bind=:: a.listen b=tcp4 b.bind=0.0.0.0 b.listen => a.v6only=EINVAL
    group mixed options:
        a=udp4 a.reuseaddr=1 a.bind=224.0.0.251 b=udp4 b.reuseport=1 b.bind=224.0.0.251
    tcp groups:
        a=tcp4 a.bind=224.0.0.251 b=tcp6 b.bind=ff02::fb
    udp broadcast:
        a=udp4 a.bind=255.255.255.255
    child:
        a=tcp4 a.bind=127.0.0.1 a.listen c=tcp4 c.connect=127.0.0.1 x=a.accept a.close b=tcp4 b.bind=127.0.0.1
        b.listen => b.bind=EADDRINUSE
    child and reuseaddr:
        a=tcp4 a.bind=127.0.0.1 a.listen c=tcp4 c.connect=127.0.0.1 x=a.accept a.close b=tcp4 b.reuseaddr=1
        b.bind=127.0.0.1
    time wait elsewhere:
        a=tcp4 a.bind=127.0.0.1 a.listen c=tcp4 c.connect=127.0.0.1 x=a.accept a.close x.close c.read c.close d=tcp4
        d.bind=127.0.0.2 e=tcp4 e.bind=127.0.0.1 => e.bind=EADDRINUSE
    connect makes newest:
        user=1001 a=udp4 a.reuseport=1 a.bind=127.0.0.1 user=0 b=udp4 b.reuseport=1 b.bind=0.0.0.0 a.connect=127.0.0.2
        user=1001 c=udp4 c.reuseport=1 c.bind=127.0.0.1
    listen connected udp:
        a=udp4 a.bind=127.0.0.1 a.connect=127.0.0.2 a.listen => a.listen=EOPNOTSUPP
    reuseaddr shares no address:
        a=udp4 a.reuseaddr=1 a.bind=127.0.0.1 b=udp4 b.reuseaddr=1 b.bind=127.0.0.1 => b.bind=EADDRINUSE
    reuseaddr goes over a listener:
        a=tcp4 a.bind=127.0.0.1 a.listen b=tcp4 b.reuseaddr=1 b.bind=0.0.0.0 b.listen
    no mapped:
        a=tcp6 a.bind=::ffff:127.0.0.1 => a.bind=EADDRNOTAVAIL
    newest sharer cleared:
        a=tcp4 a.reuseport=1 a.bind=127.0.0.1 b=tcp4 b.reuseport=1 b.bind=127.0.0.1 b.reuseport=0 c=tcp4 c.reuseport=1
        c.bind=127.0.0.1 => c.bind=EADDRINUSE
    oldest sharer cleared:
        a=tcp4 a.reuseport=1 a.bind=127.0.0.1 b=tcp4 b.reuseport=1 b.bind=127.0.0.1 a.reuseport=0 c=tcp4 c.reuseport=1
        c.bind=127.0.0.1
    newest without reuseport:
        a=tcp4 a.reuseport=1 a.bind=0.0.0.0 a.listen b=tcp4 b.reuseaddr=1 b.bind=127.0.0.1 b.listen d=tcp4
        d.reuseport=1 d.bind=127.0.0.1 => d.bind=EADDRINUSE
    own socket hides others:
        user=1001 a=tcp4 a.reuseport=1 a.bind=0.0.0.0 user=0 b=tcp4 b.reuseport=1 b.bind=127.0.0.1 user=1001 c=tcp4
        c.reuseport=1 c.bind=127.0.0.1 d=tcp4 d.reuseport=1 d.bind=0.0.0.0 => c.bind=EADDRINUSE
    other user time wait:
        user=1001 a=tcp4 a.reuseaddr=1 a.bind=127.0.0.1 a.listen c=tcp4 c.connect=127.0.0.1 x=a.accept x.close c.read
        c.close a.close user=0 user=1002 b=tcp4 b.reuseaddr=1 b.bind=127.0.0.1 => b.bind=EADDRINUSE
    root over time wait:
        user=1001 a=tcp4 a.reuseaddr=1 a.bind=127.0.0.1 a.listen c=tcp4 c.connect=127.0.0.1 x=a.accept x.close c.read
        c.close a.close user=0 b=tcp4 b.reuseaddr=1 b.bind=127.0.0.1
    other user wildcard then group:
        user=1001 a=udp4 a.reuseport=1 a.bind=0.0.0.0 user=0 user=1002 b=udp4 b.reuseport=1 b.bind=224.0.0.251
    other user group then wildcard:
        user=1001 a=udp4 a.reuseport=1 a.bind=224.0.0.251 user=0 user=1002 b=udp4 b.reuseport=1 b.bind=0.0.0.0 =>
        b.bind=EADDRINUSE
    other user wildcards:
        user=1001 a=tcp4 a.reuseport=1 a.bind=0.0.0.0 user=0 user=1002 b=tcp4 b.reuseport=1 b.bind=0.0.0.0 =>
        b.bind=EADDRINUSE
    other user ipv6:
        user=1001 a=tcp6 a.reuseport=1 a.bind=::1 user=0 user=1002 b=tcp6 b.reuseport=1 b.bind=::1 =>
        b.bind=EADDRINUSE
    ordinary over root:
        a=tcp4 a.reuseport=1 a.bind=127.0.0.1 user=1001 b=tcp4 b.reuseport=1 b.bind=127.0.0.1 => b.bind=EADDRINUSE
    families apart:
        a=tcp4 a.bind=0.0.0.0 a.listen b=tcp6 b.bind=:: b.listen
    open listener blocks:
        a=tcp4 a.bind=127.0.0.1 a.listen c=tcp4 c.connect=127.0.0.1 x=a.accept b=tcp4 b.bind=0.0.0.0 =>
        b.bind=EADDRINUSE
    never accepted:
        a=tcp4 a.bind=127.0.0.1 a.listen c=tcp4 c.connect=127.0.0.1 a.close b=tcp4 b.bind=127.0.0.1 b.listen
    client time wait elsewhere:
        a=tcp4 a.bind=127.0.0.1 a.listen c=tcp4 c.connect=127.0.0.1 x=a.accept c.close x.read x.close a.close b=tcp4
        b.bind=127.0.0.1
    ipv6 child:
        a=tcp6 a.bind=::1 a.listen c=tcp6 c.connect=::1 x=a.accept a.close b=tcp6 b.bind=::1 b.listen =>
        b.bind=EADDRINUSE
    v6only after bind:
        a=tcp6 a.bind=::1 a.v6only=1 => a.v6only=EINVAL
    v6only set:
        a=tcp6 a.v6only=1
    not local:
        a=tcp6 a.bind=2001:db8::7 => a.bind=EADDRNOTAVAIL
    tcp broadcast:
        a=tcp4 a.bind=255.255.255.255 => a.bind=EADDRNOTAVAIL
    bound twice:
        a=tcp4 a.bind=127.0.0.1 a.bind=127.0.0.2 => a.bind=EINVAL
    listen udp:
        a=udp4 a.bind=127.0.0.1 a.listen => a.listen=EOPNOTSUPP
    listen connected:
        a=tcp4 a.bind=127.0.0.1 a.listen c=tcp4 c.connect=127.0.0.1 c.listen => c.listen=EINVAL
    listen after failed bind:
        a=tcp4 a.bind=127.0.0.1 b=tcp4 b.bind=0.0.0.0 b.listen => b.bind=EADDRINUSE
    port chosen:
        a=tcp4 a.bind=127.0.0.1 b=tcp4 b.bind=127.0.0.1,0
    no load balancing:
        a=tcp4 a.reuseport_lb=1 => a.reuseport_lb=ENOPROTOOPT
    udp connected is no duplicate:
        a=udp4 a.bind=127.0.0.1 a.connect=127.0.0.2 b=udp4 b.reuseaddr=1 b.bind=127.0.0.1
    udp connected overlaps:
        a=udp4 a.bind=127.0.0.1 a.connect=127.0.0.2 b=udp4 b.bind=0.0.0.0 => b.bind=EADDRINUSE
    udp same connection:
        a=udp4 a.reuseport=1 a.bind=127.0.0.1 b=udp4 b.reuseport=1 b.bind=127.0.0.1 a.connect=127.0.0.2
        b.connect=127.0.0.2 => b.connect=EADDRINUSE
    reset client loses its port:
        a=tcp4 a.bind=127.0.0.1 a.listen c=tcp4 c.bind=127.0.0.2 c.connect=127.0.0.1 a.close b=tcp4 b.bind=0.0.0.0
    bind to the other family:
        a=udp4 a.bind=:: b=tcp6 b.bind=127.0.0.1 => a.bind=EAFNOSUPPORT b.bind=EAFNOSUPPORT
    bound before the family:
        a=udp4 a.bind=127.0.0.1 a.bind=:: => a.bind=EINVAL
    connect to the other family:
        a=tcp6 a.connect=127.0.0.1 b=udp4 b.connect=::1 => a.connect=EAFNOSUPPORT b.connect=EAFNOSUPPORT
    v6only of an ipv4 socket:
        a=udp4 a.v6only=1 b=tcp4 b.v6only=0 => a.v6only=EINVAL b.v6only=EINVAL
    accept without listen:
        a=tcp4 x=a.accept b=udp6 y=b.accept => x=EINVAL y=EINVAL
    listener connects:
        a=tcp4 a.bind=127.0.0.1 a.listen a.connect=127.0.0.1 => a.connect=EOPNOTSUPP
    connected connects again:
        a=tcp4 a.bind=127.0.0.1 a.listen c=tcp4 c.connect=127.0.0.1 c.connect=127.0.0.1 => c.connect=EISCONN
    after a refusal:
        a=tcp4 a.connect=127.0.0.1 a.bind=127.0.0.1 a.listen a.connect=127.0.0.1 a.reuseaddr=1 =>
        a.connect=ECONNREFUSED a.bind=EINVAL a.listen=EINVAL a.connect=EINVAL
    v6only after a refusal:
        a=tcp6 a.connect=::1 a.v6only=1 => a.connect=ECONNREFUSED a.v6only=ECONNRESET
    after a reset:
        a=tcp4 a.bind=127.0.0.1 a.listen c=tcp4 c.connect=127.0.0.1 a.close c.bind=127.0.0.2 c.listen c.reuseport=1 =>
        c.bind=ECONNRESET|EINVAL c.listen=ECONNRESET|EINVAL
    lone receiver:
        a=udp4 a.bind=0.0.0.0 deliver=127.0.0.1 b=tcp6 b.bind=::1 b.listen deliver=::1 => deliver=a deliver=b
    newest receives:
        a=udp4 a.reuseport=1 a.bind=0.0.0.0 b=udp4 b.reuseport=1 b.bind=0.0.0.0 deliver=127.0.0.1 b.close
        deliver=127.0.0.1 => deliver=b deliver=a
    newest listener receives:
        a=tcp4 a.reuseport=1 a.bind=127.0.0.1 a.listen b=tcp4 b.reuseport=1 b.bind=127.0.0.1 b.listen
        deliver=127.0.0.1 => deliver=b
    very address before the wildcard:
        a=udp6 a.bind=::1 b=udp6 b.reuseport=1 b.bind=:: deliver=::1 => deliver=a
    deaf socket swallows:
        a=tcp4 a.reuseport=1 a.bind=127.0.0.1 a.listen b=tcp4 b.reuseport=1 b.bind=127.0.0.1 c=tcp4
        c.connect=127.0.0.1 => c.connect=timeout
    nobody there:
        a=udp6 a.bind=::1 deliver=127.0.0.1 => deliver=refused
    connection is for its peer alone:
        a=udp4 a.bind=127.0.0.1 a.connect=127.0.0.2 deliver=127.0.0.1 => deliver=refused
    connections to no address:
        a=tcp4 a.bind=0.0.0.0 a.listen deliver=0.0.0.0 deliver=224.0.0.251 deliver=255.255.255.255 => deliver=EINVAL
        deliver=none deliver=EINVAL
    no mapped destination:
        a=udp4 a.bind=0.0.0.0 deliver=::ffff:127.0.0.1 => deliver=EADDRNOTAVAIL
    group copies:
        a=udp4 a.reuseport=1 a.bind=0.0.0.0 b=udp4 b.reuseaddr=1 b.bind=224.0.0.251 b.join=224.0.0.251
        deliver=224.0.0.251 => deliver=every:a,b
    group ends at who shares with nobody:
        a=udp4 a.reuseport=1 a.bind=0.0.0.0 a.join=224.0.0.251 b=udp4 b.reuseport=1 b.bind=0.0.0.0 b.reuseport=0
        deliver=224.0.0.251 => deliver=b
    group that nobody joined:
        a=udp4 a.bind=224.0.0.251 deliver=224.0.0.251 => deliver=none
    """
)

SAME = "EEEE E.E. EEEE E.E."
WIDER = "E... E... E... E..."
GROUP = "EEEE E... E... E..."
APART = ".... .... .... ...."

TABLES = [
    ("same", "a=tcp4 a.bind=127.0.0.1", "b=tcp4 b.bind=127.0.0.1", SAME),
    ("same in IPv6", "a=udp6 a.v6only=1 a.bind=::", "b=udp6 b.bind=::", SAME),
    ("wider", "a=tcp4 a.bind=0.0.0.0", "b=tcp4 b.bind=127.0.0.1", WIDER),
    ("narrower in IPv6", "a=tcp6 a.bind=::1", "b=tcp6 b.bind=::", WIDER),
    ("wildcard and group", "a=udp4 a.bind=0.0.0.0", "b=udp4 b.bind=224.0.0.251", WIDER),
    ("group", "a=udp4 a.bind=224.0.0.251", "b=udp4 b.bind=224.0.0.251", GROUP),
    ("group in IPv6", "a=udp6 a.bind=ff02::fb", "b=udp6 b.bind=ff02::fb", GROUP),
    ("families", "a=tcp4 a.bind=0.0.0.0", "b=tcp6 b.bind=::", APART),
]

# the release stands after the comma
RELEASES = read(
    """
    group of another user, 7.1:
        user=1001 a=udp4 a.reuseport=1 a.bind=224.0.0.251 user=0 user=1002 b=udp4 b.reuseport=1 b.bind=224.0.0.251 =>
        b.bind=EADDRINUSE
    group of another user, 7.2:
        user=1001 a=udp4 a.reuseport=1 a.bind=224.0.0.251 user=0 user=1002 b=udp4 b.reuseport=1 b.bind=224.0.0.251
    ipv6 of another user, 5.9:
        user=1001 a=tcp6 a.reuseport=1 a.bind=::1 user=0 user=1002 b=tcp6 b.reuseport=1 b.bind=::1 => b.bind=?
    ipv6 of another user, 6.0:
        user=1001 a=tcp6 a.reuseport=1 a.bind=::1 user=0 user=1002 b=tcp6 b.reuseport=1 b.bind=::1 =>
        b.bind=EADDRINUSE
    ipv4 of another user, 5.9:
        user=1001 a=tcp4 a.reuseport=1 a.bind=127.0.0.1 user=0 user=1002 b=tcp4 b.reuseport=1 b.bind=127.0.0.1 =>
        b.bind=EADDRINUSE
    """
)

NotOk = Callable[[str, str, str], str]


@pytest.mark.parametrize(("scenario", "refused"), [case[1:] for case in CASES], ids=[case[0] for case in CASES])
def test_scenario(scenario: str, refused: str, not_ok: NotOk) -> None:
    assert not_ok("openbsd", RELEASE, scenario) == refused


@pytest.mark.parametrize(("first", "second", "cells"), [row[1:] for row in TABLES], ids=[row[0] for row in TABLES])
def test_table(first: str, second: str, cells: str, not_ok: NotOk) -> None:
    for options, scenario, refused in pairs(first, second, cells):
        assert not_ok("openbsd", RELEASE, scenario) == refused, options


@pytest.mark.parametrize(("name", "scenario", "refused"), RELEASES, ids=[case[0] for case in RELEASES])
def test_release(name: str, scenario: str, refused: str, not_ok: NotOk) -> None:
    assert not_ok("openbsd", name.partition(", ")[2], scenario) == refused


def test_both_evaluators_decide_alike() -> None:
    rules = expectations("openbsd").at(RELEASE)
    compiled, naive = Oracle(rules), Oracle(rules, evaluator=ReferenceEvaluator(rules))
    for _, scenario, _ in CASES:
        assert compiled.predict(scenario) == naive.predict(scenario), scenario
