"""Where the expectation files are, and how one is found by the name of a system."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from typing import Any

from bindmatrix.errors import Place, Problem, nearest
from bindmatrix.rules import provenance, releases, systems
from bindmatrix.rules.loader import load
from bindmatrix.rules.model import Expectations, Model
from bindmatrix.rules.provenance import Method


def folder() -> Path:
    """The folder ``expectations``: beside the package in a checkout, inside it when installed."""
    inside = Path(__file__).parent.parent / "expectations"
    return inside if inside.is_dir() else Path(__file__).parents[3] / "expectations"


def data_version() -> str:
    """The version of the installed rules: 12 hexadecimal digits of a SHA-256 over every YAML file.

    Evidence is not part of it, because it changes no answer. Line ends are normalised, so that a checkout on Windows
    has the same version as the wheel.
    """
    digest = hashlib.sha256()
    for path in sorted(folder().rglob("*.yaml"), key=lambda path: path.relative_to(folder()).as_posix()):
        text = path.read_text(encoding="utf-8")
        digest.update(f"{path.relative_to(folder()).as_posix()}\0{len(text)}\0{text}".encode())
    return digest.hexdigest()[:12]


def names() -> list[str]:
    """The systems that have an expectation file, in the order of ``systems.yaml``; raises :class:`Problem`."""
    return [name for name in _systems() if (folder() / f"{name}.yaml").is_file()]


def _systems() -> dict[str, systems.System]:
    path = folder() / systems.NAME
    try:
        stat = path.stat()
    except OSError:
        return systems.read(path)  # it says what is wrong
    return _read_systems(path, stat.st_mtime_ns, stat.st_size)


@lru_cache(maxsize=8)
def _read_systems(path: Path, _changed: int, _size: int) -> dict[str, systems.System]:
    return systems.read(path)


def expectations(os: str) -> Expectations:
    """The expectations of a system, or of a file when ``os`` is a path; raises :class:`Problem`.

    A file is read again when it has changed; until then the same object is returned.
    """
    if os.endswith((".yaml", ".yml")):
        return _current(Path(os))
    if os not in names():
        name, at, _ = os.partition("@")
        advice = "; the release is named with --release" if at and name in names() else nearest(os, names())
        for described, row in _systems().items():
            if os.lower() in row.also_called:
                advice = f"; say {described}"
            elif os.lower() in row.mistaken_for:
                advice = f"; {row.mistaken_for[os.lower()]} is not described, {described} is"
        if "," in os:
            advice = "; name one system with each --os"
        raise Problem(Place("--os"), f"no expectations for {os!r}{advice}; there are {', '.join(names())}")
    return _current(folder() / f"{os}.yaml")


def _current(path: Path) -> Expectations:
    try:
        real = path.resolve()
        stat = real.stat()
    except OSError:
        return load(path)  # it says what is wrong
    return _read(path, real, stat.st_mtime_ns, stat.st_size)


@lru_cache(maxsize=32)
def _read(path: Path, _real: Path, _changed: int, _size: int) -> Expectations:
    """The contents of ``path``. The other arguments are only the key of the cache: the file and its state."""
    return load(path)


def release_of(expectation: Expectations, release: str, told_by: str = "--release") -> str:
    """``release``, or the newest that the file covers if it is empty; raises :class:`Problem` if it cannot be read.

    ``told_by``: where it is written, for the message.
    """
    if not release:
        return expectation.covers[1]
    system = expectation.of_kernel(release)
    if system and not _is_also_a_release(expectation, release):
        message = f"{release} is a release of the kernel of {expectation.title}: say --release {system}"
        raise Problem(Place(told_by), message)
    try:
        releases.parse(expectation.resolve(release))
    except releases.ReleaseError as error:
        first, last = expectation.covers
        known = f"from {first} to {last}" + (f", by name {', '.join(expectation.names)}" if expectation.names else "")
        hint = nearest(release, [*expectation.names, *expectation.covers])
        raise Problem(Place(told_by), f"{error}{hint}; {expectation.title} is described {known}") from error
    return release


def _is_also_a_release(expectation: Expectations, number: str) -> bool:
    """Whether the kernel's ``number`` may be one of the system too: there are macOS 11 and Darwin 11, no macOS 20."""
    first = releases.parse(number)[1][0]
    return any(releases.parse(own)[1][0] == first for own in expectation.kernel_releases.values() if own)


