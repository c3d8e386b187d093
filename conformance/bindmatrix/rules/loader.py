"""Reads an expectation file into :class:`~bindmatrix.rules.model.Expectations`.

It checks the syntax: words of the vocabulary, duplicate keys and ids, a last rule without conditions, evidence for
every rule. All problems are raised together, each with file, line and column. ``lint`` checks what the rules *mean*.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterator
from pathlib import Path

import yaml

from bindmatrix.errors import Place, Problem, Problems
from bindmatrix.notation import OPTIONS, PROTOCOLS, REMOTE
from bindmatrix.rules import vocabulary
from bindmatrix.rules.model import Expectations, SocketProfile, Stack, Substitution
from bindmatrix.rules.releases import Span
from bindmatrix.rules.rule_reader import RuleReader

#: keys of a file, in the order in which a person reads them: conflicts first
TOP_KEYS = (
    "os",
    "title",
    "covers",
    "names",
    "rebased",
    "assumes",
    "kernel-releases",
    "stack",
    "changes",
    "define",
    "bind",
    "listen",
    "connect",
    "accept",
    "set",
    "user",
    "socket",
    "chain",
    "groups",
    "remember",
    "time-wait",
    "deliver",
    "evidence",
)
STACK_KEYS = (
    "local",
    "v6only-default",
    "options",
    "connections",
    "occupies",
    "dual",
    "children",
    "inherits",
    "owner",
    "connect",
    "unbound-listen",
    "newest",
    "reset",
    "reset-told",
    "source",
    "unspecified",
    "becomes-wildcard",
    "connected-dual",
    "several",
    "closest",
    "sockets",
)
#: what a kind of socket may be to the rules
_ROLES = ("tcp", "udp", "unix", "vsock")
#: kinds of socket beside TCP and UDP; those of another host are the same on every system
_KINDS = tuple(protocol for protocol in PROTOCOLS[2:] if protocol != REMOTE)
_FORMS = ("ipv4", "mapped", "dual", "ipv6")


def load(path: Path) -> Expectations:
    """The expectations in ``path``; raises :class:`Problems` with everything that is wrong."""
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        message = f"cannot be read: {error.strerror}"
        raise Problems([Problem(Place(str(path)), message)]) from error
    except UnicodeDecodeError as error:
        raise Problems([Problem(Place(str(path)), f"not UTF-8 at byte {error.start}")]) from error
    return loads(text, str(path))


def loads(text: str, name: str) -> Expectations:
    """The expectations in ``text``; ``name`` is what problems call it."""
    return _Loader(text, name).load()


class _Loader:
    def __init__(self, text: str, name: str) -> None:
        self.reader = RuleReader(text, name)
        self.options: dict[str, tuple[tuple[Span, str], ...]] = {}

    def load(self) -> Expectations:
        reader = self.reader
        reader.finish()
        if reader.root is None:
            raise Problems([Problem(Place(reader.name), "expected an expectation file, got an empty one")])
        top = reader.known(reader.root, "an expectation file", TOP_KEYS)
        for key in ("os", "title", "covers", "stack", "bind", "listen", "set"):
            if key not in top:
                reader.problem(reader.root, f"{key!r} is missing")
        reader.terms(top)
        names = self.names(top["names"]) if "names" in top else {}
        rebased = self.rebased(top["rebased"]) if "rebased" in top else {}
        assumes = self.assumes(top["assumes"]) if "assumes" in top else {}
        kernels = self.kernel_releases(top["kernel-releases"]) if "kernel-releases" in top else {}
        covers, last = self.covers(top["covers"]) if "covers" in top else (("0", "0"), ())
        stack = self.stack(top["stack"]) if "stack" in top else Stack()
        rules = reader.sections(top)
        reader.check_terms(reader.ids)
        os = reader.text(top["os"], "the name of the system") if "os" in top else ""
        title = reader.text(top["title"], "the title") if "title" in top else ""
        reader.finish()
        return Expectations(
            os, title, covers, stack, rules, names, self.options, reader.name, last, rebased, assumes, kernels
        )

    # -- settings

    def names(self, node: yaml.Node) -> dict[str, str]:
        return {key: self.reader.release(value) for key, _, value in self.reader.mapping(node, "names of releases")}

    def kernel_releases(self, node: yaml.Node) -> dict[str, str]:
        found = {}
        for key, key_node, value in self.reader.mapping(node, "releases of kernels"):
            self.reader.release(key_node)
            none = isinstance(value, yaml.ScalarNode) and value.value == "none"
            found[key] = "" if none else self.reader.release(value)
        return found

    def rebased(self, node: yaml.Node) -> dict[str, re.Pattern[str]]:
        patterns = {}
        for name, _, value in self.reader.mapping(node, "rebased kernels"):
            try:
                patterns[name] = re.compile(self.reader.text(value, "a regular expression"))
            except re.error as error:
                self.reader.problem(value, f"expected a regular expression that is found in a release: {error}")
        return patterns

    def assumes(self, node: yaml.Node) -> dict[str, tuple[str, str]]:
        settings = {}
        for name, _, value in self.reader.mapping(node, "settings of the host"):
            row = self.reader.known(value, "a setting", ("value", "otherwise"))
            if len(row) == 2:
                settings[name] = (
                    self.reader.text(row["value"], "a value"),
                    self.reader.text(row["otherwise"], "what is otherwise"),
                )
            else:
                self.reader.problem(value, f"expected '{name}: {{value: \"1\", otherwise: what differs}}'")
        return settings

    def covers(self, node: yaml.Node) -> tuple[tuple[str, str], tuple[str, ...]]:
        found = self.reader.known(node, "'covers'", ("from", "to", "last"))
        for key in ("from", "to"):
            if key not in found:
                self.reader.problem(node, f'{key!r} is missing; write \'covers: {{from: "1.0", to: "2.0"}}\'')
        first, newest = [self.reader.release(found[key]) if key in found else "0" for key in ("from", "to")]
        last = self.reader.items(found["last"], "'last'") if "last" in found else []
        return (first, newest), tuple([self.reader.release(one) for one in last])

    def stack(self, node: yaml.Node) -> Stack:
        reader = self.reader
        found = reader.known(node, "'stack'", STACK_KEYS)
        for key in ("local", "v6only-default", "options", "occupies"):
            if key not in found:
                reader.problem(node, f"{key!r} is missing in 'stack'")
        return Stack(
            local=self.networks(found["local"]) if "local" in found else (),
            v6only_default=int(reader.word(found["v6only-default"], "a default", ("0", "1")))
            if "v6only-default" in found
            else 0,
            options=self.option_times(found["options"]) if "options" in found else {},
            connections=self.connections(found["connections"]) if "connections" in found else {},
            occupies=self.occupies(found["occupies"]) if "occupies" in found else {},
            dual=reader.word(found["dual"], "'dual'", ("equal", "wider")) if "dual" in found else "equal",
            children=reader.word(found["children"], "'children'", ("connection", "wildcard"))
            if "children" in found
            else "connection",
            inherits=tuple(self.inherited(found["inherits"])) if "inherits" in found else tuple(OPTIONS),
            connect=reader.word(found["connect"], "'connect'", ("narrows", "keeps", "stays"))
            if "connect" in found
            else "narrows",
            newest=reader.word(found["newest"], "'newest'", ("bind", "connect")) if "newest" in found else "bind",
            reset=reader.word(found["reset"], "'reset'", ("keeps", "keeps-asked", "loses"))
            if "reset" in found
            else "keeps",
            unbound_listen=reader.word(found["unbound-listen"], "'unbound-listen'", ("chosen", "zero"))
            if "unbound-listen" in found
            else "chosen",
            reset_told=reader.word(found["reset-told"], "'reset-told'", ("yes", "unknown"))
            if "reset-told" in found
            else "yes",
            owner=reader.word(found["owner"], "'owner'", ("listener", "acceptor")) if "owner" in found else "listener",
            unspecified=self.unspecified(found["unspecified"]) if "unspecified" in found else {},
            becomes_wildcard=tuple(self.substitutions(found["becomes-wildcard"]))
            if "becomes-wildcard" in found
            else (),
            source=reader.text(found["source"], "an address") if "source" in found else "",
            connected_dual=reader.text(found["connected-dual"], "an address") if "connected-dual" in found else "",
            several=reader.word(found["several"], "'several'", ("first-rule", "any"))
            if "several" in found
            else "first-rule",
            closest=tuple(self.reader.points(one) for one in reader.items(found["closest"], "'closest'"))
            if "closest" in found
            else (),
            sockets=self.sockets(found["sockets"]) if "sockets" in found else {},
        )

    def sockets(self, node: yaml.Node) -> dict[str, SocketProfile]:
        sockets = {}
        for protocol, value in self.reader.known(node, "'sockets'", _KINDS).items():
            row = self.reader.known(value, "a row of 'sockets'", ("as", "ports", "closes", "unaccepted"))
            if "as" not in row:
                self.reader.problem(value, f"'as' is missing; write '{protocol}: {{as: tcp}}'")
                continue
            ports = self.reader.word(row["ports"], "'ports'", ("shared", "own")) if "ports" in row else "shared"
            closes = self.reader.word(row["closes"], "'closes'", ("now", "later")) if "closes" in row else "now"
            unaccepted = "reset"
            if "unaccepted" in row:
                unaccepted = self.reader.word(row["unaccepted"], "'unaccepted'", ("reset", "unknown"))
            role = self.reader.word(row["as"], "'as'", _ROLES)
            sockets[protocol] = SocketProfile(role, ports, closes, unaccepted)
        return sockets

    def networks(self, node: yaml.Node) -> tuple[str, ...]:
        networks = []
        for text, one in self.reader.words(node, "networks"):
            try:
                networks.append(str(ipaddress.ip_network(text)))
            except ValueError as error:
                self.reader.problem(one, f"expected a network such as 127.0.0.0/8: {error}")
        return tuple(networks)

    def option_times(self, node: yaml.Node) -> dict[str, str]:
        times = {}
        for key, value in self.reader.known(node, "'options'", OPTIONS).items():
            if not isinstance(value, yaml.SequenceNode):
                times[key] = self.reader.word(value, f"when {key} counts", vocabulary.TIMES)
                continue
            rows = []
            for row in value.value:
                found = self.reader.known(row, "a row of an option", ("since", "until", "counts"))
                if "counts" not in found:
                    self.reader.problem(row, "'counts' is missing")
                    continue
                rows.append(
                    (self.reader.span(found), self.reader.word(found["counts"], f"when {key} counts", vocabulary.TIMES))
                )
            self.options[key] = tuple(rows)
            times[key] = rows[-1][1] if rows else "absent"
        # every system has it, and it is a plain bit everywhere
        times.setdefault("broadcast", "now")
        for option in OPTIONS:
            if option not in times:
                self.reader.problem(
                    node, f"{option!r} is missing in 'options'; write '{option}: absent' where there is none"
                )
        return times

    def connections(self, node: yaml.Node) -> dict[str, str]:
        found = self.reader.known(node, "'connections'", OPTIONS)
        return {key: self.reader.word(value, "'connections'", ("always", "accepted")) for key, value in found.items()}

    def unspecified(self, node: yaml.Node) -> dict[str, str]:
        found = self.reader.known(node, "'unspecified'", ("ipv4", "mapped", "ipv6"))
        return {key: self.reader.word(value, "'unspecified'", ("own", "loopback")) for key, value in found.items()}

    def substitutions(self, node: yaml.Node) -> Iterator[Substitution]:
        for row in self.reader.items(node, "'becomes-wildcard'"):
            found = self.reader.known(row, "a row of 'becomes-wildcard'", ("protocol", "except", "since", "until"))
            if "protocol" not in found or "except" not in found:
                self.reader.problem(row, "expected '{protocol: udp, except: [127.0.0.1/32]}'")
                continue
            protocol = self.reader.word(found["protocol"], "'protocol'", ("tcp", "udp"))
            yield Substitution(self.reader.span(found), protocol, self.networks(found["except"]))

    def inherited(self, node: yaml.Node) -> list[str]:
        words = self.reader.words(node, "options")
        for word, one in words:
            if word not in OPTIONS:
                self.reader.unknown(one, word, OPTIONS, "as an option")
        return [word for word, _ in words]

    def occupies(self, node: yaml.Node) -> dict[str, dict[str, tuple[str, ...]]]:
        keys = [key.value for key, _ in node.value] if isinstance(node, yaml.MappingNode) else []
        if "tcp" in keys or "udp" in keys:
            found = self.reader.known(node, "'occupies'", ("tcp", "udp"))
            for protocol in ("tcp", "udp"):
                if protocol not in found:
                    self.reader.problem(node, f"{protocol!r} is missing in 'occupies'")
            return {protocol: self.spaces(value) for protocol, value in found.items()}
        spaces = self.spaces(node)
        return {"tcp": spaces, "udp": spaces}

    def spaces(self, node: yaml.Node) -> dict[str, tuple[str, ...]]:
        spaces = {}
        for form, value in self.reader.known(node, "'occupies'", _FORMS).items():
            words = self.reader.words(value, "spaces")
            for word, one in words:
                if word not in ("ipv4", "ipv6"):
                    self.reader.unknown(one, word, ("ipv4", "ipv6"), "as a space")
            spaces[form] = tuple(word for word, _ in words)
        for form in _FORMS:
            if form not in spaces:
                self.reader.problem(node, f"{form!r} is missing in 'occupies'")
        return spaces
