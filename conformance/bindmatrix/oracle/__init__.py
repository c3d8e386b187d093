"""The oracle: expectation files and the engine that interprets them.  It knows no operating system."""
