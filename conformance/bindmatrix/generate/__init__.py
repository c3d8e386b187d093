"""Generate scenarios: the table of axes, the exhaustive matrix, the Hypothesis strategies."""
