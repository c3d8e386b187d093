"""The matrix: how many, no duplicates, what it must hold, how it is cut."""

from __future__ import annotations

import gzip
import json
from itertools import combinations, groupby
from pathlib import Path

import pytest
from bindmatrix.errors import Problem
from bindmatrix.generate.axes import ENDPOINT, ENDPOINTS, FEATURES, MEETINGS, STATE, TRACKS, USERS
from bindmatrix.generate.covering import covering
from bindmatrix.generate.group_id import GroupId
from bindmatrix.generate.matrix import PROFILES, ScenarioGroup, matrix
from bindmatrix.generate.matrix_spec import FAMILIES, OTHER_FAMILIES
from bindmatrix.generate.option_plans import tracked_plans
from bindmatrix.notation import PROTOCOLS, REMOTE, parse

EVIDENCE = Path(__file__).parents[2] / "expectations" / "evidence"


@pytest.fixture(scope="module")
def full() -> list[ScenarioGroup]:
    return list(matrix(users=True))


@pytest.fixture(scope="module")
def texts(full: list[ScenarioGroup]) -> list[str]:
    return [text for group in full for text in group.scenarios]


def test_size(texts: list[str]) -> None:
    assert len(texts) == 195_300
    assert len(set(texts)) == len(texts)


@pytest.mark.parametrize(
    ("profile", "users", "count"),
    [("full", False, 170_900), ("pairs", True, 34_496), ("pairs", False, 18_880)],
)
def test_size_of_profiles(profile: str, users: bool, count: int) -> None:
    groups = list(matrix(profile, users=users))
    assert sum(len(group) for group in groups) == count


def test_length_is_known_without_the_texts(full: list[ScenarioGroup]) -> None:
    assert all(len(group) == len(group.scenarios) for group in full)


def test_every_scenario_prints_to_itself(texts: list[str]) -> None:
    # a seventh of them: strides of 7 meet every plan (5 option sets of the second socket) and every group
    assert [text for text in texts[::7] if parse(text).text != text] == []


@pytest.mark.parametrize("name", ["pairs", "states", "options-after-bind", "users"])
def test_holds_what_was_recorded(name: str) -> None:
    with gzip.open(EVIDENCE / "linux-6.18.44" / f"{name}.jsonl.gz", "rt", encoding="utf-8") as lines:
        recorded = {json.loads(line)["scenario"] for line in lines}
    made = {text for group in matrix("pairs", users=name == "users") for text in group.scenarios}
    assert recorded <= made


@pytest.mark.parametrize("profile", ["pairs", "quick"])
def test_profiles_are_parts_of_the_full(profile: str, texts: list[str]) -> None:
    part = [text for group in matrix(profile, users=True) for text in group.scenarios]
    assert len(part) == len(set(part))
    assert set(part) <= set(texts)


def values(group: ScenarioGroup) -> list[tuple[tuple[str, str], ...]]:
    """Every scenario of a group as its (axis, value) pairs."""
    fixed = tuple(zip(GroupId._fields, group.key, strict=True))
    return [
        (*fixed, ("plan", plan.label), ("options", options.label)) for plan, rest in group.cells for options in rest
    ]


def pairs_of_values(groups: list[ScenarioGroup]) -> set[tuple[tuple[str, str], ...]]:
    found: set[tuple[tuple[str, str], ...]] = set()
    for group in groups:
        for row in values(group):
            found.update(combinations(row, 2))
    return found


@pytest.mark.parametrize("ipv6", [True, False])
def test_quick_covers_every_pair_of_values(ipv6: bool) -> None:
    # not across families: the full matrix has no value that only two families together make
    quick = list(matrix("quick", users=True, ipv6=ipv6))
    assert pairs_of_values(quick) == pairs_of_values(list(matrix(users=True, ipv6=ipv6)))


def test_quick_is_small() -> None:
    assert 5_000 < sum(len(group) for group in matrix("quick", users=True)) < 7_000


