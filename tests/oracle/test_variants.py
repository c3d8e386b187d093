"""Which releases of a system are alike, and what their known divergences change."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from bindmatrix.errors import Problem
from bindmatrix.oracle.variants import Variant, variant_of, variant_of_host, variants
from bindmatrix.rules import boundaries, catalog, divergences
from bindmatrix.rules.divergences import Divergence

KNOWN = "a=tcp6 a.v6only=0 a.bind=::ffff:0.0.0.0 b=tcp6 b.v6only=0 b.bind=::ffff:127.0.0.1"
CONFLICT = "a=tcp4 a.bind=0.0.0.0 b=tcp4 b.bind=0.0.0.0"
#: on a port that is a multiple of 128, what NetBSD's accepted sockets do to a later bind, in either family
CHILD4 = "a=tcp4 a.bind=0.0.0.0 a.listen c=tcp4 c.connect=127.0.0.1 x=a.accept a.close b=tcp4 b.bind=0.0.0.0"
CHILD6 = "a=tcp6 a.bind=::1 a.listen c=tcp6 c.connect=::1 x=a.accept a.close b=tcp6 b.v6only=1 b.bind=::1"


def last(variant: Variant, scenario: str, *, diverged: bool) -> object:
    oracle = variant.actual if diverged else variant.oracle
    return oracle.predict(scenario).outcomes[-1]


def ids(known: Sequence[Divergence]) -> tuple[str, ...]:
    return tuple(one.id for one in known)


def test_releases_with_the_same_rules_are_one_variant_and_none_is_lost() -> None:
    for os in catalog.names():
        expectations = catalog.expectations(os)
        found = variants(expectations)
        every = boundaries.stretches(expectations)
        assert sorted(one for variant in found for one in variant.stretches) == sorted(every)
        assert found[0].stretches[0] == every[0]
        for variant in found:
            assert variant.stretches == [one for one in every if one in variant.stretches], "in order of release"
            for one in variant.stretches:
                assert expectations.at(one.probe).content == variant.model.content
                assert ids(divergences.of(expectations, one.probe)) == ids(variant.divergences)
        keys = {(variant.model.content, ids(variant.divergences)) for variant in found}
        assert len(keys) == len(found)


def test_a_divergence_makes_a_variant_of_its_own() -> None:
    found = variants(catalog.expectations("linux"))
    assert [ids(one.divergences) for one in found if one.divergences] == [("linux.mapped-wildcard-overlooked",)]


@pytest.mark.parametrize(
    "made",
    [
        variant_of(catalog.expectations("linux"), "6.1.192"),
        variant_of_host({"os": "linux", "release": "6.1.192"}),
    ],
    ids=["of a release", "of a host"],
)
def test_the_variant_of_a_release_answers_with_and_without_its_divergences(made: Variant) -> None:
    assert made.stretches == [("", "6.1.192", "6.1.192", "6.1.192")]
    assert last(made, KNOWN, diverged=False) == "EADDRINUSE"
    assert last(made, KNOWN, diverged=True) == "ok"
    assert last(made, CONFLICT, diverged=True) == "EADDRINUSE"
    assert made.diverged is made.actual
    assert made.model.port == 1


def test_a_release_without_divergences_has_one_oracle() -> None:
    made = variant_of(catalog.expectations("linux"), "6.18.44")
    assert made.diverged is None
    assert made.actual is made.oracle
    assert made.oracle is made.oracle


def test_each_divergence_alone_and_which_of_them_is_responsible() -> None:
    netbsd = catalog.expectations("netbsd")
    for made in (variant_of(netbsd, "10.1", 20480), variant_of_host({"os": "netbsd", "release": "10.1"}, 20480)):
        assert made.model.port == 20480
        by_family = {one.id.rpartition("-")[2]: one for one in made.divergences}
        for family, scenario in (("ipv4", CHILD4), ("ipv6", CHILD6)):
            assert made.responsible(scenario) == [by_family[family]]
            assert made.alone(by_family[family]).predict(scenario).outcomes[-1] == "EADDRINUSE"
            assert made.alone(by_family[family]) is made.alone(by_family[family])
        assert made.alone(by_family["ipv4"]) is not made.alone(by_family["ipv6"])
        assert made.alone(by_family["ipv4"]).predict(CHILD6).outcomes[-1] == "ok"
        assert made.responsible(CONFLICT) == list(made.divergences), "where none changes anything alone, all are named"


def test_a_divergence_of_another_port_cannot_apply() -> None:
    made = variant_of(catalog.expectations("netbsd"), "10.1")
    assert made.divergences
    assert made.diverged is None


def test_a_host_decides_with_which_v6only_its_sockets_start() -> None:
    pair = "a=tcp6 a.bind=:: b=tcp4 b.bind=0.0.0.0"
    host = {"os": "linux", "release": "6.18.44"}
    assert last(variant_of_host({**host, "v6only_default": 0}), pair, diverged=True) == "EADDRINUSE"
    assert last(variant_of_host({**host, "v6only_default": 1}), pair, diverged=True) == "ok"


def test_a_host_of_no_described_system_has_no_variant() -> None:
    with pytest.raises(Problem, match="which system"):
        variant_of_host({})
