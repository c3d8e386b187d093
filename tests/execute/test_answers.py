"""What passes from a far side: everything that an executor says, and nothing that readers stumble over."""

from __future__ import annotations

import io
import json
from typing import Any

import pytest
from bindmatrix.execute.executor import Executor
from bindmatrix.execute.wire_check import Answers, Misconduct, facts
from bindmatrix.generate.deliveries import random_deliveries
from bindmatrix.generate.matrix import matrix
from bindmatrix.observe.recordings import Recording, header
from hypothesis import given
from hypothesis import strategies as st

SCENARIO = "a=tcp4 a.bind=127.0.0.1"


def test_all_that_an_executor_says_passes_unchanged(executor: Executor) -> None:
    scenarios = [text for group in matrix("quick", users=True) for text in group.scenarios][::10]
    scenarios += [*random_deliveries(1, 20), "a=tcp4 a.connect=::1", "no scenario", "a=tcp4 a.exclusive=1", "é \x1b[2J"]
    lines = [executor.line(text).encode() + b"\n" for text in scenarios]
    answers = Answers()
    for _ in range(2):  # the second time much of it is known
        assert answers.check(lines, scenarios)[:-1] == lines[:-1]
    facts_of_it = json.loads(json.dumps(executor.facts))
    assert facts(executor.header().encode()) == facts_of_it


texts = st.text(st.sampled_from('aE1 :,"\\\x1b\n\u2028é'), max_size=8)
values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8) | st.sampled_from(["ok", SCENARIO]),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["os", "x", "codes"]), inner, max_size=3)
    ),
    max_leaves=8,
)
records = st.fixed_dictionaries(
    {"scenario": st.just(SCENARIO) | values},
    optional={"outcomes": st.just(["ok", "ok"]) | values, "no_verdict": values, "unsupported": values, "codes": values},
)


@given(line=st.binary(max_size=60) | records.map(lambda record: json.dumps(record).encode()))
def test_what_passes_is_read_as_the_answer(line: bytes) -> None:
    answers = Answers()
    said = ""
    for _ in range(2):
        try:
            (kept,) = answers.check([line + b"\n"], [SCENARIO])
        except Misconduct as misconduct:
            said = str(misconduct)
            break
        recording = Recording(io.BytesIO(header({"os": "x"}) + kept), "host")
        (observation,) = recording
        assert recording.problem is None
        assert observation.scenario == SCENARIO
        assert (observation.outcomes is None) == bool(observation.reason)
        assert observation.reason.isprintable()
        assert not observation.outcomes or len(observation.outcomes) == 2
    assert said.isprintable()


@given(host=st.dictionaries(st.sampled_from(["os", "release", "options", "sysctls", "ipv6", "other"]), values))
def test_what_passes_of_facts_has_the_types_that_readers_expect(host: dict[str, Any]) -> None:
    line = json.dumps({"format": "bindmatrix-observations/1", "host": {"os": "linux", **host}}).encode()
    try:
        found = facts(line)
    except Misconduct:
        return
    assert found["os"].replace("-", "").replace("_", "").isalnum()
    assert isinstance(found.get("release", ""), str)
    assert isinstance(found.get("options", []), list)
    assert isinstance(found.get("sysctls", {}), dict)
    assert isinstance(found.get("ipv6", True), bool)


def test_a_host_that_invents_outcomes_is_not_believed_for_long() -> None:
    answers = Answers()
    lines = [b'{"scenario":"a=tcp4","outcomes":["E%d"]}\n' % number for number in range(301)]
    assert answers.check(lines[:300], ["a=tcp4"] * 300) == lines[:300]
    with pytest.raises(Misconduct, match="what is no outcome: 'E300'"):
        answers.check(lines[300:], ["a=tcp4"])


def test_a_host_that_invents_reasons_is_cut_short() -> None:
    answers = Answers()
    found = {
        answers.check([b'{"scenario":"a=tcp4","outcomes":null,"no_verdict":"%d"}\n' % number], ["a=tcp4"])[0]
        for number in range(7000)
    }
    assert len(found) == 5001


@pytest.mark.parametrize("outcome", ["a:32", "a:15,b:17", "a:16,refused:16", "none", "refused", "EACCES:1"])
def test_shares_belong_to_deliveries(outcome: str) -> None:
    answers = Answers()
    delivery = json.dumps({"scenario": "deliver=::1", "outcomes": [outcome]}, separators=(",", ":")).encode() + b"\n"
    assert answers.check([delivery], ["deliver=::1"]) == [delivery]
    if ":" in outcome:
        with pytest.raises(Misconduct):
            answers.check([delivery.replace(b"deliver=::1", b"a=tcp4")], ["a=tcp4"])
