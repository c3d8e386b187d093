"""The page in a real browser: filters, permalinks, keyboard, accessibility, and that nothing hostile runs in it."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from bindmatrix.cli.main import main
from bindmatrix.judge.matrix_view import matrix_view
from bindmatrix.observe.recordings import Observation, header, line
from bindmatrix.report.html import page

from tests.report.pages import ALIKE, BOUND, CLASSIC, DELIVERED, DUAL, host, predicted, two_hosts

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
playwright = pytest.importorskip("playwright.sync_api", reason="needs playwright: pip install playwright")
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="needs chromium: apt install chromium")

#: without them it asks for updates and the like at every start
FLAGS = ["--no-sandbox", "--no-first-run", "--disable-background-networking", "--disable-component-update"]
FLAGS += ["--disable-sync", "--disable-quic", "--disable-gpu"]

EVIL = "</script><script>window.evil=1</script><img src=x onerror=window.evil=2>"


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with playwright.sync_playwright() as started:
        chromium = started.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield chromium
        chromium.close()


class Tab:
    """A page that is open; what it wrote to the console or failed at is in ``complaints``."""

    def __init__(self, browser: Any, file: Path, fragment: str = "", **options: Any) -> None:
        self.page = browser.new_page(**options)
        self.complaints: list[str] = []
        self.page.on("console", lambda message: self.complaints.append(message.text))
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.page.on("request", self._requested)
        self.page.goto(f"{file.as_uri()}#{fragment}")
        self.page.wait_for_selector("body.ready", timeout=10_000)

    def _requested(self, request: Any) -> None:
        if not request.url.startswith(("file:", "data:")):
            self.complaints.append(f"asked for {request.url}")

    def cell(self, text: str) -> Any:
        """The cell whose label begins with ``text``."""
        return self.page.locator(f'.cell[aria-label^="{text}"]').first


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("report") / "matrix.html"
    file.write_text(page.render(matrix_view(two_hosts())), encoding="utf-8")
    return file


@pytest.fixture
def tab(browser: Any, report: Path) -> Iterator[Tab]:
    opened = Tab(browser, report, "view=matrix")
    opened.page.click(".fold > summary")
    yield opened
    assert opened.complaints == []
    opened.page.close()


def test_the_matrix_shows_both_hosts_and_marks_what_diverges(tab: Tab) -> None:
    label = tab.cell("0.0.0.0, then 127.0.0.1").get_attribute("aria-label")
    assert "linux 6.18.44: both share the port; freebsd 13.0: refused: EADDRINUSE" in label
    assert "otherwise than expected" in label
    assert tab.page.locator(".mark.m-diverges").count() == 1


def test_the_result_comes_first_then_what_is_wrong_then_what_differs(browser: Any, report: Path) -> None:
    opened = Tab(browser, report)
    hosts = two_hosts()
    assert opened.page.locator(".headline strong").all_inner_texts() == [one.summary.headline for one in hosts]
    assert opened.page.locator(".headline.v-diverges").count() == sum(not one.summary.conforms for one in hosts)
    assert opened.page.locator("#area h3:not(article h3)").all_inner_texts() == [
        "What is wrong",
        "The scenarios",
        "What differs between hosts",
    ]
    assert opened.page.locator("#area article.v-diverges").count() > 0
    assert opened.page.locator("[aria-label='The scenarios'] tbody tr").count() == len(matrix_view(hosts).rows)
    assert not opened.page.locator("#h-all").is_visible()  # the filters are folded away
    assert opened.complaints == []
    opened.page.close()


def test_scenarios_of_a_file_are_listed_however_many_there_are(browser: Any, tmp_path: Path) -> None:
    """What ``observe`` wrote holds the reader's own scenarios; they come in pages of a hundred."""
    texts = [f"a=udp4 a.bind=127.0.0.1 b=udp4 {'b.reuseaddr=1 b.reuseaddr=0 ' * n}b.bind=127.0.0.1" for n in range(130)]
    observed = tmp_path / "mine.jsonl"
    lines = [header({"os": "linux", "release": "6.18.44"}), *map(line, predicted("linux", "6.18.44", texts))]
    observed.write_bytes(b"".join(lines))
    out = tmp_path / "mine.html"
    assert main(["report", str(observed), "--html", str(out)]) == 0
    opened = Tab(browser, out)
    assert "Your scenarios" in opened.page.locator("#area h3").all_inner_texts()
    listed = opened.page.locator("[aria-label='The scenarios'] tbody tr")
    assert listed.count() == 100
    opened.page.locator("button.more", has_text="Show 30 more").click()
    assert listed.count() == 130
    assert opened.complaints == []
    opened.page.close()


