"""Why a call succeeds beside other sockets: each exception of the rules in the smallest scenario that meets it."""

from __future__ import annotations

import textwrap

import pytest
from bindmatrix.notation import parse
from bindmatrix.oracle.evaluator import CompiledEvaluator
from bindmatrix.oracle.oracle import Oracle
from bindmatrix.oracle.sharing import Sharing, sharing
from bindmatrix.oracle.trace import Decision, Recorder
from bindmatrix.rules import catalog
from bindmatrix.rules.model import ALLOW
from bindmatrix.rules.sockets import ALL, ANY, SCENARIO_PORT, Call, Sock, State


def reason(os: str, text: str) -> Sharing:
    """Why the last step of ``text`` succeeds on the newest release of ``os``."""
    expectations = catalog.expectations(os)
    model = expectations.at(expectations.covers[1])
    recorder = Recorder(CompiledEvaluator(model))
    Oracle(model, recorder).predict(text)
    kind = parse(text).steps[-1].kind
    decision = [one for one in recorder.log if one.section == kind][-1]
    assert decision.rules[0].action == ALLOW
    return sharing(model, decision)


def shown(found: Sharing) -> str:
    """``a: existing.address=wider (linux.one, linux.two)``, with ``alone`` where the rules look at no other socket."""
    if found.existing is None:
        return f"{' '.join(sock.name for sock in found.overlapping) or 'nobody'}: no rule"
    terms = " ".join(f"{name}={value}" for name, value in found.terms)
    rules = ", ".join(rule.id.partition(".")[2] for rule in found.rules)
    return f"{found.existing.name}{' alone' if found.alone else ''}: {terms} ({rules})"


