"""The short form of ``ask``: a question in a few words, in any order, as people type it.

``PROTOCOL [WORD...] ADDRESS [ADDRESS]`` asks about two sockets with the same options; ``/`` stands between them where
each has its own.  A word in another spelling is read in its only possible meaning, and :attr:`ShortForm.notes` say how.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import NamedTuple

from bindmatrix.errors import Place, Problem, nearest, whole_number
from bindmatrix.generate.axes import CONNECTION, ENDINGS, USER
from bindmatrix.not_modelled import plain, why_not
from bindmatrix.notation import HERE, OPTIONS, REMOTE, SOCKET_KINDS, Scenario, parse, words_with_columns
from bindmatrix.programs import runtimes
from bindmatrix.rules import catalog

PROTOCOLS = tuple(
    dict.fromkeys(
        word for kind, row in SOCKET_KINDS.items() if row.protocol != REMOTE for word in (kind.rstrip("46"), kind)
    )
)
#: kinds of sockets that have IPV6_V6ONLY
_WITH_V6ONLY = tuple(kind for kind, row in SOCKET_KINDS.items() if row.family == "ipv6")
#: word -> the step after ``a.``
_OPTIONS: dict[str, str] = {
    **{plain(option): f"{option}=1" for option in OPTIONS},
    **{plain(name): f"{option}=1" for option, name in OPTIONS.items()},
    "dual": "v6only=0",
    "dualstack": "v6only=0",
}
_LISTEN = ("listen", "listens", "listening")
#: what is asked beside the two sockets: how it is written -> what it means
_SITUATIONS = {
    "receives": "receives",
    "receiver": "receives",
    "who": "receives",
    "restart": "restart",
    "timewait": "restart",
    "local": "local",
    "remote": "remote",
    "otheruser": "other-user",
    "afterbind": "after-bind",
    "workers": "workers",
}
_RESTART = frozenset({"restart", "local", "remote"})
WORDS = ("listen", "receives", "restart", "local", "other-user", "after-bind", "4 workers")
_MOST_WORKERS = 8
#: what else may stand for all addresses
_ALL = ("*", "any", "all")
#: the number of a port; one digit is rather how many workers there are
_PORT = re.compile(r"\d{2,5}")
#: names of the sockets; 'c' and 'x' are the connection of a restart
_NAMES, _NAMES_AFTER_RESTART = "abcdefgh", "abdefghi"


class ShortForm(NamedTuple):
    """What the words mean; ``notes``: how some of them were read."""

    scenario: Scenario
    notes: tuple[str, ...] = ()


class _AskedGroup:
    """The words on one side of the ``/``."""

    def __init__(self) -> None:
        self.protocol = ""
        self.options: list[str] = []
        self.addresses: list[str] = []
        self.listens = False


class _Question:
    """The words of a question, sorted by what they mean."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.groups = [_AskedGroup()]
        self.words: set[str] = set()
        self.workers = 2
        self.notes: dict[str, None] = {}
        tokens = list(_tokens(text))
        protocol = next((word.lower() for _, word in tokens if word.lower() in PROTOCOLS), "")
        following = [word.lower() for _, word in tokens[1:]] + [""]
        for (column, word), after in zip(tokens, following, strict=True):
            self._take(Place("question", 1, column), word, protocol, after)

    def _take(self, place: Place, word: str, protocol: str, following: str) -> None:
        group = self.groups[-1]
        known = plain(word.removesuffix("=1"))
        if word == "/":
            if len(self.groups) == 2 or not group.addresses:
                raise Problem(place, "expected one '/', after the address of the first socket", source=self.text)
            self.groups.append(_AskedGroup())
        elif word.lower() in PROTOCOLS and not group.protocol:
            group.protocol = word.lower()
        elif known in _OPTIONS:
            group.options.append(_OPTIONS[known])
        elif known in _LISTEN:
            group.listens = True
        elif known in _SITUATIONS:
            self.words.add(_SITUATIONS[known])
        elif (word.isdigit() and following == "workers") or re.fullmatch(r"workers=\d+", word.lower()):
            self._count(place, word)
        else:
            self._address(place, word, protocol)

    def take_every_address(self) -> None:
        """Ask about the wildcard address where none was named; raises :class:`Problem` for names of files and CIDs."""
        group = self.groups[0]
        if f"{group.protocol.rstrip('46')}4" not in SOCKET_KINDS:
            message = f"expected an address, as in '{group.protocol} /x'"
            raise Problem(Place("question", 1, len(self.text) + 1), message, source=self.text)
        six = group.protocol.endswith("6") or any(option.startswith("v6only") for option in group.options)
        group.addresses.append("::" if six else "0.0.0.0")
        self.notes[f"no address was named, so this is about {group.addresses[0]}"] = None

    def _count(self, place: Place, word: str) -> None:
        text = word.lower().removeprefix("workers=")
        count = whole_number(text, _MOST_WORKERS)
        if count is None or count < 2:
            raise Problem(place, f"expected 2 to {_MOST_WORKERS} workers, got {text[:80]}", source=self.text)
        self.workers = count
        self.words.add("workers")

    def _address(self, place: Place, word: str, protocol: str) -> None:
        address = _read(word, protocol)
        if not address:
            raise Problem(place, _unknown(word), source=self.text, width=len(word))
        if address != word:
            self.notes[f"{word!r} is read as {address!r}"] = None
            if re.search(r"(:|^)\d+$", word) and not address.endswith(",0"):
                self.notes["a scenario has one port, so the number of the port does not matter"] = None
        group = self.groups[-1]
        group.addresses.append(address)
        if len(group.addresses) > (1 if len(self.groups) == 2 else 2):
            message = "expected two addresses at the most, one for each socket"
            raise Problem(place, message, source=self.text, width=len(word))


