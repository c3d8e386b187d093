"""The short form of a question: ``tcp reuseaddr listen 0.0.0.0 127.0.0.1``.

People type what they know: ``TCP``, ``SO_REUSEADDR``, ``reuseaddr,reuseport``, ``[::]:8080``, ``localhost``, ``*``.
:func:`plain_words` reads these, and says what it made of an address.
"""

from __future__ import annotations

import re

from bindmatrix.errors import Place, Problem, nearest
from bindmatrix.notation import NOT_MODELLED, OPTIONS, SOCKET_KINDS, Scenario, parse, words_with_columns

PROTOCOLS = ("tcp", "udp", "mptcp", "udplite", *SOCKET_KINDS)
#: kinds of sockets that have IPV6_V6ONLY
_WITH_V6ONLY = tuple(kind for kind, row in SOCKET_KINDS.items() if row.family == "ipv6")
#: option of the short form -> the step after ``a.``
_OPTIONS: dict[str, str] = {**{option: f"{option}=1" for option in OPTIONS}, "dual": "v6only=0"}
#: an address with a port, as programs print it: `[::]:8080`, `0.0.0.0:8080`, `:8080`
_WITH_PORT = re.compile(r"(\[[0-9a-f:.%]+\]|[0-9.]+|localhost|\*|any|):\d{1,5}\Z")
#: what people call the wildcard, and the loopback address, of each family
_NAMES = {"*": ("0.0.0.0", "::"), "any": ("0.0.0.0", "::"), "": ("0.0.0.0", "::"), "localhost": ("127.0.0.1", "::1")}


def plain_words(words: list[str]) -> tuple[list[str], list[str]]:
    """The words as the short form has them, and what to say of addresses that were written in another way."""
    plain: list[str] = []
    notes = []
    for word in words:
        lower = word.lower()
        options = [_option(one) for one in lower.split(",")]
        if all(one in _OPTIONS or one == "listen" for one in options):
            plain += options
        elif lower in PROTOCOLS:
            plain.append(lower)
        else:
            address = _address(lower, ipv6=any(one.endswith("6") for one in plain if one in PROTOCOLS))
            plain.append(address or word)
            if address and address != lower:
                notes.append(f"{word} is read as {address}; a scenario has one port, which is left out")
    return plain, notes


def _option(word: str) -> str:
    return word.removeprefix("so_").replace("ipv6_v6only", "v6only").replace("exclusiveaddruse", "exclusive")


def _address(word: str, *, ipv6: bool) -> str:
    """The address in ``word``, "" where it holds none that has to be read."""
    found = _WITH_PORT.match(word)
    host = (found[1] if found else word).strip("[]")
    if host in _NAMES:
        return _NAMES[host][ipv6]
    return host if found or host != word else ""


class _AskedGroup:
    """What stands on one side of the ``/``."""

    def __init__(self) -> None:
        self.protocol = ""
        self.options: list[str] = []
        self.addresses: list[str] = []
        self.listens = False


def short_form(text: str) -> Scenario:
    """The scenario of two sockets that the short form in ``text`` means; raises :class:`Problem`."""
    groups = [_AskedGroup()]
    end = len(text) + 1
    for column, word in words_with_columns(text):
        place = Place("question", 1, column)
        group = groups[-1]
        if word == "/":
            if len(groups) == 2 or not group.addresses:
                raise Problem(place, "expected one '/', after the address of the first socket", source=text)
            groups.append(_AskedGroup())
        elif word in PROTOCOLS and not group.protocol and not group.options and not group.addresses:
            group.protocol = word
        elif word == "listen":
            group.listens = True
        elif word in _OPTIONS:
            group.options.append(_OPTIONS[word])
        elif "." in word or ":" in word or word[0] in "/@":
            group.addresses.append(word)
            if len(group.addresses) > (1 if len(groups) == 2 else 2):
                raise Problem(
                    place, "expected two addresses at the most, one for each socket", source=text, width=len(word)
                )
        else:
            raise Problem(place, _unknown(word, column == 1), source=text, width=len(word))
    first, second = groups[0], groups[-1]
    if not first.protocol:
        raise Problem(Place("question", 1, 1), f"expected a protocol first: {', '.join(PROTOCOLS)}", source=text)
    if not first.addresses:
        message = "expected an address, as in 'udp reuseport 0.0.0.0'"
        raise Problem(Place("question", 1, end), message, source=text)
    if len(groups) == 2 and len(first.addresses) == 2:
        raise Problem(Place("question", 1, 1), "expected one address before the '/' and one after it", source=text)
    other = (second.addresses or first.addresses)[-1]
    _needs_ipv6(groups, other)
    own = len(groups) == 2
    words = _socket("a", first.protocol, first.options, first.addresses[0], first.listens, own=own)
    words += _socket("b", second.protocol or first.protocol, second.options, other, second.listens and own, own=own)
    return parse(" ".join(words))


def _needs_ipv6(groups: list[_AskedGroup], other: str) -> None:
    """Raise :class:`Problem` where V6ONLY is asked of IPv4 sockets alone; beside an IPv6 socket it is that one's."""
    asked = [option for option in groups[0].options if option.startswith("v6only")]
    if len(groups) == 1 and asked and not any(":" in address for address in (*groups[0].addresses, other)):
        message = "'dual' and 'v6only' are options of IPv6 sockets; expected an IPv6 address, such as '::'"
        raise Problem(Place("question", 1, 1), message)


def _unknown(word: str, is_first: bool) -> str:
    if is_first:
        return f"expected a scenario such as 'a=tcp4 a.bind=::', a file, or a protocol, got {word!r}" + nearest(
            word, PROTOCOLS
        )
    if _option(word.lower()) in NOT_MODELLED:
        return f"{word!r} is not modelled: {NOT_MODELLED[_option(word.lower())]}"
    valid = [*_OPTIONS, "listen"]
    return f"expected an address or one of {', '.join(valid)}, got {word!r}" + nearest(word, valid)


def _socket(name: str, protocol: str, options: list[str], address: str, listens: bool, *, own: bool) -> list[str]:
    """The steps of one socket; ``own``: the options were written for it alone, and not for both sockets."""
    kind = protocol if protocol in SOCKET_KINDS else protocol + ("6" if ":" in address else "4")
    if kind not in _WITH_V6ONLY and not own:
        options = [option for option in options if not option.startswith("v6only")]
    steps = [f"{name}={kind}", *(f"{name}.{option}" for option in options), f"{name}.bind={address}"]
    return [*steps, f"{name}.listen"] if listens else steps
