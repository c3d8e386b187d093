"""Settings of the live suite, from the environment, because pytest reads no options from an installed package.

``BINDMATRIX_PROFILE``: ``full`` (default), ``pairs`` or ``quick``, as in ``generate/matrix.py``.
``BINDMATRIX_EXAMPLES``: how many sequences Hypothesis draws (default 500).
"""

from __future__ import annotations

import os

from bindmatrix.errors import Place, Problem, whole_number

PROFILE = os.environ.get("BINDMATRIX_PROFILE", "full")
_MOST_EXAMPLES = 10**9


def examples() -> int:
    """The number of Hypothesis examples; raises :class:`Problem` when it is none."""
    text = os.environ.get("BINDMATRIX_EXAMPLES", "500")
    number = whole_number(text, _MOST_EXAMPLES)
    if not number:
        raise Problem(
            Place("BINDMATRIX_EXAMPLES"), f"expected a number from 1 to {_MOST_EXAMPLES:,}, got {text[:80]!r}"
        )
    return number
