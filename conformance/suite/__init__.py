"""The live suite: pytest --pyargs conformance.suite runs the matrix on this kernel."""
