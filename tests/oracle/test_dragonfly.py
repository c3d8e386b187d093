"""DragonFly BSD: what the rules say about single scenarios, those first that a simpler rule gets wrong."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from bindmatrix.oracle.oracle import Oracle
from bindmatrix.rules.catalog import expectations

from tests.oracle.reference import ReferenceEvaluator
from tests.oracle.tables import pairs, read

RELEASE = "5.9"

CASES = read(
    """
    v6only cleared:
        a=tcp6 a.v6only=0 a.bind=:: b=tcp4 b.bind=0.0.0.0 => a.v6only=EOPNOTSUPP
    child:
        a=tcp4 a.bind=127.0.0.1 a.listen c=tcp4 c.connect=127.0.0.1 x=a.accept a.close b=tcp4 b.bind=127.0.0.1
        b.listen
    time wait:
        a=tcp4 a.bind=127.0.0.1 a.listen c=tcp4 c.connect=127.0.0.1 x=a.accept x.close c.read c.close a.close b=tcp4
        b.bind=127.0.0.1 b.listen
    after the rebind:
        a=tcp4 a.bind=127.0.0.1 a.listen c=tcp4 c.connect=127.0.0.1 x=a.accept a.close b=tcp4 b.bind=127.0.0.1 d=tcp4
        d.bind=127.0.0.1 e=tcp4 e.bind=0.0.0.0 => d.bind=EADDRINUSE e.bind=EADDRINUSE
    child of another user:
        user=1001 a=tcp4 a.bind=127.0.0.1 a.listen c=tcp4 c.connect=127.0.0.1 x=a.accept a.close user=0 user=1002
        b=tcp4 b.bind=127.0.0.1 => b.bind=EADDRINUSE
    root over a child:
        user=1001 a=tcp4 a.bind=127.0.0.1 a.listen c=tcp4 c.connect=127.0.0.1 x=a.accept a.close user=0 b=tcp4
        b.bind=127.0.0.1
    group reuseaddr then reuseport:
        a=udp4 a.reuseaddr=1 a.bind=224.0.0.251 b=udp4 b.reuseport=1 b.bind=224.0.0.251 => b.bind=EADDRINUSE
    group reuseport then reuseaddr:
        a=udp4 a.reuseport=1 a.bind=224.0.0.251 b=udp4 b.reuseaddr=1 b.bind=224.0.0.251
    tcp groups:
        a=tcp4 a.bind=224.0.0.251 b=tcp6 b.bind=ff02::fb => a.bind=EAFNOSUPPORT b.bind=EAFNOSUPPORT
    tcp group before bound twice:
        a=tcp4 a.bind=127.0.0.1 a.bind=224.0.0.251 => a.bind=EAFNOSUPPORT
    udp broadcast:
        a=udp4 a.bind=255.255.255.255 => a.bind=EADDRNOTAVAIL
    connect keeps the order:
        user=1001 a=udp4 a.reuseport=1 a.bind=127.0.0.1 user=0 b=udp4 b.reuseport=1 b.bind=0.0.0.0 a.connect=127.0.0.2
        user=1001 c=udp4 c.reuseport=1 c.bind=127.0.0.1 => c.bind=EADDRINUSE
    listen connected udp:
        a=udp4 a.bind=127.0.0.1 a.connect=127.0.0.2 a.listen => a.listen=EINVAL
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
        a=udp4 a.bind=:: b=tcp6 b.bind=127.0.0.1 => a.bind=EINVAL b.bind=EAFNOSUPPORT|EINVAL
    connect to the other family:
        a=tcp6 a.connect=127.0.0.1 b=udp4 b.connect=::1 => a.connect=EINVAL b.connect=EINVAL
    accept without listen:
        a=tcp4 x=a.accept b=udp6 y=b.accept => x=EINVAL y=EINVAL
    listener connects:
        a=tcp4 a.bind=127.0.0.1 a.listen a.connect=127.0.0.1 => a.connect=EOPNOTSUPP
    connected connects again:
        a=tcp4 a.bind=127.0.0.1 a.listen c=tcp4 c.connect=127.0.0.1 c.connect=127.0.0.1 => c.connect=EISCONN
    after a refusal:
        a=tcp4 a.connect=127.0.0.1 a.bind=224.0.0.251 a.listen a.connect=127.0.0.1 a.reuseaddr=1 =>
        a.connect=ECONNREFUSED a.bind=EINVAL a.listen=EINVAL a.connect=EINVAL a.reuseaddr=?
    mapped destination:
        a=udp6 a.connect=::ffff:127.0.0.1 b=tcp6 b.connect=::ffff:127.0.0.1 => a.connect=EADDRNOTAVAIL b.connect=refused
    lone receiver:
        a=udp4 a.bind=0.0.0.0 deliver=127.0.0.1 b=tcp6 b.bind=::1 b.listen deliver=::1 => deliver=a deliver=b
    datagrams are shared:
        a=udp4 a.reuseport=1 a.bind=0.0.0.0 b=udp4 b.reuseport=1 b.bind=0.0.0.0 deliver=127.0.0.1 => deliver=spread:a,b
    connections are shared:
        a=tcp4 a.reuseport=1 a.bind=127.0.0.1 a.listen b=tcp4 b.reuseport=1 b.bind=127.0.0.1 b.listen c=tcp4
        c.reuseport=1 c.bind=0.0.0.0 c.listen deliver=127.0.0.1 deliver=127.0.0.2 => deliver=spread:a,b deliver=c
    whether ipv6 shares was not read:
        a=udp6 a.reuseport=1 a.bind=::1 b=udp6 b.reuseport=1 b.bind=::1 deliver=::1 => deliver=?
    very ipv6 address before the wildcard:
        a=udp6 a.bind=::1 b=udp6 b.reuseport=1 b.bind=:: deliver=::1 => deliver=a
    a stream socket that does not listen is not found:
        a=tcp4 a.reuseport=1 a.bind=127.0.0.1 a.listen b=tcp4 b.reuseport=1 b.bind=127.0.0.1 deliver=127.0.0.1
        c=tcp4 c.bind=127.0.0.2 deliver=127.0.0.2 => deliver=a deliver=refused
    """
)

SAME = "EEEE E.E. EEEE E.E."
WIDER = "E... E... E... E..."
GROUP = "EEEE E... EE.. E..."
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
    child, 5.4:
        a=tcp4 a.bind=127.0.0.1 a.listen c=tcp4 c.connect=127.0.0.1 x=a.accept a.close b=tcp4 b.bind=127.0.0.1 =>
        b.bind=EADDRINUSE
    child, 5.6:
        a=tcp4 a.bind=127.0.0.1 a.listen c=tcp4 c.connect=127.0.0.1 x=a.accept a.close b=tcp4 b.bind=127.0.0.1
    child and reuseaddr, 5.4:
        a=tcp4 a.bind=127.0.0.1 a.listen c=tcp4 c.connect=127.0.0.1 x=a.accept a.close b=tcp4 b.reuseaddr=1
        b.bind=127.0.0.1
    """
)

