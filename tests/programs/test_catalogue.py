"""The catalogue of runtimes: its rows against their recordings, and what is said about a wrong file."""

from __future__ import annotations

from pathlib import Path

import pytest
from bindmatrix.answers import runtimes_page
from bindmatrix.errors import Problem, Problems
from bindmatrix.notation import parse
from bindmatrix.programs import runtimes
from bindmatrix.rules import catalog

from tests.programs.recordings import recording

ROWS = runtimes.runtimes()
GOOD = """\
- id: x
  runtime: X
  version: '1.10'
  call: listen()
  does: a=tcp4 a.reuseaddr=1 a.bind=0.0.0.0 a.listen
  differs:
    windows macos: a=tcp4 a.bind=0.0.0.0 a.listen
  without:
    illumos: not read
  ignores: [v6only]
  source: x.c
  recorded: {trace: x, system: linux 6.18.44, date: 2026-11-29}
"""


@pytest.mark.parametrize("name", [row.id for row in ROWS.values() if row.recorded])
def test_a_row_is_what_was_recorded(name: str) -> None:
    row = ROWS[name]
    assert row.recorded is not None
    found = recording(row.recorded.trace)[1]
    assert runtimes.difference(row, [one.scenario for one in found.scenarios]) == ""


def test_the_catalogue_has_what_it_says() -> None:
    assert len(ROWS) == 110
    assert sum(row.recorded is not None for row in ROWS.values()) == 103


@pytest.mark.parametrize("os", catalog.names())
def test_every_row_says_how_it_is_known(os: str) -> None:
    for row in ROWS.values():
        assert (row.scenario(os) is None) == (os in row.without), row.id
        recorded = row.recorded is not None and os == "linux"
        assert row.verified(os).startswith("recorded on linux 6.18.44") == recorded, row.id


def test_the_page_is_what_is_generated() -> None:
    page = Path(__file__).parents[2] / "docs" / "runtimes.md"
    assert runtimes_page.render() == page.read_text(encoding="utf-8"), "run 'bindmatrix regenerate runtimes'"


def test_a_row() -> None:
    (row,) = runtimes.load(GOOD, "x.yaml").values()
    assert row.version == "1.10"
    assert [str(row.scenario(os)) for os in ("linux", "windows", "illumos")] == [
        "a=tcp4 a.reuseaddr=1 a.bind=0.0.0.0 a.listen",
        "a=tcp4 a.bind=0.0.0.0 a.listen",
        "None",
    ]
    assert [row.verified(os) for os in ("linux", "windows", "illumos")] == [
        "recorded on linux 6.18.44, 2026-11-29",
        "source read",
        "not read",
    ]


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("  call: listen()\n", "", "x.yaml:1:3: expected 'call' in the row"),
        ("id: x", "id: 1 2", "x.yaml:1:7: expected a name such as 'go-http', got '1 2'"),
        ("a.listen\n  differs", "a.lisen\n  differs", "x.yaml:5:9: unknown call or option 'lisen'"),
        ("macos: a=tcp4", "macs: a=tcp4", "x.yaml:7:5: unknown 'macs' as a system; did you mean 'macos'?"),
        ("illumos: not", "windows: not", "x.yaml:9:5: 'windows' stands twice in the row"),
        ("illumos: not read", "illumos:", "x.yaml:9:13: expected why it is without, got nothing"),
        ("[v6only]", "[v6oly]", "x.yaml:10:13: unknown 'v6oly' as option; did you mean 'v6only'?"),
        ("2026-11-29", "29.11.2026", "x.yaml:12:53: expected a date such as 2026-11-29, got '29.11.2026'"),
        ("linux 6", "minix 6", "x.yaml:12:32: expected a system and its release, such as 'linux 6.18.44', got 'minix"),
        ("trace: x, ", "", "x.yaml:12:13: expected 'trace' of the recording"),
        ("source:", "sauce:", "x.yaml:11:3: unknown 'sauce' in a row of the catalogue; did you mean 'source'?"),
        ("- id: x\n  runtime", "id: x\nruntime", "x.yaml:1:1: not YAML"),
    ],
)
def test_what_is_wrong_is_pointed_at(old: str, new: str, message: str) -> None:
    assert old in GOOD
    with pytest.raises(Problems) as caught:
        runtimes.load(GOOD.replace(old, new), "x.yaml")
    found = str(caught.value)
    if "not YAML" in message:
        assert "not YAML" in found
    else:
        assert message in found.replace("\n", " ")


def test_an_id_stands_once() -> None:
    with pytest.raises(Problems, match="'x' stands twice in the catalogue"):
        runtimes.load(GOOD + GOOD, "x.yaml")
    with pytest.raises(Problems, match="'x' stands twice in the catalogue"):
        runtimes.load(GOOD, "x.yaml", ["x"])


def test_an_unknown_runtime() -> None:
    with pytest.raises(Problem, match="unknown runtime 'go-htp'; did you mean 'go-http'"):
        runtimes.runtime("go-htp")


@pytest.mark.parametrize(
    ("recorded", "same"),
    [
        ("z=tcp4 z.reuseaddr=1 z.bind=0.0.0.0 z.listen", True),
        ("user=1 z=tcp4 z.reuseaddr=1 z.bind=0.0.0.0 z.listen z.close", True),
        ("y=tcp6 y.bind=:: z=tcp4 z.reuseaddr=1 z.bind=0.0.0.0 z.listen", True),
        ("z=tcp4 z.bind=0.0.0.0 z.listen", False),
        ("z=tcp4 z.bind=0.0.0.0 z.reuseaddr=1 z.listen", False),
        ("z=tcp4 z.reuseaddr=1 z.bind=0.0.0.0", False),
    ],
)
def test_a_row_against_a_recording(recorded: str, same: bool) -> None:
    (row,) = runtimes.load(GOOD, "x.yaml").values()
    different = runtimes.difference(row, [parse(recorded)])
    assert (different == "") == same
    if not same:
        assert different == f"x: expected {row.does.text}\n  recorded {recorded}"


def test_the_order_of_two_sockets_counts_unless_it_is_not_fixed() -> None:
    two = "a=tcp4 a.bind=0.0.0.0 b=tcp6 b.bind=::"
    text = GOOD.replace("a=tcp4 a.reuseaddr=1 a.bind=0.0.0.0 a.listen", f"'{two}'")
    recorded = [parse("a=tcp6 a.bind=:: b=tcp4 b.bind=0.0.0.0")]
    assert runtimes.difference(runtimes.load(text, "x.yaml")["x"], recorded)
    any_order = text.replace("  ignores", "  any-order: yes\n  ignores")
    assert not runtimes.difference(runtimes.load(any_order, "x.yaml")["x"], recorded)
