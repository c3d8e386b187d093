"""A text from outside stays data in every language that it enters."""

from __future__ import annotations

import ast
import html.parser
import re
import shlex
import shutil
import subprocess
import sys
import unicodedata
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest
from bindmatrix import quoting
from hypothesis import example, given
from hypothesis import strategies as st

EVERY = [chr(number) for number in range(sys.maxunicode + 1)]
WORDS = [
    "*/", "*\\", "/*", "??/", '"""', "'''", "\\N{BEL}", "::set-output name=x::y", "##[command]", "\x1b[2J", "\r\n",
    "@maintainers", "https://example.org", "www.example.org", "</script>", "]]>", "|", "`id`", "$(id)", "\u202e", "\0",
]  # fmt: skip
texts = st.lists(st.one_of(st.sampled_from(WORDS), st.text(max_size=5)), max_size=8).map("".join)


@pytest.mark.parametrize("name", quoting.LANGUAGES)
def test_no_character_of_unicode_is_a_control_or_turns_the_direction(name: str) -> None:
    quote = quoting.LANGUAGES[name]
    allowed = {"\N{ZERO WIDTH SPACE}"} | ({"\t", "\n", "\r"} if name in ("HTML", "XML") else set())
    for first in range(0, len(EVERY), 64):
        for made in set(quote(f"a{'b'.join(EVERY[first : first + 64])}b")) - allowed:
            assert unicodedata.category(made) not in ("Cc", "Cs") or name in ("HTML", "XML"), (name, hex(first))
            assert ord(made) not in quoting._BIDI or name == "XML", (name, hex(first))


@given(texts)
@example("x *\\ int system(); /*")
@example("a??/\n*/ b")
def test_c_comment(text: str) -> None:
    made = quoting.c_comment(text)
    assert not {"*", "\\", "?", '"', "\n", "\r"} & set(made)
    assert made.isascii()


@given(texts)
@example('"""\nimport os')
def test_python_docstring(text: str) -> None:
    made = quoting.python_docstring(text)
    tree = ast.parse(f'"""\n{made}\n"""\n')
    assert len(tree.body) == 1
    assert ast.literal_eval(tree.body[0].value) == f"\n{made}\n"  # type: ignore[attr-defined]


@given(texts)
@example("'; touch x; '")
def test_shell(text: str) -> None:
    made = quoting.shell(text)
    assert len(shlex.split(made)) == 1
    assert made.isprintable() or not made.strip("'")


@given(texts)
@example("::set-output name=x::y")
@example("  ##[error]x")
def test_terminal_says_no_command_to_a_runner(text: str) -> None:
    made = quoting.terminal(text)
    assert not made.lstrip().startswith(("::", "##["))
    assert "\x1b" not in made


@given(texts)
@example("@team https://x.org [a](b) <b> | # ` & www.x.org")
def test_markdown(text: str) -> None:
    made = quoting.markdown(text)
    assert "\n" not in made
    assert not re.search(r"@[A-Za-z0-9]|://|(?i:www\.)", made)
    assert not re.search(r"(?<!\\)(?:\\\\)*[`*_\[\]<>|#&~]", made), made


@given(texts)
def test_html(text: str) -> None:
    seen: list[str] = []

    class Parser(html.parser.HTMLParser):
        def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
            seen.append(tag)

    parser = Parser()
    parser.feed(f'<p title="{quoting.html(text)}">{quoting.html(text)}</p>')
    parser.close()
    assert seen == ["p"]


@given(texts)
def test_xml(text: str) -> None:
    element = ET.Element("a", b=quoting.xml(text))
    element.text = quoting.xml(text)
    assert ET.fromstring(ET.tostring(element)).tag == "a"


@pytest.mark.skipif(shutil.which("cc") is None, reason="no C compiler")
def test_a_compiler_finds_nothing_behind_a_comment(tmp_path: Path) -> None:
    """Every character of the first plane, twice in a row, in one comment each."""
    source = tmp_path / "comments.c"
    lines = [f"/* {quoting.c_comment(letter * 2 + '/')} */" for letter in EVERY[:0x3000]]
    source.write_text("\n".join([*lines, "int main(void) { return 0; }", ""]), encoding="utf-8")
    command = ["cc", "-std=c99", "-trigraphs", "-Wall", "-Wextra", "-Werror", "-pedantic", "-fsyntax-only", str(source)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