def test_the_reader_chooses_the_hosts_that_are_compared(browser: Any, tmp_path: Path) -> None:
    """Failed first: the first three of the hosts were compared, whoever they were."""
    older = [host("linux", release, predicted("linux", release, [CLASSIC])) for release in ("6.1.192", "5.10.218")]
    file = tmp_path / "matrix.html"
    file.write_text(page.render(matrix_view([*two_hosts(), *older])), encoding="utf-8")
    opened = Tab(browser, file, "view=differences")
    heads = opened.page.locator("#area thead th")
    assert heads.count() == 6
    names = opened.page.locator("#vs-0 option").evaluate_all("options => options.map(option => option.value)")
    opened.page.select_option("#vs-2", "")
    opened.page.select_option("#vs-0", names[3])
    assert heads.count() == 5
    assert "linux 5.10.218" in heads.nth(2).inner_text()
    again = Tab(browser, file, opened.page.url.partition("#")[2])
    assert again.page.locator("#area thead th").all_inner_texts() == heads.all_inner_texts()
    for one in (opened, again):
        assert one.complaints == []
        one.page.close()


def test_filters_change_the_view_and_the_link(tab: Tab) -> None:
    tab.page.select_option("#f-proto", "udp")
    assert tab.cell("127.0.0.1, then 127.0.0.1").count() == 1
    assert "proto=udp" in tab.page.url
    tab.page.click("#h-os-freebsd")
    assert tab.page.locator(".part").count() == 0
    assert "hosts=freebsd" in tab.page.url


def test_only_differences_dims_what_is_alike(tab: Tab) -> None:
    tab.page.check("#f-diff")
    shown = tab.page.locator(".cell:not(.alike)").evaluate_all("cells => cells.map(cell => cell.ariaLabel)")
    assert len(shown) == 2
    assert all(label.count("; ") >= 1 for label in shown)
    assert tab.page.locator(".cell.alike").count() == 1


@pytest.fixture
def partial(browser: Any, tmp_path: Path) -> Iterator[Tab]:
    """Three hosts: one has a cell for itself, two are alike wherever both have an outcome, one cannot set V6ONLY."""
    linux = host("linux", "6.18.44", predicted("linux", "6.18.44", [BOUND, ALIKE]))
    older = host("linux", "6.1.192", predicted("linux", "6.1.192", [BOUND]))
    openbsd = host("openbsd", "7.9", [Observation(DUAL, ("ok", "ok", "ok", "EINVAL", "ok", "ok"))])
    file = tmp_path / "matrix.html"
    file.write_text(page.render(matrix_view([linux, older, openbsd])), encoding="utf-8")
    opened = Tab(browser, file, "view=matrix")
    yield opened
    assert opened.complaints == []
    opened.page.close()


def test_a_cell_of_one_host_does_not_look_like_one_of_all(partial: Tab) -> None:
    label = partial.cell("127.0.0.1, then 127.0.0.1").get_attribute("aria-label")
    assert label.endswith("refused: EADDRINUSE on linux 6.18.44; no outcome of the other 2")
    assert partial.page.locator(".cell.partial .of").first.inner_text() in ("1/3", "2/3")


def test_hosts_are_alike_where_both_have_an_outcome(partial: Tab) -> None:
    text = partial.page.locator(".alikeness").inner_text()
    assert "linux 6.18.44 = linux 6.1.192" in text


def test_a_dual_socket_that_could_not_be_made_shares_nothing(partial: Tab) -> None:
    label = partial.cell("0.0.0.0, then :: dual").get_attribute("aria-label")
    assert "an option of this cell could not be set" in label
    assert "both share" not in label


def test_a_cell_opens_its_scenario_with_reasons_and_closes_again(tab: Tab) -> None:
    tab.cell("0.0.0.0, then 127.0.0.1").click()
    detail = tab.page.locator("#detail")
    text = detail.inner_text()
    for part in (
        "diverges",
        "linux.tcp-conflict",
        "freebsd 13.0",
        "How the expectation is known: ",
        f"bindmatrix observe '{BOUND}'",
    ):
        assert part in text
    tab.page.keyboard.press("Escape")
    assert detail.is_hidden()
    assert tab.page.evaluate("document.activeElement.className").startswith("cell")


def test_a_permalink_opens_the_same_scenario(browser: Any, report: Path, tab: Tab) -> None:
    tab.page.select_option("#f-state", "listening")
    tab.cell("0.0.0.0, then 127.0.0.1").click()
    for link in (tab.page.url.partition("#")[2], "s=" + quote(CLASSIC)):
        other = Tab(browser, report, link)
        assert CLASSIC in other.page.locator("#detail pre").inner_text()
        assert other.page.input_value("#f-state") == "listening"
        assert other.complaints == []
        other.page.close()


def test_a_permalink_to_a_scenario_that_is_not_there_says_so(browser: Any, report: Path) -> None:
    other = Tab(browser, report, "s=a%3Dtcp4")
    assert "Not in this report" in other.page.locator("#detail").inner_text()
    other.page.close()


