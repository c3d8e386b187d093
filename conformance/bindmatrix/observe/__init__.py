"""Recordings: what kernels answered, as JSON Lines in files.  ``execute`` gives the lines, ``judge`` reads them."""
