"""What Wine does where Windows, or the Linux below it, has it otherwise; recorded in expectations/evidence/wine-8.0."""

from __future__ import annotations

import pytest
from bindmatrix.oracle.oracle import Oracle
from bindmatrix.rules import catalog

#: id, release, scenario, its steps that are not ok; None: not known
CASES = [
    ("listener-beside-a-wildcard", "10.0", "a=tcp4 a.bind=0.0.0.0 a.listen b=tcp4 b.bind=127.0.0.1", "EADDRINUSE"),
    ("side-by-side", "10.0", "a=tcp4 a.bind=0.0.0.0 b=tcp4 b.bind=127.0.0.1", ""),
    (
        "second-listen",
        "10.0",
        "a=tcp4 a.reuseaddr=1 a.bind=127.0.0.1 b=tcp4 b.reuseaddr=1 b.bind=127.0.0.1 a.listen b.listen",
        "EADDRINUSE",
    ),
    ("other-family", "10.0", "a=tcp4 a.bind=::1", "EOPNOTSUPP"),
    (
        "cleared-after-bind",
        "10.0",
        "a=tcp4 a.reuseaddr=1 a.bind=127.0.0.1 a.reuseaddr=0 b=tcp4 b.reuseaddr=1 b.bind=127.0.0.1",
        "",
    ),
    (
        "set-after-bind",
        "10.0",
        "a=tcp4 a.bind=127.0.0.1 a.reuseaddr=1 b=tcp4 b.reuseaddr=1 b.bind=127.0.0.1",
        "EACCES",
    ),
    (
        "mapped-under-exclusive",
        "10.0",
        "a=tcp6 a.exclusive=1 a.bind=:: b=tcp6 b.v6only=0 b.bind=::ffff:127.0.0.1",
        "EACCES",
    ),
    ("mapped-v6only", "10.0", "a=tcp4 a.bind=127.0.0.1 b=tcp6 b.bind=::ffff:127.0.0.1", "EINVAL"),
    ("udp-any-address-is-the-wildcard", "8.0", "a=udp4 a.bind=127.0.0.1 b=udp4 b.bind=127.0.0.2", "EADDRINUSE"),
    ("udp-address-of-nobody", "8.0", "a=udp4 a.bind=192.0.2.1", ""),
    ("udp-loopback-stays", "8.0", "a=udp4 a.bind=127.0.0.1 b=udp4 b.bind=127.0.0.1,0", ""),
    ("tcp-is-not-replaced", "8.0", "a=tcp4 a.bind=127.0.0.1 b=tcp4 b.bind=127.0.0.2", ""),
    ("udp-each-address", "10.0", "a=udp4 a.bind=127.0.0.1 b=udp4 b.bind=127.0.0.2", ""),
    ("udp-not-local", "10.0", "a=udp4 a.bind=192.0.2.1", "EADDRNOTAVAIL"),
    ("refused-client", "8.0", "a=tcp4 a.bind=127.0.0.1 a.connect=127.0.0.2 a.listen", "ECONNREFUSED EINVAL"),
    ("reset-is-not-told", "8.0", "a=tcp4 a.bind=127.0.0.1 a.listen c=tcp4 c.connect=127.0.0.1 a.close c.read", "None"),
]


@pytest.mark.parametrize(("release", "scenario", "others"), [one[1:] for one in CASES], ids=[one[0] for one in CASES])
def test_wine(release: str, scenario: str, others: str) -> None:
    expected = Oracle(catalog.expectations("wine").at(release)).predict(scenario).outcomes
    assert " ".join(str(one) for one in expected if one != "ok") == others
