"""``bindmatrix kernels``: lists kernel images, and runs one scenario on each."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

from bindmatrix.cli import scenario_options
from bindmatrix.cli.main import DIVERGES, OK, WRONG
from bindmatrix.errors import BindmatrixError, Place, Problem
from bindmatrix.execute import initramfs, kernel_images, vng
from bindmatrix.execute.hosts import HostSpec, open_host
from bindmatrix.execute.initramfs import InitramfsHost
from bindmatrix.execute.kernel_images import Image
from bindmatrix.execute.local import LocalHost
from bindmatrix.execute.remote import RemoteHost
from bindmatrix.judge import by_release
from bindmatrix.judge.by_release import Judges, KernelAnswer
from bindmatrix.judge.verdicts import VerdictKind
from bindmatrix.notation import Scenario
from bindmatrix.observe import evidence, scenario_input
from bindmatrix.observe.recordings import Observation
from bindmatrix.report import kernels_text
from bindmatrix.report.console import width_of
from bindmatrix.report.words import counted
from bindmatrix.rules import catalog, releases
from bindmatrix.run.session import observed

_EPILOG = f"""\
Without a scenario: the images in {", ".join(kernel_images.PLACES)}, or those that --image names, each with the version
in the image.

With one (or a file of them): each image is booted in QEMU, in emulation unless --kvm is given; nothing is installed.
With --executor c the C executor is all that runs in it, from an initramfs; that takes a few seconds and needs a C
compiler that links statically.  With --executor python, virtme-ng (vng) gives it the files of this machine, read only,
and its Python; that takes 20 seconds or more.  The default is c if available.  The kernel of this machine is asked too
(--no-here leaves it out), and recordings of the scenario on other releases are shown beside it.  Then comes between
which two versions the answer changes, and the rules that say so.

Exit status: 1 when a kernel diverges from its rules, 2 when one could not be run.

