"""bindmatrix: a conformance test matrix for what happens when sockets share a port.

Public is ``__version__``, and the command.  Everything else may change from one release to the next.
"""

__version__ = "0.1.0"
