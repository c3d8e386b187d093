"""A run from end to end: plan, generate, execute, judge, on one host or on several; ``cli`` and ``suite`` start it."""
