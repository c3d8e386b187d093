"""``bindmatrix regenerate``: the checked-in files are what is generated, and one verb writes all of them."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from bindmatrix.cli import regenerate
from bindmatrix.cli.main import main
from bindmatrix.cli.regenerate import GENERATED, Generated
from bindmatrix.rules import catalog

Capture = pytest.CaptureFixture[str]
ROOT = Path(__file__).parents[2]


# decided.json takes a replay of all recordings: test_evidence.py has one and compares there
@pytest.mark.parametrize("one", [one for one in GENERATED if one.name != "decided"], ids=lambda one: one.name)
def test_the_checked_in_files_are_up_to_date(one: Generated, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(regenerate, "checkout", lambda: ROOT)  # the package may be an installed wheel
    stale = regenerate.outdated(one, ROOT)
    assert not stale, f"{', '.join(stale)}: run 'bindmatrix regenerate {one.name}' and look at the diff"


@pytest.fixture
def checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A checkout in which two kinds of files are generated; one file of each is stale."""
    (tmp_path / "conformance" / "bindmatrix").mkdir(parents=True)
    (tmp_path / "expectations").mkdir()
    monkeypatch.setattr(catalog, "folder", lambda: tmp_path / "expectations")
    rows = (
        Generated("grids", "grids/*", "", lambda: {"grids/a.txt": "new a", "grids/b.txt": "b"}),
        Generated("page", "page.md", "", lambda: {"page.md": "new"}),
    )
    monkeypatch.setattr(regenerate, "GENERATED", rows)
    (tmp_path / "grids").mkdir()
    (tmp_path / "grids" / "a.txt").write_text("old a", encoding="utf-8")
    (tmp_path / "grids" / "b.txt").write_text("b", encoding="utf-8")
    return tmp_path


def test_check_tells_what_is_stale_and_writes_nothing(checkout: Path, capsys: Capture) -> None:
    assert main(["regenerate", "--check"]) == 1
    out, err = capsys.readouterr()
    assert out == "stale grids/a.txt\nstale page.md\n"
    assert err == "2 stale files; run 'bindmatrix regenerate'\n"
    assert (checkout / "grids" / "a.txt").read_text(encoding="utf-8") == "old a"
    assert not (checkout / "page.md").exists()


def test_what_is_stale_is_written(checkout: Path, capsys: Capture) -> None:
    before = (checkout / "grids" / "b.txt").stat().st_mtime_ns
    assert main(["regenerate"]) == 0
    assert capsys.readouterr().out == "wrote grids/a.txt\nwrote page.md\n"
    assert (checkout / "page.md").read_text(encoding="utf-8") == "new"
    assert (checkout / "grids" / "b.txt").stat().st_mtime_ns == before
    assert main(["regenerate", "--check"]) == 0
    assert capsys.readouterr().out == "everything generated is up to date\n"


def test_only_what_is_named(checkout: Path, capsys: Capture) -> None:
    assert main(["regenerate", "page", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == {"changed": ["page.md"]}
    assert (checkout / "grids" / "a.txt").read_text(encoding="utf-8") == "old a"


def test_an_unknown_name(checkout: Path, capsys: Capture) -> None:
    assert main(["regenerate", "pages"]) == 2
    assert "nothing is called 'pages'; did you mean 'page'?; there are grids, page" in capsys.readouterr().err


def test_outside_a_checkout(checkout: Path, capsys: Capture) -> None:
    (checkout / "conformance" / "bindmatrix").rmdir()
    assert main(["regenerate"]) == 2
    assert "expected a checkout of bindmatrix" in capsys.readouterr().err


def test_generated_files_name_the_command_that_writes_them() -> None:
    """So that nobody edits them by hand, or looks for another way."""
    pages = [
        "docs/open-questions.md",
        "docs/runtimes.md",
        "docs/expectations.md",
        "docs/notation.md",
        "docs/methods.md",
    ]
    pages += ["findings/README.md", "README.md"]
    pages += [f"expectations/cells/{os}.txt" for os in catalog.names()]
    for page in pages:
        text = (ROOT / page).read_text(encoding="utf-8")
        assert re.search("(?i)(generated|printed) by\\s+`bindmatrix regenerate`", text), page
