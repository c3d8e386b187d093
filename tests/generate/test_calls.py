"""Any call on any socket, and crowds."""

from __future__ import annotations

import re

import pytest
from bindmatrix.generate.any_calls import random_calls
from bindmatrix.generate.axes import FEATURES
from bindmatrix.generate.many_sockets import random_crowds
from bindmatrix.notation import Step, parse

TEXTS = random_calls(0, 3000, users=True)
CROWDS = random_crowds(0, 300, users=True)


def steps(texts: list[str]) -> list[Step]:
    return [step for text in texts for step in parse(text).steps]


@pytest.mark.parametrize("draw", [random_calls, random_crowds])
def test_the_same_for_the_same_seed(draw: type) -> None:
    assert draw(3, 50) == draw(3, 80)[:50]
    assert draw(3, 50) != draw(4, 50)


@pytest.mark.parametrize("texts", [TEXTS, CROWDS])
def test_they_are_scenarios_in_canonical_form_and_distinct(texts: list[str]) -> None:
    assert [parse(text).text for text in texts] == texts
    assert len(set(texts)) == len(texts)


def test_every_call_is_made_and_some_of_them_where_they_cannot_succeed() -> None:
    assert {step.kind for step in steps(TEXTS)} == {
        *("socket", "set", "bind", "listen", "connect", "accept", "close", "user")
    }
    words = " ".join(TEXTS)
    assert "a=udp4 a.listen" in words
    assert "a=tcp4 a.bind=::1" in words
    assert any(text.count("a.bind=") > 1 for text in TEXTS)
    assert any(re.search(r"a\.close (?!.*a=).*a\.(listen|close|reuseaddr)", text) for text in TEXTS)
    assert any(step.kind == "bind" and step.value for step in steps(TEXTS))


def test_nothing_in_them_waits() -> None:
    for text in TEXTS:
        listened: set[str] = set()
        for step in parse(text).steps:
            assert step.kind not in ("read", "wait", "deliver", "deliver_flow")
            if step.kind == "socket":
                listened.discard(step.socket)
            elif step.kind == "listen":
                listened.add(step.socket)
            elif step.kind == "accept":
                assert step.what not in listened, text
            elif step.kind == "connect":
                assert step.address.removeprefix("::ffff:").startswith("127.0.0.") or step.address == "::1"


def test_without_what_a_host_lacks() -> None:
    ipv4 = random_calls(0, 500, lacking=["ipv6"])
    assert not [step for step in steps(ipv4) if step.what.endswith("6") or ":" in step.address]
    assert "127.0.0.2" not in " ".join(random_calls(0, 500, lacking=["127.0.0.2"]))
    assert "user=" not in " ".join(random_calls(0, 500, users=True, lacking=["users"]))
    assert "user=" not in " ".join(random_calls(0, 500))


@pytest.mark.parametrize(
    ("feature", "word"),
    [("ipv6", "udp6"), ("127.0.0.2", "127.0.0.2"), ("multicast", "224.0.0.251"), ("users", "user=")],
)
def test_crowds_without_a_feature(feature: str, word: str) -> None:
    assert feature in FEATURES
    assert word in " ".join(random_crowds(0, 100, users=True))
    assert word not in " ".join(random_crowds(0, 100, users=True, lacking=[feature]))


def test_a_crowd_is_about_the_limit_of_ten() -> None:
    sizes = {text.count("=udp") for text in CROWDS}
    assert min(sizes) == 10
    assert max(sizes) == 14
    assert any("user=" in text for text in CROWDS)
