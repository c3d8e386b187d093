"""Who receives: statements about each system, the recorded deliveries with their repeats."""

from __future__ import annotations

import gzip
import json
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from bindmatrix.notation import parse
from bindmatrix.oracle.oracle import Oracle
from bindmatrix.rules import catalog

from tests.oracle.reference import ReferenceEvaluator
from tests.oracle.tables import read

EVIDENCE = catalog.folder() / "evidence"
RECORDED = sorted(EVIDENCE.glob("*/deliver.jsonl.gz"))

MEASURED = {
    "linux": "6.18.44",
    "gvisor": "20221219",
    "netbsd": "7.99.34",
    "freebsd": "13.0",
    "macos": "15.5",
}


@cache
def oracle_of(os: str, release: str) -> Oracle:
    return Oracle(catalog.expectations(os).at(release))


def received(os: str, release: str, scenario: str) -> str:
    """What every delivery is expected to be, and the other steps that are not ok: ``b spread:a,b b.bind=EADDRINUSE``.

    One of several outcomes is ``a|b``, what is not known ``?``.
    """
    words = []
    outcomes = oracle_of(os, release).predict(scenario).outcomes
    for step, outcome in zip(scenario.split(), outcomes, strict=True):
        text = "?" if outcome is None else outcome if isinstance(outcome, str) else "|".join(outcome)
        if step.startswith("deliver"):
            words.append(text)
        elif text != "ok":
            words.append(f"{step.partition('=')[0]}={text}")
    return " ".join(words)


COMMON = read("""
exact-before-wildcard:
    a=udp4 a.reuseport=1 a.bind=127.0.0.1 b=udp4 b.reuseport=1 b.bind=0.0.0.0 deliver=127.0.0.1 deliver=127.0.0.2
    => a b
exact-before-wildcard-other-order:
    a=tcp4 a.reuseport=1 a.bind=0.0.0.0 a.listen b=tcp4 b.reuseport=1 b.bind=127.0.0.1 b.listen deliver=127.0.0.1
    deliver=127.0.0.2 => b a
exact-closed:
    a=tcp4 a.reuseport=1 a.bind=127.0.0.1 a.listen b=tcp4 b.reuseport=1 b.bind=0.0.0.0 b.listen a.close
    deliver=127.0.0.1 deliver=127.0.0.2 => b b
wildcard-closed:
    a=tcp4 a.reuseport=1 a.bind=127.0.0.1 a.listen b=tcp4 b.reuseport=1 b.bind=0.0.0.0 b.listen b.close
    deliver=127.0.0.1 deliver=127.0.0.2 => a refused
ipv6-never-reaches-ipv4:
    a=udp4 a.bind=0.0.0.0 deliver=::1 => refused
ipv4-never-reaches-v6only:
    a=tcp6 a.v6only=1 a.bind=:: a.listen deliver=127.0.0.1 deliver=::1 => refused a
nobody:
    a=udp4 a.bind=127.0.0.1 a.close deliver=127.0.0.1 => refused
connected-gets-nothing-from-strangers:
    a=udp4 a.reuseport=1 a.bind=127.0.0.1 b=udp4 b.reuseport=1 b.bind=127.0.0.1 b.connect=127.0.0.2 deliver=127.0.0.1
    => a
connected-alone:
    a=udp4 a.bind=127.0.0.1 a.connect=127.0.0.2 deliver=127.0.0.1 => refused
a-flow-is-one-sockets:
    a=udp4 a.bind=0.0.0.0 deliver_flow=127.0.0.1 => a
ipv4-wildcard-before-mapped-wildcard-or-beside-it:
    a=udp6 a.v6only=0 a.bind=::ffff:0.0.0.0 deliver=127.0.0.1 deliver=::1 => a refused
group-and-wildcard-get-a-copy-each:
    a=udp4 a.reuseaddr=1 a.bind=0.0.0.0 a.join=224.0.0.251 b=udp4 b.reuseaddr=1 b.bind=224.0.0.251 b.join=224.0.0.251
    deliver=224.0.0.251 => every:a,b
nobody-tells-the-sender-of-a-group:
    a=udp4 a.bind=127.0.0.1 a.join=224.0.0.251 deliver=224.0.0.251 => none
""")

RP2 = "a={0} a.reuseport=1 a.bind={1} b={0} b.reuseport=1 b.bind={1}"
RA2 = "a={0} a.reuseaddr=1 a.bind={1} b={0} b.reuseaddr=1 b.bind={1}"
LB2 = "a={0} a.reuseport_lb=1 a.bind={1} b={0} b.reuseport_lb=1 b.bind={1}"

