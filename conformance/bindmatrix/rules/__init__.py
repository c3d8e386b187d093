"""Expectation files as data. The loader reads the YAML; ``oracle`` gets the rules of one release."""
