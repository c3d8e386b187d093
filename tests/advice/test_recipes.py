"""``bindmatrix recipes``: what the search finds, whether it happens here, and whether the programs do it."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from functools import lru_cache
from itertools import combinations
from pathlib import Path
from typing import ClassVar

import pytest
from bindmatrix.advice import recipes as advice
from bindmatrix.advice import snippets
from bindmatrix.advice.recipe_goals import GOALS, GoalCheck, GoalSocket, OptionSet
from bindmatrix.advice.recipes import Recipe
from bindmatrix.cli import recipes as verb
from bindmatrix.cli.main import main
from bindmatrix.notation import OPTIONS, parse
from bindmatrix.oracle.variants import variant_of
from bindmatrix.outcomes import Expected
from bindmatrix.programs import strace_files, strace_run
from bindmatrix.programs.port_scenarios import scenarios_of
from bindmatrix.rules import catalog

Capture = pytest.CaptureFixture[str]


@lru_cache(maxsize=1)
def found() -> dict[tuple[str, str, str], Recipe]:
    """(goal, place, system) -> recipe."""
    return {(one.goal.id, one.place.title, one.os): one for one in advice.recipes(GOALS)}


@pytest.mark.parametrize(
    ("goal", "place", "system", "words"),
    [
        ("restart", "TCP on 0.0.0.0", "linux", "SO_REUSEADDR"),
        ("restart", "TCP on 0.0.0.0", "windows", "no option"),
        ("workers", "TCP on 0.0.0.0", "linux", "SO_REUSEPORT"),
        ("workers", "TCP on 0.0.0.0", "freebsd", "SO_REUSEPORT_LB"),
        ("workers", "TCP on 0.0.0.0", "macos", "nothing exists"),
        ("workers", "TCP on dual-stack ::", "freebsd", "nothing exists"),
        ("exclusive", "TCP on dual-stack ::, other users", "netbsd", "nothing exists"),
        ("exclusive", "TCP on 0.0.0.0, programs of the same user too", "illumos", "SO_EXCLBIND"),
        (
            "exclusive",
            "TCP on 0.0.0.0, programs of the same user too",
            "windows",
            "not known (SO_EXCLUSIVEADDRUSE may do)",
        ),
        ("multicast", "bound to the group, two users", "windows", "nothing exists"),
        ("dual-stack", "TCP on ::", "openbsd", "nothing exists"),
        ("handover", "TCP on 127.0.0.1", "macos", "SO_REUSEPORT"),
        ("handover", "TCP on 0.0.0.0", "macos", "nothing exists"),
    ],
)
def test_what_is_found(goal: str, place: str, system: str, words: str) -> None:
    assert found()[goal, place, system].words == words


def test_two_sockets_are_the_only_way_to_both_families_on_all_systems() -> None:
    works = {
        goal: {system for (one, _, system), recipe in found().items() if one == goal and recipe.works}
        for goal in ("dual-stack", "separate")
    }
    assert works["separate"] == set(catalog.names())
    assert works["dual-stack"] == set(catalog.names()) - {"openbsd", "dragonfly"}


def test_nothing_smaller_works_and_what_is_said_to_work_does() -> None:
    for recipe in found().values():
        expectations = catalog.expectations(recipe.os)
        kernel = variant_of(expectations, recipe.release)
        for options in recipe.works:
            assert advice.reaches(recipe.place, options, kernel) is True
            if not options.cleared and not options.after:
                for size in range(len(options.before)):
                    for fewer in combinations(options.before, size):
                        assert advice.reaches(recipe.place, OptionSet(fewer), kernel) is not True
        for refuted in recipe.refuted:
            outcomes = kernel.actual.predict(refuted.check.scenario).outcomes
            assert refuted.check.met(outcomes) is False


def test_every_goal_has_checks_that_must_work_and_one_that_can_fail() -> None:
    assert len(GOALS) == 8
    for goal in GOALS:
        assert any(one.refuted for one in found().values() if one.goal == goal)


@pytest.mark.parametrize(
    ("wanted", "outcomes", "met"),
    [
        ("ok", ["ok", "ok", "ok", "ok"], True),
        ("ok", ["ok", "ok", "ok", "EADDRINUSE"], False),
        ("ok", ["ok", "ok", "ok", None], None),
        ("ok", ["ok", "ok", "ok", ("EADDRINUSE", "ok")], None),
        ("refused b", ["ok", "ok", "ok", "EADDRINUSE"], True),
        ("refused b", ["ok", "ok", "ok", "ok"], False),
        ("refused b", ["ok", "EACCES", "ok", "ok"], False),
        ("refused b", ["ok", "ok", "ok", ("EACCES", "EADDRINUSE")], True),
    ],
)
def test_a_check_without_a_delivery(wanted: str, outcomes: Sequence[Expected], met: bool | None) -> None:
    check = GoalCheck("", parse("a=udp4 a.bind=0.0.0.0 b=udp4 b.bind=0.0.0.0"), wanted)
    assert check.met(outcomes) is met


@pytest.mark.parametrize(
    ("wanted", "outcome", "met"),
    [
        ("to a", "a:32", True),
        ("to a", "a:16,b:16", False),
        ("spread a,b", "a:15,b:17", True),
        ("spread a,b", "spread:a,b", True),
        ("spread a,b", "a:32", False),
        ("spread a,b", "spread:a,refused", False),
        ("every a,b", "a:32,b:32", True),
        ("keeps out b", "a:32", True),
        ("keeps out b", "a:15,b:17", False),
        ("keeps out b", "refused", True),
        ("keeps out b", ("a", "b"), None),
        ("to a", None, None),
    ],
)
def test_a_check_with_a_delivery(wanted: str, outcome: Expected, met: bool | None) -> None:
    check = GoalCheck("", parse("a=udp4 a.bind=0.0.0.0 b=udp4 b.bind=127.0.0.1 deliver=127.0.0.1"), wanted)
    assert check.met(["ok", "ok", "ok", "ok", outcome]) is met


def test_a_refused_newcomer_is_kept_out() -> None:
    check = GoalCheck("", parse("a=udp4 a.bind=0.0.0.0 b=udp4 b.bind=127.0.0.1 deliver=127.0.0.1"), "keeps out b")
    assert check.met(["ok", "ok", "ok", "EADDRINUSE", "a:32"]) is True
    assert check.met(["ok", "EACCES", "ok", "ok", "b:32"]) is False


# -- the command


def test_the_command(capsys: Capture) -> None:
    assert main(["recipes", "workers"]) == 0
    out = capsys.readouterr().out
    assert "workers: several workers, balanced\n" in out
    assert "\n    macos 15.5: nothing exists [" in out
    assert main(["recipes", "workers", "--os", "linux"]) == 0
    assert "not with no option: fails that three workers start" in capsys.readouterr().out


def test_json(capsys: Capture) -> None:
    assert main(["recipes", "restart", "--os", "linux", "--json"]) == 0
    first = json.loads(capsys.readouterr().out)[0]
    assert first["works"] == [{"before": ["reuseaddr"]}]
    assert {one["wanted"] for one in first["checks"]} == {"ok", "refused b"}
    assert first["confidence"]["method"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["restrat"], "goal: unknown goal 'restrat'; did you mean 'restart'?"),
        (["restart", "--os", "linus"], "no expectations for 'linus'; did you mean 'linux'?"),
        (["restart", "--code", "c"], "--code: needs exactly one --os"),
    ],
)
def test_bad_use_is_one_line(arguments: list[str], message: str, capsys: Capture) -> None:
    assert main(["recipes", *arguments]) == 2
    err = capsys.readouterr().err
    assert message in err
    assert err.count("\n") == 1


class Agreeable:
    """A kernel that refuses nothing."""

    facts: ClassVar[dict[str, str]] = {"os": "linux"}

    def __enter__(self) -> Agreeable:
        return self

    def __exit__(self, *_: object) -> None: ...

    def run(self, scenarios: Sequence[str]) -> Iterator[list[bytes]]:
        for text in scenarios:
            steps = parse(text).steps
            outcomes = ["a:32" if step.delivers else "ok" for step in steps]
            yield [json.dumps({"scenario": text, "outcomes": outcomes}).encode()]


def test_a_kernel_that_does_otherwise_fails_the_check(monkeypatch: pytest.MonkeyPatch, capsys: Capture) -> None:
    monkeypatch.setattr(verb, "this_host", Agreeable)
    assert main(["recipes", "restart", "--check"]) == 1
    out = capsys.readouterr().out
    assert "fails: restart, TCP on 0.0.0.0, with SO_REUSEADDR: a second instance is refused\n  a=tcp4 " in out


@pytest.mark.skipif(sys.platform != "linux", reason="the sets that are checked are those of Linux")
def test_the_checks_come_out_here(capsys: Capture) -> None:
    assert main(["recipes", "--check", "--json"]) == 0
    rows = json.loads(capsys.readouterr().out)
    assert {row["goal"] for row in rows} == {goal.id for goal in GOALS}
    assert sum(row["met"] is True for row in rows) > 100


# -- programs

COMPILERS = {"python": sys.executable, "c": "cc", "go": "go", "rust": "rustc", "node": "node"}
#: the first release of Node that knows reusePort
REUSE_PORT = (22, 12)


def for_linux() -> list[tuple[Recipe, OptionSet]]:
    """Each pair of sockets and options once."""
    unique = {
        (recipe.place.sockets, options): (recipe, options)
        for (_, _, system), recipe in found().items()
        if system == "linux"
        for options in recipe.works
    }
    return list(unique.values())


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux" or shutil.which("strace") is None, reason="needs strace")
@pytest.mark.parametrize("language", snippets.LANGUAGES)
def test_programs_make_the_calls_of_the_recipe(language: str, tmp_path: Path) -> None:
    if shutil.which(COMPILERS[language]) is None:
        pytest.skip(f"{COMPILERS[language]} is not here")
    ran = 0
    for recipe, options in for_linux():
        text = advice.program(language, recipe, options)
        if text.startswith("// ") or ("reusePort" in text and _node() < REUSE_PORT):
            continue
        command = built(language, text, tmp_path)
        trace = tmp_path / "trace"
        strace_run.run([*command, "18480"], trace, 20.0)
        assert _calls(trace) == _expected(language, recipe, options), text
        ran += 1
    assert ran > 5 if language != "node" else ran > 2


def _node() -> tuple[int, ...]:
    said = subprocess.run(["node", "--version"], capture_output=True, text=True, check=True).stdout
    return tuple(map(int, said.strip().lstrip("v").split(".")))


def built(language: str, text: str, folder: Path) -> list[str]:
    """The command that runs a program, compiled with every warning an error."""
    suffix = {"python": "py", "c": "c", "go": "go", "rust": "rs", "node": "js"}[language]
    source, program = folder / f"recipe.{suffix}", folder / "recipe"
    source.write_text(text, encoding="utf-8")
    compilers = {
        "c": ["cc", "-std=c99", "-Wall", "-Wextra", "-Werror", "-D_DEFAULT_SOURCE", "-o", str(program), str(source)],
        "go": ["go", "build", "-o", str(program), str(source)],
        "rust": ["rustc", "-D", "warnings", "-o", str(program), str(source)],
    }
    if language in compilers:
        made = subprocess.run(compilers[language], capture_output=True, text=True, check=False, cwd=folder)
        assert made.returncode == 0, f"{made.stderr}\n{text}"
        return [str(program)]
    return [COMPILERS[language], str(source)]


def _calls(trace: Path) -> list[str]:
    calls = strace_files.read([trace])
    (one,) = scenarios_of(calls.sockets, calls.folded).scenarios
    return sorted(step.text for step in one.scenario.steps if step.kind not in ("join", "user", "close"))


def _expected(language: str, recipe: Recipe, options: OptionSet) -> list[str]:
    own = [
        snippets.node_options("linux", socket, options) if language == "node" else options
        for socket in recipe.place.sockets
    ]
    sockets = zip("ab", recipe.place.sockets, own, strict=False)
    steps = [step for name, socket, chosen in sockets for step in parse(socket.steps(name, chosen)).steps]
    return sorted(step.text for step in steps if step.kind != "join")


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("go") is None, reason="go is not here")
@pytest.mark.parametrize("system", ["windows", "freebsd"])
def test_go_programs_compile_for_other_systems(system: str, tmp_path: Path) -> None:
    texts = {
        advice.program("go", recipe, options)
        for (_, _, one), recipe in found().items()
        if one == system
        for options in recipe.works
    }
    assert len(texts) > 3
    for number, text in enumerate(sorted(texts)):
        folder = tmp_path / str(number)
        folder.mkdir()
        (folder / "main.go").write_text(text, encoding="utf-8")
    (tmp_path / "go.mod").write_text("module recipes\n\ngo 1.19\n", encoding="utf-8")
    made = subprocess.run(
        ["go", "vet", "./..."],
        capture_output=True,
        text=True,
        check=False,
        cwd=tmp_path,
        env=os.environ | {"GOOS": system, "GOARCH": "amd64", "CGO_ENABLED": "0"},
    )
    assert made.returncode == 0, made.stderr


def test_c_programs_compile_for_windows(tmp_path: Path) -> None:
    """All in one file, each under a name of its own: the headers of Windows take most of the time."""
    compiler = shutil.which("x86_64-w64-mingw32-gcc")
    if compiler is None:
        pytest.skip("no mingw compiler (x86_64-w64-mingw32-gcc) in PATH")
    recipes = [(recipe, options) for recipe in advice.recipes(GOALS, ["windows"]) for options in recipe.works]
    programs = {advice.program("c", recipe, options).partition("\n")[2] for recipe, options in recipes}
    assert len(programs) > 5
    source = tmp_path / "recipes.c"
    renamed = [
        f"#define main main{number}\n#define failed failed{number}\n{text}\n#undef main\n#undef failed\n"
        for number, text in enumerate(sorted(programs))
    ]
    source.write_text("".join([*renamed, "int main(void) { return 0; }\n"]), encoding="utf-8")
    flags = ["-std=c99", "-Wall", "-Wextra", "-Werror", "-D_WIN32_WINNT=0x0600"]
    command = [compiler, *flags, "-o", str(tmp_path / "recipes.exe"), str(source), "-lws2_32"]
    made = subprocess.run(command, capture_output=True, text=True, check=False)
    assert made.returncode == 0, made.stderr


def test_python_programs_of_other_systems_are_python() -> None:
    for recipe in found().values():
        for options in recipe.works:
            compile(advice.program("python", recipe, options), "recipe", "exec")


def test_what_a_language_cannot_do_is_said() -> None:
    windows = found()["restart", "TCP on 0.0.0.0", "windows"]
    assert advice.program("rust", windows, windows.works[0]).startswith("// none: std sets nothing before bind()")
    linux = found()["handover", "TCP on 127.0.0.1", "linux"]
    assert advice.program("node", linux, linux.works[0]) == "// none: net has no bind() without listen()\n"
    # Node always sets SO_REUSEADDR on a TCP listener, which gVisor lets another user share
    (only,) = [
        recipe
        for recipe in found().values()
        if recipe.os == "gvisor" and recipe.place.title == "TCP on 0.0.0.0, other users"
    ]
    assert advice.program("node", only, OptionSet()) == "// not with Node, which sets: SO_REUSEADDR\n"


def test_a_socket_in_words() -> None:
    assert OptionSet(("reuseaddr",), ("reuseport",)).words == "SO_REUSEADDR and SO_REUSEPORT cleared after bind()"
    steps = GoalSocket("udp4", "0.0.0.0", joins="224.0.0.251").steps("a", OptionSet((), ("reuseport",), ("reuseaddr",)))
    assert steps == "a=udp4 a.reuseport=1 a.bind=0.0.0.0 a.reuseport=0 a.reuseaddr=1 a.join=224.0.0.251"
    assert set(OPTIONS) > OptionSet(("reuseaddr",)).options