def test_every_value_of_every_axis_occurs(full: list[ScenarioGroup]) -> None:
    everything = [*full, *others()]
    assert {group.key.protocol for group in everything} == set(MEETINGS)
    assert {group.key.state for group in everything} == set(STATE)
    assert {group.key.users for group in full} == {users.label for users in USERS}
    for side in ("first", "second"):
        assert {getattr(group.key, side) for group in full} == {one.label for one in ENDPOINTS}
        assert {getattr(group.key, side) for group in everything} == set(ENDPOINT)
    labels = {plan.label for group in full for plan, _ in group.cells}
    for track in TRACKS:
        for option in ("reuseaddr", "reuseport"):
            assert f"{option}:{track.text}" in labels
    # both orders where two options meet, one where they do not
    assert {"reuseaddr:1+reuseport:1", "reuseport:1+reuseaddr:1", "reuseaddr:1+reuseport:|1"} <= labels
    assert "reuseport:|1+reuseaddr:1" not in labels


def others() -> list[ScenarioGroup]:
    """The groups of the kinds that not every host has."""
    return [group for group in matrix(users=True, kinds=PROTOCOLS) if MEETINGS[group.key.protocol].needs]


def test_other_kinds() -> None:
    found = [text for group in others() for text in group.scenarios]
    assert len(found) == len(set(found)) == 15_625
    assert [text for text in found[::3] if parse(text).text != text] == []
    assert {group.needs & {*PROTOCOLS} for group in others()} == {one.needs for one in MEETINGS.values() if one.needs}
    # nothing but what the host has, and the groups of every host first
    some = list(matrix(users=True, kinds=["tcp", "udp", "unix"]))
    assert {group.key.protocol for group in some} == {"tcp", "udp", "unix"}
    plain = [group.id for group in matrix(users=True)]
    assert [group.id for group in some][: len(plain)] == plain


def test_other_kinds_were_recorded() -> None:
    recorded = set()
    for name in ("kinds", "addresses"):
        with gzip.open(EVIDENCE / "linux-6.18.44" / f"{name}.jsonl.gz", "rt", encoding="utf-8") as lines:
            recorded |= {json.loads(line)["scenario"] for line in lines}
    made = {
        text
        for group in matrix("pairs", users=True, kinds=PROTOCOLS)
        if MEETINGS[group.key.protocol].needs
        for text in group.scenarios
    }
    assert made <= recorded


def test_what_a_group_needs(full: list[ScenarioGroup]) -> None:
    for group in full:
        assert group.needs <= set(FEATURES)
        text = group.scenarios[0]
        assert ("ipv6" in group.needs) == ("tcp6" in text or "udp6" in text)
        assert ("users" in group.needs) == ("user=" in text)
        assert ("127.0.0.2" in group.needs) == ("127.0.0.2" in text)
        assert ("multicast" in group.needs) == ("224.0.0.251" in text or "ff02::fb" in text)


def test_without_ipv6_and_users() -> None:
    for profile in PROFILES:
        assert not any({"ipv6", "users"} & group.needs for group in matrix(profile, ipv6=False))


def test_ids_are_unique_and_round_trip(full: list[ScenarioGroup]) -> None:
    assert len({group.id for group in full}) == len(full)
    for group in full:
        assert GroupId.parse(group.id) == group.key
    assert full[0].id == "tcp.bound.any4.any4"
    assert str(GroupId.parse("udp.bound.dual.lo4.other-user")) == "udp.bound.dual.lo4.other-user"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("tcp.bound", "expected PROTOCOL.STATE.FIRST.SECOND"),
        ("tcp.listning.any4.lo4", "group:1:5: unknown state 'listning'.*did you mean 'listening'"),
        ("tcp.bound.any4.lo5", "group:1:16: unknown second 'lo5'"),
    ],
)
def test_a_bad_id_is_explained(text: str, message: str) -> None:
    with pytest.raises(Problem, match=message) as caught:
        GroupId.parse(text)
    assert message[:5] in str(caught.value) or "expected" in str(caught.value)


