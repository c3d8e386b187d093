"""Writes a C program, a Python program and a bug report for one scenario.

What is expected comes from ``answers`` and the oracle, the texts go to files.
"""