def read(text: str) -> ShortForm:
    """The scenario that ``text`` means; raises :class:`Problem`."""
    question = _Question(text)
    first, second = question.groups[0], question.groups[-1]
    if not first.protocol:
        offered = ("tcp",) if first.listens or question.words & _RESTART else ("tcp", "udp")
        lines = " or ".join(f"'bindmatrix ask {protocol} {text}'" for protocol in offered)
        raise Problem(Place("question"), f"expected a protocol; say {lines}")
    if not first.addresses:
        question.take_every_address()
    own = len(question.groups) == 2
    if own and len(first.addresses) == 2:
        raise Problem(Place("question", 1, 1), "expected one address before the '/' and one after it", source=text)
    other = (second.addresses or first.addresses)[-1]
    _needs_ipv6(question.groups, other)
    protocol = second.protocol or first.protocol
    words = question.words
    streams = SOCKET_KINDS[_kind(first.protocol, first.addresses[0])].type == "stream"
    if words & _RESTART and not _kind(first.protocol, first.addresses[0]).startswith("tcp"):
        message = "a restart is about TIME_WAIT, which connections leave; expected 'tcp'"
        raise Problem(Place("question", 1, 1), message, source=text)
    all_listen = streams and bool(words & {"receives", "workers", *_RESTART})
    groups = words & {"receives", "workers"}
    steps = [USER["other-user"].first] if "other-user" in words else []
    late = "after-bind" in words
    steps += _socket("a", first.protocol, first, first.addresses[0], first.listens or all_listen, own=own, late=late)
    if groups:
        steps += _joined("a", first.addresses[0])
    if words & _RESTART:
        steps += _leftover(first.addresses[0], local="local" in words)
    steps += [USER["other-user"].second] if "other-user" in words else []
    names = _NAMES_AFTER_RESTART if words & _RESTART else _NAMES
    for name in names[1 : question.workers]:
        listens = (second.listens and own) or all_listen
        steps += _socket(name, protocol, second, other, listens, own=own, late=late)
        if groups:
            steps += _joined(name, other)
    if groups:
        steps.append(f"deliver={_destination(first.addresses[0], other)}")
    return ShortForm(parse(" ".join(steps)), tuple(question.notes))


def _tokens(text: str) -> Iterator[tuple[int, str]]:
    """The words with their columns; options may be joined by commas."""
    for column, word in words_with_columns(text):
        if "," in word and not word.endswith(",0"):
            for part in re.finditer(r"[^,]+", word):
                yield column + part.start(), part.group()
        else:
            yield column, word


