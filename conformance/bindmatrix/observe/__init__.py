"""Observations: the record of what a kernel answered, as JSON Lines."""
