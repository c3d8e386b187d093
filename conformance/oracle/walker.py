"""Follows runs without working out a state for each step: long sequences, fast.

Theory of operation.  The automaton (``automaton.py``) has a node for everything that can matter later, and a free
sequence of six sockets is soon where nobody was before; each of its steps then costs a new state, node and edge.  But
hardly a step sees all of that.  setsockopt() sees one socket.  bind() sees its socket, the classes (``classes.py``) of
those on the port in their order, the memory of the port, and the user.  So the walker keeps a position: each open
socket by name, without what links it to others, and the names in chain order; and it remembers what a call does by
what it sees.  Sequences that were never seen are made of pieces (``pieces.py``) that were.

What a call does is not written here: the first time, ``calls.py`` is asked about the sockets as they are, and what its
answer changes is kept, under what the rules that it asked could see.  What would be hard to cut into pieces
(connections, deliveries, a step that may lead to several states) the walker does not do: it hands its position over to
the automaton, which goes the same way from its beginning and then on.

Where there are rules ``beside`` (the same kernel with its known divergences) the pieces are told apart by what either
ask, and the answers to steps that those would decide otherwise are ``forks``.
"""

from __future__ import annotations

from collections.abc import Hashable

from conformance.errors import Problem
from conformance.notation import addresses_of, parse, step
from conformance.oracle.asker import Asker
from conformance.oracle.automaton import Answer, Node, Oracle, said
from conformance.oracle.branches import Branch
from conformance.oracle.classes import Classes, crowd
from conformance.oracle.pieces import HEAD, KEEP, OUT, TAIL, Core, Effect, Held, Outcomes, Piece, Position, Stride, Way
from conformance.oracle.ports import NOTHING, Memory, Sock, State, find, on_port

#: calls whose effect is on their own socket, its place in the chain and the memory of the port
_WALKED = ("set", "bind", "listen", "connect", "close")

#: families whose connected datagram sockets are linked to no other, and whose closed ones leave nothing
_FAMILIES = ("ipv4", "ipv6")

#: in the place of a socket, for a step that is on none
_NOBODY = Core(Sock("", "", "", 0)).held("")


class _Fault(ValueError):
    """The words are no scenario."""


