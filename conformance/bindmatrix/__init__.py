"""bindmatrix: a conformance test matrix for what happens when sockets share a port."""

__version__ = "0.1.0"
