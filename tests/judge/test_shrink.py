"""Shrinking: what a divergence shrinks to, and what must not be taken for the same divergence.

The kernel is a fake one that follows the rules of Linux 6.18.44 except where a test says otherwise.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import pytest
from bindmatrix.judge.shrink import shrink
from bindmatrix.judge.verdicts import Judge, VerdictKind
from bindmatrix.notation import parse
from bindmatrix.observe.recordings import Observation
from bindmatrix.rules import catalog

from tests.fake_kernel import FakeKernel

Fault = Callable[[str, list[str], int], list[str]]

CONFLICT = "a=tcp4 a.bind=127.0.0.1 b=tcp4 b.bind=127.0.0.1"


class Shrunk(NamedTuple):
    """The scenario that was found, and what the kernel was asked in each round."""

    text: str
    rounds: list[list[str]]

    @property
    def asked(self) -> list[str]:
        return [text for batch in self.rounds for text in batch]


def shrunk(text: str, fault: Fault, *, withheld: Callable[[str], bool] = lambda text: False) -> Shrunk:
    """Shrink ``text`` on a kernel with ``fault``; it does not answer what is ``withheld``."""
    kernel = FakeKernel(fault=fault)
    judge = Judge(catalog.expectations("linux").at("6.18.44"), (), kernel.facts)
    rounds: list[list[str]] = []

    def observation(scenario: str) -> Observation:
        outcomes = kernel.outcomes(scenario)
        assert outcomes is not None
        return Observation(scenario, tuple(outcomes))

    def observe(scenarios: Sequence[str]) -> list[Observation]:
        rounds.append([*scenarios])
        # the host may answer in any order
        return [observation(scenario) for scenario in reversed(scenarios) if not withheld(scenario)]

    verdict = judge.verdict(observation(text))
    assert verdict.kind == VerdictKind.DIVERGES
    return Shrunk(shrink(verdict, judge, observe), rounds)


def allows(where: Callable[[str], bool] = lambda text: True, outcome: str = "ok", refusal: str = "EADDRINUSE") -> Fault:
    """A kernel that returns ``outcome`` for a refusal, in the scenarios for which ``where`` holds."""

    def fault(text: str, outcomes: list[str], _runs: int) -> list[str]:
        return [outcome if one == refusal and where(text) else one for one in outcomes]

    return fault


def has(*words: str) -> Callable[[str], bool]:
    return lambda text: all(word in text.split() for word in words)


# -- steps are left out


@pytest.mark.parametrize(
    "text",
    [
        CONFLICT,
        # steps after the one to blame
        f"{CONFLICT} c=udp4 c.bind=127.0.0.2 a.close",
        # sockets that have nothing to do with it, before and in between
        f"u=udp6 u.bind=::1 {CONFLICT}",
        "a=tcp4 a.bind=127.0.0.1 u=udp4 u.reuseaddr=1 u.bind=127.0.0.2 u.connect=127.0.0.1 b=tcp4 b.bind=127.0.0.1",
        # single steps
        "a=tcp4 a.reuseaddr=1 a.bind=127.0.0.1 a.listen wait=0 b=tcp4 b.reuseport=1 b.bind=127.0.0.1",
        # names
        "q=tcp4 q.bind=127.0.0.1 a=tcp4 a.bind=127.0.0.1",
    ],
)
def test_what_does_not_matter_is_left_out(text: str) -> None:
    assert shrunk(text, allows()).text == CONFLICT


@pytest.mark.parametrize("count", [2, 3, 4])
def test_steps_that_matter_only_together_are_left_out_together(count: int) -> None:
    """With some of the steps but not all the kernel conforms, so that no single one can be left out."""
    text = CONFLICT.replace(" b=", f"{' user=0' * count} b=")
    fault = allows(lambda text: text.count("user=0") in (0, count))
    assert shrunk(text, fault).text == CONFLICT


def test_a_socket_is_left_out_whole() -> None:
    """Its five steps lie apart, and the kernel differs with all of them or with none."""
    text = "u=udp4 a=tcp4 u.reuseaddr=1 a.bind=127.0.0.1 u.reuseport=1 b=tcp4 u.bind=127.0.0.2 u.close b.bind=127.0.0.1"
    fault = allows(lambda text: text.count("u.") + text.count("u=") in (0, 5))
    assert shrunk(text, fault).text == CONFLICT


def test_a_listener_is_left_out_with_what_it_accepted() -> None:
    """An accepted socket cannot stay without its listener; the kernel conforms when one of them is left."""
    text = (
        "l=tcp4 l.bind=127.0.0.2 l.listen k=tcp4 k.connect=127.0.0.2 a=tcp4 a.bind=127.0.0.1 x=l.accept b=tcp4 "
        "b.bind=127.0.0.1"
    )
    assert shrunk(text, allows(lambda text: (".bind=127.0.0.2" in text) == (".accept" in text))).text == CONFLICT


def test_the_largest_part_that_can_go_is_tried_first() -> None:
    """One round for the whole socket and one in which nothing more is found."""
    text = f"u=udp4 u.reuseaddr=1 u.reuseport=1 u.bind=127.0.0.2 u.close {CONFLICT}"
    assert len(shrunk(text, allows()).rounds) == 2


def test_a_scenario_of_100_steps_shrinks_to_the_end() -> None:
    """Every round leaves out four steps at most; there are enough rounds for all of them."""
    text = CONFLICT.replace(" b=", f"{' user=0 wait=0' * 50} b=")
    assert shrunk(text, allows()).text == CONFLICT


# -- plainer words


@pytest.mark.parametrize(
    ("text", "needed", "shortest"),
    [
        # addresses
        ("a=tcp4 a.bind=127.0.0.2 b=tcp4 b.bind=0.0.0.0", [], CONFLICT),
        (CONFLICT.replace("127.0.0.1", "0.0.0.0"), [], CONFLICT),
        ("a=tcp4 a.bind=224.0.0.251 b=tcp4 b.bind=0.0.0.0", [], CONFLICT),
        ("a=tcp6 a.bind=:: b=tcp6 b.bind=::", ["a=tcp6", "b=tcp6"], "a=tcp6 a.bind=::1 b=tcp6 b.bind=::1"),
        ("a=udp6 a.bind=:: b=udp6 b.bind=::", ["a=udp6", "b=udp6"], "a=udp6 a.bind=::1 b=udp6 b.bind=::1"),
        (
            "a=tcp6 a.bind=::ffff:127.0.0.1 b=tcp6 b.bind=::",
            ["a=tcp6", "b=tcp6"],
            "a=tcp6 a.bind=::1 b=tcp6 b.bind=::1",
        ),
        (
            "a=tcp6 a.bind=::ffff:0.0.0.0 b=tcp6 b.bind=::ffff:0.0.0.0",
            ["a=tcp6", "b=tcp6"],
            "a=tcp6 a.bind=::1 b=tcp6 b.bind=::1",
        ),
        # an address that matters stays
        (CONFLICT.replace("127.0.0.1", "0.0.0.0"), ["a.bind=0.0.0.0"], CONFLICT.replace("127.0.0.1", "0.0.0.0", 1)),
        # kinds of socket, with the addresses that fit them and without IPV6_V6ONLY
        ("a=tcp6 a.bind=::1 b=tcp6 b.bind=::1", [], CONFLICT),
        ("a=tcp6 a.v6only=1 a.bind=:: b=tcp6 b.v6only=1 b.bind=::", [], CONFLICT),
        ("a=tcp6 a.bind=::ffff:127.0.0.1 b=tcp4 b.bind=127.0.0.1", ["b=tcp4"], CONFLICT),
        ("a=mptcp6 a.bind=::1 b=mptcp6 b.bind=::1", [], CONFLICT),
        ("a=mptcp4 a.bind=127.0.0.1 b=mptcp4 b.bind=127.0.0.1", ["a=mptcp4"], CONFLICT.replace("tcp4", "mptcp4")),
    ],
)
def test_words_become_plainer(text: str, needed: list[str], shortest: str) -> None:
    assert shrunk(text, allows(has(*needed))).text == shortest


@pytest.mark.parametrize(
    ("text", "shortest"),
    [
        ("a=tcp6 a.bind=:: b=tcp6 b.bind=::1", "a=tcp4 a.bind=0.0.0.0 b=tcp4 b.bind=127.0.0.1"),
        ("a=tcp6 a.bind=::ffff:0.0.0.0 b=tcp4 b.bind=0.0.0.0", "a=tcp4 a.bind=0.0.0.0 b=tcp4 b.bind=127.0.0.1"),
    ],
)
def test_a_wildcard_that_matters_stays_one_in_the_other_family(text: str, shortest: str) -> None:
    wildcards = {"a.bind=::", "a.bind=0.0.0.0", "a.bind=::ffff:0.0.0.0"}
    assert shrunk(text, allows(lambda text: bool(wildcards & set(text.split())))).text == shortest


def test_a_mapped_wildcard_becomes_that_of_ipv4_together_with_its_family() -> None:
    """An IPv6 socket has no 0.0.0.0 and an IPv4 socket no mapped address: only both at once is a scenario."""
    text = "a=tcp6 a.bind=::ffff:0.0.0.0 b=tcp4 b.bind=0.0.0.0"
    fault = allows(lambda text: "::ffff:0.0.0.0" in text or "a=tcp4 a.bind=0.0.0.0" in text)
    assert shrunk(text, fault).text == "a=tcp4 a.bind=0.0.0.0 b=tcp4 b.bind=127.0.0.1"


def test_a_scenario_of_one_step_becomes_plainer_too() -> None:
    assert shrunk("a=udp4", lambda _text, outcomes, _runs: ["ENOBUFS" for _ in outcomes]).text == "a=tcp4"


def test_a_group_to_join_stays_a_group() -> None:
    """Only a multicast address can be joined, so there is no plainer one."""
    text = "a=udp4 a.join=224.0.0.251"
    assert shrunk(text, lambda _text, outcomes, _runs: [*outcomes[:-1], "ENOBUFS"]).text == text


def test_v6only_goes_with_ipv6() -> None:
    """The kernel differs with IPv6 and the option, or with neither."""
    text = "a=tcp6 a.v6only=1 a.bind=::1 b=tcp6 b.bind=::1"
    assert shrunk(text, allows(lambda text: ("tcp6" in text) == ("v6only" in text))).text == CONFLICT


def test_an_ipv4_socket_gets_an_ipv4_address() -> None:
    """EISCONN because it listens already: the family of the address does not matter."""
    found = shrunk("a=tcp4 a.listen a.connect=::1", allows(refusal="EISCONN"))
    assert found.text == "a=tcp4 a.listen a.connect=127.0.0.1"


@pytest.mark.parametrize("word", ["wait=5", "user=0", "user=1001"])
def test_what_is_plain_already_stays(word: str) -> None:
    text = f"{word} {CONFLICT}"
    assert shrunk(text, allows(lambda text: len(text.split()) == 5)).text == text


def test_the_27th_socket_keeps_its_name() -> None:
    words = [f"s{number}=udp4" for number in range(26)]
    text = " ".join([*words, "t0=tcp4", "t0.bind=127.0.0.1", "t1=tcp4", "t1.bind=127.0.0.1"])
    found = shrunk(text, allows(lambda text: len(text.split()) == 30)).text.split()
    assert [word.partition("=")[0] for word in found] == [
        *"abcdefghijklmnopqrstuvwxyz",
        "t0",
        "t0.bind",
        "t1",
        "t1.bind",
    ]


def test_a_port_that_the_kernel_chooses_stays_chosen() -> None:
    """Without ``,0`` it would be a bind to the scenario's port."""
    shortest = "a=tcp4 a.bind=127.0.0.1,0 a.bind=127.0.0.1"
    fault = allows(refusal="EINVAL")
    assert shrunk("a=tcp4 a.bind=127.0.0.2,0 a.bind=0.0.0.0", fault).text == shortest
    assert shrunk("a=tcp6 a.bind=::1,0 a.bind=::1", fault).text == shortest


