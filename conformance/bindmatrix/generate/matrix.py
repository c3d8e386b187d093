"""The exhaustive matrix of pairs: families of full products of the axes, cut into groups with readable ids.

Theory of operation.  A *family* is a full product: states x users x first endpoints x second endpoints x plans of the
first socket's options x option sets of the second.  A *group* is what one family has for one protocol, state, pair of
endpoints and relation of users; that is also its id: ``tcp.listening.any4.mapped-lo``, and with users
``udp.bound.dual.lo4.other-user``.  Inside a group the scenarios that share their first part stand together, so that a
judge walks each first part once.

How the axes multiply is written down once, in ``FAMILIES``; ``tests/generate/test_matrix.py`` holds the counts.
"""

from __future__ import annotations

import heapq
from collections import defaultdict
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby, product
from operator import itemgetter

from bindmatrix.errors import Place, Problem, nearest
from bindmatrix.generate.axes import DEFAULT_OPTIONS, ENDPOINT, MEETINGS, STATE, USER
from bindmatrix.generate.covering import covering
from bindmatrix.generate.group_id import GroupId
from bindmatrix.generate.matrix_spec import CLASSIC, FAMILIES, OTHER_FAMILIES, Family
from bindmatrix.generate.option_plans import (
    OptionPlan,
    first_part,
    needs_of,
    plain_plans,
    recorded_plans,
    second_part,
    tracked_plans,
)

#: profile -> what it holds
PROFILES: dict[str, str] = {
    "full": "every family, every combination",
    "pairs": "options in one order, set before bind or changed once: holds every recorded pair, state and user",
    "quick": "every value, every pair of values of two axes, and the plain pairs of the classic endpoints in full",
}

Cells = tuple[tuple[OptionPlan, tuple[OptionPlan, ...]], ...]


@dataclass(frozen=True)
class ScenarioGroup:
    """Scenarios of one protocol, state, pair of endpoints and relation of users.

    The scenarios are made when ``scenarios`` is read. ``needs`` are the features (rows of ``axes.FEATURES``) without
    which a host cannot run it; they are declared here, and the executor never tests them. ``cells`` are the plans of
    the first socket, each with the option sets of the second.
    """

    key: GroupId
    needs: frozenset[str]
    cells: Cells
    listens: bool

    @property
    def id(self) -> str:
        """Readable, stable, unique; ``GroupId.parse`` is the inverse."""
        return str(self.key)

    def __len__(self) -> int:
        return sum([len(seconds) for _, seconds in self.cells])

    @property
    def weight(self) -> int:
        """Cost in units of a scenario of two plain sockets, for balancing."""
        return len(self) * STATE[self.key.state].weight

    @property
    def scenarios(self) -> tuple[str, ...]:
        """The texts, in canonical form; made again each time, so that the whole matrix need not stay in memory."""
        protocol, state, users = self.key.protocol, STATE[self.key.state], USER[self.key.users]
        first, second = ENDPOINT[self.key.first], ENDPOINT[self.key.second]
        tails: dict[str, str] = {}
        texts: list[str] = []
        for plan, seconds in self.cells:
            head = first_part(protocol, state, first, users, plan)
            for options in seconds:
                tail = tails.get(options.label)
                if tail is None:
                    tail = " " + second_part(protocol, state, second, users, options, listens=self.listens)
                    tails[options.label] = tail
                texts.append(head + tail)
        return tuple(texts)