def _read(word: str, protocol: str) -> str:
    """The address that a word means, "" where it is none."""
    if word[0] in "/@" or word.lower().startswith("cid:"):
        return word
    found = re.fullmatch(r"\[(?P<six>[^\]]+)\](:(?P<port6>\d+))?|(?P<host>[^:\[\]]*):(?P<port>\d+)", word)
    host, port = word, ""
    if word.startswith(":::") and word[3:].isdigit():
        host, port = "::", word[3:]  # as ss and netstat print it
    elif _PORT.fullmatch(word):
        host, port = "*", word
    elif found:
        host, port = (found["six"] or found["host"] or "*"), (found["port6"] or found["port"] or "")
    if host.lower() in _ALL:
        host = "::" if protocol.endswith("6") else "0.0.0.0"
    elif host.lower() == "localhost":
        host = "::1" if protocol.endswith("6") else "127.0.0.1"
    elif "." not in host and ":" not in host:
        return ""
    return f"{host},0" if port == "0" else host


def _needs_ipv6(groups: list[_AskedGroup], other: str) -> None:
    """Raise :class:`Problem` where V6ONLY is asked of IPv4 sockets alone; beside an IPv6 socket it is that one's."""
    asked = [option for option in groups[0].options if option.startswith("v6only")]
    if len(groups) == 1 and asked and not any(":" in address for address in (*groups[0].addresses, other)):
        message = "'dual' and 'v6only' are options of IPv6 sockets; expected an IPv6 address, such as '::'"
        raise Problem(Place("question", 1, 1), message)


def _unknown(word: str) -> str:
    left_out = why_not(word)
    if left_out:
        return left_out
    if word.lower() in catalog.names():
        return f"a system is an option: say '--os {word.lower()}'"
    if word in runtimes.runtimes():
        return f"a program of the catalogue is an option: say 'bindmatrix ask --runtime {word}'"
    found = nearest(word, [*PROTOCOLS, *OPTIONS, "dual", *WORDS])
    return f"unknown word {word!r}{found}; 'bindmatrix ask' prints what people ask, 'bindmatrix ask --help' every word"


def _kind(protocol: str, address: str) -> str:
    return protocol if protocol in SOCKET_KINDS else protocol + ("6" if ":" in address else "4")


def _socket(
    name: str, protocol: str, group: _AskedGroup, address: str, listens: bool, *, own: bool, late: bool
) -> list[str]:
    """The steps of one socket; ``own``: the options were written for it alone; ``late``: they are set after bind()."""
    kind = _kind(protocol, address)
    options = group.options
    if kind not in _WITH_V6ONLY and not own:
        options = [option for option in options if not option.startswith("v6only")]
    before = [f"{name}.{option}" for option in options if not late or option.startswith("v6only")]
    after = [f"{name}.{option}" for option in options if late and not option.startswith("v6only")]
    steps = [f"{name}={kind}", *before, f"{name}.bind={address}", *after]
    return [*steps, f"{name}.listen"] if listens else steps


def _joined(name: str, address: str) -> list[str]:
    """A socket that is to receive what is sent to a group joins it."""
    at = _ip(address)
    return [f"{name}.join={address}"] if at and at.is_multicast else []


def _leftover(address: str, *, local: bool) -> list[str]:
    """A connection that the server closes first, and the close of the listener: the port stays in TIME_WAIT.

    The client is on another host if the server binds the wildcard address, as is usual.
    """
    six = ":" in address
    if address in ("0.0.0.0", "::") and not local:
        kind, client = f"{REMOTE}{6 if six else 4}", HERE[six]
    else:
        kind, client = f"tcp{6 if six else 4}", _reached(address)[0]
    return [(CONNECTION + ENDINGS["time-wait"]).format(a="a", c="c", x="x", kind=kind, client=client), "a.close"]


def _destination(first: str, second: str) -> str:
    """Where the clients send: an address that both sockets receive from, else one of the second."""
    mine, theirs = _reached(first), _reached(second)
    return next((one for one in mine if one in theirs), theirs[0])


def _reached(address: str) -> tuple[str, ...]:
    """Destinations that a socket may receive from, the likeliest first."""
    text = address.partition(",")[0]
    if text[:1] in "/@" or text.startswith("cid:"):
        return (text,)
    if text == "0.0.0.0":
        return ("127.0.0.1", "127.0.0.2")
    return ("::1", "127.0.0.1") if text == "::" else (text,)


def _ip(address: str) -> IPv4Address | IPv6Address | None:
    """The IP address, None where it is none."""
    try:
        return ip_address(address.partition(",")[0])
    except ValueError:
        return None
