"""The evaluator decides as the reference does: recorded runs, every system, every fact, random rules and sockets."""

from __future__ import annotations

import gc
import itertools
import random
from collections.abc import Iterator

import pytest
import yaml
from bindmatrix.generate.any_calls import random_calls
from bindmatrix.generate.deliveries import random_deliveries
from bindmatrix.generate.matrix import matrix
from bindmatrix.generate.sequences import random_sequences
from bindmatrix.lint.replay import lines, recorded_sets
from bindmatrix.notation import OPTIONS, PROTOCOLS, step
from bindmatrix.oracle.conditions import Questions, choose, conjunction, relater
from bindmatrix.oracle.delivery import Delivery
from bindmatrix.oracle.evaluator import CompiledEvaluator
from bindmatrix.oracle.oracle import Oracle
from bindmatrix.rules import catalog, vocabulary
from bindmatrix.rules.facts import CALL, FACTS
from bindmatrix.rules.loader import loads
from bindmatrix.rules.model import Expectations, Model, Rule, Stack
from bindmatrix.rules.sockets import ALL, ANY, BITS, Call, Memory, Sock, State
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.oracle.reference import ReferenceEvaluator

pytestmark = pytest.mark.slow

EVIDENCE = catalog.folder() / "evidence"

#: every which recorded run is walked
SAMPLE = 7


class Both:
    """Asks both evaluators and compares."""

    def __init__(self, model: Model) -> None:
        self.model = model
        self.reference = ReferenceEvaluator(model)
        self.compiled = CompiledEvaluator(model)

    def decide(self, section: str, call: Call, new: Sock, state: State) -> tuple[Rule, ...]:
        found = self.compiled.decide(section, call, new, state)
        expected = self.reference.decide(section, call, new, state)
        assert [rule.id for rule in found] == [rule.id for rule in expected], (section, call, new, state)
        return found

    def matching(self, rule: Rule, call: Call, new: Sock, state: State) -> list[Sock]:
        found = self.compiled.matching(rule, call, new, state)
        assert found == self.reference.matching(rule, call, new, state), (rule.id, call, new, state)
        return found

    def receivers(self, call: Call, destination: Sock, state: State) -> Delivery:
        found = self.compiled.receivers(call, destination, state)
        assert found == self.reference.receivers(call, destination, state), (call, destination, state)
        return found


# -- recorded runs


class Oracles:
    """One oracle with both evaluators for all releases with the same rules."""

    def __init__(self, os: str) -> None:
        self.expectations = catalog.expectations(os)
        self._by_release: dict[str, Oracle] = {}
        self._by_rules: dict[object, Oracle] = {}

    def of(self, release: str) -> Oracle:
        if release not in self._by_release:
            at = self.expectations.at(release)
            key = at.content
            if key not in self._by_rules:
                self._by_rules[key] = Oracle(at, Both(at))
            self._by_release[release] = self._by_rules[key]
        return self._by_release[release]


@pytest.mark.parametrize("os", catalog.names())
def test_they_agree_on_recorded_runs(os: str) -> None:
    oracles = Oracles(os)
    walked = set()
    gc.disable()
    for recorded in recorded_sets(EVIDENCE, os):
        for line in itertools.islice(lines(recorded, oracles.expectations, []), 0, None, SAMPLE):
            oracle, scenario, outcomes = oracles.of(line.release), line.observation.scenario, line.observation.outcomes
            if outcomes is None or (oracle, scenario, outcomes) in walked:
                continue
            walked.add((oracle, scenario, outcomes))
            node = oracle.start
            for word, outcome in zip(scenario.split(" "), outcomes, strict=True):
                edge = oracle.edge(node, step(word))
                node = edge.node if outcome is None else edge.after(outcome)
    gc.enable()
    assert len(walked) > 50


# -- every system, by its rules alone


