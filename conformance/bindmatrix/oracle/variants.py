"""Oracles with and without the known divergences of a release, and the releases for which they hold."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any

from bindmatrix.oracle.oracle import Oracle
from bindmatrix.rules import boundaries, catalog, divergences
from bindmatrix.rules.boundaries import Stretch
from bindmatrix.rules.divergences import Divergence
from bindmatrix.rules.model import Expectations, Model


class Variant:
    """A model with the divergences that are known there; ``stretches`` are the releases that it stands for.

    Its oracles are made when they are first asked for, and each once.
    """

    def __init__(self, model: Model, known: Sequence[Divergence] = (), stretches: Sequence[Stretch] = ()) -> None:
        self.model = model
        self.divergences = tuple(known)
        self.stretches = list(stretches)
        self._alone: dict[str, Oracle] = {}

    @cached_property
    def oracle(self) -> Oracle:
        """Predicts by the rules alone."""
        return Oracle(self.model)

    @cached_property
    def diverged(self) -> Oracle | None:
        """Predicts with all known divergences; None if none can apply."""
        possible = divergences.possible(self.divergences, self.model)
        return Oracle(divergences.apply(self.model, possible)) if possible else None

    @property
    def actual(self) -> Oracle:
        """Predicts what the kernel does: with the known divergences, if there are any."""
        return self.diverged or self.oracle

    def alone(self, one: Divergence) -> Oracle:
        """Predicts with one divergence only."""
        oracle = self._alone.get(one.id)
        if oracle is None:
            oracle = self._alone[one.id] = Oracle(divergences.apply(self.model, [one]))
        return oracle

    def responsible(self, scenario: str) -> list[Divergence]:
        """The known divergences that change an outcome of ``scenario`` by themselves; all of them if none does."""
        ours = self.oracle.predict(scenario).outcomes
        found = [one for one in self.divergences if self.alone(one).predict(scenario).outcomes != ours]
        return found or list(self.divergences)


def variant_of(expectations: Expectations, release: str, port: int = 1) -> Variant:
    """The variant of one release, which must be readable (``catalog.release_of``)."""
    model = expectations.at(release).on_port(port)
    return Variant(model, divergences.of(expectations, release), [Stretch("", release, release, release)])


def variant_of_host(host: Mapping[str, Any], port: int = 1) -> Variant:
    """The variant that the facts of a host mean; raises :class:`~bindmatrix.errors.Problem` for one not described."""
    expectations, release = catalog.of_host(host)
    model = catalog.model_of_host(expectations, release, host).on_port(port)
    return Variant(model, divergences.of(expectations, release), [Stretch("", release, release, release)])


def variants(expectations: Expectations) -> list[Variant]:
    """Every variant of a file, that of the oldest release first; stretches are in order of release."""
    known = divergences.known(expectations)
    found: dict[object, Variant] = {}
    for stretch in boundaries.stretches(expectations):
        model = expectations.at(stretch.probe)
        in_force = divergences.in_force(known, expectations, stretch.probe)
        key = (model.content, tuple(one.id for one in in_force))
        found.setdefault(key, Variant(model, in_force)).stretches.append(stretch)
    return list(found.values())