#: system -> statements; ``$RP2 udp4 0.0.0.0$`` is two sockets with that option on that address
STATEMENTS = {
    ("linux", "6.18.44"): """
wildcard-ipv4-beats-dual:
    a=udp4 a.reuseport=1 a.bind=0.0.0.0 b=udp6 b.v6only=0 b.reuseport=1 b.bind=:: deliver=127.0.0.1 deliver=::1 => a b
ipv4-beats-mapped:
    a=udp6 a.v6only=0 a.reuseport=1 a.bind=::ffff:127.0.0.1 b=udp4 b.reuseport=1 b.bind=127.0.0.1 deliver=127.0.0.1
    => b
reuseport-spreads:
    $RP2 tcp4 0.0.0.0$ a.listen b.listen deliver=127.0.0.1 a.close deliver=127.0.0.1 => spread:a,b b
a-flow-sticks-to-one:
    $RP2 udp4 127.0.0.1$ deliver_flow=127.0.0.1 => a|b
two-groups-of-ipv6-first-to-listen:
    a=tcp6 a.v6only=0 a.reuseport=1 a.bind=:: b=tcp6 b.v6only=1 b.reuseport=1 b.bind=:: b.listen a.listen deliver=::1
    => b
bound-only-is-invisible:
    $RP2 tcp4 127.0.0.1$ a.listen deliver=127.0.0.1 => a
udp-reuseaddr-newest:
    $RA2 udp4 127.0.0.1$ c=udp4 c.reuseaddr=1 c.bind=127.0.0.1 deliver=127.0.0.1 c.close deliver=127.0.0.1 => c b
udp-reuseaddr-rebinding-is-newest:
    $RA2 udp4 0.0.0.0$ a.close a=udp4 a.reuseaddr=1 a.bind=0.0.0.0 deliver=127.0.0.1 => a
udp-reuseaddr-ipv4-beats-newer-dual:
    a=udp4 a.reuseaddr=1 a.bind=0.0.0.0 b=udp6 b.v6only=0 b.reuseaddr=1 b.bind=:: deliver=127.0.0.1 => a
udp-v6only-and-dual-reuseaddr-newest:
    a=udp6 a.v6only=0 a.reuseaddr=1 a.bind=:: b=udp6 b.v6only=1 b.reuseaddr=1 b.bind=:: deliver=::1 => b
udp-v6only-and-dual-reuseport-oldest:
    a=udp6 a.v6only=0 a.reuseport=1 a.bind=:: b=udp6 b.v6only=1 b.reuseport=1 b.bind=:: deliver=::1 => a
group-without-a-join-of-its-own:
    a=udp4 a.reuseport=1 a.bind=0.0.0.0 a.join=224.0.0.251 b=udp4 b.reuseport=1 b.bind=0.0.0.0 deliver=224.0.0.251
    => every:a,b
not-an-address-of-lo0-elsewhere:
    a=udp4 a.bind=127.0.0.1 deliver=127.0.0.3 => refused
""",
    ("gvisor", "20221219"): """
reuseport-spreads-over-both-families:
    a=udp4 a.reuseport=1 a.bind=0.0.0.0 b=udp6 b.v6only=0 b.reuseport=1 b.bind=:: deliver=127.0.0.1 deliver=::1
    => spread:a,b b
dual-and-v6only-spread:
    a=tcp6 a.v6only=0 a.reuseport=1 a.bind=:: a.listen b=tcp6 b.v6only=1 b.reuseport=1 b.bind=:: b.listen deliver=::1
    deliver=127.0.0.1 => spread:a,b a
mapped-and-ipv4-spread:
    a=udp4 a.reuseport=1 a.bind=127.0.0.1 b=udp6 b.v6only=0 b.reuseport=1 b.bind=::ffff:127.0.0.1 deliver=127.0.0.1
    => spread:a,b
udp-reuseaddr-newest-of-both-families:
    a=udp4 a.reuseaddr=1 a.bind=0.0.0.0 b=udp6 b.v6only=0 b.reuseaddr=1 b.bind=:: deliver=127.0.0.1 => b
udp-both-options-spread:
    a=udp4 a.reuseaddr=1 a.reuseport=1 a.bind=127.0.0.1 b=udp4 b.reuseaddr=1 b.reuseport=1 b.bind=127.0.0.1
    deliver=127.0.0.1 deliver_flow=127.0.0.1 => spread:a,b a|b
udp-the-flags-of-all-count-together:
    a=udp4 a.reuseaddr=1 a.reuseport=1 a.bind=127.0.0.1 b=udp4 b.reuseaddr=1 b.bind=127.0.0.1
    c=udp4 c.reuseaddr=1 c.reuseport=1 c.bind=127.0.0.1 deliver=127.0.0.1 b.close deliver=127.0.0.1 => c spread:a,c
udp-flags-are-those-of-the-bind:
    $RP2 udp4 127.0.0.1$ a.reuseport=0 a.reuseaddr=1 b.reuseport=0 b.reuseaddr=1 deliver=127.0.0.1 => spread:a,b
tcp-reuseaddr-listens-beside-a-wildcard:
    a=tcp4 a.reuseaddr=1 a.bind=0.0.0.0 a.listen b=tcp4 b.reuseaddr=1 b.bind=127.0.0.1 b.listen deliver=127.0.0.1
    deliver=127.0.0.2 => b a
bound-only-is-invisible:
    $RP2 tcp4 127.0.0.1$ b.listen deliver=127.0.0.1 => b
not-an-address-of-lo0-elsewhere:
    a=udp4 a.bind=127.0.0.1 deliver=127.0.0.3 => refused
group-without-a-join-of-its-own:
    a=udp4 a.reuseport=1 a.bind=0.0.0.0 a.join=224.0.0.251 b=udp4 b.reuseport=1 b.bind=0.0.0.0 deliver=224.0.0.251
    => every:a,b
group-that-nobody-joined:
    a=udp4 a.bind=0.0.0.0 deliver=224.0.0.251 => none
""",
    ("netbsd", "7.99.34"): """
newest-everywhere:
    $RP2 tcp4 0.0.0.0$ a.listen b.listen deliver=127.0.0.1 b.close deliver=127.0.0.1 => b a
newest-everywhere-udp:
    $RP2 udp4 127.0.0.1$ c=udp4 c.reuseport=1 c.bind=127.0.0.1 deliver=127.0.0.1 c.close deliver=127.0.0.1 => c b
ipv4-beats-a-newer-dual:
    a=udp4 a.bind=0.0.0.0 b=udp6 b.v6only=0 b.bind=:: deliver=127.0.0.1 deliver=::1 => a b
ipv4-wildcard-beats-a-mapped-specific:
    a=udp4 a.reuseport=1 a.bind=0.0.0.0 b=udp6 b.v6only=0 b.reuseport=1 b.bind=::ffff:127.0.0.1 deliver=127.0.0.1 => a
mapped-wildcard-before-dual:
    a=udp6 a.v6only=0 a.bind=::ffff:0.0.0.0 b=udp6 b.v6only=0 b.reuseport=1 b.bind=:: deliver=127.0.0.1 => a
dual-and-v6only-newest:
    a=udp6 a.v6only=0 a.reuseport=1 a.bind=:: b=udp6 b.v6only=1 b.reuseport=1 b.bind=:: deliver=::1 deliver=127.0.0.1
    => b a
found-by-ipv4-then-first-for-ipv6:
    a=udp6 a.v6only=0 a.reuseport=1 a.bind=:: b=udp6 b.v6only=1 b.reuseport=1 b.bind=:: deliver=127.0.0.1 deliver=::1
    => a a
found-by-a-connection-then-first:
    a=tcp6 a.v6only=0 a.reuseport=1 a.bind=:: a.listen b=tcp6 b.v6only=1 b.reuseport=1 b.bind=:: b.listen
    c=tcp4 c.connect=127.0.0.1 deliver=::1 => a
a-new-bind-goes-before-what-was-found:
    a=udp6 a.v6only=0 a.reuseport=1 a.bind=:: b=udp6 b.v6only=1 b.reuseport=1 b.bind=:: deliver=127.0.0.1
    c=udp6 c.v6only=1 c.reuseport=1 c.bind=:: deliver=::1 c.close deliver=::1 => a c a
bound-only-swallows:
    $RP2 tcp4 127.0.0.1$ a.listen deliver=127.0.0.1 => timeout
bound-only-that-is-not-found:
    $RP2 tcp4 127.0.0.1$ b.listen deliver=127.0.0.1 => b
not-an-address-of-lo0:
    a=udp4 a.bind=0.0.0.0 deliver=127.0.0.3 => EHOSTUNREACH
group-without-a-join-of-its-own:
    a=udp4 a.reuseport=1 a.bind=0.0.0.0 a.join=224.0.0.251 b=udp4 b.reuseport=1 b.bind=0.0.0.0 deliver=224.0.0.251
    => every:a,b
group-ends-with-who-does-not-share-now:
    a=udp4 a.reuseport=1 a.bind=224.0.0.251 a.join=224.0.0.251 b=udp4 b.reuseport=1 b.bind=224.0.0.251 a.reuseport=0
    b.reuseport=0 deliver=224.0.0.251 => b
group-in-the-order-of-socket:
    a=udp4 a.reuseport=1 b=udp4 b.reuseport=1 b.bind=224.0.0.251 b.join=224.0.0.251 a.bind=224.0.0.251 a.reuseport=0
    b.reuseport=0 deliver=224.0.0.251 => b
group-ends-for-one-family-alone:
    a=udp4 a.bind=0.0.0.0 a.join=224.0.0.251 b=udp6 b.v6only=0 b.bind=:: deliver=224.0.0.251 => every:a,b
group-misses-a-mapped-wildcard:
    a=udp4 a.bind=224.0.0.251 a.join=224.0.0.251 b=udp6 b.v6only=0 b.reuseaddr=1 b.bind=::ffff:0.0.0.0
    deliver=224.0.0.251 => a
group-that-nobody-joined:
    a=udp4 a.bind=0.0.0.0 deliver=224.0.0.251 => none
""",
    ("freebsd", "13.0"): """
exact-newest:
    $RP2 tcp4 127.0.0.1$ a.listen b.listen deliver=127.0.0.1 => b
wildcard-oldest:
    $RP2 udp4 0.0.0.0$ c=udp4 c.reuseport=1 c.bind=0.0.0.0 deliver=127.0.0.1 a.close deliver=127.0.0.1 => a b
exact-newest-of-three:
    $RP2 udp4 127.0.0.1$ c=udp4 c.reuseport=1 c.bind=127.0.0.1 deliver=127.0.0.1 c.close deliver=127.0.0.1 => c b
ipv6-exact-newest-wildcard-oldest:
    $RP2 udp6 ::$ c=udp6 c.reuseport=1 c.bind=::1 d=udp6 d.reuseport=1 d.bind=::1 deliver=::1 d.close c.close
    deliver=::1 => d a
ipv4-beats-dual-whatever-the-order:
    a=udp6 a.v6only=0 a.reuseport=1 a.bind=:: b=udp4 b.reuseport=1 b.bind=0.0.0.0 deliver=127.0.0.1 deliver=::1 => b a
dual-and-mapped-oldest:
    a=udp6 a.v6only=0 a.bind=:: b=udp6 b.v6only=0 b.bind=::ffff:0.0.0.0 deliver=127.0.0.1 => a
balanced:
    $LB2 tcp4 0.0.0.0$ a.listen b.listen deliver=127.0.0.1 deliver=127.0.0.2 => spread:a,b spread:a,b
balanced-v6only:
    a=udp6 a.v6only=1 a.reuseport_lb=1 a.bind=:: b=udp6 b.v6only=1 b.reuseport_lb=1 b.bind=:: deliver=::1 => spread:a,b
balanced-flow:
    $LB2 udp4 127.0.0.1$ deliver_flow=127.0.0.1 => a|b
balanced-wildcard-shadows-a-specific-socket:
    a=udp4 a.bind=127.0.0.1 b=udp4 b.reuseport_lb=1 b.bind=0.0.0.0 deliver=127.0.0.1 b.close deliver=127.0.0.1 => b a
balanced-wildcard-shadows-ipv6-too:
    a=udp6 a.bind=::1 b=udp6 b.reuseport_lb=1 b.bind=:: deliver=::1 => b
balanced-exact-before-balanced-wildcard:
    a=udp4 a.reuseport_lb=1 a.bind=127.0.0.1 b=udp4 b.reuseport_lb=1 b.bind=0.0.0.0 deliver=127.0.0.1 => a
dual-is-in-no-group:
    a=tcp6 a.v6only=0 a.reuseport_lb=1 a.bind=:: a.listen b=tcp6 b.v6only=0 b.reuseport_lb=1 b.bind=:: b.listen
    deliver=127.0.0.1 deliver=::1 => a a
bound-only-member-refuses-its-share:
    $LB2 tcp4 127.0.0.1$ a.listen deliver=127.0.0.1 => spread:a,refused
bound-only-members:
    $LB2 tcp4 127.0.0.1$ deliver=127.0.0.1 => refused
a-group-is-what-it-was-at-bind:
    $LB2 udp4 127.0.0.1$ a.reuseport_lb=0 b.reuseport_lb=0 deliver=127.0.0.1 => spread:a,b
an-option-set-later-makes-no-group:
    $RP2 udp4 127.0.0.1$ a.reuseport_lb=1 b.reuseport_lb=1 deliver=127.0.0.1 => b
the-newest-of-two-groups:
    a=udp4 a.reuseport_lb=1 a.bind=127.0.0.1 b=udp6 b.v6only=0 b.reuseport_lb=1 b.bind=::ffff:127.0.0.1
    c=udp4 c.reuseport_lb=1 c.bind=127.0.0.1 deliver=127.0.0.1 b.close deliver=127.0.0.1 => b spread:a,c
a-connected-member-was-not-tried:
    $LB2 udp4 127.0.0.1$ b.connect=127.0.0.2 deliver=127.0.0.1 => ?
bound-only-refuses:
    $RP2 tcp4 127.0.0.1$ a.listen deliver=127.0.0.1 => refused
bound-only-wildcard-refuses:
    $RP2 tcp4 0.0.0.0$ b.listen deliver=127.0.0.1 => refused
not-an-address-of-lo0:
    a=tcp4 a.bind=0.0.0.0 a.listen deliver=127.0.0.3 => EHOSTUNREACH
group-needs-a-join-of-its-own:
    a=udp4 a.reuseport=1 a.bind=0.0.0.0 a.join=224.0.0.251 b=udp4 b.reuseport=1 b.bind=0.0.0.0 deliver=224.0.0.251
    => a
ipv6-group-without-any-join:
    a=udp6 a.reuseport=1 a.bind=:: a.join=ff02::fb b=udp6 b.reuseport=1 b.bind=:: deliver=ff02::fb => every:a,b
ipv6-group-but-another-one-joined:
    a=udp6 a.reuseport=1 a.bind=:: a.join=ff02::fb b=udp6 b.reuseport=1 b.bind=:: b.join=ff02::fc deliver=ff02::fb => a
group-filters-by-address:
    a=udp6 a.reuseport=1 a.bind=ff02::fb a.join=ff02::fb b=udp6 b.reuseport=1 b.bind=::1 b.join=ff02::fb
    deliver=ff02::fb => a
group-ends-with-who-does-not-share-now:
    a=udp4 a.reuseport=1 a.bind=224.0.0.251 a.join=224.0.0.251 b=udp4 b.reuseport=1 b.bind=224.0.0.251
    b.join=224.0.0.251 a.reuseport=0 b.reuseport=0 deliver=224.0.0.251 => b
group-of-balanced-sockets-is-copied:
    a=udp4 a.reuseport_lb=1 a.bind=0.0.0.0 a.join=224.0.0.251 b=udp4 b.reuseport_lb=1 b.bind=0.0.0.0 b.join=224.0.0.251
    deliver=224.0.0.251 => every:a,b
""",
    ("freebsd", "14.0"): """
exact-newest-as-before:
    $RP2 tcp4 127.0.0.1$ a.listen b.listen deliver=127.0.0.1 => b
wildcard-newest-now:
    $RP2 udp4 0.0.0.0$ deliver=127.0.0.1 b.close deliver=127.0.0.1 => b a
wildcard-newest-now-ipv6:
    $RP2 udp6 ::$ deliver=::1 => b
ipv4-first-then-dual:
    a=tcp4 a.bind=0.0.0.0 a.listen b=tcp6 b.v6only=0 b.bind=:: b.listen deliver=127.0.0.1 deliver=::1 => b b
dual-first-then-ipv4:
    a=tcp6 a.v6only=0 a.reuseport=1 a.bind=:: a.listen b=tcp4 b.reuseport=1 b.bind=0.0.0.0 b.listen deliver=127.0.0.1
    deliver=::1 => b a
mapped-wildcard-last:
    a=udp6 a.v6only=0 a.reuseport=1 a.bind=:: b=udp6 b.v6only=0 b.reuseport=1 b.bind=::ffff:0.0.0.0 deliver=127.0.0.1
    => a
balanced-wildcard-still-shadows:
    a=udp4 a.bind=127.0.0.1 b=udp4 b.reuseport_lb=1 b.bind=0.0.0.0 deliver=127.0.0.1 => b
dual-is-still-in-no-group:
    a=udp6 a.v6only=0 a.reuseport_lb=1 a.bind=:: b=udp6 b.v6only=0 b.reuseport_lb=1 b.bind=:: deliver=127.0.0.1 => b
bound-only-member-was-not-read:
    $LB2 tcp4 127.0.0.1$ a.listen deliver=127.0.0.1 b.listen deliver=127.0.0.1 => ? spread:a,b
a-connected-member-before-sa-25-09:
    $LB2 udp4 127.0.0.1$ b.connect=127.0.0.2 deliver=127.0.0.1 => ?
bound-only-still-refuses:
    $RP2 tcp4 127.0.0.1$ a.listen deliver=127.0.0.1 => refused
""",
    ("freebsd", "14.4"): """
bound-only-member-is-pending:
    $LB2 tcp4 127.0.0.1$ a.listen deliver=127.0.0.1 b.listen deliver=127.0.0.1 => a spread:a,b
bound-only-members:
    $LB2 tcp4 127.0.0.1$ deliver=127.0.0.1 => refused
a-connected-member-leaves:
    $LB2 udp4 127.0.0.1$ b.connect=127.0.0.2 deliver=127.0.0.1 => a
""",
    ("macos", "15.5"): """
exact-newest:
    $RP2 tcp4 127.0.0.1$ a.listen b.listen deliver=127.0.0.1 b.close deliver=127.0.0.1 => b a
wildcard-oldest:
    $RP2 tcp4 0.0.0.0$ a.listen b.listen deliver=127.0.0.1 a.close deliver=127.0.0.1 => a b
middle-of-three-never:
    $RP2 udp4 0.0.0.0$ c=udp4 c.reuseport=1 c.bind=0.0.0.0 deliver=127.0.0.1 a.close deliver=127.0.0.1 => a b
ipv4-beats-dual-whatever-the-order:
    a=udp6 a.v6only=0 a.reuseport=1 a.bind=:: b=udp4 b.reuseport=1 b.bind=0.0.0.0 deliver=127.0.0.1 deliver=::1 => b a
ipv4-first-then-dual:
    a=udp4 a.bind=0.0.0.0 b=udp6 b.v6only=0 b.bind=:: deliver=127.0.0.1 deliver=::1 => a b
dual-oldest:
    a=udp6 a.v6only=0 a.reuseport=1 a.bind=:: b=udp6 b.v6only=0 b.reuseport=1 b.bind=:: deliver=127.0.0.1 deliver=::1
    => a a
mapped-and-ipv4-newest:
    a=udp4 a.reuseport=1 a.bind=127.0.0.1 b=udp6 b.v6only=0 b.reuseport=1 b.bind=::ffff:127.0.0.1 deliver=127.0.0.1
    => b
bound-only-swallows:
    $RP2 tcp4 127.0.0.1$ a.listen deliver=127.0.0.1 => timeout
bound-only-wildcard-swallows:
    $RP2 tcp4 0.0.0.0$ b.listen deliver=127.0.0.1 => timeout
not-an-address-of-lo0:
    a=udp4 a.bind=0.0.0.0 deliver=127.0.0.3 => EHOSTUNREACH
group-needs-a-join-of-its-own:
    a=udp4 a.reuseport=1 a.bind=0.0.0.0 a.join=224.0.0.251 b=udp4 b.reuseport=1 b.bind=0.0.0.0 deliver=224.0.0.251
    => a
ipv6-group-does-not-compare-the-address:
    a=udp6 a.v6only=1 a.reuseport=1 a.bind=ff02::fb a.join=ff02::fb b=udp6 b.v6only=1 b.reuseport=1 b.bind=::1
    deliver=ff02::fb => every:a,b
ipv6-group-but-another-one-joined:
    a=udp6 a.reuseport=1 a.bind=:: a.join=ff02::fb b=udp6 b.reuseport=1 b.bind=:: b.join=ff02::fc deliver=ff02::fb => a
group-ends-with-who-does-not-share-now:
    a=udp6 a.reuseport=1 a.bind=ff02::fb a.join=ff02::fb b=udp6 b.reuseport=1 b.bind=ff02::fb b.join=ff02::fb
    a.reuseport=0 b.reuseport=0 deliver=ff02::fb => b
""",
    ("windows", "10"): """
specific-before-wildcard:
    a=tcp4 a.bind=0.0.0.0 a.listen b=tcp4 b.bind=127.0.0.1 b.listen deliver=127.0.0.1 deliver=127.0.0.2 => b a
specific-before-wildcard-other-order:
    a=tcp4 a.bind=127.0.0.1 a.listen b=tcp4 b.bind=0.0.0.0 b.listen deliver=127.0.0.1 => a
oldest-of-two-listeners-then-the-next:
    $RA2 tcp4 127.0.0.1$ a.listen b.listen deliver=127.0.0.1 a.close deliver=127.0.0.1 => a b
ipv4-and-dual-wildcards-not-known:
    a=tcp4 a.bind=0.0.0.0 a.listen b=tcp6 b.v6only=0 b.bind=:: b.listen deliver=127.0.0.1 deliver=::1 => ? b
either-takes-the-connection:
    a=tcp4 a.bind=0.0.0.0 a.listen b=tcp6 b.v6only=0 b.bind=:: b.listen c=tcp4 c.connect=127.0.0.1 =>
bound-only-not-known:
    a=tcp4 a.bind=0.0.0.0 a.listen b=tcp4 b.bind=127.0.0.1 deliver=127.0.0.1 => ?
datagrams-of-several-sockets-not-known:
    $RA2 udp4 127.0.0.1$ deliver=127.0.0.1 b.close deliver=127.0.0.1 => ? a
members-of-a-group-get-a-copy:
    a=udp4 a.reuseaddr=1 a.bind=0.0.0.0 a.join=224.0.0.251 b=udp4 b.reuseaddr=1 b.bind=0.0.0.0 b.join=224.0.0.251
    deliver=224.0.0.251 => every:a,b
""",
}


