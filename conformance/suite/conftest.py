"""One host a process: with xdist, every worker has a kernel's worth of ports of its own."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from conformance.execute.local import LocalHost
from conformance.session import Session


@pytest.fixture(scope="session")
def session() -> Iterator[Session]:
    """This host and its expectations."""
    with LocalHost(workers=1) as host:
        yield Session(host)
