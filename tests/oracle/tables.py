"""Two compact ways to write what a system does: scenarios one below the other, and the tables of sixteen cases."""

from __future__ import annotations

import itertools
import textwrap


def read(text: str) -> list[tuple[str, str, str]]:
    """Name, scenario and the steps that are not ok, of ``NAME:`` and, indented below, ``SCENARIO => b.bind=EINVAL``.

    A scenario without ``=>`` is ok in every step.
    """
    paragraphs: dict[str, str] = {}
    name = ""
    for line in textwrap.dedent(text).strip().splitlines():
        if line.startswith(" "):
            paragraphs[name] += line
        else:
            name = line.removesuffix(":")
            paragraphs[name] = ""
    cases = []
    for name, paragraph in paragraphs.items():
        scenario, _, refused = paragraph.partition("=>")
        cases.append((name, " ".join(scenario.split()), " ".join(refused.split())))
    return cases


def pairs(first: str, second: str, cells: str) -> list[tuple[str, str, str]]:
    """The sixteen cases of a table such as ``EEEE E.E. EEEE E.E.``, E for EADDRINUSE.

    ``first`` and ``second`` are the steps of the two sockets, without those of their options.  Four groups for
    SO_REUSEADDR and SO_REUSEPORT of the first as 00 01 10 11, in each group those of the second in the same order.
    """
    cases = []
    switches = list(itertools.product((0, 1), repeat=4))
    for (addr, port, new_addr, new_port), cell in zip(switches, cells.replace(" ", ""), strict=True):
        options = {"a": (addr, port), "b": (new_addr, new_port)}
        words = []
        for step in f"{first} {second}".split():
            if ".bind" in step:
                ours = zip(("reuseaddr", "reuseport"), options[step[0]], strict=True)
                words += [f"{step[0]}.{option}=1" for option, on in ours if on]
            words.append(step)
        cases.append(
            (f"{addr}{port}-{new_addr}{new_port}", " ".join(words), "b.bind=EADDRINUSE" if cell == "E" else "")
        )
    return cases