def _cases() -> list[tuple[str, str, str, str]]:
    cases = [(os, release, *case[1:]) for os, release in MEASURED.items() for case in COMMON]
    for (os, release), text in STATEMENTS.items():
        for _, scenario, expected in read(text):
            cases.append((os, release, _filled(scenario), expected))
    return cases


def _ids() -> list[str]:
    ids = [f"{os}-{name}" for os in MEASURED for name, *_ in COMMON]
    return ids + [f"{os}-{release}-{name}" for (os, release), text in STATEMENTS.items() for name, *_ in read(text)]


def _filled(scenario: str) -> str:
    before, mark, rest = scenario.partition("$")
    if not mark:
        return scenario
    pair, _, after = rest.partition("$")
    name, kind, address = pair.split()
    return before + {"RP2": RP2, "RA2": RA2, "LB2": LB2}[name].format(kind, address) + after


@pytest.mark.parametrize(("os", "release", "scenario", "expected"), _cases(), ids=_ids())
def test_a_statement(os: str, release: str, scenario: str, expected: str) -> None:
    assert received(os, release, scenario) == expected


# -- what people say, and what the runs say

FOLKLORE = [
    ("the last bound gets all, equal specific addresses", "$RP2 udp4 127.0.0.1$ deliver=127.0.0.1", "spread b b b b"),
    ("the last bound gets all, wildcards", "$RP2 udp4 0.0.0.0$ deliver=127.0.0.1", "spread b a b a"),
    ("SO_REUSEPORT balances, TCP", "$RP2 tcp4 0.0.0.0$ a.listen b.listen deliver=127.0.0.1", "spread b a b a"),
    ("a socket without listen() steals nothing", "$RP2 tcp4 127.0.0.1$ a.listen deliver=127.0.0.1", "a - - - -"),
    (
        "a newer dual does not take IPv4 from 0.0.0.0",
        "a=udp4 a.reuseaddr=1 a.bind=0.0.0.0 b=udp6 b.v6only=0 b.reuseaddr=1 b.bind=:: deliver=127.0.0.1",
        "a a a b a",
    ),
    (
        "groups reach only who joined",
        "$RP2 udp4 0.0.0.0$ a.join=224.0.0.251 deliver=224.0.0.251",
        "every every a a a",
    ),
]
SYSTEMS = [("linux", "6.18.44"), ("netbsd", "7.99.34"), ("freebsd", "13.0"), ("freebsd", "15"), ("macos", "15.5")]


