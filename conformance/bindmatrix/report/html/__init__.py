"""The HTML matrix: one file that needs nothing else."""
