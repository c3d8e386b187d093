"""Hosts and pages for the tests of the reports."""

from __future__ import annotations

import io
from collections.abc import Iterable

from bindmatrix.judge.host_table import HostTable, of_recordings
from bindmatrix.observe.recordings import Observation, Recording, header, line
from bindmatrix.oracle.oracle import Oracle
from bindmatrix.rules import catalog

CLASSIC = "a=tcp4 a.reuseaddr=1 a.bind=0.0.0.0 a.listen b=tcp4 b.reuseaddr=1 b.bind=127.0.0.1 b.listen"
BOUND = "a=tcp4 a.bind=0.0.0.0 b=tcp4 b.bind=127.0.0.1 b.listen"
DUAL = "a=tcp4 a.bind=0.0.0.0 b=tcp6 b.v6only=0 b.bind=:: b.listen"
ALIKE = "a=tcp4 a.bind=127.0.0.1 b=tcp4 b.bind=127.0.0.1 b.listen"
LOWER = "a=udp4 a.bind=127.0.0.1 b=udp4 b.reuseport=1 b.bind=127.0.0.1"
DELIVERED = "a=udp4 a.reuseport=1 a.bind=127.0.0.1 b=udp4 b.reuseport=1 b.bind=127.0.0.1 deliver=127.0.0.1"


def predicted(os: str, release: str, texts: Iterable[str]) -> list[Observation]:
    """What the rules expect, as if it had been observed."""
    oracle = Oracle(catalog.expectations(os).at(release))
    found = []
    for text in texts:
        outcomes = oracle.predict(text).outcomes
        certain = [one if isinstance(one, str) else one[0] if one else "ok" for one in outcomes]
        found.append(Observation(text, tuple(certain)))
    return found


def recording(os: str, release: str, observations: Iterable[Observation], **facts: object) -> Recording:
    """The observations as a file of a host."""
    data = header({"os": os, "release": release, **facts}) + b"".join([line(one) for one in observations])
    return Recording(io.BytesIO(data), "observations")


def host(os: str, release: str, observations: Iterable[Observation], **facts: object) -> HostTable:
    """A host that observed this."""
    return of_recordings([recording(os, release, observations, **facts)])


def two_hosts() -> list[HostTable]:
    """Linux with a divergence and a flaky scenario, FreeBSD as expected; deliveries on both."""
    texts = [CLASSIC, BOUND, DUAL, LOWER, ALIKE]
    linux = predicted("linux", "6.18.44", texts)
    linux[1] = linux[1]._replace(outcomes=("ok", "ok", "ok", "ok", "ok"))
    wrong = linux[3].outcomes
    assert wrong is not None
    linux[3] = linux[3]._replace(outcomes=(*wrong[:-1], "ok"), repeats=(wrong,))
    ran = ("ok",) * 6
    linux.append(Observation(DELIVERED, (*ran, "a:15,b:17"), repeats=((*ran, "a:20,b:12"),)))
    freebsd = predicted("freebsd", "13.0", texts)
    freebsd.append(Observation(DELIVERED, (*ran, "b:32")))
    return [host("linux", "6.18.44", linux), host("freebsd", "13.0", freebsd)]
