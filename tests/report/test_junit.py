"""JUnit XML and the JSON Schema of the summaries: both are read by programs that we do not know."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import pytest
from bindmatrix.cli.main import main
from bindmatrix.judge.summary import Summary, VerdictGroup
from bindmatrix.judge.verdicts import VerdictKind
from bindmatrix.observe.recordings import Observation
from bindmatrix.report import junit
from bindmatrix.rules import catalog

from tests.report.pages import BOUND, CLASSIC, host, two_hosts

SCHEMA = Path(__file__).parent.parent.parent / "docs" / "schema" / "verdicts.schema.json"


def parsed(summaries: dict[str, Summary]) -> ET.Element:
    return ET.fromstring(junit.render(summaries))


def test_a_suite_a_host_and_it_fails_where_something_diverges() -> None:
    linux, freebsd = two_hosts()
    root = parsed({one.name: one.summary for one in (linux, freebsd)})
    suites = {suite.get("name"): suite for suite in root}
    assert [suites[name].get("failures") for name in ("linux 6.18.44", "freebsd 13.0")] == ["1", "0"]
    failure = suites["linux 6.18.44"].find("testcase/failure")
    assert failure is not None
    assert "expected EADDRINUSE, got ok" in str(failure.text)
    assert BOUND in str(failure.text)


def test_flaky_and_unknown_are_skipped_with_what_was_seen() -> None:
    root = parsed({"linux": two_hosts()[0].summary})
    skipped = [case for case in root.iter("testcase") if case.find("skipped") is not None]
    flaky = next(case for case in skipped if str(case.get("name")).startswith("flaky"))
    assert "of 2 runs 1 gave EADDRINUSE and 1 gave ok" in str(flaky.findtext("system-out"))


def test_the_counts_of_the_root_are_those_of_the_suites() -> None:
    root = parsed({one.name: one.summary for one in two_hosts()})
    for key in ("tests", "failures", "skipped"):
        assert int(root.get(key, "-1")) == sum(int(suite.get(key, "-1")) for suite in root)
    assert int(root.get("tests", "-1")) == len(list(root.iter("testcase")))


def test_what_xml_cannot_hold_is_replaced() -> None:
    evil = "]]></failure>\x00\x1b[31m\ud800 <b>&"
    linux = host("linux", "6.18.44", [Observation(CLASSIC, None, "unsupported", "none")], hostname="x")
    summary = linux.summary
    summary.groups.append(VerdictGroup(VerdictKind.DIVERGES, "r", "bind", "ok", evil, 1, evil, 0, (evil,), evil))
    summary.notes.append(evil)
    root = parsed({evil: summary})
    assert "<b>&" in str(root.find("testsuite/testcase/failure").text)  # type: ignore[union-attr]
    assert root[0].get("name") == "]]></failure>\ufffd\ufffd[31m\ufffd <b>&"


def schema() -> Any:
    jsonschema = pytest.importorskip("jsonschema", reason="needs jsonschema: pip install jsonschema")
    data = json.loads(SCHEMA.read_text(encoding="utf-8"))
    jsonschema.Draft202012Validator.check_schema(data)
    return jsonschema.Draft202012Validator(data)


def test_summaries_are_as_the_schema_says() -> None:
    validator = schema()
    for one in two_hosts():
        data = json.loads(json.dumps(one.summary.as_dict()))
        validator.validate(data)
        assert {group["kind"] for group in data["groups"]} or not one.summary.groups


def test_judge_and_report_print_what_the_schema_says(capsys: pytest.CaptureFixture[str]) -> None:
    file = str(catalog.folder() / "evidence" / "linux-6.1.192" / "pairs.jsonl.gz")
    printed = []
    for verb in ("judge", "report"):
        assert main([verb, file, "--json"]) == 0
        printed.append(json.loads(capsys.readouterr().out))
    validator = schema()
    for data in printed:
        validator.validate(data)
    judged, reported = (data[0] for data in printed)
    # two ways to the same numbers
    assert judged["verdicts"] == reported["verdicts"]
    assert judged["rules"] == reported["rules"]
    assert judged["groups"] == reported["groups"]


@pytest.mark.parametrize(
    "change",
    [{"format": "bindmatrix-verdicts/2"}, {"verdicts": {"diverges": -1}}, {"surprise": 1}, {"total": "many"}],
)
def test_the_schema_refuses_what_is_no_summary(change: dict[str, Any]) -> None:
    data = json.loads(json.dumps(two_hosts()[0].summary.as_dict()))
    assert not schema().is_valid({**data, **change})
