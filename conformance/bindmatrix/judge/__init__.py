"""Judge observations against expectations: verdicts, known divergences, shrinking."""
