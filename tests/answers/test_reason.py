"""Reasons are true: whatever they say of two sockets holds, and none says that nobody overlaps where one does."""

from __future__ import annotations

import itertools
from collections import Counter

import pytest
from bindmatrix.answers.fact_words import in_words
from bindmatrix.answers.reason import Reason, reasons, steps_to_explain
from bindmatrix.generate.sequences import random_sequences
from bindmatrix.notation import parse
from bindmatrix.oracle.evaluator import CompiledEvaluator
from bindmatrix.oracle.oracle import Oracle
from bindmatrix.oracle.sharing import sharing
from bindmatrix.oracle.trace import Decision, Recorder
from bindmatrix.rules import catalog
from bindmatrix.rules.model import ALLOW, REFUSE
from bindmatrix.rules.sockets import Sock, on_port

from tests.oracle.reference import ReferenceEvaluator

_OPTIONS = ("reuseaddr", "reuseport", "exclusive", "exclbind", "reuseport_lb")
_ADDRESSES = ("0.0.0.0", "127.0.0.1", "127.0.0.2", "::", "::1", "::ffff:0.0.0.0", "::ffff:127.0.0.1", "224.0.0.251")


def _texts(protocol: str) -> list[str]:
    """Pairs of every two addresses with every two sets of at most two options, the first socket plain or listening."""
    sets = ["", *_OPTIONS[:4], "reuseaddr reuseport", "reuseaddr exclbind"]
    texts = []
    for (one, other), (ours, theirs) in itertools.product(
        itertools.product(_ADDRESSES, repeat=2), itertools.product(sets, repeat=2)
    ):
        if (len(one) + len(other) + len(ours) * 3 + len(theirs) * 5) % 3:
            continue  # a third of them: enough to meet every rule
        words = []
        for name, address, options in (("a", one, ours), ("b", other, theirs)):
            words.append(f"{name}={protocol}{6 if ':' in address else 4}")
            words += [f"{name}.{option}=1" for option in options.split()]
            words.append(f"{name}.bind={address}")
            words += [f"{name}.listen"] if protocol == "tcp" and (name == "b" or len(ours) % 2) else []
        texts.append(" ".join(words))
    return texts


def _parts(sock: Sock) -> tuple[set[str], set[str]]:
    """The IPv4 and the IPv6 addresses on which a socket receives; ``*`` stands for all of them."""
    v4: set[str] = set()
    v6: set[str] = set()
    if sock.form in ("ipv4", "mapped"):
        v4 = {"*"} if sock.kind == "wildcard" else {str(sock.v4 or sock.v6).removeprefix("::ffff:")}
    elif sock.form == "dual" and sock.kind == "wildcard":
        v4, v6 = {"*"}, {"*"}
    elif sock.form == "ipv6":
        v6 = {"*"} if sock.kind == "wildcard" else {str(sock.v6)}
    return v4, v6


def _overlap(one: Sock, other: Sock) -> bool:
    return any(
        ours and theirs and (ours & theirs or "*" in ours | theirs)
        for ours, theirs in zip(_parts(one), _parts(other), strict=True)
    )


def _allowed(os: str, protocol: str) -> list[tuple[Oracle, Decision]]:
    """The decisions that let a bind() or listen() in, once each."""
    expectations = catalog.expectations(os)
    model = expectations.at(expectations.covers[1])
    recorder = Recorder(CompiledEvaluator(model))
    oracle = Oracle(model, recorder)
    for text in [*_texts(protocol), *random_sequences(1, 150)]:
        oracle.predict(text)
    seen = set()
    found = []
    for decision in recorder.log:
        key = (decision.section, decision.new, decision.state, decision.call)
        rules = decision.rules
        if decision.section in ("bind", "listen") and rules and rules[0].action == ALLOW and key not in seen:
            seen.add(key)
            found.append((oracle, decision))
    return found


@pytest.mark.parametrize("protocol", ["tcp", "udp"])
@pytest.mark.parametrize("os", catalog.names())
def test_what_a_reason_says_is_true(os: str, protocol: str) -> None:
    told: Counter[str] = Counter()
    for oracle, decision in _allowed(os, protocol):
        if len(decision.rules) > 1 or decision.rules[0].ask:
            continue
        found = sharing(oracle.model, decision)
        others = [one for one in on_port(decision.state, decision.new) if one.name != decision.new.name]
        if not found.overlapping:
            near = [one for one in others if _overlap(one, decision.new)]
            assert not near, (decision.new, near)
            told["nobody"] += 1
            continue
        if found.existing is None:
            told["no rule"] += 1
            continue
        assert found.existing in others
        reference = ReferenceEvaluator(oracle.model)
        spaces = {rule.space for rule in found.rules}
        for name, value in found.terms:
            read = {
                reference.value(name, decision.call, decision.new, found.existing, space, decision.state)
                for space in spaces
            }
            told[name] += 1
            assert value in read, (decision, name, value, read)
            assert in_words(name, value, "b", "a")
    assert told["nobody"] > 10
    assert sum(told.values()) > told["nobody"]


