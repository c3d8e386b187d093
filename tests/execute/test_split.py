"""Hosts that share the scenarios: each is answered once, whoever is lost on the way."""

from __future__ import annotations

import json
import sys
import threading
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from itertools import count
from pathlib import Path

import pytest
from bindmatrix.execute.host_pool import HostPool, HostThread, kernel
from bindmatrix.execute.hosts import HostSpec, open_host
from bindmatrix.execute.local import LocalHost
from bindmatrix.execute.remote import RemoteHost


def scenario(number: int) -> str:
    """Another one for each number."""
    return f"a=tcp4 a.bind=127.{number // 62_500}.{number // 250 % 250}.{number % 250 + 1}"


SCENARIOS = [scenario(number) for number in range(6000)]


def scenarios_until(enough: Callable[[], bool]) -> Iterator[str]:
    """``SCENARIOS`` and more: on a loaded machine one host can run thousands before another runs its first."""
    yield from SCENARIOS
    for number in count(len(SCENARIOS)):
        if enough():
            return
        yield scenario(number)


#: a line that breaks after so many bytes, and then never leads anywhere again
FLAKY = """
import os, subprocess, sys
mark, limit = sys.argv[1], int(sys.argv[2])
if os.path.exists(mark):
    sys.exit("the line is dead")
child = subprocess.Popen([sys.executable, *sys.argv[3:]], stdout=subprocess.PIPE)
while limit > 0:
    data = os.read(child.stdout.fileno(), min(limit, 65536))
    if not data:
        sys.exit()
    os.write(1, data)
    limit -= len(data)
open(mark, "w").close()
child.kill()
sys.exit("the line broke")
"""


def flaky(tmp_path: Path, limit: int) -> HostSpec:
    path = tmp_path / "flaky.py"
    path.write_text(FLAKY, encoding="utf-8")
    return HostSpec("flaky", via=f"{sys.executable} -I -S {path} {tmp_path / 'mark'} {limit}")


def good(name: str = "good") -> HostSpec:
    return HostSpec(name, python=sys.executable, workers=1)


@pytest.fixture
def hands() -> Iterator[list[HostThread]]:
    """Hands that are closed after the test."""
    opened: list[HostThread] = []
    yield opened
    for hand in opened:
        hand.close()


def together(hands: list[HostThread], *specs: HostSpec) -> HostPool:
    for spec in specs:
        hands.append(HostThread(spec.name, open_host(spec)))
        hands[-1].open().result()
    return HostPool(hands)


def answered(host: HostPool | RemoteHost, scenarios: Iterable[str] = SCENARIOS) -> Counter[bool]:
    """How many of the scenarios had outcomes, and how many had not; each is answered once."""
    asked: Counter[str] = Counter()

    def counted() -> Iterator[str]:
        for text in scenarios:
            asked[text] += 1
            yield text

    found = [json.loads(line) for batch in host.run(counted()) for line in batch]
    assert Counter(one["scenario"] for one in found) == asked
    return Counter(one["outcomes"] is not None for one in found)


def test_every_one_has_a_share(hands: list[HostThread], monkeypatch: pytest.MonkeyPatch) -> None:
    shares: Counter[str] = Counter()
    run = RemoteHost.run_until_lost

    def counted(self: RemoteHost, source: Iterator[str]) -> Iterator[list[bytes]]:
        for lines in run(self, source):
            shares[threading.current_thread().name] += len(lines)
            yield lines

    monkeypatch.setattr(RemoteHost, "run_until_lost", counted)
    host = together(hands, good("one"), good("two"), HostSpec("local", workers=1))
    assert isinstance(hands[2].host, LocalHost) or sys.platform == "win32"
    counts = answered(host, scenarios_until(lambda: len(shares) == 2 and min(shares.values()) >= 512))
    assert list(counts) == [True]


def test_the_others_take_over_what_a_lost_host_had(hands: list[HostThread], tmp_path: Path) -> None:
    host = together(hands, flaky(tmp_path, 100_000), good())
    assert list(answered(host, scenarios_until(lambda: bool(hands[0].host.lost)))) == [True]
    assert hands[0].host.lost
    assert not host.lost
    assert host.missing == [f"flaky: {hands[0].host.lost}"]
    assert answered(host) == {True: len(SCENARIOS)}


def test_alone_a_lost_host_leaves_the_rest_without_verdict(hands: list[HostThread], tmp_path: Path) -> None:
    host = together(hands, flaky(tmp_path, 100_000))
    counts = answered(host)
    assert counts[True] >= 100
    assert counts[False] >= 1000
    assert "the line is dead" in host.lost
    assert answered(host, SCENARIOS[:3]) == {False: 3}


def test_cancel_reaches_every_thread(hands: list[HostThread]) -> None:
    host = together(hands, good("one"), HostSpec("local", workers=1))
    batches = host.run(f"a=tcp4 wait={i}" for i in range(60_000, 70_000))
    timer = threading.Timer(0.3, host.cancel)
    timer.start()
    with pytest.raises(KeyboardInterrupt):
        list(batches)


def test_leaving_early_waits_for_nobody(hands: list[HostThread]) -> None:
    host = together(hands, good("one"), good("two"))
    for _ in host.run(iter(lambda: SCENARIOS[0], None)):
        break
    assert answered(host, SCENARIOS[:10]) == {True: 10}


def test_one_kernel_is_what_agrees_in_every_fact_but_the_python() -> None:
    facts = {"os": "linux", "release": "6.1", "python": "cpython 3.8", "privileged": True}
    assert kernel(facts) == kernel({**facts, "python": "cpython 3.13"})
    assert kernel(facts) != kernel({**facts, "privileged": False})
    assert kernel(facts) != kernel({**facts, "release": "6.2"})