def test_the_keyboard_walks_the_cells_and_opens_one(tab: Tab) -> None:
    tab.page.locator('.cell[tabindex="0"]').focus()
    labels = []
    for key in ("Home", "ArrowRight", "End"):
        tab.page.keyboard.press(key)
        labels.append(tab.page.evaluate("document.activeElement.ariaLabel"))
    assert labels[0].startswith("0.0.0.0, then 127.0.0.1")
    assert labels[1].startswith("0.0.0.0, then :: dual")
    assert tab.page.locator('.cell[tabindex="0"]').count() == 1
    tab.page.keyboard.press("Enter")
    assert DUAL in tab.page.locator("#detail pre").inner_text()


def test_flaky_tells_how_often_it_ran_and_what_was_seen(tab: Tab) -> None:
    tab.page.click("text=Verdicts")
    assert "of 2 runs 1 gave EADDRINUSE and 1 gave ok" in tab.page.locator("#area").inner_text()
    tab.page.locator(".finding.v-flaky a.scenario").click()
    assert "Repeated: 2 outcomes" in tab.page.locator("#detail").inner_text()


def test_deliveries_are_bars_with_numbers(tab: Tab) -> None:
    tab.page.click("text=Who receives")
    text = tab.page.locator(".deliveries").inner_text()
    assert "a 15 · b 17" in text
    assert "a 20 · b 12" in text
    assert "b 32" in text
    widths = (
        tab.page.locator(".received .bar").first.locator(".who").evaluate_all("all => all.map(one => one.style.width)")
    )
    assert widths == ["46.875%", "53.125%"]


def test_differences_are_grouped_by_rules(tab: Tab) -> None:
    tab.page.click("text=Differences")
    text = tab.page.locator("#area").inner_text()
    assert "5 of 6 scenarios" in text
    assert "linux.tcp-conflict" in text
    assert DELIVERED in text


def test_open_questions_come_from_what_is_unknown(browser: Any, tmp_path: Path) -> None:
    text = "a=udp6 a.bind=ff02::fb a.join=ff02::fb deliver=ff02::fb"
    gvisor = host("gvisor", "20221219", predicted("gvisor", "20221219", [text]))
    assert gvisor.summary.verdicts["unknown"] == 1
    file = tmp_path / "page.html"
    file.write_text(page.render(matrix_view([gvisor])), encoding="utf-8")
    opened = Tab(browser, file, "view=questions")
    assert text in opened.page.locator(".v-unknown").inner_text()


@pytest.mark.parametrize(("scheme", "width"), [("light", 1300), ("dark", 380)])
def test_axe_finds_no_violation(browser: Any, report: Path, scheme: str, width: int) -> None:
    axe = pytest.importorskip("axe_core_python.sync_playwright", reason="needs axe: pip install axe-core-python")
    opened = Tab(browser, report, "s=" + quote(CLASSIC), color_scheme=scheme, viewport={"width": width, "height": 800})
    for view in ("result", "matrix", "differences", "findings", "deliveries", "questions", "hosts"):
        opened.page.evaluate("view => page.change({ view })", view)
        found = axe.Axe().run(opened.page)
        shown = [(one["id"], one["nodes"][0]["html"][:200]) for one in found["violations"]]
        assert shown == [], view
    opened.page.close()


def test_nothing_sticks_out_on_a_phone(browser: Any, report: Path) -> None:
    opened = Tab(browser, report, viewport={"width": 360, "height": 740})
    for view in ("result", "matrix", "differences", "findings", "deliveries", "hosts"):
        opened.page.evaluate("view => page.change({ view })", view)
        assert opened.page.evaluate("document.documentElement.scrollWidth") <= 360, view
    opened.page.close()


def test_a_hostile_file_cannot_inject_anything(browser: Any, tmp_path: Path) -> None:
    lines = [
        Observation(EVIL, ("ok",)),
        Observation(BOUND, ("ok", "ok", "ok", "EWEIRD", "ok")),
        Observation(CLASSIC, None, "unsupported", EVIL),
        Observation(DELIVERED, ("ok",) * 6 + ("a:3,b:2",), repeats=(("ok",) * 6 + ("none",),)),
    ]
    evil = host("linux", "6.18.44", lines, hostname=EVIL, __proto__={"x": EVIL})
    evil.name = f"linux {EVIL}"
    file = tmp_path / "page.html"
    text = page.render(matrix_view([evil]))
    assert "evil" not in text
    file.write_text(text, encoding="utf-8")
    opened = Tab(browser, file, "s=" + quote(EVIL))
    for view in ("result", "matrix", "differences", "findings", "deliveries", "questions", "hosts"):
        opened.page.evaluate("view => page.change({ view })", view)
    for scenario in (EVIL, BOUND, CLASSIC, DELIVERED):
        opened.page.evaluate("text => page.show(text)", scenario)
        shown = opened.page.locator("#detail").inner_text()
        assert EVIL in shown
    assert opened.page.evaluate("[window.evil, document.images.length, document.scripts.length]") == [None, 0, 2]
    assert opened.complaints == []
    opened.page.close()
