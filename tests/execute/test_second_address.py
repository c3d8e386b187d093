"""127.0.0.2 on lo0: added by the first executor, taken away by the last, however each of them ends.

The class is the one that BSDs, macOS and illumos use.  Here its ifconfig is a script that calls ip(8), in a network
namespace whose loopback has 127.0.0.1 alone, so that this kernel really refuses 127.0.0.2 until it is added.
"""

from __future__ import annotations

import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from bindmatrix.execute import executor

from tests.execute.namespaces import Namespace, namespace

fcntl = pytest.importorskip("fcntl", reason="needs a Unix")

IFCONFIG = """#!/bin/sh
echo "$@" >> {log}
{extra}
case "$2" in
    alias) exec ip addr add "$3/32" dev lo ;;
    -alias) exec ip addr del "$3/32" dev lo ;;
esac
"""
#: a process that needs the address until its standard input ends, or for ever
USER = """
import sys
sys.path.insert(0, {folder!r})
import executor
executor.SecondAddress.LOCK, executor.SecondAddress.IFCONFIG = sys.argv[1:3]
one = executor.SecondAddress()
print("there" if one._there() else "missing", one._keeper, flush=True)
while sys.stdin.read(1):
    print("there" if one._there() else "missing", flush=True)
one.close()
"""


class Lo0:
    """A loopback without 127.0.0.2, and users of it."""

    def __init__(self, space: Namespace, folder: Path) -> None:
        self.space = space
        self.lock = folder / "lock"
        self.log = folder / "log"
        self.ifconfig = folder / "ifconfig"
        self.write()
        self._program = USER.format(folder=str(Path(executor.__file__).parent))

    def write(self, extra: str = "") -> None:
        self.log.write_text("", encoding="utf-8")
        self.ifconfig.write_text(IFCONFIG.format(log=self.log, extra=extra), encoding="utf-8")
        self.ifconfig.chmod(0o755)

    def user(self, **options: Any) -> subprocess.Popen[bytes]:
        words = [sys.executable, "-I", "-S", "-c", self._program, str(self.lock), str(self.ifconfig)]
        return self.space.start(*words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, **options)

    def there(self) -> bool:
        return "127.0.0.2" in self.space.run("ip", "addr", "show", "lo").stdout

    def nothing_left(self) -> bool:
        return not self.there() and not self.lock.exists()

    def calls(self) -> list[str]:
        return self.log.read_text(encoding="utf-8").splitlines()


@pytest.fixture
def lo0(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Lo0]:
    if not shutil.which("ip"):
        pytest.skip("needs ip(8) to spoil a loopback interface")
    try:
        with namespace() as space:
            space.ip("addr add 127.0.0.1/32 dev lo")
            space.run("ip", "addr", "del", "127.0.0.1/8", "dev", "lo", check=False)  # there since lo is up
            found = Lo0(space, tmp_path)
            assert not found.there()
            yield found
    except PermissionError:
        pytest.skip("this process may not make a network namespace")


def said(user: subprocess.Popen[bytes]) -> str:
    assert user.stdout is not None
    return user.stdout.readline().split()[0].decode()


def started(user: subprocess.Popen[bytes]) -> tuple[str, int]:
    assert user.stdout is not None
    word, keeper = user.stdout.readline().split()
    return word.decode(), int(keeper)


def still(user: subprocess.Popen[bytes]) -> str:
    """What a living user sees now."""
    assert user.stdin is not None
    user.stdin.write(b"?")
    user.stdin.flush()
    return said(user)


def end(user: subprocess.Popen[bytes]) -> None:
    assert user.stdin is not None
    assert user.stdout is not None
    user.stdin.close()
    assert user.wait(60) == 0
    user.stdout.close()


def kill(user: subprocess.Popen[bytes]) -> None:
    assert user.stdin is not None
    assert user.stdout is not None
    user.kill()
    user.wait(60)
    user.stdin.close()
    user.stdout.close()


def soon(condition: Callable[[], bool]) -> bool:
    """Whether it holds within some seconds: who was killed cannot wait for its keeper."""
    until = time.monotonic() + 60
    while not condition():
        if time.monotonic() > until:
            return False
        time.sleep(0.01)
    return True


def test_it_is_there_for_as_long_as_it_is_needed(lo0: Lo0) -> None:
    user = lo0.user()
    assert said(user) == "there"
    assert lo0.there()
    assert lo0.lock.exists()
    end(user)  # and its end waits for the removal
    assert lo0.nothing_left()
    assert lo0.calls() == ["lo0 alias 127.0.0.2 netmask 255.255.255.255", "lo0 -alias 127.0.0.2"]


def test_an_address_of_the_machine_is_left_alone(lo0: Lo0) -> None:
    lo0.space.ip("addr add 127.0.0.2/32 dev lo")
    user = lo0.user()
    assert started(user) == ("there", 0)
    assert not lo0.lock.exists()
    end(user)
    assert lo0.there()
    assert lo0.calls() == []