def test_a_multicast_address_becomes_a_plain_one() -> None:
    fault = allows(lambda text: "=udp4" in text and "bind=" in text.split("=udp4")[1].split("=tcp4")[0])
    assert shrunk(f"u=udp4 u.bind=224.0.0.251 {CONFLICT}", fault).text == (
        "a=udp4 a.bind=127.0.0.1 b=tcp4 b.bind=127.0.0.1 c=tcp4 c.bind=127.0.0.1"
    )


def test_a_user_becomes_the_plainest() -> None:
    text = f"user=1002 {CONFLICT}"
    fault = allows(lambda text: "user=" in text and "user=0" not in text.split())
    assert shrunk(text, fault).text == f"user=1001 {CONFLICT}"


def test_sockets_are_renamed_with_their_accepted_ones() -> None:
    text = (
        "l=tcp4 l.bind=127.0.0.1 l.listen k=tcp4 k.connect=127.0.0.1 y=l.accept user=1001 user=0 q=tcp4 "
        "q.bind=127.0.0.1"
    )
    fault = allows(lambda text: all(word in text for word in (".listen", ".connect", ".accept", "user=1001 user=0")))
    assert shrunk(text, fault).text == (
        "a=tcp4 a.bind=127.0.0.1 a.listen b=tcp4 b.connect=127.0.0.1 c=a.accept user=1001 user=0 d=tcp4 "
        "d.bind=127.0.0.1"
    )


