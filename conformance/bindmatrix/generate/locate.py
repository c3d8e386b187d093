"""The position of a scenario in the matrix: the inverse of ``matrix.py``.

A scenario of two sockets is split where the second one is made. The skeleton of the first part (its steps without the
options) gives the protocol, first endpoint, state and users; the options and the moments at which they were set are its
plan. This works for any scenario, recorded ones too; a scenario without a position is not in the matrix.
"""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

from bindmatrix.generate.axes import ENDPOINTS, PROTOCOLS, STATES, USERS, Endpoint, FirstState, Users
from bindmatrix.generate.option_plans import NO_OPTIONS, first_part, second_part
from bindmatrix.notation import OPTIONS


class First(NamedTuple):
    """The place of a first part.  ``plan`` is the label of a :class:`~bindmatrix.generate.option_plans.OptionPlan`."""

    protocol: str
    endpoint: str
    state: str
    users: str
    plan: str


class Second(NamedTuple):
    """The place of a second part: ``late`` when the first socket listens in it, ``listens`` when the second does."""

    protocol: str
    endpoint: str
    plan: str
    late: bool
    listens: bool


@lru_cache(maxsize=1)
def _skeletons() -> tuple[dict[str, tuple[str, str, str, str]], dict[str, tuple[str, str, bool, bool]]]:
    """The parts without options -> their place.  A second part lacks its first three letters, ``b=`` too."""
    firsts: dict[str, tuple[str, str, str, str]] = {}
    seconds: dict[str, tuple[str, str, bool, bool]] = {}
    one_user = USERS[0]
    for protocol in PROTOCOLS:
        for endpoint in ENDPOINTS:
            if protocol not in endpoint.protocols:
                continue
            for state in STATES:
                if protocol in state.protocols and (endpoint.peer or not state.steps):
                    _add_first(firsts, protocol, state, endpoint)
                    for listens in (False, True) if protocol == "tcp" else (False,):
                        text = second_part(protocol, state, endpoint, one_user, NO_OPTIONS, listens=listens)
                        place = (protocol, endpoint.label, bool(state.late) and listens, listens)
                        seconds.setdefault(text.removeprefix("b="), place)
    return firsts, seconds


@lru_cache(maxsize=1)
def _steps() -> tuple[frozenset[str], frozenset[str]]:
    """The steps of first and second parts other than options."""
    firsts, seconds = _skeletons()
    return frozenset(" ".join(firsts).split(" ")), frozenset(" ".join(seconds).split(" "))


def _add_first(
    firsts: dict[str, tuple[str, str, str, str]], protocol: str, state: FirstState, endpoint: Endpoint
) -> None:
    for users in USERS:
        text = first_part(protocol, state, endpoint, users, NO_OPTIONS) + _between(users)
        # a bound socket that listens late has the first part of one that does not
        firsts.setdefault(text, (protocol, endpoint.label, state.label, users.label))


def _between(users: Users) -> str:
    return " " + users.second if users.second else ""


def first(text: str) -> First | None:
    """The place of the text before `` b=``."""
    skeleton, plan = _taken_apart(text.split(" "), "a", _steps()[0])
    found = _skeletons()[0].get(skeleton)
    return First(*found, plan) if found is not None and plan is not None else None


def second(text: str) -> Second | None:
    """The place of the text after `` b=``."""
    skeleton, plan = _taken_apart(text.split(" "), "b", _steps()[1])
    found = _skeletons()[1].get(skeleton)
    if found is None or plan is None or "|" in plan:
        return None
    protocol, endpoint, late, listens = found
    return Second(protocol, endpoint, plan, late, listens)


def _taken_apart(words: list[str], name: str, known: frozenset[str]) -> tuple[str, str | None]:
    """The steps without options, and the label of the plan; None if a state has an option between its steps.

    A step that is not ``known`` is not part of the matrix.
    """
    rest = []
    tracks: dict[str, list[str]] = {}
    moment = 0
    midst = False
    for word in words:
        head, _, value = word.partition("=")
        socket, _, option = head.partition(".")
        if socket == name and option in OPTIONS and option != "v6only":
            tracks.setdefault(option, ["", "", ""])[moment] += value
            continue
        if word not in known:
            return "", None
        rest.append(word)
        if socket == name and option == "bind":
            moment = 1
        elif moment and head != "user":
            # nothing may come between the calls that make a state, its options stand after the last of them
            midst = midst or any(values[2] for values in tracks.values())
            moment = 2
    return " ".join(rest), None if midst else _label(tracks)


def _label(tracks: dict[str, list[str]]) -> str:
    if not tracks:
        return NO_OPTIONS.label
    return "+".join([f"{option}:{'|'.join(moments).rstrip('|')}" for option, moments in tracks.items()])