@pytest.mark.parametrize("os", catalog.names())
def test_they_agree_on_every_system(os: str) -> None:
    """A sample of the matrix, random sequences, and deliveries, at both ends of what the file covers."""
    expectations = catalog.expectations(os)
    texts = [text for group in matrix("full", users=True) for text in group.scenarios][::61]
    texts += random_sequences(3, 1000, users=True, options=tuple(OPTIONS))
    texts += random_deliveries(3, 600, options=tuple(OPTIONS))
    texts += random_calls(3, 600, users=True, options=tuple(OPTIONS))
    for release in expectations.covers:
        model = expectations.at(release)
        oracle = Oracle(model, Both(model))
        for text in texts:
            oracle.predict(text)


# -- random sockets

STATES = [*FACTS["new.state"].values, "file"]
FAMILIES = list(FACTS["new.family"].values)
#: the protocol of the notation, and whose ports: most often those of a plain socket
SOCKETS = ["", "", *PROTOCOLS]
PORTS = ["", "", "udplite"]
DESTINATIONS = list(FACTS["destination"].values)
FORMS = list(FACTS["new.form"].values)
IP_FORMS = list(FACTS["memory.form"].values)
KINDS = list(FACTS["new.address"].values)
VALUES4 = [ANY, ALL, "127.0.0.1", "127.0.0.2", "224.0.0.251"]
VALUES6 = [ANY, ALL, "::1", "::2", "::ffff:127.0.0.1", "::ffff:127.0.0.2", "ff02::fb"]
USERS = [0, 1001, 1002]


@st.composite
def socks(draw: st.DrawFn, name: str, protocol: str = "") -> Sock:
    """A socket on the port; its fields need not go together."""
    v4 = draw(st.sampled_from([None, *VALUES4]))
    v6 = draw(st.sampled_from([None, *VALUES6]) if v4 else st.sampled_from(VALUES6))
    bits = st.integers(0, (1 << len(OPTIONS)) - 1)
    accepted = draw(st.booleans())
    return Sock(
        name,
        protocol or draw(st.sampled_from(["tcp", "udp", "unix"])),
        draw(st.sampled_from(FAMILIES)),
        draw(st.sampled_from(USERS)),
        now=draw(bits),
        at_bind=draw(bits),
        ever=draw(bits),
        port=1,
        form=draw(st.sampled_from(FORMS)),
        kind=draw(st.sampled_from(KINDS)),
        v4=v4,
        v6=v6,
        state=draw(st.sampled_from(STATES)),
        connection=draw(st.sampled_from([0, 0, 1, 2])),
        ends=draw(st.sampled_from(["", "127.0.0.1>127.0.0.1", "127.0.0.1>127.0.0.2"])),
        accepted=accepted,
        listener=draw(st.sampled_from(["", "closed", "a"])) if accepted else "",
        queued=accepted and draw(st.booleans()),
        joined=draw(st.sampled_from([(), ("224.0.0.251",), ("224.0.0.1", "224.0.0.251")])),
        socket=draw(st.sampled_from(SOCKETS)),
        ports=draw(st.sampled_from(PORTS)),
        tried=draw(st.sampled_from(["", "ipv4", "ipv6", "dual"])),
        remote=draw(st.booleans()),
    )


memories = st.builds(
    Memory,
    st.sampled_from(["nothing", "yes"]),
    st.sampled_from(["nothing", "address", "anywhere"]),
    st.sampled_from(USERS),
    st.sampled_from(["", *FORMS]),
    st.sampled_from([None, *VALUES4]),
    st.sampled_from([None, *VALUES6]),
)
calls = st.builds(
    Call,
    st.sampled_from(list(FACTS["call"].values)),
    st.sampled_from(USERS),
    st.sampled_from(list(OPTIONS)),
    st.sampled_from([0, 1]),
    st.sampled_from(USERS),
    st.booleans(),
    st.booleans(),
    st.booleans(),
    st.sampled_from(DESTINATIONS),
    st.sampled_from(["", "127.0.0.1>127.0.0.1", "127.0.0.1>127.0.0.2"]),
    st.sampled_from(list(FACTS["destination.address"].values)),
)