def matrix(
    profile: str = "full",
    *,
    options: Sequence[str] = DEFAULT_OPTIONS,
    users: bool = False,
    ipv6: bool = True,
    kinds: Collection[str] = (),
    shard: tuple[int, int] = (1, 1),
) -> Iterator[ScenarioGroup]:
    """The groups of a profile, in a fixed order.

    ``options``: those of the notation that the sockets set; the first two are combined most deeply.  ``users`` adds the
    groups that change users, ``ipv6=False`` leaves out all that need it.  ``kinds``: protocols beside TCP and UDP that
    the host has; the groups of those come last.  ``shard`` is (k, n): the k-th of n parts,
    counted from 1; a group is never cut, and the parts cost about the same.  Raises :class:`Problem` for a profile or
    shard that does not exist.
    """
    if profile not in PROFILES:
        raise Problem(
            Place("profile"),
            f"unknown profile {profile!r}; expected one of {', '.join(PROFILES)}" + nearest(profile, PROFILES),
        )
    groups = (
        group
        for family in (*FAMILIES, *[one for one in OTHER_FAMILIES if MEETINGS[one.protocol].needs <= set(kinds)])
        if users or family.users == ("one-user",)
        for group in _groups(family if ipv6 else family.without("ipv6"), profile, tuple(options))
    )
    return groups if shard == (1, 1) else iter(_part(list(groups), shard))


def _groups(family: Family, profile: str, options: tuple[str, ...]) -> Iterator[ScenarioGroup]:
    plans, seconds = _plans(family, profile, options)
    whole = tuple((plan, seconds) for plan in plans)
    chosen = _quick(family, plans, seconds) if profile == "quick" else {}
    for key in family.group_ids():
        cells = chosen.get(key, ()) if profile == "quick" else whole
        if cells:
            yield ScenarioGroup(
                key,
                needs_of(key.protocol, (ENDPOINT[key.first], ENDPOINT[key.second]), USER[key.users]),
                cells,
                family.listens,
            )


def _plans(
    family: Family, profile: str, options: tuple[str, ...]
) -> tuple[tuple[OptionPlan, ...], tuple[OptionPlan, ...]]:
    """The plans of the first socket's options, and the option sets of the second."""
    moments = STATE[family.states[0]].moments
    if profile == "pairs":
        return tuple(recorded_plans(options, moments if family.tracked else 1)), tuple(recorded_plans(options, 1))
    plain = tuple(plain_plans(options))
    return (tuple(tracked_plans(options, moments)) if family.tracked else plain), plain


def _quick(family: Family, plans: tuple[OptionPlan, ...], seconds: tuple[OptionPlan, ...]) -> dict[GroupId, Cells]:
    """A covering array of the family, and all plain pairs of the classic endpoints, in the order of the full matrix."""
    chosen: dict[GroupId, set[tuple[int, int]]] = defaultdict(set)
    axes = (family.states, family.users, family.first, family.second, plans, seconds)
    for state, users, first, second, plan, options in covering([len(axis) for axis in axes]):
        key = GroupId(
            family.protocol, family.states[state], family.first[first], family.second[second], family.users[users]
        )
        chosen[key].add((plan, options))
    if family.tracked:
        plain = [index for index, one in enumerate(plans) if one in seconds]
        for key in family.group_ids():
            if key.first in CLASSIC and key.second in CLASSIC:
                chosen[key].update(product(plain, range(len(seconds))))
    return {
        key: tuple(
            (plans[plan], tuple(seconds[index] for _, index in rest))
            for plan, rest in groupby(sorted(cells), key=itemgetter(0))
        )
        for key, cells in chosen.items()
    }


def _part(groups: list[ScenarioGroup], shard: tuple[int, int]) -> list[ScenarioGroup]:
    """The k-th of n parts: the heaviest group first, each to the part that is lightest so far."""
    which, parts = shard
    if not 1 <= which <= parts:
        raise Problem(Place("shard"), f"expected K/N with 1 <= K <= N, got {which}/{parts}")
    # a part beyond the number of groups gets none
    loads = [(0, part) for part in range(1, min(parts, len(groups)) + 1)]
    mine = set()
    for index in sorted(range(len(groups)), key=lambda index: (-groups[index].weight, index)):
        load, part = heapq.heappop(loads)
        heapq.heappush(loads, (load + groups[index].weight, part))
        if part == which:
            mine.add(index)
    return [group for index, group in enumerate(groups) if index in mine]
