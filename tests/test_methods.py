"""No generated text calls a compiled stack, a document or another project's test a run."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest
from bindmatrix.answers import ask, claims
from bindmatrix.cli import readme
from bindmatrix.cli.main import main
from bindmatrix.judge import claim_check
from bindmatrix.judge.host_table import of_recordings
from bindmatrix.judge.matrix_view import matrix_view
from bindmatrix.notation import parse
from bindmatrix.observe import recordings
from bindmatrix.report import ask_text, claims_text, markdown
from bindmatrix.report.html import dataset
from bindmatrix.rules import catalog, provenance
from bindmatrix.rules.provenance import Method

ROOT = Path(__file__).parents[1]
EVIDENCE = catalog.folder() / "evidence"
#: what may be said of a system that was started, and of no other
STARTED = re.compile(
    r"\b(recorded runs?|measured|measurements?|(was|were|is|are) run|run on|runs on|ran|booted|emulated)\b"
)


@cache
def never_started() -> frozenset[str]:
    """The systems of which no host was run or emulated."""
    started = {
        host.partition("-")[0]
        for host, row in provenance.read(EVIDENCE).items()
        if row.method in (Method.RUN, Method.EMULATED)
    }
    return frozenset(catalog.names()) - started


def whys() -> Iterator[str]:
    """What the rules say themselves: it is about the kernel, and none of what is generated around it."""
    for os in catalog.names():
        for rule in catalog.expectations(os).all_rules():
            yield " ".join(rule.why.split())


def around(text: str) -> str:
    """``text`` without the reasons of the rules, on one line."""
    line = " ".join(text.split())
    for why in sorted(set(whys()), key=len, reverse=True):
        line = line.replace(why, "")
    return line


def test_there_are_systems_that_were_never_started() -> None:
    assert {"freebsd", "macos", "windows"} <= never_started()
    assert never_started().isdisjoint({"linux", "gvisor"})


@pytest.mark.parametrize("os", sorted(catalog.names()))
@pytest.mark.parametrize(
    "scenario",
    [
        "a=tcp4 a.reuseaddr=1 a.bind=0.0.0.0 b=tcp4 b.reuseaddr=1 b.bind=127.0.0.1",
        "a=udp4 a.reuseport=1 a.bind=0.0.0.0 b=udp4 b.reuseport=1 b.bind=0.0.0.0 deliver=127.0.0.1",
        "a=tcp6 a.v6only=0 a.bind=:: a.listen b=tcp4 b.bind=127.0.0.1",
    ],
)
def test_ask_and_predict(os: str, scenario: str, capsys: pytest.CaptureFixture[str]) -> None:
    found = ask.answers(parse(scenario), [os])
    text = around("\n".join("".join(word for word, _ in line) for line in ask_text.lines(parse(scenario), found)))
    assert bool(STARTED.search(text)) <= (os not in never_started()), text
    assert main(["predict", "--os", os, scenario]) == 0
    confidence = json.loads(capsys.readouterr().out)["confidence"]
    assert (confidence["method"] in (Method.RUN, Method.EMULATED)) <= (os not in never_started())


def test_claims() -> None:
    found = claims.results(claim_check.read(), sorted(never_started()))
    for line in claims_text.lines([claims.ClaimResult(one.claim, one.rows) for one in found]):
        text = "".join(word for word, _ in line)
        if any(f"{os} " in text for os in never_started()):
            assert not STARTED.search(text), text


@pytest.mark.parametrize("folder", [path.name for path in sorted((ROOT / "findings").iterdir()) if path.is_dir()])
def test_findings(folder: str) -> None:
    text = (ROOT / "findings" / folder / "report.txt").read_text(encoding="utf-8")
    system = re.search(r"^\s*host: (.+)", text, re.MULTILINE)
    assert system is not None
    titles = {catalog.expectations(os).title: os for os in catalog.names()}
    os = next(os for title, os in titles.items() if system[1].startswith(title))
    report = around(text.partition("\n--- repro.c ---")[0])
    assert "recorded run" not in report
    if os in never_started():
        assert not STARTED.search(report), report


def test_the_table_of_the_readme_says_the_release_and_the_method_of_each_column() -> None:
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    table = readme.ANSWERS.search(text)
    assert table is not None
    heads = table[0].splitlines()[0].strip("| ").split(" | ")
    assert len(heads) == len(catalog.names())
    for os, head in zip(catalog.names(), heads, strict=True):
        system, _, methods = head.partition("<br>")
        expectations = catalog.expectations(os)
        assert system == f"{expectations.title} {expectations.named(expectations.covers[1])}"
        assert any(methods.startswith(method) for method in Method), head
        assert bool(STARTED.search(methods) or re.search(r"\brun\b", methods)) <= (os not in never_started()), head


def test_the_page_and_the_summary_of_a_recorded_host() -> None:
    host = of_recordings([recordings.read(EVIDENCE / "freebsd-15" / "users.jsonl.gz")])
    assert host.summary.method == "compiled from 13.0 with parts of 15"
    header, _ = dataset._header(matrix_view([host]), [], [], [])
    assert header["hosts"][0]["summary"]["method"] == host.summary.method
    cited = [one for *_, evidence in host.rules.values() for one in evidence if one.startswith("recorded: ")]
    assert cited
    for one in cited:
        assert "(compiled from 13.0" in one
        assert not STARTED.search(one)
    assert not STARTED.search(around(markdown.render(host.summary)))


@pytest.mark.parametrize("os", sorted(never_started()))
def test_the_files_of_a_system_that_was_never_started_say_of_nothing_that_it_was_measured(os: str) -> None:
    for path in (catalog.folder() / f"{os}.yaml", catalog.folder() / "divergences" / f"{os}.yaml"):
        text = " ".join(path.read_text("utf-8").split()) if path.exists() else ""
        found = re.search(r"\b(measured|measurements?|recorded (?:# )?runs?)\b.{0,60}", text)
        assert not found, f"{path.name}: {found[0]}"


def test_open_questions_say_of_no_system_that_was_never_started_that_it_was_measured() -> None:
    for line in (ROOT / "docs" / "open-questions.md").read_text("utf-8").splitlines():
        if any(f"`{os}." in line for os in never_started()):
            assert not STARTED.search(line), line


def test_generated_texts_know_no_other_words() -> None:
    docs = (ROOT / "docs" / name for name in ("expectations.md", "methods.md"))
    files = [ROOT / "README.md", *docs, ROOT / "findings" / "README.md"]
    for path in files:
        text = path.read_text(encoding="utf-8")
        assert "recorded run" not in text, path
        assert not re.search(r"measured( on|-nearby|`|\")", text), path