@st.composite
def questions(draw: st.DrawFn) -> tuple[Call, Sock, State]:
    """A call, the socket that makes it, and the port: mostly of one protocol, the new socket among them or not."""
    new = draw(socks("n"))
    others = [draw(socks(name, draw(st.sampled_from([new.protocol, ""])))) for name in draw(names)]
    if draw(st.booleans()):
        others.insert(draw(st.integers(0, len(others))), new)
    state = State(draw(st.sampled_from(USERS)), tuple(others), draw(memories))
    return draw(calls), new, state


#: sockets without a name are connections that nobody accepted yet, TIME_WAITs...
names = st.lists(st.sampled_from(["a", "b", "c", ""]), max_size=5, unique_by=lambda name: name or object())


# -- every fact


def _address_pairs() -> Iterator[tuple[Call, Sock, Sock, State]]:
    """All pairs of addresses."""
    values = [(a, b) for a in [None, *VALUES4[:4]] for b in [None, *VALUES6[:6]] if a or b]
    for mine, theirs in itertools.product(values, values):
        new = Sock("n", "udp", "ipv6", 0, port=1, form="dual", kind="wildcard", v4=mine[0], v6=mine[1])
        other = Sock("a", "udp", "ipv6", 0, port=1, form="ipv6", kind="wildcard", v4=theirs[0], v6=theirs[1])
        yield Call("bind"), new, other, State(0, (other,), Memory("yes", "address", 0, "mapped", *theirs))


def _random_sock(name: str, chance: random.Random) -> Sock:
    pick = chance.choice
    v4 = pick([None, *VALUES4])
    bits = [chance.randrange(1 << len(OPTIONS)) for _ in range(3)]
    return Sock(
        name,
        pick(list(FACTS["new.protocol"].values)),
        pick(FAMILIES),
        pick(USERS),
        *bits,
        port=pick([1, 1, 1, 0, 2]),
        form=pick(FORMS),
        kind=pick(KINDS),
        v4=v4,
        v6=pick([None, *VALUES6] if v4 else VALUES6),
        state=pick(STATES),
        connection=pick([0, 1]),
        ends=pick(["", "1>2", "1>1"]),
        accepted=pick([True, False]),
        listener=pick(["", "closed", "a"]),
        queued=pick([True, False]),
        joined=pick([(), ("127.0.0.1",), ("127.0.0.2", "224.0.0.251")]),
        group=pick([0, 1, 2]),
        socket=pick(SOCKETS),
        ports=pick(PORTS),
        tried=pick(["", "ipv4", "ipv6", "dual"]),
        remote=pick([True, False]),
    )


def _random_questions(seed: int, count: int) -> Iterator[tuple[Call, Sock, Sock, State]]:
    """Questions that are the same in every run; the third is one of the existing sockets."""
    chance = random.Random(seed)
    pick = chance.choice
    for _ in range(count):
        call = Call(
            pick(list(FACTS["call"].values)),
            pick(USERS),
            pick(list(OPTIONS)),
            pick([0, 1]),
            pick(USERS),
            pick([True, False]),
            pick([True, False]),
            pick([True, False]),
            pick(DESTINATIONS),
            pick(["", "1>2", "1>1"]),
            pick(list(FACTS["destination.address"].values)),
        )
        new, other, third = (_random_sock(name, chance) for name in ("n", "a", "b"))
        crowd = tuple(other._replace(name="") for _ in range(pick([0, 0, 0, 0, 11])))
        socks = (*crowd, *pick([(), (other,), (other, third), (new, other), (other, third, new)]))
        memory = Memory(
            pick(["nothing", "yes"]),
            pick(["nothing", "address", "anywhere"]),
            pick(USERS),
            pick(FORMS),
            pick(VALUES4),
            pick(VALUES6),
        )
        yield call, new, other, State(pick(USERS), socks, memory)


