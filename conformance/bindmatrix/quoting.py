"""Escaping of untrusted text: one function for each target language.

Names of hosts and files, releases, outcomes and reasons come from recordings and remote machines, so anybody may have
written them. Each function passes a closed set of characters and escapes or replaces every other one, so that the text
stays data: it ends no comment, string, cell, element or command, and moves no cursor.
"""

from __future__ import annotations

import html as _html
import re
import shlex
from collections.abc import Callable

#: stands for each character that a program text may not hold
_REPLACED = "_"
#: letters, digits and signs that mean nothing within a comment of C (no `*`, `\`, `?`: trigraphs) or Python
_PLAIN = re.compile(r"[^A-Za-z0-9 .,:;+=()<>\[\]{}@%&~|!$^'/-]")
#: marks that change the direction of the text around them
_BIDI = dict.fromkeys(
    [*range(0x202A, 0x202F), *range(0x2066, 0x206A), 0x200E, 0x200F, 0x061C], "\N{REPLACEMENT CHARACTER}"
)
#: what GitHub's runner takes for a command at the beginning of a line
_COMMANDS = ("::", "##[")
_MARKUP = str.maketrans({char: f"\\{char}" for char in "\\`*_[]<>|#&~$"})
_LINKS = re.compile(r"(?i)@|:(?=//)|www(?=\.)")
_NO_XML = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def terminal(text: str) -> str:
    """One line for a terminal or a log: no control character, no change of direction, no command of a CI runner."""
    if not text.isprintable():
        text = "".join(letter if letter.isprintable() else "\N{REPLACEMENT CHARACTER}" for letter in text)
    text = text.translate(_BIDI)
    return f"> {text}" if text.lstrip().startswith(_COMMANDS) else text


def c_comment(text: str) -> str:
    """One line within a comment of C, and within a string of it."""
    return _PLAIN.sub(_REPLACED, text)


def python_docstring(text: str) -> str:
    """One line within a docstring or a comment of Python."""
    return _PLAIN.sub(_REPLACED, text)


def shell(text: str) -> str:
    """One word of a POSIX shell that can be pasted into a terminal."""
    return shlex.quote("".join(letter for letter in text if letter.isprintable()))


def markdown(text: str) -> str:
    """One line of Markdown that is no markup, link or mention."""
    line = " ".join(terminal(" ".join(text.split())).split())
    return _LINKS.sub(lambda found: f"{found.group()}\N{ZERO WIDTH SPACE}", line).translate(_MARKUP)


def markdown_code(text: str) -> str:
    """One line between two backquotes of Markdown, in a table too."""
    return " ".join(terminal(" ".join(text.split())).replace("`", "'").replace("|", "\N{BROKEN BAR}").split())


def html(text: str) -> str:
    """A text of an element of HTML, or of an attribute between double quotes."""
    return _html.escape(_NO_XML.sub("\N{REPLACEMENT CHARACTER}", text).translate(_BIDI), quote=True)


def xml(text: str) -> str:
    """The characters of ``text`` that XML 1.0 can hold, however they are written; a writer of XML does the rest."""
    return _NO_XML.sub("\N{REPLACEMENT CHARACTER}", text)


LANGUAGES: dict[str, Callable[[str], str]] = {
    "terminal": terminal,
    "C comment": c_comment,
    "Python docstring": python_docstring,
    "shell": shell,
    "Markdown": markdown,
    "Markdown code": markdown_code,
    "HTML": html,
    "XML": xml,
}
