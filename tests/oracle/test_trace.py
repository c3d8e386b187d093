"""The recorder answers as the evaluator below it and records every question with its answer."""

from __future__ import annotations

from bindmatrix.oracle.delivery import Delivery
from bindmatrix.oracle.trace import Decision, Received, Recorder
from bindmatrix.rules import catalog
from bindmatrix.rules.model import CallRule, Rule
from bindmatrix.rules.sockets import Call, Sock, State

MODEL = catalog.expectations("linux").at("6.18.44")
RULE = CallRule(id="demo.rule", section="bind", action="allow")
CALL, NEW, OTHER, STATE = Call("bind"), Sock("a", "tcp", "ipv4", 0), Sock("b", "tcp", "ipv4", 0), State(1)
DELIVERY = Delivery((RULE,), (OTHER,))


class Below:
    """An evaluator that answers only what the test asks."""

    model = MODEL

    def decide(self, section: str, call: Call, new: Sock, state: State) -> tuple[Rule, ...]:
        assert (section, call, new, state) == ("bind", CALL, NEW, STATE)
        return (RULE,)

    def matching(self, rule: Rule, call: Call, new: Sock, state: State) -> list[Sock]:
        assert (rule, call, new, state) == (RULE, CALL, NEW, STATE)
        return [OTHER]

    def receivers(self, call: Call, destination: Sock, state: State) -> Delivery:
        assert (call, destination, state) == (CALL, NEW, STATE)
        return DELIVERY


def test_a_decision_is_recorded_with_all_that_was_asked() -> None:
    recorder = Recorder(Below())
    assert recorder.model is MODEL
    assert recorder.decide("bind", CALL, NEW, STATE) == (RULE,)
    assert recorder.log == [Decision("bind", CALL, NEW, STATE, (RULE,))]
    assert recorder.received == []


def test_a_delivery_is_recorded_with_its_receivers() -> None:
    recorder = Recorder(Below())
    assert recorder.receivers(CALL, NEW, STATE) is DELIVERY
    assert recorder.received == [Received(CALL, NEW, STATE, DELIVERY)]
    assert recorder.log == []


def test_the_sockets_that_match_are_those_of_the_evaluator_below() -> None:
    recorder = Recorder(Below())
    assert recorder.matching(RULE, CALL, NEW, STATE) == [OTHER]
    assert recorder.log == []
