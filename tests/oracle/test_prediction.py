"""The lines that ``predict`` prints, without the command."""

from __future__ import annotations

import json
from typing import Any

import pytest
from bindmatrix.errors import Problem
from bindmatrix.oracle import prediction
from bindmatrix.oracle.prediction import Predictor
from bindmatrix.rules import catalog, divergences

LINUX = "6.1.192"
#: what linux.mapped-wildcard-overlooked lets in
KNOWN = "a=tcp6 a.v6only=0 a.bind=::ffff:0.0.0.0 b=tcp6 b.v6only=0 b.bind=::ffff:127.0.0.1"


def predictor(os: str = "linux", release: str = LINUX) -> Predictor:
    expectations = catalog.expectations(os)
    return Predictor(expectations.at(release), divergences.of(expectations, release))


def read(line: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(line)
    return found


def test_a_line_has_the_outcomes_and_the_rules_of_each_step() -> None:
    text = "a=tcp4 a.bind=0.0.0.0 b=tcp4 b.bind=0.0.0.0"
    assert predictor().line(text) == (
        f'{{"scenario":"{text}","outcomes":["ok","ok","ok","EADDRINUSE"],'
        '"rules":["api.plain","linux.free","api.plain","linux.tcp-conflict"],'
        '"confidence":{"method":"emulated","release":"6.1.192"}}'
    )


def test_a_known_divergence_is_named_with_the_outcomes_that_it_makes() -> None:
    line = predictor().line(KNOWN)
    assert line == (
        f'{{"scenario":"{KNOWN}","outcomes":["ok","ok","ok","ok","ok","EADDRINUSE"],'
        '"rules":["api.plain","linux.set","linux.free","api.plain","linux.set","linux.tcp-conflict"],'
        '"confidence":{"method":"run","release":"6.18.44","stretched":"6.1.192 is older"},'
        '"divergence":"linux.mapped-wildcard-overlooked","actual":["ok","ok","ok","ok","ok","ok"]}'
    )


def test_only_the_rule_of_the_step_that_differs_is_contradicted() -> None:
    """The other steps were measured on the release, so the first divergence takes nothing from them."""
    shown = predictor("macos", "15.5")
    alone = read(shown.line("a=tcp4 a.bind=255.255.255.255"))["confidence"]
    assert read(shown.line("b=udp4 b.bind=127.0.0.1 a=tcp4 a.bind=255.255.255.255"))["confidence"] == alone
    assert read(shown.line("b=udp4 b.bind=127.0.0.1"))["confidence"] != alone


def test_a_line_is_the_same_once_its_steps_were_taken_before() -> None:
    shown = predictor()
    other = "a=tcp4 a.bind=127.0.0.1 b=tcp4 b.bind=0.0.0.0"
    texts = [KNOWN, other, other.replace("127.0.0.1", "127.0.0.2")]
    first = [shown.line(text) for text in texts]
    assert [shown.line(text) for text in texts] == first
    assert [predictor().line(text) for text in texts] == first
    # the last two have the same outcomes by the same rules: one JSON of two scenarios
    assert first[1].partition(",")[2] == first[2].partition(",")[2]


def test_steps_that_were_taken_before_are_not_parsed_and_their_rules_not_described_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    shown = predictor()
    text = "a=tcp4 a.bind=127.0.0.1 b=tcp4 b.bind=0.0.0.0"
    line = shown.line(text)
    monkeypatch.setattr(prediction, "parse", None)
    monkeypatch.setattr(prediction.json, "dumps", None)
    assert shown.line(text) == line


def test_a_scenario_is_shown_in_its_one_form() -> None:
    shown = predictor()
    for _ in range(2):
        assert read(shown.line("a=tcp4   a.bind=0.0.0.0"))["scenario"] == "a=tcp4 a.bind=0.0.0.0"


def test_what_is_unknown_is_null_and_what_several_rules_decide_is_a_list() -> None:
    text = "a=tcp4 a.reuseport=1 a.bind=127.0.0.1 a.listen b=tcp4 b.reuseport=1 b.bind=127.0.0.1 b.listen"
    line = read(predictor().line(f"{text} c=tcp4 c.connect=127.0.0.1 x=a.accept"))
    assert line["outcomes"][-1] == ["ok", "timeout"]
    assert line["rules"][-1] == ["api.empty-queue", "api.queue"]
    line = read(predictor("windows", "10.0.20348").line("a=mptcp4"))
    assert line["outcomes"] == [None]
    assert line["rules"] == ["api.not-described-kind"]


def test_what_is_no_scenario_is_refused_with_its_place() -> None:
    with pytest.raises(Problem, match=r"bin"):
        predictor().line("a=tcp4 a.bin=0.0.0.0")
