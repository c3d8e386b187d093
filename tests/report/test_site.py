"""The explorer: its answers are those of `ask`, its scenarios those of Python, and the page works in a real browser."""

from __future__ import annotations

import random
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from bindmatrix.advice.recipe_goals import GOALS
from bindmatrix.advice.recipes import recipes
from bindmatrix.advice.runtime_questions import RuntimeQuestion, runtime_questions
from bindmatrix.answers import ask, claims, explorer, questions, release_changes
from bindmatrix.answers.common_questions import COMMON_QUESTIONS
from bindmatrix.answers.explorer import AskedScenario, Band, SystemTable
from bindmatrix.answers.open_questions import OpenQuestion
from bindmatrix.answers.questions import FAMILIES, LISTED_PRESETS, PRESETS, QuestionFamily, scenario_text
from bindmatrix.judge import claim_check
from bindmatrix.notation import Scenario, parse
from bindmatrix.outcomes import in_words
from bindmatrix.programs.runtimes import runtimes
from bindmatrix.report.site import explorer_page, pages
from bindmatrix.rules import catalog, confidence

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
FLAGS = ["--no-sandbox", "--no-first-run", "--disable-background-networking", "--disable-component-update"]
FLAGS += ["--disable-sync", "--disable-quic", "--disable-gpu"]

#: of the labels of the explorer, those that the tests here keep
KEPT = {"any4", "lo4", "default6", "member", "none", "ra", "rp"}
ADVISED = recipes([one for one in GOALS if one.id in ("restart", "workers")], ["linux", "windows", "freebsd"])
CHOICES = tuple(one.choice for one in PRESETS)
LISTED = tuple(text for *_, text in LISTED_PRESETS)
OPEN = [rule for rule in catalog.expectations("freebsd").all_rules() if rule.is_unknown][:2]
OTHER = "a=udp4 a.bind=127.0.0.1 b=udp4 b.reuseport=1 b.bind=127.0.0.2 c=udp4 c.reuseport=1 c.bind=0.0.0.0"


def narrowed(family: QuestionFamily) -> QuestionFamily:
    axes = list(questions.AXES)
    small = ("first", "second", "first_options", "second_options")
    return QuestionFamily(
        tuple(
            tuple(label for label in labels if axis not in small or label in KEPT)
            for axis, labels in zip(axes, family.labels, strict=True)
        )
    )


class Made:
    """The explorer with fewer addresses and options, and the questions that it holds."""

    def __init__(self, families: tuple[QuestionFamily, ...]) -> None:
        self.runtimes: list[RuntimeQuestion] = list(runtime_questions())[:6]
        programs = [scenario for one in self.runtimes for scenario in one.asked.values()]
        presets = [AskedScenario(text) for text in (*map(scenario_text, CHOICES), *LISTED)]
        self.listed = list(dict.fromkeys([*programs, AskedScenario(OTHER), *presets]))
        self.choices = [choice for family in families for choice in family.choices()]
        self.systems: list[SystemTable] = list(explorer.tables(self.listed))
        self.html = explorer_page.render(
            self.systems, self.listed, self.runtimes, confidence.WORDS, ADVISED, pages.PAGES
        )


@pytest.fixture(scope="module")
def made() -> Iterator[Made]:
    families = tuple(map(narrowed, FAMILIES))
    with pytest.MonkeyPatch.context() as patch:
        for module in (questions, explorer, release_changes):
            patch.setattr(module, "FAMILIES", families)
        yield Made(families)


# -- the answers


def test_the_families_hold_every_preset_once_and_their_scenarios_are_canonical() -> None:
    for preset in PRESETS:
        text = scenario_text(preset.choice)
        assert parse(text).text == text
        holding = [
            family
            for family in FAMILIES
            if all(preset.choice[axis] in labels for axis, labels in zip(questions.AXES, family.labels, strict=True))
        ]
        assert len(holding) == 1, preset


