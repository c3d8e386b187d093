"""``bindmatrix audit``: what differs on other systems, and whether this kernel answers as the audit says."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterable

import pytest
from bindmatrix.advice.audit import Audit, audit
from bindmatrix.advice.audit_questions import QUESTIONS, Tenant, ask_all
from bindmatrix.advice.parts import Instance, receivers
from bindmatrix.cli.main import main
from bindmatrix.errors import Problem
from bindmatrix.execute.local import LocalHost
from bindmatrix.notation import Scenario, parse
from bindmatrix.oracle.variants import Variant, variant_of
from bindmatrix.outcomes import Expected, accepts
from bindmatrix.programs.program_input import Program, programs
from bindmatrix.programs.runtimes import runtimes
from bindmatrix.rules import catalog

from tests.programs.recordings import DATA

REUSING = "a=tcp4 a.reuseaddr=1 a.bind=0.0.0.0 a.listen"
Capture = pytest.CaptureFixture[str]


def audited(word: str, os: str) -> dict[str, str]:
    """Question -> answer that differs from Linux."""
    (found,) = [audit(one, [os]) for one in programs(word)]
    return {row.question: row.answer.words for row in found.others[0].rows}


def test_reuseaddr_opens_a_server_on_windows() -> None:
    found = audited("py-http.server", "windows")
    assert found["started twice"] == "both run: the first receives everything"
    assert found["another user"] == "takes everything at 127.0.0.1"
    # Go leaves the option out there
    assert "started twice" not in audited("go-tcp4", "windows")


def test_workers_share_on_linux_and_not_on_macos() -> None:
    (found,) = [audit(one, ["macos"]) for one in programs("asyncio-reuse_port")]
    tried = {row.question: row.answer.words for row in found.tried.rows}
    assert tried["three workers"] == "the first, the second and the third share the load"
    there = {row.question: row.answer.words for row in found.others[0].rows}
    assert there["three workers"] == "the first receives everything"


def test_v6only_left_to_the_system_loses_ipv4() -> None:
    found = audited("a=tcp6 a.bind=:: a.listen", "windows")
    assert found["alone"] == "at 127.0.0.1: clients are refused; at ::1: it receives everything"


def test_a_restart_without_reuseaddr() -> None:
    program = Program("", parse("a=tcp4 a.bind=0.0.0.0 a.listen"))
    found = audit(program, ["netbsd"])
    assert {row.question: row.answer.words for row in found.tried.rows}["restart, port in TIME_WAIT"] == (
        "refused (EADDRINUSE)"
    )
    there = {row.question: row.answer.words for row in found.others[0].rows}
    assert there["restart, port in TIME_WAIT"] == "it starts again"


def test_a_program_that_does_not_start_has_one_answer() -> None:
    does = parse("a=tcp6 a.v6only=0 a.bind=:: a.listen")
    stopped = audit(Program("", does), ["openbsd"]).others[0]
    assert {row.question: row.answer.words for row in stopped.rows} == {
        "alone": "it does not start: refused at IPV6_V6ONLY (EINVAL)"
    }
    # where the error is ignored, the system's IPv6 socket stays without IPv4
    ignoring = audit(Program("", does, ignored=frozenset(["v6only"])), ["openbsd"]).others[0]
    assert {row.question: row.answer.words for row in ignoring.rows}["alone"] == (
        "at 127.0.0.1: clients are refused; at ::1: it receives everything"
    )


def test_answers_that_differ_by_their_means_alone_are_alike() -> None:
    found = audited("nginx-reuseport", "freebsd")
    assert "a more specific address, same user" not in found


def test_every_answer_has_its_scenario_or_its_table() -> None:
    found = audit(Program("", parse(REUSING)))
    for system in (found.tried, *found.others):
        for row in system.rows:
            assert row.question in QUESTIONS
            if row.answer.scenario is None:
                assert row.question == "port 0" or row.answer.words == "gets nothing"
            else:
                assert row.known is not None
                assert row.known.os == system.os
                assert row.known.outcomes == _outcomes(system.os, row.answer.scenario.text)


def _outcomes(os: str, text: str) -> object:
    expectations = catalog.expectations(os)
    return variant_of(expectations, expectations.covers[1]).actual.predict(text).outcomes


@pytest.mark.parametrize("row", runtimes())
def test_every_runtime_can_be_audited(row: str) -> None:
    (program,) = programs(row)
    found = audit(program)
    assert isinstance(found, Audit)
    json.dumps(found.as_dict())


def test_all_systems_take_less_than_a_second() -> None:
    audit(Program("", parse(REUSING)), ["linux"])  # read files once
    start = time.process_time()
    audit(Program("", parse(REUSING)))
    assert time.process_time() - start < 1


def test_ports_that_the_kernel_chooses_leave_one_question() -> None:
    (found,) = [audit(one) for one in programs("a=udp4 a.reuseaddr=1 a.bind=127.0.0.1,0")]
    assert [(row.question, row.answer.words) for row in found.tried.rows] == [
        ("port 0", "two sockets get the same port")
    ]


def test_a_second_instance_has_names_of_its_own() -> None:
    first = Instance(parse("user=0 a=tcp4 b=tcp6 a.bind=0.0.0.0 a.listen x=a.accept a.close").steps)
    second = first.again(first.names)
    assert second.text == "c=tcp4 d=tcp6 c.bind=0.0.0.0 c.listen e=c.accept c.close"


@pytest.mark.parametrize(
    ("outcome", "words"),
    [
        ("a", "the first receives everything"),
        ("spread:a,b", "the first and the second share the load"),
        ("spread:a,refused", "the first receives a part; the rest is lost"),
        ("every:a,b", "the first and the second receive a copy each"),
        ("none", "nobody receives"),
        (("a", "b"), "the first receives everything or the second receives everything"),
        (None, "not known"),
    ],
)
def test_receivers_in_words(outcome: str | tuple[str, ...] | None, words: str) -> None:
    assert receivers(outcome, {"a": "the first", "b": "the second"}) == words


# -- the command


def test_the_command(capsys: Capture) -> None:
    assert main(["audit", REUSING, "--os", "windows"]) == 0
    out = capsys.readouterr().out
    assert max(map(len, out.splitlines())) <= 80
    assert "\nwindows 10.0.26100: 4 answers differ\n" in out
    assert "\n  started twice: both run: the first receives everything\n    linux: the second is refused" in out


def test_the_system_that_it_was_tried_on(capsys: Capture) -> None:
    assert main(["audit", "--json", "--tried-on", "windows", "--os", "linux", "--os", "windows", REUSING]) == 0
    (found,) = json.loads(capsys.readouterr().out)
    assert found["tried"]["os"] == "windows"
    (other,) = found["others"]
    row = next(row for row in other["differs"] if row["question"] == "started twice")
    assert row["tried"] == "both run: the first receives everything"
    assert row["answer"] == "the second is refused (EADDRINUSE)"
    assert row["confidence"]["method"]


def test_a_trace(capsys: Capture) -> None:
    assert main(["audit", str(DATA / "cases" / "signal.txt"), "--os", "windows"]) == 0
    assert "signal.txt, port 8080/tcp\n" in capsys.readouterr().out


def test_a_scenario_file_and_a_recording(tmp_path_factory: pytest.TempPathFactory) -> None:
    path = tmp_path_factory.mktemp("audit") / "scenarios.txt"
    path.write_text(f"# servers\n{REUSING}\n\na=udp4 a.bind=0.0.0.0\n", encoding="utf-8")
    assert [one.does.text for one in programs(str(path))] == [REUSING, "a=udp4 a.bind=0.0.0.0"]
    path = path.with_name("recording.jsonl")
    path.write_text(json.dumps({"scenario": REUSING, "outcomes": ["ok"] * 4}) + "\n", encoding="utf-8")
    assert [one.does.text for one in programs(str(path))] == [REUSING]


@pytest.mark.parametrize(
    ("word", "message"),
    [
        ("go-htp", "'go-htp' is neither a file nor a runtime; did you mean 'go-http'?"),
        ("a=tcp5", "scenario:1:1: unknown kind of socket 'tcp5'"),
        ("999999999", "process 999999999: there is no such process"),
    ],
)
def test_bad_input_is_one_line(word: str, message: str) -> None:
    if word.isdigit() and sys.platform != "linux":
        pytest.skip("processes are inspected on Linux")
    with pytest.raises(Problem) as caught:
        programs(word)
    assert message in str(caught.value)


def test_bad_use_is_told(capsys: Capture) -> None:
    assert main(["audit", "--tried-on", "linus", REUSING]) == 2
    assert "no expectations for 'linus'; did you mean 'linux'?" in capsys.readouterr().err
    assert main(["audit"]) == 2
    assert "expected one PROGRAM" in capsys.readouterr().err


# -- the answers for Linux, on a Linux kernel


class Noting(Tenant):
    """Notes every scenario that the questions are answered with."""

    def __init__(self, does: Scenario, variant: Variant, ignored: Iterable[str], asked: set[str]) -> None:
        super().__init__(does, variant, ignored)
        self.asked = asked

    def outcomes(self, scenario: Scenario) -> tuple[Expected, ...]:
        self.asked.add(scenario.text)
        return super().outcomes(scenario)


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="the answers are those of Linux")
def test_what_is_said_of_linux_happens_here() -> None:
    expectations = catalog.expectations("linux")
    with LocalHost(1) as host:
        own = host.facts["namespace"] == "own"
        release = catalog.release_of(expectations, str(host.facts["release"]))
        if host.facts["os"] != "linux":
            pytest.skip(f"this is {host.facts['os']}")
        variant = variant_of(expectations, release)
        asked: set[str] = set()
        for row in runtimes().values():
            does = row.scenario("linux")
            if does is not None:
                ask_all(Noting(does, variant, row.ignores, asked))
        answers = [json.loads(line) for lines in host.run(sorted(asked)) for line in lines]
    judged, wrong = 0, []
    for answer in answers:
        if answer.get("outcomes") is None:
            continue  # no privilege, or the port was taken
        scenario = parse(answer["scenario"])
        expected = variant.actual.predict(scenario).outcomes
        judged += 1
        wrong += [
            f"{scenario.text}: {step.text} {outcome}, expected {one}"
            for step, outcome, one in zip(scenario.steps, answer["outcomes"], expected, strict=True)
            if not accepts(one, outcome, delivers=step.delivers)
        ]
    # 2,231 on 2026-11-30: every question about each of the 110 programs that Linux has
    assert len(asked) > 2000
    assert judged == len(asked) if own else judged > len(asked) // 2
    assert wrong == []
