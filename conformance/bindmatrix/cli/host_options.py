"""The arguments that say where scenarios run: ``--on HOST``, ``--hosts FILE``; ``run`` and ``observe`` have them."""

from __future__ import annotations

import argparse
import re
from dataclasses import replace

from bindmatrix.cli import scenario_options
from bindmatrix.errors import Place, Problem
from bindmatrix.execute import local
from bindmatrix.execute.hosts import FILE, HostSpec, host_spec, read_hosts

_UNFIT = re.compile(r"[^A-Za-z0-9._+]+")


def configure(parser: argparse.ArgumentParser, *, several: bool) -> None:
    """Add the arguments."""
    parser.add_argument(
        "--on",
        action="append" if several else "store",
        metavar="HOST",
        help="local (default), python=PATH, ssh=[USER@]HOST, via=COMMAND that starts Python, or a name from "
        f"{FILE}" + ("; repeatable, the hosts run side by side" if several else ""),
    )
    parser.add_argument(
        "--executor",
        choices=("python", "c"),
        default="python",
        help="c: compile executor.c once and run it, on this machine only",
    )
    parser.add_argument(
        "--hosts", type=scenario_options.path, metavar="FILE", help=f"a file of named hosts (default ./{FILE})"
    )


def chosen(arguments: argparse.Namespace) -> list[HostSpec]:
    """The hosts, each with a name of its own; raises :class:`~bindmatrix.errors.BindmatrixError`."""
    words = arguments.on or ["local"]
    words = [words] if isinstance(words, str) else words
    named = read_hosts(arguments.hosts) if arguments.hosts or arguments.on else {}
    specs: list[HostSpec] = []
    taken: set[str] = set()
    for word in words:
        spec = host_spec(word, named)
        name = next(name for count in range(1, 10_000) if folder_name(name := _numbered(spec.name, count)) not in taken)
        taken.add(folder_name(name))
        if arguments.executor == "c" and (spec.ssh or spec.via or spec.python or not local.PIPES_CAN_BE_WATCHED):
            raise Problem(Place("--executor c"), f"works only on this machine, with POSIX; {spec.name} runs Python")
        specs.append(replace(spec, name=name, workers=arguments.workers or spec.workers, executor=arguments.executor))
    return specs


def _numbered(name: str, count: int) -> str:
    return name if count == 1 else f"{name} {count}"


def folder_name(name: object) -> str:
    """A host name as the name of a folder, without path separators."""
    return _UNFIT.sub("-", str(name)).strip("-.")[:80] or "host"
