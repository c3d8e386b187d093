"""Network namespaces for tests: a loopback of one's own that can be spoiled, and commands that run beside it."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from bindmatrix.execute import executor

_NEWNET = executor.NamespacePorts.NEWNET


class Namespace:
    """A network namespace; it ends with its last descriptor and its last process."""

    def __init__(self, descriptor: int) -> None:
        self.descriptor = descriptor

    def enter(self) -> None:
        """Move the calling thread; what ``preexec_fn`` of a process wants."""
        executor._libc("setns", self.descriptor, _NEWNET)

    def run(self, *command: str, check: bool = True, **options: Any) -> subprocess.CompletedProcess[str]:
        """Run a command in the namespace until it ends."""
        options = {"capture_output": True, "text": True, "timeout": 60, "encoding": "utf-8", **options}
        return subprocess.run(command, preexec_fn=self.enter, check=check, **options)

    def start(self, *command: str, **options: Any) -> subprocess.Popen[bytes]:
        """Start a command in the namespace."""
        return subprocess.Popen(command, preexec_fn=self.enter, **options)

    def ip(self, words: str) -> None:
        """One command of ip(8)."""
        self.run("ip", *words.split())


@contextmanager
def namespace() -> Iterator[Namespace]:
    """A new namespace with lo up; raises OSError where this process may not make one."""
    made: list[int] = []
    failures: list[OSError] = []
    thread = threading.Thread(target=_make, args=(made.append, failures.append))
    thread.start()
    thread.join()
    if failures:
        raise failures[0]
    one = Namespace(made[0])
    try:
        one.ip("link set lo up")
        yield one
    finally:
        os.close(one.descriptor)


def _make(made: Callable[[int], None], failed: Callable[[OSError], None]) -> None:
    """In a thread of its own, because unshare() moves the thread that calls it."""
    if not sys.platform.startswith("linux"):
        failed(OSError("network namespaces exist on Linux alone"))
        return
    try:
        executor._libc("unshare", _NEWNET)
        made(os.open("/proc/thread-self/ns/net", os.O_RDONLY))
    except OSError as error:
        failed(error)
