"""Execute scenarios on a kernel: the one-file executor and what runs it here."""
