"""What the states of a model keep. It depends on the rules: what no rule uses need not make two states differ."""

from __future__ import annotations

from typing import NamedTuple

from bindmatrix.rules.model import CallRule, Model
from bindmatrix.rules.sockets import BITS


class Layout(NamedTuple):
    """Properties of the rules that the transitions need; they decide which states are equal."""

    #: bits worth remembering; leaving the others out lets more states be equal
    at_bind: int
    ever: int
    #: whether a lookup moves the socket that it finds, and whether the order of socket() matters
    moves: bool
    counts_sockets: bool
    #: section -> further effects that a refused call may have
    leaves: dict[str, set[str]]

    @classmethod
    def of(cls, model: Model) -> Layout:
        """That of ``model``."""
        times = model.stack.options
        facts = {name for rule in model.all_rules() for name in rule.facts}
        facts |= {name for row in model.stack.closest for name, _ in row.when}
        at_bind = {
            bit
            for option, bit in BITS.items()
            if times.get(option) == "at-bind" or f"existing.{option}-at-bind" in facts
        }
        return cls(
            sum(at_bind),
            sum(bit for option, bit in BITS.items() if times.get(option) == "ever"),
            any(rule.moves for rule in model.deliveries),
            any(rule.order == "socket" for rule in model.deliveries),
            {
                section: {rule.then for rule in rules if isinstance(rule, CallRule)} - {""}
                for section, rules in model.rules.items()
            },
        )
