"""The pytest plugin: a fixture that records what the sockets of a test do.

    def test_nobody_takes_our_port(bindmatrix_calls):
        with Server():
            ...
        bindmatrix_calls.assert_portable(
            on=["windows", "macos"], needs=["other=tcp4 other.reuseaddr=1 other.bind=127.0.0.1 => refused"]
        )

The plugin is registered by the package; ``-p no:bindmatrix`` leaves it out.  Importing it imports nothing else of the
package.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from bindmatrix.api.recording import RecordedCalls


@pytest.fixture
def bindmatrix_calls() -> Iterator[RecordedCalls]:
    """The socket calls of this process during the test, see ``bindmatrix.record()``."""
    from bindmatrix.api.recording import record

    with record() as calls:
        yield calls
