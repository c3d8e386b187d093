"""Windows is told what to do instead, before anything is started."""

from __future__ import annotations

import pytest

from conformance.execute import local
from conformance.execute.local import HostError, LocalHost


def test_windows_is_told_what_to_do_instead(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(local, "PIPES_CAN_BE_WATCHED", False)
    with pytest.raises(HostError, match="bindmatrix judge -"):
        LocalHost(workers=1).run(["a=tcp4"]).__next__()
