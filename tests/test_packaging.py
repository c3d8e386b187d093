"""What is said of the project as a whole: one version, a complete wheel, an engine that knows no system by name."""

from __future__ import annotations

import ast
import importlib.metadata
import os
import re
import shlex
import shutil
import subprocess
import sys
import textwrap
import zipfile
from collections.abc import Iterator
from pathlib import Path

import bindmatrix
import pytest
from bindmatrix.cli.main import main
from bindmatrix.rules import catalog

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / "conformance" / "bindmatrix"

SYSTEMS = re.compile(
    r"\b(linux|freebsd|netbsd|openbsd|dragonfly|bsd|darwin|macos|xnu|illumos|solaris|sunos|omnios|gvisor|runsc|windows|win32|winsock)\b",
    re.IGNORECASE,
)
#: folders of a machine, as opposed to paths that every machine has
MACHINE_PATHS = re.compile(r"/(?:work|root)/|/home/[a-z]|/Users/[a-z]|/tmp/[a-z]")


# --- one of everything


def test_the_version_is_the_newest_entry_of_the_changelog() -> None:
    newest = re.search(r"^## (\S+)", (ROOT / "CHANGELOG.md").read_text(encoding="utf-8"), re.MULTILINE)
    assert newest
    assert newest[1] == bindmatrix.__version__
    assert f"\nversion: {bindmatrix.__version__}\n" in (ROOT / "CITATION.cff").read_text(encoding="utf-8")


def test_the_installed_distribution_has_the_version_of_the_package() -> None:
    try:
        installed = importlib.metadata.version("bindmatrix")
    except importlib.metadata.PackageNotFoundError:
        pytest.skip("bindmatrix is not installed here; tox installs it")
    assert installed == bindmatrix.__version__


def test_ci_runs_the_test_command_of_the_readme() -> None:
    _, tests = readme_commands()
    lines = (ROOT / ".ci" / "run").read_text(encoding="utf-8").splitlines()
    assert lines[-1] == tests


def test_the_readme_opens_with_the_two_commands() -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    assert readme.index("```sh") < 200
    assert readme_commands() == ["python3 start.py run", "python3 start.py tox"]


def readme_commands() -> list[str]:
    """The commands of README's first block, without their comments."""
    block = (ROOT / "README.md").read_text(encoding="utf-8").split("```sh\n")[1].split("```")[0]
    return [line.split("#")[0].strip() for line in block.splitlines() if line]


# --- the wheel


@pytest.fixture(scope="module")
def wheel() -> Path:
    path = os.environ.get("TOX_PACKAGE", "").split(os.pathsep)[0]
    if not path.endswith(".whl"):
        pytest.skip("no wheel was built; tox builds one")
    return Path(path)


def test_the_wheel_holds_everything_the_command_needs(wheel: Path) -> None:
    names = set(zipfile.ZipFile(wheel).namelist())
    assert {"bindmatrix/py.typed", "bindmatrix/suite/test_matrix.py"} <= names
    assert {"bindmatrix/execute/executor.py", "bindmatrix/execute/executor.c"} <= names
    expected = {
        f"bindmatrix/{path.relative_to(ROOT).as_posix()}"
        for path in (ROOT / "expectations").rglob("*")
        if path.is_file() and not path.name.startswith(".")
    }
    assert len(expected) > 50
    assert expected <= names


def test_the_wheel_holds_nothing_else(wheel: Path) -> None:
    tops = {name.split("/")[0] for name in zipfile.ZipFile(wheel).namelist()}
    assert tops == {"bindmatrix", f"bindmatrix-{bindmatrix.__version__}.dist-info"}


def test_the_tests_run_against_the_installed_wheel(wheel: Path) -> None:
    assert Path(bindmatrix.__file__).is_relative_to(sys.prefix), f"{wheel} is installed, the checkout was imported"


# --- what is installed with it, and what is not


@pytest.mark.parametrize(
    "words",
    [
        "ask 'a=udp4 a.bind=127.0.0.1' --os linux",
        "predict --os linux 'a=udp4 a.bind=127.0.0.1'",
        "check needs.txt",
    ],
)
def test_an_answer_needs_no_test_runner_and_no_other_host(words: str, tmp_path: Path) -> None:
    (tmp_path / "needs.txt").write_text("a=udp4 a.bind=127.0.0.1 => ok\n", encoding="utf-8")
    done = without_extras(f"sys.exit(main({shlex.split(words)}))", tmp_path)
    assert done.returncode == 0, done.stderr
    assert "ok" in done.stdout


