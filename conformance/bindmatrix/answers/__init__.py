"""What is known without running anything: the oracle is asked about systems, claims, cells and open questions.

The view-models go to ``report``; the generated files under ``expectations/`` and ``docs/`` are printed here.
"""
