"""One host a process: with xdist, every worker has its own ports."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from bindmatrix.execute.hosts import this_host
from bindmatrix.run.session import Session


@pytest.fixture(scope="session")
def session() -> Iterator[Session]:
    """This host and its expectations."""
    with this_host(workers=1) as host:
        yield Session(host)