@pytest.mark.parametrize(("scenario", "found"), [row[1:] for row in FOLKLORE], ids=[row[0] for row in FOLKLORE])
def test_folklore(scenario: str, found: str) -> None:
    for (os, release), expected in zip(SYSTEMS, found.split(), strict=True):
        got = received(os, release, _filled(scenario)).partition(":")[0]
        assert got == {"-": "timeout" if os in ("netbsd", "macos") else "refused"}.get(expected, expected), os


def test_the_most_specific_wins_but_against_a_balanced_wildcard() -> None:
    shadowed = "a=udp4 a.bind=127.0.0.1 b=udp4 b.reuseport_lb=1 b.bind=0.0.0.0 deliver=127.0.0.1"
    assert received("freebsd", "13.0", shadowed) == received("freebsd", "15", shadowed) == "b"
    assert received("freebsd", "13.0", shadowed.replace("_lb", "")) == "a"


@pytest.mark.parametrize(("os", "release"), [("openbsd", "7.9"), ("dragonfly", "5.9"), ("illumos", "2021.04")])
def test_a_lone_receiver_receives_everywhere(os: str, release: str) -> None:
    assert received(os, release, "a=udp4 a.bind=127.0.0.1 deliver=127.0.0.1 deliver_flow=127.0.0.1") == "a a"
    connected = "a=tcp4 a.bind=127.0.0.1 a.listen c=tcp4 c.connect=127.0.0.1 x=a.accept"
    assert received(os, release, connected) == ""


