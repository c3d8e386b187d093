"""Recordings: the outcomes that kernels returned, as JSON Lines in files. ``execute`` produces the lines, ``judge``
reads them."""
