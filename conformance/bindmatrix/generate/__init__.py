"""Makes scenarios: the exhaustive matrix, and random sequences, calls and deliveries.  ``execute`` runs them."""
