"""The live suite: ``pytest --pyargs bindmatrix.suite`` runs the matrix on this kernel, through ``run``."""
