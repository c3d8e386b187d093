"""What the states of a model keep: the rules decide it, since what no rule asks for need not make states differ."""

from __future__ import annotations

from typing import NamedTuple

from bindmatrix.rules.model import CallRule, Model
from bindmatrix.rules.sockets import BITS


class Layout(NamedTuple):
    """What the transitions take from the rules without asking them; it decides which states are equal."""

    #: bits worth remembering; leaving the others out lets more states be equal
    at_bind: int
    ever: int
    #: whether finding a socket moves it, and whether the order of socket() counts
    moves: bool
    counts_sockets: bool
    #: section -> what else a refused call leaves there
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
