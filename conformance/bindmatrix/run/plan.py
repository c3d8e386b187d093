"""Which scenarios a run executes on a host, and which features the host lacks for others."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from bindmatrix.generate.any_calls import random_calls
from bindmatrix.generate.axes import DEFAULT_OPTIONS, FEATURES
from bindmatrix.generate.deliveries import OTHER_TEAMS, random_deliveries
from bindmatrix.generate.many_sockets import random_crowds
from bindmatrix.generate.matrix import matrix
from bindmatrix.generate.sequences import other_sequences, random_sequences
from bindmatrix.notation import PROTOCOLS, SOCKET_KINDS


@dataclass(frozen=True)
class Plan:
    """What to run.

    ``examples``: random sequences; with them come a quarter as many programs of any calls, and a fiftieth of crowds.
    ``deliveries``: random scenarios of who receives.  ``shard`` is (k, n).
    """

    profile: str = "full"
    examples: int = 20_000
    seed: int = 0
    shard: tuple[int, int] = (1, 1)
    deliveries: int = 0

    def scenarios(self, facts: Mapping[str, Any]) -> list[str]:
        """The scenarios for a host with these facts, without those that it cannot run (see :func:`lacking`)."""
        have_not = lacking(facts)
        users = "users" not in have_not
        texts: list[str] = []
        kinds = [protocol for protocol in PROTOCOLS if protocol not in have_not]
        for group in matrix(self.profile, users=users, kinds=kinds, shard=self.shard):
            if not have_not.keys() & group.needs:
                texts += group.scenarios
        texts += self._further_options(facts, have_not, users, set(texts))
        part, parts = self.shard
        # each shard takes its part of what an undivided run draws
        drawn = (
            random_sequences(self.seed, self.examples, users=users, ipv6="ipv6" not in have_not, lacking=have_not),
            random_calls(self.seed, self.examples // 4, users=users, lacking=have_not),
            random_crowds(self.seed, self.examples // 50, users=users, lacking=have_not),
            random_deliveries(self.seed, self.deliveries, options=_options(facts), lacking=have_not),
            other_sequences(self.seed, self.examples // 20, users=users, ipv6="ipv6" not in have_not, lacking=have_not),
            random_deliveries(self.seed, self.deliveries // 4, lacking=have_not, teams=OTHER_TEAMS),
        )
        for random_ones in drawn:
            texts += random_ones[part - 1 :: parts]
        # a short sequence may be a pair of the matrix
        return list(dict.fromkeys(texts))

    def _further_options(
        self, facts: Mapping[str, Any], have_not: Mapping[str, str], users: bool, seen: set[str]
    ) -> list[str]:
        """The pairs in which an option beyond the two is set: every combination of three would be 640,000."""
        options = _options(facts)
        if options == DEFAULT_OPTIONS:
            return []
        profile = "quick" if self.profile == "quick" else "pairs"
        groups = matrix(profile, options=options, users=users, shard=self.shard)
        return [
            text
            for group in groups
            if not have_not.keys() & group.needs
            for text in group.scenarios
            if text not in seen and any(f".{option}=" in text for option in options[len(DEFAULT_OPTIONS) :])
        ]


def lacking(facts: Mapping[str, Any]) -> dict[str, str]:
    """The features of ``generate.axes.FEATURES`` that a host with these facts has not, with what they need."""
    addresses = facts.get("addresses")
    protocols = {SOCKET_KINDS[kind].protocol for kind in SOCKET_KINDS if kind in _listed(facts, "kinds")}
    missing = {
        "ipv6": not facts.get("ipv6", True),
        "users": not facts.get("users", facts.get("privileged", False)),
        "127.0.0.2": isinstance(addresses, Sequence) and "127.0.0.2" not in addresses,
        **{protocol: protocol not in protocols for protocol in PROTOCOLS[2:]},
        "abstract": "unix" in protocols and not facts.get("abstract", False),
        "cid:own": "vsock" in protocols and "own" not in _listed(facts, "cids"),
    }
    return {feature: FEATURES[feature] for feature, lacks in missing.items() if lacks}


def _listed(facts: Mapping[str, Any], name: str) -> list[Any]:
    """The fact ``name``, where it is a list as our executor writes it."""
    found = facts.get(name)
    return list(found) if isinstance(found, list | tuple) else []


def _options(facts: Mapping[str, Any]) -> tuple[str, ...]:
    """The options to combine: the two that everybody asks about, and what else the host has."""
    have = _listed(facts, "options")
    extra = [option for option in ("reuseport_lb", "exclusive", "exclbind") if option in have]
    return (*DEFAULT_OPTIONS, *extra)
