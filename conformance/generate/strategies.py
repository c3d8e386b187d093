"""Hypothesis strategies over the same tables as the matrix: pairs that draw a value per axis, and free sequences.

Everything is drawn from tuples that go from the plainest value to the most exotic one, so a failure shrinks to the
fewest sockets and steps, 0.0.0.0 before other addresses, tcp4 before others, no option before options, and the names a,
b, c in the order of arrival; ``tests/generate/test_strategies.py`` says what to.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence

from hypothesis import strategies as st

from conformance.generate.axes import DEFAULT_OPTIONS, ENDPOINTS, PROTOCOLS, STATES, USERS, Endpoint, State
from conformance.generate.programs import PLAIN, Plan, first_part, plan, second_part, tracks_of
from conformance.generate.sequences import Arrival, Move, Vocabulary, render
from conformance.notation import Scenario, parse


@st.composite
def pairs(
    draw: st.DrawFn,
    *,
    options: Sequence[str] = DEFAULT_OPTIONS,
    users: bool = False,
    ipv6: bool = True,
    lacking: Collection[str] = (),
) -> Scenario:
    """Two sockets, a value of every axis drawn; also the combinations that the matrix leaves out.

    ``lacking``: further features (rows of ``axes.FEATURES``) to do without.
    """
    without = {*lacking, *(() if ipv6 else ("ipv6",)), *(() if users else ("users",))}
    protocol = draw(st.sampled_from(PROTOCOLS))
    state = draw(st.sampled_from([one for one in STATES if protocol in one.protocols]))
    endpoints = [one for one in ENDPOINTS if protocol in one.protocols and not one.needs & without]
    first = draw(st.sampled_from([one for one in endpoints if _reachable(one) or not _connects(state)]))
    second = draw(st.sampled_from(endpoints))
    between = draw(st.sampled_from([one for one in USERS if not one.needs & without]))
    mine = draw(_plans(options, state.moments))
    yours = draw(_plans(options, 0))
    listens = protocol == "tcp" and draw(st.booleans())
    return parse(
        first_part(protocol, state, first, between, mine)
        + " "
        + second_part(protocol, state, second, between, yours, listens=listens)
    )


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
    """Free sequences, as ``sequences.random_sequences`` draws them; ``connections=False`` leaves out all connects."""
    vocabulary = Vocabulary(options, users=users, connections=connections, ipv6=ipv6, lacking=lacking)

    def of(protocol: str) -> st.SearchStrategy[list[Arrival]]:
        other = next(one for one in PROTOCOLS if one != protocol)
        # a seventh of the sockets are of the other protocol, whose port is another one
        kinds = st.sampled_from([protocol] * 6 + [other])
        return st.lists(
            kinds.flatmap(lambda kind: _arrivals(vocabulary, kind)), min_size=min_sockets, max_size=max_sockets
        )

    return st.sampled_from(PROTOCOLS).flatmap(of).map(_scenario)


def _scenario(arrivals: list[Arrival]) -> Scenario:
    return parse(render(arrivals))


def _arrivals(vocabulary: Vocabulary, protocol: str) -> st.SearchStrategy[Arrival]:
    calls = st.lists(st.sampled_from(vocabulary.calls), max_size=3) if vocabulary.calls else st.just([])
    moves = st.one_of(
        [
            st.builds(Move, st.just(kind), st.integers(0, 7), st.sampled_from(details))
            for kind, details in vocabulary.details(protocol).items()
        ]
    )
    return st.builds(
        Arrival,
        st.just(protocol),
        st.sampled_from(vocabulary.endpoints[protocol]),
        calls.map(tuple),
        st.booleans(),
        st.lists(moves, max_size=4).map(tuple),
    )


def _plans(options: Sequence[str], moments: int) -> st.SearchStrategy[Plan]:
    """Options with a track each, in the order of their calls; without moments every track is the plain one."""
    if not options:
        return st.just(plan(()))
    tracks = st.sampled_from(tracks_of(moments)) if moments else st.just(PLAIN)
    tracked = st.tuples(st.sampled_from(options), tracks)
    return st.lists(tracked, max_size=len(options), unique_by=lambda one: one[0]).map(plan)


def _reachable(endpoint: Endpoint) -> bool:
    return bool(endpoint.peer)


def _connects(state: State) -> bool:
    return ".connect" in state.steps
