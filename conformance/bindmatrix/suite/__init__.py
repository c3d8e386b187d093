"""The live suite: runs the matrix on this kernel, through ``run``.

pip install 'bindmatrix[suite]'
pytest --pyargs bindmatrix.suite
"""
