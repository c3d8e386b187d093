"""The lines of strace as calls: one line at a time, whatever options strace was given, in bounded memory.

What a line may be (strace(1), and strace 6.1 as tried): a call, ``name(arguments) = result``, behind a process id
(``1234``, ``[pid 1234]``, ``1234<comm>``), times (-r -t -tt -ttt), the number of the call (-n) and the instruction
pointer (-i); the two halves of a call, ``name(arguments <unfinished ...>`` and ``<... name resumed>arguments) =
result``; an exit (``+++``), a signal (``---``), a stack frame (-k), words of strace itself, which without ``-o`` may
stand inside a call; the table of ``-c``.  Everything else is counted as not understood, never an error.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Iterable, Iterator
from typing import NamedTuple

#: letters of a line that are read; strace cuts strings at 32 bytes by default, so a longer line is no line of its own
LONGEST_LINE = 1 << 16
#: halves of calls that are kept at a time: one a thread, and threads that vanished without a word
_MOST_PENDING = 100_000
#: lines that were not understood which are shown
_SHOWN = 5

#: calls that give a process a child
FORKS = frozenset({"clone", "clone3", "fork", "vfork"})
#: their descriptor is free as soon as the call begins: another thread may get its number before the call returns
_AT_ENTRY = frozenset({"close", "close_range"})

_HEAD = re.compile(
    r"(?:\[pid +(?P<tid>\d{1,10})[^\]]*\] +|(?P<pid>\d{1,10})(?:<.{0,64}?>)? +)?\s*"
    r"(?:(?:\d\d:\d\d:\d\d(?:\.\d+)?|\d+\.\d+|\(\+ +\d+\.\d+\)) +)*"
    r"(?:\[ *\d+\] +)?(?:\[[0-9a-f?]{8,}\] +)?"
    r"(?:(?P<resumed><\.\.\. )?(?P<name>[a-z][a-z0-9_]*)(?P<open>\(| resumed>)"
    r"|(?P<exit>\+\+\+ (?:exited with|killed by|superseded))|(?P<signal>--- |<\.\.\. |\?\?\?|<detached|\+\+\+ ))"
)
_UNFINISHED = re.compile(r",?\s*<unfinished \.\.\.>\s*\Z")
_OWN_WORDS = re.compile(r"strace: |\[ Process PID=|\d+ *\[ Process PID=")
_INSIDE = re.compile(r"strace: Process \d+ (?:attached|detached|suspended|resumed).*\Z")
_SUMMARY = re.compile(r"% time +seconds|------ -----------|(?: *\d+\.\d+){2} +\d+ +\d+ ")
_RESULT = re.compile(
    r"\s*(?:=> .*?\)\s*)?= "
    r"(?P<value>\?|-?(?:0x[0-9a-f]{1,16}|\d{1,20}))(?:<(?P<of>\w+:\[.*?\]|[^>]*)>(?:\(deleted\))?)?"
    r"(?: (?P<error>E[A-Z0-9]+)\b)?(?P<rest>.*)"
)
_TOKEN = re.compile(
    r'"(?:[^"\\]|\\.)*"(?:\.\.\.)?'
    r"|/\*.*?\*/"
    r"|(?<=\d)<(?!<)[^\"]*?>(?:\(deleted\))?(?=[,)\]} ]|\Z)"
    r"|[\[{(]|[\]})]|,|=>"
    r"|[^\"\[\](){},</=]+|."
)


class SystemCall(NamedTuple):
    """One call, complete."""

    line: int
    pid: int
    name: str
    arguments: tuple[str, ...]
    #: None for ``?`` (the process ended or the call is restarted)
    result: int | None
    #: what -y says that the result is, ``socket:[4711]``; ""
    result_is: str
    #: name of the error; ""
    error: str


class ThreadExit(NamedTuple):
    """A thread has ended."""

    line: int
    pid: int


class Lines:
    """Reads lines of one trace; what became of them is counted."""

    def __init__(self, names: Collection[str]) -> None:
        #: the calls that are wanted; others are only counted
        self.names = frozenset(names)
        #: the process of lines that name none: -ff writes a file for each
        self.default_pid = 0
        self.count = 0
        self.calls = 0
        self.not_understood = 0
        #: (line, text) of the first that were not understood
        self.examples: list[tuple[int, str]] = []
        #: what the trace says about itself: ``summary``, ``injected``
        self.traits: Counter[str] = Counter()
        #: thread -> (call, text so far); a child may show up before the parent's clone() returns
        self.pending: dict[int, tuple[str, str]] = {}
        self._held = ""

    def read(self, lines: Iterable[str]) -> Iterator[SystemCall | ThreadExit]:
        """The calls and exits of ``lines``, in the order in which they completed."""
        for text in lines:
            self.count += 1
            if self._held:
                text, self._held = self._held + text, ""
            elif self._is_other_call(text):
                self.calls += 1
                continue
            elif "strace: Process" in text and (inside := _INSIDE.search(text.rstrip())):
                self._held = text[: inside.start()]
                continue
            found = self._line(text.rstrip("\r\n"))
            if found is not None:
                yield found

    def _is_other_call(self, text: str) -> bool:
        """Whether a line is plainly a call that is not wanted: most are, and the expression is slow."""
        end = text.find("(")
        if end < 0:
            return False
        begin = text.rfind(" ", 0, end) + 1
        name = text[begin:end]
        return name.isidentifier() and name not in self.names and not text[:begin].strip("0123456789 :.")

    def _line(self, text: str) -> SystemCall | ThreadExit | None:
        head = _HEAD.match(text)
        if head is None:
            self._other(text)
            return None
        pid = int(head["pid"] or head["tid"] or self.default_pid)
        name = head["name"]
        if name is None:
            if head["exit"] is None:
                return None
            self.pending.pop(pid, None)
            return ThreadExit(self.count, pid)
        if name not in self.names:
            self.calls += 1
            return None
        rest = text[head.end() :]
        if head["resumed"]:
            begun = self.pending.pop(pid, None)
            if name in _AT_ENTRY and begun is None:
                return None  # told at its entry
            if begun is not None and begun[0] == name:
                rest = begun[1] + rest
        unfinished = _UNFINISHED.search(rest) if "<unfinished" in rest else None
        if unfinished is None:
            return self._complete(pid, name, rest, text)
        rest = rest[: unfinished.start()]
        if name in _AT_ENTRY:
            return self._complete(pid, name, rest + ") = 0", text)
        if len(self.pending) < _MOST_PENDING:
            self.pending[pid] = (name, rest)
        return None

    def _complete(self, pid: int, name: str, rest: str, text: str) -> SystemCall | None:
        read = arguments(rest)
        result = _RESULT.match(rest, read[1]) if read is not None else None
        if read is None or result is None:
            self._unknown(text)
            return None
        self.calls += 1
        if result["rest"].endswith("(INJECTED)"):
            self.traits["injected"] += 1
        value = None if result["value"] == "?" else integer(result["value"])
        return SystemCall(self.count, pid, name, tuple(read[0]), value, result["of"] or "", result["error"] or "")

    def _other(self, text: str) -> None:
        if _SUMMARY.match(text):
            self.traits["summary"] += 1
        elif text.strip() and not text.startswith(" > ") and not _OWN_WORDS.match(text):
            self._unknown(text)

    def _unknown(self, text: str) -> None:
        self.not_understood += 1
        if len(self.examples) < _SHOWN:
            self.examples.append((self.count, text[:200]))


def integer(text: str) -> int:
    """A number as strace writes it, ``-1`` or ``0x1f``."""
    return int(text, 16 if "x" in text else 10)


def arguments(text: str) -> tuple[list[str], int] | None:
    """The arguments of a call whose text begins after the ``(``, and where its ``)`` ends; None where it has no end.

    Strings, structures, comments and what -y writes behind a descriptor are kept together.
    """
    found: list[str] = []
    depth = begin = 0
    for token in _TOKEN.finditer(text):
        mark = token.group()
        if mark in "[{(":
            depth += 1
        elif mark == "," and not depth:
            found.append(text[begin : token.start()].strip())
            begin = token.end()
        elif mark in "]})":
            if depth:
                depth -= 1
            elif mark == ")":
                last = text[begin : token.start()].strip()
                return ([*found, last] if last or found else found), token.end()
    return None
