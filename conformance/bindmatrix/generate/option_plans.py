"""The text of a scenario from values of the axes: the first socket's part and the second's.

A scenario of a pair is the first part, a space, the second part; all first parts and all second parts of a group are
made once, so a matrix costs one concatenation a scenario and no parsing.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import combinations, product
from typing import NamedTuple

from bindmatrix.generate.axes import MEETINGS, TRACKS, Endpoint, FirstState, Track, Users


class OptionPlan(NamedTuple):
    """When each option of one socket is set and cleared.

    ``label`` names options and tracks in the order of their calls: ``reuseport:1+reuseaddr:1|0``, or ``none``.
    ``moments`` are the calls before bind, after bind and after the state is reached, as ``option=value`` texts.
    """

    label: str
    moments: tuple[tuple[str, ...], ...]

    def steps(self, name: str, moment: int) -> str:
        """The calls of one moment on socket ``name``, each followed by a space."""
        return "".join([f"{name}.{call} " for call in self.moments[moment]])


NO_OPTIONS = OptionPlan("none", ((), (), ()))
PLAIN = TRACKS[0]


def plan(tracked: Sequence[tuple[str, Track]]) -> OptionPlan:
    """The plan that gives each option its track; within a moment the calls come in the order of ``tracked``."""
    if not tracked:
        return NO_OPTIONS
    return OptionPlan(
        "+".join([f"{option}:{track.text}" for option, track in tracked]),
        tuple(
            tuple(f"{option}={value}" for option, track in tracked for value in track.moments[moment])
            for moment in range(3)
        ),
    )


def tracks_of(moments: int) -> list[Track]:
    """The tracks that need no more than that many moments (1: all before bind)."""
    return [track for track in TRACKS if not any(track.moments[moments:])]


def plain_plans(options: Sequence[str]) -> list[OptionPlan]:
    """Every set of options, in the given order and, from two options on, reversed; all set before bind."""
    return [_plain(way) for chosen in _sets(options) for way in dict.fromkeys((chosen, chosen[::-1]))]


def tracked_plans(options: Sequence[str], moments: int) -> list[OptionPlan]:
    """The plain plans, then every track of one option, then every two tracks of the first two options.

    Both orders of a combination are there if its options meet in a moment.  Options from the third on are combined
    with others only plainly: every two tracks of every two of four options would be six times the matrix.
    """
    tracks = tracks_of(moments)
    combined = [track for track in tracks if not track.alone]
    plans = {one.label: one for one in plain_plans(options)}
    for option in options:
        for track in tracks:
            _add(plans, [(option, track)])
    if len(options) > 1:
        first, second = options[:2]
        for one in combined:
            for other in combined:
                _add(plans, [(first, one), (second, other)])
                if any(mine and yours for mine, yours in zip(one.moments, other.moments, strict=True)):
                    _add(plans, [(second, other), (first, one)])
    return list(plans.values())


def recorded_plans(options: Sequence[str], moments: int) -> list[OptionPlan]:
    """The plans of the recorded evidence: one order of plain options; one option given a value twice.

    The second time is the last of the ``moments`` that the state has; with one moment there is none.
    """
    plans = [_plain(chosen) for chosen in _sets(options)]
    if moments > 1:
        for option in options:
            for before, after in product("01", repeat=2):
                plans.append(plan([(option, Track(before + "|" * (moments - 1) + after, ""))]))
    return plans


def _sets(options: Sequence[str]) -> list[tuple[str, ...]]:
    return [chosen for size in range(len(options) + 1) for chosen in combinations(options, size)]


def _plain(options: Sequence[str]) -> OptionPlan:
    return plan([(option, PLAIN) for option in options])


def _add(plans: dict[str, OptionPlan], tracked: list[tuple[str, Track]]) -> None:
    made = plan(tracked)
    plans.setdefault(made.label, made)


def first_part(protocol: str, state: FirstState, first: Endpoint, users: Users, options: OptionPlan) -> str:
    """The steps before the second socket is made.  ``protocol`` is a row of MEETINGS."""
    head = f"{users.first} " if users.first else ""
    made = (
        f"{head}a={MEETINGS[protocol].first}{first.family} {_v6only('a', first)}{options.steps('a', 0)}"
        f"a.bind={first.address} {options.steps('a', 1)}"
    )
    if state.steps:
        made += f"{_filled(state, protocol, first)} {options.steps('a', 2)}"
    return made.rstrip()


def second_part(
    protocol: str, state: FirstState, second: Endpoint, users: Users, options: OptionPlan, listens: bool
) -> str:
    """The steps of the second socket; ``listens``: the late steps of the state and its own listen() follow its bind."""
    head = f"{users.second} " if users.second else ""
    made = (
        f"{head}b={MEETINGS[protocol].second}{second.family} {_v6only('b', second)}{options.steps('b', 0)}"
        f"b.bind={second.address}"
    )
    if listens:
        made += f" {state.late} b.listen" if state.late else " b.listen"
    return made


def needs_of(protocol: str, endpoints: Iterable[Endpoint], users: Users) -> frozenset[str]:
    """The features (rows of FEATURES) that a host must have."""
    return users.needs.union(MEETINGS[protocol].needs, *[endpoint.needs for endpoint in endpoints])


def _v6only(name: str, endpoint: Endpoint) -> str:
    return f"{name}.v6only={endpoint.v6only} " if endpoint.v6only else ""


def _filled(state: FirstState, protocol: str, first: Endpoint) -> str:
    return state.steps.format(
        a="a",
        c="c",
        x="x",
        kind=f"{MEETINGS[protocol].first}{first.client_family}",
        client=first.client,
        peer=first.peer,
    )
