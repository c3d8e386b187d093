"""Programs that Ctrl-C reaches, however the tests themselves were started."""

from __future__ import annotations

import signal


def interruptible() -> None:
    """For ``preexec_fn``: below ``nohup`` or a shell's ``&`` SIGINT is ignored, and so it would be in the program."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)
