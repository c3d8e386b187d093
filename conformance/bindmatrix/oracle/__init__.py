"""The engine: predicts what each step of a scenario returns, by the rules of one release. It knows no operating system.

``judge``, ``answers``, ``reproduce`` and ``lint`` use it. Rules come from ``rules``, scenarios from ``notation``.
"""
