"""The arguments of the verbs that generate scenarios."""

from __future__ import annotations

import argparse
from pathlib import Path

from bindmatrix.errors import whole_number
from bindmatrix.execute.hosts import MOST_WORKERS
from bindmatrix.run.plan import Plan

_QUICK_EXAMPLES = 1000
_EXAMPLES = 20_000
_QUICK_DELIVERIES = 100
_DELIVERIES = 600
#: numbers of more than 18 digits are refused
_MOST_WHOLE = 10**18 - 1


def configure(parser: argparse.ArgumentParser) -> None:
    """``--quick --examples --deliveries --seed --shard``."""
    parser.add_argument("--quick", action="store_true", help="a pairwise sample of the matrix")
    parser.add_argument(
        "--examples",
        type=whole,
        metavar="N",
        help=f"random sequences of 2 to 6 sockets, and a quarter as many of calls in any order (default {_EXAMPLES:,})",
    )
    parser.add_argument(
        "--deliveries",
        type=whole,
        metavar="N",
        help=f"random scenarios of who receives, some of 32 sends each (default {_DELIVERIES})",
    )
    parser.add_argument("--seed", type=whole, default=0, metavar="N", help="random seed (default 0)")
    parser.add_argument("--shard", type=_shard, default=(1, 1), metavar="K/N", help="run the K-th of N parts")


def chosen(arguments: argparse.Namespace) -> list[str]:
    """The given options that select what to generate."""
    names = ("quick", "examples", "deliveries", "seed", "shard")
    usual = {"quick": False, "seed": 0, "shard": (1, 1)}
    return [f"--{name}" for name in names if getattr(arguments, name) != usual.get(name)]


def plan(arguments: argparse.Namespace) -> Plan:
    """The plan that the arguments describe."""
    examples = arguments.examples
    if examples is None:
        examples = _QUICK_EXAMPLES if arguments.quick else _EXAMPLES
    deliveries = arguments.deliveries
    if deliveries is None:
        deliveries = _QUICK_DELIVERIES if arguments.quick else _DELIVERIES
    profile = "quick" if arguments.quick else "full"
    return Plan(profile, examples, arguments.seed, arguments.shard, deliveries=deliveries)


def whole(text: str) -> int:
    """A whole number, for argparse."""
    number = whole_number(text, _MOST_WHOLE)
    if number is None:
        raise argparse.ArgumentTypeError(f"expected a whole number of at most 18 digits, got {text[:80]!r}")
    return number


def workers(text: str) -> int:
    """A number of processes, for argparse."""
    number = whole_number(text, MOST_WORKERS)
    if not number:
        raise argparse.ArgumentTypeError(f"expected a number from 1 to {MOST_WORKERS}, got {text[:80]!r}")
    return number


def path(text: str) -> Path:
    """A file or folder, for argparse; an empty word would be the current folder."""
    if not text:
        raise argparse.ArgumentTypeError("expected the name of a file or folder, got nothing (is a variable empty?)")
    return Path(text)


def port(text: str) -> int:
    """The number of a port, for argparse."""
    number = whole_number(text, 65535)
    if not number:
        raise argparse.ArgumentTypeError(f"expected a port from 1 to 65535, got {text[:80]!r}")
    return number


def _shard(text: str) -> tuple[int, int]:
    part, slash, parts = text.partition("/")
    of = whole_number(parts, _MOST_WHOLE) or 0
    number = whole_number(part, of)
    if not (slash and number):
        raise argparse.ArgumentTypeError(f"expected K/N with K from 1 to N, got {text[:80]!r}")
    return number, of