def test_which_of_several_receives_is_unknown_where_nobody_read_it() -> None:
    shared = "a=udp4 a.reuseaddr=1 a.bind=0.0.0.0 b=udp4 b.reuseaddr=1 b.bind=127.0.0.1 deliver=127.0.0.1"
    assert received("illumos", "2021.04", shared) == "?"


def test_a_group_of_the_other_family_is_not_described() -> None:
    for os, release in MEASURED.items():
        assert received(os, release, "a=udp6 a.v6only=0 a.bind=:: a.join=224.0.0.251") == "a.join=?"


# -- connections find their listener by the same rules

CONNECTIONS = read("""
linux 6.18.44:
    c.connect=127.0.0.1 x=a.accept => ok ok
gvisor 20221219:
    c.connect=127.0.0.1 x=a.accept => ok ok
netbsd 7.99.34:
    c.connect=127.0.0.1 x=a.accept => timeout timeout
freebsd 13.0:
    c.connect=127.0.0.1 x=a.accept => ECONNREFUSED timeout
macos 15.5:
    c.connect=127.0.0.1 x=a.accept => timeout timeout
""")


@pytest.mark.parametrize(("system", "steps", "expected"), CONNECTIONS, ids=[case[0] for case in CONNECTIONS])
def test_a_connection_meets_who_does_not_listen(system: str, steps: str, expected: str) -> None:
    os, _, release = system.partition(" ")
    scenario = f"{_filled('$RP2 tcp4 127.0.0.1$ a.listen')} c=tcp4 {steps}"
    outcomes = oracle_of(os, release).predict(scenario).outcomes
    assert list(outcomes[-2:]) == expected.split()


