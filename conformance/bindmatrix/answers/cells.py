"""The pair matrix as the rules decide it, as small grids: ``expectations/cells/<os>.txt``.

Rows are where the first socket is bound, columns where the second one binds, one grid for each pair of option sets;
the grids of one option set of the first socket stand side by side.  The files are generated and checked in, so that an
edit of a rule shows in the diff which cells it changed; a test regenerates them.

The newest releases are printed in full. The layout of their grids depends only on the options that the system has, so a
changed cell is one changed letter. For the other releases only the cells that differ are printed, and releases with the
same cells share their grids. Known divergences are left out: the grids show the rules. ``symbol`` and the table above
it are the legend, which every file repeats.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import product
from typing import NamedTuple

from bindmatrix.notation import step
from bindmatrix.oracle.oracle import Edge, Node, Oracle
from bindmatrix.oracle.variants import Variant, variants
from bindmatrix.outcomes import ANY_ERROR, Expected
from bindmatrix.rules import catalog
from bindmatrix.rules.boundaries import Stretch, ranges, stretches
from bindmatrix.rules.model import Expectations, Model


class GridEndpoint(NamedTuple):
    """Where a socket is bound.  ``mark`` heads its column; ``group`` sets columns apart."""

    mark: str
    name: str
    group: int
    family: str
    address: str
    v6only: str = ""


#: in the order of rows and columns
ENDPOINTS: tuple[GridEndpoint, ...] = (
    GridEndpoint("0", "0.0.0.0", 4, "4", "0.0.0.0"),
    GridEndpoint("1", "127.0.0.1", 4, "4", "127.0.0.1"),
    GridEndpoint("2", "127.0.0.2", 4, "4", "127.0.0.2"),
    GridEndpoint("g", "224.0.0.251", 4, "4", "224.0.0.251"),
    GridEndpoint("d", ":: dual", 6, "6", "::", "0"),
    GridEndpoint("s", ":: V6ONLY", 6, "6", "::", "1"),
    GridEndpoint("l", "::1", 6, "6", "::1"),
    GridEndpoint("f", "ff02::fb", 6, "6", "ff02::fb"),
    GridEndpoint("z", "::ffff:0.0.0.0", 7, "6", "::ffff:0.0.0.0", "0"),
    GridEndpoint("m", "::ffff:127.0.0.1", 7, "6", "::ffff:127.0.0.1", "0"),
)
_GROUPS = ("224.0.0.251", "ff02::fb")

#: name in the grids -> options that are set before bind, in this order
OPTION_SETS: dict[str, tuple[str, ...]] = {
    "none": (),
    "RA": ("reuseaddr",),
    "RP": ("reuseport",),
    "RA+RP": ("reuseaddr", "reuseport"),
    "LB": ("reuseport_lb",),
    "EX": ("exclusive",),
    "EB": ("exclbind",),
}

#: heading -> protocol and the step that follows the first bind
STATES: dict[str, tuple[str, str]] = {
    "TCP, first bound": ("tcp", ""),
    "TCP, first listening": ("tcp", "a.listen"),
    "UDP": ("udp", ""),
}

_ERRORS: dict[str, str] = {
    "EADDRINUSE": "E",
    "EACCES": "A",
    "EADDRNOTAVAIL": "n",
    "EINVAL": "i",
    "EAFNOSUPPORT": "f",
    ANY_ERROR: "!",
}
_OTHER_ERROR, _ONE_OF, _UNKNOWN, _NOT_LISTENING, _NOT_APPLICABLE, _OK = "x", "~", "?", "L", "-", "."

LEGEND = f"""\
  {_OK} ok              E EADDRINUSE   A EACCES   n EADDRNOTAVAIL   i EINVAL   f EAFNOSUPPORT   x another error
  ! fails, the error is not known   ~ one of several errors   {_UNKNOWN} unknown
  L bind() is ok, but the listen() of the second socket fails
  - does not apply: the first socket, or an option of the second, is refused by itself
  RA SO_REUSEADDR   RP SO_REUSEPORT   LB SO_REUSEPORT_LB   EX SO_EXCLUSIVEADDRUSE   EB SO_EXCLBIND
