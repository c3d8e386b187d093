"""Reports: every one renders the same view-model; none computes."""