class Walker:
    """Follows runs by the rules of ``oracle``, and says what :meth:`Oracle.follow` says."""

    def __init__(self, oracle: Oracle, beside: Oracle | None = None) -> None:
        self.oracle = oracle
        self._asker = Asker(oracle.evaluator, beside.evaluator if beside is not None else None)
        #: answers to steps that the rules beside decide otherwise
        self.forks: set[Answer] = set()
        self._classes = Classes(oracle.expectations, *([beside.expectations] if beside is not None else []))
        #: whether any call but a change of the user depends on who makes it
        self._user_matters = bool(self._classes.users - {"user"})
        #: whether any rule but those of deliveries depends on who is in which group
        self._groups_matter = bool(self._classes.groups - {"groups", "deliver"})
        self._cores: dict[Sock, Core] = {}
        self._answers: dict[tuple[object, ...], Answer] = {}
        self._memories: dict[Memory, int] = {NOTHING: 0}
        #: word -> the name of its socket ("" for none), and the call
        self._words: dict[str, tuple[str, str]] = {}
        #: word -> the name of its socket
        self._names: dict[str, str] = {}
        #: user and call, of a step that is on no open socket -> what it returns, the socket that it makes, the user
        self._fresh: dict[tuple[int, str], tuple[Answer, Core | None, int] | None] = {}
        #: word and user -> what making a socket of a name that is free leads to
        self._begun: dict[tuple[str, int], Stride] = {}

    def follow(self, at: Position, text: str, outcomes: Outcomes, scenario: str) -> list[Answer] | None:
        """The answers to the steps of ``text`` from ``at``, up to and with the first that is not as expected.

        ``at`` is where the run is afterwards.  An outcome of None was not asserted.  ``text`` is the end of
        ``scenario``; None where that is no scenario in canonical form, or has not as many steps as outcomes.
        """
        words = text.split(" ")
        if len(words) != len(outcomes):
            return None
        answers: list[Answer] = []
        past = at.past
        at.past = (*past, (words, outcomes))
        try:
            if at.node is not None or not self._walk(at, words, outcomes, answers):
                at.node = at.node or self._node((*past, (words[: len(answers)], outcomes)))
                self._go_on(at, words[len(answers) :], outcomes[len(answers) :], scenario, answers)
        except _Fault:
            return None
        return answers

    def forget(self) -> None:
        """Let go of all that was worked out, as :meth:`Oracle.forget`."""
        for core in self._cores.values():
            core.forget()
        for kept in (self._cores, self._fresh, self._begun):
            kept.clear()
        self.oracle.forget()

    def _walk(self, at: Position, words: list[str], outcomes: Outcomes, answers: list[Answer]) -> bool:
        """Add to ``answers``; False where the automaton has to go on."""
        if self._groups_matter:
            return False
        socks = at.socks
        names, begun = self._names.get, self._begun.get
        held = _NOBODY
        for word, outcome in zip(words, outcomes, strict=True):
            # most steps are on the socket that the one before was on
            stride = held.steps.get(word)
            if stride is None:
                held = socks.get(names(word, ""), _NOBODY)
                stride = (begun((word, at.user)) if held is _NOBODY else held.steps.get(word)) or self._stride(at, word)
                if stride is None:
                    return False
            name, answer, after, piece = stride
            if piece is None:
                assert answer is not None
                socks[name] = held = after
            else:
                effect = self._among(piece, at, name, after, word)
                answer = effect.answer
                way = effect.only or effect.way(outcome)
                if way is not None:
                    held = after if way.stays else self._gone(way, at, name, after)
                elif outcome is None or answer.accepts(outcome):
                    return False
            answers.append(answer)
            if outcome != answer.expected and outcome is not None and not answer.accepts(outcome):
                return True
        return True

    def _among(self, piece: Piece, at: Position, name: str, held: Held, word: str) -> Effect:
        """What a call does that sees the other sockets on the port."""
        core = held.core
        others = at.chains.get(core.port, ())
        place = -1
        if core.on_port:
            # where it stands matters to where it stands afterwards
            place = others.index(name)
            others = (*others[:place], *others[place + 1 :])
        user = at.user if self._user_matters else 0
        if others:
            classes, socks = piece.classes, at.socks
            try:
                seen = [one for other in others if (one := classes[socks[other].core])]
            except KeyError:
                seen = [one for other in others if (one := self._class(piece, socks[other].core))]
            key = (*seen, crowd(len(others)), place, at.memory, user)
        else:
            key = (0, place, at.memory, user)
        return piece.effects.get(key) or self._worked_out(piece, at, name, word, key)

    @staticmethod
    def _gone(way: Way, at: Position, name: str, held: Held) -> Held:
        """Take ``way``; the socket ``name`` afterwards."""
        core, place, memory, _ = way
        if place:
            port = held.core.port
            chain = at.chains.get(port, ())
            if held.core.on_port:
                chain = tuple([one for one in chain if one != name])
            if place != OUT:
                chain = (name, *chain) if place == HEAD else (*chain, name)
            if chain:
                at.chains[port] = chain
            else:
                del at.chains[port]
        if memory >= 0:
            at.memory = memory
        if core is None:
            del at.socks[name]
            at.closed[name] = None
            return _NOBODY
        after = at.socks[name] = core.held(name)
        return after

    def _stride(self, at: Position, word: str) -> Stride | None:
        """What a step leads to; None for the automaton to say."""
        name, call = self._words.get(word) or self._word(word)
        held = at.socks.get(name, _NOBODY)
        if held is _NOBODY:
            return self._on_nothing(at, name, call, word)
        piece = held.core.pieces.get(call) or self._piece(held, name, call, word)
        if not piece.walked:
            return None
        effect = piece.effect
        if effect is None:
            stride = Stride(name, None, held, piece)
        else:
            assert effect.only is not None
            assert effect.only.core is not None
            stride = Stride(name, effect.answer, effect.only.core.held(name))
        held.steps[word] = stride
        return stride

    # -- what is met the first time

    def _word(self, word: str) -> tuple[str, str]:
        try:
            one = step(word)
        except ValueError:
            raise _Fault from None
        if one.text != word or (one.socket and one.address and addresses_of(one.address) != "ip"):
            # what other families of sockets do, the automaton says from socket() on
            raise _Fault
        known = self._words[word] = one.socket, word[len(one.socket) :]
        self._names[word] = one.socket
        return known

    def _on_nothing(self, at: Position, name: str, call: str, word: str) -> Stride | None:
        """A step on no open socket: it makes one, or changes the user, or the socket was closed."""
        makes = call.startswith("=")
        if name and not makes and name not in at.closed:
            raise _Fault
        key = at.user, call
        if key not in self._fresh:
            self._fresh[key] = self._made(at.user, word)
        found = self._fresh[key]
        if found is None:
            return None
        user = at.user
        answer, core, at.user = found
        if core is None:
            return Stride("", answer, _NOBODY)
        stride = self._begun[word, user] = Stride(name, answer, core.held(name))
        return stride

    def _made(self, user: int, word: str) -> tuple[Answer, Core | None, int] | None:
        one = step(word)
        if one.kind not in ("socket", "user", *_WALKED):
            return None
        branches = self._asker.apply(State(user), one)
        if len(branches) > 1 or branches[0].unknown or self._asker.sections & self._classes.wide:
            return None
        state = branches[0].state
        sock = find(state, one.socket) if one.socket else None
        if one.kind == "socket" and (sock is None or sock.family not in _FAMILIES):
            return None
        return self._answer(branches), None if sock is None else self._core(sock), state.user

    def _piece(self, held: Held, name: str, call: str, word: str) -> Piece:
        one = step(word)
        core = held.core
        if one.kind in ("socket", "accept"):
            raise _Fault
        # a stream socket that connects is linked to another one
        walked = one.kind in _WALKED and not (one.kind == "connect" and core.sock.is_stream)
        piece = core.pieces[call] = Piece(walked=walked)
        if one.kind == "set":
            # setsockopt() looks at its socket alone, unless a rule looks further
            at = Position()
            at.socks[name] = held
            if core.on_port:
                at.chains[core.port] = (name,)
            before = self._state(at)
            effect = self._effect(at, name, before, self._asker.apply(before, one))
            if effect.only is not None and not self._asker.sections & (self._classes.wide | self._classes.users):
                piece.effect = effect
        return piece

    def _class(self, piece: Piece, core: Core) -> Hashable:
        if core not in piece.classes:
            piece.classes[core] = self._classes.of(core.sock, piece.questions or ())
        return piece.classes[core]

    def _worked_out(self, piece: Piece, at: Position, name: str, word: str, key: tuple[Hashable, ...]) -> Effect:
        """The effect of a call that sees what was never seen before."""
        before = self._state(at)
        if piece.questions is not None and piece.by_rules is not None:
            # what it does depends on the others by what the rules answer, and by whether there are any
            decided = [
                self._asker.decided(section, call, new._replace(name=name), before)
                for section, call, new in piece.questions
            ]
            effect = piece.by_rules.get((*decided, *key[-4:]))
            if effect is not None:
                piece.effects[key] = effect
                return effect
        effect = self._effect(at, name, before, self._asker.apply(before, step(word)))
        log = self._asker.log
        if any(one.state is not before for one in log):
            piece.by_rules = None
        known = piece.questions or ()
        questions = [(one.section, one.call, one.new._replace(name="")) for one in log]
        more = tuple([one for one in questions if one not in known])
        if more or piece.questions is None:
            # what it asks is known only now, and so what it sees; all that it ever asked counts
            if known:
                piece.by_rules = None
            piece.questions = (*known, *more)
            piece.classes.clear()
            piece.effects.clear()
        else:
            piece.effects[key] = effect
        if piece.by_rules is not None:
            decided = [self._asker.decided(*one[:4]) for one in log]
            piece.by_rules[(*decided, *key[-4:])] = effect
        return effect

    def _effect(self, at: Position, name: str, before: State, branches: list[Branch]) -> Effect:
        ways: dict[str, Way | None] = {}
        for branch in branches:
            way = self._way(at, name, before, branch.state)
            ways[branch.outcome] = way if ways.setdefault(branch.outcome, way) == way else None
        return Effect(self._answer(branches), ways)

    def _answer(self, branches: list[Branch]) -> Answer:
        """There is one answer of each kind, so that many runs have the same answers."""
        content = said(branches)
        fork = self._asker.forks()
        answer = self._answers.setdefault((*content, fork), Answer(*content))
        if fork:
            self.forks.add(answer)
        return answer

    def _way(self, at: Position, name: str, before: State, after: State) -> Way | None:
        """What has become of the socket ``name``; None where more has changed than that."""
        core = at.socks[name].core
        if after is before:
            return Way(core, stays=True)
        sock = find(after, name)
        others = [one for one in before.socks if one.name != name]
        if [one for one in after.socks if one.name != name] != others or after.user != before.user:
            return None
        memory = self._memories.setdefault(after.memory, len(self._memories))
        was = at.chains.get(core.port, ())
        chain = tuple([one.name for one in on_port(after, core.sock)])
        if name not in chain:
            place = OUT if name in was else KEEP
        elif chain == was:
            place = KEEP
        elif chain[0] == name:
            place = HEAD
        elif chain[-1] == name:
            place = TAIL
        else:
            return None
        memory = -1 if memory == at.memory else memory
        left = None if sock is None else self._core(sock)
        return Way(left, place, memory, stays=left is core and place == KEEP and memory < 0)

    def _core(self, sock: Sock) -> Core:
        # all connections are of datagram sockets here and so no links: their number says nothing
        plain = sock._replace(name="", made=0, connection=min(sock.connection, 1))
        core = self._cores.get(plain)
        if core is None:
            core = self._cores[plain] = Core(plain)
        return core

    def _state(self, at: Position) -> State:
        """The state that ``at`` stands for, as far as calls that are walked see it."""
        bound = [at.socks[name] for chain in at.chains.values() for name in chain]
        others = [held for held in at.socks.values() if not held.core.on_port and held is not _NOBODY]
        socks = tuple([held.named for held in (*bound, *others)])
        return State(at.user if self._user_matters else 0, socks, list(self._memories)[at.memory])

    # -- the automaton

    def _node(self, past: tuple[tuple[list[str], Outcomes], ...]) -> Node:
        """Where the automaton is after a run."""
        node = self.oracle.start
        for words, outcomes in past:
            # of the last piece not all words were walked
            for word, outcome in zip(words, outcomes, strict=False):
                edge = self.oracle.edge(node, step(word))
                node = edge.node if outcome is None else edge.after(outcome)
        return node

    def _go_on(self, at: Position, words: list[str], outcomes: Outcomes, scenario: str, answers: list[Answer]) -> None:
        """Follow the automaton from ``at``."""
        if not is_scenario(scenario):
            raise _Fault
        node = at.node
        assert node is not None
        for word, outcome in zip(words, outcomes, strict=True):
            one = step(word)
            if one.kind in ("socket", "accept"):
                at.closed[one.socket] = None
            edge = self.oracle.edge(node, one)
            answers.append(edge)
            if outcome is not None and not edge.accepts(outcome):
                break
            node = edge.node if outcome is None else edge.after(outcome)
        at.node = node


def is_scenario(text: str) -> bool:
    """Whether ``text`` is a scenario in its canonical form."""
    try:
        return parse(text).text == text
    except Problem:
        return False