"""

#: (heading, set of the first, set of the second, mark of the first, mark of the second)
Key = tuple[str, str, str, str, str]
GridCells = Mapping[Key, str]

_INDENT, _LABEL, _GAP = "  ", 18, "   "
#: how a cell that is the same as in the newest releases is shown in the others
_SAME = " "


def symbol(expected: Expected) -> str:
    """The letter for what a bind() returns."""
    if expected is None:
        return _UNKNOWN
    if isinstance(expected, tuple):
        return _ONE_OF
    return _OK if expected == "ok" else _ERRORS.get(expected, _OTHER_ERROR)


def cells(variant: Variant) -> dict[Key, str]:
    """Every cell of one variant; the order is that of the grids."""
    found: dict[Key, str] = {}
    oracle = variant.oracle
    sets = option_sets(variant.model)
    for heading, (protocol, after) in STATES.items():
        points = endpoints(protocol)
        seconds = {
            (name, point.mark): _program("b", protocol, point, options)
            for (name, options), point in product(sets.items(), points)
        }
        for (name, options), point in product(sets.items(), points):
            words = [*_program("a", protocol, point, options), *([after] if after else [])]
            node, refused = _walk(oracle, oracle.start, words)
            for (other, mark), program in seconds.items():
                cell = refused or _second(oracle, node, program, listens=protocol == "tcp")
                found[heading, name, other, point.mark, mark] = cell
    return found


def endpoints(protocol: str) -> list[GridEndpoint]:
    """The endpoints of the grids of a protocol: TCP has no groups."""
    return [point for point in ENDPOINTS if protocol == "udp" or point.name not in _GROUPS]


def option_sets(model: Model) -> dict[str, tuple[str, ...]]:
    """The option sets that a release has."""
    times = model.stack.options
    return {
        name: options
        for name, options in OPTION_SETS.items()
        if all(times.get(option, "absent") != "absent" for option in options)
    }


def _program(socket: str, protocol: str, point: GridEndpoint, options: Sequence[str]) -> list[str]:
    """The steps that make a socket, up to and with its bind."""
    words = [f"{socket}={protocol}{point.family}"]
    if point.v6only:
        words.append(f"{socket}.v6only={point.v6only}")
    return [*words, *(f"{socket}.{option}=1" for option in options), f"{socket}.bind={point.address}"]


def _walk(oracle: Oracle, node: Node, words: Sequence[str]) -> tuple[Node, str]:
    """Where ``words`` lead, and the symbol to show when one of them is not ok ("" when all are)."""
    for word in words:
        edge: Edge = oracle.edge(node, step(word))
        if edge.expected != "ok":
            return node, _UNKNOWN if edge.expected is None else _NOT_APPLICABLE
        node = edge.node
    return node, ""


def _second(oracle: Oracle, node: Node, program: Sequence[str], *, listens: bool) -> str:
    node, refused = _walk(oracle, node, program[:-1])
    if refused:
        return refused
    bind = oracle.edge(node, step(program[-1]))
    cell = symbol(bind.expected)
    if cell == _OK and listens:
        listening = oracle.edge(bind.node, step("b.listen")).expected
        if listening != "ok":
            return _UNKNOWN if listening is None else _NOT_LISTENING
    return cell


# -- text


def render(os: str) -> str:
    """The file of a system; raises :class:`~bindmatrix.errors.Problem` for one that does not exist."""
    expectations = catalog.expectations(os)
    every = stretches(expectations)
    classes = _classes(expectations)
    newest = next(stretch for stretch in reversed(every) if not stretch.branch)
    full = next(found for found, chosen in classes if newest in chosen)
    parts = [_head(expectations, classes, full, every)]
    parts += _bands(full)
    for found, chosen in classes:
        if found is not full:
            title = f"{expectations.title} {', '.join(ranges(expectations, chosen, every))}"
            count = sum(cell != full.get(key) for key, cell in found.items())
            parts.append(f"== {title}: only the {count:,} cells that differ (blank: the same as above)\n")
            parts += _bands({key: _SAME if full.get(key) == cell else cell for key, cell in found.items()})
    return "\n".join(parts)


def _classes(expectations: Expectations) -> list[tuple[dict[Key, str], list[Stretch]]]:
    """The stretches that have the same cells, with these."""
    classes: list[tuple[dict[Key, str], list[Stretch]]] = []
    for variant in variants(expectations):
        found = cells(variant)
        for other, chosen in classes:
            if other == found:
                chosen += variant.stretches
                break
        else:
            classes.append((found, list(variant.stretches)))
    return classes


def _head(
    expectations: Expectations,
    classes: Sequence[tuple[GridCells, Sequence[Stretch]]],
    full: GridCells,
    every: Sequence[Stretch],
) -> str:
    chosen = next(chosen for found, chosen in classes if found is full)
    return (
        f"{expectations.title}: what the bind() of a second socket returns, by the rules of {expectations.os}.yaml.\n"
        "Generated by `bindmatrix regenerate`; never edit it by hand.\n\n"
        "Rows: where the first socket is bound; columns: where the second one binds, one letter each; one grid for\n"
        "each option set of the first (in the heading) and of the second (above the grid).\n\n"
        f"{LEGEND}\n"
        f"== {expectations.title} {', '.join(ranges(expectations, chosen, every))}\n"
    )


def _bands(found: GridCells) -> Iterator[str]:
    """For each state and option set of the first socket its grids side by side; those without a cell are left out."""
    sets = list(dict.fromkeys(key[1] for key in found))
    for heading, (protocol, _) in STATES.items():
        points = endpoints(protocol)
        for first in sets:
            rows = [
                f"{_INDENT}{point.mark} {point.name:<{_LABEL}}"
                + _GAP.join(
                    _row([found[heading, first, second, point.mark, other.mark] for other in points], points)
                    for second in sets
                )
                for point in points
                if any(
                    found[heading, first, second, point.mark, other.mark] != _SAME
                    for second, other in product(sets, points)
                )
            ]
            if rows:
                marks = _row([point.mark for point in points], points)
                margin = " " * (len(_INDENT) + 2 + _LABEL)
                names = margin + _GAP.join(name.ljust(len(marks)) for name in sets)
                lines = [f"{heading}, {first} on the first", names, margin + _GAP.join([marks] * len(sets)), *rows]
                yield "\n".join(line.rstrip() for line in lines) + "\n"


def _row(letters: Sequence[str], points: Sequence[GridEndpoint]) -> str:
    text = ""
    for index, (letter, point) in enumerate(zip(letters, points, strict=True)):
        text += " " if index and points[index - 1].group != point.group else ""
        text += letter
    return text