def _wildcard_pairs() -> Iterator[tuple[Call, Sock, Sock, State]]:
    """Two sockets on wildcards of every form."""
    for forms in itertools.product(IP_FORMS, repeat=2):
        one, other = (Sock("a", "tcp", "ipv6", 0, port=1, form=form, kind="wildcard", v4=ANY) for form in forms)
        yield Call("bind"), one._replace(name="n"), other, State(0, (one, other))


POOL = [*_address_pairs(), *_wildcard_pairs(), *_random_questions(20, 300)]


def _stacks() -> list[Stack]:
    """Each option counted at each time, and always on a connection, or on one that came to a listener."""
    everything = [Stack(options=dict.fromkeys(OPTIONS, time)) for time in vocabulary.TIMES]
    always = dict.fromkeys(OPTIONS, "always")
    accepted = dict.fromkeys(OPTIONS, "accepted")
    now = dict.fromkeys(OPTIONS, "now")
    return [*everything, Stack(options=now, connections=always), Stack(options=now, connections=accepted)]


STACKS = {"-".join([*{*stack.options.values()}, *{*stack.connections.values()}]): stack for stack in _stacks()}


@pytest.mark.parametrize("fact", FACTS)
def test_a_fact_means_the_same_to_both(fact: str) -> None:
    spaces = vocabulary.SPACES if fact in ("existing.address", "existing.overlaps") else ["any"]
    options = fact.partition(".")[2] in OPTIONS
    seen = set()
    ports = (1, 20480) if fact == "port.number" else (1,)
    for stack, space, port in itertools.product(STACKS.values() if options else [STACKS["now"]], spaces, ports):
        model = Model(Expectations("x", "X", ("1", "1"), stack, {}), "1", stack, {}, port)
        questions, reference = Questions(model), ReferenceEvaluator(model)
        for call, new, sock, state in POOL:
            truth = reference.value(fact, call, new, sock, space, state)
            question = questions.question(call, new, state)
            choose(question, questions.counted([sock])[0], relater([((fact, ()),)], space))
            for value in FACTS[fact].values:
                holds = conjunction(((fact, (value,)),))(question)
                assert holds == (truth == value), (fact, value, space, call, new, sock, state)
            seen.add(truth)
    assert seen >= set(FACTS[fact].values), "a value was never met"


# -- random rules

ERRORS = ["EADDRINUSE", "EACCES", "EINVAL"]


def _terms(existing: bool) -> list[tuple[str, list[str]]]:
    """Every fact with one of its values, with all but one, and with two."""
    found = []
    for name, fact in FACTS.items():
        words = list(fact.values)
        if existing or fact.scope == CALL:
            for size in sorted({1, 2, len(words) - 1} & set(range(1, len(words)))):
                found += [(name, list(some)) for some in itertools.combinations(words, size)]
    return found


def _conditions(existing: bool) -> st.SearchStrategy[dict[str, list[str]]]:
    """A condition of one to three facts, as it is written."""
    # by fact first, so that options do not crowd out the rest
    by_fact = [list(some) for _, some in itertools.groupby(_terms(existing), lambda term: term[0])]
    term = st.integers(0, len(by_fact) - 1).flatmap(lambda index: TERMS[existing][index])
    TERMS[existing] = [st.sampled_from(some) for some in by_fact]
    return st.lists(term, min_size=1, max_size=3, unique_by=lambda one: one[0]).map(dict)


TERMS: dict[bool, list[st.SearchStrategy[tuple[str, list[str]]]]] = {}
CONDITION = {existing: _conditions(existing) for existing in (False, True)}
CONDITIONS = {existing: st.lists(CONDITION[existing], min_size=1, max_size=2) for existing in (False, True)}


