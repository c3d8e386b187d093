"""What the checks look at: one expectation file with its divergences, its recorded evidence and their replay."""

from __future__ import annotations

import gc
import hashlib
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path

from bindmatrix.errors import Place, Problem, Problems
from bindmatrix.lint import rule_coverage
from bindmatrix.lint.cache import Cached
from bindmatrix.lint.reachability import Reach
from bindmatrix.lint.replay import Recorded, Replay, SetReplay, recorded_sets
from bindmatrix.lint.replay_index import Watch, replays
from bindmatrix.rules import boundaries, catalog, divergences, releases
from bindmatrix.rules.divergences import Divergence
from bindmatrix.rules.loader import load
from bindmatrix.rules.model import Expectations, Rule
from bindmatrix.rules.releases import ReleaseError


class Subject:
    """An expectation file.

    ``problems`` says why ``expectations`` is missing, or what is wrong with the divergences.  Evidence and divergences
    are those in the folders beside the file, else the installed ones.  ``cached``: what an earlier lint worked out is
    used where no edit since can matter to it.
    """

    def __init__(self, path: Path, watch: Watch | None = None, *, cached: bool = False) -> None:
        self.path = path
        self.problems: list[Problem] = []
        self.watch = watch
        self.cached = cached
        self.at_home = (path.parent / "evidence").is_dir()
        self.root = path.parent if self.at_home else catalog.folder()
        self.evidence = self.root / "evidence"
        self._sources: dict[str, list[str]] = {}
        self.expectations: Expectations | None = None
        self.divergences: tuple[Divergence, ...] = ()
        try:
            self.expectations = load(path)
            file = self.root / "divergences" / f"{self.expectations.os}.yaml"
            self.divergences = divergences.load(file, self.expectations)
        except Problems as problems:
            self.problems = problems.problems
        except Problem as problem:
            self.problems = [problem]
        except (OSError, UnicodeDecodeError) as error:
            self.problems = [Problem(Place(str(path)), f"cannot be read: {error}")]

    @property
    def loaded(self) -> Expectations:
        """The expectations; only to be asked for when there are some."""
        assert self.expectations is not None
        return self.expectations

    @property
    def rules(self) -> list[Rule]:
        """Every rule once, in the order of the file."""
        return list(self.loaded.all_rules())

    def problem(self, place: Place, message: str) -> Problem:
        """A problem at ``place``, with the line that stands there."""
        if not place.name:
            place = Place(str(self.path))
        if place.name not in self._sources:
            try:
                text = Path(place.name).read_text(encoding="utf-8")
            except (OSError, UnicodeDecodeError):
                text = ""
            self._sources[place.name] = text.splitlines()
        lines = self._sources[place.name]
        source = lines[place.line - 1] if 0 < place.line <= len(lines) else ""
        width = len(source) - place.column + 1 if source else 1
        return Problem(place, message, source=source, width=min(width, 60))

    @cached_property
    def sets(self) -> list[Recorded]:
        """The recorded sets of the system."""
        return recorded_sets(self.evidence, self.loaded.os)

    @cached_property
    def replays(self) -> list[SetReplay]:
        """What the replay of every recorded set gave."""
        replay = Replay(self.loaded, self.divergences)
        return replays(replay, self.sets, self._cache() if self.cached else None, self.watch)

    def _cache(self) -> Cached:
        return Cached("replay", self.path, self._replayed())

    def _replayed(self) -> str:
        """What is replayed, and what of the file says which release a statement is about."""
        found = hashlib.sha256(repr((self.loaded.os, self.loaded.covers, sorted(self.loaded.names.items()))).encode())
        for one in self.sets:
            found.update(f"{one.reference} {one.release}\n".encode())
            found.update(hashlib.sha256(one.path.read_bytes()).digest())
        return found.hexdigest()

    @cached_property
    def decided(self) -> rule_coverage.OfRules:
        """Rule -> host -> set -> recorded outcomes that it decides."""
        return rule_coverage.of_replays(self.replays)

    @cached_property
    def explained(self) -> dict[str, Counter[str]]:
        """Divergence -> ``HOST/SET`` -> recorded observations that it explains."""
        found: dict[str, Counter[str]] = {}
        for one in self.replays:
            for divergence, count in one.known.items():
                found.setdefault(divergence, Counter())[one.recorded.reference] += count
        return found

    @cached_property
    def releases(self) -> list[str]:
        """Releases that stand for all that the file covers."""
        measured = sorted({one.release for one in self.sets if _is_release(one.release)}, key=releases.sort_key)
        return boundaries.probes(self.loaded, self.divergences, measured)

    @cached_property
    def reaches(self) -> list[Reach]:
        """What the rules can decide, for each of ``releases``."""
        return [Reach(self.loaded.at(release)) for release in self.releases]


def _is_release(text: str) -> bool:
    try:
        releases.parse(text)
    except ReleaseError:
        return False
    return True


@contextmanager
def quiet_collector() -> Iterator[None]:
    """No garbage collection meanwhile.

    A replay makes hundreds of thousands of small lasting objects; looking through them again and again takes a third
    of its time.
    """
    was = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was:
            gc.enable()
