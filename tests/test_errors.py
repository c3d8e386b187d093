"""How a problem is shown: one clear line, and the place in what was typed."""

from __future__ import annotations

import pickle

from bindmatrix.errors import Place, Problem, Problems, nearest


def test_a_caret_under_the_place() -> None:
    text = str(Problem(Place("file", 3, 5), "expected more", source="a=b c=d", width=3))
    assert text == "file:3:5: expected more\n  a=b c=d\n      ^^^"


def test_what_stands_in_a_file_does_not_move_the_cursor() -> None:
    """Failed first: a file could clear the screen, or write over the message about it."""
    text = str(Problem(Place("file", 1, 1), "expected a step", source="\x1b[2Ja\x07\r=tcp4", width=2))
    assert (
        text.splitlines()[1] == "  \N{REPLACEMENT CHARACTER}[2Ja\N{REPLACEMENT CHARACTER}\N{REPLACEMENT CHARACTER}=tcp4"
    )
    assert "\x1b" not in text


def test_a_line_without_an_end_is_shown_in_part() -> None:
    text = str(Problem(Place("file", 1, 500_001), f"got {'x' * 500_000!r}", source="x" * 1_000_000, width=500_000))
    message, line, caret = text.splitlines()
    assert message.endswith(" ...")
    assert len(text) < 10_000
    assert caret.index("^") < len(line)
    assert len(caret) <= len(line)


def test_problems_travel_between_processes() -> None:
    """Failed first: an exception is made anew from its arguments, and the place was none of them."""
    problem = Problem(Place("file", 3, 5), "expected more", source="a=b c=d", width=3)
    assert str(pickle.loads(pickle.dumps(problem))) == str(problem)
    assert str(pickle.loads(pickle.dumps(Problems([problem])))) == str(problem)


def test_the_nearest_word_in_other_letters() -> None:
    assert nearest("LINUX", ["linux", "macos"]) == "; did you mean 'linux'?"
    assert nearest("eadrinuse", ["EACCES", "EADDRINUSE"]) == "; did you mean 'EADDRINUSE'?"
    assert nearest("x", ["linux"]) == ""
