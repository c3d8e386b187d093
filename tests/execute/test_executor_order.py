"""What one scenario did must not show in the next one."""

from __future__ import annotations

import sys

import pytest
from bindmatrix.execute.executor import Executor

CONNECTED = "a=tcp4 a.bind=127.0.0.1 a.listen c=tcp4 c.connect=127.0.0.1 x=a.accept x.close c.read c.close"
PLAIN = "a=udp4 a.bind=127.0.0.1 b=tcp4 b.bind=0.0.0.0 b.close a.close"


@pytest.mark.skipif(sys.platform == "win32", reason="connections of the executor are tried on Unix only")
def test_a_close_after_a_scenario_with_a_connection() -> None:
    """Failed first: the close was checked against the connection of the scenario before."""
    with Executor() as executor:
        for _ in range(2):
            assert executor.run(CONNECTED) == ["ok"] * len(CONNECTED.split())
            assert executor.run(PLAIN) == ["ok"] * len(PLAIN.split())