@pytest.mark.parametrize("os", catalog.names())
def test_every_fact_of_a_conflict_has_words(os: str) -> None:
    """Else a success of that system could not be told."""
    rules = catalog.expectations(os).rules
    for section in ("bind", "listen"):
        for rule in rules.get(section, ()):
            if rule.action == REFUSE and rule.ask:
                for condition in rule.conditions:
                    for name, values in condition:
                        if name.startswith(("existing.", "both.", "either.")) and name not in (
                            "existing.overlaps",
                            "existing.space",
                            "existing.group",
                        ):
                            assert all(in_words(name, value, "b", "a") for value in values), name


def _reasons(os: str, text: str) -> tuple[list[Reason], list[str]]:
    expectations = catalog.expectations(os)
    oracle = Oracle(expectations.at(expectations.covers[1]))
    scenario = parse(text)
    steps = steps_to_explain(scenario, oracle.predict(scenario).outcomes)
    found = reasons(oracle, scenario)
    return [found[index] for index in steps], [scenario.steps[index].text for index in steps]


_RESTART = (
    "a=tcp4 a.reuseaddr=1 a.bind=127.0.0.1 a.listen c=tcp4 c.connect=127.0.0.1 x=a.accept x.close c.close a.close "
    "b=tcp4 b.reuseaddr=1 b.bind=127.0.0.1"
)


@pytest.mark.parametrize(
    ("os", "text", "says"),
    [
        (
            "linux",
            "a=tcp4 a.reuseaddr=1 a.bind=0.0.0.0 b=tcp4 b.reuseaddr=1 b.bind=0.0.0.0",
            "a and b overlap and share: both set SO_REUSEADDR and a does not listen",
        ),
        (
            "windows",
            "a=tcp4 a.reuseaddr=1 a.bind=0.0.0.0 b=tcp4 b.reuseaddr=1 b.bind=0.0.0.0",
            "a and b overlap and share: both set SO_REUSEADDR",
        ),
        (
            "freebsd",
            "a=tcp4 a.bind=0.0.0.0 a.listen b=tcp4 b.reuseaddr=1 b.bind=127.0.0.1",
            "a overlaps but does not conflict: b sets SO_REUSEADDR and their addresses differ (a covers b)",
        ),
        ("linux", "a=udp4 a.bind=127.0.0.1 b=udp4 b.bind=127.0.0.2", "no other socket overlaps"),
        (
            "netbsd",
            _RESTART,
            "a connection in TIME_WAIT overlaps but does not conflict: connections do not count",
        ),
    ],
)
def test_a_success_names_what_decided(os: str, text: str, says: str) -> None:
    found, _ = _reasons(os, text)
    assert found[-1].text == says


def test_only_the_socket_that_is_asked_is_named() -> None:
    text = (
        "a=udp4 a.bind=127.0.0.1 b=udp4 b.reuseport=1 b.bind=127.0.0.2 c=udp4 c.reuseport=1 c.bind=127.0.0.2 "
        "d=udp4 d.reuseport=1 d.bind=0.0.0.0"
    )
    found, _ = _reasons("linux", text)
    assert "both set SO_REUSEPORT" in found[-1].text
    assert "only c is compared" in found[-1].text
    assert "linux.udp-conflict" in found[-1].why


def test_every_delivery_has_its_reason() -> None:
    text = "a=udp4 a.reuseport=1 a.bind=0.0.0.0 b=udp4 b.reuseport=1 b.bind=127.0.0.1 deliver=127.0.0.1"
    text += " deliver=127.0.0.2"
    found, steps = _reasons("macos", text)
    assert steps == ["b.bind=127.0.0.1", "deliver=127.0.0.1", "deliver=127.0.0.2"]
    assert [one.rule for one in found] == ["macos.free", "macos.deliver-exact", "macos.deliver-wildcard"]
    assert "oldest socket on 0.0.0.0 receives everything" in found[2].text
    assert "local_wild" in found[2].why


def test_listening_after_a_failed_bind_is_explained() -> None:
    found, steps = _reasons("linux", "a=tcp4 a.bind=0.0.0.0 b=tcp4 b.bind=127.0.0.1 b.listen")
    assert steps == ["b.bind=127.0.0.1", "b.listen"]
    assert found[1].text == "b is not bound to the port, so it listens on another one, which the system chose"
    found, _ = _reasons("windows", "a=tcp4 a.exclusive=1 a.bind=0.0.0.0 b=tcp4 b.bind=127.0.0.1 b.listen")
    assert found[1].text == "listen() does not choose a port, and the socket is not bound"


@pytest.mark.parametrize("os", catalog.names())
def test_an_answer_about_tcp_names_no_multicast_dns(os: str) -> None:
    for rule in catalog.expectations(os).all_rules():
        assert "ff02::fb" not in rule.reason


def test_success_of_a_listen_that_compares_again() -> None:
    found, steps = _reasons(
        "linux", "a=tcp4 a.reuseport=1 a.bind=127.0.0.1 a.listen b=tcp4 b.reuseport=1 b.bind=0.0.0.0 b.listen"
    )
    assert steps == ["b.bind=0.0.0.0"]
    assert found[0].text == "a and b overlap and share: both set SO_REUSEPORT and a and b have the same user"
