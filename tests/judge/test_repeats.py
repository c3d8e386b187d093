"""What came again is a repeat: it completes an observation, is none of its own, and one that is missing is told."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from bindmatrix.cli.main import DIVERGES, OK, main
from bindmatrix.judge.evidence_sample import digest
from bindmatrix.judge.verdicts import VerdictKind
from bindmatrix.observe.recordings import Observation, header, line
from bindmatrix.observe.run_folder import NAME, RunFolder
from bindmatrix.run.session import REPEATS, Session

from tests.fake_kernel import FACTS, FakeKernel
from tests.report.pages import host

HOSTILE = Path(__file__).parent.parent / "hostile"
ONE = "a=tcp4 a.bind=127.0.0.1"
#: the rules of Windows do not say what this returns
UNKNOWN = "a=tcp4 a.bind=127.0.0.1 a.reuseaddr=1"


def summary(capsys: pytest.CaptureFixture[str], *words: str) -> dict[str, object]:
    main([*words, "--json"])
    found = json.loads(capsys.readouterr().out)
    return {kind: count for kind, count in found[0]["verdicts"].items() if count}


def recorded(path: Path, *observations: Observation) -> str:
    path.write_bytes(header({"os": "linux", "release": "6.18.44"}) + b"".join(map(line, observations)))
    return str(path)


def test_judge_counts_a_repeated_scenario_once(capsys: pytest.CaptureFixture[str]) -> None:
    """Failed first: `run` and `report` said flaky, `judge` said one flaky and one that diverges."""
    assert summary(capsys, "judge", str(HOSTILE / "judge-twice.jsonl")) == {"flaky": 1}
    assert main(["judge", str(HOSTILE / "judge-twice.jsonl")]) == OK


@pytest.mark.parametrize(
    ("later", "kind"),
    [
        ([("ok", "EPERM")] * 3, "diverges"),
        ([("ok", "EPERM"), ("ok", "ok"), ("ok", "ok")], "flaky"),
        ([None, None, None], "no-verdict"),
        ([("ok", "EPERM"), None, ("ok", "EPERM")], "no-verdict"),
    ],
)
@pytest.mark.parametrize("plain", [False, True])
def test_judge_and_report_agree(
    later: list[tuple[str, ...] | None], kind: str, plain: bool, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """In one line, as `run` writes repeats, or as lines of their own, as a machine in CI writes them."""
    first = Observation(ONE, ("ok", "EPERM"))
    lines = [first._replace(repeats=tuple(later))]
    if plain:
        lines = [Observation(ONE, one, "" if one else "no-verdict", "" if one else "taken") for one in later]
    path = recorded(tmp_path / "x.jsonl", first, *lines)
    assert summary(capsys, "judge", path) == {kind: 1}
    main(["report", path, "--json", str(tmp_path / "out.json")])
    data = json.loads((tmp_path / "out.json").read_text())
    assert {key: count for key, count in data[0]["verdicts"].items() if count} == {kind: 1}
    assert main(["judge", path]) == (DIVERGES if kind == "diverges" else OK)


def test_a_divergence_without_its_repeats_is_no_verdict(tmp_path: Path) -> None:
    """Failed first: one answer was wrong, no repeat came, and it counted as diverging."""

    def gone(text: str, outcomes: list[str], runs: int) -> list[str] | None:
        return ["ok", "EPERM"] if runs == 0 else None

    results = RunFolder(tmp_path, FACTS)
    kernel = FakeKernel(fault=gone)
    found = Session(kernel, results).run([ONE])
    results.close()
    assert found.conforms
    assert found.verdicts[VerdictKind.NO_VERDICT] == 1
    assert dict(found.reasons[VerdictKind.NO_VERDICT]) == {
        f"{REPEATS} of {REPEATS} repeats of what diverged gave no outcomes": 1
    }
    assert main(["judge", str(tmp_path)]) == OK


@pytest.mark.parametrize("kind", ["flaky", "diverges"])
def test_a_resumed_run_counts_repeats_once(kind: str, tmp_path: Path) -> None:
    """Failed first: the line with the repeats counted beside the first one."""

    def moody(text: str, outcomes: list[str], runs: int) -> list[str]:
        return [*outcomes[:-1], "EPERM"] if runs == 0 or kind == "diverges" else outcomes

    results = RunFolder(tmp_path, FACTS)
    first = Session(FakeKernel(fault=moody), results).run([ONE])
    results.close()
    results = RunFolder(tmp_path, FACTS, resume=True)
    kernel = FakeKernel(fault=moody)
    again = Session(kernel, results).run([ONE])
    results.close()
    assert {**again.verdicts} == {**first.verdicts}
    assert again.verdicts[kind] == 1
    assert kernel.ran == [] or kind == "diverges"
    assert (tmp_path / NAME).exists()


def test_what_is_unknown_is_repeated_before_it_may_be_evidence(tmp_path: Path) -> None:
    """Failed first: one chance outcome that no rule contradicts was proposed as evidence."""
    facts = {**FACTS, "os": "windows", "release": "10.0.26100"}
    kernel = FakeKernel(facts=facts)
    assert Session(kernel).run([UNKNOWN]).verdicts["unknown"] == 1
    assert kernel.ran == [UNKNOWN] * (1 + REPEATS)
    outcomes = ("ok", "ok", "ok")
    assert digest(host("windows", "10.0.26100", [Observation(UNKNOWN, outcomes)])) == []
    whole = Observation(UNKNOWN, outcomes, repeats=(outcomes,) * 3)
    assert digest(host("windows", "10.0.26100", [whole])) == [whole]
    wavers = whole._replace(repeats=(outcomes, ("ok", "ok", "EINVAL"), outcomes))
    assert digest(host("windows", "10.0.26100", [wavers])) == []


def test_a_scenario_that_comes_without_end_is_judged_in_time(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = recorded(tmp_path / "x.jsonl", *[Observation(ONE, ("ok", "EPERM"))] * 5_000)
    assert summary(capsys, "judge", path) == {"diverges": 1}
