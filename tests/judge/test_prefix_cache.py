"""What is followed by prefix and suffix is what the rules say step by step, and is followed once."""

from __future__ import annotations

from itertools import pairwise

import pytest
from bindmatrix.judge import prefix_cache
from bindmatrix.judge.prefix_cache import PrefixCache, is_scenario
from bindmatrix.judge.verdicts import Judge, VerdictKind
from bindmatrix.observe.recordings import Observation, Outcomes
from bindmatrix.rules import catalog, divergences
from bindmatrix.rules.divergences import Divergence

from tests.judge.test_verdicts import HALF_CLOSED

LINUX = catalog.expectations("linux")
#: with a known divergence, and without one
RELEASES = ["6.1.192", "6.18.44"]
FREE = "a=tcp4 a.bind=127.0.0.1 b=tcp4 b.bind=127.0.0.2"
TAKEN = "a=tcp4 a.bind=127.0.0.1 b=tcp4 b.bind=0.0.0.0"
GROUP = "a=udp4 a.reuseport=1 a.bind=127.0.0.1 b=udp4 b.reuseport=1 b.bind=127.0.0.1"
#: nobody knows what the connect() returns
UNKNOWN = "a=udp4 a.broadcast=1 a.connect=255.255.255.255"


def judge_of(release: str) -> Judge:
    return Judge(LINUX.at(release), divergences.of(LINUX, release))


def cache_of(release: str) -> PrefixCache:
    return judge_of(release).prefixes


def ran(text: str, *last: str | None) -> Observation:
    """Every step was ok but the last ones."""
    return Observation(text, (*["ok"] * (len(text.split()) - len(last)), *last))


@pytest.mark.parametrize("release", RELEASES)
@pytest.mark.parametrize(
    "observation",
    [
        ran(FREE),
        ran(FREE.partition(" b=")[0]),
        ran(TAKEN, "EADDRINUSE"),
        # a failure that was recorded without its errno
        ran(TAKEN, "refused"),
        # not asserted
        ran(TAKEN, None),
        Observation(FREE, (None,) * 4),
        # a class of outcomes
        ran(f"{GROUP} deliver=127.0.0.1", "a:15,b:17"),
        ran(f"{GROUP} deliver_flow=127.0.0.1", "b:32"),
    ],
)
def test_whatever_is_as_expected_is_followed(release: str, observation: Observation) -> None:
    followed = cache_of(release).followed(observation)
    assert followed is not None
    assert followed[0].certain
    assert followed[1].certain


@pytest.mark.parametrize("release", RELEASES)
@pytest.mark.parametrize(
    "observation",
    [
        ran(FREE, "EADDRINUSE"),
        ran(TAKEN),
        ran("a=tcp4 a.bind=127.0.0.1", "EINVAL"),
        ran("a=tcp4 a.bind=127.0.0.1 b=tcp4", "EINVAL", "ok", "ok"),
        ran(f"{GROUP} deliver=127.0.0.1", "a:32"),
        # no run of a scenario
        Observation("a=tcp4", ("ok", "ok")),
        Observation("a=tcp4 a.bind=127.0.0.1", ("ok",)),
        Observation(FREE, ("ok",) * 3),
        Observation(FREE, ("ok",) * 5),
        Observation("a=tcp5", ("ok",)),
        Observation("a=tcp4 a.bind=127.0.0.1 b=tcp5", ("ok",) * 3),
        Observation("a=tcp4 a.reuseaddr=+1", ("ok",) * 2),
        # judged step by step
        Observation(FREE, None),
        ran(FREE)._replace(repeats=(("ok",) * 4,)),
    ],
)
def test_what_is_not_as_expected_or_no_run_is_not_followed(release: str, observation: Observation) -> None:
    assert cache_of(release).followed(observation) is None


def test_what_a_known_divergence_does_otherwise_is_not_followed() -> None:
    text = "a=tcp6 a.v6only=0 a.bind=::ffff:0.0.0.0 b=tcp6 b.v6only=0 b.bind=::ffff:127.0.0.1"
    for outcome in ("ok", "EADDRINUSE"):
        assert cache_of("6.1.192").followed(ran(text, outcome)) is None
    assert cache_of("6.18.44").followed(ran(text, "EADDRINUSE")) is not None


@pytest.mark.parametrize("known", [(), divergences.of(LINUX, "6.1.192")], ids=["", "diverged"])
@pytest.mark.parametrize("name", ["b", "d"])
@pytest.mark.parametrize(
    ("first", "then", "kind"),
    [
        ("ok", "EINVAL", VerdictKind.UNKNOWN),
        ("ok", "ok", VerdictKind.DIVERGES),
        ("EADDRINUSE", "ok", VerdictKind.UNKNOWN),
        ("EADDRINUSE", "EINVAL", VerdictKind.DIVERGES),
    ],
)
def test_after_an_unknown_step_comes_what_was_observed(
    known: tuple[Divergence, ...], name: str, first: str, then: str, kind: VerdictKind
) -> None:
    """The unknown bind() is in the suffix if the socket is called ``b``, else in the prefix."""
    text = HALF_CLOSED.replace("b", name).replace(f"{name}ind", "bind") + f" {name}.bind=127.0.0.2"
    observation = ran(text, first, then)
    judge = Judge(LINUX.at("6.18.44"), known)
    assert [verdict.kind for verdict in judge.judge([observation])] == [kind]
    assert (judge.prefixes.followed(observation) is None) == (kind == VerdictKind.DIVERGES)


