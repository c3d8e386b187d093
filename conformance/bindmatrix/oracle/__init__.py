"""The engine: what each step of a scenario returns by the rules of one release.  It knows no operating system.

``judge``, ``answers``, ``reproduce`` and ``lint`` ask it; it gets rules from ``rules`` and scenarios from ``notation``.
"""