# -- what is not the same divergence


def test_another_actual_outcome_is_another_divergence() -> None:
    """The longer scenario is let in; the shorter one is refused for a wrong reason."""

    def fault(text: str, outcomes: list[str], _runs: int) -> list[str]:
        wrong = "ok" if "a.listen" in text else "EACCES"
        return [wrong if one == "EADDRINUSE" else one for one in outcomes]

    text = CONFLICT.replace(" b=", " a.listen b=")
    assert shrunk(text, fault).text == text


def test_another_rule_is_another_divergence() -> None:
    """Two TCP sockets and two UDP sockets conflict by different rules."""
    text = "u=udp4 u.bind=127.0.0.1 v=udp4 v.bind=127.0.0.1"
    assert shrunk(text, allows()).text == text.replace("u", "a", 1).replace("u.", "a.").replace("v", "b").strip()


def test_another_call_is_another_divergence() -> None:
    """The same rule and the same outcome of listen() is not what bind() was blamed for."""
    text = "a=tcp4 a.reuseaddr=1 a.bind=127.0.0.1 b=tcp4 b.reuseaddr=1 b.bind=127.0.0.1 a.listen b.listen"
    fault = allows(has("a.listen", "b.listen"))
    assert shrunk(text, fault).text.endswith("b.listen")


