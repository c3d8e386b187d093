"""The data of the explorer: JSON for tables of text, a number for each question and system, all of it deflated.

Layout before compression, little-endian::

    u32   length of the JSON, padded with spaces so that what follows is aligned
    ...   JSON (``_header``)
    u16   number of the answer to each question, system after system

``data.js`` reads this and must change with it.
"""

from __future__ import annotations

import base64
import json
import sys
import zlib
from array import array
from collections.abc import Mapping, Sequence
from dataclasses import astuple
from typing import Any

from bindmatrix.advice.recipes import Recipe
from bindmatrix.advice.runtime_questions import QUESTIONS, RuntimeQuestion
from bindmatrix.answers.explorer import KINDS, AskedScenario, Band, SystemTable
from bindmatrix.answers.questions import AXES, LISTED_PRESETS, PLAIN, PRESETS, grammar


def encode(
    systems: Sequence[SystemTable],
    listed: Sequence[AskedScenario],
    runtimes: Sequence[RuntimeQuestion],
    methods: Mapping[str, str],
    advised: Sequence[Recipe],
) -> str:
    """The data as base64 text; ``methods``: a word for how something is known -> its meaning."""
    text = json.dumps(
        _header(systems, listed, runtimes, methods, advised), separators=(",", ":"), ensure_ascii=True
    ).encode()
    text += b" " * (-len(text) % 4)
    pieces = [len(text).to_bytes(4, "little"), text]
    for system in systems:
        column = array("H", system.column)
        if sys.byteorder == "big":
            column.byteswap()
        pieces.append(column.tobytes())
    return base64.b64encode(zlib.compress(b"".join(pieces), 9)).decode("ascii")


def _header(
    systems: Sequence[SystemTable],
    listed: Sequence[AskedScenario],
    runtimes: Sequence[RuntimeQuestion],
    methods: Mapping[str, str],
    advised: Sequence[Recipe],
) -> dict[str, Any]:
    strings: dict[str, int] = {}

    def band(one: Band) -> list[int]:
        words = [", ".join(value) if isinstance(value, tuple) else value for value in astuple(one)]
        return [strings.setdefault(word, len(strings)) for word in words]

    tables = []
    for system in systems:
        bands: dict[Band, int] = {}
        answers = [[bands.setdefault(one, len(bands)) for one in answer] for answer in system.answers]
        tables.append(
            {
                "os": system.os,
                "title": system.title,
                "covers": system.covers,
                "bands": list(map(band, bands)),
                "answers": answers,
            }
        )
    number = {asked: index for index, asked in enumerate(listed)}
    programs: dict[str, dict[str, Any]] = {}
    for question in runtimes:
        row = question.runtime
        program = programs.setdefault(
            row.id,
            {
                "id": row.id,
                "runtime": row.runtime,
                "version": row.version,
                "call": row.call,
                "note": row.note,
                "asked": {},
            },
        )
        program["asked"][question.id] = {os: number[asked] for os, asked in question.asked.items()}
        program["without"] = dict(row.without)
        program["verified"] = {os: row.verified(os) for os in question.asked}
    return {
        "kinds": KINDS,
        "methods": methods,
        "grammar": grammar(),
        "plain": PLAIN,
        "presets": [
            *([one.topic, one.question, [one.choice[axis] for axis in AXES], one.goal] for one in PRESETS),
            *map(list, LISTED_PRESETS),
        ],
        "questions": QUESTIONS,
        "goals": _goals(advised),
        "runtimes": list(programs.values()),
        "listed": [one.text for one in listed],
        "count": len(systems[0].column) if systems else 0,
        "systems": tables,
        "band": [*Band.__dataclass_fields__],
        "strings": list(strings),
    }


def _goals(advised: Sequence[Recipe]) -> list[dict[str, Any]]:
    """What can be wanted of a port, and the options for it: ``everywhere`` are sets that do on every system."""
    found = []
    for goal, place in dict.fromkeys((one.goal, one.place) for one in advised):
        rows = [one for one in advised if (one.goal, one.place) == (goal, place)]
        everywhere = [chosen for chosen in rows[0].works if all(chosen in row.works for row in rows)]
        sets: dict[str, list[str]] = {}
        for row in rows:
            sets.setdefault(row.words, []).append(row.os)
        found.append(
            {
                "id": goal.id,
                "title": f"{goal.title}: {place.title}",
                "note": goal.note,
                "everywhere": [chosen.words for chosen in everywhere],
                "sets": list(sets.items()),
            }
        )
    return found