def _told(expectation: Expectations, host: Mapping[str, Any]) -> tuple[str, str]:
    """The release that the facts of a host name ("" for none), and a note about it ("" for none).

    A kernel and its system may have different release numbers: if a host only gives its uname, the system's release is
    looked up.
    """
    release = str(host.get("release") or "")
    system = expectation.of_kernel(release)
    if expectation.kernel_releases and (release == host.get("uname") or system == ""):
        kernel = host.get("kernel") or "the kernel"
        note = f"{kernel} {release} is {expectation.title} {system}; a more exact release is named with --release"
        return system or "", note if system else ""
    return release, ""


def limit(expectation: Expectations, release: str) -> str:
    """What to say about a release that the file does not cover, "" for one that it does."""
    vendor = _vendor(expectation, release)
    if vendor:
        return (
            f"{release} is a kernel of {vendor}, which takes patches of later releases under an old number: "
            "the number says little, and rules that hold since or until some release may be wrong for it"
        )
    first, last = expectation.covers
    version = releases.parse(expectation.resolve(release))[1]
    newest = releases.parse(last)[1]
    if releases.before(newest, version) and version[: len(newest)] != newest:
        return (
            f"{release} is past {expectation.named(last)}, the newest release of {expectation.title} that is "
            "described: nothing is known of it, and it is assumed to behave like the newest"
        )
    if releases.before(version, releases.parse(first)[1]):
        return (
            f"{release} is before {expectation.named(first)}, the oldest release of {expectation.title} that is "
            "described: nothing is known of it, and it is assumed to behave like the oldest"
        )
    return ""


def notes_of_host(model: Model, host: Mapping[str, Any]) -> list[str]:
    """What to say about judging ``host`` by ``model``."""
    expectations = model.expectations
    release, note = _told(expectations, host)
    found = [note] if note else []
    its_own = str(host.get("uname") or "")
    if release:
        asked = its_own if _vendor(expectations, its_own) else model.release
        found += [text for text in [limit(expectations, asked)] if text]
    else:
        found.append(
            f"the host does not tell which release of {expectations.title} it is: judged as {model.release}, "
            "the newest that is described; another one is named with --release or in hosts.toml"
        )
    said = host.get("sysctls")
    settings: Mapping[str, str] = said if isinstance(said, Mapping) else {}
    for name, (value, otherwise) in expectations.assumes.items():
        actual = str(settings.get(name, value))
        if actual != value:
            found.append(f"{name} is {actual} on the host and {value} in the rules: {otherwise}")
    if host.get("literature"):
        found.append(str(host["literature"]))
    default = expectations.stack.v6only_default
    if model.stack.v6only_default != default:
        found.append(
            f"IPV6_V6ONLY is {model.stack.v6only_default} on a new socket of this host, and {default} by default on "
            f"{expectations.title}: judged with the host's"
        )
    return found


def model_of_host(expectation: Expectations, release: str, host: Mapping[str, Any]) -> Model:
    """The model of ``release`` with the defaults that the sockets of ``host`` start with."""
    model = expectation.at(release)
    default = host.get("v6only_default")
    if type(default) is int and default in (0, 1) and default != model.stack.v6only_default:
        return replace(model, stack=replace(model.stack, v6only_default=default))
    return model


def method_of_host(host: Mapping[str, Any]) -> str:
    """By which method a host answered, in words."""
    os = str(host.get("os") or "")
    release = _told(expectations(os), host)[0] if os in names() else str(host.get("release") or "")
    return provenance.of_host(host, release, method_of(host), folder() / "evidence")


def method_of(host: Mapping[str, Any]) -> Method:
    """By which method a kernel that describes itself answered."""
    system = _systems().get(str(host.get("os")))
    emulated = host.get("emulator") or (system is not None and system.emulated)
    return Method.EMULATED if emulated else Method.RUN


def _vendor(expectation: Expectations, release: str) -> str:
    """The vendor of kernel ``release`` if its number does not tell which patches it has, otherwise ""."""
    return next((name for name, pattern in expectation.rebased.items() if pattern.search(release)), "")


def of_host(host: Mapping[str, Any], told_by: str = "the host's release") -> tuple[Expectations, str]:
    """The expectations and the release for the facts of a host; raises :class:`Problem`.

    ``told_by``: where the release is written, for the message.
    """
    os = str(host.get("os") or "")
    if not os:
        raise Problem(Place("--os"), "the observations do not say which system they are from; name it with --os")
    expectation = expectations(os)
    return expectation, release_of(expectation, _told(expectation, host)[0], told_by)
