"""The states that calls lead to, compared as a whole: what is lost, how a step can have gone, what a close leaves."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from bindmatrix.generate.any_calls import random_calls
from bindmatrix.generate.sequences import random_sequences
from bindmatrix.notation import OPTIONS, step
from bindmatrix.oracle.branches import ANYTHING, API, Branch
from bindmatrix.oracle.connections import Connections
from bindmatrix.oracle.delivery import target
from bindmatrix.oracle.evaluator import CompiledEvaluator
from bindmatrix.oracle.oracle import Oracle
from bindmatrix.oracle.trace import Recorder
from bindmatrix.oracle.transitions import Transitions
from bindmatrix.oracle.unknown import beside, failures, lost, not_described, reason
from bindmatrix.outcomes import ANY_ERROR
from bindmatrix.rules import catalog
from bindmatrix.rules.model import ALLOW, REFUSE, UNKNOWN, SocketProfile, Stack
from bindmatrix.rules.sockets import (
    ALL,
    ANY,
    BITS,
    NO_PORT,
    OTHER_PORT,
    SCENARIO_PORT,
    Address,
    Sock,
    State,
    address,
)

NotOk = Callable[[str, str, str], str]


def nothing_known(user: int, names: str, why: str) -> State:
    marker = Sock("", "", "", 0, state=why)
    return State(user, (marker, *[Sock(name, "", "", 0) for name in names]))


def test_what_is_lost_keeps_the_user_and_the_names_of_open_sockets() -> None:
    bound = Sock("b", "tcp", "ipv4", 7, port=SCENARIO_PORT, state="bound")
    state = State(7, (bound, Sock("", "tcp", "ipv4", 7, state="time-wait"), Sock("a", "udp", "ipv6", 7)))
    assert reason(state) == ""
    assert lost(state) == nothing_known(7, "ab", "unknown")
    assert lost(state, "kind", made="c") == nothing_known(7, "abc", "kind")
    assert reason(lost(state, "later")) == "later"
    # the first reason is why
    assert lost(lost(state, "kind"), "later") == nothing_known(7, "ab", "kind")


@pytest.mark.parametrize(("word", "names"), [("a.close", "b"), ("x=a.accept", "abx"), ("a.bind=::", "ab")])
def test_where_nothing_is_known_only_names_change(word: str, names: str) -> None:
    found = beside(nothing_known(3, "ab", "kind"), step(word), "kind")
    assert found == [Branch(ANYTHING, API["kind"], nothing_known(3, names, "kind"), unknown=True)]


def test_a_call_on_a_socket_that_is_closed_is_refused_where_nothing_is_known(not_ok: NotOk) -> None:
    text = "a=mptcp4 b=tcp4 b.bind=127.0.0.1 b.close b.listen x=a.accept x.close x.read"
    assert not_ok("windows", "10.0.20348", text) == ("a=? b.bind=? b.close=? b.listen=EBADF x=? x.close=? x.read=EBADF")


def test_a_call_that_nobody_describes_succeeds_or_fails() -> None:
    one, other = State(1), State(2)
    fails = [Branch(ANY_ERROR, API["unknown"], state, unknown=True) for state in (other, one)]
    assert not_described(one, other, one, other) == [Branch("ok", API["unknown"], one, unknown=True), *fails]
    assert failures([other, one, one]) == fails
    assert failures([one], API["kind"]) == [Branch(ANY_ERROR, API["kind"], one, unknown=True)]


@pytest.mark.parametrize(
    ("outcome", "observed", "delivers", "may"),
    [
        ("ok", "ok", False, True),
        ("ok", "EINVAL", False, False),
        ("EINVAL", "EACCES", False, False),
        (ANYTHING, "ok", False, True),
        (ANYTHING, "a:16", True, True),
        (ANY_ERROR, "EINVAL", False, True),
        ("EINVAL", ANY_ERROR, False, True),
        (ANY_ERROR, "ok", False, False),
        ("ok", ANY_ERROR, False, False),
        # `refused` is an outcome of its own there
        (ANY_ERROR, "timeout", True, False),
        ("a", ANY_ERROR, True, False),
    ],
)
def test_a_step_can_have_gone_a_way(outcome: str, observed: str, delivers: bool, may: bool) -> None:
    assert Branch(outcome, (), State(0)).may_follow(observed, delivers=delivers) is may


def test_what_the_socket_interface_says_on_every_system() -> None:
    found = {name: (rule.action, rule.errors) for name, (rule,) in API.items()}
    allowed = {name for name, (action, _) in found.items() if action == ALLOW}
    assert allowed == {"plain", "listener", "queue", "end", "again"}
    refusals = {name: errors for name, (action, errors) in found.items() if action == REFUSE}
    assert refusals == {
        "closed": ("EBADF",),
        "absent": ("ENOPROTOOPT",),
        "refused": (),  # which error, the rules of `deliver` say
        "empty": ("timeout",),
        "silent": ("timeout",),
        "unconnected": ("ENOTCONN",),
        "reset": ("ECONNRESET",),
    }
    assert all(errors == () for action, errors in found.values() if action in (ALLOW, UNKNOWN))
    rules = [rule for (rule,) in API.values()]
    assert all(rule.id.startswith("api.") and rule.section == "api" and rule.why.islower() for rule in rules)
    assert len({rule.id for rule in rules}) == len(rules)


# -- what a close leaves

LISTENER = Sock(
    "a", "tcp", "ipv4", 0, port=SCENARIO_PORT, form="ipv4", kind="specific", v4="127.0.0.1", state="listening"
)
CLIENT = Sock("c", "tcp", "ipv4", 0, port=SCENARIO_PORT, state="connected", connection=1, ends="127.0.0.2>127.0.0.1")
ACCEPTED = LISTENER._replace(name="x", state="connected", connection=1, accepted=True, listener="a")
QUEUED = ACCEPTED._replace(name="", queued=True)
OTHER = Sock("o", "udp", "ipv4", 0, port=SCENARIO_PORT, form="ipv4", kind="specific", v4="127.0.0.1", state="bound")


def after_close(name: str, *socks: Sock) -> tuple[Sock, ...]:
    """The sockets that are left on Linux."""
    connections = Connections(CompiledEvaluator(catalog.expectations("linux").at("6.18.44")))
    state = State(0, socks)
    (closed,) = [sock for sock in socks if sock.name == name]
    return connections.closed(closed, state).socks


def test_the_end_that_closes_first_waits_and_the_other_one_learns_of_it() -> None:
    gone = CLIENT._replace(name="", state="fin-wait")
    assert after_close("c", OTHER, CLIENT, ACCEPTED, LISTENER) == (
        OTHER,
        gone,
        ACCEPTED._replace(state="close-wait"),
        LISTENER,
    )
    told = ACCEPTED._replace(state="close-wait")
    assert after_close("x", OTHER, gone, told, LISTENER) == (
        OTHER,
        gone._replace(state="time-wait", left=60_000),
        LISTENER,
    )


def test_a_connection_to_itself_waits_at_once() -> None:
    both = CLIENT._replace(name="a", ends="127.0.0.1>127.0.0.1")
    assert after_close("a", OTHER, both, LISTENER._replace(name="b")) == (
        OTHER,
        both._replace(name="", state="time-wait", left=60_000),
        LISTENER._replace(name="b"),
    )
    # one that was never connected leaves nothing
    assert after_close("a", OTHER, both._replace(state="bound", connection=0, ends="")) == (OTHER,)


def test_a_listener_resets_what_waits_and_frees_what_was_accepted() -> None:
    second = CLIENT._replace(name="d", connection=2)
    waiting = QUEUED._replace(connection=2)
    assert after_close("a", OTHER, CLIENT, second, waiting, ACCEPTED, LISTENER) == (
        OTHER,
        CLIENT,
        second._replace(state="reset", connection=0, ends=""),
        ACCEPTED._replace(listener="closed"),
    )
    # the client is closed already: its end goes with the listener
    assert after_close("a", second._replace(name="", state="fin-wait"), waiting, LISTENER) == ()


def test_a_socket_of_another_listener_or_connection_stays() -> None:
    others = (CLIENT._replace(name="e", connection=3), ACCEPTED._replace(name="y", listener="z", connection=3))
    queue = QUEUED._replace(listener="z", connection=4)
    assert after_close("a", *others, queue, LISTENER) == (*others, queue)


# -- the ends of a connection, by the settings of the stack (rules/model.py, Stack)

LOCAL = ("127.0.0.0/8", "::1/128")
SPACES = {
    "shared": {"ipv4": ("ipv4",), "mapped": ("ipv4",), "dual": ("ipv4", "ipv6"), "ipv6": ("ipv6",)},
    "apart": {"ipv4": ("ipv4",), "mapped": ("ipv6",), "dual": ("ipv4", "ipv6"), "ipv6": ("ipv6",)},
}
FOUR = Sock("c", "tcp", "ipv4", 0, port=SCENARIO_PORT, form="ipv4", kind="wildcard", v4=ANY, state="bound")
DUAL = Sock("c", "tcp", "ipv6", 0, port=SCENARIO_PORT, form="dual", kind="wildcard", v4=ANY, v6=ANY, state="bound")
ONE = FOUR._replace(kind="specific", v4="127.0.0.2")


def connections(**stack: Any) -> Connections:
    model = catalog.expectations("linux").at("6.18.44")
    plain = Stack(local=LOCAL, occupies={"tcp": SPACES["shared"]}, options=model.stack.options)
    return Connections(CompiledEvaluator(replace(model, stack=replace(plain, **stack))))


def to(text: str) -> Address:
    return address(text, LOCAL)


@pytest.mark.parametrize(
    ("connect", "bound", "text", "changes"),
    [
        ("stays", FOUR, "127.0.0.3", {}),
        ("keeps", FOUR, "127.0.0.3", {}),
        ("keeps", ONE, "127.0.0.3", {}),
        ("keeps", DUAL, "127.0.0.3", {"form": "ipv4", "v6": None}),
        ("keeps", DUAL, "::1", {"form": "ipv6", "v4": None}),
        ("keeps", DUAL._replace(v4=ALL, v6=ALL), "127.0.0.3", {"form": "ipv4", "v4": ANY, "v6": None}),
        ("narrows", ONE, "127.0.0.3", {}),
        ("narrows", FOUR, "127.0.0.3", {"kind": "specific", "v4": "127.0.0.3"}),
        ("narrows", DUAL, "127.0.0.3", {"kind": "specific", "form": "mapped", "v4": "127.0.0.3", "v6": None}),
        ("narrows", DUAL, "::1", {"kind": "specific", "form": "ipv6", "v4": None, "v6": "::1"}),
    ],
)
def test_what_connect_makes_of_the_address(connect: str, bound: Sock, text: str, changes: dict[str, Any]) -> None:
    made = connections(connect=connect)
    ends = made.ends(bound, to(text))
    expected = bound._replace(state="connected", connection=5, ends=ends, **changes)
    assert made.connected(bound, to(text), 5) == expected


def test_what_connect_makes_of_the_address_elsewhere() -> None:
    narrowed = connections(source="127.0.0.1").connected(FOUR, to("127.0.0.3"), 1)
    assert (narrowed.v4, narrowed.ends) == ("127.0.0.1", "127.0.0.1>127.0.0.3")
    apart = connections(occupies={"tcp": SPACES["apart"]}).connected(DUAL, to("127.0.0.3"), 1)
    assert (apart.form, apart.v4, apart.v6) == ("mapped", None, "::ffff:127.0.0.3")
    half = connections(connected_dual=ANY).connected(DUAL, to("::1"), 1)
    assert (half.form, half.v4, half.v6) == ("dual", ANY, "::1")
    only6 = DUAL._replace(form="ipv6", v4=None)
    assert connections(connected_dual=ANY).connected(only6, to("::1"), 1).form == "ipv6"
    unbound = Sock("c", "tcp", "ipv4", 0)
    expected = unbound._replace(state="connected", connection=1, port=OTHER_PORT)
    assert connections().connected(unbound, to("127.0.0.3"), 1) == expected


@pytest.mark.parametrize(
    ("bound", "text", "source", "ends"),
    [
        (FOUR, "127.0.0.3", "", "127.0.0.3>127.0.0.3"),
        (FOUR, "127.0.0.3", "127.0.0.1", "127.0.0.1>127.0.0.3"),
        (DUAL, "::1", "127.0.0.1", "::1>::1"),
        (ONE, "127.0.0.3", "127.0.0.1", "127.0.0.2>127.0.0.3"),
        (
            ONE._replace(v4=None, v6="::ffff:127.0.0.2", form="mapped", family="ipv6"),
            "127.0.0.3",
            "",
            "127.0.0.2>127.0.0.3",
        ),
        (ONE, "8.8.8.8", "", ""),
        (ONE._replace(port=OTHER_PORT), "127.0.0.3", "", ""),
        (ONE._replace(family="unix"), "127.0.0.3", "", ""),
    ],
)
def test_the_ends_of_a_connection_on_the_port(bound: Sock, text: str, source: str, ends: str) -> None:
    assert connections(source=source).ends(bound, to(text)) == ends


@pytest.mark.parametrize(
    ("reset", "client", "changes"),
    [
        ("keeps", CLIENT, {"state": "kept"}),
        ("keeps", CLIENT._replace(port=OTHER_PORT), {"state": "kept"}),
        ("loses", CLIENT, {"state": "lost", "port": OTHER_PORT}),
        ("loses", CLIENT._replace(family="unix"), {"state": "kept"}),
        ("keeps-asked", CLIENT, {"state": "kept"}),
        ("keeps-asked", CLIENT._replace(port=OTHER_PORT), {"state": "kept", "port": NO_PORT}),
        ("keeps-asked", CLIENT._replace(port=OTHER_PORT, state="bound"), {"state": "open", "port": NO_PORT}),
    ],
)
def test_what_a_client_has_whose_connection_came_to_nothing(reset: str, client: Sock, changes: dict[str, Any]) -> None:
    expected = client._replace(connection=0, ends="", **changes)
    assert connections(reset=reset).failed(client, "kept", "lost") == expected


@pytest.mark.parametrize(
    ("text", "sock", "meant"),
    [
        ("127.0.0.3", FOUR, "127.0.0.3"),
        ("0.0.0.0", FOUR, "127.0.0.1"),
        ("0.0.0.0", ONE, "127.0.0.2"),
        ("::ffff:0.0.0.0", DUAL, "::ffff:127.0.0.1"),
        ("::ffff:0.0.0.0", ONE._replace(form="mapped", v4=None, v6="::ffff:127.0.0.2"), "::ffff:127.0.0.1"),
        ("::", DUAL, "::1"),
        ("::", ONE._replace(form="mapped", family="ipv6"), "::ffff:127.0.0.1"),
    ],
)
def test_the_unspecified_address_is_one_of_the_host(text: str, sock: Sock, meant: str) -> None:
    described = {"ipv4": "own", "mapped": "loopback", "ipv6": "loopback"}
    assert connections(unspecified=described).destination(sock, to(text)) == to(meant)
    asked = to(text)._replace(form="ipv6") if text == "::" else to(text)
    assert connections(unspecified={}).destination(sock, to(text)) == asked


def test_the_end_of_the_server() -> None:
    listener = LISTENER._replace(now=7, at_bind=7, ever=7, group=3, kind="wildcard", v4=ANY)
    child = connections(inherits=("reuseaddr",)).child(listener, to("127.0.0.3"), 2, remote=False)
    bit = BITS["reuseaddr"]
    assert child == listener._replace(
        name="", state="connected", connection=2, accepted=True, listener="a", queued=True, group=0,
        now=bit, at_bind=bit, ever=bit, kind="specific", v4="127.0.0.3",
    )  # fmt: skip
    wide = connections(children="wildcard").child(LISTENER, to("127.0.0.3"), 2, remote=True)
    assert (wide.kind, wide.form, wide.v4, wide.remote) == ("wildcard", "ipv4", ANY, True)
    assert connections().child(LISTENER, to("127.0.0.1"), 2, remote=True).remote is True


def test_the_newest_socket_of_a_port() -> None:
    done = ONE._replace(state="connected")
    state = State(0, (OTHER, ONE))
    assert connections().put_connected(state, ONE, done).socks == (OTHER, done)
    assert connections(newest="connect").put_connected(state, ONE, done).socks == (done, OTHER)


def test_connections_that_the_kernel_works_off_later() -> None:
    kinds = {"mptcp": SocketProfile("tcp", closes="later"), "udplite": SocketProfile("udp")}
    made = connections(sockets=kinds)
    late = CLIENT._replace(socket="mptcp")
    assert made.closes_later(late, State(0, (late, ACCEPTED)))
    assert not made.closes_later(CLIENT, State(0, (CLIENT, ACCEPTED)))
    assert not made.closes_later(late._replace(connection=0), State(0, (late._replace(connection=0),)))
    # what waits in the queue of a listener ends with it
    assert made.closes_later(LISTENER, State(0, (late, QUEUED, LISTENER)))
    assert not made.closes_later(LISTENER, State(0, (late, ACCEPTED, LISTENER)))
    assert not made.closes_later(LISTENER, State(0, (late, QUEUED._replace(listener="z"), LISTENER)))


# -- calls

#: section -> the calls that it is asked about
ASKED = {
    "socket": {"socket"},
    "set": {"set"},
    "bind": {"bind"},
    "listen": {"listen"},
    "connect": {"connect"},
    "accept": {"accept"},
    "user": {"user"},
    "time-wait": {"close"},
    "chain": {"bind", "listen"},
    "remember": {"bind", "listen"},
    "groups": {"bind", "listen", "connect"},
}


def test_each_section_is_asked_about_its_calls_and_their_user() -> None:
    """Whatever a file may ask: a fact that no shipped file uses in a section has its value there too."""
    found: dict[str, set[str]] = {}
    texts = [*random_sequences(5, 100, users=True), *random_calls(5, 200, users=True, options=tuple(OPTIONS))]
    texts.append("a=tcp4 a.bind=127.0.0.1 a.listen c=tcp4 c.connect=127.0.0.1 x=a.accept x.close c.close user=1001")
    texts.append("a=tcp4 x=a.accept")
    texts.append("a=mptcp4 b=vsock c=udplite4")
    for expectations in map(catalog.expectations, catalog.names()):
        model = expectations.at(expectations.covers[1])
        recorder = Recorder(CompiledEvaluator(model))
        oracle = Oracle(model, recorder)
        for text in texts:
            oracle.predict(text)
        for one in recorder.log:
            assert one.call.user == one.state.user, one
            found.setdefault(one.section, set()).add(one.call.kind)
        assert all(one.call.user == one.state.user for one in recorder.received)
    assert found == ASKED


def stack_of(os: str, release: str) -> Transitions:
    return Transitions(CompiledEvaluator(catalog.expectations(os).at(release)))


def walked(transitions: Transitions, text: str) -> State:
    """The state after steps that can go one way only, or the first of their ways."""
    state = State(0)
    for word in text.split():
        state = transitions.apply(state, step(word))[0].state
    return state


def test_a_change_of_user_and_a_wait_succeed_where_nothing_is_known() -> None:
    oracle = Oracle(catalog.expectations("windows").at("10.0.20348"))
    assert oracle.predict("a=mptcp4 user=1001 wait=10 a.bind=127.0.0.1").outcomes == (None, "ok", "ok", None)
    assert oracle.predict("a=mptcp4").rules == (API["kind"],)
    assert oracle.predict("a=mptcp4 a.bind=127.0.0.1").rules == (API["kind"], API["kind"])


def test_a_group_that_is_joined_twice_is_not_described() -> None:
    found = Oracle(catalog.expectations("linux").at("6.18.44")).predict("a=udp4 a.join=224.0.0.251 a.join=224.0.0.251")
    assert found.outcomes == ("ok", "ok", None)
    assert found.rules[2] == API["unknown"]


def test_a_recorded_run_has_an_outcome_for_each_step() -> None:
    oracle = Oracle(catalog.expectations("linux").at("6.18.44"))
    steps = (step("a=tcp4"), step("a.bind=127.0.0.1"))
    assert len(oracle.follow(steps, ("ok", "ok"))) == 2
    with pytest.raises(ValueError, match="shorter"):
        oracle.follow(steps, ("ok",))


def test_a_socket_of_another_host_only_connects() -> None:
    oracle = Oracle(catalog.expectations("linux").at("6.18.44"))
    found = oracle.predict("a=remote4 a.bind=127.0.0.1 a.listen")
    assert found.outcomes == ("ok", None, None)
    assert found.rules[1:] == (API["abroad"], API["abroad"])


def test_a_port_that_the_kernel_chose_is_bound() -> None:
    (sock,) = walked(stack_of("linux", "6.18.44"), "a=tcp4 a.bind=127.0.0.1,0").socks
    assert (sock.port, sock.state, sock.kind, sock.v4) == (OTHER_PORT, "bound", "specific", "127.0.0.1")


@pytest.mark.parametrize(("os", "dead"), [("linux", False), ("freebsd", True)])
def test_what_a_connect_may_leave_that_nobody_describes(os: str, dead: bool) -> None:
    """Success, the socket as it was, what a refused connection leaves where that loses the port, or an autobind."""
    transitions = stack_of(os, catalog.expectations(os).covers[1])
    state = walked(transitions, "a=tcp4")
    (sock,) = state.socks
    states = [State(0, (sock._replace(state=name, port=port),)) for name, port in (("dead", OTHER_PORT),) if dead]
    left = [state, *states, State(0, (sock._replace(state="bound", port=OTHER_PORT),))]
    assert transitions.apply(state, step("a.connect=8.8.8.8")) == not_described(lost(state), *left)


def test_who_called_accept_owns_the_socket_on_linux() -> None:
    """sock_graft() in include/net/sock.h takes the user of the process that calls accept()."""
    text = "a=tcp4 a.bind=127.0.0.1 a.listen c=tcp4 c.connect=127.0.0.1 user=1001 x=a.accept"
    for os, release, user in (("linux", "6.18.44", 1001), ("freebsd", "14.1", 0)):
        (owner,) = [sock.user for sock in walked(stack_of(os, release), text).socks if sock.name == "x"]
        assert owner == user, os


@pytest.mark.parametrize(
    ("os", "text", "v4", "v6"),
    [
        ("illumos", "::ffff:127.0.0.1", None, "::ffff:127.0.0.1"),
        ("illumos", "::ffff:0.0.0.0", None, ALL),
        ("linux", "::ffff:127.0.0.1", "127.0.0.1", None),
        ("linux", "::ffff:0.0.0.0", ANY, None),
        ("windows", "::", ALL, ALL),
        ("linux", "::", ANY, ANY),
    ],
)
def test_the_spaces_that_an_address_takes(os: str, text: str, v4: str | None, v6: str | None) -> None:
    expectations = catalog.expectations(os)
    transitions = stack_of(os, expectations.covers[1])
    sock = Sock("a", "tcp", "ipv6", 0)
    found = transitions._addressed(sock, address(text, transitions.stack.local))
    assert (found.v4, found.v6) == (v4, v6)


def test_a_port_remembers_what_its_last_bind_wrote() -> None:
    """SO_REUSEPORT of the first bind is remembered with its user and address, and nothing once one comes without it."""
    transitions = stack_of("linux", "6.18.44")
    memory = walked(transitions, "user=1001 a=tcp4 a.reuseport=1 a.bind=127.0.0.2").memory
    assert (memory.user, memory.form, memory.v4, memory.v6) == (1001, "ipv4", "127.0.0.2", None)
    assert memory.reuseport != "nothing"
    again = walked(transitions, "user=1001 a=tcp4 a.reuseport=1 a.bind=127.0.0.2 b=tcp4 b.bind=127.0.0.1").memory
    assert (again.reuseport, again.user, again.form, again.v4) == ("nothing", 0, "", None)


@pytest.mark.parametrize(
    ("text", "family", "form", "kind", "v4", "v6"),
    [
        ("127.0.0.1", "ipv4", "ipv4", "specific", "127.0.0.1", None),
        ("::ffff:127.0.0.1", "ipv6", "ipv4", "specific", "127.0.0.1", None),
        ("::1", "ipv6", "ipv6", "specific", None, "::1"),
        ("::", "ipv6", "ipv6", "wildcard", None, ANY),
        ("/x", "unix", "path", "specific", "/x", None),
        ("@x", "unix", "abstract", "specific", "@x", None),
        ("cid:1", "vsock", "cid", "specific", "cid:1", None),
    ],
)
def test_a_destination_in_the_place_of_a_new_socket(
    text: str, family: str, form: str, kind: str, v4: str | None, v6: str | None
) -> None:
    assert target("tcp", to(text)) == Sock("", "tcp", family, 0, form=form, kind=kind, v4=v4, v6=v6)
