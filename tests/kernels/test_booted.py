"""Other Linux kernels, live: every image that is here, booted in emulation, judged by ``expectations/linux.yaml``.

A boot with the files of this machine takes 16 seconds, one with nothing but the C executor three, on an idle machine;
only ``tox -e kernels`` does either.
"""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from bindmatrix.cli.main import main
from bindmatrix.errors import Problem
from bindmatrix.execute import c_executor, initramfs, kernel_images, vng
from bindmatrix.execute.initramfs import InitramfsHost
from bindmatrix.execute.kernel_images import Image
from bindmatrix.execute.local import HostError
from bindmatrix.run.plan import Plan
from bindmatrix.run.session import Session

from tests.kernels import live
from tests.oracle import test_linux_selftests as selftests

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
    return found


@pytest.fixture
def with_python(image: Image) -> Image:
    """The same, where virtme-ng can boot it."""
    if vng.missing():
        pytest.skip(f"missing: {', '.join(vng.missing())}")
    return image


@pytest.fixture
def with_c(image: Image) -> Image:
    """The same, where an initramfs can be made for it."""
    if initramfs.missing():
        pytest.skip(f"missing: {', '.join(initramfs.missing())}")
    return image


def test_the_quick_matrix(with_python: Image) -> None:
    image = with_python
    facts, summary = live.run(vng.host_spec(image), examples=1000, deliveries=100)
    assert (facts["os"], facts["uname"], facts["release"]) == ("linux", image.uname, image.release)
    assert summary.total > 6000
    assert live.as_expected(summary), live.told(summary)


def test_the_quick_matrix_on_the_c_executor(with_c: Image) -> None:
    with InitramfsHost(with_c) as host:
        plan = Plan("quick", 1000, deliveries=100)
        summary = Session(host).run(plan.scenarios(host.facts))
        facts = host.facts
    assert (facts["os"], facts["uname"], facts["release"]) == ("linux", with_c.uname, with_c.release)
    assert facts["executor"] == "c"
    assert summary.total > 6000
    assert live.as_expected(summary), live.told(summary)


def test_the_tests_of_linux_fail_where_the_rules_say_so(with_c: Image) -> None:
    with InitramfsHost(with_c) as host:
        failing = set(selftests.failing_on(host))
    expected = selftests.failing_by_the_rules(with_c.release)
    assert failing == expected | (selftests.NOT_MODELLED if expected else set())


def test_a_kernel_that_stops_says_why(with_c: Image, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A first process that ends is a panic."""
    source = tmp_path / "executor.c"
    source.write_text("int main(void) { return 3; }\n")
    monkeypatch.setattr(c_executor, "SOURCE", source)
    with InitramfsHost(with_c) as host, pytest.raises(HostError, match=r"did not start: .*panic"):
        list(host.run(["a=tcp4"]))


@pytest.mark.parametrize("program", ["c", "python"])
def test_a_scenario_by_the_command(
    image: Image, program: str, request: pytest.FixtureRequest, capsys: pytest.CaptureFixture[str]
) -> None:
    request.getfixturevalue(f"with_{program}")
    status = main(["kernels", CHANGED, "--executor", program, "--image", str(image.path), "--json"])
    (scenario,) = json.loads(capsys.readouterr().out)["scenarios"]
    (answer,) = [one for one in scenario["answers"] if one["how"] == "booted"]
    assert answer["release"] == image.release
    assert answer["verdict"] == "conforms"
    assert status == 0