--json prints {{"images": [{{"path", "release", "uname", "banner"}}], "scenarios": [{{"scenario", "answers":
[{{"release", "how", "source", "outcomes", "verdict", "reason", "expected", "rules"}}], "changes": [{{"before",
"after", "step", "outcomes", "rules"}}]}}]}}.
"""


_Host = LocalHost | RemoteHost | InitramfsHost


class _Ask(NamedTuple):
    """A kernel to be asked; the fields are those of :class:`~bindmatrix.judge.by_release.KernelAnswer`."""

    how: str
    source: str
    release: str
    host: _Host


#: the facts of a kernel and its observation of each scenario; in place of the facts why there are none
_Heard = tuple[dict[str, Any] | str, dict[str, Observation]]


def configure(parser: argparse.ArgumentParser) -> None:
    """The arguments of the verb."""
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.epilog = _EPILOG
    parser.add_argument("scenario", nargs="?", metavar="SCENARIO|FILE", help="a scenario, a file of them, or -")
    parser.add_argument(
        "--image",
        type=scenario_options.path,
        action="append",
        default=[],
        metavar="PATH",
        help="a kernel image or a folder of them (repeatable)",
    )
    parser.add_argument("--no-here", action="store_true", help="do not ask the kernel that runs here")
    parser.add_argument(
        "--executor", choices=("c", "python"), help="what runs in a booted kernel (default: c if available)"
    )
    parser.add_argument("--kvm", action="store_true", help="boot with hardware virtualization (about two seconds)")
    parser.add_argument(
        "--jobs",
        type=scenario_options.whole,
        default=2,
        metavar="N",
        help="how many kernels to boot at once (default 2)",
    )
    parser.add_argument("--json", action="store_true", help="an object, see below")


def run(arguments: argparse.Namespace) -> int:
    """List the images, or ask them."""
    found = _images(arguments.image)
    if arguments.scenario is None:
        return _list(found, arguments.image, json_wanted=arguments.json)
    asked = [one.scenario() for one in scenario_input.given(arguments.scenario)]
    if not asked:
        raise Problem(Place(arguments.scenario), "holds no scenario: nothing is booted")
    status = OK
    asks: list[_Ask] = []
    try:
        if not found:
            raise _nothing(arguments.image)
        asks = [_Ask("booted", str(one.path), one.release, host) for one, host in _booted(found, arguments)]
    except Problem as problem:  # what is known without booting anything is still told
        print(problem, file=sys.stderr)
        status = WRONG
    if not arguments.no_here:
        asks.append(_Ask("this kernel", "", "", open_host(HostSpec("local", workers=1))))
    if asks and sys.stderr.isatty():
        print(f"asking {counted(len(asks), 'kernel')}", file=sys.stderr)
    heard = _ask_all(asks, asked, arguments.jobs)
    judges = Judges(vng.SYSTEM)
    told = _records(judges, asked)
    run_now = []
    for one, (facts, found_there) in zip(asks, heard, strict=True):
        for scenario, answers in zip(asked, told, strict=True):
            if isinstance(facts, str):
                answer = KernelAnswer(one.release, one.how, one.source, None, reason=facts)
            else:
                answer = judges.answer(one.how, one.source, facts, found_there[scenario.text])
            answers.append(answer)
            run_now.append(answer)
    _print(arguments, found, asked, [by_release.ordered(answers) for answers in told])
    if status != OK or any(answer.outcomes is None for answer in run_now):
        return WRONG
    surprising = (VerdictKind.DIVERGES, VerdictKind.RESOLVED)
    return DIVERGES if any(answer.verdict in surprising for answer in run_now) else OK


def _images(places: Sequence[Path]) -> list[Image]:
    """The images, the oldest first; a named file that is no image is a :class:`Problem`, others are skipped."""
    found = []
    for path in kernel_images.find(places or [Path(place) for place in kernel_images.PLACES if Path(place).is_dir()]):
        try:
            found.append(kernel_images.read(path))
        except Problem:
            if path in places:
                raise
    return sorted(found, key=lambda one: releases.sort_key(one.release))


def _booted(found: Sequence[Image], arguments: argparse.Namespace) -> list[tuple[Image, _Host]]:
    """A host for each image; raises :class:`Problem` if the boot tool is not installed."""
    lacking = [] if arguments.executor == "python" else initramfs.missing()
    if arguments.executor == "c" and lacking:
        raise Problem(Place("--executor c"), f"kernels cannot be booted with it here, missing: {', '.join(lacking)}")
    if arguments.executor == "python" or lacking:
        return [(one, open_host(vng.host_spec(one, kvm=arguments.kvm))) for one in found]
    return [(one, InitramfsHost(one, kvm=arguments.kvm)) for one in found]


def _nothing(places: Sequence[Path]) -> Problem:
    where = ", ".join(map(str, places)) or ", ".join(kernel_images.PLACES)
    return Problem(
        Place(where),
        "no kernel image there that can be read; name one with --image, or install some "
        "(apt-get install linux-image-amd64)",
    )


def _list(found: Sequence[Image], places: Sequence[Path], *, json_wanted: bool) -> int:
    if json_wanted:
        print(json.dumps({"images": [_image(one) for one in found], "scenarios": []}, indent=1))
    if not found:
        raise _nothing(places)
    for one in [] if json_wanted else found:
        print(f"{one.release:<12}  {one.path}  ({one.banner})")
    return OK


def _image(one: Image) -> dict[str, str]:
    return {"path": str(one.path), "release": one.release, "uname": one.uname, "banner": one.banner}


def _ask_all(asks: Sequence[_Ask], asked: Sequence[Scenario], jobs: int) -> list[_Heard]:
    """The answers of the kernels, in their order; Ctrl-C ends those that are booting."""
    hosts = [one.host for one in asks]
    with ThreadPoolExecutor(max(1, jobs)) as pool:
        try:
            return list(pool.map(partial(_ask, asked=asked), hosts))
        except KeyboardInterrupt:
            pool.shutdown(wait=False, cancel_futures=True)
            for host in hosts:
                host.cancel()
            raise


def _ask(host: _Host, asked: Sequence[Scenario]) -> _Heard:
    try:
        with host:
            # before the facts: an initramfs is booted once for its scenarios, and tells the facts with them
            found = {one.scenario: one for one in observed(host.run([scenario.text for scenario in asked]))}
            return host.facts, found
    except BindmatrixError as error:
        return str(error), {}


def _records(judges: Judges, asked: Sequence[Scenario]) -> list[list[KernelAnswer]]:
    """The recorded outcomes of each scenario, one a release."""
    found: dict[str, dict[str, KernelAnswer]] = {one.text: {} for one in asked}
    for record in evidence.records(catalog.folder() / "evidence", vng.SYSTEM, found.keys()):
        observation = Observation(record.scenario, record.outcomes)
        answer = judges.answer("recorded", record.reference, {"release": record.release}, observation)
        found[record.scenario].setdefault(record.release, answer)
    return [list(found[one.text].values()) for one in asked]


def _print(
    arguments: argparse.Namespace,
    found: Sequence[Image],
    asked: Sequence[Scenario],
    told: Iterable[Sequence[KernelAnswer]],
) -> None:
    rows: list[dict[str, Any]] = []
    for index, (scenario, answers) in enumerate(zip(asked, told, strict=True)):
        changes = by_release.changes(answers)
        rows.append(
            {
                "scenario": scenario.text,
                "answers": [one.as_dict() for one in answers],
                "changes": [one.as_dict() for one in changes],
            }
        )
        if not arguments.json:
            text = kernels_text.lines(scenario, answers, changes, width_of(sys.stdout))
            print("\n".join([*([""] if index else []), *text]))
    if arguments.json:
        print(json.dumps({"images": [_image(one) for one in found], "scenarios": rows}, indent=1))