def test_only_verbs_that_reach_other_hosts_import_execnet(tmp_path: Path) -> None:
    program = """
    for verb in VERBS:
        try:
            importlib.import_module(f"bindmatrix.cli.{verb}")
        except ModuleNotFoundError as error:
            print(verb, error.name)
    """
    done = without_extras(textwrap.dedent(program), tmp_path)
    assert set(done.stdout.split()) == {"run", "kernels", "execnet.gateway_base"}, done.stderr


def without_extras(program: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """Run a program in a Python that finds neither execnet nor what the extra ``suite`` installs."""
    start = (
        "import importlib, sys\n"
        "sys.modules.update(dict.fromkeys(['execnet', 'hypothesis', 'pytest', 'xdist']))\n"
        "from bindmatrix.cli.main import VERBS, main\n"
    )
    return subprocess.run([sys.executable, "-c", start + program], cwd=folder, capture_output=True, text=True)


def test_the_version_of_the_rules_is_that_of_what_they_say(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    version = catalog.data_version()
    copied = shutil.copytree(catalog.folder(), tmp_path / "expectations", ignore=shutil.ignore_patterns("*.gz"))
    monkeypatch.setattr(catalog, "folder", lambda: copied)
    text = (copied / "linux.yaml").read_bytes()
    (copied / "linux.yaml").write_bytes(text.replace(b"\n", b"\r\n"))
    assert catalog.data_version() == version, "line ends of a checkout on Windows"
    (copied / "linux.yaml").write_bytes(text + b"# a comment\n")
    assert catalog.data_version() != version
    (copied / "linux.yaml").write_bytes(text)
    (copied / "netbsd.yaml").rename(copied / "other.yaml")
    assert catalog.data_version() != version


def test_the_command_tells_both_versions(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["--version"])
    assert ended.value.code == 0
    assert capsys.readouterr().out == f"bindmatrix {bindmatrix.__version__} (rules {catalog.data_version()})\n"


# --- what the layers cannot say


def test_the_executor_imports_the_standard_library_alone() -> None:
    tree = ast.parse((PACKAGE / "execute" / "executor.py").read_text(encoding="utf-8"), feature_version=(3, 8))
    imported = {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
    imported |= {f"{'.' * node.level}{node.module}" for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    assert imported
    assert {name for name in imported if name.split(".")[0] not in sys.stdlib_module_names} == set()


@pytest.mark.parametrize("layer", ["oracle", "judge", "generate"])
def test_no_system_is_named_in_the_code_of(layer: str) -> None:
    """Semantics of a system are data: an ``if os == ...`` has no place here.  What a person reads may explain."""
    found = [
        f"{path.relative_to(ROOT)}:{line}: {text!r}"
        for path in sorted((PACKAGE / layer).rglob("*.py"))
        for line, text in strings_of_code(ast.parse(path.read_text(encoding="utf-8")))
        if SYSTEMS.search(text) and " " not in text  # a sentence decides nothing
    ]
    assert not found, "\n".join(found)


def test_strings_of_code_leaves_documentation_out() -> None:
    tree = ast.parse('"""a"""\n#: b\nX = f"c{d}"\ndef f(x="e"):\n    """g"""\n    return {"h": x}\n')
    assert [text for _, text in strings_of_code(tree)] == ["c", "e", "h"]


def strings_of_code(tree: ast.AST) -> Iterator[tuple[int, str]]:
    """Line and text of every string that is not a docstring (a string that stands alone as a statement)."""
    for child in ast.iter_child_nodes(tree):
        if isinstance(child, ast.Expr) and isinstance(child.value, ast.Constant):
            continue
        if isinstance(child, ast.Constant) and isinstance(child.value, str):
            yield child.lineno, child.value
        yield from strings_of_code(child)


# --- the repository


def test_no_file_names_a_folder_of_somebodys_machine() -> None:
    found = [
        f"{path}:{number}: {line.strip()[:120]}"
        for path, text in committed_texts()
        for number, line in enumerate(text.splitlines(), 1)
        if MACHINE_PATHS.search(line)
    ]
    assert not found, "\n".join(found)


def committed_texts() -> Iterator[tuple[str, str]]:
    """Path and text of the text files under version control; skips the test where there is no repository."""
    try:
        listing = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=True).stdout
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("not a git checkout")
    for name in listing.decode().rstrip("\0").split("\0"):
        try:
            yield name, (ROOT / name).read_text(encoding="utf-8")
        except (UnicodeDecodeError, FileNotFoundError, IsADirectoryError):
            continue  # recordings are compressed; a file may be deleted and not yet committed
