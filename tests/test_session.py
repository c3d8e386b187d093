"""The harness on a fake kernel: it finds an injected difference, shrinks it and names the rule."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from bindmatrix.errors import Problem
from bindmatrix.judge.verdicts import VerdictKind
from bindmatrix.observe.recordings import Observation, line, read
from bindmatrix.observe.run_folder import RunFolder
from bindmatrix.rules.model import Rule
from bindmatrix.run.plan import Plan, lacking
from bindmatrix.run.session import Session

from tests.fake_kernel import FACTS, FakeKernel

QUICK = Plan("quick", examples=300)


def test_a_kernel_that_follows_the_rules_conforms() -> None:
    kernel = FakeKernel()
    summary = Session(kernel).run(QUICK.scenarios(kernel.facts))
    assert summary.conforms
    assert summary.total == summary.verdicts[VerdictKind.CONFORMS] + summary.verdicts["unknown"]
    assert summary.rules["linux.tcp-conflict"] > 100


@pytest.mark.parametrize(
    ("rule", "shortest"),
    [
        ("linux.udp-conflict", "a=udp4 a.bind=127.0.0.1 b=udp4 b.bind=127.0.0.1"),
        ("linux.tcp-conflict", "a=tcp4 a.bind=127.0.0.1 b=tcp4 b.bind=127.0.0.1"),
        ("linux.mapped-v6only", "a=tcp6 a.v6only=1 a.bind=::ffff:127.0.0.1"),
        ("linux.v6only-bound", "a=tcp6 a.bind=::1 a.v6only=0"),
    ],
)
def test_a_missing_rule_is_found_named_and_shrunk(rule: str, shortest: str) -> None:
    kernel = FakeKernel(lambda one: None if one.id == rule else one)
    extra = [shortest + " c=udp4 c.bind=127.0.0.2"]
    summary = Session(kernel).run([*QUICK.scenarios(kernel.facts), *extra])
    assert not summary.conforms
    groups = [group for group in summary.of(VerdictKind.DIVERGES) if group.rule == rule]
    assert groups
    assert min((group.shrunk for group in groups), key=len) == shortest


def test_one_excuse_too_many_is_found() -> None:
    """A kernel in which SO_REUSEPORT works across users."""

    def sharing(rule: Rule) -> Rule:
        if rule.id != "linux.udp-conflict":
            return rule
        return replace(rule, unless=((("both.reuseport", ("yes",)),),))

    kernel = FakeKernel(sharing)
    summary = Session(kernel).run(QUICK.scenarios(kernel.facts))
    (group,) = summary.of(VerdictKind.DIVERGES)
    assert group.rule == "linux.udp-conflict"
    assert (group.expected, group.actual) == ("EADDRINUSE", "ok")
    assert (
        group.shrunk == "user=1001 a=udp4 a.reuseport=1 a.bind=127.0.0.1 user=0 b=udp4 b.reuseport=1 b.bind=127.0.0.1"
        or (group.shrunk == "a=udp4 a.reuseport=1 a.bind=127.0.0.1 user=1001 b=udp4 b.reuseport=1 b.bind=127.0.0.1")
    )


def test_a_kernel_that_cannot_make_up_its_mind_is_flaky() -> None:
    def moody(text: str, outcomes: list[str], runs: int) -> list[str]:
        return [*outcomes[:-1], "EADDRINUSE"] if runs == 0 and text.endswith("b=tcp4 b.bind=0.0.0.0") else outcomes

    kernel = FakeKernel(fault=moody)
    summary = Session(kernel).run(["a=udp4 a.bind=127.0.0.1 b=tcp4 b.bind=0.0.0.0", "a=tcp4 a.bind=127.0.0.1"])
    assert summary.verdicts[VerdictKind.FLAKY] == 1
    assert summary.conforms


def test_a_port_that_is_taken_is_no_divergence() -> None:
    kernel = FakeKernel(fault=lambda text, outcomes, runs: ["ok", "EADDRINUSE"])
    summary = Session(kernel).run(["a=tcp4 a.bind=127.0.0.1"])
    assert summary.verdicts[VerdictKind.NO_VERDICT] == 1
    assert summary.conforms


def test_axes_that_the_host_lacks_are_left_out_with_the_reason() -> None:
    plan = Plan("quick", examples=200)
    facts = {"users": False, "privileged": False, "ipv6": False, "addresses": ["127.0.0.1"]}
    texts = plan.scenarios({**FACTS, **facts})
    assert texts
    assert not any("user=" in text or "127.0.0.2" in text for text in texts)
    assert {"users", "ipv6"} <= lacking({**FACTS, **facts}).keys()


def test_options_that_only_some_hosts_have_are_combined_in_pairs() -> None:
    plain = Plan("quick", examples=0, deliveries=0).scenarios(FACTS)
    options = [*FACTS["options"], "reuseport_lb"]  # type: ignore[list-item]
    more = Plan("quick", examples=0, deliveries=0).scenarios({**FACTS, "options": options})
    assert more[: len(plain)] == plain
    assert len(more) > len(plain) + 1000
    assert all(".reuseport_lb=" in text for text in more[len(plain) :])
    assert len(set(more)) == len(more)


def test_shards_together_are_the_whole() -> None:
    whole = Plan("quick", examples=101).scenarios(FACTS)
    parts = [Plan("quick", examples=101, shard=(part, 3)).scenarios(FACTS) for part in (1, 2, 3)]
    assert sorted(whole) == sorted(text for part in parts for text in part)


def test_results_are_complete_and_can_be_judged_again(tmp_path: Path) -> None:
    kernel = FakeKernel()
    texts = QUICK.scenarios(kernel.facts)[:500]
    results = RunFolder(tmp_path / "run", kernel.facts)
    Session(kernel, results).run(texts)
    results.close()
    recording = read(tmp_path / "run")
    assert [one.scenario for one in recording] == texts
    assert recording.host["release"] == "6.18.44"
    assert recording.problem is None


def test_an_interrupted_run_is_resumed_without_running_anything_twice(tmp_path: Path) -> None:
    texts = QUICK.scenarios(FACTS)[:700]
    kernel = FakeKernel(interrupt_after=333)
    results = RunFolder(tmp_path, kernel.facts)
    session = Session(kernel, results)
    summary = session.run(texts)
    results.close()
    assert session.interrupted
    assert summary.total == 333

    kernel = FakeKernel()
    results = RunFolder(tmp_path, kernel.facts, resume=True)
    summary = Session(kernel, results).run(texts)
    results.close()
    assert summary.total == 700
    assert len(kernel.ran) == 700 - 333
    assert sorted(one.scenario for one in read(tmp_path)) == sorted(texts)


def test_what_is_not_planned_is_not_resumed(tmp_path: Path) -> None:
    """Failed first: a file of 5 MB asked for 57,000 scenarios of up to 100 seconds, three times each."""
    texts = QUICK.scenarios(FACTS)[:20]
    results = RunFolder(tmp_path, FACTS)
    foreign = "a=tcp4 wait=99999 a.bind=127.0.0.1"
    results.write([line(Observation(foreign, ("ok", "ok", "EPERM")))])
    results.close()
    kernel = FakeKernel()
    results = RunFolder(tmp_path, FACTS, resume=True)
    summary = Session(kernel, results).run(texts)
    results.close()
    assert kernel.ran == texts
    assert summary.total == len(texts)
    assert "left out 1 of the earlier run's scenarios: this run's options do not ask for them" in summary.notes


def test_a_run_that_was_killed_in_the_middle_of_a_line_is_resumed(tmp_path: Path) -> None:
    texts = QUICK.scenarios(FACTS)[:300]
    results = RunFolder(tmp_path, FACTS)
    Session(FakeKernel(), results).run(texts)
    results.close()
    path = tmp_path / "observations.jsonl.gz"
    path.write_bytes(path.read_bytes()[:-300])
    kernel = FakeKernel()
    results = RunFolder(tmp_path, FACTS, resume=True)
    summary = Session(kernel, results).run(texts)
    results.close()
    assert summary.total == 300
    assert 0 < len(kernel.ran) < 300
    assert read(tmp_path).problem is None


def test_results_of_another_host_are_not_resumed(tmp_path: Path) -> None:
    RunFolder(tmp_path, FACTS).close()
    with pytest.raises(Problem, match="was made on release"):
        RunFolder(tmp_path, {**FACTS, "release": "7.0"}, resume=True)


def test_a_folder_with_results_is_not_overwritten(tmp_path: Path) -> None:
    RunFolder(tmp_path, FACTS).close()
    with pytest.raises(Problem, match="--resume"):
        RunFolder(tmp_path, FACTS)


def test_nothing_to_resume(tmp_path: Path) -> None:
    with pytest.raises(Problem, match="nothing to resume"):
        RunFolder(tmp_path, FACTS, resume=True)
