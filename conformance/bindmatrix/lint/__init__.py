"""Checks of the expectation files: against themselves, against each other, against the recorded evidence."""
