"""Renders view-models of ``judge`` and ``answers`` as terminal text, Markdown, JUnit XML, HTML and issues.

Nothing is judged, counted or read from files here.
"""
