"""Hypothesis strategies over the same tables as the matrix: pairs that draw a value per axis, and free sequences.

Everything is drawn from tuples that go from the plainest value to the most exotic one, so a failure shrinks to the
fewest sockets and steps, 0.0.0.0 before other addresses, tcp4 before others, no option before options, and the names a,
b, c in the order of arrival; ``tests/generate/test_strategies.py`` says what to.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import NamedTuple

from hypothesis import strategies as st

from bindmatrix.generate.axes import DEFAULT_OPTIONS, ENDPOINTS, PROTOCOLS, STATES, USERS, Endpoint, Users
from bindmatrix.generate.option_plans import PLAIN, OptionPlan, first_part, plan, second_part, tracks_of
from bindmatrix.generate.sequences import Arrival, Event, Move, Vocabulary, render
from bindmatrix.notation import Scenario, parse


def pairs(
    *,
    options: Sequence[str] = DEFAULT_OPTIONS,
    users: bool = False,
    ipv6: bool = True,
    lacking: Collection[str] = (),
) -> st.SearchStrategy[Scenario]:
    """Two sockets, a value of every axis drawn; also the combinations that the matrix leaves out.

    ``lacking``: further features (rows of ``axes.FEATURES``) to do without.
    """
    without = {*lacking, *(() if ipv6 else ("ipv6",)), *(() if users else ("users",))}
    endpoints = [one for one in ENDPOINTS if not one.needs & without]
    between = st.sampled_from([one for one in USERS if not one.needs & without])
    # made once, not in each draw: that halves the time of an example
    return st.sampled_from(PROTOCOLS).flatmap(
        {protocol: _pairs_of(protocol, endpoints, between, options) for protocol in PROTOCOLS}.__getitem__
    )


def _pairs_of(
    protocol: str, endpoints: Sequence[Endpoint], between: st.SearchStrategy[Users], options: Sequence[str]
) -> st.SearchStrategy[Scenario]:
    bindable = [one for one in endpoints if protocol in one.protocols]
    anywhere = st.sampled_from(bindable)
    reachable = st.sampled_from([one for one in bindable if one.peer])
    states = st.sampled_from([one for one in STATES if protocol in one.protocols])
    plans = {moments: _plans(options, moments) for moments in range(4)}

    @st.composite
    def scenario(draw: st.DrawFn) -> Scenario:
        state = draw(states)
        first = draw(reachable if ".connect" in state.steps else anywhere)
        second = draw(anywhere)
        users = draw(between)
        mine, yours = draw(plans[state.moments]), draw(plans[0])
        # drawn for datagrams too: a failure can then shrink from udp to tcp without becoming longer
        listens = draw(st.booleans()) and protocol == "tcp"
        head = first_part(protocol, state, first, users, mine)
        return parse(f"{head} {second_part(protocol, state, second, users, yours, listens=listens)}")

    return scenario()


def sequences(
    *,
    min_sockets: int = 2,
    max_sockets: int = 6,
    options: Sequence[str] = DEFAULT_OPTIONS,
    users: bool = False,
    connections: bool = True,
    ipv6: bool = True,
    lacking: Collection[str] = (),
) -> st.SearchStrategy[Scenario]:
    """Free sequences of the kind that ``sequences.random_sequences`` draws; ``connections=False``: nothing connects."""
    vocabulary = Vocabulary(options, users=users, connections=connections, ipv6=ipv6, lacking=lacking)

    def scenario(protocol: str, drawn: list[_Drawn]) -> Scenario:
        return parse(render(_events(vocabulary, protocol, drawn, min_sockets, max_sockets)))

    # one flat list, so that anything can be taken out.  Its least size only makes the lists long: the plainest element
    # is no event at all
    return st.builds(
        scenario, st.sampled_from(PROTOCOLS), st.lists(_drawn(vocabulary), min_size=_EVENTS, max_size=4 * _EVENTS)
    )


#: Hypothesis draws lists of about twice their least size
_EVENTS = 7

#: how often the elements of a list are arrivals and moves; the first is no event
_KINDS = ("", "arrive", "arrive", "arrive", "arrive", "close", "listen", "set", "bind", "connect", "user")


class _Coming(NamedTuple):
    """An arrival whose protocol is not chosen yet."""

    #: "" is the protocol of the sequence.  The two by name, so that the sequence can shrink to tcp around this socket
    protocol: str
    #: place in the endpoints of its protocol
    endpoint: int
    options: tuple[str, ...]
    again: bool


_Drawn = _Coming | Move | None


def _drawn(vocabulary: Vocabulary) -> st.SearchStrategy[_Drawn]:
    """An element of the list; its kind is drawn first, the plainest is none."""
    most = max(len(endpoints) for endpoints in vocabulary.endpoints.values())
    calls = st.lists(st.sampled_from(vocabulary.calls), max_size=3) if vocabulary.calls else st.just([])
    coming = st.builds(
        _Coming,
        # one in seven mixes: the port of the other protocol is another one
        st.sampled_from(("",) * 12 + PROTOCOLS),
        st.integers(0, most - 1),
        calls.map(tuple),
        st.booleans(),
    )
    of_kind: dict[str, st.SearchStrategy[_Drawn]] = {"": st.none(), "arrive": coming}
    for kind, details in vocabulary.details.items():
        of_kind[kind] = st.builds(Move, st.just(kind), st.integers(0, 5), st.sampled_from(details))
    return st.sampled_from([kind for kind in _KINDS if kind in of_kind]).flatmap(of_kind.__getitem__)


def _events(vocabulary: Vocabulary, protocol: str, drawn: list[_Drawn], least: int, most: int) -> list[Event]:
    """No more than ``most`` arrivals; plain sockets at the end where there are fewer than ``least``."""
    events: list[Event] = []
    arrived = 0
    for one in drawn:
        if isinstance(one, Move):
            events.append(one)
        elif one is not None and arrived < most:
            kind = one.protocol or protocol
            endpoints = vocabulary.endpoints[kind]
            events.append(Arrival(kind, endpoints[one.endpoint % len(endpoints)], one.options, one.again))
            arrived += 1
    plain = Arrival(protocol, vocabulary.endpoints[protocol][0])
    return events + [plain] * (least - arrived)


def _plans(options: Sequence[str], moments: int) -> st.SearchStrategy[OptionPlan]:
    """Options with a track each, in the order of their calls; without moments every track is the plain one."""
    if not options:
        return st.just(plan(()))
    tracks = st.sampled_from(tracks_of(moments)) if moments else st.just(PLAIN)
    tracked = st.tuples(st.sampled_from(options), tracks)
    return st.lists(tracked, max_size=len(options), unique_by=lambda one: one[0]).map(plan)
