"""The explorer and the pages around it: static HTML that needs nothing else."""