def agrees(table: SystemTable, bands: tuple[Band, ...], scenario: Scenario) -> None:
    """Every band says what ``ask`` says of its releases."""
    told = {release: row for row in ask.answers(scenario, [table.os]) for release in row.releases}
    for band in bands:
        for row in told.values():
            if not set(row.releases) & set(band.releases):
                continue
            by_step = dict(zip((step.text for step in scenario.steps), row.outcomes, strict=True))
            assert band.outcome == in_words(by_step[band.step])
            if band.kind == "ok":
                calls = [step.text for step in scenario.steps if not step.delivers]
                assert {by_step[text] for text in calls} == {"ok"}
            delivers = [step.text for step in scenario.steps if step.delivers]
            if band.receives:
                assert band.receives == in_words(by_step[delivers[0]], delivers=True)


def test_the_answers_are_those_of_ask(made: Made) -> None:
    chosen = random.Random(14).sample(range(len(made.choices)), 60)
    for number in chosen:
        scenario = parse(scenario_text(made.choices[number]))
        for table in made.systems:
            agrees(table, table.answers[table.column[number]], scenario)


def test_listed_scenarios_are_answered_as_composed_ones_are(made: Made) -> None:
    """The same question comes to the same answer, whether it is composed or listed."""
    places = {scenario_text(choice): number for number, choice in enumerate(made.choices)}
    both = [
        (places[one.text], index) for index, one in enumerate(made.listed) if one.text in places and not one.ignores
    ]
    assert len(both) > 10
    for composed, listed in both:
        for table in made.systems:
            assert table.column[composed] == table.column[len(made.choices) + listed]


def test_an_option_that_a_system_lacks_is_absent_not_refused(made: Made) -> None:
    text = "a=udp4 a.reuseport=1 a.bind=0.0.0.0 b=udp4 b.reuseport=1 b.bind=0.0.0.0 deliver=127.0.0.1"
    index = len(made.choices) + made.listed.index(AskedScenario(text))
    kinds = {table.os: table.answers[table.column[index]][0].kind for table in made.systems}
    assert kinds["windows"] == "absent"
    assert kinds["linux"] == "ok"


def test_systems_come_in_the_order_in_which_people_have_them(made: Made) -> None:
    assert [table.os for table in made.systems][:4] == ["linux", "macos", "windows", "freebsd"]


def test_release_differences_link_to_scenarios_that_differ(made: Made) -> None:
    table = next(one for one in made.systems if one.os == "freebsd")
    found = release_changes.differences(table)
    assert found
    for one in found:
        for text, bands in one.examples:
            agrees(table, bands, parse(text))
            assert len({(band.kind, band.outcome, band.receives) for band in bands}) > 1


def test_a_hostile_text_stays_text() -> None:
    link = pages.ask_link('a=tcp4 a.bind=::"><script>evil()</script>')
    assert "<script>" not in link
    assert '"index.html#s=a=tcp4+a.bind=::%22%3E' in link


def test_the_verb_says_where_it_cannot_write(tmp_path: Path) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("")
    done = subprocess.run(
        [sys.executable, "-m", "bindmatrix", "site", "--out", str(blocked / "site")], capture_output=True, text=True
    )
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1
    assert "name another --out" in done.stderr


# -- the page


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    playwright = pytest.importorskip("playwright.sync_api", reason="needs playwright: pip install playwright")
    if CHROMIUM is None:
        pytest.skip("needs chromium: apt install chromium")
    with playwright.sync_playwright() as started:
        chromium = started.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield chromium
        chromium.close()