def test_the_last_of_two_takes_it_away(lo0: Lo0) -> None:
    first, second = lo0.user(), lo0.user()
    assert (said(first), said(second)) == ("there", "there")
    end(first)
    assert still(second) == "there"
    third = lo0.user()
    assert said(third) == "there"
    end(second)
    assert still(third) == "there"
    end(third)
    assert lo0.nothing_left()


def test_one_that_is_killed_leaves_nothing(lo0: Lo0) -> None:
    first, second = lo0.user(), lo0.user()
    assert (said(first), said(second)) == ("there", "there")
    kill(first)
    assert still(second) == "there"
    kill(second)
    assert soon(lo0.nothing_left)


def test_signals_of_a_terminal_do_not_end_the_keeper(lo0: Lo0) -> None:
    user = lo0.user()
    word, keeper = started(user)
    assert word == "there"
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        os.kill(keeper, number)
    kill(user)
    assert soon(lo0.nothing_left)


def test_the_keeper_outlives_the_process_group(lo0: Lo0) -> None:
    user = lo0.user(start_new_session=True)
    assert said(user) == "there"
    os.killpg(user.pid, signal.SIGKILL)
    kill(user)
    assert soon(lo0.nothing_left)


def test_a_lock_on_a_file_that_was_removed_meanwhile_is_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(executor.SecondAddress, "LOCK", str(tmp_path / "lock"))
    one = executor.SecondAddress.__new__(executor.SecondAddress)
    really = os.open
    opened: list[int] = []

    def open_late(path: str, flags: int, mode: int) -> int:
        opened.append(really(path, flags, mode))
        if len(opened) == 1:
            (tmp_path / "lock").unlink()  # the last of the others, between our open() and our flock()
        return opened[-1]

    monkeypatch.setattr(executor.os, "open", open_late)
    held = one._hold()
    assert os.fstat(held).st_ino == (tmp_path / "lock").stat().st_ino
    assert len(opened) == 2
    os.close(held)


def test_who_leaves_late_does_not_take_the_address_of_the_next_ones(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(executor.SecondAddress, "LOCK", str(tmp_path / "lock"))
    one = executor.SecondAddress.__new__(executor.SecondAddress)
    monkeypatch.setattr(one, "_ifconfig", lambda words: pytest.fail(f"ifconfig {words}"))
    one._lock = one._hold()
    (tmp_path / "lock").unlink()
    (tmp_path / "lock").touch()  # somebody was the last meanwhile, and somebody else the first again
    one._leave()
    assert (tmp_path / "lock").exists()
    os.close(one._lock)


def test_who_waits_too_long_for_the_file_goes_without(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(executor.SecondAddress, "LOCK", str(tmp_path / "lock"))
    monkeypatch.setattr(executor.SecondAddress, "PATIENCE", 0.01)
    one = executor.SecondAddress.__new__(executor.SecondAddress)
    hangs = one._hold()
    fcntl.flock(hangs, fcntl.LOCK_EX)
    with pytest.raises(OSError, match="somebody holds"):
        one._hold()
    os.close(hangs)


def test_what_remains_when_the_keeper_is_killed_too_goes_with_the_next_executor(lo0: Lo0) -> None:
    user = lo0.user()
    word, keeper = started(user)
    assert word == "there"
    os.kill(keeper, signal.SIGKILL)
    kill(user)
    assert lo0.there()
    assert lo0.lock.exists()
    following = lo0.user()
    assert said(following) == "there"
    end(following)
    assert lo0.nothing_left()


def test_a_second_executor_keeps_it_though_the_first_lost_its_keeper(lo0: Lo0) -> None:
    first = lo0.user()
    os.kill(started(first)[1], signal.SIGKILL)
    second = lo0.user()
    assert said(second) == "there"
    end(second)
    assert still(first) == "there"
    kill(first)


def test_where_it_may_not_be_added_nothing_is_left(lo0: Lo0) -> None:
    lo0.write("echo 'ifconfig: SIOCAIFADDR: Operation not permitted' >&2; exit 1")
    user = lo0.user()
    assert said(user) == "missing"
    end(user)
    assert lo0.nothing_left()


def test_many_that_start_and_end_at_once(lo0: Lo0) -> None:
    """Whoever has it may count on it until its own end, whatever the others do meanwhile."""
    draw = random.Random(7)
    users: list[subprocess.Popen[bytes]] = []
    for _ in range(12):
        fresh = [lo0.user() for _ in range(draw.randrange(1, 4))]
        leaving = [users.pop(draw.randrange(len(users))) for _ in range(draw.randrange(len(users) + 1))]
        for user in leaving:
            if draw.random() < 0.5:
                kill(user)
            else:
                end(user)
        assert [said(user) for user in fresh] == ["there"] * len(fresh)
        users += fresh
        assert [still(user) for user in users] == ["there"] * len(users)
    for user in users:
        kill(user)
    assert soon(lo0.nothing_left)