def test_what_conforms_is_not_taken() -> None:
    text = CONFLICT.replace(" b=", " a.listen b=")
    assert shrunk(text, allows(has("a.listen"))).text == text


# -- what is asked


def test_nothing_is_asked_that_would_wait_for_a_connection() -> None:
    """An accept() whose connect() was left out takes a second on a real host, for each candidate."""
    text = (
        "a=tcp4 a.bind=127.0.0.1 a.listen c=tcp4 c.connect=127.0.0.1 x=a.accept x.close c.read b=tcp4 b.bind=127.0.0.1"
    )
    kernel = FakeKernel()
    found = shrunk(text, allows())
    assert found.text == CONFLICT
    assert found.asked
    assert [asked for asked in found.asked if "timeout" in (kernel.outcomes(asked) or ())] == []


def test_a_round_asks_for_other_scenarios_and_for_each_once() -> None:
    (asked,) = shrunk(CONFLICT, allows()).rounds
    assert CONFLICT not in asked
    assert len(asked) == len(set(asked)) > 0
    assert [parse(text).text for text in asked] == asked


def test_a_candidate_that_the_host_does_not_answer_is_passed_over() -> None:
    text = f"u=udp4 u.bind=127.0.0.2 {CONFLICT} wait=0"
    assert shrunk(text, allows(), withheld=lambda asked: asked == f"u=udp4 {CONFLICT}").text == CONFLICT
