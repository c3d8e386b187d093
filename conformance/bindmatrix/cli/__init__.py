"""The command: one module a verb.  It reads the arguments, calls the rooms below and prints what they return."""
