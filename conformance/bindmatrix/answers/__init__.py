"""Answers that need no run: the oracle predicts for systems, claims, cells and open questions.

The view-models go to ``report``; the generated files under ``expectations/`` and ``docs/`` are printed here.
"""