NotOk = Callable[[str, str, str], str]


@pytest.mark.parametrize(("scenario", "refused"), [case[1:] for case in CASES], ids=[case[0] for case in CASES])
def test_scenario(scenario: str, refused: str, not_ok: NotOk) -> None:
    assert not_ok("dragonfly", RELEASE, scenario) == refused


@pytest.mark.parametrize(("first", "second", "cells"), [row[1:] for row in TABLES], ids=[row[0] for row in TABLES])
def test_table(first: str, second: str, cells: str, not_ok: NotOk) -> None:
    for options, scenario, refused in pairs(first, second, cells):
        assert not_ok("dragonfly", RELEASE, scenario) == refused, options


@pytest.mark.parametrize(("name", "scenario", "refused"), RELEASES, ids=[case[0] for case in RELEASES])
def test_release(name: str, scenario: str, refused: str, not_ok: NotOk) -> None:
    assert not_ok("dragonfly", name.partition(", ")[2], scenario) == refused


def test_both_evaluators_decide_alike() -> None:
    rules = expectations("dragonfly").at(RELEASE)
    compiled, naive = Oracle(rules), Oracle(rules, evaluator=ReferenceEvaluator(rules))
    for _, scenario, _ in CASES:
        assert compiled.predict(scenario) == naive.predict(scenario), scenario
