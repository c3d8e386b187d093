"""What is published is what the tag and the repository say."""

from __future__ import annotations

import shutil
import tomllib
from pathlib import Path

import bindmatrix
import pytest

from tests.workflows.workflow import ROOT, Runner

URLS = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["urls"]
REPOSITORY = URLS["Homepage"].removeprefix("https://github.com/")


@pytest.mark.parametrize(
    ("tag", "repository", "said"),
    [
        (f"v{bindmatrix.__version__}", REPOSITORY, ""),
        ("v99.0.0", REPOSITORY, "::error::the tag is v99.0.0, __init__.py has __version__ = "),
        (
            f"v{bindmatrix.__version__}",
            "somebody/fork",
            "::error::[project.urls] does not name https://github.com/some",
        ),
    ],
)
def test_a_tag_publishes_its_own_version_from_its_own_repository(
    tag: str, repository: str, said: str, tmp_path: Path
) -> None:
    (tmp_path / "conformance" / "bindmatrix").mkdir(parents=True)
    for name in ("pyproject.toml", "conformance/bindmatrix/__init__.py"):
        shutil.copy(ROOT / name, tmp_path / name)
    environment = {"GITHUB_REF_NAME": tag, "GITHUB_SERVER_URL": "https://github.com", "GITHUB_REPOSITORY": repository}
    runner = Runner(tmp_path, environment=environment)
    done = runner.step("release.yml", "build", "the tag and the repository are those of the package")
    assert done.stdout.startswith(said)
    assert done.returncode == bool(said)


def test_every_address_of_the_project_is_the_same() -> None:
    assert all(address.startswith(URLS["Homepage"]) for address in URLS.values())
    for name in ("CITATION.cff", ".github/ISSUE_TEMPLATE/config.yml"):
        assert URLS["Homepage"] in (ROOT / name).read_text("utf-8")
    for name in ("docs/ci.md", ".github/workflows/conformance.yml"):
        assert f"uses: {REPOSITORY}/.github/workflows/conformance.yml@COMMIT" in (ROOT / name).read_text("utf-8")