@pytest.fixture(scope="module")
def file(made: Made, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("site") / "index.html"
    path.write_text(made.html, encoding="utf-8")
    return path


class Tab:
    """A page that is open; console messages, errors and requests are ``complaints``."""

    def __init__(self, browser: Any, file: Path, fragment: str = "", **options: Any) -> None:
        self.page = browser.new_page(**options)
        self.complaints: list[str] = []
        self.page.on("console", lambda message: self.complaints.append(message.text))
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.page.on("request", self._requested)
        self.page.goto(f"{file.as_uri()}#{fragment}")
        self.page.wait_for_selector("body.ready", timeout=10_000)

    def _requested(self, request: Any) -> None:
        if not request.url.startswith(("file:", "data:", "blob:")):
            self.complaints.append(f"asked for {request.url}")

    def row(self, system: str) -> str:
        """The text of the row of a system."""
        text: str = self.page.locator(
            "#systems tbody tr", has=self.page.locator(f"th:has-text('{system}')")
        ).first.inner_text()
        return text


@pytest.fixture
def tab(browser: Any, file: Path) -> Iterator[Tab]:
    opened = Tab(browser, file)
    yield opened
    assert opened.complaints == []
    opened.page.close()


def test_the_page_composes_the_same_scenarios(tab: Tab, made: Made) -> None:
    texts = tab.page.evaluate("[...composer.choices()].map((choice) => composer.text(choice))")
    assert texts == [scenario_text(choice) for choice in made.choices]


def test_every_scenario_finds_its_question_again(tab: Tab, made: Made) -> None:
    texts = random.Random(3).sample([scenario_text(choice) for choice in made.choices], 200)
    found = tab.page.evaluate("(texts) => texts.map((text) => composer.text(composer.choice(text)))", texts)
    assert found == texts


def test_the_page_reads_the_numbers_that_python_wrote(tab: Tab, made: Made) -> None:
    sums = tab.page.evaluate(
        "data.systems.map((one) => one.column.reduce((sum, number, at) => (sum + number * (at % 97)) % 1000003, 0))"
    )
    assert sums == [sum(number * (at % 97) for at, number in enumerate(one.column)) % 1000003 for one in made.systems]


def test_a_preset_shows_every_system_at_once(tab: Tab) -> None:
    tab.page.select_option("#preset", label="Who gets the datagram? SO_REUSEPORT")
    assert "share the port" in tab.row("Linux")
    assert "a share each" in tab.row("Linux")
    assert "no SO_REUSEPORT" in tab.row("Windows")
    assert tab.page.locator("#headline").inner_text().startswith("Yes on")
    assert "s=a=udp4+a.reuseport=1" in tab.page.url


def test_every_common_question_is_answered_by_one_choice(tab: Tab, made: Made) -> None:
    """The fifteen questions of the issue trackers: one choice from the first screen; a release opens with a second."""
    # those of options and addresses that this smaller explorer has
    held = {one.question for one in PRESETS if one.choice in made.choices}
    held |= {question for _, question, _ in LISTED_PRESETS}
    asked = [one for one in COMMON_QUESTIONS if one.preset in held]
    assert len(asked) >= 12
    for one in asked:
        tab.page.select_option("#preset", label=one.preset)
        assert tab.page.locator("#systems tbody tr:not(.older)").count() == len(made.systems), one.question
        assert tab.page.locator("#headline").inner_text(), one.question


def test_a_change_of_one_field_that_is_not_combined_says_what_else_changed(tab: Tab) -> None:
    tab.page.select_option("#preset", label="Can I restart at once, with SO_REUSEADDR?")
    tab.page.select_option("#x-users", "other-user")
    assert "Not combined here" in tab.page.locator("#notice").inner_text()
    assert tab.page.input_value("#x-users") == "other-user"
    assert tab.page.input_value("#x-state") in ("bound", "listening")


def test_a_permalink_holds_the_scenario(browser: Any, file: Path, tab: Tab) -> None:
    tab.page.select_option("#preset", label="[::] and then 0.0.0.0")
    shown = tab.page.locator("#systems").inner_text()
    other = Tab(browser, file, tab.page.url.partition("#")[2])
    assert other.page.locator("#systems").inner_text() == shown
    other.page.close()
    quoted = Tab(browser, file, "s=" + quote("a=udp4 a.bind=0.0.0.0 b=udp4 b.bind=0.0.0.0 deliver=127.0.0.1"))
    assert "refused EADDRINUSE" in quoted.row("Linux")
    assert quoted.complaints == []
    quoted.page.close()


def test_a_scenario_of_another_page_is_answered_and_a_strange_one_is_not(browser: Any, file: Path) -> None:
    known = Tab(browser, file, f"s={OTHER.replace(' ', '+')}")
    assert "works" in known.row("Linux")
    known.page.close()
    strange = Tab(browser, file, "s=a=tcp4+<img/src=x/onerror=window.evil=1>")
    assert strange.page.locator("#headline").inner_text() == "Not one of the questions of this page."
    assert strange.page.evaluate("window.evil") is None
    assert strange.complaints == []
    strange.page.close()


def test_a_program_of_the_catalogue_is_asked_three_questions(tab: Tab, made: Made) -> None:
    tab.page.select_option("#runtime", made.runtimes[0].runtime.id)
    assert tab.page.locator("#runtime-question option").count() == 3
    tab.page.select_option("#runtime-question", "restart")
    assert f"p={made.runtimes[0].runtime.id}/restart" in tab.page.url
    assert tab.page.locator("#systems tbody tr:not(.older)").count() == len(made.systems)


def test_release_bands_open(browser: Any, file: Path, made: Made) -> None:
    freebsd = next(one for one in made.systems if one.os == "freebsd")
    number = next(at for at in range(len(made.choices)) if len(freebsd.answers[freebsd.column[at]]) > 1)
    tab = Tab(browser, file, "s=" + scenario_text(made.choices[number]).replace(" ", "+"))
    button = tab.page.locator("#systems tr", has=tab.page.locator("th:has-text('FreeBSD')")).first.locator("th button")
    hidden = tab.page.locator("#systems tr.older:not([hidden])")
    before = hidden.count()
    button.click()
    assert hidden.count() > before
    assert button.get_attribute("aria-expanded") == "true"
    tab.page.close()


def test_two_systems_are_compared(tab: Tab) -> None:
    tab.page.select_option("#preset", label="Who gets the datagram? SO_REUSEPORT")
    tab.page.select_option("#left", "linux")
    tab.page.select_option("#right", "freebsd")
    assert tab.page.locator("#systems tbody tr:not(.older)").count() == 2
    assert re.search(r"answer [\d,]+ of [\d,]+ questions differently", tab.page.locator("#compared").inner_text())
    assert "c=linux,freebsd" in tab.page.url


def test_the_programs_return_what_the_rules_say(tab: Tab, tmp_path: Path) -> None:
    """Run here: the program in each language prints the same calls with the same results."""
    text = "a=tcp4 a.reuseaddr=1 a.bind=127.0.0.1 a.listen b=tcp4 b.reuseaddr=1 b.bind=127.0.0.1"
    programs = tab.page.evaluate(PROGRAMS, text)
    assert list(programs) == ["Python", "C", "Go", "Rust"]
    for port, (language, program) in enumerate(programs.items(), start=50321):
        command = built(language, program, tmp_path)
        if not command:
            continue
        done = subprocess.run([*command, str(port)], capture_output=True, text=True, check=False)
        assert done.stderr == ""
        printed = [line for line in done.stdout.splitlines() if " socket: " not in line]
        names = [line.partition(": ")[0] for line in printed]
        assert names == ["a reuseaddr 1", "a bind 127.0.0.1", "a listen", "b reuseaddr 1", "b bind 127.0.0.1"]
        if sys.platform == "linux":
            assert "in use" in done.stdout.splitlines()[-1].lower()


#: a scenario -> language -> program
PROGRAMS = """(text) => Object.fromEntries(
    Object.entries(LANGUAGES).map(([name, write]) => [name, write(text, optionNames())]))"""


def built(language: str, program: str, folder: Path) -> list[str]:
    """The command that runs a program, compiled with every warning an error; empty where the compiler is not here."""
    compiler, suffix, *words = {
        "Python": (sys.executable, "py"),
        "C": ("cc", "c", "-Wall", "-Wextra", "-Werror"),
        "Go": ("go", "go", "build"),
        "Rust": ("rustc", "rs", "--edition", "2021", "-D", "warnings"),
    }[language]
    source, made = folder / f"program.{suffix}", folder / f"program-{suffix}"
    source.write_text(program, encoding="utf-8")
    if language == "Python":
        return [compiler, str(source)]
    if not shutil.which(compiler):
        return []
    done = subprocess.run([compiler, *words, "-o", str(made), str(source)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{done.stderr}\n{program}"
    return [str(made)]


def test_every_preset_is_a_program_in_every_language(tab: Tab) -> None:
    """Each program makes the calls of the scenario in its order; the Python program compiles."""
    for text in (*map(scenario_text, CHOICES), *LISTED):
        calls = (step.text for step in parse(text).steps if step.kind in ("bind", "listen", "set"))
        wanted = [" ".join(re.split("[.=]", call, maxsplit=1)).replace("=", " ") for call in calls]
        for language, program in tab.page.evaluate(PROGRAMS, text).items():
            assert [one for one in re.findall(r'\(["\']([^"\']+)["\'], ', program) if one in wanted] == wanted, language
            if language == "Python":
                compile(program, "program.py", "exec")


def test_a_client_of_another_host_is_left_to_the_reader(tab: Tab, tmp_path: Path) -> None:
    remote = next(scenario_text(one.choice) for one in PRESETS if one.choice["state"] == "remote-time-wait")
    for language, program in tab.page.evaluate(PROGRAMS, remote).items():
        assert "c is a client on another host" in program
        assert "192.0.2.1" not in program
        built(language, program, tmp_path)


@pytest.mark.parametrize("width", [1400, 390])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing(browser: Any, file: Path, width: int, scheme: str) -> None:
    axe = pytest.importorskip("axe_core_python.sync_playwright", reason="needs axe: pip install axe-core-python")
    for fragment in ("", "s=a=udp4+a.reuseport=1+a.bind=0.0.0.0+b=udp4+b.reuseport=1+b.bind=0.0.0.0&c=linux,freebsd"):
        tab = Tab(browser, file, fragment, viewport={"width": width, "height": 844}, color_scheme=scheme)
        for details in tab.page.locator("details").all():
            details.evaluate("one => { one.open = true; }")
        found = axe.Axe().run(tab.page)["violations"]
        assert [(one["id"], [node["html"][:120] for node in one["nodes"]]) for one in found] == []
        assert tab.page.evaluate("document.documentElement.scrollWidth") <= width
        tab.page.close()


def test_the_result_is_on_the_first_screen_of_a_phone(browser: Any, file: Path) -> None:
    tab = Tab(browser, file, viewport={"width": 390, "height": 844})
    last = tab.page.locator("#systems tbody tr").last.bounding_box()
    assert last["y"] + last["height"] <= 844
    tab.page.close()


def test_the_keyboard_reaches_question_and_answer(tab: Tab) -> None:
    tab.page.keyboard.press("Tab")
    assert tab.page.evaluate("document.activeElement.className") == "skip"
    tab.page.locator("#preset").focus()
    before = tab.page.locator("#headline").inner_text()
    tab.page.keyboard.press("ArrowDown")
    assert tab.page.locator("#headline").inner_text() != before
    assert tab.page.get_attribute("#headline", "aria-live") == "polite"


def test_the_file_needs_no_network_and_is_small(made: Made) -> None:
    assert len(made.html) < 2_000_000
    assert not re.search(r'(src|href)="https?:', made.html)


# -- the pages around it


@pytest.fixture(scope="module")
def around(made: Made, tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Every page of the site, the long ones with a part of their rows."""
    titles = {table.os: table.title for table in made.systems}
    freebsd = next(one for one in made.systems if one.os == "freebsd")
    claimed = claims.results(claim_check.read()[:3], ["linux", "windows"])
    finding = ("one", "One", OTHER, "expected", [("Linux", "shows it", "ok", "run")])
    changed = [(freebsd, release_changes.changes("freebsd"), release_changes.differences(freebsd))]
    asked = [(freebsd, [OpenQuestion(rule, scenario=OTHER) for rule in OPEN])]
    bodies = {
        "claims.html": pages.claims(claimed, titles),
        "findings.html": pages.findings([finding]),
        "releases.html": pages.release_changes(changed),
        "runtimes.html": pages.runtimes(list(runtimes().values())[:4]),
        "recipes.html": pages.recipes(ADVISED, titles),
        "open.html": pages.open_questions(asked),
        "known.html": pages.known(confidence.WORDS, [("host", "run", "a machine")]),
    }
    assert [*pages.PAGES] == ["index.html", *bodies]
    folder = tmp_path_factory.mktemp("pages")
    texts = {"index.html": made.html} | {name: pages.page(name, "What is here.", body) for name, body in bodies.items()}
    for name, text in texts.items():
        (folder / name).write_text(text, encoding="utf-8")
    return [folder / name for name in texts]


def test_every_page_is_sound(browser: Any, around: list[Path]) -> None:
    """What Lighthouse looks at: language, title, description, viewport; no message, no request; contrast, keyboard."""
    axe = pytest.importorskip("axe_core_python.sync_playwright", reason="needs axe: pip install axe-core-python")
    descriptions = set()
    for path in around:
        page = browser.new_page(viewport={"width": 390, "height": 844}, color_scheme="dark")
        complaints: list[str] = []
        page.on("console", lambda message, told=complaints: told.append(message.text))
        page.on("pageerror", lambda error, told=complaints: told.append(str(error)))
        page.on("request", lambda request, told=complaints: request.url.startswith("file:") or told.append(request.url))
        page.goto(path.as_uri())
        assert page.locator("html").get_attribute("lang") == "en"
        assert len(page.title()) > 10
        assert "width=device-width" in page.locator("meta[name=viewport]").get_attribute("content")
        descriptions.add(page.locator("meta[name=description]").get_attribute("content"))
        assert page.evaluate("document.documentElement.scrollWidth") <= 390, path.name
        reached = page.evaluate(
            "document.querySelectorAll('a[href], button, select, summary, [tabindex=\"0\"]').length"
        )
        for number in range(min(reached, 12)):
            page.keyboard.press("Tab")
            width = page.evaluate("getComputedStyle(document.activeElement).outlineWidth")
            assert width == "3px", f"{path.name}: stop {number} of the keyboard does not show"
        found = axe.Axe().run(page)["violations"]
        assert [(one["id"], [node["html"][:120] for node in one["nodes"]]) for one in found] == [], path.name
        assert complaints == [], path.name
        if path.name not in ("index.html", "known.html"):
            assert page.locator("main a[href^='index.html#']").count(), f"{path.name}: no scenario leads back"
        page.close()
    assert len(descriptions) == 2


@pytest.mark.parametrize("name", ["claims.html", "findings.html", "releases.html", "runtimes.html", "recipes.html"])
def test_links_of_every_page_fill_the_explorer_in(browser: Any, around: list[Path], name: str) -> None:
    page = browser.new_page()
    page.goto(next(path for path in around if path.name == name).as_uri())
    page.locator("main a[href^='index.html#']").first.click()
    page.wait_for_selector("body.ready")
    assert re.search("#[sp]=", page.url)
    assert "a=" in page.locator("#notation").inner_text()
    page.close()