#: system, scenario => what is told.  Each follows from the rules that are named: what the socket lacks of ``when`` and
#: ``among``, or the shortest alternative of ``unless`` that holds.
TOLD = """
linux  a=udp4 a.bind=127.0.0.1 b=udp4 b.bind=127.0.0.2 => nobody: no rule
linux  a=udp4 a.bind=0.0.0.0 b=udp6 b.v6only=1 b.bind=:: => nobody: no rule
linux  a=tcp6 a.reuseaddr=1 a.bind=::1 b=tcp6 b.reuseaddr=1 b.bind=::1
       => a: both.reuseaddr=yes existing.listening=no (tcp-conflict)
linux  a=udp4 a.reuseport=1 a.bind=127.0.0.1 b=udp4 b.reuseport=1 b.bind=127.0.0.1
       => a alone: both.reuseport=yes existing.user=same (udp-conflict)
linux  a=udp6 a.reuseaddr=1 a.bind=::1 b=udp6 b.reuseaddr=1 b.bind=::1 => a: both.reuseaddr=yes (udp-conflict)
linux  a=udp4 a.reuseaddr=1 a.bind=0.0.0.0 b=udp6 b.reuseaddr=1 b.bind=:: => a: both.reuseaddr=yes (udp-conflict)
linux  a=udp4 a.reuseaddr=1 a.bind=0.0.0.0 b=udp4 b.reuseaddr=1 b.bind=127.0.0.1 c=udp4 c.reuseaddr=1
       c.bind=127.0.0.1 => b: both.reuseaddr=yes (udp-conflict)
freebsd  a=udp4 a.bind=0.0.0.0 b=udp6 b.bind=:: => nobody: no rule
freebsd  a=udp4 a.reuseaddr=1 a.bind=0.0.0.0 b=udp4 b.reuseaddr=1 b.bind=224.0.0.251
         => a alone: new.reuseaddr=yes (overlap)
freebsd  a=udp4 a.reuseport=1 a.bind=127.0.0.1 b=udp4 b.reuseport=1 b.bind=127.0.0.1
         => a alone: both.reuseport=yes (overlap, same-address)
freebsd  a=udp4 a.bind=224.0.0.251 b=udp4 b.reuseaddr=1 b.bind=0.0.0.0
         => a alone: new.reuseaddr=yes existing.address=narrower (overlap, same-address)
freebsd  a=udp4 a.bind=127.0.0.1 b=udp4 b.reuseaddr=1 b.reuseport=1 b.bind=0.0.0.0
         => a: existing.address=narrower (same-address)
freebsd  a=udp4 a.reuseaddr=1 a.bind=224.0.0.251 b=udp4 b.reuseaddr=1 b.reuseport=1 b.bind=224.0.0.251
         => a alone: new.address=multicast both.reuseaddr=yes (same-address)
macos  a=udp6 a.reuseport=1 a.bind=:: b=udp4 b.reuseport=1 b.bind=0.0.0.0
       => a alone: both.reuseport=yes (overlap, same-address)
macos  a=udp4 a.bind=0.0.0.0 b=udp6 b.bind=:: => a alone: existing.kind=wildcard existing.family=ipv4 (overlap-dual)
macos  a=udp6 a.bind=:: b=udp6 b.reuseaddr=1 b.reuseport=1 b.bind=::ffff:0.0.0.0
       => a alone: new.address=wildcard existing.kind=wildcard existing.family=ipv6 (same-address)
macos  a=udp4 a.bind=0.0.0.0 b=udp6 b.reuseaddr=1 b.bind=::
       => a alone: existing.address=apart existing.family=ipv4 (same-address-ipv6, same-address-dual)
gvisor  a=udp6 a.reuseport=1 a.bind=::1 b=udp6 b.reuseport=1 b.bind=::1 => a: both.reuseport=yes (conflict)
gvisor  a=tcp6 a.reuseaddr=1 a.bind=:: a.listen b=tcp6 b.reuseaddr=1 b.bind=::ffff:127.0.0.1 b.listen
        => a: existing.address=wider (listen-same)
gvisor  a=tcp6 a.reuseaddr=1 a.bind=::1 b=tcp6 b.reuseaddr=1 b.bind=::1 b.listen
        => a: existing.listening=no (listen-same)
gvisor  a=tcp6 a.reuseaddr=1 a.bind=:: b=tcp6 b.reuseaddr=1 b.bind=::ffff:127.0.0.1 b.listen
        => a: existing.address=wider existing.listening=no (listen-same)
lwip  a=tcp4 a.reuseaddr=1 a.bind=0.0.0.0 a.listen b=tcp6 b.reuseaddr=1 b.bind=:: b.listen
      => a: existing.form=ipv4 (listen-same)
netbsd  a=udp4 a.reuseport=1 a.bind=224.0.0.251 b=udp4 b.reuseaddr=1 b.reuseport=1 b.bind=224.0.0.251
        => a alone: existing.reuseport=yes (ipv4-group)
netbsd  a=udp4 a.reuseaddr=1 a.reuseport=1 a.bind=224.0.0.251 b=udp4 b.reuseaddr=1 b.reuseport=1 b.bind=224.0.0.251
        => a: both.reuseaddr=yes both.reuseport=yes new.address=multicast (ipv4-overlap, ipv4-group, ipv4-same)
openbsd  a=udp4 a.reuseport=1 a.bind=0.0.0.0 b=udp4 b.reuseaddr=1 b.reuseport=1 b.bind=127.0.0.1
         => a: new.reuseaddr=yes both.reuseport=yes existing.address=wider (overlap, same)
dragonfly  a=udp4 a.bind=0.0.0.0 b=udp4 b.reuseport=1 b.bind=224.0.0.251
           => a: new.reuseport=yes existing.address=wider (overlap, group-reuseport)
illumos  a=tcp6 a.v6only=0 a.bind=::ffff:0.0.0.0 b=tcp4 b.bind=127.0.0.1
         => a: either.exclbind=no existing.address=apart (tcp-exclusive, tcp-same-address)
illumos  a=tcp4 a.bind=0.0.0.0 b=tcp6 b.v6only=0 b.bind=::ffff:127.0.0.1
         => a: either.exclbind=no existing.address=apart (tcp-exclusive, tcp-same-address)
illumos  a=tcp4 a.bind=127.0.0.1 b=tcp6 b.v6only=0 b.bind=::
         => a: either.exclbind=no existing.address=apart (tcp-exclusive, tcp-same-address)
illumos  a=tcp4 a.bind=127.0.0.2 b=tcp6 b.v6only=0 b.bind=::ffff:127.0.0.1 => nobody: no rule
illumos  a=udp4 a.bind=0.0.0.0 b=udp6 b.bind=:: => a: either.exclbind=no (udp-conflict)
illumos  a=udp6 a.bind=::1 b=udp6 b.reuseaddr=1 b.bind=::1
         => a alone: new.reuseaddr=yes either.exclbind=no (udp-conflict)
windows  a=udp6 a.bind=:: b=udp6 b.bind=::1
         => a: existing.address=wider existing.exclusive=no (same, under-exclusive)
windows  a=udp6 a.exclusive=1 a.bind=::1 b=udp6 b.bind=::
         => a: existing.address=narrower new.exclusive=no (same, exclusive-over, under-exclusive)
windows  a=udp4 a.reuseaddr=1 a.bind=127.0.0.1 b=udp4 b.reuseaddr=1 b.bind=127.0.0.1
         => a: both.reuseaddr=yes (same-reuseaddr, same)
wine  a=tcp4 a.bind=0.0.0.0 b=tcp4 b.bind=224.0.0.251 b.listen => a: existing.listening=no (listen-listener)
"""