# -- recorded deliveries


def records(path: Path) -> list[dict[str, Any]]:
    with gzip.open(path, "rt", encoding="utf-8") as lines:
        return [json.loads(line) for line in lines]


@pytest.mark.parametrize("path", RECORDED, ids=lambda path: path.parent.name)
def test_every_recorded_run_is_accepted(path: Path) -> None:
    os, _, release = path.parent.name.partition("-")
    oracle = oracle_of(os, release)
    runs = 0
    for record in records(path):
        steps = parse(record["scenario"]).steps
        for outcomes in (record["outcomes"], *record.get("repeats", ())):
            edges = oracle.follow(steps, outcomes)
            shown = (record["scenario"], outcomes, edges[-1].expected, [rule.id for rule in edges[-1].rules])
            assert len(edges) == len(steps), shown
            assert edges[-1].accepts(outcomes[-1]), shown
            assert all(edge.expected is not None for edge in edges), shown
            runs += 1
    repeated = any("repeats" in record for record in records(path))
    assert runs > (1000 if repeated else 400)


@pytest.mark.parametrize("path", RECORDED, ids=lambda path: path.parent.name)
def test_naive_and_compiled_agree(path: Path) -> None:
    os, _, release = path.parent.name.partition("-")
    expectations = catalog.expectations(os).at(release)
    naive, compiled = Oracle(expectations, ReferenceEvaluator(expectations)), oracle_of(os, release)
    for record in records(path):
        scenario = record["scenario"]
        assert naive.predict(scenario) == compiled.predict(scenario), scenario