@pytest.mark.parametrize("parts", [2, 3, 7])
def test_shards(parts: int, full: list[ScenarioGroup]) -> None:
    shards = [list(matrix(users=True, shard=(part, parts))) for part in range(1, parts + 1)]
    assert sorted(group.id for shard in shards for group in shard) == sorted(group.id for group in full)
    loads = [sum(group.weight for group in shard) for shard in shards]
    assert max(loads) - min(loads) <= max(group.weight for group in full) // 10
    assert [group.id for group in matrix(users=True, shard=(1, parts))] == [group.id for group in shards[0]]
    order = {group.id: index for index, group in enumerate(full)}
    assert all([order[group.id] for group in shard] == sorted(order[group.id] for group in shard) for shard in shards)


def test_more_shards_than_groups(full: list[ScenarioGroup]) -> None:
    """Failed first: a list of all shards was made."""
    assert len(list(matrix(users=True, shard=(1, 10**12)))) == 1
    assert list(matrix(users=True, shard=(len(full) + 1, 10**12))) == []
    assert len(list(matrix(users=True, shard=(len(full), len(full))))) == 1


def test_a_shard_that_is_none() -> None:
    with pytest.raises(Problem, match="expected K/N with 1 <= K <= N, got 3/2"):
        matrix(shard=(3, 2))


def test_a_profile_that_is_none() -> None:
    with pytest.raises(Problem, match="did you mean 'quick'"):
        matrix("quik")


def test_what_shares_the_first_part_stands_together(full: list[ScenarioGroup]) -> None:
    for group in full:
        heads = [text[: text.index(" b=")] for text in group.scenarios]
        assert len([head for head, _ in groupby(heads)]) == len(set(heads))


@pytest.mark.parametrize(
    "options", [("reuseaddr",), ("reuseaddr", "exclusive"), ("reuseaddr", "reuseport", "exclbind")]
)
def test_other_options(options: tuple[str, ...]) -> None:
    made = [text for group in matrix("quick", options=options) for text in group.scenarios]
    assert len(made) == len(set(made))
    assert all(any(f".{option}=1" in text for text in made) for option in options)
    assert ("reuseport" in " ".join(made)) == ("reuseport" in options)


def test_the_recorded_load_balance_pairs() -> None:
    with gzip.open(EVIDENCE / "freebsd-13.0" / "load-balance.jsonl.gz", "rt", encoding="utf-8") as lines:
        recorded = {json.loads(line)["scenario"] for line in lines}
    options = ("reuseaddr", "reuseport", "reuseport_lb")
    assert recorded <= {text for group in matrix(options=options) for text in group.scenarios}


def test_families_are_uniform() -> None:
    for family in (*FAMILIES, *OTHER_FAMILIES):
        like = MEETINGS[family.protocol].like
        assert len({STATE[state].moments for state in family.states}) == 1
        assert all(like in STATE[state].protocols for state in family.states)
        bound = "tcp" if like == REMOTE else like  # the clients are remote, the sockets that bind are not
        assert all(bound in ENDPOINT[label].protocols for label in family.first + family.second)
        if any("peer" in STATE[state].steps or "client" in STATE[state].steps for state in family.states):
            assert all(ENDPOINT[label].peer for label in family.first)


def test_every_plan_does_what_its_label_says() -> None:
    for plan in tracked_plans(("reuseaddr", "reuseport"), 3):
        for part in plan.label.split("+") if plan.label != "none" else []:
            option, track = part.split(":")
            calls = "|".join(
                "".join(call.partition("=")[2] for call in moment if call.startswith(f"{option}="))
                for moment in plan.moments
            )
            assert calls.rstrip("|") == track


@pytest.mark.parametrize("sizes", [(1, 1), (3, 4), (5, 2, 3, 1), (7, 7, 7, 7), (1, 1, 8, 8, 61, 5)])
def test_covering(sizes: tuple[int, ...]) -> None:
    rows = covering(sizes)
    for one, other in combinations(range(len(sizes)), 2):
        assert len({(row[one], row[other]) for row in rows}) == sizes[one] * sizes[other]
    largest, next_largest = sorted(sizes)[:-3:-1]
    assert len(rows) <= 2 * largest * next_largest