def _cases() -> list[tuple[str, str, str]]:
    lines: list[str] = []
    for line in textwrap.dedent(TOLD).strip().splitlines():
        if line.startswith(" "):
            lines[-1] += f" {line.strip()}"
        else:
            lines.append(line)
    return [(line.split()[0], *map(str.strip, line.partition(" ")[2].split("=>"))) for line in lines]


@pytest.mark.parametrize(("os", "text", "told"), _cases())
def test_what_let_a_call_in_is_told(os: str, text: str, told: str) -> None:
    assert shown(reason(os, text)) == told


def test_the_closest_socket_comes_first_then_listeners_then_connections() -> None:
    text = (
        "a=tcp4 a.reuseport=1 a.bind=127.0.0.1 a.listen c=tcp4 c.connect=127.0.0.1 x=a.accept b=tcp4 b.reuseport=1 "
        "b.bind=127.0.0.1 d=tcp4 d.reuseport=1 d.bind=0.0.0.0"
    )
    assert [sock.name for sock in reason("linux", text).overlapping] == ["a", "b", "x"]
    wider = "a=udp4 a.reuseport=1 a.bind=0.0.0.0 b=udp4 b.reuseport=1 b.bind=127.0.0.1 d=udp4 d.reuseport=1"
    assert [sock.name for sock in reason("linux", f"{wider} d.bind=127.0.0.1").overlapping] == ["b", "a"]
    assert [sock.name for sock in reason("linux", f"{wider} d.bind=0.0.0.0").overlapping] == ["a", "b"]


@pytest.mark.parametrize("os", ["freebsd", "macos"])
def test_where_only_the_best_fit_is_asked_it_is_the_one_that_is_told(os: str) -> None:
    """Whichever was bound last."""
    wildcard, specific = (
        f"{name}=udp4 {name}.reuseport=1 {name}.bind={address}"
        for name, address in (("a", "0.0.0.0"), ("b", "127.0.0.1"))
    )
    for first, second in ((wildcard, specific), (specific, wildcard)):
        for address, told in (("127.0.0.1", "b"), ("0.0.0.0", "a")):
            found = reason(os, f"{first} {second} d=udp4 d.reuseport=1 d.bind={address}")
            assert shown(found) == f"{told} alone: both.reuseport=yes (overlap, same-address)"


@pytest.mark.parametrize(("kind", "address", "wildcard"), [("udp4", "127.0.0.1", "0.0.0.0"), ("udp6", "::1", "::")])
def test_on_gvisor_the_options_count_that_all_sockets_of_the_address_have(
    kind: str, address: str, wildcard: str
) -> None:
    both = f"a={kind} a.reuseaddr=1 a.reuseport=1 a.bind={address}"
    reuseport = f"b={kind} b.reuseport=1 b.bind={address}"
    elsewhere = reuseport.replace(address, wildcard)
    for other, option in ((reuseport, "both.reuseport"), (elsewhere, "both.reuseaddr")):
        for first, second in ((both, other), (other, both)):
            text = f"{first} {second} {both.replace('a=', 'd=').replace('a.', 'd.')}"
            assert reason("gvisor", text).terms == ((option, "yes"),)


def overlapping(os: str, new: Sock, *existing: Sock) -> list[str]:
    """The names of those that overlap ``new``, whatever the rules make of it."""
    expectations = catalog.expectations(os)
    model = expectations.at(expectations.covers[1])
    decision = Decision("bind", Call("bind"), new, State(0, existing), model.rules["bind"][-1:])
    return [sock.name for sock in sharing(model, decision).overlapping]


def test_unix_sockets_of_one_name_overlap() -> None:
    one, other, new = (
        Sock(name, "unix", "unix", 0, form="path", kind="specific", v4=path, port=SCENARIO_PORT, state="bound")
        for name, path in (("a", "/x"), ("b", "/y"), ("c", "/x"))
    )
    assert overlapping("linux", new, other, one) == ["a"]


def test_a_mapped_wildcard_is_that_of_ipv4_where_it_is_kept_among_ipv6_addresses() -> None:
    """So it is as close to 0.0.0.0 as a dual socket, and comes first because it listens."""
    dual, mapped = (
        Sock(name, "tcp", "ipv6", 0, form=form, kind="wildcard", v6=ALL, port=SCENARIO_PORT, state=state)
        for name, form, state in (("a", "dual", "bound"), ("b", "mapped", "listening"))
    )
    new = Sock("c", "tcp", "ipv4", 0, form="ipv4", kind="wildcard", v4=ANY, port=SCENARIO_PORT, state="bound")
    assert overlapping("illumos", new, dual, mapped) == ["b", "a"]