# -- classes and counts


@pytest.mark.parametrize("outcome", ["a:32", "refused", "timeout", "none", "EHOSTUNREACH", "spread:a,b"])
def test_a_step_accepts_its_class_alone(outcome: str) -> None:
    oracle = oracle_of("netbsd", "7.99.34")
    scenarios = {
        "a:32": "a=udp4 a.bind=127.0.0.1 deliver=127.0.0.1",
        "refused": "a=udp4 a.bind=127.0.0.1 deliver=127.0.0.2",
        "timeout": "a=tcp4 a.bind=127.0.0.1 deliver=127.0.0.1",
        "none": "a=udp4 a.bind=0.0.0.0 deliver=224.0.0.251",
        "EHOSTUNREACH": "a=udp4 a.bind=127.0.0.1 deliver=127.0.0.3",
    }
    for accepted, scenario in scenarios.items():
        steps = parse(scenario).steps
        edge = oracle.follow(steps, ["ok", "ok", outcome])[-1]
        assert edge.accepts(outcome) is (accepted == outcome), scenario


def test_one_flow_sticks_to_one_of_several() -> None:
    steps = parse(
        "a=udp4 a.reuseport=1 a.bind=0.0.0.0 b=udp4 b.reuseport=1 b.bind=0.0.0.0 deliver_flow=127.0.0.1"
    ).steps
    for outcome, accepted in [("a:32", True), ("b:32", True), ("a:16,b:16", False), ("refused", False)]:
        edges = oracle_of("linux", "6.18.44").follow(steps, ["ok"] * 6 + [outcome])
        assert edges[-1].accepts(outcome) is accepted