def _rule(section: str, ask: str) -> st.SearchStrategy[dict[str, object]]:
    """A rule of a section that asks so, as it is written."""
    call = section in ("bind", "listen", "set")
    # each address is looked at in its own space
    spaces = ["any"] if ask == "each-address" else list(vocabulary.SPACES)
    always: dict[str, st.SearchStrategy[object]] = {"when": CONDITION[bool(ask)]}
    optional: dict[str, st.SearchStrategy[object]] = {}
    if ask:
        always |= {"ask": st.just(ask), "in": st.sampled_from(spaces)}
    if ask or section == "deliver":
        optional["among"] = CONDITIONS[True]
    if ask or section != "deliver":
        optional["unless"] = CONDITIONS[bool(ask)]
    if section == "remember":
        always |= {"memory": st.sampled_from(["reuseaddr", "reuseport"]), "write": st.just("keep")}
    elif section == "deliver":
        always["pick"] = st.sampled_from(["newest", "oldest", "every", "none"])
        optional |= {"share": CONDITION[True], "stop": CONDITION[True]}
    elif section == "chain":
        always["place"] = st.sampled_from(["head", "tail"])
    found = st.fixed_dictionaries(always, optional=optional)
    if not call:
        return found
    actions = [{"allow": "yes"}, {"unknown": "yes"}, *({"refuse": error} for error in ERRORS)]
    return st.builds(lambda rule, action: rule | action, found, st.sampled_from(actions))


def _rules(section: str) -> st.SearchStrategy[list[dict[str, object]]]:
    """The rules of a section, ending with ``otherwise`` where they have to."""
    asks = ["", *vocabulary.ASKS] if section != "deliver" else [""]
    listed = st.lists(st.one_of(*(_rule(section, ask) for ask in asks)), min_size=1, max_size=4)
    last = [{"otherwise": "allow"}] if section in ("bind", "listen", "set") else []
    return listed.map(
        lambda rules: [
            {"id": f"x.{section}-{number}", **rule, "why": "so", "evidence": [{"report": "nobody"}]}
            for number, rule in enumerate([*rules, *last])
        ]
    )


def _file(parts: dict[str, object], stack: dict[str, object]) -> Model:
    """The file, written, read again, and taken at its release."""
    fixed = {"local": ["127.0.0.0/8", "::1/128"], "v6only-default": "0"}
    data = {"os": "x", "title": "X", "covers": {"from": "1", "to": "2"}, "stack": {**fixed, **stack}, **parts}
    return loads(yaml.safe_dump(data, sort_keys=False), "x.yaml").at("1")


FILES = st.builds(
    _file,
    st.fixed_dictionaries(
        {section: _rules(section) for section in ("set", "bind", "listen", "chain", "remember", "deliver")}
    ),
    st.fixed_dictionaries(
        {
            "options": st.fixed_dictionaries(dict.fromkeys(OPTIONS, st.sampled_from(list(vocabulary.TIMES)))),
            "connections": st.dictionaries(st.sampled_from(list(OPTIONS)), st.just("always"), max_size=2),
            "occupies": st.fixed_dictionaries(
                dict.fromkeys(IP_FORMS, st.sampled_from([["ipv4"], ["ipv6"], ["ipv6", "ipv4"]]))
            ),
            "several": st.sampled_from(["first-rule", "any"]),
            "closest": st.lists(
                st.fixed_dictionaries({"points": st.sampled_from("123"), "when": CONDITION[True]}), max_size=2
            ),
        }
    ),
)


QUESTIONS = list(_random_questions(7, 60))


@given(FILES)
def test_they_agree_on_random_files(model: Model) -> None:
    both = Both(model)
    for call, new, _, state in QUESTIONS:
        for section in ("set", "bind", "listen", "chain", "remember"):
            both.decide(section, call, new, state)
        both.receivers(call, new, state)


@pytest.mark.parametrize("os", catalog.names())
def test_they_agree_on_random_sockets(os: str) -> None:
    expectations = catalog.expectations(os)
    evaluators = [Both(expectations.at(release)) for release in expectations.covers]

    @settings(max_examples=settings.default.max_examples // 2)
    @given(questions())
    def check(question: tuple[Call, Sock, State]) -> None:
        call, new, state = question
        for both in evaluators:
            for section in both.model.rules:
                if section != "deliver":
                    both.decide(section, call, new, state)
            both.receivers(call, new, state)

    check()


def test_all_options_have_a_bit() -> None:
    assert set(BITS) == set(OPTIONS)
