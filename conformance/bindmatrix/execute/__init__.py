"""Runs scenarios on a kernel, here or far away: the one-file executor, and what starts it and reads its answers.

Scenarios come from ``generate``, raw observation lines go to ``observe``.
"""
