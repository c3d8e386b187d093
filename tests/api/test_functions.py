"""The public API: its doctests, its names, what its import costs."""

from __future__ import annotations

import doctest
import importlib
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import bindmatrix
import pytest
from bindmatrix.api import functions, recording

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("module", [functions, recording], ids=lambda module: module.__name__)
def test_the_examples_in_docstrings(module: ModuleType) -> None:
    found = doctest.testmod(module, optionflags=doctest.ELLIPSIS | doctest.IGNORE_EXCEPTION_DETAIL)
    assert found.attempted > 2
    assert found.failed == 0


def test_the_example_in_the_document() -> None:
    (block,) = [
        one.split("```")[0]
        for one in (ROOT / "docs" / "api.md").read_text(encoding="utf-8").split("```python\n")
        if one.startswith(">>>")
    ]
    example = doctest.DocTestParser().get_doctest(block, {}, "api.md", None, None)
    assert len(example.examples) == 2
    assert doctest.DocTestRunner().run(example).failed == 0


def test_every_public_name_is_there_and_documented() -> None:
    for name in bindmatrix.__all__:
        assert name in dir(bindmatrix)
        if name != "__version__":
            assert getattr(bindmatrix, name).__doc__
    functions_named = {"ask", "check", "parse", "predict", "recipes", "record", "verdict"}
    documented = (ROOT / "docs" / "api.md").read_text(encoding="utf-8")
    assert all(f"`bindmatrix.{name}(" in documented for name in functions_named)
    assert all(f"``{name}``" in (bindmatrix.__doc__ or "") for name in functions_named)


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no attribute 'judged'"):
        bindmatrix.judged  # noqa: B018


def test_a_public_name_is_not_that_of_a_room() -> None:
    """``import bindmatrix.judge`` would replace a function of that name by the package."""
    rooms = {path.parent.name for path in Path(bindmatrix.__file__).parent.glob("*/__init__.py")}
    assert not rooms & set(bindmatrix.__all__)


def modules_after(statement: str) -> set[str]:
    code = f"import sys; {statement}; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return set(done.stdout.split())


def test_the_import_brings_nothing_with_it() -> None:
    bare = modules_after("import __future__, typing")
    assert modules_after("import bindmatrix") - bare == {"bindmatrix"}


def test_the_plugin_brings_pytest_alone() -> None:
    found = modules_after("import pytest, bindmatrix.api.pytest_plugin") - modules_after("import pytest")
    assert found == {"bindmatrix", "bindmatrix.api", "bindmatrix.api.pytest_plugin"}
    assert not {"hypothesis", "yaml", "rich", "execnet"} & found


def test_a_recording_needs_no_rules() -> None:
    assert not {"yaml", "hypothesis", "rich"} & modules_after("import bindmatrix; bindmatrix.record")


def test_the_entry_point_is_the_plugin() -> None:
    tomllib = importlib.import_module("tomllib")
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    (name,) = project["entry-points"]["pytest11"].values()
    assert hasattr(importlib.import_module(name), "bindmatrix_calls")


@pytest.mark.parametrize(
    ("call", "told"),
    [
        (lambda: bindmatrix.ask("a=tcp4", on=["linx"]), "did you mean 'linux'?"),
        (lambda: bindmatrix.ask("a=tcp4", on="linux"), "expected a list of systems"),
        (lambda: bindmatrix.ask("a=tcp4", on=["linux@x.y"]), "x.y"),
        (lambda: bindmatrix.ask("a=tcp", on=["linux"]), "unknown kind of socket"),
        (lambda: bindmatrix.predict("a=tcp4", "linux", "?"), "described from"),
        (lambda: bindmatrix.verdict("a=tcp4", ["ok"], "linx"), "did you mean"),
        (lambda: bindmatrix.recipes("worker"), "did you mean 'workers'?"),
        (lambda: bindmatrix.recipes("workers", on=["linux@6.1"]), "for the newest release"),
        (lambda: bindmatrix.check(["a=tcp4"]), "expected .=> OUTCOME"),
        (lambda: bindmatrix.check("no such file"), "cannot be read"),
    ],
)
def test_errors_say_what_to_do(call: object, told: str) -> None:
    assert callable(call)
    with pytest.raises(bindmatrix.BindmatrixError, match=told):
        call()


def test_a_verdict_on_what_cannot_be_judged() -> None:
    assert bindmatrix.verdict("nonsense", ["ok"], "linux").kind == "no-verdict"
    assert bindmatrix.verdict("a=tcp4", ["ok", "ok"], "linux").reason == "2 outcomes for 1 steps"


def test_ask_takes_releases() -> None:
    text = "a=tcp4 a.bind=0.0.0.0 b=tcp4 b.bind=127.0.0.1"
    assert [one.outcomes[-1] for one in bindmatrix.ask(text, on=["windows@xp", "windows@server-2025"])] == [
        "EADDRINUSE",
        "ok",
    ]
    assert len(bindmatrix.ask(text, on=["windows@all"])) == 2
    assert {one.os for one in bindmatrix.ask(text)} >= {"linux", "macos", "windows", "freebsd"}


def test_check_takes_a_file_and_its_systems() -> None:
    table = bindmatrix.check(ROOT / "examples" / "needs.txt")
    assert table.columns == ["linux", "freebsd", "macos", "windows"]
    assert not table.fails()
