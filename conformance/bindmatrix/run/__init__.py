"""A complete run: plan, generate, execute, judge, on one host or on several. ``cli`` and ``suite`` start it."""
