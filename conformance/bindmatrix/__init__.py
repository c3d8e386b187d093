"""bindmatrix: a conformance test matrix for what happens when sockets share a port.

Public are the command, the pytest fixture ``bindmatrix_calls``, and these names:

=================  ===================================================================================================
``parse``          a scenario from its text
``ask``            what every system returns for a scenario, with the reason and how that is known
``predict``        what one release of one system returns
``verdict``        what an observation of a host says about the rules of its system
``check``          whether a library's needs are met on the systems that it is to run on
``record``         what the sockets of this process do, as ``RecordedCalls``
``recipes``        the smallest sets of options that reach a goal
``Problem``, ...   what is raised for wrong input; each derives from ``BindmatrixError``
=================  ===================================================================================================

Everything else is internal and may change from one release to the next.  Each name is imported when it is first used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

__version__ = "0.1.0"

if TYPE_CHECKING:
    from bindmatrix.api.functions import ask, check, parse, predict, recipes, verdict
    from bindmatrix.api.recording import RecordedCalls, record
    from bindmatrix.errors import BindmatrixError, Problem, Problems

__all__ = [
    "BindmatrixError",
    "Problem",
    "Problems",
    "RecordedCalls",
    "__version__",
    "ask",
    "check",
    "parse",
    "predict",
    "recipes",
    "record",
    "verdict",
]

#: public name -> the module that has it
_HOMES = {
    **dict.fromkeys(("ask", "check", "parse", "predict", "recipes", "verdict"), "bindmatrix.api.functions"),
    **dict.fromkeys(("RecordedCalls", "record"), "bindmatrix.api.recording"),
    **dict.fromkeys(("BindmatrixError", "Problem", "Problems"), "bindmatrix.errors"),
}


def __getattr__(name: str) -> object:
    """A public name, imported now."""
    if name not in _HOMES:
        raise AttributeError(f"module 'bindmatrix' has no attribute {name!r}")
    from importlib import import_module

    found: object = getattr(import_module(_HOMES[name]), name)
    globals()[name] = found
    return found


def __dir__() -> list[str]:
    return sorted(globals().keys() | set(__all__))
