"""Checks the expectation files: against themselves, against each other and against the recorded evidence."""
