"""Recordings by anybody: the file that records a machine, and what such a recording settles."""