@pytest.mark.parametrize("release", RELEASES)
def test_prefix_and_suffix_are_followed_once(release: str, monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[str] = []
    original = PrefixCache._follow

    def watched(cache: PrefixCache, nodes: prefix_cache.Nodes, text: str, outcomes: Outcomes) -> object:
        calls.append(text)
        return original(cache, nodes, text, outcomes)

    monkeypatch.setattr(PrefixCache, "_follow", watched)
    cache = cache_of(release)
    for observation in (ran(FREE), ran(FREE), ran(TAKEN, "EADDRINUSE"), ran(FREE, "EACCES"), ran(FREE, "EACCES")):
        cache.followed(observation)
    first = "a=tcp4 a.bind=127.0.0.1"
    free, taken = "b=tcp4 b.bind=127.0.0.2", "b=tcp4 b.bind=0.0.0.0"
    assert calls == [first, free, taken, free]
    assert [prefix.said for prefix in cache.all_prefixes()] == [cache.followed(ran(FREE))[0].said]  # type: ignore[index]
    assert len(list(cache.segments())) == 3


def test_prefixes_that_lead_to_one_state_share_what_follows() -> None:
    cache = cache_of("6.18.44")
    one, other = "a=tcp4 a.reuseaddr=1 a.reuseport=1", "a=tcp4 a.reuseport=1 a.reuseaddr=1"
    parts, same = (cache.followed(ran(f"{text} b=udp4 b.bind=127.0.0.1")) for text in (one, other))
    assert parts is not None
    assert same is not None
    assert (parts[0], parts[1]) == (same[0], same[1])


def test_what_it_takes_grows_with_every_segment_and_ends_with_forget(monkeypatch: pytest.MonkeyPatch) -> None:
    cache = cache_of("6.18.44")

    def size() -> int:
        low, high = 0, 1_000_000
        while low < high:
            middle = (low + high) // 2
            monkeypatch.setattr(prefix_cache, "MOST_BYTES", middle)
            low, high = (middle + 1, high) if cache.full else (low, middle)
        return low

    first, second = "a=tcp4 a.bind=127.0.0.1", "tcp4 b.bind=127.0.0.2"
    sizes = [size()]
    for observation in (ran(FREE), ran(FREE), ran(FREE, "EACCES"), ran(first, "EINVAL")):
        cache.followed(observation)
        sizes.append(size())
    segment, character, step = 500, 2, 300
    suffix = segment + character * len(second) + 2 * step
    prefix = segment + character * len(first) + 2 * step
    assert sizes[0] == 0
    assert [after - before for before, after in pairwise(sizes)] == [prefix + suffix, 0, suffix, prefix]
    cache.forget()
    assert size() == 0


def test_a_cache_that_has_forgotten_gives_the_same_numbers_again() -> None:
    cache = cache_of("6.1.192")
    before = cache.followed(ran(FREE))
    assert before is not None
    cache.forget()
    assert list(cache.segments()) == []
    after = cache.followed(ran(FREE))
    assert after is not None
    assert [part.number for part in before] == [part.number for part in after]
    assert [part.said for part in before] == [part.said for part in after]
    assert after[0] is not before[0]


def test_answers_that_say_the_same_have_one_number() -> None:
    cache = cache_of("6.18.44")
    assert cache.oracle.answers == []
    parts = cache.followed(ran("a=tcp4 a.close b=tcp4 b.close"))
    assert parts is not None
    assert {*parts[0].said} == {*parts[1].said} == {parts[0].said[0]}
    (answer,) = cache.oracle.answers
    assert (answer.expected, [rule.id for rule in answer.rules]) == ("ok", ["api.plain"])


def test_a_segment_with_something_unknown_is_not_certain() -> None:
    cache = cache_of("6.18.44")
    texts = (f"{UNKNOWN} b=udp4", f"u=udp4 {UNKNOWN.replace('a', 'b', 1).replace(' a.', ' b.')}")
    for text, certain in zip(texts, ((False, True), (True, False)), strict=True):
        parts = cache.followed(ran(text))
        assert parts is not None
        assert (parts[0].certain, parts[1].certain) == certain


@pytest.mark.parametrize(
    ("text", "is_one"),
    [(FREE, True), ("a=tcp4  a.close", False), ("a=tcp4 ", False), ("a=tcp5", False), ("a=tcp4 a.bind=::0", False)],
)
def test_a_scenario_is_followed_in_its_canonical_form_alone(text: str, is_one: bool) -> None:
    assert is_scenario(text) is is_one


def test_the_judge_counts_on_both_sides_of_the_cut() -> None:
    judge = judge_of("6.18.44")
    assert judge.judge([ran(FREE), ran(FREE), ran(TAKEN, "EADDRINUSE")]) == []
    assert judge.verdict_counts()[VerdictKind.CONFORMS] == 3
