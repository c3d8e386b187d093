"""Other Linux kernels, live: every image that is here, booted in emulation, judged by ``expectations/linux.yaml``.

A boot takes 16 seconds on an idle machine, so only ``tox -e kernels`` does it.
"""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from bindmatrix.cli.main import main
from bindmatrix.errors import Problem
from bindmatrix.execute import kernel_images, vng
from bindmatrix.execute.kernel_images import Image

from tests.kernels import live

#: up to 6.7 the port remembers that all its binds had SO_REUSEADDR
CHANGED = "a=tcp4 a.reuseaddr=1 a.bind=127.0.0.1 a.reuseaddr=0 b=tcp4 b.reuseaddr=1 b.bind=127.0.0.1"


def _images() -> list[Image]:
    found = []
    for path in kernel_images.find([place for place in map(Path, kernel_images.PLACES) if place.is_dir()]):
        try:
            found.append(kernel_images.read(path))
        except (Problem, OSError):  # what is no kernel, or only root may read
            continue
    return found


@pytest.fixture(params=_images() or [None], ids=lambda image: image.uname if image else "none")
def image(request: pytest.FixtureRequest) -> Image:
    """A kernel image of this machine."""
    if not os.environ.get("BINDMATRIX_KERNELS"):
        pytest.skip("boots a kernel in emulation: tox -e kernels")
    found: Image | None = request.param
    if found is None:
        pytest.skip(f"no kernel image in {', '.join(kernel_images.PLACES)}: apt-get install linux-image-amd64")
    if vng.missing():
        pytest.skip(f"missing: {', '.join(vng.missing())}")
    return found


def test_the_quick_matrix(image: Image) -> None:
    facts, summary = live.run(vng.host_spec(image), examples=1000, deliveries=100)
    assert (facts["os"], facts["uname"], facts["release"]) == ("linux", image.uname, image.release)
    assert summary.total > 6000
    assert live.as_expected(summary), live.told(summary)


def test_a_scenario_by_the_command(image: Image, capsys: pytest.CaptureFixture[str]) -> None:
    status = main(["kernels", CHANGED, "--image", str(image.path), "--json"])
    (scenario,) = json.loads(capsys.readouterr().out)["scenarios"]
    (answer,) = [one for one in scenario["answers"] if one["how"] == "booted"]
    assert answer["release"] == image.release
    assert answer["verdict"] == "conforms"
    assert status == 0
