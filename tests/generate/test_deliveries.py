"""Questions about who receives: legal, repeatable, and telling of every team and every change."""

from __future__ import annotations

import sys
from collections import Counter

import pytest
from bindmatrix.execute.local import LocalHost
from bindmatrix.generate.axes import FEATURES
from bindmatrix.generate.deliveries import GROUP, OTHER_TEAMS, TEAMS, Team, random_deliveries
from bindmatrix.notation import parse
from bindmatrix.oracle.oracle import Oracle
from bindmatrix.rules import catalog
from bindmatrix.run.plan import Plan
from bindmatrix.run.session import Session

TEXTS = random_deliveries(0, 1500)


def test_they_are_canonical_distinct_and_the_same_every_time() -> None:
    assert len(set(TEXTS)) == len(TEXTS) == 1500
    assert [parse(text).text for text in TEXTS] == TEXTS
    assert random_deliveries(0, 40) == TEXTS[:40]
    assert random_deliveries(1, 40) != TEXTS[:40]


def test_every_scenario_asks_and_none_can_wait_for_a_connection() -> None:
    for text in TEXTS:
        kinds = Counter(step.kind for step in parse(text).steps)
        assert kinds["deliver"] + kinds["deliver_flow"] >= 1
        assert kinds["accept"] == kinds["read"] == 0
        assert 2 <= kinds["socket"] <= 3
        if kinds["connect"]:
            assert "=udp" in text


@pytest.mark.parametrize(
    "piece",
    ["=tcp4", "=tcp6", "=udp4", "=udp6", "c=", "a.close", "b.close", "c.close", "deliver_flow=", "v6only=0", "v6only=1"]
    + [f"deliver={address}" for team in TEAMS for address in team.destinations]
    + [f"join={GROUP}", "a.connect=", "bind=::ffff:127.0.0.1", "reuseaddr=1 a.reuseport=1", "b.listen deliver="],
)
def test_every_kind_of_question_occurs(piece: str) -> None:
    assert any(piece in text for text in TEXTS)


def test_somebody_is_a_member_of_the_group_whenever_something_is_sent_to_it() -> None:
    for text in TEXTS:
        members: set[str] = set()
        for step in parse(text).steps:
            if step.kind == "join":
                members.add(step.socket)
            elif step.kind == "close":
                members.discard(step.socket)
            elif step.kind == "deliver" and step.address == GROUP:
                assert members, text


@pytest.mark.parametrize("feature", FEATURES)
@pytest.mark.parametrize("teams", [TEAMS, OTHER_TEAMS])
def test_what_a_host_lacks_is_not_asked(feature: str, teams: tuple[Team, ...]) -> None:
    texts = random_deliveries(0, 200, lacking=[feature], teams=teams)
    assert len(texts) == 200
    signs = {
        "ipv6": "6 ", "127.0.0.2": "127.0.0.2", "multicast": "224.", "users": "user=", "mptcp": "=mptcp",
        "udplite": "=udplite", "unix": "=unix ", "unixgram": "=unixgram", "abstract": "@", "vsock": "=vsock",
        "cid:own": "cid:", "remote": "=remote",
    }  # fmt: skip
    assert not any(signs[feature] in text for text in texts)


def test_the_other_kinds_are_asked_where_they_exist() -> None:
    texts = random_deliveries(0, 400, teams=OTHER_TEAMS)
    for sign in (
        "=mptcp4 ",
        "=mptcp6 ",
        "=udplite4 ",
        "=unix ",
        "=unixgram ",
        "deliver=/x",
        "deliver=@y",
        "deliver_flow=/",
    ):
        assert any(sign in text for text in texts), sign
    assert [parse(text).text for text in texts] == texts
    nothing = [*{one for team in OTHER_TEAMS for one in team.protocols}]
    assert random_deliveries(0, 400, teams=OTHER_TEAMS, lacking=nothing) == []


def test_load_balancing_groups_are_asked_where_the_option_exists() -> None:
    assert any("reuseport_lb" in text for text in random_deliveries(0, 100, options=["reuseport_lb"]))
    assert not any("reuseport_lb" in text for text in TEXTS)


def test_linux_expects_every_kind_of_answer() -> None:
    expectations = catalog.expectations("linux")
    oracle = Oracle(expectations.at(expectations.covers[1]))
    kinds: Counter[str] = Counter()
    for text in TEXTS:
        steps = parse(text).steps
        for step, outcome in zip(steps, oracle.predict(text).outcomes, strict=True):
            if step.kind.startswith("deliver"):
                word = outcome if isinstance(outcome, str) else "one-of" if outcome else "unknown"
                kinds[word.partition(":")[0]] += 1
    assert kinds["unknown"] == 0
    assert min(kinds[word] for word in ("a", "b", "c", "spread", "every", "refused", "one-of")) >= 10


def test_they_are_part_of_a_run_and_of_its_shards() -> None:
    facts = {"ipv6": True, "users": False, "addresses": ["127.0.0.1"], "options": ["reuseaddr", "reuseport"]}

    def asked(shard: tuple[int, int]) -> list[str]:
        texts = Plan("quick", examples=0, shard=shard, deliveries=31).scenarios(facts)
        return [text for text in texts if "deliver" in text]

    whole = asked((1, 1))
    assert len(whole) == 31
    assert not any("127.0.0.2" in text for text in whole)
    assert sorted(asked((1, 2)) + asked((2, 2))) == sorted(whole)


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="the rules that are compared are those of Linux")
def test_the_kernel_here_delivers_as_its_rules_say() -> None:
    with LocalHost(2) as host:
        if host.facts["os"] != "linux":
            pytest.skip("the rules that are compared are those of Linux")
        summary = Session(host).run(TEXTS[:120])
    assert summary.total == 120
    assert summary.verdicts["diverges"] == 0, [group.shortest for group in summary.groups]
    assert summary.verdicts["conforms"] >= 115
