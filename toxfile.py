"""tox finds the Pythons that pyenv installed, whether or not pyenv's version files select them."""

from __future__ import annotations

import os
from pathlib import Path

from tox.config.cli.parser import ToxParser
from tox.plugin import impl


@impl
def tox_add_option(parser: ToxParser) -> None:  # noqa: ARG001  the first hook that tox calls
    root = Path(os.environ.get("PYENV_ROOT") or Path("~/.pyenv").expanduser())
    pythons = sorted(map(str, root.glob("versions/3.*/bin")), reverse=True)
    os.environ["PATH"] = os.pathsep.join([os.environ.get("PATH", os.defpath), *pythons])
