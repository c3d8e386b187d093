"""The pages of docs/ say what is so: commands are run, scenarios are read, links lead somewhere."""

from __future__ import annotations

import difflib
import re
import shlex
import shutil
from pathlib import Path

import pytest
from bindmatrix.answers import cells
from bindmatrix.cli.main import VERBS, main
from bindmatrix.notation import parse
from bindmatrix.rules import catalog

ROOT = Path(__file__).parent.parent
DOCS = ROOT / "docs"
CHANGE = (DOCS / "change-a-rule.md").read_text(encoding="utf-8")


def blocks(kind: str) -> list[str]:
    """The blocks of a kind in change-a-rule.md."""
    return re.findall(rf"```{kind}\n(.*?)```", CHANGE, re.DOTALL)


@pytest.fixture
def edited(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with the edited file of the page."""
    before, after = (line[1:] for line in blocks("diff")[0].splitlines())
    text = Path(catalog.expectations("illumos").file).read_text(encoding="utf-8")
    start = text.index("- id: illumos.tcp-conflict\n")
    end = text.index("- id:", start + 1)
    assert before in text[start:end]
    (tmp_path / "edited.yaml").write_text(text[:start] + text[start:].replace(before, after, 1), encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "100")
    return tmp_path


@pytest.mark.parametrize("number", [0, 1])
def test_the_worked_change_prints_what_the_page_shows(
    number: int, edited: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command, _, shown = blocks("console")[number].partition("\n")
    main(shlex.split(command.removeprefix("$ bindmatrix ")))
    out, err = capsys.readouterr()
    assert words(err + out) == words(shown)


def words(text: str) -> list[str]:
    """The words of a text, whatever its width, and every number as 0: lines and counts change with the files."""
    return re.sub(r"\d[\d,]*", "0", text).split()


def test_the_worked_change_changes_the_cells_that_the_page_shows(edited: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = cells.render("illumos")
    folder = edited / "expectations"
    folder.mkdir()
    shutil.copy(edited / "edited.yaml", folder / "illumos.yaml")
    shutil.copy(catalog.folder() / "systems.yaml", folder)
    (folder / "evidence").mkdir()
    monkeypatch.setattr(catalog, "folder", lambda: folder)
    after = cells.render("illumos")

    def grid(text: str) -> list[str]:
        """The first grid: RA is set by the second socket alone."""
        return text[text.index("TCP, first bound, none on the first") :].split("\n\n")[0].splitlines()

    changed = list(difflib.unified_diff(grid(before), grid(after), lineterm="", n=0))[3:]
    assert changed
    assert blocks("diff")[1].splitlines() == changed


def test_the_needs_and_the_programs_of_an_author(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    page = (DOCS / "start-author.md").read_text(encoding="utf-8")
    [needs] = re.findall(r"```text\n(.*?)```", page, re.DOTALL)
    (tmp_path / "needs.txt").write_text(needs, encoding="utf-8")
    assert main(["check", str(tmp_path / "needs.txt")]) == 0
    [recipe] = re.findall(r"^bindmatrix (recipes .* --code .*)$", page, re.MULTILINE)
    assert main(recipe.split()) == 0
    assert "import socket\n" in capsys.readouterr().out


def test_scenarios_of_the_notation_page_are_canonical() -> None:
    page = (DOCS / "notation.md").read_text(encoding="utf-8").split("## Every step")[0]
    scenarios = re.findall(r"`((?:user=\d+ )?[a-z]=(?:tcp|udp)[46] [^`]+)`", page)
    assert len(scenarios) > 5
    for scenario in scenarios:
        assert parse(scenario).text == scenario


def test_every_verb_on_a_page_is_one_of_the_command() -> None:
    for path in sorted(DOCS.glob("*.md")):
        text = path.read_text(encoding="utf-8")
        said = re.findall(r"(?:`|^    |^\$ )bindmatrix ([a-z]+)\b", text, re.MULTILINE)
        said += re.findall(
            r"^bindmatrix ([a-z]+)\b", "".join(re.findall(r"```sh\n(.*?)```", text, re.DOTALL)), re.MULTILINE
        )
        assert set(said) <= set(VERBS), path.name


def test_every_link_stays_in_docs_and_leads_to_a_file() -> None:
    """Zensical checks pages and anchors, and neither images nor what lies outside."""
    for path in sorted(DOCS.glob("*.md")):
        for target in re.findall(r"\]\(([^)#\s]+)[^)]*\)", path.read_text(encoding="utf-8")):
            if not target.startswith("https://"):
                assert (DOCS / target).is_file(), f"{path.name}: {target}"
                assert ".." not in target, f"{path.name}: {target}"


def test_the_navigation_names_pages_that_exist_once_each() -> None:
    pages = re.findall(r"[\w-]+\.md$", (ROOT / "mkdocs.yml").read_text(encoding="utf-8"), re.MULTILINE)
    assert len(pages) > 10
    assert len(set(pages)) == len(pages)
    assert set(pages) <= {path.name for path in DOCS.glob("*.md")}
