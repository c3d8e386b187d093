"""NetBSD: what the rules say about single scenarios, those first that a simpler rule gets wrong."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from bindmatrix.oracle.oracle import Oracle
from bindmatrix.rules.catalog import expectations

from tests.oracle.reference import ReferenceEvaluator
from tests.oracle.tables import pairs, read

RELEASE = "7.99.34"

CASES = read(
    """
    children are not found:
        a=tcp4 a.bind=127.0.0.1 a.listen c=tcp4 c.connect=127.0.0.1 x=a.accept a.close b=tcp4 b.bind=127.0.0.1
        b.listen
    ipv4 wildcard then dual:
        a=tcp4 a.bind=0.0.0.0 a.listen b=tcp6 b.v6only=0 b.bind=:: b.listen
    dual then ipv4 wildcard:
        a=tcp6 a.v6only=0 a.bind=:: b=tcp4 b.bind=0.0.0.0 => b.bind=EADDRINUSE
    specific then dual:
        a=tcp4 a.bind=127.0.0.1 a.listen b=tcp6 b.v6only=0 b.bind=:: b.listen
    dual is no duplicate:
        a=tcp6 a.v6only=0 a.bind=:: b=tcp4 b.reuseaddr=1 b.bind=0.0.0.0 b.listen
    mapped wildcard then dual:
        a=tcp6 a.v6only=0 a.bind=::ffff:0.0.0.0 a.listen b=tcp6 b.v6only=0 b.bind=:: b.listen
    dual then mapped wildcard:
        a=tcp6 a.v6only=0 a.bind=:: b=tcp6 b.v6only=0 b.bind=::ffff:0.0.0.0 => b.bind=EADDRINUSE
    reuseaddr goes over a listener:
        a=tcp4 a.bind=127.0.0.1 a.listen b=tcp4 b.reuseaddr=1 b.bind=0.0.0.0 b.listen
    reuseaddr shares no address:
        a=udp4 a.reuseaddr=1 a.bind=127.0.0.1 b=udp4 b.reuseaddr=1 b.bind=127.0.0.1 => b.bind=EADDRINUSE
    newest sharer cleared:
        a=udp4 a.reuseport=1 a.bind=127.0.0.1 b=udp4 b.reuseport=1 b.bind=127.0.0.1 b.reuseport=0 c=udp4 c.reuseport=1
        c.bind=127.0.0.1 => c.bind=EADDRINUSE
    oldest sharer cleared:
        a=udp4 a.reuseport=1 a.bind=127.0.0.1 b=udp4 b.reuseport=1 b.bind=127.0.0.1 a.reuseport=0 c=udp4 c.reuseport=1
        c.bind=127.0.0.1
    other user specific:
        user=1001 a=tcp4 a.reuseport=1 a.bind=127.0.0.1 user=0 user=1002 b=tcp4 b.reuseport=1 b.bind=127.0.0.1 =>
        b.bind=EADDRINUSE
    other user wildcards:
        user=1001 a=tcp4 a.reuseport=1 a.bind=0.0.0.0 user=0 user=1002 b=tcp4 b.reuseport=1 b.bind=0.0.0.0
    other user ipv6:
        user=1001 a=tcp6 a.reuseport=1 a.bind=::1 user=0 user=1002 b=tcp6 b.reuseport=1 b.bind=::1
    other user mapped new:
        user=1001 a=tcp4 a.reuseport=1 a.bind=127.0.0.1 user=0 user=1002 b=tcp6 b.v6only=0 b.reuseport=1
        b.bind=::ffff:127.0.0.1
    other user mapped existing:
        user=1001 a=tcp6 a.v6only=0 a.reuseport=1 a.bind=::ffff:127.0.0.1 user=0 user=1002 b=tcp4 b.reuseport=1
        b.bind=127.0.0.1
    other user group:
        user=1001 a=udp4 a.reuseport=1 a.bind=224.0.0.251 user=0 user=1002 b=udp4 b.reuseport=1 b.bind=224.0.0.251
    root over other user:
        user=1001 a=tcp4 a.reuseport=1 a.bind=127.0.0.1 user=0 b=tcp4 b.reuseport=1 b.bind=127.0.0.1
    user to user:
        user=1001 user=1002 => user=EPERM
    tcp groups:
        a=tcp4 a.bind=224.0.0.251 b=tcp6 b.bind=ff02::fb
    group mixed options:
        a=udp4 a.reuseaddr=1 a.bind=224.0.0.251 b=udp4 b.reuseport=1 b.bind=224.0.0.251
    client port blocks:
        a=tcp4 a.bind=127.0.0.1 a.listen c=tcp4 c.bind=127.0.0.2 c.connect=127.0.0.1 x=a.accept b=tcp4
        b.bind=127.0.0.2 => b.bind=EADDRINUSE
    client port shared:
        a=tcp4 a.bind=127.0.0.1 a.listen c=tcp4 c.bind=127.0.0.2 c.connect=127.0.0.1 x=a.accept b=tcp4 b.reuseaddr=1
        b.bind=127.0.0.2 b.listen
    client time wait:
        a=tcp4 a.bind=127.0.0.1 a.listen c=tcp4 c.bind=127.0.0.2 c.connect=127.0.0.1 x=a.accept c.close x.read x.close
        a.close b=tcp4 b.bind=0.0.0.0 => b.bind=EADDRINUSE
    open listener blocks:
        a=tcp4 a.bind=127.0.0.1 a.listen c=tcp4 c.connect=127.0.0.1 x=a.accept b=tcp4 b.bind=127.0.0.1 =>
        b.bind=EADDRINUSE
    ipv4 does not block ipv6:
        a=udp4 a.bind=224.0.0.251 b=udp6 b.v6only=0 b.bind=::
    v6only is no ipv4:
        a=tcp6 a.bind=:: b=tcp4 b.bind=0.0.0.0
    v6only default:
        a=tcp6 a.bind=::ffff:127.0.0.1 => a.bind=EINVAL
    v6only after bind:
        a=tcp6 a.bind=:: a.v6only=0 => a.v6only=EINVAL
    not local:
        a=tcp4 a.bind=192.0.2.1 => a.bind=EADDRNOTAVAIL
    broadcast:
        a=udp4 a.bind=255.255.255.255 => a.bind=EADDRNOTAVAIL
    bound twice:
        a=tcp4 a.bind=127.0.0.1 a.bind=127.0.0.2 => a.bind=EINVAL
    listen udp:
        a=udp4 a.bind=127.0.0.1 a.listen => a.listen=EOPNOTSUPP
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
    udp other connection:
        a=udp4 a.reuseport=1 a.bind=127.0.0.1 b=udp4 b.reuseport=1 b.bind=127.0.0.1 a.connect=127.0.0.2
        b.connect=127.0.0.1
    reset client loses its port:
        a=tcp4 a.bind=127.0.0.1 a.listen c=tcp4 c.bind=127.0.0.2 c.connect=127.0.0.1 a.close b=tcp4 b.bind=0.0.0.0
    bind to the other family:
        a=udp4 a.bind=:: b=tcp6 b.bind=127.0.0.1 c=udp4 c.bind=127.0.0.1 c.bind=::1 => a.bind=EAFNOSUPPORT
        b.bind=EAFNOSUPPORT c.bind=EAFNOSUPPORT
    connect to the other family:
        a=tcp6 a.connect=127.0.0.1 b=udp4 b.connect=::1 => a.connect=EAFNOSUPPORT b.connect=EAFNOSUPPORT
    v6only of an ipv4 socket:
        a=udp4 a.v6only=1 b=tcp4 b.v6only=0 => a.v6only=ENOPROTOOPT b.v6only=ENOPROTOOPT
    accept without listen:
        a=tcp4 x=a.accept b=udp6 y=b.accept => x=EINVAL y=EOPNOTSUPP
    listener connects:
        a=tcp4 a.bind=127.0.0.1 a.listen a.connect=127.0.0.1 a.connect=::1 => a.connect=EOPNOTSUPP a.connect=EOPNOTSUPP
    connected connects again:
        a=tcp4 a.bind=127.0.0.1 a.listen c=tcp4 c.connect=127.0.0.1 c.connect=127.0.0.1 => c.connect=EISCONN
    after a refusal:
        a=tcp4 a.connect=127.0.0.1 a.bind=127.0.0.1 a.listen a.connect=127.0.0.1 a.reuseaddr=1 =>
        a.connect=ECONNREFUSED a.bind=EINVAL a.listen=EINVAL a.connect=EINVAL a.reuseaddr=ECONNRESET
    after a reset:
        a=tcp4 a.bind=127.0.0.1 a.listen c=tcp4 c.connect=127.0.0.1 a.close c.bind=127.0.0.2 c.connect=127.0.0.1 =>
        c.bind=EINVAL c.connect=EINVAL
    """
)

SAME = "EEEE E.E. EEEE E.E."
WIDER = "E... E... E... E..."
GROUP = "EEEE E... E... E..."
APART = ".... .... .... ...."

TABLES = [
    ("same", "a=tcp4 a.bind=127.0.0.1", "b=tcp4 b.bind=127.0.0.1", SAME),
    ("dual and V6ONLY", "a=tcp6 a.v6only=0 a.bind=::", "b=tcp6 b.bind=::", SAME),
    ("V6ONLY and dual", "a=udp6 a.bind=::", "b=udp6 b.v6only=0 b.bind=::", SAME),
    ("IPv4 and mapped", "a=udp4 a.bind=127.0.0.1", "b=udp6 b.v6only=0 b.bind=::ffff:127.0.0.1", SAME),
    ("mapped wildcard and IPv4", "a=tcp6 a.v6only=0 a.bind=::ffff:0.0.0.0", "b=tcp4 b.bind=0.0.0.0", SAME),
    ("wider", "a=tcp4 a.bind=0.0.0.0", "b=tcp4 b.bind=127.0.0.1", WIDER),
    ("wider than mapped", "a=udp4 a.bind=0.0.0.0", "b=udp6 b.v6only=0 b.bind=::ffff:127.0.0.1", WIDER),
    ("dual and IPv4", "a=tcp6 a.v6only=0 a.bind=::", "b=tcp4 b.bind=0.0.0.0", WIDER),
    ("dual and mapped", "a=tcp6 a.v6only=0 a.bind=::", "b=tcp6 b.v6only=0 b.bind=::ffff:0.0.0.0", WIDER),
    ("group", "a=udp4 a.bind=224.0.0.251", "b=udp4 b.bind=224.0.0.251", GROUP),
    ("group in IPv6", "a=udp6 a.bind=ff02::fb", "b=udp6 b.bind=ff02::fb", GROUP),
    ("IPv4 and dual", "a=tcp4 a.bind=0.0.0.0", "b=tcp6 b.v6only=0 b.bind=::", APART),
    ("mapped and dual", "a=udp6 a.v6only=0 a.bind=::ffff:127.0.0.1", "b=udp6 b.v6only=0 b.bind=::", APART),
]

NotOk = Callable[[str, str, str], str]


@pytest.mark.parametrize(("scenario", "refused"), [case[1:] for case in CASES], ids=[case[0] for case in CASES])
def test_scenario(scenario: str, refused: str, not_ok: NotOk) -> None:
    assert not_ok("netbsd", RELEASE, scenario) == refused


@pytest.mark.parametrize(("first", "second", "cells"), [row[1:] for row in TABLES], ids=[row[0] for row in TABLES])
def test_table(first: str, second: str, cells: str, not_ok: NotOk) -> None:
    for options, scenario, refused in pairs(first, second, cells):
        assert not_ok("netbsd", RELEASE, scenario) == refused, options


def test_both_evaluators_decide_alike() -> None:
    rules = expectations("netbsd").at(RELEASE)
    compiled, naive = Oracle(rules), Oracle(rules, evaluator=ReferenceEvaluator(rules))
    for _, scenario, _ in CASES:
        assert compiled.predict(scenario) == naive.predict(scenario), scenario
